"""What follows from one ranking: a mask for each sparsity, and the steps that a criterion takes from a point."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from lossprune_lib import training
from lossprune_lib.checks import check_choice, check_list
from lossprune_lib.data.task import Batch, TaskLike
from lossprune_lib.loss_modelling.batch_loss import BatchLoss
from lossprune_lib.loss_modelling.forecast import ORDERS, Forecast, forecast
from lossprune_lib.loss_modelling.model import LossModel
from lossprune_lib.networks.masks import Mask
from lossprune_lib.networks.selection import count
from lossprune_lib.pruning.criteria import CRITERIA, Criterion, Rule, modelled_change
from lossprune_lib.pruning.local import LocalPruner
from lossprune_lib.pruning.run import PrunerState
from lossprune_lib.pruning.settings import PrunerSettings
from lossprune_lib.pruning.stage import model_of, pruned_state, rank

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Path:
    """The steps that a criterion takes from one point, in one go, to any sparsity beyond it, by one loss model.

    Attributes
    ----------
    pruner : PrunerSettings
        Whose criterion chooses.
    state : PrunerState
        The point.
    batch : on which the loss is modelled and measured
    losses : dict
        What was measured: the number of pruned weights -> loss. For a criterion that needs no model, paths from several
        points lead through the same networks and may share it.
    """

    pruner: PrunerSettings
    state: PrunerState
    batch: Batch
    losses: dict[int, float] = field(default_factory=dict, repr=False)
    _forms: dict[tuple[int, str], float] = field(default_factory=dict, init=False, repr=False)

    @cached_property
    def risk(self) -> BatchLoss:
        """The loss of the batch."""
        return BatchLoss(self.state.space, self.batch, loss=self.pruner.loss, max_bytes=self.pruner.max_bytes)

    @cached_property
    def model(self) -> LossModel:
        """Of order 2, at the point."""
        return self.risk.model(self.state.weights)

    @cached_property
    def _ranked(self) -> Tensor:
        """The indices of the kept weights, in the order in which they go."""
        kept = self.state.mask.kept.nonzero().squeeze(1)
        return kept[rank(self.pruner, self.state, self.model).saliency[kept].argsort(stable=True)]

    @cached_property
    def _sums(self) -> dict[str, Tensor]:
        """What the models that add over weights say, after each weight of the order."""
        changes = {name: modelled_change(self.model, name)[self._ranked].double() for name in ("lm", "qm")}
        parts = {"first": changes["lm"], "diagonal": changes["qm"], "absolute": changes["qm"].abs()}
        return {name: torch.cat([part.new_zeros(1), part.cumsum(0)]) for name, part in parts.items()}

    def pruned(self, sparsity: float) -> Tensor:
        """Return the indices of the weights that go on the way to a sparsity; none if it is not beyond the point."""
        kept = int(self.state.mask.kept.sum())
        gone = self.state.space.size - kept
        return self._ranked[: max(0, count(self.state.space.size, sparsity) - gone)]

    def step(self, sparsity: float) -> Tensor:
        """Return the step [D] to a sparsity: minus the weight where one goes, else zero."""
        chosen = self.pruned(sparsity)
        return torch.zeros_like(self.model.weights).index_copy(0, chosen, -self.model.weights[chosen])

    def true_change(self, sparsity: float) -> float:
        """Return the measured, signed change of the batch's mean loss."""
        number = count(self.state.space.size, sparsity)
        if number not in self.losses:
            self.losses[number] = self.risk.value(self.model.weights + self.step(sparsity)).item()
        assert self.model.loss is not None
        return self.losses[number] - self.model.loss

    def is_measured(self, sparsity: float) -> bool:
        """Return whether the true change is known already."""
        return count(self.state.space.size, sparsity) in self.losses

    def is_forecast(self, sparsity: float) -> bool:
        """Return whether the predictions of all orders are known already."""
        number = len(self.pruned(sparsity))
        return all((number, order) in self._forms for order in ORDERS if order not in self._sums)

    def predicted_change(self, sparsity: float, order: str) -> float:
        """Return the predicted, signed change; "ggn" and "hessian" take passes through the network, once."""
        number = len(self.pruned(sparsity))
        if check_choice(order, ORDERS, "order") in self._sums:
            return self._sums[order][number].item()
        if (number, order) not in self._forms:
            self._forms[number, order] = self.forecast(sparsity, (order,)).quadratic_form[order]
        return self._sums["first"][number].item() + self._forms[number, order] / 2

    def saliency_sum(self, sparsity: float) -> float:
        """Return the sum of the sizes of what the diagonal model expects of each weight: a bound, not a prediction."""
        return self._sums["absolute"][len(self.pruned(sparsity))].item()

    def forecast(self, sparsity: float, orders: tuple[str, ...] = tuple(ORDERS)) -> Forecast:
        """Return what the models predict along the straight step to a sparsity."""
        return forecast(self.risk, self.model.weights, self.step(sparsity), orders)


def path(
    net: torch.nn.Module, task: TaskLike, batch: Batch, criterion: str = "mp", sparsity: float = 0.0, stages: int = 1
) -> Path:
    """Return the path that starts where a pruning to a sparsity stands before its last stage (of 1: at the network)."""
    pruner = LocalPruner(check_choice(criterion, CRITERIA, "criterion"), sparsity=sparsity, stages=stages)
    state = pruner.start(net, task)
    for _ in range(stages - 1):
        state = pruner.step(state)
    return Path(pruner, state, batch)


def one_shot(
    net: nn.Module,
    task: TaskLike,
    sparsities: Sequence[float],
    criterion: str | Criterion | Rule = "mp",
    *,
    split: str = "valid",
    seed: int = 0,
) -> tuple[list[Mask], pd.DataFrame]:
    """Prune a network in a single stage to each of several sparsities, and measure what is left.

    Returns
    -------
    list of Mask, DataFrame
        A mask and a row for each sparsity; the columns are sparsity, loss and accuracy on the split. Of layers that
        lose all their weights it does not warn: `Mask.density` says which.
    """
    import pandas as pd

    pruner = LocalPruner(criterion, stages=1, seed=seed)
    start = pruner.start(net, task)
    ranking = rank(pruner, start, model_of(pruner, start))  # once: every sparsity cuts the same one
    rest, found, rows = start.space.rest(), [], []
    for sparsity in check_list(sparsities, "sparsities", "[0.5, 0.9]"):
        pruned = start.mask.smallest_kept(ranking.saliency, start.mask.still_to_prune(sparsity, "global"))
        after = pruned_state(start, pruned, ranking.update)
        score = training.score(partial(start.space.run, after.weights, rest), task, split)
        found.append(after.mask)
        rows.append({"sparsity": after.mask.sparsity, "loss": score.loss, "accuracy": score.accuracy})
    return found, pd.DataFrame(rows)
