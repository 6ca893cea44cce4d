"""Pruning: criteria, schedules, and stages of model, ranking and mask."""

from lossprune_lib.pruning.by_stage import causes_by_stages, stage_by_stage
from lossprune_lib.pruning.errors_by_way import errors_by_way
from lossprune_lib.pruning.groups import cost_of_groups
from lossprune_lib.pruning.local import AlreadySparseWarning, CoverageWarning, LocalPruner, prune_together
from lossprune_lib.pruning.ranking import one_shot
from lossprune_lib.pruning.run import PrunerState, PruningRun
from lossprune_lib.pruning.stage import EmptyLayerWarning

__all__ = [
    "AlreadySparseWarning",
    "CoverageWarning",
    "EmptyLayerWarning",
    "LocalPruner",
    "PrunerState",
    "PruningRun",
    "causes_by_stages",
    "cost_of_groups",
    "errors_by_way",
    "one_shot",
    "prune_together",
    "stage_by_stage",
]
