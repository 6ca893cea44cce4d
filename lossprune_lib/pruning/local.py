"""LocalPruner: stages of loss model, saliency and mask, each small enough for the model to be trusted.

Source: Laurent et al. 2020, Algorithm 1, as its authors' published program runs it.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from torch import nn

from lossprune_lib.checks import check_choice, check_float, check_int, check_sparsity
from lossprune_lib.data.task import Task
from lossprune_lib.loss_modelling.losses import Loss, check_loss, cross_entropy
from lossprune_lib.networks import masks
from lossprune_lib.networks.masks import Mask
from lossprune_lib.networks.validation import check_mode, check_place
from lossprune_lib.networks.weights import WeightSpace
from lossprune_lib.progress import progress_bar
from lossprune_lib.pruning.criteria import CRITERIA
from lossprune_lib.pruning.run import PrunerState, PruningRun
from lossprune_lib.pruning.schedules import SCHEDULES, sparsities
from lossprune_lib.pruning.stage import step_together

if TYPE_CHECKING:
    pass

__all__ = ["TRACES", "LocalPruner", "prune_together"]

TRACES = ("batch", "train")


@dataclass(frozen=True)
class LocalPruner:
    """Prunes a network in stages, each with a fresh loss model at the masked weights.

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
        check_choice(self.scope, masks.SCOPES, "scope")
        check_choice(self.trace, TRACES, "trace")
        check_sparsity(self.sparsity)
        check_float(self.step_penalty, "step_penalty")
        for name in ("stages", "batch_size", "max_bytes"):
            check_int(getattr(self, name), name)
        check_int(self.seed, "seed", least=0)
        check_loss(self.loss)

    @property
    def sparsities(self) -> list[float]:
        """The sparsity of each stage."""
        return sparsities(self.schedule, self.sparsity, self.stages)

    def start(self, net: nn.Module, task: Task, mask: Mask | None = None) -> PrunerState:
        """Return the state before the first stage; the network is copied, and may start with a mask.

        Raises
        ------
        ValueError, TypeError
            if network, task and mask do not go together.
        """
        check_place(net, task)
        space = WeightSpace(net)
        check_mode(net)
        if mask is None:
            mask = Mask.dense(space)
        else:
            masks.check_mask(mask).check(net)
            mask = replace(mask, kept=mask.kept.to(space.read().device))
        space = WeightSpace(copy.deepcopy(net))  # only now: what is refused above may be impossible to copy
        return PrunerState(space, space.rest(), space.read() * mask.kept, task, mask)

    def check_start(self, mask: Mask) -> None:
        """Raise ValueError if a mask to start from has pruned more than the pruner would."""
        if min(mask.still_to_prune(self.sparsity, self.scope)) < 0:
            where = "" if self.scope == "global" else " in a layer"
            raise ValueError(
                f"The mask to start from is sparser already{where} ({mask.sparsity:.4g} of all weights) than the sparsity "
                f"{self.sparsity:g} to prune to, and a stage only adds to it: give a larger sparsity, or leave the mask out."
            )

    def step(self, state: PrunerState, sparsity: float | None = None) -> PrunerState:
        """Run one stage and return the new state; the old one is unchanged.

        Parameters
        ----------
        state : from `start`, or a step before
        sparsity : float in [0, 1), optional
            In place of the schedule's; not below what is masked already.
        """
        return step_together([self], [state], [sparsity])[0]

    def stream(self, net: nn.Module, task: Task, mask: Mask | None = None) -> Iterator[PrunerState]:
        """Yield the state after each stage, as soon as it is done."""
        state = self.start(net, task, mask)
        self.check_start(state.mask)
        for _ in range(self.stages):
            state = self.step(state)
            yield state

    def prune(self, net: nn.Module, task: Task, mask: Mask | None = None, *, progress: bool = True) -> PruningRun:
        """Run all stages; the network is not changed.

        Parameters
        ----------
        net : a network in eval mode, on the task's device
        task : whose training examples the stages draw from
        mask : to start from a pruned network; not sparser than the sparsity to prune to
        progress : whether to show a bar

        Raises
        ------
        ValueError, TypeError
            if network, task and mask do not go together; the message says what to do.
        """
        return prune_together([self], net, task, mask, progress=progress)[0]


def prune_together(
    pruners: Sequence[LocalPruner], net: nn.Module, task: Task, mask: Mask | None = None, *, progress: bool = True
) -> list[PruningRun]:
    """Run several pruners on one network, stage by stage, and evaluate once what is the same for several of them.

    At the first stage that is everything, and so are all one-shot prunings together; later, runs that chose the same masks.
    Each run is what its pruner alone would have given.

    Parameters
    ----------
    pruners : may differ in everything
    net, task, mask, progress : as in `LocalPruner.prune`
    """
    import pandas as pd

    if not isinstance(pruners, Sequence) or not all(isinstance(pruner, LocalPruner) for pruner in pruners):
        raise TypeError("pruners is a list of LocalPruner: for one, write its own prune(net, task).")
    if not pruners:
        return []
    start = pruners[0].start(net, task, mask)
    for pruner in pruners:
        pruner.check_start(start.mask)
    states = [start] * len(pruners)
    rows: list[list[dict[str, float]]] = [[] for _ in pruners]
    total = sum(pruner.stages for pruner in pruners)
    with progress_bar(progress, desc="pruning", total=total, unit="stage", leave=False, delay=2) as bar:
        for stage in range(max(pruner.stages for pruner in pruners)):
            active = [r for r, pruner in enumerate(pruners) if pruner.stages > stage]
            stepped = step_together([pruners[r] for r in active], [states[r] for r in active])
            for r, state in zip(active, stepped, strict=True):
                states[r] = state
                rows[r].append(state.row)
            bar.update(len(active))
    columns = ["stage", "sparsity", "loss", "predicted_change", "saliency_sum", "true_change", "step_length"]
    columns += [name for name in states[0].row if name.startswith("density.")]
    return [
        PruningRun(state.mask, pd.DataFrame(trace).reindex(columns=columns), state, pruner)
        for pruner, state, trace in zip(pruners, states, rows, strict=True)
    ]
