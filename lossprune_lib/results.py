"""Results: the shipped tables, what they say, and the paper's numbers beside ours.

A table has a row a run (see `Study.table`). Each sparsity is looked at alone. Runs of one configuration and seed that are
there twice (magnitude, in tables that were put together) count once.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lossprune_lib import checks, data
from lossprune_lib.best_runs import (
    CELL,
    best_penalty,
    best_tuned,
    check_table,
    distinct,
    gap,
    has_no_model,
    loss_change,
)
from lossprune_lib.findings import judge, rank_correlation

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "beside_paper",
    "best_penalty",
    "best_tuned",
    "criterion_overlap",
    "gap",
    "judge",
    "load",
    "loss_change",
    "missing",
    "names",
    "overlap",
    "rank_correlation",
]

# Where the paper pruned to: a comparison at another sparsity would say nothing.
_PAPER_SPARSITIES = {"mnist": 1 - 0.8**20, "cifar10": 1 - 0.8**14}
_PAPER_STAGES = 140  # of Table 1
_COLUMNS_AT_ONCE = 2**20  # counts below 2^24 are exact in float32


def names() -> list[str]:
    """Return the names of the shipped tables."""
    return sorted(path.stem for path in data.shipped("results").glob("*.csv") if path.with_suffix(".toml").is_file())


def missing() -> list[str]:
    """Return the names of the plans that were not run: those without a shipped table."""
    return sorted({path.stem for path in data.shipped("results").glob("*.toml")} - set(names()))


def load(name: str) -> pd.DataFrame:
    """Read a shipped table.

    Raises
    ------
    FileNotFoundError
        if there is none of this name; the message says which there are, and how to make one that is only planned.
    """
    import pandas as pd

    if not isinstance(name, str):
        raise TypeError(f"name is that of a shipped table, such as {names()[0]!r}, not {name!r}.")
    if name in names():
        return pd.read_csv(data.shipped(f"results/{name}.csv"))
    planned = (data.shipped("results") / f"{name}.toml").is_file()
    why = (
        f"The study {name!r} is planned, but was not run: python -m lossprune_lib study run {name} runs it."
        if planned
        else f"There are no results called {name!r}.{checks.hint(name, names())}"
    )
    raise FileNotFoundError(f"{why} There are tables of: {', '.join(names()) or 'no study yet'}.")


def overlap(kept: Tensor) -> Tensor:
    """Return the share of kept weights that each two of R masks have in common [R, R]: in both, of those in either (Jaccard).

    Parameters
    ----------
    kept : bool [R, D]
        Two masks that keep nothing are the same: 1.
    """
    checks.instance(kept, Tensor, "kept", "stack the masks' .kept")
    if kept.dtype != torch.bool or kept.ndim != 2:
        raise TypeError(f"kept is a bool tensor [R, D], not {kept.dtype} {list(kept.shape)}: stack the masks' .kept.")
    both = torch.zeros(len(kept), len(kept), dtype=torch.float64, device=kept.device)
    for part in kept.split(_COLUMNS_AT_ONCE, dim=1):
        ones = part.float()
        both += (ones @ ones.T).round().double()
    counts = both.diagonal()
    either = counts[:, None] + counts[None, :] - both
    return torch.where(either > 0, both / either, 1.0).cpu()


def criterion_overlap(table: pd.DataFrame, kept: Tensor) -> pd.DataFrame:
    """Return how alike the masks of each two criteria are, each at its best step penalty, by number of stages.

    Parameters
    ----------
    kept : bool [R, D]
        The masks of the table's rows, in their order.

    Returns
    -------
    DataFrame
        sparsity, stages, first, second; overlap (Jaccard) and its spread: mean and deviation (n - 1) over the seeds that have
        both. Criteria without a loss model stand for every number of stages.
    """
    import pandas as pd

    check_table(table)
    checks.instance(kept, Tensor, "kept", "stack the masks' .kept")
    if len(kept) != len(table):
        raise ValueError(
            f"There are {len(kept)} masks, but {len(table)} runs in the table: give one a run, in its order."
        )
    runs = distinct(table.reset_index(drop=True))
    chosen = runs.reset_index(names="row").merge(best_penalty(runs)[CELL])
    fixed = chosen["criterion"].map(has_no_model)
    rows = []
    for sparsity, part in chosen.groupby("sparsity"):
        for stages in sorted(part["stages"][~fixed].unique()) or [1]:
            shown = part[fixed[part.index] | (part["stages"] == stages)]
            for seed, group in shown.groupby("seed"):
                alike = overlap(kept[torch.from_numpy(group["row"].to_numpy(copy=True))]).tolist()
                for (i, first), (j, second) in itertools.combinations(enumerate(group["criterion"]), 2):
                    rows.append((sparsity, stages, first, second, seed, alike[i][j]))
    pairs = ["sparsity", "stages", "first", "second"]
    tidy = pd.DataFrame(rows, columns=[*pairs, "seed", "overlap"]).groupby(pairs, sort=False)["overlap"]
    return tidy.agg(["mean", "std"]).rename(columns={"mean": "overlap", "std": "spread"}).reset_index()


def beside_paper(table: pd.DataFrame, number: int) -> pd.DataFrame:
    """Return our numbers beside those of the paper's Table 1 (loss change, nats) or 2 (validation gap, percentage points).

    Table 1 is at the largest number of stages that the table has; criteria that were not run with it are left out. The paper's
    columns are NaN for networks, criteria, sparsities and (Table 1) numbers of stages that it does not have.

    Returns
    -------
    DataFrame
        sparsity, criterion, stages, step_penalty, mean, spread, seeds (for Table 2 test_gap and test_spread too), paper_mean,
        paper_spread, and differs: whether by more than the two spreads together (False where one of them is not known).
    """
    import pandas as pd

    check_table(table)
    if checks.whole(number, "number") == 1:
        ours = best_penalty(table)
        most = ours.groupby("sparsity")["stages"].transform("max")
        ours = ours[(ours["stages"] == most) | ours["criterion"].map(has_no_model)]
    elif number == 2:
        ours = best_tuned(table).rename(columns={"valid_gap": "mean", "valid_spread": "spread"})
    else:
        raise ValueError(f"The paper has the tables 1 (loss change) and 2 (gap after fine-tuning), not {number!r}.")
    paper = pd.read_csv(data.shipped(f"paper/table{number}.csv"))
    task, model = table[["task", "model"]].iloc[0]
    paper = paper[(paper["task"] == task) & (paper["network"] == model)].set_index("criterion")
    there = (ours["sparsity"] - _PAPER_SPARSITIES.get(task, math.nan)).abs() < 0.001
    if number == 1:
        there &= (ours["stages"] == _PAPER_STAGES) | ours["criterion"].map(has_no_model)
    ours = ours.assign(
        paper_mean=ours["criterion"].map(paper["mean"]).where(there),
        paper_spread=ours["criterion"].map(paper["spread"]).where(there),
    )
    apart = (ours["mean"] - ours["paper_mean"]).abs()
    return ours.assign(differs=apart > ours["spread"] + ours["paper_spread"]).reset_index(drop=True)
