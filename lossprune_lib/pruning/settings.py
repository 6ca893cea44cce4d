"""What a pruner is asked for, as plain settings."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from lossprune_lib.checks import check_choice, check_float, check_int, check_sparsity
from lossprune_lib.loss_modelling.losses import Loss, check_loss, cross_entropy
from lossprune_lib.networks.masks import SCOPES
from lossprune_lib.pruning.criteria import CRITERIA
from lossprune_lib.pruning.schedules import SCHEDULES, sparsities

TRACES = ("batch", "train")


@dataclass(frozen=True)
class PrunerSettings:
    """How a network is pruned.

    Attributes
    ----------
    criterion : a name in `criteria.CRITERIA`
    sparsity : float in [0, 1)
        kappa: exactly round(D sparsity) weights are zero in the end.
    stages : int
        pi; 1 is one-shot.
    schedule : a name in `schedules.SCHEDULES`
    step_penalty : float
        lambda.
    batch_size : int
        Training examples drawn afresh at each stage.
    scope : "global" or "layer"
        Rank all weights together, or prune the same share of each layer: then round(size of layer * sparsity) of each.
    max_bytes : int
        What a loss model may take for activations and work space.
    trace : "batch" or "train"
        Where each stage's true change is measured: its own batch, or the whole training set (slow).
    """

    criterion: str = "qm"
    sparsity: float = 0.9
    stages: int = 14
    schedule: str = "exponential"
    step_penalty: float = 0.0
    batch_size: int = 1000
    scope: str = "global"
    seed: int = 0
    max_bytes: int = 2**30
    trace: str = "batch"
    loss: Loss = cross_entropy

    def __post_init__(self) -> None:
        check_choice(self.criterion, CRITERIA, "criterion")
        check_choice(self.schedule, SCHEDULES, "schedule")
        check_choice(self.scope, SCOPES, "scope")
        check_choice(self.trace, TRACES, "trace")
        check_sparsity(self.sparsity)
        check_float(self.step_penalty, "step_penalty")
        for name in ("stages", "batch_size", "max_bytes"):
            check_int(getattr(self, name), name)
        check_int(self.seed, "seed", least=0)
        check_loss(self.loss)

    @cached_property
    def sparsities(self) -> list[float]:
        """The sparsity of each stage."""
        return sparsities(self.schedule, self.sparsity, self.stages)
