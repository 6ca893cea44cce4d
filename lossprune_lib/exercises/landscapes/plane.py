"""Exercise 1.5: where in the plane of two steps."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from lossprune_lib.exercises.answers import near
from lossprune_lib.exercises.checking import Exercise, fresh, register

Plane = tuple[Tensor, Tensor, Tensor]


def _right(step: Tensor, first: Tensor, second: Tensor) -> Plane:
    basis = torch.stack([first, second], 1)
    a, b = torch.linalg.solve(basis.T @ basis, basis.T @ step)
    return a, b, (step - a * first - b * second).norm()


def _cases() -> list[Plane]:
    source = fresh()

    def drawn(size: int) -> Tensor:
        return torch.randn(size, generator=source, dtype=torch.float64)

    by_hand = [torch.tensor(x).double() for x in ([2.0, 1.0, 2.0], [2.0, 0.0, 0.0], [1.0, 2.0, 0.0])]
    first, second, weights = drawn(40), 3 * drawn(40), drawn(200)
    one, other = torch.rand(2, 200, generator=source) < torch.tensor([[0.6], [0.5]])  # what two masks prune
    return [
        (by_hand[0], by_hand[1], by_hand[2]),
        (drawn(40), first, second + 4 * first),
        (drawn(25), drawn(25), 0.1 * drawn(25)),
        # Lies in the plane. The steps are short, so that in float32, too, the distance is near enough to zero.
        (0.003 * first - 0.017 * second, 0.01 * first, 0.01 * second),
        (-weights * (one | other), -weights * one, -weights * other),
    ]


_WORDS = """
    right: The network without what either mask removes is in general not in the plane of the two: the picture can only
        show the point nearest to it, and the distance says how much is missing.
    hint: At the nearest point, what is left of the step is at right angles to both steps: that gives two equations.
    residuals: Your distance is empty: lstsq gives residuals for some of its solvers only. Measure it yourself: the
        length of step - a first - b second.
    nan: Your distance is NaN. Rounding can make a difference of squares negative: take the length of what is left.
    swapped: Your a and b are swapped: a belongs to `first`, b to `second`.
    each-alone: You project on each step alone. That is right only if they are at right angles: solve for both together.
    products: These are bare products of the steps. Two equations in a and b remain to be solved.
    lengths-alone: These are lengths of projections on each step alone. Coordinates are shares: solve for both together.
    lengths: Your coordinates are lengths. At the end of `first`, a is 1, however long it is.
    stepwise: b is right, but a is that of a projection on `first` alone. Taking away b times `second` changes it.
    in-turn: You project on `first`, then what is left on `second`, which changes a again: solve for both together.
    sum-to-one: Your a and b are scaled to add up to 1. Those of the nearest point need not: leave them as they are.
    right-angles: These are coordinates along two axes at right angles. Return shares of `first` and `second`
        themselves.
    sign: Your coordinates have the wrong sign.
    cosines: These are cosines of angles. Coordinates are shares of the steps.
    corner: (1, 1) is where both steps are added up, so a weight in both moves twice. Find the nearest point instead.
    distance-squared: Your distance is squared, as the residuals of lstsq are: the square root is missing.
    distance-from-origin: This is the length of the step, its distance from θ. Return its distance from the plane.
    length-of-a-b: This is the length of (a, b). Build the point a first + b second [D], and measure from there.
    share: This is a share of the step's length: what is asked for is the distance itself.
    mean-square: This is a root mean square: a distance takes the sum over all D coordinates, not the mean.
    sum-of-sizes: You add up the sizes of what is left. A distance is the root of the sum of squares.
    difference-of-lengths: Lengths of vectors do not subtract. Subtract the vectors first, then take the length.
    distance-of-point: This is how far the nearest point is from θ. Return how far the step is from that point.
    zero: A distance of zero would mean that the step lies in the plane. Measure what is left of it.
"""


def _wrong(step: Tensor, first: Tensor, second: Tensor) -> dict[str, Any]:
    a, b, distance = _right(step, first, second)
    one, other, size = first / first.norm(), second / second.norm(), step.norm()
    alone = step @ first / first.square().sum(), step @ second / second.square().sum()
    rest, point = step - a * first - b * second, a * first + b * second
    pairs: dict[str, tuple[Any, Any]] = {
        "swapped": (b, a),
        "each-alone": alone,
        "products": (step @ first, step @ second),
        "lengths-alone": (step @ one, step @ other),
        "lengths": (a * first.norm(), b * second.norm()),
        "stepwise": (alone[0], b),
        "in-turn": (alone[0], (step - alone[0] * first) @ second / second.square().sum()),
        "sum-to-one": (a / (a + b), b / (a + b)),
        "sign": (-a, -b),
        "cosines": (step @ one / size, step @ other / size),
        "corner": (1.0, 1.0),
    }
    distances = {
        "distance-squared": distance**2,
        "distance-from-origin": size,
        "length-of-a-b": torch.hypot(a, b),
        "share": distance / size,
        "mean-square": distance / math.sqrt(len(step)),
        "sum-of-sizes": rest.abs().sum(),
        "difference-of-lengths": size - point.norm(),
        "distance-of-point": point.norm(),
        "zero": 0.0,
    }
    return {name: (*pair, None) for name, pair in pairs.items()} | {
        name: (a, b, value) for name, value in distances.items()
    }


def _signs(found: list[Tensor], step: Tensor, first: Tensor, second: Tensor) -> dict[str, bool]:
    one = first / first.norm()
    upright = second - (second @ one) * one  # what Gram and Schmidt leave of the second
    axes = (step @ one, step @ upright / upright.norm())
    return {
        "residuals": found[2].numel() == 0,
        "nan": found[2].numel() > 0 and bool(found[2].isnan().all()),
        "right-angles": all(near(x.abs(), y.abs()) for x, y in zip(found, axes, strict=False)),
    }


register("in the plane", Exercise(_right, _cases, _wrong, _WORDS, ("`a`", "`b`", "the distance"), signs=_signs))
