"""How numbers are chosen from a table, as ``data/results/JUDGING.md`` says: the best over penalties and stages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from lossprune_lib import data
from lossprune_lib.checks import check_choice, check_instance
from lossprune_lib.pruning.criteria import CRITERIA
from lossprune_lib.results.statistics import half_width

CELL = ["sparsity", "criterion", "stages", "step_penalty"]
# What later tables have beside these, and what its absence means: no control, the exact curvature, the paper's width,
# the layers that are prunable by default.
ADDED: dict[str, Any] = {"control": "", "curvature_columns": 0, "width": 1.0, "include": "", "exclude": ""}
SAME = [
    "task",
    "model",
    "width",
    "train_examples",
    "training_epochs",
    "tuning_epochs",
    "schedule",
    "batch_size",
    "scope",
    "include",
    "exclude",
]


def loss_change(table: pd.DataFrame) -> pd.Series:
    """Return the size of each run's change of the mean training loss by pruning (nats)."""
    check_table(table, "true_change")
    return table["true_change"].abs().rename("loss_change")


def gap(table: pd.DataFrame, split: str = "valid") -> pd.Series:
    """Return each run's error after fine-tuning less the dense network's, in percentage points; below zero is better.

    Raises
    ------
    ValueError
        if there are runs that were not fine-tuned.
    """
    check_table(table)
    tuned = f"tuned_{check_choice(split, data.SPLITS, 'split')}_error"
    without = len(table) if tuned not in table else int(table[tuned].isna().sum())
    if without:
        raise ValueError(
            f"{without} of {len(table)} runs were not fine-tuned, so they have no gap: run a study with tuning, for "
            "example Study.grid(..., tuning=20), or leave these runs out."
        )
    check_table(table, tuned, f"dense_{split}_error")
    return (100 * (table[tuned] - table[f"dense_{split}_error"])).rename(f"{split}_gap")


def best_penalty(table: pd.DataFrame) -> pd.DataFrame:
    """Return the step penalty with the lowest mean loss change over seeds, for each sparsity, criterion and stages.

    Columns: sparsity, criterion, stages, step_penalty; mean and spread (n - 1) of the loss change over seeds (nats);
    seeds; values, one per seed; low and high of the mean's 95 % interval. Penalties that fewer seeds have finished than
    others are not chosen; of equal ones, the smallest is.
    """
    runs = themselves(table)
    changes = runs.assign(change=loss_change(runs)).groupby(CELL, sort=False)["change"]
    cells = changes.agg(mean="mean", spread="std", seeds="count", values=tuple).reset_index()
    return with_intervals(_lowest(cells, "mean", ["sparsity", "criterion", "stages"]), {"": "mean"})


def best_tuned(table: pd.DataFrame) -> pd.DataFrame:
    """Return stages and step penalty with the lowest mean validation gap over seeds, by sparsity and criterion.

    Gaps that differ by less than the tables' digits tie; of these the fewest stages count, then the smallest penalty.

    Columns: sparsity, criterion, stages, step_penalty; valid_gap, valid_spread, test_gap and test_spread (percentage
    points; the test set chooses nothing); seeds; low and high of both 95 % intervals, and one value
    per seed, as ``valid_low``, ``valid_values`` and so on.
    Raises ValueError as `gap` does.
    """
    runs = themselves(table)
    cells = (
        runs.assign(valid=gap(runs), test=gap(runs, "test"))
        .groupby(CELL, sort=False)
        .agg(
            valid_gap=("valid", "mean"),
            valid_spread=("valid", "std"),
            test_gap=("test", "mean"),
            test_spread=("test", "std"),
            valid_values=("valid", tuple),
            test_values=("test", tuple),
            seeds=("valid", "count"),
        )
    )
    cells = cells.reset_index()
    chosen = _lowest(cells.assign(rounded=cells["valid_gap"].round(4)), "rounded", ["sparsity", "criterion"])
    best = chosen.drop(columns="rounded")
    return with_intervals(best, {"valid_": "valid_gap", "test_": "test_gap"})


def with_intervals(cells: pd.DataFrame, means: Mapping[str, str]) -> pd.DataFrame:
    """Return means over seeds with the bounds of their 95 % intervals, PREFIXlow and PREFIXhigh.

    Parameters
    ----------
    cells : with the columns seeds and PREFIXspread
    means : prefix -> the column that holds the mean
    """
    found = cells
    for prefix, name in means.items():
        reach = half_width(cells[f"{prefix}spread"], cells["seeds"])
        found = found.assign(**{f"{prefix}low": cells[name] - reach, f"{prefix}high": cells[name] + reach})
    return found


def themselves(table: pd.DataFrame) -> pd.DataFrame:
    """Return the `distinct` runs of the criteria themselves, without controls and `of_one_curvature`.

    Raises
    ------
    ValueError
        as `distinct`, and if there are controls only.
    """
    runs = distinct(table)
    runs = runs[runs["control"] == ""]
    if runs.empty:
        raise ValueError("The table has controls only: put it together with the one that they are the controls of.")
    return of_one_curvature(runs)


def distinct(table: pd.DataFrame) -> pd.DataFrame:
    """Return each run once, by sparsity, criterion (as they first appear), stages, penalty, control and seed.

    Runs with different controls or kinds of curvature are different ones; a table without these columns has neither,
    and one without include or exclude is of the layers that are prunable by default.
    The index is kept.

    Raises
    ------
    ValueError
        if it is no study's table, has no rows, or mixes runs that differ in more than these: in other columns, or in
        their results alone, as with another learning rate, which no column shows.
    """
    check_table(table, *CELL, "seed")
    added = {
        name: table[name].astype(object).fillna(usual) if name in table else usual for name, usual in ADDED.items()
    }
    table = table.assign(**added).astype({name: type(usual) for name, usual in ADDED.items()})
    pruned_at_once = table[table["control"] != "gradual"]  # pruned while it is trained: there is no before
    if not pruned_at_once.empty:
        check_table(pruned_at_once, "true_change")
    mixed = [name for name in SAME if name in table and table[name].nunique(dropna=False) > 1]
    if mixed:
        raise ValueError(
            f"The table mixes runs that differ in {' and '.join(mixed)}, which do not compare: give each alone."
        )
    place = {name: i for i, name in enumerate(table["criterion"].unique())}
    run = [*CELL, "control", "curvature_columns", "seed"]
    ordered = table.sort_values(
        run, key=lambda column: column.map(place) if column.name == "criterion" else column, kind="stable"
    )
    _check_twice(ordered, run)
    return ordered.drop_duplicates(run)


def _check_twice(ordered: pd.DataFrame, run: list[str]) -> None:
    """Raise ValueError if a run is there twice with other results."""
    twice = ordered[ordered.duplicated(run, keep=False)]
    for name in (name for name in ("true_change", "tuned_valid_error", "tuned_test_error") if name in twice):
        found = twice.groupby(run)[name]
        if (found.max() - found.min() > 1e-4 * found.max().abs().clip(lower=1e-2)).any():
            raise ValueError(
                f"The table has a run twice, with different results ({name}): if they differ in what no column shows, "
                "such as a learning rate, give each alone; else keep one of each."
            )


def check_table(table: pd.DataFrame, *columns: str) -> None:
    """Raise TypeError or ValueError unless a table has runs, and some columns; measured numbers without gaps."""
    remedy = "give one from Study.run, Study.table or results.load"
    check_columns(table, columns, remedy)
    for name in columns:
        numbers = name != "criterion"
        if numbers and (not pd.api.types.is_numeric_dtype(table[name]) or table[name].isna().any()):
            raise ValueError(f"The column {name} of the table has entries that are not numbers: {remedy}.")


def check_columns(table: pd.DataFrame, columns: Sequence[str], remedy: str) -> None:
    """Raise TypeError or ValueError unless a table is one, with rows and some columns; the remedy says what to give."""
    check_instance(table, pd.DataFrame, "A table", remedy)
    missing = [name for name in columns if name not in table]
    if missing or table.empty:
        what = f"lacks the columns {', '.join(missing)}" if missing and len(table.columns) else "has no rows"
        raise ValueError(f"The table {what}: {remedy}.")


def has_no_model(criterion: str) -> bool:
    """Whether a criterion depends on neither stages nor step penalty."""
    return criterion in CRITERIA and not CRITERIA[criterion].models_loss


def of_second_order(runs: pd.DataFrame) -> pd.Series:
    """Return of each run whether its criterion depends on the curvature."""
    return runs["criterion"].isin([name for name, criterion in CRITERIA.items() if criterion.order == 2])


def of_one_curvature(runs: pd.DataFrame) -> pd.DataFrame:
    """Return runs with one kind of curvature: of several the exact one, else that with the most sampled columns."""
    second = of_second_order(runs)
    kinds = set(runs.loc[second, "curvature_columns"])
    kind = 0 if 0 in kinds else max(kinds, default=0)
    return runs[~second | (runs["curvature_columns"] == kind)]


def _lowest(cells: pd.DataFrame, column: str, within: list[str]) -> pd.DataFrame:
    complete = cells[cells["seeds"] == cells.groupby(within)["seeds"].transform("max")]
    return complete.loc[complete.groupby(within, sort=False)[column].idxmin()].reset_index(drop=True)
