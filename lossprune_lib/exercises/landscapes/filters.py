"""Exercise 1.3: filter normalisation."""

from __future__ import annotations

import torch
from torch import Tensor

from lossprune_lib.exercises.answers import near
from lossprune_lib.exercises.checking import Exercise, fresh, register


def _norms(x: Tensor, dims: tuple[int, ...]) -> Tensor:
    return x.square().sum(dims, keepdim=True).sqrt()


def _rows(x: Tensor) -> Tensor:
    return _norms(x, tuple(range(1, x.ndim)))


def _right(direction: Tensor, weight: Tensor) -> Tensor:
    return direction / _rows(direction) * _rows(weight)


def _cases() -> list[tuple[Tensor, Tensor]]:
    source, cases = fresh(), []
    for shape in ((2, 3), (5, 5), (30, 8), (6, 3, 3, 3), (4, 2, 1, 5)):
        direction, weight = torch.randn(2, *shape, generator=source, dtype=torch.float64)
        scale = torch.logspace(-2, 1, shape[0], dtype=torch.float64)[torch.randperm(shape[0], generator=source)]
        weight *= scale.view(-1, *[1] * (len(shape) - 1))
        if shape[0] > 4:
            weight[2] = 0  # a unit of which every weight is pruned
        cases.append((direction, weight))
    return cases


_WORDS = """
    right: Each unit's part of the direction is now as long as the unit's own weights, so no layer is shaken harder than
        its size allows, and a pruned unit stays where it is.
    hint: Each row should point where the direction's row points, and be as long as the weight's row.
    nan: Where all weights of a unit are zero, your direction is NaN: you divide by the length of that row. Return
        zeros.
    unchanged: The direction comes back as it was: each row needs a factor of its own.
    weight: This is the weight itself. Keep the random direction, and change only the lengths of its rows.
    unit-length: Your rows have length 1: the factor that makes them as long as the weight's rows is missing.
    not-divided: You multiply by the length of the weight's rows, but do not divide by the direction's own first.
    divisor-squared: You divide by the squared length of the direction's rows: a root is missing.
    both-squared: You divide by squared lengths and multiply by squared lengths: both roots are missing.
    whole-layer: You normalise the layer as a whole. Each row (or filter) needs its own factor.
    direction-as-a-whole: The direction's length is taken over the whole layer: it must be taken row by row.
    weight-as-a-whole: The weight's length is taken over the whole layer: it must be taken row by row.
    columns: You normalise columns, which hold what goes out of one input. A unit's weights are a row, dimension 0.
    upside-down: Your factor is upside down: it should be the weight's length over the direction's length.
    sum-of-sizes: You add up sizes. The length of a row is the root of the sum of squares.
    divided-by-weight: You divide by the weight's lengths. Divide by the direction's, and multiply by the weight's.
    weight-stretched: You stretch the weight to the direction's lengths: it should be the other way round.
    entry-by-entry: You multiply entry by entry. A row has one factor for all of its entries.
    sizes-of-weights: Each entry gets the size of its weight. Only the length of a whole row should be the weight's.
    weight-added: You add the weight. What is asked for is the direction alone, not the point it leads to.
    zeros-keep: You leave the direction of a unit whose weights are all zero: return zeros there, as its length is zero.
    turned: The direction is turned around: a length is never negative, so no sign can change.
    one-dimension: A filter is all of [out, in, height, width] but dimension 0: take the length over all three, not one.
    last-dimension: A filter is all of [out, in, height, width] but dimension 0: take the length over more than the
        last.
    other-direction: Your rows have the right lengths, but point elsewhere: only stretch the rows of the direction.
"""


def _wrong(direction: Tensor, weight: Tensor) -> dict[str, Tensor]:
    d, w, right = _rows(direction), _rows(weight), _right(direction, weight)
    whole, inner = tuple(range(weight.ndim)), tuple(range(1, weight.ndim))

    def over(*dims: int) -> Tensor:
        return direction / _norms(direction, dims) * _norms(weight, dims)

    return {
        "unchanged": direction,
        "weight": weight,
        "unit-length": direction / d,
        "not-divided": direction * w,
        "divisor-squared": direction / d.square() * w,
        "both-squared": direction / d.square() * w.square(),
        "whole-layer": over(*whole),
        "direction-as-a-whole": direction / _norms(direction, whole) * w,
        "weight-as-a-whole": direction / d * _norms(weight, whole),
        "columns": over(0),
        "upside-down": direction * d / w,
        "sum-of-sizes": direction / direction.abs().sum(inner, keepdim=True) * weight.abs().sum(inner, keepdim=True),
        "divided-by-weight": direction / w,
        "weight-stretched": weight / w * d,
        "entry-by-entry": direction * weight.abs(),
        "sizes-of-weights": direction.sign() * weight.abs(),
        "weight-added": right + weight,
        "zeros-keep": torch.where(w == 0, direction, right),
        "turned": -right,
        "one-dimension": over(1),
        "last-dimension": over(-1),
    }


def _signs(found: list[Tensor], direction: Tensor, weight: Tensor) -> dict[str, bool]:
    if found[0].shape != weight.shape:
        return {}
    dead = _rows(weight).flatten() == 0
    return {
        "nan": bool(found[0][dead].isnan().any()),
        "other-direction": near(_rows(found[0]), _rows(weight)),
    }


register("filter normalisation", Exercise(_right, _cases, _wrong, _WORDS, ("the normalised direction",), signs=_signs))
