"""The checks on rank correlations in notebook fine_tuning, and how a mistake is told from others that look alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from scipy.stats import kendalltau, rankdata, spearmanr
from torch import Tensor

from lossprune_lib.exercises.checking import Answer, Mistake, call, exercise, number

Pair = tuple[Tensor, Tensor]


def fresh() -> torch.Generator:
    """Return a generator that gives other cases each time, and leaves the learner's own random numbers alone."""
    source = torch.Generator()
    source.seed()
    return source


def name_mistake(cases: list[tuple[Any, dict[str, Any]]], same: Callable[[Any, Any], bool]) -> None:
    """Raise the first mistake that explains what was found in every case; one case alone may fit several by chance."""
    for message in cases[0][1]:
        if all(same(found, wrong[message]) for found, wrong in cases):
            raise Mistake(message)


# ---- Exercise 4.3: rank correlation


def _pearson(a: Any, b: Any) -> float:
    return float(np.corrcoef(a, b)[0, 1])


def _order(values: Any) -> Any:
    return np.argsort(np.asarray(values), kind="stable")


def _from_differences(a: Any, b: Any) -> float:
    return float(1 - 6 * ((a - b) ** 2).sum() / (len(a) * (len(a) ** 2 - 1)))


def _ranks(method: str) -> Callable[[Any, Any], float]:
    return lambda a, b: _pearson(rankdata(a, method), rankdata(b, method))


_RANK_MISTAKES: dict[str, Callable[[Any, Any], float]] = {
    "That is Pearson's correlation of the numbers themselves: replace each number by its rank first.": _pearson,
    "argsort gives which entry comes first, not which rank an entry has. Sort the order once more, and look after ties.": (
        lambda a, b: _pearson(_order(a), _order(b))
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
    "Only the first argument is ranked: rank both.": lambda a, b: _pearson(rankdata(a), b),
    "Only the second argument is ranked: rank both.": lambda a, b: _pearson(a, rankdata(b)),
}


@exercise("rank correlation")
def rank_correlation(answer: Answer) -> str:
    source = fresh()
    cases, wrong = [], []
    pairs = [
        _distinct(11, source),
        *(_tied(size, levels, source) for size, levels in ((9, 4), (14, 5), (7, 3), (20, 6))),
    ]
    pairs[2] = pairs[2][0], -pairs[2][1]  # one that rises, so that a lost sign is told from a turned one
    for a, b in pairs:
        found = number(call(answer, a, b), "The correlation")
        cases.append((found, {name: of(a.numpy(), b.numpy()) for name, of in _RANK_MISTAKES.items()}))
        wrong.append(not _near(found, float(spearmanr(a, b).statistic)))
    if wrong[0]:
        name_mistake(cases, _near)
        name_mistake(cases[:1], _near)  # how ties are sorted is open, so mistakes that sort agree without ties only
    if any(wrong):
        name_mistake(cases, _near)
        small = torch.tensor([1.0, 2.0, 2.0, 5.0]).double(), torch.tensor([3.0, 1.0, 7.0, 7.0]).double()
        first = "" if wrong[0] else "Right without ties, but equal numbers must share the mean of their ranks. "
        raise Mistake(
            f"{first}For [1, 2, 2, 5] and [3, 1, 7, 7], whose ranks are [1, 2.5, 2.5, 4] and [2, 1, 3.5, 3.5], it should be "
            f"{spearmanr(*small).statistic:.4f}; yours gives {number(call(answer, *small), 'The correlation'):.4f}."
        )
    return (
        "It is one for any rising curve, however bent: only the order counts, and equal numbers share their mean rank."
    )


def _near(a: float, b: float) -> bool:
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


# ---- Exercise 4.4: interval over seeds


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
    pearson = np.array([_pearson(a, b) for a, b in zip(change, gap, strict=True)])
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
            pearson[drawn.numpy()].mean(1)
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
    for seeds, runs, draws in ((9, 30, 160), (7, 25, 120), (5, 40, 100)):
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
            lambda pair, wrong: all(_near(a, b) for a, b in zip(pair, wrong, strict=True)),
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
    """Return losses and gaps whose level differs between seeds, and whose correlation does too."""
    level = torch.arange(seeds, dtype=torch.float64)[:, None]
    change = torch.rand(seeds, runs, generator=source, dtype=torch.float64) + 2 * level
    noise = torch.rand(seeds, runs, generator=source, dtype=torch.float64)
    gap = (0.5 * level - 1) * (change - 2 * level) + noise - 3 * level
    return change, (20 * gap).round() / 20
