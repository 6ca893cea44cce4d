"""The sparsity of each stage, from the first to the last.

A schedule is a function ``(sparsity, stage, stages, start) -> sparsity of that stage``, with stage = 1 .. stages, from
the sparsity at the start (of a mask that is given, else 0) to the final one. It is asked about a stage more than once,
so its answer must depend on nothing else. `LocalPruner` takes such a function as it is; to add one under a name, write
it below and put it into `SCHEDULES`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence

from lossprune_lib.checks import check_choice, check_float, check_int, check_sparsity

Schedule = Callable[[float, int, int, float], float]
MOST_STAGES = 10**6
_ROUNDING = 1e-9


def linear(sparsity: float, stage: int, stages: int, start: float = 0.0) -> float:
    """Each stage prunes the same number of weights."""
    return start + (sparsity - start) * stage / stages


def exponential(sparsity: float, stage: int, stages: int, start: float = 0.0) -> float:
    """Each stage keeps the same share of the weights that are left (both tables of Laurent et al. 2020).

    This is what the program of its authors runs; the formula printed in the paper's Algorithm 1 is another.
    """
    return 1 - (1 - start) * ((1 - sparsity) / (1 - start)) ** (stage / stages)


def cubic(sparsity: float, stage: int, stages: int, start: float = 0.0) -> float:
    """Large steps first and ever smaller ones (Zhu & Gupta 2017, equation 1)."""
    return start + (sparsity - start) * (1 - (1 - stage / stages) ** 3)


SCHEDULES: dict[str, Schedule] = {"linear": linear, "exponential": exponential, "cubic": cubic}


def schedule_of(given: str | Schedule) -> Schedule:
    """Return the schedule of a name, or a function if it can be one; else raise ValueError or TypeError."""
    if not callable(given):
        return SCHEDULES[check_choice(given, SCHEDULES, "schedule")]
    try:
        inspect.signature(given).bind(0.9, 1, 2, 0.0)
    except TypeError as error:
        raise TypeError(
            f"A schedule is a function (sparsity, stage, stages, start) -> sparsity of that stage, but {given!r} "
            f"cannot be called so: {error}."
        ) from error
    return given


def sparsities(schedule: str | Schedule, sparsity: float, stages: int, start: float = 0.0) -> list[float]:
    """Return the sparsity of each stage; the last is exactly `sparsity`.

    Raises
    ------
    ValueError, TypeError
        for an unknown schedule or one that falls, a sparsity outside [0, 1), or a number of stages that is no positive
        whole number.
    """
    rule = schedule_of(schedule)
    check_sparsity(sparsity)
    check_float(start, "start")
    check_stages(stages)
    return [_at_stage(rule, sparsity, stage, stages, start) for stage in range(1, stages + 1)]


def check_stages(stages: int) -> None:
    """Raise ValueError or TypeError unless there can be so many stages."""
    if check_int(stages, "stages") > MOST_STAGES:
        raise ValueError(f"stages is {stages}, but must be at most {MOST_STAGES:,}: no network gains from more.")


def group_sparsities(
    schedule: str | Schedule, final: Sequence[float], stage: int, stages: int, start: Sequence[float]
) -> list[float]:
    """Return the sparsity of each group of weights at a stage, on its way to its own, which may be 1."""
    rule, ways = schedule_of(schedule), list(zip(final, start, strict=True))
    found = {way: _at_stage(rule, way[0], stage, stages, way[1]) for way in set(ways)}  # rows are many, ways are few
    return [found[way] for way in ways]


def _at_stage(rule: Schedule, sparsity: float, stage: int, stages: int, start: float) -> float:
    if stage == stages or start >= sparsity:
        return sparsity
    found = rule(sparsity, stage, stages, start)
    if not start - _ROUNDING <= check_float(found, "What a schedule gives", least=-_ROUNDING) <= sparsity + _ROUNDING:
        raise ValueError(
            f"The schedule gives {found:g} for stage {stage} of {stages}, which is not between the sparsity {start:g} "
            f"at the start and {sparsity:g} at the end: correct {rule!r}."
        )
    before = rule(sparsity, stage - 1, stages, start) if stage > 1 else start
    if found < before - _ROUNDING:
        raise ValueError(
            f"The schedule falls from {before:g} to {found:g} at stage {stage} of {stages}, but a stage only adds to "
            f"what is pruned: let {rule!r} rise."
        )
    return found
