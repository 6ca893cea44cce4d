"""Wrong answers to exercises 4.3 and 4.4, on rank correlations, and the mistake that the check must name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.stats import kendalltau, pearsonr, rankdata, spearmanr
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


def each(change: Any, gap: Any, of: Answer = spearmanr) -> np.ndarray:
    return np.array([of(x, y).statistic for x, y in zip(change, gap, strict=True)])


def ends(values: Any, low: float = 2.5, high: float = 97.5) -> tuple[float, float]:
    found = np.percentile(np.asarray(values), [low, high])
    return float(found[0]), float(found[1])


def of_draws(how: Answer = ends, mean: Answer = lambda x: x.mean(1), correlations: Answer = each) -> Answer:
    """Return an interval read off otherwise, from another summary of each draw, or from other correlations."""
    return lambda change, gap, drawn: how(mean(correlations(change, gap)[drawn.numpy()]))


def around(values: np.ndarray, width: float) -> tuple[float, float]:
    return float(values.mean() - width), float(values.mean() + width)


def of_each_draw(of: Answer) -> Answer:
    """Return an interval of one number for each draw, made of (change, gap, the seeds of the draw)."""
    return lambda change, gap, drawn: ends([of(change, gap, draw) for draw in drawn])


def runs_drawn_afresh(change: Tensor, gap: Tensor, drawn: Tensor) -> tuple[float, float]:
    means = []
    for _ in range(150):
        runs = torch.randint(change.shape[1], (change.shape[1],))
        means.append(each(change[:, runs], gap[:, runs]).mean())
    return ends(means)


def own_draws(change: Tensor, gap: Tensor, drawn: Tensor) -> tuple[float, float]:
    own = np.random.default_rng(0).integers(0, len(change), (5000, len(change)))
    return ends(each(change, gap)[own].mean(1))


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
    "interval over seeds": [
        ("ninety-per-cent", of_draws(lambda m: ends(m, 5, 95))),
        ("upper-end-only", of_draws(lambda m: ends(m, 0, 95))),
        ("lower-end-only", of_draws(lambda m: ends(m, 5, 100))),
        ("ninety-nine-per-cent", of_draws(lambda m: ends(m, 0.5, 99.5))),
        ("quantile-for-percentile", of_draws(lambda m: ends(m, 0.025, 0.975))),
        ("extremes", of_draws(lambda m: (m.min(), m.max()))),
        ("turned-round", of_draws(lambda m: ends(m)[::-1])),
        ("normal-of-draws", of_draws(lambda m: around(m, 1.96 * m.std()))),
        ("normal-of-seeds", lambda c, g, d: around(r := each(c, g), 1.96 * r.std(ddof=1) / len(r) ** 0.5)),
        ("of-seeds", lambda c, g, d: ends(each(c, g))),
        ("no-mean", of_draws(mean=lambda x: x)),
        ("wrong-axis", of_draws(mean=lambda x: x.mean(0))),
        ("median", of_draws(mean=lambda x: np.median(x, 1))),
        ("sum", of_draws(mean=lambda x: x.sum(1))),
        ("each-seed-once", lambda c, g, d: ends([each(c, g)[np.unique(draw)].mean() for draw in d])),
        ("pearson", of_draws(correlations=lambda c, g: each(c, g, pearsonr))),
        ("across-seeds", of_draws(correlations=lambda c, g: each(c.T, g.T))),
        ("across-seeds", of_each_draw(lambda c, g, d: spearmanr(c.mean(1)[d], g.mean(1)[d]).statistic)),
        ("pooled", of_each_draw(lambda c, g, d: spearmanr(c[d].flatten(), g[d].flatten()).statistic)),
        ("drawn-as-runs", of_each_draw(lambda c, g, d: each(c[:, d], g[:, d]).mean())),
        ("undefined", lambda c, g, d: (np.nan, 0.5)),
        ("runs-drawn", runs_drawn_afresh),
        ("own-draws", own_draws),
        ("parts", lambda c, g, d: float(each(c, g).mean())),
        ("parts", of_draws(lambda m: tuple(np.percentile(m, [2.5, 50, 97.5])))),
        ("parts", of_draws(lambda m: m)),
        ("other", lambda c, g, d: (-5, 5)),
    ],
}
