"""Pruning: criteria, schedules, and stages of model, ranking and mask."""

from lossprune_lib.pruning.local import CoverageWarning, LocalPruner, prune_together
from lossprune_lib.pruning.ranking import one_shot
from lossprune_lib.pruning.run import PrunerState, PruningRun
from lossprune_lib.pruning.stage import EmptyLayerWarning

__all__ = [
    "CoverageWarning",
    "EmptyLayerWarning",
    "LocalPruner",
    "PrunerState",
    "PruningRun",
    "one_shot",
    "prune_together",
]
