"""One line of what somebody handed in: an exercise or a guess, checked as what comes from others must be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

LARGEST = 1e300  # of a number that is taken over
MOST_LETTERS = 200  # of a text that is taken over from a file


class Unreadable(ValueError):
    """A file is not what it should be; the message goes on from its name: "is ..."."""


@dataclass(frozen=True)
class Entry:
    """What is known of one exercise or guess.

    Attributes
    ----------
    kind : "exercise" or "guess"
    right : None if there was no attempt, or if nobody knows
    mistake : of the last attempt
    mistakes : all that were made, also on the way to a right answer
    tries : None where only the last attempt is known, as in a notebook
    when : of the last attempt, as ISO 8601 writes it
    """

    kind: str
    name: str
    right: bool | None = None
    mistake: str = ""
    mistakes: tuple[str, ...] = ()
    tries: int | None = None
    guess: str | float | None = None
    when: str = ""


@dataclass(frozen=True)
class Submission:
    """What one file holds.

    Attributes
    ----------
    who : the learner's name
    written : when, as ISO 8601 writes it; empty for a notebook
    version : of the course; empty for a notebook
    unknown : what it names and the course does not ask
    """

    file: str
    who: str
    entries: tuple[Entry, ...]
    written: str = ""
    version: str = ""
    unknown: tuple[str, ...] = ()


def text(value: Any, what: str) -> str:
    """Return a text on one line, fit to be printed; raise Unreadable if it is none."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Unreadable(f"is damaged: {what} is not a text")
    return " ".join("".join(letter if letter.isprintable() else " " for letter in value).split())[:MOST_LETTERS]


def truth(value: Any, what: str) -> bool | None:
    """Return true, false or null; raise Unreadable if it is something else."""
    if value is not None and not isinstance(value, bool):
        raise Unreadable(f"is damaged: {what} is neither true nor false")
    return value


def guessed(value: Any) -> str | float | None:
    """Return a guess; raise Unreadable if it is neither a text nor a finite number."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if not abs(value) < LARGEST:  # nor if it is no number
            raise Unreadable("is damaged: a guess is not a finite number")
        return value
    return text(value, "a guess") or None
