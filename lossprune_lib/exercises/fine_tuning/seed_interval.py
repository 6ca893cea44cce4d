"""Exercise 4.4: a bootstrap interval over seeds. Change and gap are [S, R], one row for each seed."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy.stats import rankdata
from torch import Tensor

from lossprune_lib.exercises.answers import near
from lossprune_lib.exercises.checking import Exercise, fresh, register

Interval = tuple[float, float]


def _pearson(a: Any, b: Any) -> Any:
    """Return the correlations along the last axis, NaN where all numbers are equal."""
    x, y = (np.asarray(z) - np.mean(np.asarray(z), -1, keepdims=True) for z in (a, b))
    with np.errstate(invalid="ignore", divide="ignore"):
        return (x * y).sum(-1) / np.sqrt((x**2).sum(-1) * (y**2).sum(-1))


def _spearman(a: Any, b: Any) -> Any:
    return _pearson(rankdata(a, axis=-1), rankdata(b, axis=-1))


def _ends(values: Any, low: float = 2.5, high: float = 97.5) -> Interval:
    ends = np.percentile(values, [low, high])
    return float(ends[0]), float(ends[1])


def _right(change: Tensor, gap: Tensor, drawn: Tensor) -> Interval:
    return _ends(_spearman(change, gap)[drawn.numpy()].mean(1))


def _cases() -> list[tuple[Tensor, Tensor, Tensor]]:
    """Return seeds that differ in level and in correlation, along a curve."""
    source, cases = fresh(), []
    # 40 k + 1 draws: then both percentiles fall on a draw, and all ways to read them off agree.
    for seeds, runs, draws in ((9, 30, 161), (7, 25, 121), (5, 40, 81), (8, 20, 201)):
        level = torch.arange(seeds, dtype=torch.float64)[:, None]
        change, noise = torch.rand(2, seeds, runs, generator=source, dtype=torch.float64)
        gap = (0.5 * level - 1) * change**3 + noise - 3 * level
        drawn = torch.randint(seeds, (draws, seeds), generator=source)
        cases.append((change**3 + 2 * level, (20 * gap).round() / 20, drawn))
    return cases


_WORDS = """
    right: The seeds were drawn again, each with all of its runs: the interval says where the mean of other seeds might
        fall.
    hint: Take one rank correlation for each seed, the mean of each draw of seeds, then percentiles of these means.
    turned-round: That is the interval turned round: return the lower end first.
    ninety-per-cent: Between the 5th and 95th percentiles lie 90 % of the draws. For 95 %, leave out 2.5 % at each end.
    upper-end-only: You leave out 5 % at the upper end only: for 95 %, leave out 2.5 % at each end.
    lower-end-only: You leave out 5 % at the lower end only: for 95 %, leave out 2.5 % at each end.
    ninety-nine-per-cent: Those are the 0.5th and 99.5th percentiles: for 95 %, leave out 2.5 % at each end.
    quantile-for-percentile: np.percentile counts from 0 to 100, unlike np.quantile: you took 0.025 % and 0.975 %.
    extremes: Those are the smallest and largest of the draws: for 95 %, leave out 2.5 % at each end.
    of-seeds: Those are percentiles of the seeds' correlations, which say where a single seed may fall. Draw seeds, take
        the mean of each draw, then percentiles of the means.
    no-mean: The drawn correlations are not averaged: take the mean of each draw first, then percentiles of the means.
    wrong-axis: You took the mean over the wrong axis: take one mean for each draw, over its seeds.
    median: You took the median of each draw, but the mean is asked for.
    sum: You took the sum of each draw: take the mean.
    pearson: You took the correlation of the numbers themselves (Pearson): take Spearman's, of the ranks.
    normal-of-draws: That is the mean ± 1.96 standard deviations of the draws: take percentiles, which need no symmetry.
    normal-of-seeds: That is the mean ± 1.96 standard errors: take percentiles of the draws, which need no symmetry.
    pooled: The runs of all seeds were pooled before ranking. Seeds differ in level, so that ranks seeds, not runs: take
        one correlation within each seed, then the mean.
    across-seeds: You correlated across seeds, run by run or of their means. The question is about the runs of one seed:
        take one correlation for each row of change and gap.
    each-seed-once: Each drawn seed counts once, however often it was drawn. Drawn twice, it must count twice.
    drawn-as-runs: The drawn numbers were used to choose runs. They are seeds: rows of change and gap.
    undefined: An end is NaN: somewhere you correlate numbers that are all equal. Does `drawn` choose runs? It holds
        seeds.
    runs-drawn: Your interval looks as if runs had been drawn, not seeds. Runs of one seed share a network, so they are
        not independent: draw whole seeds, with `drawn`.
    own-draws: Close, but use the given draws, so that the check can follow, and the 2.5th and 97.5th percentiles.
"""


def _wrong(change: Tensor, gap: Tensor, drawn: Tensor) -> dict[str, Interval]:
    each, seeds = _spearman(change, gap), drawn.numpy()
    means = each[seeds].mean(1)

    def around(values: Any, width: float) -> Interval:
        return float(np.mean(values) - width), float(np.mean(values) + width)

    return {
        "turned-round": _ends(means)[::-1],
        "ninety-per-cent": _ends(means, 5, 95),
        "upper-end-only": _ends(means, 0, 95),
        "lower-end-only": _ends(means, 5, 100),
        "ninety-nine-per-cent": _ends(means, 0.5, 99.5),
        "quantile-for-percentile": _ends(means, 0.025, 0.975),
        "extremes": _ends(means, 0, 100),
        "of-seeds": _ends(each),
        "no-mean": _ends(each[seeds]),
        "wrong-axis": _ends(each[seeds].mean(0)),
        "median": _ends(np.median(each[seeds], 1)),
        "sum": _ends(each[seeds].sum(1)),
        "pearson": _ends(_pearson(change, gap)[seeds].mean(1)),
        "normal-of-draws": around(means, 1.96 * means.std()),
        "normal-of-seeds": around(each, 1.96 * each.std(ddof=1) / len(each) ** 0.5),
        "pooled": _ends(_spearman(change[drawn].flatten(1), gap[drawn].flatten(1))),
        "each-seed-once": _ends([each[np.unique(draw)].mean() for draw in seeds]),
        "drawn-as-runs": _ends(_spearman(change[:, drawn], gap[:, drawn]).mean(0)),
    }


def _signs(found: list[Tensor], change: Tensor, gap: Tensor, drawn: Tensor) -> dict[str, bool]:
    pair = [float(end) if end.numel() == 1 else np.nan for end in found]
    runs = np.random.default_rng(0).integers(change.shape[1], size=(200, change.shape[1]))
    right, rough = _right(change, gap, drawn), _ends(np.nan_to_num(_spearman(change[:, runs], gap[:, runs])).mean(0))
    off, off_rough = (np.abs(np.subtract(pair, ends)).max() for ends in (right, rough))
    across = _spearman(change.T, gap.T)[drawn.numpy()].mean(1), _spearman(change.mean(1)[drawn], gap.mean(1)[drawn])
    return {
        "across-seeds": any(near(torch.tensor(pair), _ends(values)) for values in across),
        "undefined": any(bool(end.isnan().any()) for end in found),
        "runs-drawn": bool(off_rough < min(off, 0.5 * (rough[1] - rough[0]))),
        "own-draws": bool(off < 0.3 * (right[1] - right[0])),
    }


register(
    "interval over seeds", Exercise(_right, _cases, _wrong, _WORDS, ("the lower end", "the upper end"), signs=_signs)
)
