"""The notebooks' own solutions pass every check, whatever its cases, and untouched stubs are not attempted."""

from __future__ import annotations

import doctest
import re
from pathlib import Path
from typing import Any

import jupytext
import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch.nn import functional as F

from lossprune_lib import criteria, exercises
from lossprune_lib.exercises.checking import EXERCISES
from lossprune_lib.loss_modelling.model import LossModel
from lossprune_lib.networks.selection import smallest

SOURCES = sorted((Path(__file__).parents[2] / "notebooks" / "source").glob("*.py"))
CASES = [
    (source.stem, name, variable)
    for source in SOURCES
    for name, variable in re.findall(r'^exercises\.check\("([^"]+)", (\w+)\)$', source.read_text(), re.M)
]
# What the notebooks have imported where an exercise stands.
IMPORTED = {"torch": torch, "np": np, "F": F, "criteria": criteria, "smallest": smallest, "spearmanr": spearmanr}


def answers(stem: str, tag: str) -> dict[str, Any]:
    """Return what the cells of a tag define, together."""
    defined: dict[str, Any] = dict(IMPORTED)
    source = next(source for source in SOURCES if source.stem == stem)
    for cell in jupytext.read(source, fmt="py:percent").cells:
        if tag in cell.metadata.get("tags", []):
            exec(cell.source, defined)
    return defined


@pytest.mark.parametrize(("stem", "name", "variable"), CASES)
def test_the_solution_passes_and_the_stub_is_not_attempted(stem: str, name: str, variable: str) -> None:
    for _ in range(10):
        verdict = exercises.check(name, answers(stem, "solution")[variable])
        assert verdict.passed, verdict
    assert exercises.check(name, answers(stem, "stub")[variable]).passed is None


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_the_examples_of_the_stubs_are_right(source: Path) -> None:
    solved = answers(source.stem, "solution")
    names = solved | {"model_at": lambda weights, stage: LossModel(weights, 0.0, 0 * weights, 0 * weights)}
    runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.NORMALIZE_WHITESPACE)
    for name, stub in answers(source.stem, "stub").items():
        if name in solved and name not in IMPORTED and getattr(stub, "__doc__", None):
            runner.run(doctest.DocTestParser().get_doctest(stub.__doc__, dict(names), name, None, None))
    assert runner.summarize().failed == 0


@pytest.mark.parametrize(("stem", "name", "variable"), CASES)
def test_a_check_leaves_the_learners_random_numbers_alone(stem: str, name: str, variable: str) -> None:
    answer = answers(stem, "solution")[variable]
    state = torch.random.get_rng_state()
    exercises.check(name, answer)
    assert torch.equal(state, torch.random.get_rng_state())


def test_every_check_stands_in_a_notebook_once() -> None:
    with pytest.raises(ValueError, match="no exercise"):
        exercises.check("nothing of this name", 1)  # loads all chapters
    assert sorted(name for _, name, _ in CASES) == sorted(EXERCISES)
