"""What a longer training of the dense networks changes in what pruning does to them, paired by seed."""

from __future__ import annotations

import pandas as pd

from lossprune_lib.results.findings import changes_by_seed
from lossprune_lib.results.selection import (
    SAME,
    check_table,
    distinct,
    gap,
    has_no_model,
    of_one_curvature,
    of_second_order,
)
from lossprune_lib.results.statistics import ENTRIES, paired

_CASE = ["sparsity", "criterion", "control", "stages"]
# What may differ is the training alone.
_SAME = [name for name in SAME if name != "training_epochs"]
_NOTHING = "The tables have no pruning of one seed in common: give those of plans that differ in the training alone."


def between_trainings(shorter: pd.DataFrame, longer: pd.DataFrame) -> pd.DataFrame:
    """Return how networks that were trained for longer fare, less how those of the same seeds trained for less time do.

    Parameters
    ----------
    shorter, longer : tables of the same prunings; cases, and seeds of a case, that only one of them has are left out

    Returns
    -------
    DataFrame
        sparsity, criterion, control, stages; measure; means of the shorter and the longer training; mean, low and high
        of longer less shorter; seeds; values, one per seed. The measure is the test gap (percentage points) where both
        were fine-tuned, at their one step penalty; else the loss change (nats), each table's at its own best step
        penalty. The first row is of the dense networks' test error (percentage points), and has neither criterion nor
        stages.

    Raises
    ------
    ValueError
        if they differ in more than the training, were trained for the same time, have no case in common, were
        fine-tuned at several step penalties, or only in part, or tried other step penalties for the same case.
    """
    for table in (shorter, longer):
        check_table(table, "training_epochs", "dense_test_error")
    both = [of_one_curvature(distinct(table)) for table in (shorter, longer)]
    tuned = _are_tuned(both)
    _check(both, tuned)
    seeds = set(both[0]["seed"]) & set(both[1]["seed"])  # also for the choice of the step penalty
    both = [runs[runs["seed"].isin(seeds)] for runs in both]
    if not seeds:
        raise ValueError(_NOTHING)
    if not tuned:
        _check_penalties(*both)
    found = [_gaps(runs) if tuned else _changes(runs) for runs in both]
    dense = [100 * runs.drop_duplicates("seed").set_index("seed")["dense_test_error"] for runs in both]
    rows = [_row((float("nan"), "", "", 0), "dense test error", *dense)]
    measure = "test gap" if tuned else "loss change"
    rows += [_row(case, measure, found[0][case], found[1][case]) for case in found[0] if case in found[1]]
    rows = [row for row in rows if row[-1]]  # of cases with a seed in common
    if len(rows) == 1:
        raise ValueError(_NOTHING)
    return pd.DataFrame(rows, columns=[*_CASE, "measure", "shorter", "longer", *ENTRIES])


def _are_tuned(tables: list[pd.DataFrame]) -> bool:
    found = pd.concat([runs.reindex(columns=["tuned_test_error"]) for runs in tables])["tuned_test_error"].notna()
    if found.nunique() > 1:
        raise ValueError("Some of the runs were fine-tuned, and others were not: give tables of one kind.")
    return bool(found.all())


def _check(both: list[pd.DataFrame], tuned: bool) -> None:
    compared = dict.fromkeys(_SAME, both)
    compared["curvature_columns"] = [runs[of_second_order(runs)] for runs in both]
    if tuned:  # else each has its own best one
        compared["step_penalty"] = [runs[~runs["criterion"].map(has_no_model)] for runs in both]
    for name, parts in compared.items():
        if all(name in part and len(part) for part in parts):
            first, second = ({str(value) for value in part[name].unique()} for part in parts)
            if first != second:
                said = " and ".join(", ".join(sorted(values)) for values in (first, second))
                raise ValueError(f"The tables differ in more than the training: their {name} is {said}.")
    times = [int(runs["training_epochs"].iloc[0]) for runs in both]
    if times[0] >= times[1]:
        raise ValueError(f"The shorter training comes first, and the longer one second, not {times[0]} and {times[1]}.")


def _check_penalties(shorter: pd.DataFrame, longer: pd.DataFrame) -> None:
    """Raise ValueError if the best step penalty of a case is chosen among others in each table."""
    cases = ["sparsity", "criterion", "stages"]
    tried = [
        {
            case: sorted(of.unique())
            for case, of in runs[~runs["criterion"].map(has_no_model)].groupby(cases)["step_penalty"]
        }
        for runs in (shorter, longer)
    ]
    for case, penalties in tried[0].items():
        others = tried[1].get(case, penalties)
        if others != penalties:
            one, other = (", ".join(f"{penalty:g}" for penalty in of) for of in (penalties, others))
            what = ", ".join(f"{name} {value}" for name, value in zip(cases, case, strict=True))
            raise ValueError(
                f"What has {what} was tried at step penalties {one} in one table and "
                f"{other} in the other, so that their best ones do not compare: leave out what one lacks."
            )


def _gaps(runs: pd.DataFrame) -> dict[tuple[object, ...], pd.Series]:
    modelled = runs[~runs["criterion"].map(has_no_model)]
    if modelled["step_penalty"].nunique() > 1 or runs.duplicated([*_CASE, "seed"]).any():
        raise ValueError("Fine-tuned runs are compared at one step penalty, but there are several: choose one first.")
    runs = runs.assign(gap=gap(runs, "test"))
    return {case: part.set_index("seed")["gap"] for case, part in runs.groupby(_CASE, sort=False)}


def _changes(runs: pd.DataFrame) -> dict[tuple[object, ...], pd.Series]:
    return {
        (sparsity, criterion, "", stages): of_stages.dropna()
        for sparsity, part in runs.groupby("sparsity", sort=False)
        for criterion, by_stages in changes_by_seed(part).items()
        for stages, of_stages in by_stages.items()
    }


def _row(case: tuple[object, ...], measure: str, shorter: pd.Series, longer: pd.Series) -> tuple[object, ...]:
    seeds = shorter.index.intersection(longer.index)
    found = paired(longer[seeds], shorter[seeds])
    return (*case, measure, shorter[seeds].mean(), longer[seeds].mean(), *found.entries)
