"""Wrong answers to exercise 4.5, a rank correlation, and the mistake that the check must name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.stats import kendalltau, rankdata, spearmanr
from torch import Tensor

Answer = Callable[..., Any]


def pearson(a: Any, b: Any) -> float:
    return float(np.corrcoef(np.asarray(a), np.asarray(b))[0, 1])


def ranked(rank: Answer, other: Answer | None = None) -> Answer:
    """Return Pearson's correlation of other ranks; of `other` ranks of the second argument."""
    return lambda a, b: pearson(rank(a), (other or rank)(b))


def products(of: Answer) -> Answer:
    """Return an answer made of the ranks less their means."""
    return lambda a, b: float(of(*(rankdata(z) - (len(z) + 1) / 2 for z in (a, b))))


def short_formula(method: str) -> Answer:
    def answer(a: Tensor, b: Tensor) -> float:
        d, n = rankdata(a, method) - rankdata(b, method), len(a)
        return float(1 - 6 * (d**2).sum() / (n * (n**2 - 1)))

    return answer


def itself_not_counted(x: Tensor) -> Tensor:
    others = (x[:, None] == x[None, :]).sum(1) - 1
    return (x[:, None] > x[None, :]).sum(1) + torch.where(others > 0, others / 2, torch.ones(len(x)))


WRONG: dict[str, list[tuple[str, Any]]] = {
    "rank correlation": [
        ("no-ranks", pearson),
        ("argsort-once", ranked(lambda z: z.argsort())),
        ("ties-in-order", ranked(lambda z: z.argsort(stable=True).argsort())),
        ("ties-in-order", ranked(lambda z: rankdata(z, "ordinal"))),
        ("ties-lowest", ranked(lambda z: (z[:, None] > z[None, :]).sum(1))),
        ("ties-highest", ranked(lambda z: (z[:, None] >= z[None, :]).sum(1))),
        ("ties-dense", ranked(lambda z: torch.unique(z, return_inverse=True)[1])),
        ("ties", ranked(itself_not_counted)),
        ("short-formula", short_formula("average")),
        ("ties-in-order", short_formula("ordinal")),
        ("kendall", lambda a, b: kendalltau(a, b).statistic),
        ("sign", ranked(rankdata, lambda z: rankdata(-z))),
        ("no-sign", lambda a, b: abs(spearmanr(a, b).statistic)),
        ("squared", lambda a, b: spearmanr(a, b).statistic ** 2),
        ("not-divided", products(lambda x, y: (x * y).sum())),
        ("covariance", products(lambda x, y: (x * y).mean())),
        ("covariance-n-minus-one", lambda a, b: np.cov(rankdata(a), rankdata(b))[0, 1]),
        ("n-over-n-minus-one", products(lambda x, y: (x * y).mean() / (x.std(ddof=1) * y.std(ddof=1)))),
        ("n-minus-one-over-n", products(lambda x, y: (x * y).sum() / (len(x) - 1) / (x.std() * y.std()))),
        ("no-root", products(lambda x, y: (x * y).sum() / ((x**2).sum() * (y**2).sum()))),
        ("not-centred", lambda a, b: (x := rankdata(a)) @ (y := rankdata(b)) / np.sqrt((x @ x) * (y @ y))),
        ("second-not-ranked", ranked(rankdata, np.asarray)),
        ("first-not-ranked", ranked(np.asarray, rankdata)),
        ("library", lambda a, b: spearmanr(a, b).statistic),
        ("library", ranked(rankdata)),
        ("library", lambda a, b: pd.Series(a.numpy()).corr(pd.Series(b.numpy()), method="spearman")),
        ("shape", spearmanr),
        ("type", lambda a, b: (torch.from_numpy(rankdata(a)), spearmanr)),
        ("other", lambda a, b: 0.123),
    ],
}
