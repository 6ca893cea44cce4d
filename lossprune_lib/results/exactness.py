"""Does sampled curvature choose as well as the exact one? By the rule of ``data/results/JUDGING.md``."""

from __future__ import annotations

from typing import Any

import pandas as pd

from lossprune_lib.results.controls import margin
from lossprune_lib.results.selection import CELL, best_penalty, distinct, gap, loss_change
from lossprune_lib.results.statistics import ENTRIES, paired

MARGIN = 0.1  # of the exact curvature's loss change


def exactness(table: pd.DataFrame, *, tuned: bool = False) -> pd.DataFrame:
    """Return paired differences of loss change: sampled curvature less the exact one, each at its best step penalty.

    Give one step penalty's rows to compare at that one. With `tuned`, what is compared is the test error after
    fine-tuning (percentage points), at the same step penalties: those of the best loss change.

    Returns
    -------
    DataFrame
        sparsity, criterion, stages, curvature_columns; exact_penalty and step_penalty; exact (mean, nats, or the gap in
        points); mean, low and high of the difference; seeds; values, one per seed; verdict: "as well" if the interval
        lies within a tenth of the exact one's mean, else better, worse or undecided; with `tuned`, as in
        `Interval.verdict` with `margin`.

    Raises
    ------
    ValueError
        if no criterion was run with both kinds of curvature, or fine-tuning is asked for and there was none.
    """
    runs = distinct(table)
    runs = runs[runs["control"] == ""]
    runs = runs.assign(shown=gap(runs, "test") if tuned else loss_change(runs))
    kinds = sorted(runs["curvature_columns"].unique())
    of_kind = {columns: _at_best(runs[runs["curvature_columns"] == columns]) for columns in kinds}
    rows = []
    for columns, of_columns in of_kind.items():
        for place, (penalty, shown) in of_columns.items() if columns else ():
            if place not in of_kind.get(0, {}):
                continue
            exact_penalty, exact = of_kind[0][place]
            difference, mean = paired(shown, exact), float(exact.mean())
            verdict = difference.verdict(margin(table) if tuned else 0.0)
            if not tuned and difference.within(MARGIN * mean):
                verdict = "as well"
            rows.append((*place, columns, exact_penalty, penalty, mean, *difference.entries, verdict))
    if not rows:
        raise ValueError("The table has no criterion with both kinds of curvature: give one of a study of exactness.")
    columns_of = [*CELL[:-1], "curvature_columns", "exact_penalty", "step_penalty"]
    return pd.DataFrame(rows, columns=[*columns_of, "exact", *ENTRIES, "verdict"])


def _at_best(runs: pd.DataFrame) -> dict[tuple[Any, ...], tuple[Any, pd.Series]]:
    """Return the best penalty and what is shown by seed, for each sparsity, criterion and number of stages."""
    chosen = runs.merge(best_penalty(runs)[CELL])
    return {
        (sparsity, criterion, stages): (penalty, part.set_index("seed")["shown"])
        for (sparsity, criterion, stages, penalty), part in chosen.groupby(CELL, sort=False)
    }
