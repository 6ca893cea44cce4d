"""What a learner has done, in a small file beside her notebooks: progress.json, read by `progress` and `report`.

The variable LOSSPRUNE_PROGRESS names another file, or is "off". Outside notebooks nothing is recorded unless it names
a file. What cannot be written is said once, and never stops a notebook.
"""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lossprune_lib import files
from lossprune_lib.exercises import course

FOLDER = Path.cwd()  # where the kernel was started, whatever directory the learner changes to
NAME = "progress.json"
_said: set[str] = set()


def path() -> Path | None:
    """Return the file in which things are recorded, None if nothing is recorded here."""
    named = os.environ.get("LOSSPRUNE_PROGRESS")
    if named:
        return None if named == "off" else Path(named)
    return None if course.shell() is None else FOLDER / NAME


def read() -> dict[str, dict[str, Any]]:
    """Return what is recorded: {"exercises": {name: ...}, "guesses": {name: ...}}."""
    empty: dict[str, dict[str, Any]] = {"exercises": {}, "guesses": {}}
    place = path()
    if place is None or not place.is_file():
        return empty
    try:
        found = json.loads(place.read_text(encoding="utf-8"))
        return {kind: {str(name): dict(entry) for name, entry in found[kind].items()} for kind in empty}
    except OSError as error:
        _say(f"Your progress cannot be read ({error}).")
    except (ValueError, KeyError, TypeError, AttributeError):
        _say(f"{place} is damaged, so your progress begins anew; the old file is kept as {place.name}.damaged.")
        _attempt(lambda: place.replace(place.with_name(f"{place.name}.damaged")))
    return empty


def now() -> str:
    """Return the time, in UTC and to the second, as ISO 8601 writes it."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def note_check(name: str, passed: bool, mistake: str | None) -> None:
    """Record an attempt at an exercise; after the first right answer no more attempts are counted."""

    def change(entry: dict[str, Any]) -> None:
        if entry.get("passed"):
            return
        entry["passed"], entry["attempts"] = passed, entry.get("attempts", 0) + 1
        entry["mistake"], entry["when"] = mistake, now()
        mistakes = entry.setdefault("mistakes", {})
        if mistake is not None:
            mistakes[mistake] = mistakes.get(mistake, 0) + 1

    _note("exercises", name, change)


def note_guess(name: str, guess: object, right: bool | None) -> None:
    """Record a guess, of which the first counts, and whether it was right as soon as that is known."""

    def change(entry: dict[str, Any]) -> None:
        entry.setdefault("when", now())
        if entry.setdefault("guess", guess) == guess and entry.get("right") is None:
            entry["right"] = right

    _note("guesses", name, change)


def _note(kind: str, name: str, change: Callable[[dict[str, Any]], None]) -> None:
    place = path()
    if place is None:
        return
    # Read afresh each time: another notebook may have written meanwhile.
    found = read()
    before = json.dumps(found)
    change(found[kind].setdefault(name, {}))
    if json.dumps(found) != before:
        text = json.dumps({"version": 1, **found}, indent=1, ensure_ascii=False)
        _attempt(lambda: files.replace(place, lambda temporary: temporary.write_text(text, encoding="utf-8")))


def _attempt(act: Callable[[], object]) -> None:
    try:
        act()
    except OSError as error:
        _say(f"Your progress is not recorded: {error}")


def _say(sentence: str) -> None:
    if sentence not in _said:
        _said.add(sentence)
        print(sentence)
