"""Means over seeds: of each configuration of a study, and of what is shown at one sparsity and number of stages."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pandas as pd

from lossprune_lib.checks import check_choice
from lossprune_lib.results.selection import CELL, gap, has_no_model, loss_change, themselves, with_intervals


def cells(table: pd.DataFrame) -> pd.DataFrame:
    """Return the mean and spread over seeds of each configuration.

    Returns
    -------
    DataFrame
        sparsity, criterion, stages, step_penalty; change (of the training loss by pruning, nats), gap and test_gap
        (after fine-tuning, percentage points; NaN for a study without it); the same with ``_spread`` (deviation, n -
        1); seeds; the bounds of the means' 95 % intervals, ``_low`` and ``_high``.
    """
    runs = themselves(table)
    measured: dict[str, Any] = {"change": loss_change(runs), "gap": math.nan, "test_gap": math.nan}
    if "tuned_valid_error" in runs and runs["tuned_valid_error"].notna().all():
        measured |= {"gap": gap(runs), "test_gap": gap(runs, "test")}
    grouped = runs.assign(**measured).groupby(CELL, sort=False)
    found = grouped[list(measured)].mean().join(grouped[list(measured)].std().add_suffix("_spread"))
    return with_intervals(found.assign(seeds=grouped.size()).reset_index(), {f"{name}_": name for name in measured})


def cell(found: pd.DataFrame, criterion: str, stages: int, step_penalty: float) -> pd.Series | None:
    """Return one configuration's row of `cells`, of one sparsity; None if it was not run.

    Criteria without a loss model depend on neither stages nor step penalty.
    """
    of_one = found[found["criterion"] == criterion]
    if not has_no_model(criterion):
        of_one = of_one[(of_one["stages"] == stages) & (of_one["step_penalty"] == step_penalty)]
    return None if of_one.empty else of_one.iloc[0]


def densities(table: pd.DataFrame) -> list[str]:
    """Return the columns that hold each layer's share of kept weights, in order: density.LAYER.

    Raises
    ------
    ValueError
        if there are none.
    """
    found = [str(name) for name in table if str(name).startswith("density.") and table[name].notna().any()]
    if not found:
        raise ValueError(
            "The table has no columns density.LAYER: give one from Study.run, Study.table or results.load."
        )
    return found


@dataclass(frozen=True, eq=False)
class View:
    """What is shown at one sparsity and number of stages; criteria without a loss model belong to each number.

    Attributes
    ----------
    runs : one row per run, with change (nats) and gap (percentage points, validation)
    cells : one row per configuration: means over seeds of change, gap and each layer's share of kept weights
    """

    sparsity: float
    stages: int
    runs: pd.DataFrame
    cells: pd.DataFrame

    @property
    def best(self) -> pd.Series:
        """The configuration with the smallest mean gap."""
        return self.cells.iloc[int(self.cells["gap"].argmin())]

    def best_kept(self, criterion: str) -> pd.Series:
        """A criterion's configuration with the smallest mean loss change."""
        check_choice(criterion, set(self.cells["criterion"]), "criterion")
        of_one = self.cells[self.cells["criterion"] == criterion]
        return of_one.iloc[int(of_one["change"].argmin())]


def views(table: pd.DataFrame) -> dict[tuple[float, int], View]:
    """Return what there is to show, by sparsity and number of stages.

    Raises
    ------
    ValueError
        if there are runs that were not fine-tuned.
    """
    runs = themselves(table).reset_index(drop=True)
    runs = runs.assign(change=loss_change(runs), gap=gap(runs))
    measured = ["change", "gap", *densities(runs)]
    fixed = runs["criterion"].map(has_no_model)
    found = {}
    for sparsity in sorted(runs["sparsity"].unique()):
        part = runs[runs["sparsity"] == sparsity]
        for stages in sorted(part["stages"][~fixed].unique()) or [1]:
            shown = part[fixed[part.index] | (part["stages"] == stages)]
            means = shown.groupby(CELL, sort=False)[measured].mean().reset_index()
            found[float(sparsity), int(stages)] = View(float(sparsity), int(stages), shown, means)
    return found
