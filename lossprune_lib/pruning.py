"""LocalPruner: stages of loss model, saliency and mask, each small enough for the model to be trusted.

Source: Laurent et al. 2020, Algorithm 1, as its authors' published program runs it.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from lossprune_lib import checks, masks, training
from lossprune_lib.criteria import CRITERIA, modelled_change, saliency
from lossprune_lib.data import Batch, Task
from lossprune_lib.loss_model import Loss, LossModel, cross_entropy
from lossprune_lib.masks import Mask
from lossprune_lib.pruning_run import PrunerState, PruningRun, training_loss
from lossprune_lib.schedules import SCHEDULES, sparsities
from lossprune_lib.seeds import generator
from lossprune_lib.survey import check_mode
from lossprune_lib.weights import WeightSpace

if TYPE_CHECKING:
    import pandas as pd

TRACES = ("batch", "train")


class EmptyLayerWarning(UserWarning):
    """A layer has lost all of its weights."""


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
        checks.known(self.criterion, CRITERIA, "criterion")
        checks.known(self.schedule, SCHEDULES, "schedule")
        checks.known(self.scope, masks.SCOPES, "scope")
        checks.known(self.trace, TRACES, "trace")
        checks.sparsity(self.sparsity)
        checks.real(self.step_penalty, "step_penalty")
        for name in ("stages", "batch_size", "max_bytes"):
            checks.whole(getattr(self, name), name)
        checks.whole(self.seed, "seed", least=0)

    @property
    def sparsities(self) -> list[float]:
        """The sparsity of each stage."""
        return sparsities(self.schedule, self.sparsity, self.stages)

    def start(self, net: nn.Module, task: Task, mask: Mask | None = None) -> PrunerState:
        """Return the state before the first stage; the network is copied, and may start with a mask."""
        space = WeightSpace(net)
        training.check_place(net, task)
        check_mode(net)
        if mask is None:
            mask = Mask.dense(space)
        else:
            mask.check(net)
            mask = replace(mask, kept=mask.kept.to(space.read().device))
        space = WeightSpace(copy.deepcopy(net))  # only now: what is refused above may be impossible to copy
        return PrunerState(space, space.rest(), space.read() * mask.kept, task, mask)

    def step(self, state: PrunerState, sparsity: float | None = None) -> PrunerState:
        """Run one stage and return the new state; the old one is unchanged.

        Parameters
        ----------
        state : from `start`, or a step before
        sparsity : float in [0, 1), optional
            In place of the schedule's; not below what is masked already.
        """
        stage, explicit = state.stage + 1, sparsity is not None
        if sparsity is None:
            if stage > self.stages:
                raise ValueError(f"All {self.stages} stages are done: give step() a sparsity to go on.")
            sparsity = self.sparsities[stage - 1]
        checks.sparsity(sparsity)

        counts = state.mask.still_to_prune(sparsity, self.scope)
        if explicit and min(counts) < 0:
            raise ValueError(
                f"sparsity is {sparsity:g}, but {state.mask.sparsity:.4g} of the weights are masked already, and a stage "
                "only adds to them: give more."
            )

        model, batch, ranked = self._rank(state)
        pruned = state.mask.smallest_kept(ranked, counts)

        mask = replace(state.mask, kept=state.mask.kept.index_fill(0, pruned, False))
        after = replace(state, mask=mask, stage=stage)
        density = mask.density()
        _warn_of_emptied_layers(state.mask.density(), density)
        row = {
            "stage": stage,
            "sparsity": mask.sparsity,
            "step_length": torch.linalg.vector_norm(model.weights[pruned]).item(),
        }
        row |= self._promise(model, pruned) | self._truth(state, after, batch, model.loss)
        row |= {f"density.{name}": share for name, share in density.items()}
        return replace(after, row=row)

    def stream(self, net: nn.Module, task: Task, mask: Mask | None = None) -> Iterator[PrunerState]:
        """Yield the state after each stage, as soon as it is done."""
        state = self.start(net, task, mask)
        for _ in range(self.stages):
            state = self.step(state)
            yield state

    def prune(self, net: nn.Module, task: Task, mask: Mask | None = None, *, progress: bool = True) -> PruningRun:
        """Run all stages; the network is not changed.

        Parameters
        ----------
        net : a network in eval mode, on the task's device
        task : whose training examples the stages draw from
        mask : to start from a pruned network
        progress : whether to show a bar
        """
        import pandas as pd
        from tqdm.auto import tqdm

        states = tqdm(
            self.stream(net, task, mask),
            "pruning",
            self.stages,
            unit="stage",
            disable=not progress,
            leave=False,
            delay=2,
        )
        rows = []
        for state in states:
            rows.append(state.row)
        columns = ["stage", "sparsity", "loss", "predicted_change", "saliency_sum", "true_change", "step_length"]
        columns += [name for name in rows[-1] if name.startswith("density.")]
        return PruningRun(state.mask, pd.DataFrame(rows).reindex(columns=columns), state, self)

    def _rank(self, state: PrunerState) -> tuple[LossModel, Batch | None, Tensor]:
        """Return the next stage's loss model, the batch that it was made on, and the saliencies [D]."""
        stage, order = state.stage + 1, CRITERIA[self.criterion].order
        batch, model = None, LossModel(state.weights)
        if order is not None:
            batch = state.task.sample(self.batch_size, generator(self.seed, "batch", stage))
            model = self._model(state, model.weights, batch, order)
        draws = generator(self.seed, "random", stage)
        return model, batch, saliency(model, self.criterion, self.step_penalty, generator=draws)

    def _model(self, state: PrunerState, weights: Tensor, batch: Batch, order: int) -> LossModel:
        return LossModel.at_weights(
            state.space, weights, state.rest, batch, order, loss=self.loss, max_bytes=self.max_bytes
        )

    def _promise(self, model: LossModel, pruned: Tensor) -> dict[str, float]:
        if model.loss is None:
            return {}
        changes = modelled_change(model.among(pruned), self.criterion)
        return {
            "predicted_change": changes.sum(dtype=torch.float64).item(),
            "saliency_sum": changes.abs().sum(dtype=torch.float64).item(),
        }

    def _truth(
        self, state: PrunerState, after: PrunerState, batch: Batch | None, loss: float | None
    ) -> dict[str, float]:
        if self.trace == "train":
            before = training_loss(state, state.weights, self.loss)
            return {"loss": before, "true_change": training_loss(state, after.weights, self.loss) - before}
        if batch is None or loss is None:
            return {}
        changed = self._model(state, after.weights, batch, order=0).loss
        assert changed is not None
        return {"loss": loss, "true_change": changed - loss}


def one_shot(
    net: nn.Module,
    task: Task,
    sparsities: Sequence[float],
    criterion: str = "mp",
    *,
    split: str = "valid",
    seed: int = 0,
) -> tuple[list[Mask], pd.DataFrame]:
    """Prune a network in a single stage to each of several sparsities, and measure what is left.

    Returns
    -------
    list of Mask, DataFrame
        A mask and a row for each sparsity; the columns are sparsity, loss and accuracy on the split.
    """
    import pandas as pd

    pruner = LocalPruner(criterion, stages=1, seed=seed)
    start = pruner.start(net, task)
    _, _, ranked = pruner._rank(start)  # once: every sparsity cuts the same ranking
    found, rows = [], []
    for sparsity in sparsities:
        pruned = start.mask.smallest_kept(ranked, start.mask.still_to_prune(checks.sparsity(sparsity), "global"))
        mask = replace(start.mask, kept=start.mask.kept.index_fill(0, pruned, False))
        score = training.score(partial(start.space.call, start.dense * mask.kept, start.rest), task, split)
        found.append(mask)
        rows.append({"sparsity": mask.sparsity, "loss": score.loss, "accuracy": score.accuracy})
    return found, pd.DataFrame(rows)


def _warn_of_emptied_layers(before: dict[str, float], after: dict[str, float]) -> None:
    for name, density in after.items():
        if density == 0 and before[name] > 0:
            warnings.warn(
                f"All weights of layer {name!r} are pruned away, so nothing of its input passes it any more. Lower the "
                'sparsity, raise the step penalty, or use scope="layer".',
                EmptyLayerWarning,
                stacklevel=3,
            )
