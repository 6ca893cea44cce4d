"""Whether keeping the loss makes a network good: rank correlations of loss change and gap, and what could explain them.

All are taken within each seed, then averaged over seeds, with the intervals of `statistics`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from lossprune_lib.checks import check_float
from lossprune_lib.results.selection import gap, has_no_model, loss_change, themselves
from lossprune_lib.results.statistics import ENTRIES, Interval, ceiling, interval, spearman
from lossprune_lib.warn import warn

_NEAR = 0.25  # of the distance from the seed's best run to MP


def rank_correlation(table: pd.DataFrame, share: float = 1.0) -> pd.DataFrame:
    """Return how well the ranking by loss change agrees with the ranking by validation gap after fine-tuning.

    Spearman's correlation within each seed, averaged over seeds, with a 95 % interval by Student's t over seeds.

    Parameters
    ----------
    share : in (0, 1]
        Of a seed's runs, the best by loss change; rounded up, at least 3, and with all that tie with the last.

    Returns
    -------
    DataFrame
        sparsity, share, runs (of all seeds), correlation, low, high, seeds, values. Seeds in which there is no
        correlation (fewer than 3 runs, or all alike) are left out, with a warning. low and high are NaN for fewer than
        4 seeds; values are one per seed.

    Raises
    ------
    TypeError, ValueError
        if it is no study's table, its runs were not fine-tuned, or share is not above 0 and at most 1.
    """
    if not 0 < check_float(share, "share") <= 1:
        raise ValueError(f"share is {share}, but must be above 0 and at most 1: write a quarter as 0.25.")
    runs = measured(table)
    rows = []
    for sparsity, part in runs.groupby("sparsity"):
        best = part[part.groupby("seed")["change"].transform(_among_best, share)]
        found = {seed: spearman(of_seed["change"], of_seed["gap"]) for seed, of_seed in best.groupby("seed")}
        undefined = [seed for seed, value in found.items() if math.isnan(value)]
        if undefined:
            warn(
                f"At sparsity {sparsity:.4g} the seeds {undefined} are left out: they have fewer than 3 runs, or all "
                "are alike in loss change or gap, and then there is no correlation."
            )
        over = interval(found.values())
        counted = int((~best["seed"].isin(undefined)).sum())
        rows.append((sparsity, share, counted, *over.entries))
    return pd.DataFrame(rows, columns=["sparsity", "share", "runs", "correlation", *ENTRIES[1:]])


@dataclass(frozen=True)
class Preserving:
    """What is known, at one sparsity, about preserving the loss: each number over seeds.

    Attributes
    ----------
    near, within : rank correlation of loss change and validation gap among a seed's runs near its best (within a
        quarter of the distance to MP), and among the runs of each criterion that models the loss, averaged over these
    near_fixed, within_fixed : the same with the layers' shares held fixed (partial rank correlation)
    near_ceiling, within_ceiling : what no correlation among these runs can be expected to pass
    near_runs : how many runs each seed has near its best
    cost : test error of the run with the smallest loss change less that of the run with the smallest validation gap
        (percentage points; runs that tie are averaged)
    rank : place by loss change, among all runs of the seed, of the run with the smallest validation gap (of runs that
        tie, the first)
    runs : how many runs each seed has
    """

    near: Interval
    within: Interval
    near_fixed: Interval
    within_fixed: Interval
    near_ceiling: float
    within_ceiling: float
    near_runs: tuple[int, ...]
    cost: Interval
    rank: Interval
    runs: int


def preserving(table: pd.DataFrame) -> Preserving:
    """Return what a fine-tuned table of one sparsity, with MP, says about preserving the loss.

    Raises
    ------
    ValueError
        if there are several sparsities, no runs of MP, or runs that were not fine-tuned.
    """
    runs = measured(table)
    if runs["sparsity"].nunique() > 1 or "mp" not in set(runs["criterion"]):
        raise ValueError("This finding is judged at one sparsity, and against MP: choose such rows of the table.")
    seeds = [part for _, part in runs.groupby("seed")]
    near = [[_near_best(part)] for part in seeds]
    modelled = ~runs["criterion"].map(has_no_model)
    within = [[own for _, own in part.groupby("criterion")] for _, part in runs[modelled].groupby("seed")]
    return Preserving(
        near=_over_seeds(near),
        within=_over_seeds(within),
        near_fixed=_over_seeds(near, fixed=True),
        within_fixed=_over_seeds(within, fixed=True),
        near_ceiling=ceiling([_mean(spearman(own["gap"], own["test_gap"]) for own in of_seed) for of_seed in near]),
        within_ceiling=ceiling([_mean(spearman(own["gap"], own["test_gap"]) for own in of_seed) for of_seed in within]),
        near_runs=tuple(len(part) for (part,) in near),
        cost=interval(_cost(part) for part in seeds),
        rank=interval(float(part["change"].rank(method="min")[_least(part, "gap")].min()) for part in seeds),
        runs=max(len(part) for part in seeds),
    )


def measured(table: pd.DataFrame) -> pd.DataFrame:
    """Return the runs of the criteria themselves with change (nats), gap and test_gap (percentage points)."""
    runs = themselves(table)
    return runs.assign(change=loss_change(runs), gap=gap(runs), test_gap=gap(runs, "test"))


def _over_seeds(parts: Iterable[Iterable[pd.DataFrame]], fixed: bool = False) -> Interval:
    """Return the correlation in each seed's parts, averaged over these, then over seeds."""

    def correlation(part: pd.DataFrame) -> float:
        shares = part[[name for name in part if str(name).startswith("density.")]].dropna(axis=1)
        return spearman(part["change"], part["gap"], shares if fixed else None)

    return interval(_mean(correlation(part) for part in of_seed) for of_seed in parts)


def _near_best(runs: pd.DataFrame) -> pd.DataFrame:
    best, mp = runs["change"].min(), runs.loc[runs["criterion"] == "mp", "change"].min()
    return runs[runs["change"] <= best + _NEAR * (mp - best)]


def _cost(runs: pd.DataFrame) -> float:
    kept, tuned = (runs.loc[_least(runs, name), "test_gap"].mean() for name in ("change", "gap"))
    return float(kept - tuned)


def _least(runs: pd.DataFrame, column: str) -> pd.Series:
    return runs[column] == runs[column].min()


def _mean(values: Iterable[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan


def _among_best(change: pd.Series, share: float) -> pd.Series:
    count = max(3, math.ceil(share * len(change) - 1e-9))
    return change <= change.nsmallest(count).max()
