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
    """Return layers whose weights are of different sizes, masks of uneven shares, ties, and a layer that is cut off."""
    source, cases = fresh(), []
    for sizes, numbers in (([4, 5], [1, 3]), ([30, 12, 8], [5, 7, 2]), ([9, 20, 16], [8, 2, 5]), ([10, 6], [0, 4])):
        scale = torch.cat([torch.full((size,), 3.0**-i) for i, size in enumerate(sizes)])
        weights = (scale * (0.1 + torch.randn(sum(sizes), generator=source))).double()
        while True:
            kept = _largest(torch.rand(sum(sizes), generator=source), numbers, sizes)
            if not torch.equal(kept, _right(weights, kept, sizes)):
                break
        cases.append((weights, kept, list(sizes)))
    # Before the layer that is cut off, at which a threshold may stop.
    return [*cases[:-1], _tied(source), cases[-1]]


def _tied(source: torch.Generator) -> tuple[Tensor, Tensor, list[int]]:
    """Return two layers in which some weights stay and others go that are just as large."""
    parts = [scale * (1 + torch.arange(1, 13) // 4) for scale in (1.0, 0.25)]
    signs = 1 - 2 * (torch.arange(12) % 2)
    weights = torch.cat([(signs * part)[torch.randperm(12, generator=source)] for part in parts]).double()
    return weights, torch.cat([torch.arange(12) < 6, torch.arange(12) % 6 == 0]), [12, 12]


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
    threshold: Weights of equal size tie at the border, and a threshold keeps all of them or none, so the number is
        wrong. Choose by position instead, as topk(k).indices does.
    counts: In some layer, your mask keeps a different number of weights from `kept`. Add up each layer's True entries,
        and compare.
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
    if found[0].shape != kept.shape or found[0].dtype != torch.bool:
        return {}
    return {
        "threshold": _by_threshold(found[0], weights, kept, sizes),
        "counts": _numbers(found[0], sizes) != _numbers(kept, sizes),
    }


def _by_threshold(found: Tensor, weights: Tensor, kept: Tensor, sizes: list[int]) -> bool:
    """Return whether each layer is cut at the size of the last weight that may stay, or of the first that goes."""
    for size, mask, k in zip(weights.abs().split(sizes), found.split(sizes), _numbers(kept, sizes), strict=True):
        in_order = size.sort(descending=True).values
        last, first = in_order[k - 1], in_order[min(k, len(size) - 1)]  # at k = 0 the last is the smallest of all
        if not any(mask.equal(cut) for cut in (size >= last, size > first)):
            return False
    return True


def _same(found: Tensor, wanted: Tensor, weights: Tensor, kept: Tensor, sizes: list[int]) -> bool:
    """Return whether two masks agree but for weights of equal size, of which any may stay."""
    if found.shape != wanted.shape or found.dtype != torch.bool:
        return False
    layers = zip(weights.abs().split(sizes), found.split(sizes), wanted.split(sizes), strict=True)
    return all(size[one].sort().values.equal(size[other].sort().values) for size, one, other in layers)


register("same shares", Exercise(_right, _cases, _wrong, _WORDS, ("the mask",), signs=_signs, same=_same))
