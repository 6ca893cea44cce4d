"""What a longer training of the dense networks changes in what pruning does to them, paired by seed."""

from __future__ import annotations

import pandas as pd

from lossprune_lib.results.findings import changes_by_seed
from lossprune_lib.results.selection import distinct, gap, of_one_curvature
from lossprune_lib.results.statistics import paired

_CASE = ["sparsity", "criterion", "control", "stages"]
# What may differ is the training alone.
_SAME = ["task", "model", "width", "train_examples", "tuning_epochs", "schedule", "batch_size", "scope"]
_SAME += ["include", "exclude"]
_NOTHING = "The tables have no pruning of one seed in common: give those of plans that differ in the training alone."


def between_trainings(shorter: pd.DataFrame, longer: pd.DataFrame) -> pd.DataFrame:
    """Return how networks that were trained for longer fare, less how those of the same seeds trained for less time do.

    Parameters
    ----------
    shorter, longer : tables of the same prunings; cases and seeds that only one of them has are left out

    Returns
    -------
    DataFrame
        sparsity, criterion, control, stages; measure; means of the shorter and the longer training; mean, low and high
        of longer less shorter; seeds. The measure is the test gap (percentage points) where both were fine-tuned, at
        their one step penalty; else the loss change (nats), each table's at its own best step penalty. The first row
        is of the dense networks' test error (percentage points), and has neither criterion nor stages.

    Raises
    ------
    ValueError
        if they differ in more than the training, were trained for the same time, have no case in common, or were
        fine-tuned at several step penalties.
    """
    both = [of_one_curvature(distinct(table)) for table in (shorter, longer)]
    _check(*both)
    seeds = set(both[0]["seed"]) & set(both[1]["seed"])  # also for the choice of the step penalty
    both = [runs[runs["seed"].isin(seeds)] for runs in both]
    if not seeds:
        raise ValueError(_NOTHING)
    tuned = all("tuned_test_error" in runs and runs["tuned_test_error"].notna().all() for runs in both)
    found = [_gaps(runs) if tuned else _changes(runs) for runs in both]
    dense = [100 * runs.drop_duplicates("seed").set_index("seed")["dense_test_error"] for runs in both]
    rows = [_row((float("nan"), "", "", 0), "dense test error", *dense)]
    measure = "test gap" if tuned else "loss change"
    rows += [_row(case, measure, found[0][case], found[1][case]) for case in found[0] if case in found[1]]
    if len(rows) == 1 or not seeds:
        raise ValueError(
            "The two tables have no pruning of one seed in common: give those of plans that differ in training alone."
        )
    return pd.DataFrame(rows, columns=[*_CASE, "measure", "shorter", "longer", "mean", "low", "high", "seeds"])


def _check(shorter: pd.DataFrame, longer: pd.DataFrame) -> None:
    for name in _SAME:
        if name in shorter and name in longer:
            first, second = ({str(value) for value in runs[name].unique()} for runs in (shorter, longer))
            if first != second:
                said = " and ".join(", ".join(sorted(values)) for values in (first, second))
                raise ValueError(f"The tables differ in more than the training: their {name} is {said}.")
    times = [int(runs["training_epochs"].iloc[0]) for runs in (shorter, longer)]
    if times[0] >= times[1]:
        raise ValueError(f"The shorter training comes first, and the longer one second, not {times[0]} and {times[1]}.")


def _gaps(runs: pd.DataFrame) -> dict[tuple[object, ...], pd.Series]:
    if runs["step_penalty"][runs["stages"] > 1].nunique() > 1:
        raise ValueError("Fine-tuned runs are compared at one step penalty, but there are several: choose one first.")
    runs = runs.assign(gap=gap(runs, "test"))
    return {case: part.set_index("seed")["gap"] for case, part in runs.groupby(_CASE, sort=False)}


def _changes(runs: pd.DataFrame) -> dict[tuple[object, ...], pd.Series]:
    return {
        (sparsity, criterion, "", stages): of_stages
        for sparsity, part in runs.groupby("sparsity", sort=False)
        for criterion, by_stages in changes_by_seed(part).items()
        for stages, of_stages in by_stages.items()
    }


def _row(case: tuple[object, ...], measure: str, shorter: pd.Series, longer: pd.Series) -> tuple[object, ...]:
    seeds = shorter.index.intersection(longer.index)
    found = paired(longer[seeds], shorter[seeds])
    return (*case, measure, shorter[seeds].mean(), longer[seeds].mean(), found.mean, found.low, found.high, found.n)
