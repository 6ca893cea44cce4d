"""Guess, then see: a question with buttons, a slider or a field, and an outcome that stays folded until then.

The outcome is always computed in its own cell, where errors raise; only what it looks like is folded. So Run All
neither stops nor spoils anything, and no cell needs a click. Where no kernel runs the outcome is a ``<details>``.
"""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from lossprune_lib.exercises import quantities, records
from lossprune_lib.exercises.answered import Answer
from lossprune_lib.exercises.because import BECAUSE
from lossprune_lib.exercises.outcomes import AS_TEXT, Outcome, to_html, view
from lossprune_lib.installation import extra

if TYPE_CHECKING:
    import ipywidgets


class Guess:
    """A question to the learner, which `guess` makes and shows.

    Attributes
    ----------
    value : what was guessed: a choice, or a number (a share if the unit is "%"); None before
    """

    def __init__(
        self, name: str, question: str, choices: Mapping[Any, str], unit: str, between: tuple[float, float] | None
    ) -> None:
        self.name, self.question, self.choices, self.unit = name, question, choices, unit
        self.between = between
        self.answer: Answer | None = None
        self.outcomes: list[Outcome] = []
        recorded = records.read()["guesses"].get(name, {}).get("guess")
        self.value = next((c for c in choices if c == recorded), None) if choices else _number(recorded)
        self._buttons: dict[Any, ipywidgets.Button] = {}
        self.widget = self._controls()
        self._tell()

    def make(self, value: Any) -> None:
        """Take a guess: record it, and open what was folded."""
        self.value = value
        self._record()
        self._tell()
        for outcome in self.outcomes:
            outcome.update(self.value)

    def reveal(
        self,
        *parts: Any,
        answer: Any = None,
        because: Mapping[Any, str] | None = None,
        alt: str | None = None,
        within: float | None = None,
        title: str = "Outcome",
    ) -> None:
        """Show an outcome, folded until there is a guess or a click. One guess may have several; all open together.

        Parameters
        ----------
        parts : figures, tables and texts; a text of several lines keeps its lines
        answer : the choice or the number that is right; given once
        because : {guess: sentence}, one for each frequent wrong guess; by default those of the course, in `because.py`.
            Keys are choices; of numbers, a number, a range (low, high), "low" or "high"; and "right"
        alt : what the figure shows, in words
        within : how far a number may be off and still be right; by default 0.05 of a share, a tenth of other numbers
        title : what is read on the fold

        Raises
        ------
        ValueError, TypeError
            if the answer is not one of the choices, a sentence is for no possible guess, or a figure has no `alt`.
        """
        told = None
        if answer is not None:
            sentences = BECAUSE.get(self.name, {}) if because is None else because
            told = Answer(answer, self.choices, self.unit, within, sentences)
        elif because:
            raise ValueError("Sentences for guesses need the answer: reveal(..., answer=..., because={...}).")
        outcome = Outcome(title, [to_html(part, alt) for part in parts], told)
        outcome.update(self.value)
        self.outcomes.append(outcome)
        if told is not None:
            self.answer = told
            self._record()
        self._tell()
        _show(outcome)

    def _record(self) -> None:
        if self.value is not None:
            records.note_guess(self.name, *self._made())

    def _made(self) -> tuple[str | float, bool | None]:
        """Return the guess as it is recorded, and whether it is right, if that is known."""
        right = None if self.answer is None else self.answer.is_right(self.value)
        return self.value if isinstance(self.value, (str, int, float)) else self.choices[self.value], right

    def _tell(self) -> None:
        """Say below the controls what was guessed, and mark its button."""
        for choice, button in self._buttons.items():
            button.icon = "check" if choice == self.value else ""
            button.style.font_weight = "bold" if choice == self.value else "normal"
        if self.value is None:
            return
        shown = self.choices[self.value] if self.choices else quantities.write(self.value, self.unit)
        where = "The outcome is open below." if self.outcomes else "Run the cells below to see the outcome."
        made = html.escape(json.dumps([self.name, *self._made()]))  # for `python -m lossprune_lib class`
        self._said.value = f'<span data-guess="{made}">Your guess: <b>{html.escape(shown)}</b>. {where}</span>'

    def _controls(self) -> ipywidgets.Widget:
        with extra("course"):
            import ipywidgets

            from lossprune_lib.widgets.sliders import name_handles
        self._said = ipywidgets.HTML()
        question = ipywidgets.HTML(f"<b>{html.escape(self.question)}</b>")
        for widget in (question, self._said):
            for name in AS_TEXT:
                widget.add_class(name)
        row = self._choices(ipywidgets) if self.choices else self._number(ipywidgets)
        box = ipywidgets.VBox([question, ipywidgets.HBox(row, layout={"flex_flow": "row wrap"}), self._said])
        return name_handles(box) if self.between else box

    def _choices(self, ipywidgets: Any) -> list[Any]:
        for choice, label in self.choices.items():
            button = ipywidgets.Button(description=label, layout={"width": "auto", "margin": "2px 6px 2px 2px"})
            button.on_click(lambda _, choice=choice: self.make(choice))
            self._buttons[choice] = button
        return list(self._buttons.values())

    def _number(self, ipywidgets: Any) -> list[Any]:
        done = ipywidgets.Button(description="This is my guess", layout={"width": "auto"})
        style, scale = {"description_width": "initial"}, 100 if self.unit == "%" else 1
        described = f"Your guess{_phrase(self.unit)}"
        if self.between is None:
            # Enter, the button and leaving the field all end up here.
            field = ipywidgets.Text(description=described, continuous_update=False, style=style)
            field.layout.width = "auto"
            field.observe(lambda change: self._read(change["new"]), names="value")
            done.on_click(lambda _: self._read(field.value))
            return [field, done]
        low, high = (end * scale for end in self.between)
        start = (low + high) / 2 if self.value is None else min(max(self.value * scale, low), high)
        slider = ipywidgets.FloatSlider(
            description=described, min=low, max=high, step=(high - low) / 100, value=start, style=style
        )
        slider.layout.width = "480px"
        done.on_click(lambda _: self.make(slider.value / scale))
        return [slider, done]

    def _read(self, text: str) -> None:
        if not text.strip():
            return
        try:
            value = quantities.read(text, self.unit)
        except ValueError as error:
            self._said.value = html.escape(str(error))
            return
        if value != self.value:
            self.make(value)

    def _repr_mimebundle_(self, **_: object) -> dict[str, Any]:
        ways = " · ".join(map(html.escape, self.choices.values())) or (
            f"A number{_phrase(self.unit)}." if self.unit else ""
        )
        text = f"<p><b>{html.escape(self.question)}</b></p>\n" + (f"<p>{ways}</p>" if ways else "")
        return {**view(self.widget), "text/html": text, "text/plain": self.question}


def _phrase(unit: str) -> str:
    """Return how a sentence says that a number has this unit; "times" is one without "in"."""
    return "" if not unit else ": how many times" if unit == "times" else f", in {unit}"


def guess(
    name: str,
    question: str,
    choices: Iterable[Any] | Mapping[Any, str] = (),
    *,
    unit: str = "",
    between: tuple[float, float] | None = None,
) -> Guess:
    """Ask for a guess, show the question, and return what reveals the outcome.

    >>> broken = guess("half wrong", "At which sparsity are half of the images read wrongly?", unit="%")
    >>> broken.reveal(figure, alt="Accuracy against sparsity, level at first, then falling.", answer=0.88)

    Parameters
    ----------
    name : under which the guess is recorded; no two in the course are the same
    choices : a button for each; as {value: label} where a label is longer than what the answer is compared with
    unit : of a number. With "%" it is a share: "88", "0.88", "88 %" and "88%" are all 0.88
    between : a slider from one number to another, in place of a field

    Raises
    ------
    ValueError
        if there is one choice only, or a slider that goes nowhere.
    """
    labels = dict(choices) if isinstance(choices, Mapping) else {choice: str(choice) for choice in choices}
    if any(not isinstance(label, str) for label in labels.values()):
        raise TypeError("Choices are a list, or a dict {value: label} whose labels are texts.")
    if len(labels) == 1 or (labels and (unit or between)):
        raise ValueError("Give two or more choices, or a number's unit and range, not both.")
    if between is not None and between[0] >= between[1]:
        raise ValueError(f"A slider goes from a smaller number to a larger one, not from {between[0]} to {between[1]}.")
    asked = Guess(name, question, labels, unit, between)
    _show(asked)
    return asked


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _show(shown: Any) -> None:
    with extra("course"):
        from IPython.display import display

        from lossprune_lib.widgets.last_picture import instead
    display(shown)
    words = f"{shown.title}: run this cell again." if isinstance(shown, Outcome) else shown.question
    display(instead(shown.widget.model_id, words), raw=True)
