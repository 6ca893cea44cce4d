"""How an answer is checked: on every case, with the first mistake that explains them all."""

from __future__ import annotations

import sys
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from IPython.core.formatters import DisplayFormatter
from torch import Tensor

from lossprune_lib import WeightSpace, exercises
from lossprune_lib.exercises import checking
from lossprune_lib.exercises.answers import read
from lossprune_lib.exercises.checking import Choice, Exercise, read_words, register
from lossprune_lib.exercises.verdict import MIME, Verdict

DOUBLE = """
    right: Twice as much.
    hint: Add it to itself.
    fourfold: That is <four> times as much.
    square: That is the square,
        not the double.
    undefined: Anything fits where this mistake has no result.
    negative: It should not be below zero.
"""


@pytest.fixture
def double(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exercise: a function that doubles. For x = 2 alone, the double is the square."""
    with pytest.raises(ValueError, match="no exercise"):
        exercises.check("nothing of this name", 1)  # loads all chapters, which would else land in the copy
    monkeypatch.setattr(checking, "EXERCISES", dict(checking.EXERCISES))
    register(
        "double",
        Exercise(
            lambda x: 2 * x,
            lambda: [(torch.tensor([2.0, 2.0]),), (torch.arange(3.0),), (torch.full((20,), 2.0),)],
            lambda x: {"fourfold": 4 * x, "square": x**2, "undefined": 7 * x / (x != 0)},
            DOUBLE,
            ("the double",),
            signs=lambda found, x: {"negative": bool((found[0] < 0).any())},
        ),
    )
    register(
        "both", Exercise(lambda x: (x, -x), lambda: [(1.0,)], lambda x: {"sign": (None, x)}, SIGN, ("x", "minus x"))
    )
    register("letter", Choice("ABC", "B", "right: Yes.\nfirst: Not A.\nlast: Not C."))


def fourfold_until_it_stops(x: Tensor) -> Tensor:
    if len(x) > 3:
        raise RuntimeError("too long")
    return 4 * x


def test_what_went_wrong_before_a_function_stops_is_named_first(double: None) -> None:
    assert exercises.check("double", fourfold_until_it_stops).mistake == "fourfold"
    assert exercises.check("double", lambda x: 2 * x if len(x) < 4 else 1 / 0).mistake == "exception"


SIGN = "right: Yes.\nsign: The second has the wrong sign."


def changed(x: Tensor) -> Tensor:
    x *= 2
    return x


def todo(x: Tensor) -> Tensor:
    raise NotImplementedError


@pytest.mark.parametrize(
    ("answer", "passed", "mistake", "text"),
    [
        (lambda x: 2 * x, True, None, "Twice as much."),
        (lambda x: (2 * x).tolist(), True, None, "Twice as much."),
        (lambda x: 4 * x, False, "fourfold", "That is <four> times as much."),
        (lambda x: x**2, False, "square", "That is the square, not the double."),
        (lambda x: torch.where(x == 0, 5, 7 * x), False, "undefined", "Anything"),
        (lambda x: -x, False, "negative", "below zero"),
        (lambda x: 3 * x, False, "other", "For x = [2, 2]: the double should be [4, 4], but yours is [6, 6]. Add it"),
        (
            lambda x: 2 * x + (len(x) > 3),
            False,
            "other",
            "For x at [0] = 2: the double at [0] should be 4, but yours is 5. Add it",
        ),
        (lambda x: x[:1], False, "shape", "shape [1], but must have [2]"),
        (lambda x: x / 0, False, "not-finite", "NaN or infinite"),
        (lambda x: "four", False, "type", "not str"),
        (lambda x: x > 0, False, "dtype", "True and False"),
        (lambda x: x.nothing, False, "exception", "stops with AttributeError"),
        (changed, False, "in-place", "changes its input in place"),
        (4, False, "no-function", "must be a function, not int"),
        (None, None, None, "a function must return something"),
        (..., None, None, "a function must return something"),
        (lambda x: None, None, None, "a function must return something"),
        (lambda x: ..., None, None, "a function must return something"),
        (todo, None, None, "a function must return something"),
    ],
)
def test_a_check_names_the_mistake(
    double: None, answer: Any, passed: bool | None, mistake: str | None, text: str
) -> None:
    verdict = exercises.check("double", answer)
    assert (verdict.passed, verdict.mistake) == (passed, mistake), verdict
    assert text in verdict.text


def test_a_branch_without_a_return_is_no_missing_answer(double: None) -> None:
    verdict = exercises.check("double", lambda x: 2 * x if len(x) < 4 else None)
    assert (verdict.passed, verdict.mistake) == (False, "nothing")
    assert exercises.check("double", lambda x: 4 * x if len(x) < 4 else None).mistake == "fourfold"
    assert exercises.check("double", lambda x: 2 * x if len(x) < 4 else todo(x)).mistake == "nothing"


def test_an_error_of_torch_is_no_missing_answer(double: None) -> None:
    verdict = exercises.check("double", lambda x: x > 0 & x)  # & comes before >
    assert (verdict.passed, verdict.mistake) == (False, "exception")


def test_arrays_may_be_reversed_or_read_only(double: None) -> None:
    def in_numpy(x: Tensor) -> np.ndarray:
        array = 2 * x.numpy()[::-1]
        array.flags.writeable = False
        return array[::-1]

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert exercises.check("double", in_numpy).passed


def test_gradients_may_be_switched_off() -> None:
    with torch.no_grad():
        assert exercises.check("curvature along a step", lambda loss, weights, step: 0.0).passed is False


def test_a_part_may_be_left_open(double: None) -> None:
    assert exercises.check("both", lambda x: (x, -x)).passed
    assert exercises.check("both", lambda x: (5 * x, x)).mistake == "sign"
    assert "minus x should be -1, but yours is 3" in exercises.check("both", lambda x: (x, 3 * x)).text
    assert exercises.check("both", lambda x: x).mistake == "parts"


@pytest.mark.parametrize(
    ("answer", "mistake"), [(" a ", "first"), ("(C)", "last"), ("B.", None), ("d", "no-option"), (1, "no-option")]
)
def test_an_option_is_taken_in_either_case(double: None, answer: object, mistake: str | None) -> None:
    assert exercises.check("letter", answer).mistake == mistake


def root(weights: Tensor, number: int, sizes: list[int]) -> Tensor:
    smallest = weights.kthvalue(number).values
    return smallest.sqrt()


def test_a_function_that_stops_is_told_its_line_and_the_numbers_it_was_called_with() -> None:
    with pytest.raises(checking.Refusal) as refusal:
        checking.call(root, [torch.ones(2), 0, [2]])
    line = "smallest = weights.kthvalue(number).values"
    assert str(refusal.value).endswith(f" (in your line `{line}`, called with number = 0, sizes = [2])")
    with pytest.raises(checking.Refusal, match="stops with TypeError") as refusal:
        checking.call(torch.sqrt, [0])
    assert "your line" not in str(refusal.value)


def test_a_case_of_four_weights_is_printed_whole() -> None:
    text = exercises.check("prune a row", lambda row, hessian, number: 7 * row).text
    assert "hessian = [[" in text
    assert "shape" not in text


def test_pieces_are_to_be_joined_and_truth_values_left_as_they_are() -> None:
    def told(result: Any, wanted: Tensor) -> str:
        return str(read(result, [wanted], ["the result"])[1])

    assert told([torch.ones(2), torch.ones(3)], torch.ones(5)).endswith(
        "not a list of pieces: join them with torch.cat."
    )
    for said in (1, 0.0, torch.tensor([1])):
        assert "must be True or False: return the comparison itself" in told(said, torch.tensor(True))
    assert told("yes", torch.tensor(True)) == "The result must be True or False, not str."


def test_a_network_that_was_changed_is_restored(trained: torch.nn.Module) -> None:
    space = WeightSpace(trained)
    before = space.read()
    with pytest.raises(checking.Refusal, match="changes the network"):
        checking.call(lambda space: space.write_(space.read() + 1), [space])
    assert torch.equal(space.read(), before)


def test_an_unknown_exercise_is_refused_with_a_near_match(double: None) -> None:
    with pytest.raises(ValueError, match="Did you mean 'double'"):
        exercises.check("duoble", 1)


def test_names_and_identifiers_are_unique(double: None) -> None:
    with pytest.raises(ValueError, match="two exercises called 'letter'"):
        register("letter", checking.EXERCISES["letter"])
    with pytest.raises(ValueError, match="same identifier"):
        read_words("right: Yes.\nsign: One.\nsign: Two.")


def test_a_verdict_is_shown_in_words_and_escaped() -> None:
    verdict = Verdict("double", False, "<b> is missing", "sign")
    assert repr(verdict) == "Not yet: <b> is missing"
    assert "<b>Not yet.</b> &lt;b&gt; is missing" in verdict._repr_html_()


def test_a_verdict_is_stored_in_a_form_that_programs_read() -> None:
    data, _ = DisplayFormatter().format(Verdict("double", False, "Not so.", "sign"))
    assert data[MIME] == {"exercise": "double", "passed": False, "mistake": "sign"}
    assert data["text/plain"] == "Not yet: Not so."
    assert data["text/html"].startswith("<div")


@pytest.mark.parametrize(
    ("answer", "told"), [(lambda x: 4 * x, r"<four> times as much\. \[fourfold\]$"), (None, "Not attempted: [^[]*$")]
)
def test_a_strict_check_raises_unless_the_answer_is_right(double: None, answer: Any, told: str) -> None:
    with pytest.raises(AssertionError, match=told):
        exercises.check("double", answer, strict=True)
    assert exercises.check("double", lambda x: 2 * x, strict=True).passed


def test_a_warning_in_a_graded_cell_is_not_on_stderr(double: None, capsys: pytest.CaptureFixture[str]) -> None:
    """There, nbgrader takes it for a failure."""

    def answer(x: Tensor) -> Tensor:
        print("careful", file=sys.stderr)
        return 2 * x

    assert exercises.check("double", answer, strict=True).passed
    assert capsys.readouterr() == ("careful\n" * 3, "")
