"""Exercise 4.5: Spearman's rank correlation by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from scipy.stats import kendalltau, pearsonr, rankdata, spearmanr
from torch import Tensor

from lossprune_lib.exercises.checking import Exercise, fresh, register

Pair = tuple[Tensor, Tensor]


def _right(a: Tensor, b: Tensor) -> float:
    return float(spearmanr(a, b).statistic)


def _cases() -> list[Pair]:
    source = fresh()
    by_hand = torch.tensor([1.0, 2.0, 2.0, 5.0]).double(), torch.tensor([3.0, 7.0, 1.0, 1.0]).double()
    distinct = [_drawn(source, size) for size in (11, 12, 13)]
    tied = [_drawn(source, size, levels) for size, levels in ((9, 4), (14, 5), (7, 3), (20, 6))]
    tied[1] = tied[1][0], -tied[1][1]  # one that rises, so that a lost sign is told from a turned one
    return [by_hand, *distinct, *tied]


def _drawn(source: torch.Generator, size: int, levels: int = 0) -> Pair:
    """Return numbers in a falling and curved relation; with `levels`, there are ties."""
    while True:
        if levels:
            a, noise = torch.randint(-levels, levels, (2, size), generator=source).double()
            a, b = (a / levels).exp() * 3 - 2, ((noise - a) / levels) ** 3
        else:
            a, noise = torch.randn(2, size, generator=source, dtype=torch.float64)
            b = (0.7 * noise - a) ** 3
        if min(len(a.unique()), len(b.unique())) > 2 and _right(a, b) < -0.2:
            return a, b


_WORDS = """
    right: It is one for any rising curve, however bent: only the order counts, and equal numbers share their mean rank.
    hint: The ranks of [1, 2, 2, 5] are [1, 2.5, 2.5, 4].
    no-ranks: That is Pearson's correlation of the numbers themselves: replace each number by its rank first.
    argsort-once: argsort says which entry comes first, not which rank an entry has. Apply argsort once more.
    ties-in-order: Equal numbers got different ranks, by where they stand. They share the mean of their ranks.
    ties-lowest: Equal numbers got the lowest of their ranks, as in sports. They share the mean of their ranks.
    ties-highest: Equal numbers got the highest of their ranks. They share the mean of their ranks.
    ties-dense: Your ranks have no gaps, but equal numbers take up several ranks together, and share their mean.
    short-formula: The short formula with 6 times the squared differences only holds without ties. Take Pearson's
        correlation of the ranks.
    kendall: That is Kendall's tau, another rank correlation: it counts pairs in the same order.
    sign: The sign is wrong: only one of the two is ranked from the smallest up. Rank both in the same direction.
    no-sign: The correlation has lost its sign: if one falls while the other rises, it is below zero.
    squared: The correlation is squared: take it as it is.
    covariance: That is the covariance of the ranks: divide by both standard deviations.
    covariance-n-minus-one: That is the covariance of the ranks (with n - 1): divide by both standard deviations.
    n-over-n-minus-one: The covariance is divided by n and the standard deviations by n - 1: use the same in both.
    n-minus-one-over-n: The covariance is divided by n - 1 and the standard deviations by n: use the same in both.
    not-centred: The mean rank is not subtracted before multiplying, but a correlation compares with the means.
    not-divided: That is the sum of the products, not divided by the root of the product of both sums of squares.
    no-root: The square root is missing: divide by the root of the product of both sums of squares.
    second-not-ranked: Only the first argument is ranked: rank both.
    first-not-ranked: Only the second argument is ranked: rank both.
    library: The number is right, but scipy.stats or pandas did a part of it. Build it once by hand: the ranks, with
        their ties, then the correlation of the ranks.
    ties: Right without ties, but equal numbers must share the mean of their ranks.
"""


def _wrong(a: Tensor, b: Tensor) -> dict[str, float | None]:
    def by(rank: Callable[[Any], Any], other: Callable[[Any], Any] | None = None) -> float:
        return float(pearsonr(rank(a.numpy()), (other or rank)(b.numpy())).statistic)

    n, right, tied = len(a), _right(a, b), _tied(a, b)
    x, y = rankdata(a), rankdata(b)
    products = float(((x - x.mean()) * (y - y.mean())).sum())
    return {
        "no-ranks": by(np.asarray),
        # Where numbers tie, it depends on how they are sorted.
        "argsort-once": None if tied else by(np.argsort),
        "ties-in-order": by(lambda z: rankdata(z, "ordinal")),
        "ties-lowest": by(lambda z: rankdata(z, "min")),
        "ties-highest": by(lambda z: rankdata(z, "max")),
        "ties-dense": by(lambda z: rankdata(z, "dense")),
        "short-formula": 1 - 6 * float(((x - y) ** 2).sum()) / (n**3 - n),
        "kendall": float(kendalltau(a, b).statistic),
        "sign": -right,
        "no-sign": abs(right),
        "squared": right**2,
        "covariance": products / n,
        "covariance-n-minus-one": products / (n - 1),
        "n-over-n-minus-one": right * (n - 1) / n,
        "n-minus-one-over-n": right * n / (n - 1),
        "not-centred": float((x * y).sum() / np.sqrt((x**2).sum() * (y**2).sum())),
        "not-divided": products,
        "no-root": products / (n**2 * x.var() * y.var()),
        "second-not-ranked": by(rankdata, np.asarray),
        "first-not-ranked": by(np.asarray, rankdata),
    }


def _tied(a: Tensor, b: Tensor) -> bool:
    return min(len(a.unique()), len(b.unique())) < len(a)


register(
    "rank correlation",
    Exercise(
        _right,
        _cases,
        _wrong,
        _WORDS,
        ("the correlation",),
        signs=lambda found, a, b: {"ties": _tied(a, b)},
        by_hand=("scipy.stats", "pandas"),
    ),
)
