"""The paper's numbers beside ours."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from lossprune_lib.checks import check_int
from lossprune_lib.files import shipped
from lossprune_lib.results.selection import best_penalty, best_tuned, check_table, distinct, has_no_model

# Where the paper pruned to: a comparison at another sparsity would say nothing.
_PAPER_SPARSITIES = {"mnist": 1 - 0.8**20, "cifar10": 1 - 0.8**14}
_PAPER_STAGES = 140  # of Table 1
_PAPER_SEEDS = 5
_LEVEL = 0.05
_OF_VALID = {"valid_gap": "mean"} | {f"valid_{name}": name for name in ("spread", "values", "low", "high")}


def beside_paper(table: pd.DataFrame, number: int) -> pd.DataFrame:
    """Return our numbers beside the paper's Table 1 (loss change, nats) or 2 (validation gap, percentage points).

    Table 1 is at the largest number of stages that the table has; criteria that were not run with it are left out. The
    paper's columns are NaN for networks, widths, criteria, sparsities and (Table 1) numbers of stages that it does not
    have.

    Returns
    -------
    DataFrame
        The columns of `best_penalty` or, with mean, spread, values, low and high in place of valid_gap and so on,
        `best_tuned`; paper_mean, paper_spread; p (of Welch's test of the two means, the paper's over 5 seeds) and
        differs: whether it is below 5 % (False where a spread is not known).

    Raises
    ------
    TypeError, ValueError
        if it is no study's table, was not fine-tuned though Table 2 asks for it, or the number is neither 1 nor 2.
    """
    from scipy.stats import ttest_ind_from_stats

    check_table(table)
    if check_int(number, "number") == 1:
        ours = best_penalty(table)
        most = ours.groupby("sparsity")["stages"].transform("max")
        ours = ours[(ours["stages"] == most) | ours["criterion"].map(has_no_model)]
    elif number == 2:
        ours = best_tuned(table).rename(columns=_OF_VALID)
    else:
        raise ValueError(f"The paper has the tables 1 (loss change) and 2 (gap after fine-tuning), not {number!r}.")
    paper = pd.read_csv(shipped(f"paper/table{number}.csv"))
    task, model = table[["task", "model"]].iloc[0]
    paper = paper[(paper["task"] == task) & (paper["network"] == model)].set_index("criterion")
    there = (ours["sparsity"] - _PAPER_SPARSITIES.get(task, math.nan)).abs() < 0.001
    there &= bool((distinct(table)["width"] == 1).all())
    if number == 1:
        there &= (ours["stages"] == _PAPER_STAGES) | ours["criterion"].map(has_no_model)
    ours = ours.assign(
        paper_mean=ours["criterion"].map(paper["mean"]).where(there),
        paper_spread=ours["criterion"].map(paper["spread"]).where(there),
    )
    numbers = ours[["mean", "spread", "seeds", "paper_mean", "paper_spread"]].to_numpy(dtype=float).T
    with np.errstate(divide="ignore", invalid="ignore"):  # where a spread is not known
        p = ttest_ind_from_stats(*numbers, _PAPER_SEEDS, equal_var=False).pvalue
    return ours.assign(p=p, differs=p < _LEVEL).reset_index(drop=True)
