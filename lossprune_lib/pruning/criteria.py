"""The saliency of each weight: the smallest are pruned.

A criterion is a function of a `LossModel` and gives one number per weight. One that models the loss gives the signed
change that it predicts for pruning each weight alone; its saliency is the size of that change plus the step penalty.
`LocalPruner` takes a `Criterion` of your own as it is. To add one under a name, write its function below and put it,
with the order of model that it needs, into `CRITERIA`: it then appears everywhere.

Source: Laurent et al. 2020, section 2. With theta the weights, g the gradient and G the curvature.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lossprune_lib.checks import check_choice, check_float, check_generator, check_instance
from lossprune_lib.loss_modelling.model import LossModel

Update = Callable[[Tensor], Tensor]  # the indices [K] of the weights that a stage prunes -> new weights [D]
Rule = Callable[[Any], Tensor | tuple[Tensor, Update]]  # of a LossModel; at a stage of a pruner it is a StageModel


@dataclass(frozen=True)
class Criterion:
    """A criterion, and what it needs: give it a `change` or a `score`.

    Either is a function of the `StageModel` and gives one number per weight [D], or a pair of these and an update: a
    function of the indices of the weights that the stage prunes, which gives new weights [D]. Those that stay then have
    these values, in the next stage, the trace and the pruned network (as in Optimal Brain Surgeon).

    Attributes
    ----------
    order : int or None
        The order of the loss model: 0 with the batch and its loss, 1 with gradient, 2 with curvature too; None if no
        data is needed.
    change : function
        The modelled, signed change of the loss from pruning each weight alone. Weights are ranked by its size, with the
        step penalty, and the trace compares it with what came.
    gradient : bool
        Whether it reads the model's gradient.
    score : function
        Just a score, of which the smallest go; the step penalty does not touch it.

    Examples
    --------
    SNIP (Lee et al. 2019), LAMP (Lee et al. 2021) and Wanda (Sun et al. 2023):

    >>> import torch
    >>> from lossprune_lib import LocalPruner
    >>> from lossprune_lib.pruning.allocation import lamp_scores
    >>> def snip(stage):
    ...     sensitivity = (stage.gradient * stage.weights).abs()
    ...     return sensitivity / sensitivity.sum()
    >>> def lamp(stage):
    ...     return torch.cat([lamp_scores(weight.flatten()) for weight in stage.space.split(stage.weights)])
    >>> def wanda(stage):
    ...     norms = [x.norm(dim=-2, keepdim=True) for x in stage.inputs().values()]
    ...     layers = zip(stage.space.split(stage.weights), norms, strict=True)
    ...     return torch.cat([(w.reshape(*x.shape[:-2], -1, x.shape[-1]).abs() * x).flatten() for w, x in layers])
    >>> pruners = [
    ...     LocalPruner(Criterion("snip", order=1, score=snip), sparsity=0.9, stages=1),
    ...     LocalPruner(lamp, sparsity=0.9, stages=1),  # a function alone reads no data
    ...     LocalPruner(Criterion("wanda", order=0, score=wanda), sparsity=0.5, stages=1, scope="row"),
    ... ]
    """

    name: str
    order: int | None
    change: Rule | None = None
    gradient: bool = True
    score: Rule | None = None

    def __post_init__(self) -> None:
        check_instance(self.name, str, "The name of a criterion", 'write Criterion("name", order=..., score=...)')
        if self.order not in (None, 0, 1, 2) or (self.order == 1 and not self.gradient):
            raise ValueError(
                f"order is {self.order!r} and gradient {self.gradient}, but a criterion reads a loss model of order "
                "None, 0, 1 (which is the gradient) or 2."
            )
        if (self.change is None) == (self.score is None) or not callable(self.rule):
            raise TypeError(f"Criterion {self.name!r} is one function, a change of the loss or a score: give one.")
        if self.models_loss and self.order is None:
            raise ValueError(
                f"Criterion {self.name!r} models a change of the loss, of which order None knows nothing: give order "
                "0, 1 or 2, or score= in place of change=."
            )

    @property
    def rule(self) -> Rule:
        """Its function."""
        return self.change or self.score  # type: ignore[return-value]

    @property
    def models_loss(self) -> bool:
        """Whether the criterion predicts a change of the loss."""
        return self.change is not None


@dataclass(frozen=True, eq=False)
class Ranking:
    """What a criterion says: the saliency of each weight, the change if it models one, the update if it gives one."""

    saliency: Tensor
    change: Tensor | None = None
    update: Update | None = None


def criterion_of(given: str | Criterion | Rule) -> Criterion:
    """Return the criterion of a name, or what is one already; a function that is none of ours scores without data."""
    if isinstance(given, Criterion):
        return given
    if not callable(given):
        return CRITERIA[check_choice(given, CRITERIA, "criterion")]
    ours = (criterion for criterion in CRITERIA.values() if criterion.rule is given)
    return next(ours, None) or Criterion(getattr(given, "__name__", type(given).__name__), None, score=given)


def random(model: LossModel) -> Tensor:
    """A score with no meaning, the baseline that any criterion must beat; `saliency` draws it."""
    return torch.zeros_like(model.weights)


def mp(model: LossModel) -> Tensor:
    """Magnitude pruning: theta^2."""
    return model.weights.square()


def lm(model: LossModel) -> Tensor:
    """Linear model: -g theta."""
    assert model.gradient is not None
    return -model.gradient * model.weights


def qm(model: LossModel) -> Tensor:
    """Quadratic model: -g theta + 1/2 G theta^2."""
    assert model.gradient is not None
    assert model.curvature is not None
    return model.weights * (0.5 * model.curvature * model.weights - model.gradient)


def obd(model: LossModel) -> Tensor:
    """Optimal Brain Damage: 1/2 G theta^2, the quadratic model with the gradient assumed zero."""
    assert model.curvature is not None
    return 0.5 * model.curvature * model.weights.square()


CRITERIA = {
    "random": Criterion("random", None, score=random),
    "mp": Criterion("mp", None, score=mp),
    "lm": Criterion("lm", 1, change=lm),
    "qm": Criterion("qm", 2, change=qm),
    "obd": Criterion("obd", 2, change=obd, gradient=False),
}


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
    ValueError, TypeError
        for an unknown criterion, a negative penalty, a model of too low an order, or "random" without a generator.
    """
    found = CRITERIA[check_choice(criterion, CRITERIA, "criterion")]
    check_float(step_penalty, "step_penalty")
    _check_model(model, found)
    if criterion == "random":
        check_generator(generator)
    return judge(found, model, step_penalty, generator).saliency


def judge(
    criterion: Criterion, model: LossModel, step_penalty: float, generator: torch.Generator | None = None
) -> Ranking:
    """Return what a criterion says of each weight, of arguments that were checked already."""
    if criterion == CRITERIA["random"]:
        drawn = torch.rand(model.weights.shape, generator=generator, dtype=model.weights.dtype)
        return Ranking(drawn.to(model.weights.device))
    try:
        found = criterion.rule(model)
    except (TypeError, AttributeError) as error:
        if "NoneType" not in str(error):
            raise
        raise ValueError(
            f"Criterion {criterion.name!r} has order {criterion.order}, and reads what its loss model does not hold "
            f"({error}): give the order that it needs, as in Criterion({criterion.name!r}, order=1, score=...)."
        ) from error
    numbers, update = found if isinstance(found, tuple) and len(found) == 2 else (found, None)
    at = model.weights
    fits = isinstance(numbers, Tensor) and numbers.shape == at.shape and numbers.device == at.device
    if not fits or numbers.is_complex():
        is_tensor = isinstance(numbers, Tensor)
        given = f"{numbers.dtype} {list(numbers.shape)} on {numbers.device}" if is_tensor else type(numbers).__name__
        raise ValueError(
            f"Criterion {criterion.name!r} gives {given}, but must give a tensor with one number per weight, "
            f"{at.dtype} {list(at.shape)} on {at.device}, or a pair of that and an update."
        )
    if numbers.element_size() < 4:  # torch and NumPy cannot rank them all
        numbers = numbers.float()
    if not criterion.models_loss:
        return Ranking(numbers, update=update)
    sizes = numbers.abs()
    return Ranking(sizes + 0.5 * step_penalty * at.square() if step_penalty else sizes, numbers, update)


def modelled_change(model: LossModel, criterion: str) -> Tensor:
    """Return the signed change [D] that a criterion predicts for pruning each weight alone.

    Raises
    ------
    ValueError
        for magnitude and random, which model no loss, and for a model of too low an order.
    """
    found = CRITERIA[check_choice(criterion, CRITERIA, "criterion")]
    if found.change is None:
        raise ValueError(f"{criterion} does not model the loss, so it predicts no change: take lm, qm or obd.")
    _check_model(model, found)
    return judge(found, model, 0.0).change  # type: ignore[return-value]


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
