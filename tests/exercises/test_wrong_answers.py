"""Wrong answers, which wrong_answers/ holds, are refused, each with the mistake that it contains.

Whoever wrote them saw the exercise and not its check, as a learner does.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

from lossprune_lib import exercises
from lossprune_lib.exercises import checking
from lossprune_lib.exercises.answers import Refusal
from lossprune_lib.exercises.checking import EXERCISES, Exercise, known

MODULES = sorted(path.stem for path in (Path(__file__).parent / "wrong_answers").glob("*.py"))
GENERAL = {"no-function", "exception", "in-place", "network-changed", "parts", "type", "shape", "dtype", "not-finite"}
WRONG: dict[str, list[tuple[str, Any]]] = {
    name: answers
    for module in MODULES
    for name, answers in importlib.import_module(f"exercises.wrong_answers.{module}").WRONG.items()
}
CASES = [
    pytest.param(name, mistake, answer, id=f"{name}-{mistake}-{i}")
    for name, answers in WRONG.items()
    for i, (mistake, answer) in enumerate(answers)
]


@pytest.mark.parametrize(("name", "mistake", "answer"), CASES)
def test_a_wrong_answer_is_refused_with_its_mistake(name: str, mistake: str, answer: Any) -> None:
    for _ in range(2):
        verdict = exercises.check(name, answer)
        assert verdict.passed is False
        assert verdict.mistake == mistake, verdict


# Exercises in which drawn cases once let a wrong answer pass, or gave it another name, and how many draws to try.
DRAWN = [
    ("cheap enough", 10),
    ("next step", 20),
    ("prune a row", 10),
    ("sampled diagonal", 10),
    ("two of four", 20),
]


@pytest.mark.parametrize(("name", "draws"), DRAWN)
def test_whatever_is_drawn_a_mistake_has_its_name(name: str, draws: int, monkeypatch: pytest.MonkeyPatch) -> None:
    exercise = known(name)
    assert isinstance(exercise, Exercise)
    for cases in [list(exercise.cases()) for _ in range(draws)]:
        monkeypatch.setattr(exercise, "cases", lambda cases=cases: cases)
        exercise.judge(exercise.right)
        for mistake, answer in WRONG[name]:
            with pytest.raises(Refusal) as refusal:
                exercise.judge(answer)
            assert refusal.value.mistake == mistake


def test_a_change_that_was_predicted_may_be_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "entropy", lambda: 195)  # by drawn cases alone it would pass
    answer = next(answer for mistake, answer in WRONG["next step"] if mistake == "actual-alone")
    assert exercises.check("next step", answer).mistake == "actual-alone"


@pytest.mark.parametrize("name", WRONG)
def test_every_mistake_has_a_wrong_answer_and_a_sentence_of_its_own(name: str) -> None:
    mistakes, answered = EXERCISES[name].mistakes, {mistake for mistake, _ in WRONG[name]}
    assert set(mistakes) == answered - GENERAL - {"other", "no-option", "weights-first", "stage-number"}
    assert len(answered) >= 3
    assert all(len(sentence) > 20 and sentence.endswith((".", "?")) for sentence in mistakes.values())
    assert len(set(mistakes.values())) == len(mistakes)


def test_every_exercise_has_wrong_answers() -> None:
    assert set(WRONG) == set(EXERCISES)
