"""Notebooks and library use a GPU if there is one, unchanged; here a pretended one, which knows its own tensors."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
BEFORE = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
import pretended_gpu
pretended_gpu.install()
"""
AFTER = """
from lossprune_lib.widgets import Sliders

assert task.device.type == "cuda" and next(net.parameters()).is_cuda
for sliders in [thing for thing in globals().values() if isinstance(thing, Sliders)]:
    for control in sliders.controls.values():
        if hasattr(control, "index"):
            control.index += -1 if control.index else 1
        else:  # a line of text
            control.value = "if "
        assert not sliders.message.value, sliders.message.value
"""


def execute(path: Path) -> list[str]:
    """Run a notebook with all its solutions on the pretended GPU, and return its errors."""
    notebook = nbformat.read(path, as_version=4)
    notebook.cells = [nbformat.v4.new_code_cell(BEFORE), *notebook.cells, nbformat.v4.new_code_cell(AFTER)]
    NotebookClient(notebook, timeout=300, allow_errors=True).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return [f"{o.ename}: {o.evalue}" for o in outputs if o.output_type == "error"]


@pytest.mark.slow
def test_notebooks_use_a_gpu_without_a_change(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    solved = {path.name: path for folder in (NOTEBOOKS, NOTEBOOKS / "solutions") for path in folder.glob("*.ipynb")}
    assert len(solved) == len(list(NOTEBOOKS.glob("*.ipynb")))
    with ThreadPoolExecutor(2) as pool:
        found = dict(zip(solved, pool.map(execute, solved.values()), strict=True))
    assert not any(found.values()), found
