"""The course as it stands in the notebooks' folder: their cells, sections, exercises and guesses."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
_TITLE = re.compile(r"^#{2,3} (?:Exercise|Bonus) (\d+\.\d+)\b:? *(.*)$", re.M)
_SECTION = re.compile(r"^## (.*)$", re.M)
# In double quotes, as the formatter of the sources writes them: a name may hold an apostrophe.
_ASKED = re.compile(r"^(?:\w+ = |display\()?exercises\.(check|guess)\(\s*\"([^\"]+)\"", re.M)
_KINDS = {"check": "exercise", "guess": "guess"}


@dataclass(frozen=True)
class Cell:
    """A code cell, the title of the section in which it stands, and the alternative text of its figure."""

    id: str
    source: str
    section: str
    alt: str = ""


@dataclass(frozen=True)
class Asked:
    """An exercise or a guess of a notebook.

    Attributes
    ----------
    kind : "exercise" or "guess"
    number : of an exercise, such as "1.2"; empty for a guess
    """

    notebook: str
    kind: str
    name: str
    number: str = ""


def shell() -> Any:
    """Return the IPython shell that runs the course, or None outside IPython, which is not imported to find out."""
    ipython = sys.modules.get("IPython")
    return None if ipython is None else ipython.get_ipython()


def notebooks() -> list[Path]:
    """Return the notebooks of the course; none where only the library is installed."""
    return sorted(NOTEBOOKS.glob("[0-9]*.ipynb"))


def cells(path: Path) -> list[Cell]:
    """Return the code cells of a notebook."""
    found, section = [], ""
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "code":
            found.append(Cell(cell.get("id", ""), source, section, cell["metadata"].get("alt", "")))
        else:
            section = ([section, *_SECTION.findall(source)])[-1]
    return found


def asked() -> list[Asked]:
    """Return what the notebooks ask, in their order."""
    found = []
    for path in notebooks():
        number = ""
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            source = "".join(cell["source"])
            if cell["cell_type"] == "markdown":
                number = ([number, *(title[0] for title in _TITLE.findall(source))])[-1]
                continue
            for kind, name in asked_in(source):
                found.append(Asked(path.stem, kind, name, number if kind == "exercise" else ""))
    return found


def asked_in(source: str) -> list[tuple[str, str]]:
    """Return the kind ("exercise" or "guess") and the name of what a cell asks."""
    return [(_KINDS[call], name) for call, name in _ASKED.findall(source)]
