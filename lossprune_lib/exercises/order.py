"""Cells run out of order: below Python's NameError, a sentence says which section makes the name that is missing.

The build puts the line that loads this module at the head of every section, so that it also helps after a restart.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from lossprune_lib.exercises import course


def watch() -> None:
    """In IPython, explain names that are not defined, unless the notebooks are not here or someone explains already."""
    shell = course.shell()
    if shell is not None and not shell.custom_exceptions and course.notebooks():
        shell.set_custom_exc((NameError,), _explain)


def advice(name: str, executed: Sequence[str], cell: str = "") -> str:
    """Return what to do about a name that is not defined.

    Parameters
    ----------
    executed : the sources of the cells that were run, which tell the notebook
    cell : the id of the cell that is running, which tells it too, if the front end sends one
    """
    maker = _maker(name, executed, cell)
    if maker is None and name.lower() in _OPTIONS:
        return f'If {name!r} is your answer, put it in quotes: "{name}".'
    if maker is None:
        return f"{name!r} is made in no cell of this notebook: check its spelling."
    lines = (line for line in maker.source.splitlines() if line.strip() and not line.lstrip().startswith(("#", _LINE)))
    place = f"section {maker.section}" if maker.section[:1].isdigit() else f'"{maker.section}"'
    place = f"in {place}" if maker.section else "before the first section"
    return (
        f"{name!r} is made {place}, by the cell that starts with:  {next(lines)}\n"
        "Run that section and then this cell again, or choose Run > Run All Above Selected Cell."
    )


_OPTIONS = ("a", "b", "c", "d")  # of the exercises with a choice
_LINE = "import lossprune_lib.exercises.order"  # stands at the head of a section and says nothing about it


def _maker(name: str, executed: Sequence[str], cell: str) -> course.Cell | None:
    """Return the cell that makes a name, in the shipped notebook that these cells come from."""
    notebooks = [course.cells(path) for path in course.notebooks()]
    if not notebooks:
        return None
    ran = {source.strip() for source in executed}

    def resemblance(cells: list[course.Cell]) -> tuple[bool, int]:
        # A learner's cell keeps its id, whatever she writes in it.
        return bool(cell) and any(c.id == cell for c in cells), sum(c.source.strip() in ran for c in cells)

    return next((c for c in max(notebooks, key=resemblance) if name in _names(c.source)), None)


_SCOPES = (ast.FunctionDef, ast.ClassDef, ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def _names(source: str) -> set[str]:
    """Return the names that a cell makes, without those that live inside a function or a comprehension only."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return set()
    made: set[str] = set()
    nodes: list[ast.AST] = [tree]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            made.add(node.id)
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            made.add(node.name)
        elif isinstance(node, ast.alias):
            made.add((node.asname or node.name).split(".")[0])
        if not isinstance(node, _SCOPES):
            nodes += ast.iter_child_nodes(node)
    return made


def _explain(
    shell: Any, kind: type[NameError], error: NameError, trace: TracebackType, tb_offset: int | None = None
) -> None:
    shell.showtraceback((kind, error, trace), tb_offset=tb_offset)
    if error.name:
        parent = shell.get_parent() if hasattr(shell, "get_parent") else {}
        cell = parent.get("metadata", {}).get("cellId", "")
        print(advice(error.name, shell.user_ns.get("In", []), cell), file=sys.stderr)
