"""Exercise 5.2: how many stages of QM a budget of backward passes buys, with exact and with sampled curvature."""

from __future__ import annotations

import math
from typing import Any

import torch

from lossprune_lib.exercises.checking import Exercise, fresh, register

Stages = tuple[float, float]


def _right(passes: int, examples: int, classes: int, columns: int) -> Stages:
    return passes // (examples * classes), passes // (examples * (1 + columns))


def _cases() -> list[tuple[int, int, int, int]]:
    """Return budgets that leave a remainder, on which rounding shows."""
    source, cases = fresh(), [(100_000, 1000, 10, 1)]
    for classes, columns in ((10, 2), (100, 3), (37, 4), (1000, 1), (5, 2)):
        examples, stages = (int(torch.randint(*ends, (1,), generator=source)) for ends in ((90, 900), (11, 60)))
        cases.append((int((stages + 0.7) * examples * classes), examples, classes, columns))
    return cases


_WORDS = """
    right: With sampled columns the price no longer depends on the number of classes. That decides what can be afforded
        with 1,000 classes.
    hint: Passes for one example: one for the gradient and one for each column. Then the passes for a stage, then
        whole stages.
    order: Exact curvature comes first, the sampled one second.
    no-gradient: QM needs the gradient too: one pass more for each example.
    a-column-too-many: The softmax of C classes has a root of C - 1 columns, so the exact curvature takes C - 1 passes.
    classes-in-both: The sampled curvature takes as many passes as columns, whatever the number of classes.
    columns-in-both: The exact curvature has C - 1 columns and does not depend on `columns`.
    gradient-alone: That is the price of LM, the gradient alone, for both. QM pays for its columns as well.
    one-example: A stage builds its model on `examples` examples, and each of them takes these passes.
    rounded-up: You rounded up, but there is no budget for a stage that is not finished.
    rounded: You rounded to the nearest number, but there is no budget for a stage that is not finished.
    not-whole: A stage is whole or not at all: round down.
"""


def _wrong(passes: int, examples: int, classes: int, columns: int) -> dict[str, Any]:
    def both(exact: int, sampled: int) -> Stages:
        return passes // (examples * exact), passes // (examples * sampled)

    exact, sampled = passes / (examples * classes), passes / (examples * (1 + columns))
    return {
        "order": _right(passes, examples, classes, columns)[::-1],
        "no-gradient": both(classes - 1, columns),
        "a-column-too-many": both(classes + 1, 1 + columns),
        "classes-in-both": both(classes, 1 + columns * (classes - 1)),
        "columns-in-both": both(1 + columns * (classes - 1), 1 + columns),
        "gradient-alone": both(1, 1),
        "one-example": (passes // classes, passes // (1 + columns)),
        "rounded-up": (math.ceil(exact), math.ceil(sampled)),
        "rounded": (round(exact), round(sampled)),
        "not-whole": (exact, sampled),
    }


register("stages within a budget", Exercise(_right, _cases, _wrong, _WORDS, ("the exact count", "the sampled count")))
