"""What a few seeds can say: intervals, paired comparisons, rank correlations and their ceiling.

The rules are those of the second round in ``data/results/JUDGING.md``. In a comparison, less is better.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

FEWEST_SEEDS = 4  # for an interval; below, the seeds themselves are shown
ENTRIES = ("mean", "low", "high", "seeds", "values")  # the columns of a table that hold an interval
_LEVEL = 0.05
_FEWEST_FREE = 5  # in fewer dimensions a partial correlation of nothing is spread over nearly all of -1 to 1


@dataclass(frozen=True)
class Interval:
    """A mean over seeds with its 95 % interval by Student's t; NaN bounds below four seeds.

    Attributes
    ----------
    mean, low, high : in the unit of the values
    n : how many seeds
    values : one per seed
    """

    mean: float
    low: float
    high: float
    n: int
    values: tuple[float, ...] = ()

    @property
    def entries(self) -> tuple[float, float, float, int, tuple[float, ...]]:
        """What stands in a table's columns `ENTRIES`."""
        return self.mean, self.low, self.high, self.n, self.values

    def within(self, margin: float) -> bool:
        """Whether the whole interval lies at most this far from zero."""
        return -margin <= self.low and self.high <= margin

    def verdict(self, margin: float = 0.0) -> str:
        """Return what a difference, first less second, says of the first: better, worse, as good as, or undecided.

        A difference that is not zero is never called none, however small: better and worse go before as good as.
        """
        if self.high < 0:
            return "better"
        if self.low > 0:
            return "worse"
        return "as good as" if self.within(margin) else "undecided"

    def words(self, form: str = "#.3g", unit: str = "") -> str:
        """Return the mean and its interval, or the seeds where there is none."""
        if not self.n:
            return "not defined"
        between = f"{self.low:{form}} to {self.high:{form}}"
        if math.isnan(self.low):
            between = "seeds " + ", ".join(f"{value:{form}}" for value in self.values)
        return f"{self.mean:{form}}{unit} ({between})"


def half_width(spread: Any, n: Any) -> Any:
    """Return how far the 95 % interval of a mean reaches to each side: Student's t times spread / sqrt(n).

    Parameters
    ----------
    spread, n : deviation (n - 1) and number of seeds, single numbers or arrays; NaN below four seeds
    """
    from scipy.stats import t

    enough = np.where(np.asarray(n) < FEWEST_SEEDS, np.nan, n)
    return t.ppf(1 - _LEVEL / 2, enough - 1) * spread / np.sqrt(enough)


def interval(values: Iterable[float]) -> Interval:
    """Return the mean of values, one per seed, with its 95 % interval; values that are not defined do not count."""
    known = np.asarray([value for value in values if not math.isnan(value)], dtype=float)
    if not len(known):
        return Interval(math.nan, math.nan, math.nan, 0)
    spread = known.std(ddof=1) if len(known) > 1 else math.nan
    mean, reach = float(known.mean()), float(half_width(spread, len(known)))
    return Interval(mean, mean - reach, mean + reach, len(known), tuple(known.tolist()))


def paired(first: pd.Series, second: pd.Series) -> Interval:
    """Return the difference within each seed, first less second, of seeds that have both.

    Parameters
    ----------
    first, second : one number per seed, by seed
    """
    return interval((first - second).sort_index())


def adjusted_p(found: pd.DataFrame) -> pd.Series:
    """Return the p-values of many differences, adjusted for their number; NaN where there is no interval.

    A difference below 0.05 is among those of which, on average, at most one in twenty is none, were the comparisons
    independent. Source: Benjamini and Hochberg 1995, by SciPy.

    Parameters
    ----------
    found : mean, low and high of each difference's 95 % interval by Student's t, and seeds
    """
    from scipy.stats import false_discovery_control, t

    known = found.loc[found["low"].notna(), ["mean", "low", "high", "seeds"]].astype(float)
    half = ((known["high"] - known["low"]) / 2).to_numpy()
    with np.errstate(divide="ignore", invalid="ignore"):
        size = t.ppf(1 - _LEVEL / 2, known["seeds"] - 1) * np.abs(known["mean"].to_numpy()) / half
    p = 2 * t.sf(np.nan_to_num(size), known["seeds"] - 1)  # no difference in any seed: zero by zero
    adjusted = false_discovery_control(p) if len(p) else p
    return pd.Series(adjusted, index=known.index, dtype=float).reindex(found.index)


def spearman(a: Any, b: Any, held: Any = None) -> float:
    """Return Spearman's rank correlation of two columns [N]; NaN for fewer than three runs, or all alike.

    Parameters
    ----------
    held : [N, K], optional
        Columns held fixed: the partial rank correlation, Pearson's of what least squares on their ranks leave of the
        ranks of both. NaN where they leave fewer than five numbers that are free, or nothing.
    """
    from scipy.stats import rankdata

    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if len(a) < 3:
        return math.nan
    fixed = np.ones((len(a), 1))
    if held is not None:
        fixed = np.column_stack([fixed, rankdata(np.asarray(held, dtype=float), axis=0)])
    if len(a) - np.linalg.matrix_rank(fixed) < (2 if held is None else _FEWEST_FREE):
        return math.nan
    ranks = np.column_stack([rankdata(a), rankdata(b)])
    left = ranks - fixed @ np.linalg.lstsq(fixed, ranks, rcond=None)[0]
    sizes = np.square(left).sum(axis=0)
    if (sizes <= 1e-9 * len(a) ** 3).any():
        return math.nan
    # Without columns held it is a ratio of small whole numbers: rounding takes the noise away.
    return round(float(left[:, 0] @ left[:, 1] / np.sqrt(sizes.prod())), 12)


def ceiling(agreements: Sequence[float]) -> float:
    """Return what no correlation with a measurement can be expected to pass: the root of its mean reliability.

    Parameters
    ----------
    agreements : in each seed, the correlation of two measurements of the same runs; a mean below zero counts as none
    """
    known = [value for value in agreements if not math.isnan(value)]
    return math.sqrt(max(0.0, sum(known) / len(known))) if known else math.nan
