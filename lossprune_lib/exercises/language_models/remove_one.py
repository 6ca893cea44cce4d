"""Exercise 6.3: Optimal Brain Surgeon, one weight of a row. A row is [F], its Hessian [F, F]."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lossprune_lib.exercises.checking import Exercise, fresh, register


def _right(row: Tensor, hessian: Tensor, k: int) -> tuple[Tensor, Tensor]:
    inverse = torch.linalg.inv(hessian)
    new = row - row[k] / inverse[k, k] * inverse[:, k]
    return new.index_fill(0, torch.tensor(k), 0.0), row[k].square() / inverse[k, k] / 2


def made_up_row(features: int, source: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return a row, and the Hessian of inputs that go together."""
    row = torch.randn(features, generator=source, dtype=torch.float64)
    inputs = torch.randn(4 * features, features, generator=source, dtype=torch.float64)
    shared = torch.randn(4 * features, 1, generator=source, dtype=torch.float64)
    inputs += 3 * shared * torch.rand(features, generator=source, dtype=torch.float64).square()
    return row, inputs.T @ inputs / 10


def _cases() -> list[tuple[Tensor, Tensor, int]]:
    source = fresh()
    sizes = (3, 5, 8, 12)
    return [
        (*made_up_row(features, source), int(torch.randint(features, (1,), generator=source))) for features in sizes
    ]


_WORDS = """
    right: The weights that stay do a part of the work of the one that goes, as far as their inputs go with its input.
        Where no two inputs go together the inverse is diagonal, nothing is paid back, and the price is that of exercise
        6.1.
    hint: First the inverse. Its column k says in which proportions the row moves; scale the column so that the weight k
        becomes zero.
    the-step: That is the step. Return the new row: the old one and the step together.
    not-paid-back: You set weight k to zero and left the others as they were. They should move too.
    only-diagonal: You used the diagonal of the inverse alone, so only weight k moves. Use the whole column k.
    sign: The sign of the step is wrong: after it, weight k must be zero.
    not-divided: The step is not divided by the inverse's entry at [k, k], so weight k does not become zero.
    divided-by-hessian: You divided by the Hessian's entry at [k, k]: divide by that of its inverse.
    no-inverse: You used the column of the Hessian itself. Its inverse says how the others make up for weight k.
    entries-inverted: You inverted each entry of the Hessian. The inverse of a matrix is another thing:
        torch.linalg.inv.
    from-the-others: You moved every weight by its own size. The step is scaled by weight k.
    no-half: The increase lacks its half: the second order of an expansion has one.
    not-squared: The increase needs the square of the weight.
    without-payment: That is the increase if the others stay as they are, one half of the Hessian's [k, k] times the
        weight squared. With the others moved it is smaller.
    times-inverse: You multiplied by the inverse's entry at [k, k]: divide by it.
"""


def _wrong(row: Tensor, hessian: Tensor, k: int) -> dict[str, Any]:
    new, increase = _right(row, hessian, k)
    inverse, entries = torch.linalg.inv(hessian), 1 / hessian
    at, unit, square = inverse[k, k], torch.eye(len(row)).double()[k], row[k].square()

    def moved(step: Tensor) -> tuple[Tensor, None]:
        return row + step, None

    return {
        "the-step": (new - row, None),
        "not-paid-back": (row * (1 - unit), None),
        "sign": moved(row[k] / at * inverse[:, k]),
        "not-divided": moved(-row[k] * inverse[:, k]),
        "only-diagonal": moved(-row[k] * at * unit),
        "divided-by-hessian": moved(-row[k] / hessian[k, k] * inverse[:, k]),
        "no-inverse": moved(-row[k] / hessian[k, k] * hessian[:, k]),
        "entries-inverted": moved(-row[k] / entries[k, k] * entries[:, k]),
        "from-the-others": moved(-row / at * inverse[:, k]),
        "no-half": (new, 2 * increase),
        "not-squared": (new, row[k].abs() / at / 2),
        "without-payment": (new, square * hessian[k, k] / 2),
        "times-inverse": (new, square * at / 2),
    }


register("remove one", Exercise(_right, _cases, _wrong, _WORDS, ("the new row", "the increase")))
