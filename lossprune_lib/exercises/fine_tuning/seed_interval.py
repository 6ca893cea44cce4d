"""The check of the interval over seeds in the notebook on fine-tuning."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy.stats import rankdata
from torch import Tensor

from lossprune_lib.exercises.checking import Answer, Mistake, call, exercise, fresh, name_mistake, number
from lossprune_lib.exercises.fine_tuning.rank_correlation import near, pearson

Pair = tuple[Tensor, Tensor]


def _of_seeds(change: Tensor, gap: Tensor) -> Any:
    return _along(change, gap)


def _ends(values: Any, low: float = 2.5, high: float = 97.5) -> tuple[float, float]:
    ends = np.percentile(values, [low, high])
    return float(ends[0]), float(ends[1])


def _around(values: Any, width: float) -> tuple[float, float]:
    return float(np.mean(values) - width), float(np.mean(values) + width)


def _interval_mistakes(change: Tensor, gap: Tensor, drawn: Tensor) -> dict[str, tuple[float, float]]:
    each = _of_seeds(change, gap)
    means = each[drawn.numpy()].mean(1)
    plain = np.array([pearson(a, b) for a, b in zip(change, gap, strict=True)])
    return {
        "That is the interval turned round: return the lower end first.": _ends(means)[::-1],
        "Those are the 5th and 95th percentile: between them lie 90 % of the draws. For 95 %, leave out 2.5 % at each end.": (
            _ends(means, 5, 95)
        ),
        "You leave out 5 % at the upper end only: for 95 %, leave out 2.5 % at each end.": _ends(means, 0, 95),
        "You leave out 5 % at the lower end only: for 95 %, leave out 2.5 % at each end.": _ends(means, 5, 100),
        "Those are quartiles: for 95 %, leave out 2.5 % at each end.": _ends(means, 25, 75),
        "Those are the 0.5th and 99.5th percentile: for 95 %, leave out 2.5 % at each end.": _ends(means, 0.5, 99.5),
        "np.percentile counts from 0 to 100, np.quantile from 0 to 1: you took the 0.025th and 0.975th percentile.": (
            _ends(means, 0.025, 0.975)
        ),
        "Those are the smallest and largest of the draws: for 95 %, leave out 2.5 % at each end.": _ends(means, 0, 100),
        "Those are percentiles of the seeds' correlations themselves. Where a single seed may fall is another question: draw "
        "seeds, take the mean of each draw, then percentiles of the means.": _ends(each),
        "Those are the lowest and the highest seed: the drawn correlations are not averaged. Take the mean of each draw first, "
        "then percentiles of the means.": _ends(each[drawn.numpy()]),
        "You took the mean over the wrong axis: one mean for each draw, over its seeds.": _ends(
            each[drawn.numpy()].mean(0)
        ),
        "You took the median of each draw: the mean is asked for.": _ends(np.median(each[drawn.numpy()], 1)),
        "You took the sum of each draw: take the mean.": _ends(each[drawn.numpy()].sum(1)),
        "You took each number's correlation itself (Pearson): take Spearman's, of the ranks.": _ends(
            plain[drawn.numpy()].mean(1)
        ),
        "That is mean plus and minus 1.96 standard deviations of the draws: take percentiles of the draws, which need no "
        "symmetry.": _around(means, 1.96 * means.std()),
        "That is mean plus and minus 1.96 standard errors: take percentiles of the draws, which need no symmetry.": _around(
            each, 1.96 * each.std(ddof=1) / len(each) ** 0.5
        ),
        "That is the mean plus and minus the spread over seeds: take percentiles of the draws.": _around(
            each, each.std(ddof=1)
        ),
        "All seeds' runs were thrown together before ranking. Seeds differ in level, so that ranks seeds, not runs: one "
        "correlation within each seed, then the mean.": _ends(_pooled(change, gap, drawn)),
        "You correlated across seeds, of their means or run by run. The question is about the runs of one seed: take one "
        "correlation for each row of change and gap.": _ends(
            np.nan_to_num(_along(change.mean(1)[drawn], gap.mean(1)[drawn]))
        ),
        "You correlated across seeds, run by run: take one correlation within each seed, for each row of change and gap.": (
            _ends(_along(change.T, gap.T)[drawn.numpy()].mean(1))
        ),
        "Each drawn seed counts once, however often it was drawn. Drawn twice, it counts twice: that is what makes the draws "
        "differ.": _ends([each[np.unique(seeds)].mean() for seeds in drawn.numpy()]),
        "The drawn numbers were used to choose runs. They are seeds: rows of change and gap.": _ends(
            _columns(change, gap, drawn)
        ),
    }


def _pooled(change: Tensor, gap: Tensor, drawn: Tensor) -> Any:
    return _along(change[drawn].flatten(1), gap[drawn].flatten(1))


def _columns(change: Tensor, gap: Tensor, drawn: Tensor) -> Any:
    return np.nan_to_num(_along(change[:, drawn], gap[:, drawn])).mean(0)


def _along(a: Tensor, b: Tensor) -> Any:
    """Return the rank correlations along the last axis."""
    x, y = rankdata(a, axis=-1), rankdata(b, axis=-1)
    x, y = x - x.mean(-1, keepdims=True), y - y.mean(-1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (x * y).sum(-1) / np.sqrt((x**2).sum(-1) * (y**2).sum(-1))


def _runs_resampled(change: Tensor, gap: Tensor) -> tuple[float, float]:
    """Return about what comes out when the runs of each seed are drawn again, and not the seeds."""
    source = np.random.default_rng(0)
    runs = torch.from_numpy(source.integers(change.shape[1], size=(200, change.shape[1])))
    return _ends(_columns(change, gap, runs))


@exercise("interval over seeds")
def interval_over_seeds(answer: Answer) -> str:
    source = fresh()
    cases, explained, undefined = [], None, False
    for seeds, runs, draws in ((9, 30, 160), (7, 25, 120), (5, 40, 100), (8, 20, 200)):
        change, gap = _levels(seeds, runs, source)
        drawn = torch.randint(seeds, (draws, seeds), generator=source)
        found = call(answer, change, gap, drawn)
        if isinstance(found, (Tensor, np.ndarray)):
            found = found.tolist()
        if not isinstance(found, (tuple, list)) or len(found) != 2:
            raise Mistake("Return two numbers: the lower and the upper end of the interval.")
        if any(np.isnan(float(end)) for end in found if isinstance(end, (float, Tensor))):
            undefined = True
            continue
        pair = number(found[0], "The lower end"), number(found[1], "The upper end")
        cases.append((pair, (change, gap, drawn)))
        explained = explained or _explain_interval(pair, change, gap, drawn)
    if explained:
        name_mistake(
            [(pair, _interval_mistakes(*given)) for pair, given in cases],
            lambda pair, wrong: all(near(a, b) for a, b in zip(pair, wrong, strict=True)),
        )
    if undefined:
        raise Mistake(
            "An end is nan: somewhere you correlate numbers that are all equal. If `drawn` chose runs in your function: it "
            "holds seeds, which are rows of change and gap."
        )
    if explained:
        raise Mistake(explained)
    return "The seeds were drawn again, each with all of its runs: the interval says where the mean of other seeds might fall."


def _explain_interval(pair: tuple[float, float], change: Tensor, gap: Tensor, drawn: Tensor) -> str | None:
    """Return what can be said of a wrong interval by its place and width; None if it is right."""
    each = _of_seeds(change, gap)
    means = each[drawn.numpy()].mean(1)
    # A percentile between two draws may be read off in several ways: all are right.
    low, high = (
        [float(np.percentile(means, percent, method=way)) for way in ("lower", "higher", "linear")]
        for percent in (2.5, 97.5)
    )
    if min(low) - 1e-4 <= pair[0] <= max(low) + 1e-4 and min(high) - 1e-4 <= pair[1] <= max(high) + 1e-4:
        return None
    wanted, rough = (low[2], high[2]), _runs_resampled(change, gap)
    numbers = f"`drawn` gives [{wanted[0]:.3f}, {wanted[1]:.3f}], and you return [{pair[0]:.3f}, {pair[1]:.3f}]."
    off, off_rough = (max(abs(a - b) for a, b in zip(pair, ends, strict=True)) for ends in (wanted, rough))
    if off_rough < min(off, 0.5 * (rough[1] - rough[0])):
        return (
            "Your interval looks as if runs had been drawn, not seeds. Runs of one seed share a network, so they are not "
            "independent: draw whole seeds, with `drawn`."
        )
    if off < 0.3 * (wanted[1] - wanted[0]):
        return f"Close, but use the given draws, so that the check can follow, and the 2.5th and 97.5th percentile: {numbers}"
    return f"The seeds' correlations are {np.round(each, 2).tolist()}, and their mean {each.mean():.2f}; {numbers}"


def _levels(seeds: int, runs: int, source: torch.Generator) -> Pair:
    """Return losses and gaps whose level differs between seeds, and whose correlation does too, along a curve."""
    level = torch.arange(seeds, dtype=torch.float64)[:, None]
    change = torch.rand(seeds, runs, generator=source, dtype=torch.float64) ** 3 + 2 * level
    noise = torch.rand(seeds, runs, generator=source, dtype=torch.float64)
    gap = (0.5 * level - 1) * (change - 2 * level) + noise - 3 * level
    return change, (20 * gap).round() / 20
