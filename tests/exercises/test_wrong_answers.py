"""Wrong answers to every exercise are refused, each with a diagnosis of its own; the wrong answers are in wrong_answers/.

Whoever wrote them saw the exercise and not its check, as a learner does.
"""

from __future__ import annotations

import importlib
import itertools

import pytest

from lossprune_lib import exercises
from lossprune_lib.exercises.checking import CHECKS

CHAPTERS = ("landscapes", "taylor", "locality", "fine_tuning")
WRONG = {
    name: answers
    for chapter in CHAPTERS
    for name, answers in importlib.import_module(f"exercises.wrong_answers.{chapter}").WRONG.items()
}
CASES = [(name, what) for name, answers in WRONG.items() for what in answers]


def test_every_exercise_has_three_wrong_answers() -> None:
    with pytest.raises(ValueError, match="no exercise"):
        exercises.check("nothing of this name", 1)  # loads all chapters
    assert set(WRONG) == set(CHECKS)
    assert all(len(answers) >= 3 for answers in WRONG.values())


@pytest.mark.parametrize(("name", "what"), CASES)
def test_a_wrong_answer_is_refused_with_its_diagnosis(name: str, what: str) -> None:
    answer, diagnosis = WRONG[name][what]
    verdict = exercises.check(name, answer)
    assert verdict.passed is False, what
    assert diagnosis.lower() in verdict.text.lower(), verdict.text


@pytest.mark.parametrize("name", WRONG)
def test_at_least_three_diagnoses_differ(name: str) -> None:
    texts = {exercises.check(name, answer).text for answer, _ in WRONG[name].values()}
    assert len(texts) >= 3, texts
    assert all(a != b for a, b in itertools.combinations(texts, 2))
