"""Build the notebooks from their sources: python notebooks/build.py [NAME ...]

For a fork: python notebooks/build.py --repository https://github.com/NAME/REPOSITORY [--ref BRANCH] changes the address
in pyproject.toml, and with it the badges and setup cells of all notebooks, without running them.

Authors edit source/NAME.py, a jupytext percent script; learners open NAME.ipynb, executed. Building twice gives the
same file: cell ids are derived from the cells, and times, widget ids and this machine's versions are left out.

An exercise is a code cell tagged "stub" and, further down, a code cell tagged "solution". Learners get the stub, and
the solution folded up in its place; in solutions/NAME.ipynb the solution replaces the stub.

The first code cell of every section ("## ...") gets a line above it that loads `exercises.order`: after a restart, a
name that is missing is then told with the section that makes it.

Tags, and no others (TAGS):
- exercises: stub, solution; bonus beside stub, where an exercise is for the quick; setup, for the cell put in here
- what is seen: hide-input folds the code of a cell, for setup and plotting
- tests: nbval-check-output compares what a cell shows (not a figure); raises-exception for a cell that shall fail
- slides (slides.py): slide, for a text cell that is a slide and not in the notebook; on-slide, for a code cell below it
  that shows what belongs on the slide. Nothing else is on the slides
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import io
import os
import re
import sys
import tomllib
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode
from PIL import Image

HERE = Path(__file__).parent
SOURCES = HERE / "source"
SOLUTIONS = HERE / "solutions"
PROJECT = HERE.parent / "pyproject.toml"
PAGES = (HERE.parent / "README.md", HERE / "INSTALL.md")  # whose badges lead learners to Colab and Binder
SECONDS_A_CELL = 120
KEPT = ("alt", "tags")  # a cell's metadata; alt is the alternative text of its figure
SLIDE, ON_SLIDE = "slide", "on-slide"
FOLDED = ("hide-input", "setup")
TAGS = {"stub", "solution", "bonus", "nbval-check-output", "raises-exception", SLIDE, ON_SLIDE, *FOLDED}
ORDER = "import lossprune_lib.exercises.order  # says which section to run first, should a name be missing"
BADGE = "[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]({address})"
SETUP = """\
# Finds the course's library: in the folders around this notebook, installed, or fetched, as on Colab.
# Should this stop, do what the last line says and run it again.
import importlib.util, pathlib, shutil, subprocess, sys
clone = pathlib.Path("lossprune").absolute()
found = [place for place in (*clone.parents, clone) if (place / "lossprune_lib" / "installation.py").exists()]
if not found and importlib.util.find_spec("lossprune_lib") is None:
    part = clone.with_name(".lossprune-part")
    shutil.rmtree(part, ignore_errors=True)
    git = ["git", "clone", "--quiet", "--depth=1", "--branch={ref}", "{repository}", part]
    try:
        subprocess.run(git, check=True)
    except FileNotFoundError:
        raise RuntimeError("git is missing: install it, or unpack {repository}/archive/{ref}.zip here.") from None
    except subprocess.CalledProcessError:
        raise RuntimeError("{repository} cannot be reached: connect to the network first.") from None
    found = [part.rename(clone)]
if found:
    sys.path.insert(0, str(found[0]))
    from lossprune_lib.installation import make_ready
    make_ready()"""
# For front ends that miss a widget's model: in what is built there is no live widget.
LAST_PICTURE = '<style class="lossprune-last-picture '
LIVE_WIDGET = "application/vnd.jupyter.widget-view+json"


def sources() -> list[Path]:
    """Return the sources in their order."""
    return sorted(SOURCES.glob("[0-9]*.py"))


def has_exercises(source: Path) -> bool:
    """Return whether a source has exercises, and so a solved notebook too."""
    return any("stub" in tags_of(cell) for cell in jupytext.read(source, fmt="py:percent").cells)


def tags_of(cell: NotebookNode) -> list[str]:
    """Return a cell's tags."""
    return list(cell.metadata.get("tags", []))


def read(source: Path, solved: bool = False) -> NotebookNode:
    """Return the notebook of a source, not executed."""
    notebook = jupytext.read(source, fmt="py:percent")
    notebook.cells = [cell for cell in notebook.cells if SLIDE not in tags_of(cell)]
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
            "source": {"file": f"source/{source.name}", "sha256": hashlib.sha256(source.read_bytes()).hexdigest()},
        }
    )
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    (_solve if solved else _fold_solutions)(notebook, source.name)
    _add_setup(notebook, f"notebooks/{'solutions/' * solved}{source.stem}.ipynb")
    _load_order(notebook)
    seen: dict[str, int] = {}
    for cell in notebook.cells:
        unknown = set(tags_of(cell)) - TAGS
        if unknown:
            raise ValueError(f"{source.name}: the tags {sorted(unknown)} are not among {sorted(TAGS)}.")
        cell.metadata = nbformat.from_dict(_metadata(cell))
        # From the text alone, so that a cell keeps its id when others come or go.
        text = f"{cell.cell_type}\n{cell.source}"
        seen[text] = seen.get(text, 0) + 1
        cell.id = hashlib.sha256(f"{text}\n{seen[text]}".encode()).hexdigest()[:12]
    return notebook


def _metadata(cell: NotebookNode) -> dict[str, object]:
    """Return what is kept of a cell's metadata, and what front ends make of its tags."""
    kept = {key: cell.metadata[key] for key in KEPT if cell.metadata.get(key)}
    tags = tags_of(cell)
    if any(tag in tags for tag in FOLDED):
        kept["jupyter"] = {"source_hidden": True}
    return kept


def _load_order(notebook: NotebookNode) -> None:
    """Put the line that explains missing names at the head of each section's first code cell."""
    begins = False
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            begins = begins or bool(re.search(r"^## ", cell.source, re.M))
        elif cell.cell_type == "code" and begins:
            cell.source, begins = f"{ORDER}\n{cell.source}", False


def address() -> dict[str, str]:
    """Return the repository's address on the web and the ref that learners get, from pyproject.toml."""
    return tomllib.loads(PROJECT.read_text())["tool"]["lossprune"]


def _add_setup(notebook: NotebookNode, path: str) -> None:
    """Put a badge below the title, and the setup cell behind the introduction."""
    here = address()
    on_colab = here["repository"].replace("https://github.com/", "https://colab.research.google.com/github/")
    badge = BADGE.format(address=f"{on_colab}/blob/{here['ref']}/{path}")
    title, _, rest = notebook.cells[0].source.partition("\n")
    notebook.cells[0].source = f"{title}\n\n{badge}\n{rest}"
    notebook.cells.insert(1, nbformat.v4.new_code_cell(SETUP.format(**here), metadata={"tags": ["setup"]}))


def _fold_solutions(notebook: NotebookNode, name: str) -> None:
    _pairs(notebook, name)
    for i, cell in enumerate(notebook.cells):
        if "solution" in tags_of(cell):
            folded = f"<details><summary>Solution</summary>\n\n```python\n{cell.source}\n```\n\n</details>"
            notebook.cells[i] = nbformat.v4.new_markdown_cell(folded, metadata={"tags": ["solution"]})


def _solve(notebook: NotebookNode, name: str) -> None:
    for stub, solution in _pairs(notebook, name):
        stub.source = solution.source
        stub.metadata.tags = ["solution"]
        notebook.cells.remove(solution)
    title = notebook.cells[0]
    title.source = title.source.replace("\n", ", solved\n", 1)
    for cell in notebook.cells:  # the pages lie one folder above the solved notebooks
        if cell.cell_type == "markdown":
            cell.source = re.sub(r"\]\((?=[A-Z_]+\.md)", "](../", cell.source)


def _pairs(notebook: NotebookNode, name: str) -> list[tuple[NotebookNode, NotebookNode]]:
    """Return each exercise's stub and solution."""
    tagged = [(tag, cell) for cell in notebook.cells for tag in tags_of(cell) if tag in ("stub", "solution")]
    if [tag for tag, _ in tagged] != ["stub", "solution"] * (len(tagged) // 2):
        raise ValueError(f"{name}: each stub must be followed by its solution before the next stub.")
    cells = [cell for _, cell in tagged]
    return list(zip(cells[::2], cells[1::2], strict=True))


def execute(notebook: NotebookNode) -> NotebookNode:
    """Run a notebook from top to bottom and drop from its outputs what differs from run to run."""
    # One thread: sums are then added in the same order on every machine.
    os.environ |= {"OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1", "LOSSPRUNE_PROGRESS": "off"}
    NotebookClient(
        notebook,
        timeout=SECONDS_A_CELL,
        resources={"metadata": {"path": str(HERE)}},
        store_widget_state=False,
        record_timing=False,
    ).execute()
    for cell in notebook.cells:
        _join_streams(cell)
        if "outputs" in cell:
            cell.outputs = [out for out in cell.outputs if LAST_PICTURE not in out.get("data", {}).get("text/html", "")]
        for output in cell.get("outputs", []):
            # Without a kernel the live widget shows nothing; the picture beside it does.
            data = output.get("data", {})
            is_widget = data.pop(LIVE_WIDGET, None) is not None
            alt = data.get("text/plain") if is_widget else cell.metadata.get("alt")
            if "image/png" in data:
                data["image/png"] = smaller(data["image/png"])
                data.pop("text/html", None)  # the same picture again, for front ends that show no words for a PNG
            if "image/png" in data and alt:
                output.metadata["image/png"] = {**output.metadata.get("image/png", {}), "alt": alt}
    notebook.metadata["language_info"] = {"name": "python"}
    return notebook


def _join_streams(cell: NotebookNode) -> None:
    """Join printed output: the kernel splits it at places that vary from run to run."""
    outputs: list[NotebookNode] = []
    for output in cell.get("outputs", []):
        if outputs and output.output_type == "stream" and outputs[-1].get("name") == output.name:
            outputs[-1].text += output.text
        else:
            outputs.append(output)
    if "outputs" in cell:
        cell.outputs = outputs


def smaller(png: str) -> str:
    """Return a figure with a palette of 256 colours: the eye sees no difference, and the file is a third as large."""
    picture = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
    buffer = io.BytesIO()
    picture.quantize(256, dither=Image.Dither.NONE).save(buffer, "png", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()


def build(source: Path, solved: bool = False) -> Path:
    """Build one notebook; return its path."""
    target = (SOLUTIONS if solved else HERE) / f"{source.stem}.ipynb"
    target.parent.mkdir(exist_ok=True)
    temporary = target.with_suffix(".tmp")
    nbformat.write(execute(read(source, solved)), temporary)
    temporary.replace(target)
    return target


def move(repository: str, ref: str) -> None:
    """Write another address into pyproject.toml and into all notebooks, whose outputs stay."""
    if not re.fullmatch(r"https://github\.com/[\w.-]+/[\w.-]+", repository) or not re.fullmatch(r"[\w./-]+", ref):
        sys.exit("Give the address as https://github.com/NAME/REPOSITORY, and a branch or tag as REF.")
    old = address()
    text = re.sub(r'^repository = ".*"$', f'repository = "{repository}"', PROJECT.read_text(), flags=re.M)
    PROJECT.write_text(re.sub(r'^ref = ".*"$', f'ref = "{ref}"', text, flags=re.M))
    for page in PAGES:
        page.write_text(_moved(page.read_text("utf-8"), old, {"repository": repository, "ref": ref}), "utf-8")
    for source in sources():
        for solved, folder in ((False, HERE), (True, SOLUTIONS)):
            path = folder / f"{source.stem}.ipynb"
            if not path.exists():
                continue
            fresh, built = read(source, solved), nbformat.read(path, 4)
            for cell, old in zip(fresh.cells, built.cells, strict=True):
                if cell.cell_type == "code":
                    cell.outputs, cell.execution_count = old.outputs, old.execution_count
            nbformat.write(fresh, path)


def _moved(text: str, old: dict[str, str], new: dict[str, str]) -> str:
    """Point a page's badges and links to another address."""
    names = [place["repository"].removeprefix("https://github.com/") for place in (old, new)]
    for place in ("{}/blob/{}/", "/gh/{}/{}?"):
        text = text.replace(place.format(names[0], old["ref"]), place.format(names[1], new["ref"]))
    return text.replace(f"{old['repository']}/", f"{new['repository']}/")


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(
        description="Build the notebooks from their sources, or move them to another address."
    )
    parser.add_argument("names", nargs="*", help="sources to build, without their ending; all by default")
    parser.add_argument("--repository", help="write this address into badges and setup cells instead of building")
    parser.add_argument("--ref", help="the branch or tag that learners get")
    given = parser.parse_args(arguments)
    if given.repository or given.ref:
        here = address()
        move(given.repository or here["repository"], given.ref or here["ref"])
        return
    chosen = [source for source in sources() if not given.names or source.stem in given.names]
    if not chosen:
        sys.exit(f"There is no source called {given.names}: choose from {[source.stem for source in sources()]}.")
    for source in chosen:
        print(build(source))
        if has_exercises(source):
            print(build(source, solved=True))


if __name__ == "__main__":
    main(sys.argv[1:])
