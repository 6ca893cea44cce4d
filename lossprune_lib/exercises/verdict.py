"""What a check found, as a notebook shows it and a report reads it."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import Any

_HEADINGS = {True: ("Right", "#009E73"), False: ("Not yet", "#D55E00"), None: ("Not attempted", "#7F7F7F")}
MIME = "application/vnd.lossprune.verdict+json"  # in a notebook's outputs, for `python -m lossprune_lib class`


@dataclass(frozen=True)
class Verdict:
    """What a check found.

    Attributes
    ----------
    passed : None if the exercise was not attempted
    text : why, in a sentence or two
    mistake : the mistake's identifier, for a report; None if the answer is right or was not attempted
    """

    exercise: str
    passed: bool | None
    text: str
    mistake: str | None = None

    def __repr__(self) -> str:
        return f"{_HEADINGS[self.passed][0]}: {self.text}"

    def _repr_html_(self) -> str:
        heading, colour = _HEADINGS[self.passed]  # the heading says in words what the colour says
        return (
            f'<div style="border-left: 4px solid {colour}; padding: 0.3em 0.8em"><b>{heading}.</b> '
            f"{html.escape(self.text)}</div>"
        )

    def _repr_mimebundle_(self, **_: object) -> dict[str, Any]:
        found = {"exercise": self.exercise, "passed": self.passed, "mistake": self.mistake}
        return {"text/plain": repr(self), "text/html": self._repr_html_(), MIME: found}
