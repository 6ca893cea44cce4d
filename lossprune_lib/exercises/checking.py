"""Checking an answer: what is right is said, and what is wrong is named."""

from __future__ import annotations

import html
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from secrets import randbits
from typing import Any

import torch

from lossprune_lib.checks import check_choice, check_float

Answer = Any
_CHAPTERS = ("landscapes", "taylor", "locality", "fine_tuning")  # a module of checks a notebook


@dataclass(frozen=True)
class Verdict:
    """What a check found: `passed` is None if the exercise was not attempted; `text` says why, in a sentence or two."""

    exercise: str
    passed: bool | None
    text: str

    @property
    def _heading(self) -> str:
        return {True: "Right", False: "Not yet", None: "Not attempted"}[self.passed]

    def __repr__(self) -> str:
        return f"{self._heading}: {self.text}"

    def _repr_html_(self) -> str:
        # A border in a colour that is told apart by its heading too.
        colour = {True: "#009E73", False: "#D55E00", None: "#7F7F7F"}[self.passed]
        return (
            f'<div style="border-left: 4px solid {colour}; padding: 0.3em 0.8em"><b>{self._heading}.</b> '
            f"{html.escape(self.text)}</div>"
        )


class Mistake(Exception):
    """What is wrong with an answer, in words for the learner: the message names the mistake and says where to look."""


class NotAttempted(Exception):
    """The stub was left as it was."""


CHECKS: dict[str, Callable[[Answer], str]] = {}


def exercise(name: str) -> Callable[[Callable[[Answer], str]], Callable[[Answer], str]]:
    """Register a check: a function of the answer that returns what the learner saw by it, or raises `Mistake`."""

    def register(checked: Callable[[Answer], str]) -> Callable[[Answer], str]:
        if name in CHECKS:
            raise ValueError(f"There are two exercises called {name!r}.")
        CHECKS[name] = checked
        return checked

    return register


def check(name: str, answer: Answer) -> Verdict:
    """Return whether an answer to an exercise is right, and if it is not, what is wrong with it.

    Parameters
    ----------
    name : of the exercise, as its notebook gives it
    answer : a function, a number, a name or a letter, as the exercise asks; None and an untouched stub are not attempted

    Raises
    ------
    ValueError
        if there is no exercise of this name.
    """
    for chapter in _CHAPTERS:
        importlib.import_module(f"lossprune_lib.exercises.{chapter}")
    checked = CHECKS[check_choice(name, CHECKS, "exercise")]
    if answer is None or answer is ...:
        return _not_attempted(name)
    try:
        with torch.random.fork_rng(devices=[]):  # a check leaves the learner's own random numbers alone
            return Verdict(name, True, checked(answer))
    except (NotAttempted, NotImplementedError):
        return _not_attempted(name)
    except Mistake as mistake:
        return Verdict(name, False, str(mistake))


def _not_attempted(name: str) -> Verdict:
    return Verdict(
        name,
        None,
        "Write your answer in the cell above, run it, then run this cell again (a function must return something).",
    )


def call(function: Answer, *arguments: Any) -> Any:
    """Return what a learner's function gives for fresh arguments.

    Raises
    ------
    Mistake
        if it is no function, raises an error, or changes the tensors that it was given.
    NotAttempted
        if it returns nothing.
    """
    if not callable(function):
        raise Mistake(f"The answer must be a function, not {type(function).__name__}: write its name without brackets.")
    before = [x.clone() if isinstance(x, torch.Tensor) else x for x in arguments]
    try:
        result = function(*arguments)
    except (NotImplementedError, Mistake):
        raise
    except Exception as error:
        raise Mistake(f"Your function stops with {type(error).__name__}: {error}") from error
    for was, now in zip(before, arguments, strict=True):
        if isinstance(now, torch.Tensor) and not torch.equal(was, now):
            raise Mistake("Your function changes its input in place: work on a copy, or write x * y, not x *= y.")
    if result is None or result is ...:
        raise NotAttempted
    return result


def tensor(result: Any, shape: tuple[int, ...], what: str) -> torch.Tensor:
    """Return a result as a float64 tensor of a shape; raise Mistake if it is none, has another shape or is not finite."""
    try:
        found = torch.as_tensor(result)
    except (TypeError, ValueError, RuntimeError):
        raise Mistake(f"{what} must be a tensor, not {type(result).__name__}.") from None
    if tuple(found.shape) != shape:
        raise Mistake(f"{what} has the shape {list(found.shape)}, but must have {list(shape)}.")
    found = found.detach().double()
    if not torch.isfinite(found).all():
        raise Mistake(f"{what} holds values that are NaN or infinite.")
    return found


def number(result: Any, what: str) -> float:
    """Return a result as a float; raise Mistake if it is no finite number."""
    if isinstance(result, torch.Tensor) and result.numel() == 1:
        result = result.item()
    try:
        return check_float(result, what, least=float("-inf"))
    except (TypeError, ValueError) as error:
        raise Mistake(str(error).replace(" and at least -inf", "")) from None


def choice(answer: Any, options: str | list[str]) -> str:
    """Return one of some options, letters for example, whatever its case; raise Mistake if it is none of them."""
    lower = {option.lower(): option for option in options}
    given = answer.strip(" .()").lower() if isinstance(answer, str) else answer
    if not isinstance(given, str) or given not in lower:
        raise Mistake(f"The answer must be one of {', '.join(options)}, in quotes.")
    return lower[given]


def close(found: torch.Tensor | float, wanted: torch.Tensor | float, tolerance: float = 1e-4) -> bool:
    """Return whether two numbers or tensors agree, to a share of the largest entry of `wanted`."""
    a, b = torch.as_tensor(found).double(), torch.as_tensor(wanted).double()
    return a.shape == b.shape and bool((a - b).abs().max() <= tolerance * b.abs().max().clamp_min(1e-12))


def entropy() -> int:
    """Return a seed that nobody can foresee; tests put seeds of their own in its place."""
    return randbits(63)


def fresh() -> torch.Generator:
    """Return a generator that gives other cases each time, and leaves the learner's own random numbers alone."""
    return torch.Generator().manual_seed(entropy())


def name_mistake(cases: list[tuple[Any, dict[str, Any]]], same: Callable[[Any, Any], bool]) -> None:
    """Raise the first mistake that explains what was found in every case; one case alone may fit several by chance."""
    for message in cases[0][1]:
        if all(same(found, wrong[message]) for found, wrong in cases):
            raise Mistake(message)
