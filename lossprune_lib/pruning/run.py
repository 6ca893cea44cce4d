"""Where a pruning stands after a stage, and what a finished one gives."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING

from torch import Tensor, nn

from lossprune_lib.data.task import TaskLike
from lossprune_lib.loss_modelling.loss import Loss
from lossprune_lib.loss_modelling.losses import cross_entropy
from lossprune_lib.loss_modelling.restriction import Restriction
from lossprune_lib.networks.masks import Mask
from lossprune_lib.networks.weights import WeightSpace
from lossprune_lib.pruning.settings import PrunerSettings
from lossprune_lib.training.evaluation import score

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class PrunerState:
    """Where a pruning stands: the network as plain tensors, the mask so far, and what the last stage measured."""

    space: WeightSpace
    dense: Tensor  # [D], the weights at the start
    task: TaskLike
    mask: Mask
    start: Mask  # the mask at the start
    stage: int = 0
    row: dict[str, float] = field(default_factory=dict)
    values: Tensor | None = None  # [D], where a criterion gave the weights that stay new values

    @cached_property
    def weights(self) -> Tensor:
        """The masked weights [D], never to be changed in place."""
        return (self.dense if self.values is None else self.values) * self.mask.kept

    @cached_property
    def restriction(self) -> Restriction:
        """To the weights that are kept: what a stage reads of a loss model."""
        return Restriction(self.space, self.mask.kept)


@dataclass(frozen=True, eq=False)
class PruningRun:
    """A finished pruning.

    Attributes
    ----------
    mask : Mask
    trace : DataFrame
        one row per stage: stage, sparsity, and on that stage's batch loss (before the stage), predicted_change,
        saliency_sum (of the sizes of the modelled changes, without the step penalty: a bound) and true_change;
        step_length (Euclidean); and density.LAYER for each layer. The model's columns
        are NaN for criteria that model no loss.
    """

    mask: Mask
    trace: pd.DataFrame = field(repr=False)
    state: PrunerState = field(repr=False)
    pruner: PrunerSettings

    def __repr__(self) -> str:
        space = self.state.space
        return (
            f"PruningRun({100 * self.sparsity:.4g} % of {space.size:,} prunable weights are zero, "
            f"{100 * self.network_sparsity:.4g} % of all {space.coverage.total:,} parameters)"
        )

    @property
    def sparsity(self) -> float:
        """The share of the prunable weights that is zero."""
        return self.mask.sparsity

    @property
    def network_sparsity(self) -> float:
        """The share of all of the network's parameters that was pruned."""
        return self.sparsity * self.state.space.coverage.share

    @cached_property
    def train_loss(self) -> tuple[float, float]:
        """The mean loss over the whole training set, before and after the whole pruning; read when first asked for."""
        state, loss = self.state, self.pruner.loss
        return training_loss(state, state.dense, loss), training_loss(state, state.weights, loss)

    @property
    def true_change(self) -> float:
        """The signed change of the mean training loss; the paper's tables show its absolute value."""
        before, after = self.train_loss
        return after - before

    def network(self) -> nn.Module:
        """Return a copy of the network with its pruned weights set to zero, and new values where a criterion gave them.

        What else the network has (biases, norms) is as it was.
        """
        net = copy.deepcopy(self.state.space.net)
        self.mask.check(net).write_(self.state.weights)
        return net


def finished_run(settings: PrunerSettings, state: PrunerState, rows: Sequence[dict[str, float]]) -> PruningRun:
    """Return the run that ended in a state, with the rows of its stages as its trace."""
    import pandas as pd

    columns = ["stage", "sparsity", "loss", "predicted_change", "saliency_sum", "true_change", "step_length"]
    columns += [name for name in state.row if name.startswith("density.")]
    return PruningRun(state.mask, pd.DataFrame(rows).reindex(columns=columns), state, settings)


def training_loss(state: PrunerState, weights: Tensor, loss: Loss = cross_entropy) -> float:
    """Return the mean loss over the whole training set at weights [D]."""
    return score(partial(state.space.run, weights, state.space.rest()), state.task, "train", loss=loss).loss
