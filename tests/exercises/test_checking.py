"""Guesses beside outcomes, and what a check says of an answer."""

from __future__ import annotations

import pytest
import torch

from lossprune_lib import exercises
from lossprune_lib.exercises import checking
from lossprune_lib.exercises.checking import Mistake, Verdict, call, choice, close, exercise, number, tensor


@pytest.mark.parametrize(
    ("guess", "measured", "row"),
    [
        (0.5, 0.88, [0.5, 0.88, "you are -0.38 away"]),
        (None, 0.88, ["not attempted", 0.88, "guess, then run again"]),
        ("QM", "QM", ["QM", "QM", "right"]),
        ("MP", "QM", ["MP", "QM", "not this time"]),
        (None, 0.123456, ["not attempted", 0.123, "guess, then run again"]),
        (None, "QM", ["not attempted", "QM", "guess, then run again"]),
    ],
)
def test_reconcile_puts_guess_beside_outcome(guess: object, measured: object, row: list[object]) -> None:
    assert exercises.reconcile("it", guess, measured).loc["it"].tolist() == row


@pytest.mark.parametrize("guess", ["half", [0.5], float("nan"), True])
def test_a_guess_is_a_number(guess: object) -> None:
    with pytest.raises((TypeError, ValueError), match="Your guess"):
        exercises.reconcile("sparsity", guess, 0.88)


@pytest.fixture
def double(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exercise: a function that doubles."""
    with pytest.raises(ValueError, match="no exercise"):
        exercises.check("nothing of this name", 1)  # loads all chapters, which would else land in the copy
    monkeypatch.setattr(checking, "CHECKS", dict(checking.CHECKS))

    @exercise("double")
    def _(answer: object) -> str:
        x = torch.arange(3.0)
        if not close(tensor(call(answer, x), (3,), "The result"), 2 * x):
            raise Mistake("That is not the double <of> it.")
        return "Twice as much."


def inplace(x: torch.Tensor) -> torch.Tensor:
    x *= 2
    return x


def todo(x: torch.Tensor) -> torch.Tensor:
    raise NotImplementedError


@pytest.mark.parametrize(
    ("answer", "passed", "text"),
    [
        (lambda x: 2 * x, True, "Twice as much."),
        (lambda x: (2 * x).tolist(), True, "Twice as much."),
        (lambda x: 3 * x, False, "not the double <of>"),
        (lambda x: x[:2], False, r"shape [2], but must have [3]"),
        (lambda x: x / 0, False, "NaN or infinite"),
        (lambda x: "four", False, "must be a tensor, not str"),
        (lambda x: x.nothing, False, "stops with AttributeError"),
        (inplace, False, "changes its input in place"),
        (4, False, "must be a function, not int"),
        (None, None, "a function must return something"),
        (..., None, "a function must return something"),
        (lambda x: None, None, "a function must return something"),
        (lambda x: ..., None, "a function must return something"),
        (todo, None, "a function must return something"),
    ],
)
def test_a_check_names_the_mistake(double: None, answer: object, passed: bool | None, text: str) -> None:
    verdict = exercises.check("double", answer)
    assert verdict.passed is passed
    assert text in verdict.text


def test_an_unknown_exercise_is_refused_with_a_near_match(double: None) -> None:
    with pytest.raises(ValueError, match="Did you mean 'double'"):
        exercises.check("duoble", 1)


def test_two_exercises_cannot_share_a_name(double: None) -> None:
    with pytest.raises(ValueError, match="two exercises called 'double'"):
        exercise("double")(lambda answer: "")


def test_a_verdict_is_shown_in_words_and_escaped() -> None:
    verdict = Verdict("double", False, "<b> is missing")
    assert repr(verdict) == "Not yet: <b> is missing"
    assert "<b>Not yet.</b> &lt;b&gt; is missing" in verdict._repr_html_()


@pytest.mark.parametrize("answer", ["a", " A ", "a)", "(a)"])
def test_a_letter_is_taken_in_either_case(answer: str) -> None:
    assert choice(answer, "abc") == "a"


@pytest.mark.parametrize("answer", ["d", 1, "", ["a"]])
def test_another_letter_is_named(answer: object) -> None:
    with pytest.raises(Mistake, match="one of a, b, c"):
        choice(answer, "abc")


def test_a_number_may_be_a_tensor_and_nothing_else() -> None:
    assert number(torch.tensor(0.5), "It") == 0.5
    for wrong in ("0.5", torch.zeros(2), float("nan"), True):
        with pytest.raises(Mistake, match="It"):
            number(wrong, "It")
