"""The check of the rank correlation in the notebook on fine-tuning."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from scipy.stats import kendalltau, rankdata, spearmanr
from torch import Tensor

from lossprune_lib.exercises.checking import Answer, Mistake, call, exercise, fresh, name_mistake, number

Pair = tuple[Tensor, Tensor]


def pearson(a: Any, b: Any) -> float:
    return float(np.corrcoef(a, b)[0, 1])


def _order(values: Any) -> Any:
    return np.argsort(np.asarray(values), kind="stable")


def _from_differences(a: Any, b: Any) -> float:
    return float(1 - 6 * ((a - b) ** 2).sum() / (len(a) * (len(a) ** 2 - 1)))


def _ranks(method: str) -> Callable[[Any, Any], float]:
    return lambda a, b: pearson(rankdata(a, method), rankdata(b, method))


_RANK_MISTAKES: dict[str, Callable[[Any, Any], float]] = {
    "That is Pearson's correlation of the numbers themselves: replace each number by its rank first.": pearson,
    "argsort gives which entry comes first, not which rank an entry has. Sort the order once more, and look after ties.": (
        lambda a, b: pearson(_order(a), _order(b))
    ),
    "Equal numbers got different ranks, by where they stand. Equal numbers share the mean of their ranks.": (
        _ranks("ordinal")
    ),
    "Equal numbers got the lowest of their ranks, as in sports. Here they share the mean of their ranks.": _ranks(
        "min"
    ),
    "Equal numbers got the highest of their ranks. Here they share the mean of their ranks.": _ranks("max"),
    "Ranks without gaps: after two equal numbers the next rank is left out. Equal numbers share the mean of the ranks that "
    "they take up together.": _ranks("dense"),
    "The ranks are right, but the short formula with 6 times the squared differences only holds without ties. Take "
    "Pearson's correlation of the ranks.": lambda a, b: _from_differences(rankdata(a), rankdata(b)),
    "The short formula with 6 times the squared differences, on ranks that ignore ties: it only holds without them.": (
        lambda a, b: _from_differences(rankdata(a, "ordinal"), rankdata(b, "ordinal"))
    ),
    "That is Kendall's tau, another rank correlation: it counts pairs in the same order.": (
        lambda a, b: float(kendalltau(a, b).statistic)
    ),
    "The sign is wrong: only one of the two is ranked from the smallest up. Rank both in the same direction.": (
        lambda a, b: -_ranks("average")(a, b)
    ),
    "The correlation is without its sign: if one falls while the other rises, it is below zero.": (
        lambda a, b: abs(_ranks("average")(a, b))
    ),
    "The correlation is squared: take it as it is.": lambda a, b: _ranks("average")(a, b) ** 2,
    "That is the covariance of the ranks: divide by both standard deviations.": (
        lambda a, b: float(np.cov(rankdata(a), rankdata(b), ddof=0)[0, 1])
    ),
    "That is the covariance of the ranks (with n - 1): divide by both standard deviations.": (
        lambda a, b: float(np.cov(rankdata(a), rankdata(b))[0, 1])
    ),
    "The covariance is divided by n and the standard deviations by n - 1, or the other way: the same in both.": (
        lambda a, b: _ranks("average")(a, b) * (len(a) - 1) / len(a)
    ),
    "The covariance is divided by n - 1 and the standard deviations by n: the same in both.": (
        lambda a, b: _ranks("average")(a, b) * len(a) / (len(a) - 1)
    ),
    "The mean rank is not taken away before multiplying: a correlation compares with the means.": (
        lambda a, b: float(
            (rankdata(a) * rankdata(b)).sum() / np.sqrt((rankdata(a) ** 2).sum() * (rankdata(b) ** 2).sum())
        )
    ),
    "That is the sum of the products, not divided: divide by the root of the product of both sums of squares.": (
        lambda a, b: float(np.cov(rankdata(a), rankdata(b))[0, 1] * (len(a) - 1))
    ),
    "The root is missing: divide by the root of the product of both sums of squares.": (
        lambda a, b: float(
            _ranks("average")(a, b) / (len(a) - 1) / np.std(rankdata(a), ddof=1) / np.std(rankdata(b), ddof=1)
        )
    ),
    "Only the first argument is ranked: rank both.": lambda a, b: pearson(rankdata(a), b),
    "Only the second argument is ranked: rank both.": lambda a, b: pearson(a, rankdata(b)),
}


@exercise("rank correlation")
def rank_correlation(answer: Answer) -> str:
    source = fresh()
    cases, wrong = [], []
    pairs = [
        *(_distinct(size, source) for size in (11, 12, 13)),
        *(_tied(size, levels, source) for size, levels in ((9, 4), (14, 5), (7, 3), (20, 6))),
    ]
    pairs[4] = pairs[4][0], -pairs[4][1]  # one that rises, so that a lost sign is told from a turned one
    for a, b in pairs:
        found = number(call(answer, a, b), "The correlation")
        cases.append((found, {name: of(a.numpy(), b.numpy()) for name, of in _RANK_MISTAKES.items()}))
        wrong.append(not near(found, float(spearmanr(a, b).statistic)))
    if any(wrong[:3]):
        name_mistake(cases, near)
        name_mistake(cases[:3], near)  # how ties are sorted is open, so mistakes that sort agree without ties only
    if any(wrong):
        name_mistake(cases, near)
        small = torch.tensor([1.0, 2.0, 2.0, 5.0]).double(), torch.tensor([3.0, 1.0, 7.0, 7.0]).double()
        first = "" if any(wrong[:3]) else "Right without ties, but equal numbers must share the mean of their ranks. "
        raise Mistake(
            f"{first}For [1, 2, 2, 5] and [3, 1, 7, 7], whose ranks are [1, 2.5, 2.5, 4] and [2, 1, 3.5, 3.5], it should be "
            f"{spearmanr(*small).statistic:.4f}; yours gives {number(call(answer, *small), 'The correlation'):.4f}."
        )
    return (
        "It is one for any rising curve, however bent: only the order counts, and equal numbers share their mean rank."
    )


def near(a: float, b: float) -> bool:
    return abs(a - b) < 1e-4


def _distinct(size: int, source: torch.Generator) -> Pair:
    """Return numbers without ties, in a falling and curved relation."""
    while True:
        a, noise = torch.randn(2, size, generator=source, dtype=torch.float64)
        b = (0.7 * noise - a) ** 3
        if spearmanr(a, b).statistic < -0.2:
            return a, b


def _tied(size: int, levels: int, source: torch.Generator) -> Pair:
    """Return numbers with ties, some below zero, in a falling and curved relation, with a correlation."""
    while True:
        a = torch.randint(-levels, levels, (size,), generator=source).double()
        b = torch.randint(-levels, levels, (size,), generator=source).double() - a
        a, b = (a / levels).exp() * 3 - 2, (b / levels) ** 3
        if a.unique().numel() > 2 and b.unique().numel() > 2 and spearmanr(a, b).statistic < -0.2:
            return a, b
