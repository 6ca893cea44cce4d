"""Checking an answer: what is right is confirmed, and what is wrong is named.

An exercise is a set of cases and a table of named mistakes. A learner's function is called on every case, and the first
mistake in the table that explains what came out of *all* of them is named: one case alone may fit by chance.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import pkgutil
import sys
import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from secrets import randbits
from typing import Any

import torch
from torch import Tensor

from lossprune_lib.checks import check_choice
from lossprune_lib.exercises import records
from lossprune_lib.exercises.answers import NotAttempted, Refusal, as_tensor, call, counterexample, near, read, watching
from lossprune_lib.exercises.verdict import Verdict

_STUB = "Write your answer in the cell above, run it, then run this cell again (a function must return something)."


@dataclass
class Exercise:
    """A function to write: its cases, and the mistakes that its answers are known to contain.

    Attributes
    ----------
    right : the solution; its parameters have the names that the notebook gives them
    cases : returns the arguments of each case, fresh each time
    wrong : (*arguments) -> {mistake: what it would return}; None stands for a part that may be anything
    words : the mistakes in the order in which they are tried, as a text (see `read_words`)
    parts : what the result is made of, as sentences call it
    signs : (found, *arguments) -> {mistake: whether a wrong result shows it}; found has one tensor for each part
    same : (found, wanted, *arguments) -> whether one part of a result is as good as another
    by_hand : packages whose functions must not do the work; the mistake is called "library"
    """

    right: Callable[..., Any]
    cases: Callable[[], Iterable[Sequence[Any]]]
    wrong: Callable[..., dict[str, Any]]
    words: str
    parts: tuple[str, ...]
    signs: Callable[..., dict[str, bool]] = lambda found, *arguments: {}
    same: Callable[..., bool] = lambda found, wanted, *arguments: near(found, wanted)
    by_hand: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.mistakes = read_words(self.words)
        self.praise, self.hint = self.mistakes.pop("right"), self.mistakes.pop("hint", "")

    def judge(self, answer: Any) -> None:
        """Raise Refusal if the answer is wrong, with the first mistake that explains every case."""
        attempts: list[_Attempt] = []
        for arguments in self.cases():
            try:
                attempts.append(self._attempt(answer, arguments, first=not attempts))
            except Refusal:
                if all(attempt.passed for attempt in attempts):
                    raise
                break  # what went wrong before says more than that the function then stops
        failed = [attempt for attempt in attempts if not attempt.passed]
        if not failed:
            if any(attempt.used for attempt in attempts):
                raise Refusal("library", self.mistakes["library"])
            return
        explained = set.intersection(*(attempt.explained() for attempt in attempts))
        for mistake, sentence in self.mistakes.items():
            if mistake in explained:
                raise Refusal(mistake, sentence)
        for attempt in failed:
            if attempt.problem:
                raise attempt.problem
        raise Refusal("other", f"{min(failed, key=_Attempt.size).told()} {self.hint}".strip())

    def _attempt(self, answer: Any, arguments: Sequence[Any], first: bool) -> _Attempt:
        try:
            return _Attempt(self, answer, arguments)
        except (NotAttempted, NotImplementedError):
            if first:
                raise
            sentence = "In some cases your function returns nothing: does every branch end in a return?"
            raise Refusal("nothing", sentence) from None


class _Attempt:
    """An answer to one case of an exercise."""

    def __init__(self, exercise: Exercise, answer: Any, arguments: Sequence[Any]) -> None:
        self.exercise, self.arguments = exercise, arguments
        self.right = [as_tensor(part) for part in self._parts(exercise.right(*arguments))]
        with watching(exercise.by_hand) as self.used:
            result = call(answer, arguments)
        self.found, self.problem = read(result, self.right, exercise.parts)
        self.passed = self.problem is None and self._same(self.right)

    def _parts(self, result: Any) -> tuple[Any, ...]:
        return result if len(self.exercise.parts) > 1 else (result,)

    def _same(self, wanted: Iterable[Any]) -> bool:
        pairs = zip(self.found or (), wanted, strict=True)
        return all(part is None or self.exercise.same(found, part, *self.arguments) for found, part in pairs)

    def explained(self) -> set[str]:
        """Return the mistakes that explain what was found."""
        if self.found is None:
            return set()
        would = self.exercise.wrong(*self.arguments)
        fitting = {mistake for mistake, result in would.items() if self._same(self._parts(result))}
        if self.passed:  # a sign is looked for where something is wrong
            return fitting | (self.exercise.mistakes.keys() - would.keys() - {"library"})
        return fitting | {
            mistake for mistake, shown in self.exercise.signs(self.found, *self.arguments).items() if shown
        }

    def size(self) -> int:
        """Return how many numbers were given: a small case is easier to follow by hand."""
        return sum(argument.numel() for argument in self.arguments if isinstance(argument, Tensor))

    def told(self) -> str:
        assert self.found is not None
        named = dict(zip(inspect.signature(self.exercise.right).parameters, self.arguments, strict=True))
        name, found, right = next(
            (name, found, right)
            for name, found, right in zip(self.exercise.parts, self.found, self.right, strict=True)
            if not self.exercise.same(found, right, *self.arguments)
        )
        return counterexample(named, name, found, right)


@dataclass
class Choice:
    """Some options, one of which is right; each of the others is a mistake, in their order in `words`."""

    options: str
    right: str
    words: str

    def __post_init__(self) -> None:
        self.mistakes = read_words(self.words)
        self.praise = self.mistakes.pop("right")

    def judge(self, answer: Any) -> None:
        """Raise Refusal if the answer is another option, or none."""
        given = answer.strip(" .()").lower() if isinstance(answer, str) else ""
        if len(given) != 1 or given not in self.options.lower():
            raise Refusal("no-option", f"The answer must be one of {', '.join(self.options)}, in quotes.")
        others = self.options.replace(self.right, "").lower()
        for option, (mistake, sentence) in zip(others, self.mistakes.items(), strict=True):
            if given == option:
                raise Refusal(mistake, sentence)


EXERCISES: dict[str, Exercise | Choice] = {}


def register(name: str, exercise: Exercise | Choice) -> None:
    """Make an exercise known under the name that its notebook gives it; raise ValueError if there is one."""
    if name in EXERCISES:
        raise ValueError(f"There are two exercises called {name!r}.")
    EXERCISES[name] = exercise


def read_words(text: str) -> dict[str, str]:
    """Return the sentences of an exercise by their identifiers.

    Parameters
    ----------
    text : a line for each sentence, "identifier: sentence"; an indented line goes on with it
        "right" is what a right answer is told, "hint" what follows a counterexample; the others are mistakes.

    Raises
    ------
    ValueError
        if an identifier stands there twice.
    """
    lines = textwrap.dedent(text).replace("\n ", " ").strip().splitlines()
    pairs = [line.split(": ", maxsplit=1) for line in lines]
    words = {identifier: " ".join(sentence.split()) for identifier, sentence in pairs}
    if len(words) < len(pairs):
        raise ValueError(f"Two sentences have the same identifier: {[identifier for identifier, _ in pairs]}.")
    return words


def known(name: str) -> Exercise | Choice:
    """Return the exercise of a name; raise ValueError if there is none."""
    for module in pkgutil.walk_packages([str(Path(__file__).parent)], f"{__package__}."):
        importlib.import_module(module.name)  # which registers its exercises
    return EXERCISES[check_choice(name, EXERCISES, "exercise")]


def check(name: str, answer: Any, *, strict: bool = False) -> Verdict:
    """Return whether an answer to an exercise is right, and if it is not, what is wrong with it; record the attempt.

    Parameters
    ----------
    name : of the exercise, as its notebook gives it
    answer : a function or a letter, as the exercise asks; None and an untouched stub are not attempted
    strict : raise unless the answer is right, as cells that are graded must

    Raises
    ------
    ValueError
        if there is no exercise of this name.
    AssertionError
        if `strict` is set and the answer is not right; the message ends with the mistake's identifier, if it has one.
    """
    # A warning on stderr is no mistake, but nbgrader gives no points to a cell that shows one.
    with contextlib.redirect_stderr(sys.stdout) if strict else contextlib.nullcontext():
        verdict = _verdict(name, known(name), answer)
    if verdict.passed is not None:
        records.note_check(name, verdict.passed, verdict.mistake)
    if strict and not verdict.passed:
        raise AssertionError(f"{verdict!r} [{verdict.mistake}]" if verdict.mistake else repr(verdict))
    return verdict


def _verdict(name: str, exercise: Exercise | Choice, answer: Any) -> Verdict:
    try:
        if answer is None or answer is ...:
            raise NotAttempted
        with torch.random.fork_rng(devices=[]):  # a check leaves the learner's own random numbers alone
            exercise.judge(answer)
    except (NotAttempted, NotImplementedError):
        return Verdict(name, None, _STUB)
    except Refusal as refusal:
        return Verdict(name, False, str(refusal), refusal.mistake)
    return Verdict(name, True, exercise.praise)


def entropy() -> int:
    """Return a seed that nobody can predict; tests put seeds of their own in its place."""
    return randbits(63)


def fresh() -> torch.Generator:
    """Return a generator that gives other cases each time, and leaves the learner's own random numbers alone."""
    return torch.Generator().manual_seed(entropy())
