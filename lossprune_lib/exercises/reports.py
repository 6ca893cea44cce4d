"""What is done, for the learner as a table and for a teacher as a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lossprune_lib import files
from lossprune_lib.exercises import course, records
from lossprune_lib.version import __version__

if TYPE_CHECKING:
    import pandas as pd

FORMAT, VERSION = "lossprune report", 1  # of the file; the version changes when older readers would misread it
_RECORDED = {"exercise": "exercises", "guess": "guesses"}
_OF_CHECK: dict[str, Any] = {"passed": None, "attempts": 0, "mistake": None, "mistakes": {}, "when": None}
_OF_GUESS = {"guess": None, "right": None, "when": None}


def progress() -> pd.DataFrame:
    """Return what is done in all notebooks: one row each.

    Columns: exercises passed, those that are still open by number, attempts, the mistakes that were named, guesses.
    """
    import pandas as pd

    found = records.read()
    rows: dict[str, dict[str, Any]] = {}
    for notebook, asked in _by_notebook(found).items():
        tried = {ask: found["exercises"].get(ask.name, {}) for ask in asked if ask.kind == "exercise"}
        guesses = [found["guesses"].get(ask.name, {}) for ask in asked if ask.kind == "guess"]
        left = [ask.number or ask.name for ask, entry in tried.items() if not entry.get("passed")]
        named = [
            f"{ask.number or ask.name} {', '.join(entry['mistakes'])}"
            for ask, entry in tried.items()
            if entry.get("mistakes")
        ]
        rows[notebook] = {
            "exercises": f"{len(tried) - len(left)} of {len(tried)}",
            "still open": ", ".join(left),
            "attempts": sum(entry.get("attempts", 0) for entry in tried.values()),
            "mistakes named": "; ".join(named),
            "guesses": f"{sum('guess' in entry for entry in guesses)} of {len(guesses)}",
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def report(name: str, path: str | Path | None = None) -> Path | None:
    """Write what is done into a file for a teacher; say where it is, and return its path, None if it cannot be written.

    The file is JSON: its format and version, the learner's name, the time, the course's version, and a list each of
    "exercises" and "guesses", with notebook, number and name. Of an exercise it holds "passed" (null if it was not
    attempted), "attempts", the "mistake" of the last one (null if it was right), how often each of the "mistakes" was
    made, and "when" the last attempt was made; of a guess "guess", "right" and "when", null until it is made. Nothing
    else of the learner's is in it, and it is sent nowhere.

    Parameters
    ----------
    name : the learner's, as the teacher knows it
    path : of the file; by default report.json, beside the notebooks

    Raises
    ------
    ValueError
        if the name is empty.
    """
    if not isinstance(name, str) or not name.strip():
        raise ValueError('Give your name, so that your teacher knows whose report it is: report("Ada Lovelace").')
    target = Path(path) if path is not None else records.FOLDER / "report.json"
    found = records.read()
    text = json.dumps(
        {
            "format": FORMAT,
            "version": VERSION,
            "name": name.strip(),
            "written": records.now(),
            "lossprune": __version__,
            "exercises": _entries(found, "exercise", _OF_CHECK),
            "guesses": _entries(found, "guess", _OF_GUESS),
        },
        indent=1,
        ensure_ascii=False,
    )
    try:
        files.replace(target, lambda temporary: temporary.write_text(text, encoding="utf-8"))
    except OSError as error:
        print(f'{error} Name another place: exercises.report("{name}", "/tmp/report.json").')
        return None
    print(f"Your report is in {target}: hand in this file.")
    return target


def _entries(found: dict[str, dict[str, Any]], kind: str, empty: dict[str, Any]) -> list[dict[str, Any]]:
    kept = found[_RECORDED[kind]]
    return [
        {"notebook": ask.notebook, "number": ask.number, "name": ask.name, **empty, **kept.get(ask.name, {})}
        for asked in _by_notebook(found).values()
        for ask in asked
        if ask.kind == kind
    ]


def _by_notebook(found: dict[str, dict[str, Any]]) -> dict[str, list[course.Asked]]:
    """Return what each notebook asks; what is recorded and stands in none comes last, as after a renewed course."""
    asked = course.asked()
    known = {(ask.kind, ask.name) for ask in asked}
    recorded = [(kind, name) for kind, recorded_as in _RECORDED.items() for name in found[recorded_as]]
    asked += [course.Asked("elsewhere", *pair) for pair in recorded if pair not in known]
    return {
        notebook: [ask for ask in asked if ask.notebook == notebook]
        for notebook in dict.fromkeys(ask.notebook for ask in asked)
    }
