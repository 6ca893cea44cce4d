"""Does sampled curvature choose as well as the exact one? By the rule of ``data/results/JUDGING.md``."""

from __future__ import annotations

from typing import Any

import pandas as pd

from lossprune_lib.results.selection import CELL, best_penalty, distinct, loss_change
from lossprune_lib.results.statistics import ENTRIES, paired

MARGIN = 0.1  # of the exact curvature's loss change


def exactness(table: pd.DataFrame) -> pd.DataFrame:
    """Return paired differences of loss change: sampled curvature less the exact one, each at its best step penalty.

    Give one step penalty's rows to compare at that one.

    Returns
    -------
    DataFrame
        sparsity, criterion, stages, curvature_columns; exact_penalty and step_penalty; exact (mean, nats); mean, low
        and high of the difference (nats); seeds; values, one per seed; verdict: "as well" if the interval lies
        within a tenth of the exact one's mean, else better, worse or undecided.

    Raises
    ------
    ValueError
        if no criterion was run with both kinds of curvature.
    """
    runs = distinct(table)
    runs = runs[runs["control"] == ""]
    kinds = sorted(runs["curvature_columns"].unique())
    of_kind = {columns: _at_best(runs[runs["curvature_columns"] == columns]) for columns in kinds}
    rows = []
    for columns, of_columns in of_kind.items():
        for place, (penalty, changes) in of_columns.items() if columns else ():
            if place not in of_kind.get(0, {}):
                continue
            exact_penalty, exact = of_kind[0][place]
            difference, mean = paired(changes, exact), float(exact.mean())
            verdict = "as well" if difference.within(MARGIN * mean) else difference.verdict()
            rows.append((*place, columns, exact_penalty, penalty, mean, *difference.entries, verdict))
    if not rows:
        raise ValueError("The table has no criterion with both kinds of curvature: give one of a study of exactness.")
    columns_of = [*CELL[:-1], "curvature_columns", "exact_penalty", "step_penalty"]
    return pd.DataFrame(rows, columns=[*columns_of, "exact", *ENTRIES, "verdict"])


def _at_best(runs: pd.DataFrame) -> dict[tuple[Any, ...], tuple[Any, pd.Series]]:
    """Return the best penalty and the loss changes by seed, for each sparsity, criterion and number of stages."""
    chosen = runs.assign(change=loss_change(runs)).merge(best_penalty(runs)[CELL])
    return {
        (sparsity, criterion, stages): (penalty, part.set_index("seed")["change"])
        for (sparsity, criterion, stages, penalty), part in chosen.groupby(CELL, sort=False)
    }
