"""The sparsity of each stage, from the first to the last.

A schedule is a function ``(sparsity, stage, stages) -> sparsity of that stage``, with stage = 1 .. stages, rising to
the final sparsity. To add one, write the function and put it into `SCHEDULES`.
"""

from __future__ import annotations

from collections.abc import Callable

from lossprune_lib.checks import check_choice, check_int, check_sparsity

Schedule = Callable[[float, int, int], float]
MOST_STAGES = 10**6


def linear(sparsity: float, stage: int, stages: int) -> float:
    """Each stage prunes the same number of weights."""
    return sparsity * stage / stages


def exponential(sparsity: float, stage: int, stages: int) -> float:
    """Each stage keeps the same share of the weights that are left (both tables of Laurent et al. 2020)."""
    return 1 - (1 - sparsity) ** (stage / stages)


def cubic(sparsity: float, stage: int, stages: int) -> float:
    """Large steps first and ever smaller ones (Zhu & Gupta 2017, equation 1, from zero)."""
    return sparsity * (1 - (1 - stage / stages) ** 3)


SCHEDULES: dict[str, Schedule] = {"linear": linear, "exponential": exponential, "cubic": cubic}


def sparsities(schedule: str, sparsity: float, stages: int) -> list[float]:
    """Return the sparsity of each stage; the last is exactly `sparsity`.

    Raises
    ------
    ValueError, TypeError
        for an unknown schedule, a sparsity outside [0, 1), or a number of stages that is no positive whole number.
    """
    rule = SCHEDULES[check_choice(schedule, SCHEDULES, "schedule")]
    check_sparsity(sparsity)
    if check_int(stages, "stages") > MOST_STAGES:
        raise ValueError(f"stages is {stages}, but must be at most {MOST_STAGES:,}: no network gains from more.")
    return [rule(sparsity, stage, stages) for stage in range(1, stages)] + [sparsity]


def layer_sparsities(schedule: str, final: list[float], stage: int, stages: int) -> list[float]:
    """Return the sparsity of each layer at a stage, on its way to its own; a layer may lose all of its weights."""
    rule = SCHEDULES[schedule]
    return final if stage == stages else [rule(sparsity, stage, stages) for sparsity in final]
