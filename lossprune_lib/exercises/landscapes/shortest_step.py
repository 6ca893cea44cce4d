"""Exercise 1.2: the shortest step to a sparsity."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from lossprune_lib.exercises.answers import near
from lossprune_lib.exercises.checking import Exercise, fresh, register


def _right(weights: Tensor, sparsity: float) -> tuple[Tensor, Tensor]:
    length = _by_size(weights)[: _number(weights, sparsity)].norm()
    return length, length / weights.norm()


def _by_size(weights: Tensor) -> Tensor:
    return weights[weights.abs().argsort()]


def _number(weights: Tensor, sparsity: float) -> int:
    return round(sparsity * len(weights))


def _cases() -> list[tuple[Tensor, float]]:
    source = fresh()
    by_hand = torch.tensor([1.5, -2.1, 0.7, -0.4]).double()
    cases = [(by_hand, 0.5)]
    for size, sparsity in ((60, 0.55), (301, 0.9), (301, 0.3), (40, 0.15)):
        weights = torch.randn(size, generator=source).double() * torch.logspace(-1, 1, size)
        cases.append((weights[torch.randperm(size, generator=source)], sparsity))
    already = torch.randn(50, generator=source).double() * (torch.rand(50, generator=source) > 0.2)
    # Some weights are zero already, and are among those that go; where none goes, a wrong share says nothing.
    return [*cases, (already, 0.5), (by_hand, 0.0)]


_WORDS = """
    right: To zero as many weights as the sparsity asks, nothing is shorter than to zero the smallest: each weight that
        goes adds its square. So no mask of equal sparsity has a shorter step than that of magnitude pruning.
    hint: Which weights go, if the step is to be short? What does each of them add to the squared length?
    squared: Your length is squared: it is the sum of the squares, and the square root is missing.
    sum-of-sizes: Your length adds up the sizes of the weights. Square them first, add them up, then take the root.
    signed-sum: Your length adds up the weights with their signs. Square them first, add them up, then take the root.
    kept-weights: This is the length of the weights that are kept. The step consists of those that go.
    with-signs: You sort the weights with their signs, so that the most negative ones go first. Sort them by size.
    largest-first: The largest weights go first in your answer: that is the longest step.
    as-they-stand: You remove the weights that stand first in the list. Sort them by size before you choose.
    kept-count: You remove as many weights as should be kept. The sparsity is the share that goes.
    rounded-down: You round the number of weights down. Take the nearest whole number: round(sparsity * D).
    rounded-up: You round the number of weights up. Take the nearest whole number: round(sparsity * D).
    difference-of-lengths: Lengths of vectors do not subtract: ‖θ‖ less what is left says how much shorter the vector
        has become.
    all-weights: This is ‖θ‖, the length of all weights: the sparsity plays no part in it.
    mean-square: This is a root mean square over the pruned weights: take the sum, not the mean.
    mean-square-of-all: This is a root mean square over all weights: take the sum, not the mean.
    largest: This is the largest move of a single weight. The length takes all of them together.
    count: This counts the pruned weights, but a weight moves by its own size, not by one.
    share-first: Your first number is the share: the length comes first, then its share of ‖θ‖.
    share-is-length: Your second number is ‖θ‖ itself: the share is the step's length divided by it.
    per-cent: Your share is in per cent: return a number between 0 and 1.
    share-squared: Your share is squared: divide lengths, not squared lengths.
    share-inverted: Your share is upside down: divide the step's length by ‖θ‖.
    share-of-kept: You divide by the length of what is left. The share is of ‖θ‖, of all weights before pruning.
    sparsity: Your share is the sparsity, which counts weights. The share asked for compares lengths.
    kept-share: Your share is that of the weights that are kept. Divide the step's length by ‖θ‖.
    share-of-sizes: You divide by the sum of the weights' sizes. Divide by ‖θ‖, the root of the sum of their squares.
"""


def _wrong(weights: Tensor, sparsity: float) -> dict[str, Any]:
    ordered, number, whole = _by_size(weights), _number(weights, sparsity), weights.norm()
    gone, left = ordered[:number], ordered[number:]
    length, kept = gone.norm(), len(weights) - number
    lengths: dict[str, Any] = {
        "squared": length.square(),
        "sum-of-sizes": gone.abs().sum(),
        "kept-weights": left.norm(),
        "with-signs": weights.sort().values[:number].norm(),
        "largest-first": ordered[kept:].norm(),
        "as-they-stand": weights[:number].norm(),
        "kept-count": ordered[:kept].norm(),
        "rounded-down": ordered[: math.floor(sparsity * len(weights))].norm(),
        "rounded-up": ordered[: math.ceil(sparsity * len(weights))].norm(),
        "difference-of-lengths": whole - left.norm(),
        "all-weights": whole,
        "mean-square": length / max(number, 1) ** 0.5,
        "mean-square-of-all": length / math.sqrt(len(weights)),
        "largest": gone.abs().max() if number else length,
        "count": torch.tensor(float(number)),
        "share-first": length / whole,
    }
    shares: dict[str, Any] = {
        "share-is-length": whole,
        "per-cent": 100 * length / whole,
        "share-squared": (length / whole).square(),
        "share-inverted": whole / length,
        "share-of-kept": length / left.norm(),
        "sparsity": number / len(weights),
        "kept-share": left.norm() / whole,
        "share-of-sizes": length / weights.abs().sum(),
    }
    return {name: (value, None) for name, value in lengths.items()} | {
        name: (length, value) for name, value in shares.items()
    }


def _signs(found: list[Tensor], weights: Tensor, sparsity: float) -> dict[str, bool]:
    gone = _by_size(weights)[: _number(weights, sparsity)]
    return {"signed-sum": near(found[0].abs(), gone.sum().abs())}


register("shortest step", Exercise(_right, _cases, _wrong, _WORDS, ("the length", "the share"), signs=_signs))
