"""What a guess is told: whether it is right, and a sentence of its own for each frequent wrong guess."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from lossprune_lib.checks import check_choice, check_float, suggestion
from lossprune_lib.exercises import quantities

Key: TypeAlias = str | float | tuple[float, float]
_WORDS = ("right", "low", "high")


@dataclass(frozen=True)
class Answer:
    """The answer to a question, and sentences for the guesses at it.

    Attributes
    ----------
    value : one of the choices, or a number
    choices : label of each choice; empty where a number is asked for
    unit : of a number; with "%" it is a share
    within : how far a number may be off and still be right
    because : {guess: sentence}. A guess is a choice; of numbers, a number, a range (low, high), or "low" and "high" for
        whatever lies below or above; "right" is for a right guess. The first that fits is said.

    Raises
    ------
    ValueError, TypeError
        if the answer is not one of the choices, or a sentence is for no possible guess.
    """

    value: Any
    choices: Mapping[Any, str] = field(default_factory=dict)
    unit: str = ""
    within: float | None = None
    because: Mapping[Any, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.choices:
            for choice in [self.value, *(key for key in self.because if key != "right")]:
                if choice not in self.choices:
                    known = ", ".join(map(repr, self.choices))
                    near = suggestion(choice, map(str, self.choices))
                    raise ValueError(f"There is no choice {choice!r}.{near} Choose one of: {known}.")
            return
        check_float(self.value, "answer", least=-math.inf)
        for key in self.because:
            if isinstance(key, str):
                check_choice(key, _WORDS, "kind of guess")

    @property
    def tolerance(self) -> float:
        """How far a number may be off: five points of a per cent, else a tenth of the answer, unless it is given."""
        if self.within is not None:
            return self.within
        return 0.05 if self.unit == "%" else abs(float(self.value)) / 10

    def is_right(self, guess: Any) -> bool:
        """Return whether a guess is the answer, or near enough to it."""
        if self.choices:
            return bool(guess == self.value)
        return abs(guess - float(self.value)) <= self.tolerance * (1 + 1e-9)

    def told(self, guess: Any) -> str:
        """Return what a guess is told."""
        said, truth = self.show(guess), self.show(self.value)
        if self.choices:
            start = f"Right: {said}." if self.is_right(guess) else f"You guessed {said}. It is {truth}."
        else:
            place = "near enough" if self.is_right(guess) else "too low" if guess < self.value else "too high"
            start = f"You guessed {said}, and it is {truth}: {place}."
        fitting = [sentence for key, sentence in self.because.items() if self._fits(key, guess)]
        return " ".join([start, *fitting[:1]])

    def show(self, value: Any) -> str:
        """Return a guess or the answer in words."""
        return self.choices[value] if self.choices else quantities.write(float(value), self.unit)

    def lines(self) -> list[str]:
        """Return the answer, and the sentences with the guesses that they are for: what is read without a kernel."""
        sentences = [f"If you guessed {self._named(key)}: {sentence}" for key, sentence in self.because.items()]
        return [f"Answer: {self.show(self.value)}.", *sentences]

    def _fits(self, key: Key, guess: Any) -> bool:
        right = self.is_right(guess)
        if key == "right" or self.choices:
            return right if key == "right" else bool(key == guess)
        if isinstance(key, str):
            return not right and (guess < self.value) == (key == "low")
        low, high = key if isinstance(key, tuple) else (key - self.tolerance, key + self.tolerance)
        return not right and low - 1e-9 <= guess <= high + 1e-9

    def _named(self, key: Key) -> str:
        if isinstance(key, tuple):
            return f"{self.show(key[0])} to {self.show(key[1])}"
        words = {"right": "rightly", "low": "too low", "high": "too high"}
        return words[key] if isinstance(key, str) and key in words else self.show(key)
