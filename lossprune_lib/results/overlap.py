"""How alike masks are."""

from __future__ import annotations

import itertools

import pandas as pd
import torch
from torch import Tensor

from lossprune_lib.checks import check_instance
from lossprune_lib.results.selection import CELL, best_penalty, check_table, distinct, has_no_model, themselves

_COLUMNS_AT_ONCE = 2**20  # counts below 2^24 are exact in float32


def overlap(kept: Tensor) -> Tensor:
    """Return the share of kept weights that each two of R masks have in common [R, R], of those in either (Jaccard).

    Parameters
    ----------
    kept : bool [R, D]
        Two masks that keep nothing are the same: 1.

    Raises
    ------
    TypeError
        if it is no such tensor.
    """
    check_instance(kept, Tensor, "kept", "stack the masks' .kept")
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
        sparsity, stages, first, second; overlap (Jaccard) and its spread: mean and deviation (n - 1) over the seeds
        that have both. Criteria without a loss model stand for every number of stages; controls are left out.

    Raises
    ------
    TypeError, ValueError
        if it is no study's table, or there is not one mask for each of its rows.
    """
    check_table(table)
    check_instance(kept, Tensor, "kept", "stack the masks' .kept")
    if len(kept) != len(table):
        raise ValueError(
            f"There are {len(kept)} masks, but {len(table)} runs in the table: give one for each, in the table's order."
        )
    runs = distinct(table.reset_index(drop=True)).reset_index(names="row")
    chosen = runs.iloc[:0]
    if (runs["control"] == "").any():
        chosen = themselves(runs).merge(best_penalty(runs)[CELL])
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
