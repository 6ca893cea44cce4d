"""Exercise 4.2: magnitude at another mask's shares. Weights and masks are [D], the layers' sizes sum to D."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lossprune_lib.exercises.checking import Exercise, fresh, register


def _largest(scores: Tensor, numbers: list[int], sizes: list[int]) -> Tensor:
    """Return the mask of the highest scores of each layer, so many as are asked for."""
    parts = scores.split(sizes)
    return torch.cat([part.argsort(descending=True).argsort() < k for part, k in zip(parts, numbers, strict=True)])


def _numbers(kept: Tensor, sizes: list[int]) -> list[int]:
    return [int(part.sum()) for part in kept.split(sizes)]


def _right(weights: Tensor, kept: Tensor, sizes: list[int]) -> Tensor:
    return _largest(weights.abs(), _numbers(kept, sizes), sizes)


def _cases() -> list[tuple[Tensor, Tensor, list[int]]]:
    """Return layers whose weights are of different sizes, masks of uneven shares, and a layer that is cut off."""
    source, cases = fresh(), []
    for sizes, numbers in (([4, 5], [1, 3]), ([30, 12, 8], [5, 7, 2]), ([9, 20, 16], [8, 2, 5]), ([10, 6], [0, 4])):
        scale = torch.cat([torch.full((size,), 3.0**-i) for i, size in enumerate(sizes)])
        weights = (scale * (0.1 + torch.randn(sum(sizes), generator=source))).double()
        while True:
            kept = _largest(torch.rand(sum(sizes), generator=source), numbers, sizes)
            if not torch.equal(kept, _right(weights, kept, sizes)):
                break
        cases.append((weights, kept, list(sizes)))
    return cases


_WORDS = """
    right: The budget of each layer is the other mask's, and the choice within it is magnitude's. What is left between
        the two masks is the single weights.
    hint: In each layer, count what `kept` keeps, and keep as many weights, those of the largest absolute value.
    unchanged: That is the mask that was given: keep its numbers, but choose the weights by their size.
    over-all-layers: You ranked all weights together. Then the layers' shares are magnitude's own again: rank within
        each layer.
    equal-shares: Every layer keeps the same share. Count what `kept` keeps in each layer instead.
    signed: You took the largest values, so large negative weights went: take absolute values.
    smallest: You keep the smallest weights of each layer: keep the largest.
    inverted: The mask is inverted: True means that a weight is kept.
    pruned-for-kept: You keep as many weights as `kept` prunes: count its True entries.
    counts: A layer keeps another number of weights than `kept` does there. Add up each layer's True entries, and
        compare.
"""


def _wrong(weights: Tensor, kept: Tensor, sizes: list[int]) -> dict[str, Any]:
    numbers, size = _numbers(kept, sizes), weights.abs()
    share = float(kept.double().mean())
    return {
        "unchanged": kept,
        "over-all-layers": _largest(size, [sum(numbers)], [len(weights)]),
        "equal-shares": _largest(size, [round(share * n) for n in sizes], sizes),
        "signed": _largest(weights, numbers, sizes),
        "smallest": _largest(-size, numbers, sizes),
        "inverted": ~_right(weights, kept, sizes),
        "pruned-for-kept": _largest(size, [n - k for n, k in zip(sizes, numbers, strict=True)], sizes),
    }


def _signs(found: list[Tensor], weights: Tensor, kept: Tensor, sizes: list[int]) -> dict[str, bool]:
    alike = found[0].shape == kept.shape
    return {"counts": alike and _numbers(found[0], sizes) != _numbers(kept, sizes)}


register("same shares", Exercise(_right, _cases, _wrong, _WORDS, ("the mask",), signs=_signs))
