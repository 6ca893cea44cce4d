"""What each approximation of a Taylor model predicts for a step, and what the loss really does along it.

From the crudest to the finest: first order; second order with the diagonal of the GGN (what pruning uses), with the
full GGN, and with the full Hessian, which is the true Taylor expansion. What that one misses is beyond second order.

Source: the criteria of Laurent et al. 2020, section 2, and what they leave out on the way from the Taylor expansion.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from torch import Tensor

from lossprune_lib.checks import check_choice, check_list
from lossprune_lib.loss_modelling.batch_loss import BatchLoss

ORDERS: dict[str, str] = {
    "first": "1st order",
    "diagonal": "2nd order, diagonal GGN",
    "ggn": "2nd order, full GGN",
    "hessian": "2nd order, full Hessian",
}


@dataclass(frozen=True)
class Forecast:
    """What the Taylor models of the loss predict along one step.

    Attributes
    ----------
    slope : float
        g . step.
    quadratic_form : dict
        step^T M step, with M nothing ("first"), the GGN's diagonal, the full GGN, the full Hessian, by the names in
        `ORDERS`.
    """

    slope: float
    quadratic_form: Mapping[str, float]

    def change(self, order: str, share: float = 1.0) -> float:
        """Return the predicted, signed change of the loss after a share of the step."""
        return share * self.slope + share**2 * self.quadratic_form[order] / 2

    def changes(self) -> dict[str, float]:
        """Return the predicted change of the whole step for each order that was asked for."""
        return {order: self.change(order) for order in self.quadratic_form}


def forecast(risk: BatchLoss, weights: Tensor, step: Tensor, orders: Sequence[str] = tuple(ORDERS)) -> Forecast:
    """Return what the Taylor models around weights [D] predict along a step [D].

    Parameters
    ----------
    orders : names in `ORDERS`
        "ggn" and "hessian" pass through the network for this step, exactly.
    """
    orders = [check_choice(order, ORDERS, "order") for order in check_list(orders, "orders", "['first']")]
    model = risk.model(weights)
    slope = model.predicted_change(step, order=1).item()
    forms: dict[str, Callable[[], float]] = {
        "first": lambda: 0.0,
        "diagonal": lambda: 2 * (model.predicted_change(step, order=2).item() - slope),
        "ggn": lambda: risk.quadratic_form(weights, step, "ggn"),
        "hessian": lambda: risk.quadratic_form(weights, step, "hessian"),
    }
    return Forecast(slope, {order: forms[order]() for order in orders})


def loss_along(risk: BatchLoss, weights: Tensor, step: Tensor) -> Callable[[float], float]:
    """Return the actual change of a batch's mean loss as a function of the share of a step from weights [D]."""
    start = risk.value(weights).item()

    @cache
    def true_change(share: float) -> float:
        return risk.value(weights + share * step).item() - start

    return true_change
