"""Exercise 1.2: the length of a step."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from lossprune_lib.exercises.answers import near
from lossprune_lib.exercises.checking import Exercise, fresh, register


def _right(weights: Tensor, kept: Tensor) -> tuple[Tensor, Tensor]:
    length = weights[~kept].norm()
    return length, length / weights.norm()


def _cases() -> list[tuple[Tensor, Tensor]]:
    source = fresh()
    by_hand = torch.tensor([1.5, -2.1, 0.7, -0.4]).double()
    cases = [(by_hand, torch.tensor([False, False, True, True])), (by_hand, torch.ones(4, dtype=torch.bool))]
    for size, share in ((60, 0.5), (301, 0.9), (40, 0.1)):
        weights = torch.randn(size, generator=source).double() * torch.logspace(-1, 1, size)
        cases.append((weights, torch.rand(size, generator=source) > share))
    already = torch.randn(50, generator=source).double() * (torch.rand(50, generator=source) > 0.5)
    return [*cases, (already, torch.arange(50) < 20)]  # some of the pruned weights are zero already


_WORDS = """
    right: The step is as long as the vector of the weights that go: its square is the sum of their squares.
    hint: What does each coordinate of θ*m - θ hold?
    squared: Your length is squared: it is the sum of the squares, and the square root is missing.
    sum-of-sizes: Your length adds up the sizes of the weights. Square them first, add them up, then take the root.
    signed-sum: Your length adds up the weights with their signs. Square them first, add them up, then take the root.
    kept-weights: This is the length of the weights that are kept. The step consists of those that go.
    difference-of-lengths: Lengths of vectors do not subtract: |θ| - |θ*m| says how much shorter the vector has become.
    all-weights: This is |θ|, the length of all weights: the mask plays no part in it.
    mean-square: This is a root mean square over the pruned weights: take the sum, not the mean.
    mean-square-of-all: This is a root mean square over all weights: take the sum, not the mean.
    largest: This is the largest move of a single weight. The length takes all of them together.
    count: This counts the pruned weights, but a weight moves by its own size, not by one.
    share-first: Your first number is the share: the length comes first, then its share of |θ|.
    share-is-length: Your second number is |θ| itself: the share is the step's length divided by it.
    per-cent: Your share is in per cent: return a number between 0 and 1.
    share-squared: Your share is squared: divide lengths, not squared lengths.
    share-inverted: Your share is upside down: divide the step's length by |θ|.
    share-of-kept: You divide by the length of what is left. The share is of |θ|, of all weights before pruning.
    sparsity: Your share is the sparsity, which counts weights. The share asked for compares lengths.
    kept-share: Your share is that of the weights that are kept. Divide the step's length by |θ|.
    share-of-sizes: You divide by the sum of the weights' sizes. Divide by |θ|, the root of the sum of their squares.
"""


def _wrong(weights: Tensor, kept: Tensor) -> dict[str, Any]:
    step, left, whole = weights * ~kept, weights * kept, weights.norm()
    length, gone = step.norm(), (~kept).double().sum()
    lengths: dict[str, Any] = {
        "squared": length.square(),
        "sum-of-sizes": step.abs().sum(),
        "kept-weights": left.norm(),
        "difference-of-lengths": whole - left.norm(),
        "all-weights": whole,
        "mean-square": length / gone.sqrt(),
        "mean-square-of-all": length / math.sqrt(len(weights)),
        "largest": step.abs().max(),
        "count": gone,
        "share-first": length / whole,
    }
    shares: dict[str, Any] = {
        "share-is-length": whole,
        "per-cent": 100 * length / whole,
        "share-squared": (length / whole).square(),
        "share-inverted": whole / length,
        "share-of-kept": length / left.norm(),
        "sparsity": gone / len(weights),
        "kept-share": left.norm() / whole,
        "share-of-sizes": length / weights.abs().sum(),
    }
    return {name: (value, None) for name, value in lengths.items()} | {
        name: (length, value) for name, value in shares.items()
    }


def _signs(found: list[Tensor], weights: Tensor, kept: Tensor) -> dict[str, bool]:
    return {"signed-sum": near(found[0].abs(), weights[~kept].sum().abs())}


register("step length", Exercise(_right, _cases, _wrong, _WORDS, ("the length", "the share"), signs=_signs))
