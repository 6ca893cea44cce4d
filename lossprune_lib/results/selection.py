"""How numbers are chosen from a study's table, as ``data/results/JUDGING.md`` says: the best over penalties and stages.

A table has one row per run (see `Study.table`). Each sparsity is looked at alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lossprune_lib import data
from lossprune_lib.checks import check_choice, check_instance
from lossprune_lib.pruning.criteria import CRITERIA

if TYPE_CHECKING:
    import pandas as pd

CELL = ["sparsity", "criterion", "stages", "step_penalty"]
_SAME = ["task", "model", "train_examples", "training_epochs", "tuning_epochs", "schedule", "batch_size", "scope"]


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
    seeds. Penalties that fewer seeds have finished than others are not chosen; of equal ones, the smallest is.
    """
    runs = distinct(table)
    cells = runs.assign(change=loss_change(runs)).groupby(CELL, sort=False)["change"].agg(["mean", "std", "count"])
    cells = cells.rename(columns={"std": "spread", "count": "seeds"}).reset_index()
    return _lowest(cells, "mean", ["sparsity", "criterion", "stages"])


def best_tuned(table: pd.DataFrame) -> pd.DataFrame:
    """Return stages and step penalty with the lowest mean validation gap over seeds, by sparsity and criterion.

    Columns: sparsity, criterion, stages, step_penalty; valid_gap, valid_spread, test_gap and test_spread (percentage
    points; the test set chooses nothing); seeds. Raises ValueError as `gap` does.
    """
    runs = distinct(table)
    cells = (
        runs.assign(valid=gap(runs), test=gap(runs, "test"))
        .groupby(CELL, sort=False)
        .agg(
            valid_gap=("valid", "mean"),
            valid_spread=("valid", "std"),
            test_gap=("test", "mean"),
            test_spread=("test", "std"),
            seeds=("valid", "count"),
        )
    )
    return _lowest(cells.reset_index(), "valid_gap", ["sparsity", "criterion"])


def distinct(table: pd.DataFrame) -> pd.DataFrame:
    """Return each run once, by sparsity, criterion (as they first appear), stages, penalty and seed; the index is kept.

    Raises
    ------
    ValueError
        if it is no study's table, has no runs, or mixes runs that differ in more than these.
    """
    check_table(table, *CELL, "seed", "true_change")
    mixed = [name for name in _SAME if name in table and table[name].nunique(dropna=False) > 1]
    if mixed:
        raise ValueError(
            f"The table mixes runs that differ in {' and '.join(mixed)}, which do not compare: give each alone."
        )
    place = {name: i for i, name in enumerate(table["criterion"].unique())}
    ordered = table.sort_values(
        [*CELL, "seed"], key=lambda column: column.map(place) if column.name == "criterion" else column, kind="stable"
    )
    return ordered.drop_duplicates([*CELL, "seed"])


def check_table(table: pd.DataFrame, *columns: str) -> None:
    """Raise TypeError or ValueError unless a table has runs, and some columns; measured numbers without gaps."""
    import pandas as pd

    remedy = "give one from Study.run, Study.table or results.load"
    check_instance(table, pd.DataFrame, "A table", remedy)
    missing = [name for name in columns if name not in table]
    if missing or table.empty:
        what = f"lacks the columns {', '.join(missing)}" if missing and len(table.columns) else "has no runs"
        raise ValueError(f"The table {what}: {remedy}.")
    for name in columns:
        numbers = name != "criterion"
        if numbers and (not pd.api.types.is_numeric_dtype(table[name]) or table[name].isna().any()):
            raise ValueError(f"The column {name} of the table has entries that are no numbers: {remedy}.")


def has_no_model(criterion: str) -> bool:
    """Whether a criterion depends on neither stages nor step penalty."""
    return criterion in CRITERIA and not CRITERIA[criterion].models_loss


def _lowest(cells: pd.DataFrame, column: str, within: list[str]) -> pd.DataFrame:
    complete = cells[cells["seeds"] == cells.groupby(within)["seeds"].transform("max")]
    return complete.loc[complete.groupby(within, sort=False)[column].idxmin()].reset_index(drop=True)
