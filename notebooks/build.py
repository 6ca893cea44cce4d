"""Build the notebooks from their sources: python notebooks/build.py [NAME ...]

What people edit is source/NAME.py, a jupytext percent script; what learners open is NAME.ipynb, executed. Building twice
gives the same file: cell ids come from the cells, and times, widget ids and this machine's versions are left out.
"""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

HERE = Path(__file__).parent
SOURCES = HERE / "source"
SECONDS_A_CELL = 120
LIVE_WIDGET = "application/vnd.jupyter.widget-view+json"


def sources() -> list[Path]:
    """Return the sources in their order."""
    return sorted(SOURCES.glob("[0-9]*.py"))


def read(source: Path) -> NotebookNode:
    """Return the notebook of a source, not executed."""
    notebook = jupytext.read(source, fmt="py:percent")
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
            "source": {"file": f"source/{source.name}", "sha256": hashlib.sha256(source.read_bytes()).hexdigest()},
        }
    )
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    seen: dict[str, int] = {}
    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict({"tags": cell.metadata["tags"]} if "tags" in cell.metadata else {})
        # From the text alone, so that a cell keeps its id when others come or go.
        text = f"{cell.cell_type}\n{cell.source}"
        seen[text] = seen.get(text, 0) + 1
        cell.id = hashlib.sha256(f"{text}\n{seen[text]}".encode()).hexdigest()[:12]
    return notebook


def execute(notebook: NotebookNode) -> NotebookNode:
    """Run a notebook from top to bottom and drop from its outputs what differs from run to run."""
    # One thread: sums are then added in the same order on every machine.
    os.environ |= {"OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1"}
    NotebookClient(
        notebook,
        timeout=SECONDS_A_CELL,
        resources={"metadata": {"path": str(HERE)}},
        store_widget_state=False,
        record_timing=False,
    ).execute()
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            # Without a kernel the live widget shows nothing; the picture beside it does.
            output.get("data", {}).pop(LIVE_WIDGET, None)
    notebook.metadata["language_info"] = {"name": "python"}
    return notebook


def build(source: Path) -> Path:
    """Build one notebook; return its path."""
    target = HERE / f"{source.stem}.ipynb"
    temporary = target.with_suffix(".tmp")
    nbformat.write(execute(read(source)), temporary)
    temporary.replace(target)
    return target


def main(names: list[str]) -> None:
    chosen = [source for source in sources() if not names or source.stem in names]
    if not chosen:
        sys.exit(f"There is no source called {names}: choose among {[source.stem for source in sources()]}.")
    for source in chosen:
        print(build(source))


if __name__ == "__main__":
    main(sys.argv[1:])
