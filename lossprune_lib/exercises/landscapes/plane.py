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
        (0.3 * first - 1.7 * second, first, second),  # lies in the plane
        (-weights * (one | other), -weights * one, -weights * other),
    ]


_WORDS = """
    right: The network that both masks agree on is in general not in the plane of the two: the picture can only show the point nearest to it, and the distance says how much is missing.
    hint: At the nearest point, what is left of the step is at right angles to both steps: that gives two equations.
    nan: Your distance is NaN. If it is the root of a difference, rounding can make that negative: take the length of what
        is left of the step instead.
    swapped: Your a and b are swapped: a belongs to `first`, b to `second`.
    each-alone: You project on each step alone. That is right only if they are at right angles: solve for both together.
    products: These are bare products of the steps. Two equations in a and b remain to be solved.
    lengths-alone: These are lengths of projections on each step alone. Coordinates are shares of the steps, and must be
        solved for together.
    lengths: Your coordinates are lengths. At the end of `first`, a is 1, however long it is.
    stepwise: b is right, but a is that of a projection on `first` alone: when b times `second` is taken away, a changes.
    in-turn: You project on `first`, then what is left on `second`. Taking away the second changes the first again: solve for
        both together.
    sum-to-one: Your a and b are scaled to add up to 1. Those of the nearest point need not: leave them as they are.
    right-angles: These are coordinates along two axes at right angles. What is asked for are shares of `first` and `second`
        themselves.
    sign: Your coordinates have the wrong sign.
    cosines: These are cosines of angles. Coordinates are shares of the steps.
    from-first: You measure from the end of `first`: all three steps start at θ, the origin.
    corner: (1, 1) is where both steps are added up. Weights that both steps move would move twice there: find the nearest
        point instead.
    middle: (0.5, 0.5) is the middle between both ends. The nearest point depends on the step: solve for it.
    each-alone-swapped: You project on each step alone, and a and b are swapped: solve for both together.
    distance-squared: Your distance is squared: the square root is missing.
    distance-from-origin: This is the length of the step, its distance from θ. What is asked for is its distance from the plane.
    length-of-a-b: This is the length of (a, b). Build the point a first + b second [D], and see how far the step is from it.
    share: This is a share of the step's length: what is asked for is the distance itself.
    mean-square: This is a root mean square: a distance takes the sum over all D coordinates, not the mean.
    sum-of-sizes: You add up the sizes of what is left. A distance is the root of the sum of squares.
    signed-sum: You add up what is left with its signs. A distance is the root of the sum of squares.
    difference-of-lengths: Lengths of vectors do not subtract. Subtract the vectors first, then take the length.
    distance-of-point: This is how far the nearest point is from θ. What is asked for is how far the step is from that point.
    distance-from-corner: This is the distance from the corner (1, 1): use your own a and b.
    distance-from-ends: This is the distance from the end of `first` or `second`. Take the nearest point of the plane.
    zero: A distance of zero would mean that the step lies in the plane. Subtract a first + b second from it, and measure
        what is left.
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
        "from-first": (a - 1, b),
        "corner": (1.0, 1.0),
        "middle": (0.5, 0.5),
        "each-alone-swapped": alone[::-1],
    }
    distances = {
        "distance-squared": distance**2,
        "distance-from-origin": size,
        "length-of-a-b": torch.hypot(a, b),
        "share": distance / size,
        "mean-square": distance / math.sqrt(len(step)),
        "sum-of-sizes": rest.abs().sum(),
        "signed-sum": rest.sum(),
        "difference-of-lengths": size - point.norm(),
        "distance-of-point": point.norm(),
        "distance-from-corner": (step - first - second).norm(),
        "distance-from-ends": torch.minimum((step - first).norm(), (step - second).norm()),
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
        "nan": bool(found[2].isnan().all()),
        "right-angles": all(near(x.abs(), y.abs()) for x, y in zip(found, axes, strict=False)),
    }


register("in the plane", Exercise(_right, _cases, _wrong, _WORDS, ("a", "b", "the distance"), signs=_signs))
