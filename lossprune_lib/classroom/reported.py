"""A file that `exercises.report` wrote."""

from __future__ import annotations

from typing import Any

from lossprune_lib.classroom.entries import Entry, Submission, Unreadable, guessed, text, truth
from lossprune_lib.exercises.reports import FORMAT, VERSION

MOST_TRIES = 10**9  # far more than anybody makes
_HOW = 'ask for the file that exercises.report("name") writes'


def read(file: str, found: Any) -> Submission:
    """Return what a report holds.

    Parameters
    ----------
    found : what JSON made of the file

    Raises
    ------
    Unreadable
        if it is not a report, or one of a later version.
    """
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        if isinstance(found, dict) and {"exercises", "guesses"} <= found.keys() and "name" not in found:
            raise Unreadable(f"is a progress.json, which names nobody: {_HOW}")
        raise Unreadable(f"is not a report: {_HOW}")
    if found.get("version") != VERSION:
        raise Unreadable(f"is of version {found.get('version')!r} of the format, and this course reads {VERSION}")
    who = text(found.get("name"), "the name")
    if not who:
        raise Unreadable(f"has no name in it: {_HOW}")
    exercises = [_exercise(entry) for entry in _entries(found, "exercises")]
    guesses = [_guess(entry) for entry in _entries(found, "guesses")]
    return Submission(
        file,
        who,
        (*exercises, *guesses),
        text(found.get("written"), "the time"),
        text(found.get("lossprune"), "the course's version"),
    )


def _entries(found: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    entries = found.get(kind)
    if not isinstance(entries, list) or not all(isinstance(entry, dict) and entry.get("name") for entry in entries):
        raise Unreadable(f'is damaged: "{kind}" is not a list of {kind} with their names')
    return entries


def _exercise(entry: dict[str, Any]) -> Entry:
    tries, mistakes = entry.get("attempts", 0), entry.get("mistakes", {})
    if not isinstance(tries, int) or not 0 <= tries < MOST_TRIES or not isinstance(mistakes, dict):
        raise Unreadable("is damaged: attempts are not a number, or mistakes are not counted by name")
    return Entry(
        "exercise",
        text(entry["name"], "the name of an exercise"),
        truth(entry.get("passed"), '"passed"'),
        text(entry.get("mistake"), "a mistake"),
        tuple(text(mistake, "a mistake") for mistake in mistakes),
        tries,
        when=text(entry.get("when"), "a time"),
    )


def _guess(entry: dict[str, Any]) -> Entry:
    return Entry(
        "guess",
        text(entry["name"], "the name of a guess"),
        truth(entry.get("right"), '"right"'),
        guess=guessed(entry.get("guess")),
        when=text(entry.get("when"), "a time"),
    )
