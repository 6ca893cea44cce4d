"""Exercise 2.1: the change of the loss that the quadratic model predicts."""

from __future__ import annotations

import torch
from torch import Tensor

from lossprune_lib.exercises.checking import Exercise, register
from lossprune_lib.exercises.taylor.saliencies import points
from lossprune_lib.loss_modelling.model import LossModel

Case = tuple[Tensor, Tensor, Tensor, Tensor]


def _right(weights: Tensor, gradient: Tensor, curvature: Tensor, kept: Tensor) -> Tensor:
    return LossModel(weights, 0.0, gradient, curvature).predicted_change(-weights * ~kept)


def _cases() -> list[Case]:
    """Return masks that prune every second weight, all but the first of each pair, and none, at each point."""
    cases = []
    for point in points():
        place = torch.arange(len(point[0]))
        cases += [(*point, kept) for kept in (place % 2 == 1, place == 0, place >= 0)]
    return cases


_WORDS = """
    hint: Write down the step first: zero where kept is True, minus the weight elsewhere. Then add up both terms.
    right: The sign is right too: a model may predict that the loss falls. The change is zero where nothing is pruned.
    per-weight: You return several numbers, but the change of the loss is one: sum over the weights.
    sign: The sign of the step is wrong: pruning moves each weight by minus itself.
    swapped-mask: Kept and pruned are swapped: `kept` is True where the weight stays, and there the step is zero.
    swapped-mask-and-sign: Kept and pruned are swapped, and the sign of the step is wrong.
    no-mask: The mask is ignored: kept weights do not move.
    half: The 1/2 of the quadratic term is missing.
    sign-and-half: The sign of the step is wrong, and the 1/2 of the quadratic term is missing.
    no-curvature: The quadratic term is missing: this is the first-order prediction.
    no-gradient: The gradient is ignored: that is OBD's prediction.
    not-squared: The step is not squared in the quadratic term.
    saliencies: You added up absolute values: that is the sum of the saliencies, a bound. A prediction keeps its signs.
    sizes-of-gradient: You took the absolute value of the gradient terms, but a prediction keeps their signs.
    size-of-total: You took the absolute value at the end, but a prediction keeps its sign.
    mean: You divided by the number of weights, but the changes of single weights add up.
    mean-of-pruned: You divided by the number of pruned weights, which may be zero: the changes of single weights add
        up.
    negated: Everything has the wrong sign: the change is the loss after pruning minus the loss before.
    sign-of-quadratic: The quadratic term has the wrong sign: a positive curvature raises the loss in either direction.
    half-gradient: You halved the gradient term too: the 1/2 belongs to the quadratic term only.
    curvature-squared: The curvature is squared, but only the step should be.
    square-of-sum: You squared the sum over the weights: square each weight's step first, then sum.
    swapped: Gradient and curvature are swapped: the gradient goes with the step, the curvature with its square.
"""


def _wrong(weights: Tensor, gradient: Tensor, curvature: Tensor, kept: Tensor) -> dict[str, Tensor]:
    def at(step: Tensor) -> tuple[Tensor, Tensor]:
        return step @ gradient, step.square() @ curvature / 2

    step = -weights * ~kept
    (linear, quadratic), (kept_linear, kept_quadratic) = at(step), at(-weights * kept)
    each = step * gradient + step.square() * curvature / 2
    return {
        "sign": -linear + quadratic,
        "swapped-mask": kept_linear + kept_quadratic,
        "swapped-mask-and-sign": -kept_linear + kept_quadratic,
        "no-mask": sum(at(-weights), torch.zeros(())),
        "half": linear + 2 * quadratic,
        "sign-and-half": -linear + 2 * quadratic,
        "no-curvature": linear,
        "no-gradient": quadratic,
        "not-squared": linear + step @ curvature / 2,
        "saliencies": each.abs().sum(),
        "sizes-of-gradient": (step * gradient).abs().sum() + quadratic,
        "size-of-total": (linear + quadratic).abs(),
        "mean": each.mean(),
        "mean-of-pruned": each.sum() / (~kept).sum(),
        "negated": -(linear + quadratic),
        "sign-of-quadratic": linear - quadratic,
        "half-gradient": linear / 2 + quadratic,
        "curvature-squared": linear + (step * curvature).square().sum() / 2,
        "square-of-sum": linear + (step @ curvature.sqrt()).square() / 2,
        "swapped": step @ curvature + step.square() @ gradient / 2,
    }


register(
    "predicted change",
    Exercise(
        _right,
        _cases,
        _wrong,
        _WORDS,
        ("the predicted change",),
        signs=lambda found, *arguments: {"per-weight": found[0].numel() != 1},
    ),
)
