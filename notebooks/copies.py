"""Copies to work on: python notebooks/copies.py [--renew] [--without-solutions] FOLDER

Makes a copy without outputs of every notebook that has none in FOLDER, and names the copies that are older than the
course. With --renew these are made anew: what the learner wrote comes along, and the old copy is kept beside it. With
--without-solutions the folded solutions are left out, for a class.

The build derives a cell's id from its text. So a cell whose id is not that of its text is one that the learner changed.
"""

from __future__ import annotations

import argparse
import ast
import copy
import datetime
import hashlib
import os
import re
import shutil
from pathlib import Path

import nbformat
from nbformat import NotebookNode

HERE = Path(__file__).parent
BUILT_ID = re.compile(r"[0-9a-f]{12}")
PAGES = ("GLOSSARY.md", "RECIPES.md")  # which the notebooks link to
MOST_ALIKE = 20  # cells of a notebook with one and the same text: far more than there are


def course() -> list[Path]:
    """Return the built notebooks."""
    return sorted(HERE.glob("[0-9]*.ipynb"))


def fresh(path: Path, solutions: bool = True) -> NotebookNode:
    """Return a notebook without its outputs, and if so asked without its solutions."""
    notebook = nbformat.read(path, 4)
    notebook.cells = [cell for cell in notebook.cells if solutions or not _is_solution(cell)]
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return notebook


def is_older(path: Path, solutions: bool = True) -> bool:
    """Return whether a copy is of another version of the course, or has solutions where there shall be none."""
    notebook = nbformat.read(path, 4)
    unwanted = not solutions and any(map(_is_solution, notebook.cells))
    return unwanted or _version(notebook) != _version(nbformat.read(HERE / path.name, 4))


def _version(notebook: NotebookNode) -> object:
    return notebook.metadata.get("source", {}).get("sha256")


def is_changed(cell: NotebookNode) -> bool:
    """Return whether a learner wrote in a cell of the course."""
    text = f"{cell.cell_type}\n{cell.source}"
    ids = (hashlib.sha256(f"{text}\n{k}".encode()).hexdigest()[:12] for k in range(1, MOST_ALIKE))
    return bool(BUILT_ID.fullmatch(cell.id)) and cell.id not in ids


def renewed(old: NotebookNode, new: NotebookNode) -> tuple[NotebookNode, int, int]:
    """Return a new notebook with what a learner wrote in an old one; how many cells came along, and how many did not.

    Changed cells take the place of the same cell, answers that of the stub that defines the same name, and cells of her
    own follow the one that they followed.
    """
    result = copy.deepcopy(new)
    by_id = {cell.id: cell for cell in result.cells}
    stubs = {name: cell for cell in result.cells if _is_stub(cell) for name in _defined(cell)}
    place, came, lost = 0, 0, 0
    for cell in old.cells:
        same = by_id.get(cell.id)
        if same is None and is_changed(cell) and _is_stub(cell):
            same = next((stubs[name] for name in _defined(cell) if name in stubs), None)
        if same is not None:
            place = next(i for i, c in enumerate(result.cells) if c is same) + 1
            if is_changed(cell):
                same.source, came = cell.source, came + 1
        elif is_changed(cell):
            lost += 1
        elif not BUILT_ID.fullmatch(cell.id) and cell.source.strip():
            own = copy.deepcopy(cell)
            if own.cell_type == "code":
                own.outputs, own.execution_count = [], None
            result.cells.insert(place, own)
            place, came = place + 1, came + 1
    return result, came, lost


def _is_stub(cell: NotebookNode) -> bool:
    return "stub" in cell.metadata.get("tags", [])


def _is_solution(cell: NotebookNode) -> bool:
    return "solution" in cell.metadata.get("tags", [])


def _defined(cell: NotebookNode) -> list[str]:
    """Return the functions and names that a cell defines at its top level."""
    try:
        body = ast.parse(cell.source).body
    except SyntaxError:  # an answer that is not finished
        return re.findall(r"^(?:def )?(\w+)\s*[(=]", cell.source, re.M)
    functions = [node.name for node in body if isinstance(node, ast.FunctionDef)]
    names = [
        target.id
        for node in body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    ]
    return functions + names


def write(notebook: NotebookNode, path: Path) -> None:
    """Write a notebook, completely or not at all."""
    temporary = path.with_name(f".{path.name}.new")
    nbformat.write(notebook, temporary)
    os.replace(temporary, path)


def renew(path: Path, solutions: bool = True) -> str:
    """Renew a copy and keep the old one beside it; return what became of it, in a sentence."""
    kept = _free(path.with_name(f"{path.stem}-before-{datetime.date.today()}.ipynb"))
    notebook, came, lost = renewed(nbformat.read(path, 4), fresh(HERE / path.name, solutions))
    shutil.copy2(path, kept)
    write(notebook, path)
    sentence = f"{path.name} is renewed, with {came} of your cells; the old one is {kept.name}."
    return sentence + (f" {lost} of your cells did not fit any more: look for them there." if lost else "")


def _free(path: Path) -> Path:
    """Return a path at which there is nothing yet."""
    number, found = 1, path
    while found.exists():
        number += 1
        found = path.with_stem(f"{path.stem}-{number}")
    return found


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Make copies of the notebooks to work on, without outputs.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--renew", action="store_true", help="bring older copies up to date; answers come along")
    parser.add_argument("--without-solutions", dest="solutions", action="store_false", help="leave the solutions out")
    given = parser.parse_args(arguments)
    given.folder.mkdir(parents=True, exist_ok=True)
    for page in PAGES:
        shutil.copy2(HERE / page, given.folder / page)
    older = []
    for source in course():
        path = given.folder / source.name
        if not path.exists():
            write(fresh(source, given.solutions), path)
            continue
        try:
            if is_older(path, given.solutions):
                older.append(path)
        except Exception as error:  # whatever a learner's editor has left there
            print(f"{path} cannot be read ({error}): move it away, and the next start makes a new copy.")
    if given.renew:
        print("\n".join(renew(path, given.solutions) for path in older) or "All copies are up to date.")
    elif older:
        print(f"Older than the course: {', '.join(path.name for path in older)}.")
        print("To renew them: make renew. Your answers come along, and the old copies are kept beside the new ones.")


if __name__ == "__main__":
    main()
