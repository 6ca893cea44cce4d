"""The checks of the exercises on directions and planes in notebook landscapes, and what all of its checks share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lossprune_lib.exercises.checking import Answer, Mistake, call, close, exercise, number, tensor
from lossprune_lib.seeds import generator

Diagnoses = Sequence[tuple[Any, str]]  # what a mistake would give, and what it is


def named(found: Tensor | float, diagnoses: Diagnoses) -> None:
    """Raise the Mistake that would have given what was found."""
    for value, text in diagnoses:
        if close(found, value, 1e-3):
            raise Mistake(text)


def numbers(result: Any, many: int, what: str) -> list[float]:
    """Return the numbers that a function gave, as a tuple, list or tensor of them."""
    try:
        parts = list(result)
    except TypeError:
        parts = [result]
    if len(parts) != many:
        raise Mistake(f"Your function must return {many} numbers, {what}, but it returns {len(parts)}.")
    return [number(part, f"Number {i} of {what}") for i, part in enumerate(parts, start=1)]


def short(values: Sequence[float] | Tensor) -> str:
    return "(" + ", ".join(f"{float(value):.4g}" for value in values) + ")"


@exercise("filter normalisation")
def _filter_normalisation(answer: Answer) -> str:
    draws = generator(0, "exercise", "filters")
    for shape in ((2, 3), (5, 5), (30, 8), (6, 3, 3, 3), (4, 2, 1, 5)):
        direction = torch.randn(shape, generator=draws, dtype=torch.float64)
        scale = torch.logspace(-2, 1, shape[0], dtype=torch.float64)[torch.randperm(shape[0], generator=draws)]
        weight = torch.randn(shape, generator=draws, dtype=torch.float64) * scale.view(-1, *[1] * (len(shape) - 1))
        if shape[0] > 4:
            weight[2] = 0  # a unit of which every weight is pruned
        _one_filter(answer, direction, weight)
    return (
        "Now each unit's part of the direction is as long as the unit's own weights, so no layer is shaken harder than its "
        "size allows, and a pruned unit stays where it is."
    )


def _one_filter(answer: Answer, direction: Tensor, weight: Tensor) -> None:
    dead = weight.flatten(1).abs().sum(1) == 0
    result = call(answer, direction, weight)
    if isinstance(result, Tensor) and result.shape == weight.shape and result[dead].isnan().any():
        raise Mistake(
            "Your direction is NaN where all weights of a unit are zero: something divides by the length of that row. Such a "
            "unit gets zeros."
        )
    found = tensor(result, tuple(weight.shape), "The normalised direction")

    def norms(x: Tensor, dims: tuple[int, ...]) -> Tensor:
        return x.square().sum(dims, keepdim=True).sqrt()

    inner = tuple(range(1, weight.ndim))
    d, w = norms(direction, inner), norms(weight, inner)
    right = direction / d * w
    if close(found, right):
        return
    whole, others = tuple(range(weight.ndim)), (0, *range(2, weight.ndim))
    first = direction.abs().sum(inner, keepdim=True)
    diagnoses: list[tuple[Tensor, str]] = [
        (direction, "The direction comes back as it was: each row needs a factor of its own."),
        (weight, "This is the weight itself. Keep the random direction, and change only how long its rows are."),
        (direction / d, "Your rows have length 1: the factor that makes them as long as the weight's rows is missing."),
        (direction * w, "You multiply by the length of the weight's rows, but do not divide by the direction's own first."),
        (direction / d.square() * w, "You divide by the squared length of the rows: a root is missing."),
        (direction / d * w.square(), "You multiply by the squared length of the weight's rows: a root is missing."),
        ((direction / d * w.square()) / d, "You divide by squared lengths and multiply by squared ones: roots are missing."),
        (direction / norms(direction, whole) * norms(weight, whole), "You normalise the layer as a whole. Each row (or filter) needs its own factor."),
        (direction / norms(direction, whole) * w, "The length of the direction is taken over the whole layer: it must be taken row by row."),
        (direction / d * norms(weight, whole), "The length of the weight is taken over the whole layer: it must be taken row by row."),
        (direction / norms(direction, others) * norms(weight, others), "You normalise columns: what goes out of an input. A unit's weights are a row, dimension 0."),
        (direction / d * w * d.square() / w.clamp_min(1e-30).square(), "The factor is upside down: weight's length over direction's length."),
        (direction / first * weight.abs().sum(inner, keepdim=True), "You add sizes. The length of a row is the root of the sum of squares."),
        (direction / norms(weight, inner).clamp_min(1e-30), "You divide by the weight's lengths. Divide by the direction's, and multiply by the weight's."),
        (weight / w.clamp_min(1e-30) * d, "You stretch the weight to the direction's lengths: it should be the other way round."),
        (direction * weight.abs(), "You multiply entry by entry. A row has one factor for all of its entries."),
        (direction / direction.abs() * weight.abs(), "Each entry gets the size of its weight. Only the length of a whole row should be the weight's."),
        (right + weight, "You add the weight. What is asked is the direction alone, not the point it leads to."),
        (torch.where(w == 0, direction, right), "A unit whose weights are all zero keeps its direction: it gets zeros, as its length is zero."),
        (-right, "The direction is turned around: a length is never negative, so no sign can change."),
    ]  # fmt: skip
    if weight.ndim > 2:
        rows = direction / norms(direction, (1,)) * norms(weight, (1,))
        last = direction / norms(direction, (weight.ndim - 1,)) * norms(weight, (weight.ndim - 1,))
        text = "With a convolution's weight [out, in, height, width] a filter is all but dimension 0: take the length over {}."
        diagnoses += [(rows, text.format("all three others, not over one"))]
        diagnoses += [(last, text.format("all three others, not over the last"))]
        planes = (weight.ndim - 2, weight.ndim - 1)
        diagnoses += [(direction / norms(direction, planes) * norms(weight, planes), text.format("inputs too"))]
    named(found, diagnoses)
    lengths, wanted = norms(found, inner).flatten(), w.flatten()
    if close(lengths, wanted):
        raise Mistake(
            "Your rows have the right lengths, but do not point where the given direction points: only stretch its rows."
        )
    row = int((lengths - wanted).abs().argmax())
    raise Mistake(
        f"For a weight of shape {list(weight.shape)}, row {row} of your direction has length {lengths[row]:.4g}, but the "
        f"weight's row has {wanted[row]:.4g}."
    )


@exercise("in the plane")
def _in_the_plane(answer: Answer) -> str:
    draws = generator(0, "exercise", "plane")

    def drawn(size: int) -> Tensor:
        return torch.randn(size, generator=draws, dtype=torch.float64)

    first, second = drawn(40), 3 * drawn(40)
    cases = [(torch.tensor([2.0, 1.0, 2.0]), torch.tensor([2.0, 0.0, 0.0]), torch.tensor([1.0, 2.0, 0.0]))]
    cases += [(drawn(40), first, second + 4 * first), (drawn(25), drawn(25), 0.1 * drawn(25))]
    cases += [(0.3 * first - 1.7 * second, first, second)]  # lies in the plane
    weights = drawn(200)
    gone = torch.rand(2, 200, generator=draws) < torch.tensor([[0.6], [0.5]])
    cases += [(-weights * (gone[0] | gone[1]), -weights * gone[0], -weights * gone[1])]  # the steps of masks
    for step, one, other in cases:
        _one_plane(answer, step.double(), one.double(), other.double())
    return (
        "The network that both masks agree on is in general not in the plane of the two: the picture cannot show it, only the "
        "point nearest to it, and the distance says how much is missing."
    )


def _one_plane(answer: Answer, step: Tensor, first: Tensor, second: Tensor) -> None:
    parts = numbers(_rooted(call(answer, step, first, second)), 3, "a, b and distance")
    found = torch.tensor(parts, dtype=torch.float64)
    basis = torch.stack([first, second], 1)
    a, b = torch.linalg.solve(basis.T @ basis, basis.T @ step).tolist()
    distance = (step - a * first - b * second).norm().item()
    pair, size = torch.tensor([a, b], dtype=torch.float64), step.norm().item()
    if close(found[:2], pair) and abs(found[2] - distance) <= 1e-4 * size:
        return
    one, other = first / first.norm(), second / second.norm()
    alone = torch.tensor([step @ first / (first @ first), step @ second / (second @ second)])
    upright = second - (second @ one) * one  # what Gram and Schmidt leave of the second
    stepwise = torch.tensor([alone[0], step @ upright / (upright @ upright)])
    in_turn = torch.stack([alone[0], (step - alone[0] * first) @ second / (second @ second)])
    dots = torch.stack([step @ first, step @ second])
    if not close(found[:2], pair):
        named(found[:2], [
            (pair.flip(0), "Your a and b are swapped: a belongs to `first`, b to `second`."),
            (alone, "You project on each step alone. That is right only where they are at right angles: solve for both together."),
            (dots, "These are bare products of the steps. Two equations in a and b remain to be solved."),
            (torch.stack([step @ one, step @ other]), "These are lengths of projections on each step alone. Coordinates are shares of the steps, and must be solved for together."),
            (torch.stack([a * first.norm(), b * second.norm()]), "Your coordinates are lengths. At the end of `first` a is 1, however long it is."),
            (stepwise, "b is right, but a is that of a projection on `first` alone: when b times `second` is taken away, a changes."),
            (in_turn, "You project on `first`, then what is left on `second`. Taking away the second changes the first again: solve for both together."),
            (pair / pair.sum(), "Your a and b are scaled to add up to 1. The nearest point does not: leave them as they are."),
            (torch.stack([step @ one, step @ upright / upright.norm()]), "These are coordinates along two axes at right angles. What is asked are shares of `first` and `second` themselves."),
            (-pair, "Your coordinates have the wrong sign."),
            (torch.stack([step @ one / size, step @ other / size]), "These are cosines of angles. Coordinates are shares of the steps."),
            (torch.linalg.solve(basis.T @ basis, basis.T @ (step - first)), "You measure from the end of `first`: all three steps start at θ, the origin."),
            (torch.ones(2), "(1, 1) is where both steps are added. Weights that both steps move would move twice there: find the nearest point instead."),
            (torch.full((2,), 0.5), "(0.5, 0.5) is the middle between both ends. The nearest point depends on the step: solve for it."),
        ])  # fmt: skip
        named(found[:2].flip(0), [(alone, "Each is projected alone, and they are swapped.")])
        raise Mistake(
            _plane_case(step, first, second)
            + f"a, b are {short(pair)}, but yours are {short(found[:2])}. At the nearest point, what is left of the step is "
            "at right angles to both steps: that gives two equations."
        )
    what = found[2].item()
    named(what, [
        (distance**2, "Your distance is squared: the root is missing."),
        (size, "This is the length of the step, its distance from θ. What is asked is the distance from the plane."),
        (math.hypot(a, b), "This is the length of (a, b). Build the point a first + b second [D], and see how far the step is from it."),
        (math.hypot(a - 1, b - 1), "This is a distance within the picture. Build the point a first + b second [D], and see how far the step is from it."),
        (distance / size, "This is a share of the step's length: what is asked is the distance itself."),
        (distance / math.sqrt(len(step)), "This is a root mean square: a distance takes the sum over all D coordinates, not the mean."),
        ((step - a * first - b * second).abs().sum(), "You add up the sizes of what is left. A distance is the root of the sum of squares."),
        ((step - a * first - b * second).sum(), "You add up what is left with its signs. A distance is the root of the sum of squares."),
        (abs(size - (a * first + b * second).norm().item()), "Lengths of vectors do not subtract. Subtract the vectors first, then take the length."),
        (size - (a * first + b * second).norm().item(), "Lengths of vectors do not subtract. Subtract the vectors first, then take the length."),
        ((a * first + b * second).norm(), "This is how far the nearest point is from θ. What is asked is how far the step is from that point."),
        ((step - first - second).norm(), "This is the distance from the corner (1, 1): use your own a and b."),
        (min((step - first).norm(), (step - second).norm()), "This is the distance from a mask's own end. Take the nearest point of the plane, at your a and b."),
        (0.0, "A distance of zero would mean that the step lies in the plane. Subtract a first + b second from it, and measure what is left."),
    ])  # fmt: skip
    raise Mistake(
        _plane_case(step, first, second)
        + f"the distance is {distance:.4g}, but yours is {what:.4g}; your a and b are right. "
        "Measure what is left of the step when the nearest point is taken away."
    )


def _rooted(result: Any) -> Any:
    """Refuse a distance that is NaN: the root of a squared length that rounding has made negative."""
    last = result[2] if isinstance(result, (tuple, list)) and len(result) == 3 else None
    if isinstance(last, (float, Tensor)) and torch.as_tensor(last).isnan().all():
        raise Mistake(
            "Your distance is NaN. If it is the root of a difference, rounding can make that negative: take the length of "
            "what is left of the step instead."
        )
    return result


def _plane_case(step: Tensor, first: Tensor, second: Tensor) -> str:
    if len(step) > 3:
        return f"For three random steps of {len(step)} weights "
    return f"For the step {short(step)} and the plane of {short(first)} and {short(second)} "
