"""What a class needs of a hub: peak memory and CPU seconds of each notebook's kernel, run through on one thread.

    python tests/benchmarks/kernels.py [NAME ...]

prints the table of notebooks/teaching/hub.md. Linux only: memory is VmHWM of /proc, the most that a process ever held.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
ONE_THREAD = {"OMP_NUM_THREADS": "1", "LOSSPRUNE_PROGRESS": "off", "TQDM_DISABLE": "1"}
ASK = """
import os, re
spent = os.times()
print(re.search(r"VmHWM:\\s*(\\d+) kB", open("/proc/self/status").read())[1], spent.user + spent.system)
"""


def measure(path: Path) -> tuple[float, float]:
    """Return a kernel's peak memory in MB and its CPU seconds, after all cells of a notebook."""
    notebook = nbformat.read(path, 4)
    notebook.cells.append(nbformat.v4.new_code_cell(ASK))
    client = NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(path.parent)}})
    client.execute()
    kilobytes, seconds = notebook.cells[-1].outputs[-1].text.split()
    return int(kilobytes) / 1000, float(seconds)


def main(names: list[str]) -> None:
    os.environ |= ONE_THREAD
    print("| notebook | peak memory, MB | CPU seconds |\n|---|---|---|")
    for path in sorted(NOTEBOOKS.glob("[0-9]*.ipynb")):
        if not names or path.stem in names:
            memory, seconds = measure(path)
            print(f"| {path.stem} | {memory:.0f} | {seconds:.0f} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
