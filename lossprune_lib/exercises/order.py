"""Cells run out of order: below Python's NameError, a sentence says which cell makes the name that is missing."""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


def watch() -> None:
    """In IPython, explain names that are not defined, unless the notebooks are not here or someone explains already."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is not None and not shell.custom_exceptions and NOTEBOOKS.is_dir():
        shell.set_custom_exc((NameError,), _explain)


def advice(name: str, executed: Sequence[str]) -> str:
    """Return what to do about a name that is not defined.

    Parameters
    ----------
    executed : the sources of the cells that were run, which tell the notebook
    """
    first = _maker(name, executed)
    if first is None:
        return f"{name!r} is made in no cell of this notebook: look at its spelling."
    return (
        f"{name!r} is made in a cell further up, which was not run yet. It starts with:  {first}\n"
        "Run that cell and this one again, or choose Run > Run All Above Selected Cell."
    )


def _maker(name: str, executed: Sequence[str]) -> str | None:
    """Return the first line of the cell that makes a name, in the shipped notebook that these cells come from."""
    notebooks = [_cells(path) for path in sorted(NOTEBOOKS.glob("*.ipynb"))]
    if not notebooks:
        return None
    ran = {source.strip() for source in executed}
    notebook = max(notebooks, key=lambda cells: sum(cell.strip() in ran for cell in cells))
    makers = [cell for cell in notebook if name in _names(cell)]
    if not makers:
        return None
    lines = (line for line in makers[0].splitlines() if line.strip() and not line.lstrip().startswith("#"))
    return next(lines)


def _cells(path: Path) -> list[str]:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def _names(source: str) -> set[str]:
    """Return the names that a cell makes."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return set()
    made: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            made.add(node.id)
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            made.add(node.name)
        elif isinstance(node, ast.alias):
            made.add((node.asname or node.name).split(".")[0])
    return made


def _explain(
    shell: Any, kind: type[NameError], error: NameError, trace: TracebackType, tb_offset: int | None = None
) -> None:
    shell.showtraceback((kind, error, trace), tb_offset=tb_offset)
    if error.name:
        print(advice(error.name, shell.user_ns.get("In", [])), file=sys.stderr)
