"""Results: the shipped tables, what they say, and the paper's numbers beside ours.

A table has one row per run (see `Study.table`). Each sparsity is looked at alone. Runs of one configuration and seed that are
there twice (magnitude, in tables that were put together) count once.
"""

from lossprune_lib.results.findings import judge, rank_correlation
from lossprune_lib.results.overlap import criterion_overlap, overlap
from lossprune_lib.results.paper import beside_paper
from lossprune_lib.results.selection import best_penalty, best_tuned, gap, loss_change
from lossprune_lib.results.tables import load, missing, names

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
