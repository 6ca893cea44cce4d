"""A notebook that somebody handed in: the outputs of its checks as they were stored, and the guesses in its widgets.

Nothing in it is run. `executed` does run one, with all that may mean, and is called only if the teacher asks for it.
"""

from __future__ import annotations

import html
import json
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lossprune_lib.classroom.entries import Entry, Submission, Unreadable, guessed, text, truth
from lossprune_lib.exercises import course
from lossprune_lib.exercises.verdict import MIME
from lossprune_lib.installation import PACKAGE, extra

SECONDS_A_CELL = 120
_WIDGETS = "application/vnd.jupyter.widget-state+json"
# What is stored in words where a front end keeps no other form, and what a strict check raises.
_SAID = re.compile(r"(Right|Not yet|Not attempted): .*?(?: \[([\w-]+)\])?", re.S)
_PASSED = {"Right": True, "Not yet": False, "Not attempted": None}
_GUESS = re.compile(r'data-guess="([^"]*)"')


def read(file: str, who: str, found: Any) -> Submission:
    """Return what a notebook holds.

    Parameters
    ----------
    found : what JSON made of the file

    Raises
    ------
    Unreadable
        if it is not a notebook, or asks nothing.
    """
    if not isinstance(found, dict) or found.get("nbformat") != 4 or not isinstance(found.get("cells"), list):
        raise Unreadable("is not a notebook of format 4: open it in Jupyter and save it again")
    entries: dict[tuple[str, str], Entry] = {}
    for cell in found["cells"]:
        if isinstance(cell, dict) and cell.get("cell_type") == "code":
            for entry in _of_cell(cell):
                before = entries.get((entry.kind, entry.name))
                # An exercise may be checked in several cells: a right answer counts, else the last attempt.
                if before is None or (not before.right and entry.right is not None):
                    entries[entry.kind, entry.name] = entry
    if not entries:
        raise Unreadable("asks nothing: it is not a notebook of the course")
    for entry in _guesses(found):
        entries["guess", entry.name] = entry
    return Submission(file, who, tuple(entries.values()))


def _of_cell(cell: dict[str, Any]) -> Iterator[Entry]:
    asked = course.asked_in(_joined(cell.get("source")))
    for kind, name in asked:
        yield Entry(kind, text(name, "a name"))
    checks = [name for kind, name in asked if kind == "exercise"]
    outputs = cell.get("outputs")
    for output in outputs if isinstance(outputs, list) else ():
        if isinstance(output, dict):
            yield from _of_output(output, checks)


def _of_output(output: dict[str, Any], checks: list[str]) -> Iterator[Entry]:
    data = output.get("data")
    data = data if isinstance(data, dict) else {}
    verdict = data.get(MIME)
    if isinstance(verdict, dict):
        mistake = text(verdict.get("mistake"), "a mistake")
        name = text(verdict.get("exercise"), "the name of an exercise")
        yield Entry("exercise", name, truth(verdict.get("passed"), '"passed"'), mistake, (mistake,) if mistake else ())
        return
    said = _SAID.fullmatch(_joined(data.get("text/plain", output.get("evalue"))))
    if said and len(checks) == 1:
        mistake = said[2] or ""
        yield Entry("exercise", checks[0], _PASSED[said[1]], mistake, (mistake,) if mistake else ())


def _guesses(found: dict[str, Any]) -> Iterator[Entry]:
    """Give the guesses that the stored state of the widgets shows; there is none if the front end stored no state."""
    try:
        widgets = list(found["metadata"]["widgets"][_WIDGETS]["state"].values())
        shown = [widget["state"].get("value") for widget in widgets]
    except (KeyError, TypeError, AttributeError):
        return
    for value in shown:
        for made in _GUESS.findall(value) if isinstance(value, str) else ():
            try:
                name, guess, right = json.loads(html.unescape(made))
            except (ValueError, TypeError) as error:
                raise Unreadable("is damaged: a guess in it cannot be read") from error
            yield Entry("guess", text(name, "a name"), truth(right, '"right"'), guess=guessed(guess))


def _joined(source: Any) -> str:
    """Return a text that notebooks store as one or as a list of lines."""
    lines = source if isinstance(source, list) else [source]
    return "".join(line for line in lines if isinstance(line, str))


def author(path: Path) -> str:
    """Return whose notebook lies at a path in the class's folder: its first folder, else its name without the course's.

    Raises
    ------
    Unreadable
        if neither says it.
    """
    if len(path.parts) > 1:
        return re.sub(r"_\d+_assignsubmission_file_?$", "", text(path.parts[0], "a folder"))  # as Moodle packs them
    rest = re.sub(r"( ?\(\d+\)|-Copy\d+)+$", "", path.stem)  # as browsers and Jupyter mark copies
    for notebook in course.notebooks():
        rest = rest.replace(notebook.stem, "")
    who = text(rest, "a file's name").strip(" _-.")
    if not who:
        raise Unreadable(f'does not say whose it is: put it into a folder of that name, or call it "name_{path.name}"')
    return who


def executed(path: Path) -> Any:
    """Return a notebook after all of its cells were run, in an empty folder, with this library.

    Raises
    ------
    Unreadable
        if it cannot be run to its end.
    """
    with extra("course"):
        import nbformat
        from nbclient import NotebookClient

    library = os.pathsep.join(filter(None, [str(PACKAGE.parent), os.environ.get("PYTHONPATH")]))
    try:
        notebook = nbformat.read(path, 4)
        with tempfile.TemporaryDirectory() as folder:
            NotebookClient(
                notebook,
                timeout=SECONDS_A_CELL,
                allow_errors=True,
                kernel_name="python3",
                resources={"metadata": {"path": folder}},
            ).execute(env={**os.environ, "PYTHONPATH": library, "LOSSPRUNE_PROGRESS": "off"})
    except Exception as error:  # whatever stands in the file, or its code does to its kernel
        line = next(iter(str(error).splitlines()), "")
        raise Unreadable(f"cannot be run to its end ({type(error).__name__}: {line})") from error
    return notebook
