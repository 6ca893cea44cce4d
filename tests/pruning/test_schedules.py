"""Schedules: the formulas of the paper and the field, and what every schedule must keep to."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lossprune_lib import LocalPruner
from lossprune_lib.pruning import schedules
from lossprune_lib.pruning.schedules import SCHEDULES, sparsities

NAMES = st.sampled_from(sorted(SCHEDULES))
SPARSITIES = st.floats(0, 1, exclude_max=True)
STAGES = st.integers(1, 200)

FORMULAS: dict[str, Callable[[float, float], float]] = {
    "linear": lambda kappa, t: kappa * t,
    "exponential": lambda kappa, t: -math.expm1(t * math.log1p(-kappa)),
    "cubic": lambda kappa, t: kappa - kappa * (1 - t) ** 3,
}


@given(NAMES, SPARSITIES, STAGES)
def test_a_schedule_rises_to_exactly_the_sparsity(name: str, sparsity: float, stages: int) -> None:
    found = sparsities(name, sparsity, stages)
    assert len(found) == stages
    assert found[-1] == sparsity
    assert found[0] >= 0
    assert all(before <= after + 1e-15 for before, after in pairwise(found))


@given(NAMES, SPARSITIES)
def test_one_stage_is_one_shot(name: str, sparsity: float) -> None:
    assert sparsities(name, sparsity, 1) == [sparsity]


@given(NAMES, SPARSITIES, STAGES)
def test_every_stage_follows_the_formula(name: str, sparsity: float, stages: int) -> None:
    expected = [FORMULAS[name](sparsity, stage / stages) for stage in range(1, stages + 1)]
    assert sparsities(name, sparsity, stages) == pytest.approx(expected, rel=1e-9, abs=1e-13)


@given(NAMES, SPARSITIES, STAGES, SPARSITIES)
def test_from_a_start_every_stage_follows_the_formula_of_what_is_left(
    name: str, sparsity: float, stages: int, start: float
) -> None:
    found = sparsities(name, sparsity, stages, start)
    assert found[-1] == sparsity
    if start >= sparsity:
        assert found == [sparsity] * stages
    elif name == "exponential":
        kept = [(1 - after) / (1 - before) for before, after in pairwise([start, *found])]
        assert kept == pytest.approx([((1 - sparsity) / (1 - start)) ** (1 / stages)] * stages, rel=1e-4)
    else:  # the same shares of the way as from zero
        whole = [start + (sparsity - start) * FORMULAS[name](1.0, i / stages) for i in range(1, stages + 1)]
        assert found == pytest.approx(whole, rel=1e-9, abs=1e-13)


@given(NAMES, SPARSITIES, STAGES)
def test_from_nothing_the_numbers_are_those_without_a_start(name: str, sparsity: float, stages: int) -> None:
    before = {
        "linear": lambda i: sparsity * i / stages,
        "exponential": lambda i: 1 - (1 - sparsity) ** (i / stages),
        "cubic": lambda i: sparsity * (1 - (1 - i / stages) ** 3),
    }[name]
    assert sparsities(name, sparsity, stages)[:-1] == [before(i) for i in range(1, stages)]


def test_every_schedule_has_a_formula_here() -> None:
    assert SCHEDULES.keys() == FORMULAS.keys()


@pytest.mark.parametrize(
    ("name", "sparsity", "expected"),
    [
        ("linear", 0.9, [0.3, 0.6, 0.9]),
        ("exponential", 0.875, [0.5, 0.75, 0.875]),
        ("cubic", 0.27, [0.19, 0.26, 0.27]),
    ],
)
def test_three_stages_by_hand(name: str, sparsity: float, expected: list[float]) -> None:
    assert sparsities(name, sparsity, 3) == pytest.approx(expected, rel=1e-12)


@given(st.floats(0.01, 0.99), st.integers(2, 200))
def test_what_each_schedule_keeps_constant(sparsity: float, stages: int) -> None:
    steps = {name: [0.0, *sparsities(name, sparsity, stages)] for name in SCHEDULES}
    pruned = [after - before for before, after in pairwise(steps["linear"])]
    assert pruned == pytest.approx([pruned[0]] * stages, rel=1e-6)
    kept = [(1 - after) / (1 - before) for before, after in pairwise(steps["exponential"])]
    assert kept == pytest.approx([kept[0]] * stages, rel=1e-6)
    shrinking = [after - before for before, after in pairwise(steps["cubic"])]
    assert all(later < earlier for earlier, later in pairwise(shrinking))


@pytest.mark.parametrize("rule", SCHEDULES.values(), ids=SCHEDULES)
def test_the_last_stage_of_the_bare_formula_is_the_sparsity_too(rule: schedules.Schedule) -> None:
    assert rule(0.95, 14, 14) == pytest.approx(0.95, rel=1e-12)


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        (("exponental", 0.5, 3), ValueError, "'exponential'"),
        (("geometric", 0.5, 3), ValueError, "cubic"),
        (("linear", 1, 3), ValueError, "sparsity"),
        (("linear", 95, 3), ValueError, "write 95 % as 0.95"),
        (("linear", -0.1, 3), ValueError, "sparsity"),
        (("linear", math.nan, 3), ValueError, "sparsity"),
        (("linear", "0.5", 3), TypeError, "sparsity must be a number"),
        (("linear", 0.5, 0), ValueError, "stages"),
        (("linear", 0.5, 2.5), TypeError, "stages"),
        (("linear", 0.5, True), TypeError, "stages"),
        (("linear", 0.5, 10**7), ValueError, "at most 1,000,000"),
        (("linear", 0.5, 3, -1), ValueError, "start"),
        ((lambda sparsity: sparsity, 0.5, 3), TypeError, "stage, stages, start"),
        ((lambda *given: 0.6, 0.5, 3), ValueError, "between"),
    ],
)
def test_refused_with_a_sentence(arguments: tuple, error: type[Exception], sentence: str) -> None:
    with pytest.raises(error, match=sentence):
        sparsities(*arguments)


def test_a_new_schedule_appears_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SCHEDULES, "late", lambda sparsity, stage, stages, start: 0.0)
    assert sparsities("late", 0.5, 3) == [0, 0, 0.5]
    assert LocalPruner("mp", sparsity=0.5, stages=3, schedule="late").sparsities == [0, 0, 0.5]


def test_a_schedule_that_falls_is_refused() -> None:
    def falling(sparsity: float, stage: int, stages: int, start: float) -> float:
        return [0.8, 0.1, 0.3, sparsity][stage - 1]

    with pytest.raises(ValueError, match=r"falls from 0\.8 to 0\.1 at stage 2 of 4"):
        sparsities(falling, 0.9, 4)
