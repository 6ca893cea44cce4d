"""How far a Taylor model can be trusted: what each approximation of it predicts for a step, and where it goes wrong.

From the crudest to the finest: first order; second order with the diagonal of the GGN (what pruning uses), with the full
GGN, and with the full Hessian, which is the true Taylor expansion. What the last one misses is beyond the second order.

Source: the criteria of Laurent et al. 2020, section 2, and what they leave out on the way from the Taylor expansion.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property

import torch
from torch import Tensor

from lossprune_lib import checks
from lossprune_lib.criteria import modelled_change
from lossprune_lib.data import Batch, Task
from lossprune_lib.loss_model import LossModel
from lossprune_lib.masks import count
from lossprune_lib.products import ggn_along, hessian_along
from lossprune_lib.pruning import LocalPruner
from lossprune_lib.pruning_run import PrunerState
from lossprune_lib.pruning_stage import rank
from lossprune_lib.weights import WeightSpace, check_space

ORDERS: dict[str, str] = {
    "first": "1st order",
    "diagonal": "2nd order, diagonal GGN",
    "ggn": "2nd order, full GGN",
    "hessian": "2nd order, full Hessian",
}
_FIRST_SHARE = 0.01  # closer to the start, float32 no longer tells the change of the loss from rounding
_POINTS = 40
_HALVINGS = 12


@dataclass(frozen=True)
class Forecast:
    """What the Taylor models of the loss predict along one step.

    Attributes
    ----------
    slope : float
        g . step.
    bend : dict
        v^T M v for v the step, and M nothing ("first"), the GGN's diagonal, the full GGN, the full Hessian, by the names
        in `ORDERS`.
    """

    slope: float
    bend: Mapping[str, float]

    def change(self, order: str, share: float = 1.0) -> float:
        """Return the predicted, signed change of the loss after a share of the step."""
        return share * self.slope + share**2 * self.bend[order] / 2

    def changes(self) -> dict[str, float]:
        """Return the predicted change of the whole step for each order that was asked for."""
        return {order: self.change(order) for order in self.bend}


def forecast(
    space: WeightSpace,
    rest: Mapping[str, Tensor],
    batch: Batch,
    model: LossModel,
    step: Tensor,
    orders: tuple[str, ...] = tuple(ORDERS),
    *,
    max_bytes: int = 2**30,
) -> Forecast:
    """Return what the Taylor models around a point predict along a step.

    Parameters
    ----------
    space, rest : of the network
    batch : the one that the model was made on
    model : of order 2
    step : [D]
    orders : names in `ORDERS`; "ggn" and "hessian" pass through the network for this step, exactly
    """
    check_space(space)
    checks.instance(model, LossModel, "A loss model", "make it first, as LossModel.at(net, batch) gives it")
    if isinstance(orders, str) or not isinstance(orders, Sequence):
        raise TypeError(f"orders is a list of names, such as ['first'], not {orders!r}.")
    for order in orders:
        checks.known(order, ORDERS, "order")
    slope = model.predicted_change(step, order=1).item()
    bends: dict[str, Callable[[], float]] = {
        "first": lambda: 0.0,
        "diagonal": lambda: 2 * (model.predicted_change(step, order=2).item() - slope),
        "ggn": lambda: ggn_along(space, model.weights, rest, batch, step, max_bytes=max_bytes),
        "hessian": lambda: hessian_along(space, model.weights, rest, batch, step, max_bytes=max_bytes),
    }
    return Forecast(slope, {order: bends[order]() for order in orders})


def loss_along(
    space: WeightSpace, rest: Mapping[str, Tensor], batch: Batch, model: LossModel, step: Tensor
) -> Callable[[float], float]:
    """Return the true change of a batch's mean loss as a function of the share of the step; it remembers its answers."""

    @cache
    def true_change(share: float) -> float:
        there = LossModel.at_weights(space, model.weights + share * step, rest, batch, order=0)
        assert there.loss is not None
        assert model.loss is not None
        return there.loss - model.loss

    return true_change


def is_off(predicted: float, true: float, tolerance: float = 0.1) -> bool:
    """Return whether a prediction misses the true change by more than a share of it."""
    return abs(predicted - true) > tolerance * abs(true)


def trust_radius(
    true_change: Callable[[float], float], predicted_change: Callable[[float], float], tolerance: float = 0.1
) -> float:
    """Return the share of a step, at most 1, up to which a prediction stays within a share of the true change.

    The first place where it leaves is looked for on a fine line, and then halved in on. 0 means that it is off at the
    first place already, a hundredth of the step.

    Parameters
    ----------
    true_change, predicted_change : share of the step -> signed change of the loss
    tolerance : float
        0.1: off by 10 %.
    """

    checks.real(tolerance, "tolerance")

    def off(share: float) -> bool:
        return is_off(predicted_change(share), true_change(share), tolerance)

    shares = torch.logspace(torch.tensor(_FIRST_SHARE).log10().item(), 0, _POINTS, dtype=torch.float64).tolist()
    first_off = next((i for i, share in enumerate(shares) if off(share)), None)
    if first_off is None:
        return 1.0
    if first_off == 0:
        return 0.0
    inside, outside = shares[first_off - 1], shares[first_off]
    for _ in range(_HALVINGS):
        middle = (inside + outside) / 2
        inside, outside = (inside, middle) if off(middle) else (middle, outside)
    return inside


@dataclass(frozen=True, eq=False)
class Path:
    """The steps that a criterion takes from one point, in one go, to any sparsity beyond it; one loss model for them all.

    Attributes
    ----------
    pruner : LocalPruner
        Whose criterion chooses.
    state : PrunerState
        The point.
    batch : on which the loss is modelled and measured
    losses : dict
        What was measured: the number of pruned weights -> loss. For a criterion that needs no model, paths from several
        points lead through the same networks and may share it.
    """

    pruner: LocalPruner
    state: PrunerState
    batch: Batch
    losses: dict[int, float] = field(default_factory=dict, repr=False)
    _bends: dict[tuple[int, str], float] = field(default_factory=dict, init=False, repr=False)

    @cached_property
    def model(self) -> LossModel:
        """Of order 2, at the point."""
        return LossModel.at_weights(self.state.space, self.state.weights, self.state.rest, self.batch)

    @cached_property
    def _ranked(self) -> Tensor:
        """The indices of the kept weights, in the order in which they go."""
        kept = self.state.mask.kept.nonzero().squeeze(1)
        return kept[rank(self.pruner, self.state, self.model)[kept].argsort(stable=True)]

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
            there = self.model.weights + self.step(sparsity)
            found = LossModel.at_weights(self.state.space, there, self.state.rest, self.batch, order=0).loss
            assert found is not None
            self.losses[number] = found
        assert self.model.loss is not None
        return self.losses[number] - self.model.loss

    def is_measured(self, sparsity: float) -> bool:
        """Return whether the true change is known already."""
        return count(self.state.space.size, sparsity) in self.losses

    def is_forecast(self, sparsity: float) -> bool:
        """Return whether the predictions of all orders are known already."""
        number = len(self.pruned(sparsity))
        return all((number, order) in self._bends for order in ORDERS if order not in self._sums)

    def predicted_change(self, sparsity: float, order: str) -> float:
        """Return the predicted, signed change; "ggn" and "hessian" take passes through the network, once."""
        number = len(self.pruned(sparsity))
        if checks.known(order, ORDERS, "order") in self._sums:
            return self._sums[order][number].item()
        if (number, order) not in self._bends:
            self._bends[number, order] = self.forecast(sparsity, (order,)).bend[order]
        return self._sums["first"][number].item() + self._bends[number, order] / 2

    def saliency_sum(self, sparsity: float) -> float:
        """Return the sum of the sizes of what the diagonal model expects of each weight: a bound, not a prediction."""
        return self._sums["absolute"][len(self.pruned(sparsity))].item()

    def forecast(self, sparsity: float, orders: tuple[str, ...] = tuple(ORDERS)) -> Forecast:
        """Return what the models predict along the straight step to a sparsity."""
        return forecast(self.state.space, self.state.rest, self.batch, self.model, self.step(sparsity), orders)

    def radius(self, sparsity: float, order: str, tolerance: float = 0.1) -> float:
        """Return the share of the straight step to a sparsity up to which a model is off by no more than the tolerance."""
        at, found = self.state, self.forecast(sparsity, (order,))
        truth = loss_along(at.space, at.rest, self.batch, self.model, self.step(sparsity))
        return trust_radius(truth, lambda share: found.change(order, share), tolerance)


def path(
    net: torch.nn.Module, task: Task, batch: Batch, criterion: str = "mp", sparsity: float = 0.0, stages: int = 1
) -> Path:
    """Return the path from where a pruning to a sparsity in some stages stands before its last stage: for one, the start."""
    pruner = LocalPruner(criterion, sparsity=sparsity, stages=stages)
    state = pruner.start(net, task)
    for _ in range(stages - 1):
        state = pruner.step(state)
    return Path(pruner, state, batch)
