"""The saliency of each weight: the smallest are pruned.

A criterion is a function of a `LossModel` and gives one number per weight. One that models the loss gives the signed
change that it predicts for pruning each weight alone; its saliency is the size of that change plus the step penalty.
To add a criterion, write its function below and name the order of model that it needs: it then appears everywhere.

Source: Laurent et al. 2020, section 2. With theta the weights, g the gradient and G the curvature.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from lossprune_lib.checks import check_choice, check_float, check_generator, check_instance
from lossprune_lib.loss_modelling.model import LossModel


@dataclass(frozen=True)
class Criterion:
    """A criterion, and what it needs.

    Attributes
    ----------
    order : int or None
        The order of the loss model: 1 with gradient, 2 with curvature too; None if no data is needed.
    gradient : bool
        Whether it reads the model's gradient.
    change : (LossModel) -> [..., D]
        The modelled change from pruning each weight alone; for criteria of order None just a score.
    """

    name: str
    order: int | None
    change: Callable[[LossModel], Tensor]
    gradient: bool = True

    @property
    def models_loss(self) -> bool:
        """Whether the criterion predicts a change of the loss."""
        return self.order is not None


CRITERIA: dict[str, Criterion] = {}


def _criterion(
    order: int | None, gradient: bool = True
) -> Callable[[Callable[[LossModel], Tensor]], Callable[[LossModel], Tensor]]:
    def register(change: Callable[[LossModel], Tensor]) -> Callable[[LossModel], Tensor]:
        CRITERIA[change.__name__] = Criterion(change.__name__, order, change, gradient)
        return change

    return register


@_criterion(order=None)
def random(model: LossModel) -> Tensor:
    """A score with no meaning, the baseline that any criterion must beat; `saliency` draws it."""
    return torch.zeros_like(model.weights)


@_criterion(order=None)
def mp(model: LossModel) -> Tensor:
    """Magnitude pruning: theta^2."""
    return model.weights.square()


@_criterion(order=1)
def lm(model: LossModel) -> Tensor:
    """Linear model: -g theta."""
    assert model.gradient is not None
    return -model.gradient * model.weights


@_criterion(order=2)
def qm(model: LossModel) -> Tensor:
    """Quadratic model: -g theta + 1/2 G theta^2."""
    assert model.gradient is not None
    assert model.curvature is not None
    return model.weights * (0.5 * model.curvature * model.weights - model.gradient)


@_criterion(order=2, gradient=False)
def obd(model: LossModel) -> Tensor:
    """Optimal Brain Damage: 1/2 G theta^2, the quadratic model with the gradient assumed zero."""
    assert model.curvature is not None
    return 0.5 * model.curvature * model.weights.square()


def saliency(
    model: LossModel, criterion: str, step_penalty: float = 0.0, *, generator: torch.Generator | None = None
) -> Tensor:
    """Return the saliency of each weight [D].

    Parameters
    ----------
    model : of the order that the criterion needs
    criterion : a name in `CRITERIA`
    step_penalty : float
        lambda: 1/2 lambda theta^2 is added to the saliency of each criterion that models the loss. As it grows, each
        becomes magnitude pruning.
    generator : a CPU generator
        For "random", which draws from it.

    Raises
    ------
    ValueError
        for an unknown criterion, a negative penalty, a model of too low an order, or "random" without a generator.
    """
    found = CRITERIA[check_choice(criterion, CRITERIA, "criterion")]
    check_float(step_penalty, "step_penalty")
    _check_model(model, found)
    if criterion == "random":
        if generator is None:
            raise ValueError('random draws its scores: give a generator, for example seeds.generator(0, "random").')
        check_generator(generator)
    return scores(found, model, step_penalty, generator)


def scores(
    criterion: Criterion, model: LossModel, step_penalty: float, generator: torch.Generator | None = None
) -> Tensor:
    """Return what `saliency` does, of arguments that were checked already."""
    if criterion.models_loss:
        return criterion.change(model).abs() + 0.5 * step_penalty * model.weights.square()
    if criterion.name == "random":
        drawn = torch.rand(model.weights.shape, generator=generator, dtype=model.weights.dtype)
        return drawn.to(model.weights.device)
    return criterion.change(model)


def modelled_change(model: LossModel, criterion: str) -> Tensor:
    """Return the signed change [D] that a criterion predicts for pruning each weight alone.

    Raises
    ------
    ValueError
        for magnitude and random, which model no loss, and for a model of too low an order.
    """
    found = CRITERIA[check_choice(criterion, CRITERIA, "criterion")]
    if found.order is None:
        raise ValueError(f"{criterion} does not model the loss, so it predicts no change: take lm, qm or obd.")
    _check_model(model, found)
    return found.change(model)


def _check_model(model: object, criterion: Criterion) -> None:
    """Raise TypeError or ValueError unless this is a loss model that has what a criterion reads."""
    found = check_instance(model, LossModel, "A loss model", "make it first, as LossModel.at(net, batch) gives it")
    if criterion.order is None:
        return
    if found.order is None or found.order < criterion.order:
        raise ValueError(
            f"{criterion.name} needs a loss model of order {criterion.order}: make it with "
            f"LossModel.at(..., order={criterion.order})."
        )
    if criterion.gradient and found.gradient is None:
        raise ValueError(
            f"{criterion.name} needs the gradient, which this loss model was made without: leave out gradient=False."
        )
