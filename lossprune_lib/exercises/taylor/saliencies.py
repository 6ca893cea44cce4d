"""Exercise 2.2: the saliency of QM. Weights, gradient and curvature are [D]."""

from __future__ import annotations

import torch
from torch import Tensor

from lossprune_lib.exercises.checking import Exercise, fresh, register
from lossprune_lib.loss_modelling.model import LossModel
from lossprune_lib.pruning.criteria import saliency

# By hand: a weight of each sign, one that is zero already, and one whose gradient is zero.
_BY_HAND = [[2.0, -1.0, 0.0, 3.0], [2.5, 1.0, 4.0, 0.0], [1.0, 2.0, 3.0, 2.0]]


def points() -> list[tuple[Tensor, Tensor, Tensor]]:
    """Return weights, gradients and curvatures: by hand, then of different scales, with zeros and ties."""
    source, found = fresh(), [torch.tensor(_BY_HAND).double().unbind()]
    for scale in (1.0, 30.0, 0.01):
        weights, gradient, curvature = torch.randn(3, 60, dtype=torch.float64, generator=source)
        weights[20:40] *= 20
        weights[:5] = 0
        weights[5:8] = weights[8]
        gradient[10:14] = 0
        found.append((weights, gradient * scale, curvature.square()))
    return [(weights, gradient, curvature) for weights, gradient, curvature in found]


def _qm(weights: Tensor, gradient: Tensor, curvature: Tensor, step_penalty: float) -> Tensor:
    return saliency(LossModel(weights, 0.0, gradient, curvature), "qm", step_penalty)


_QM_WORDS = """
    hint: Follow the first weight by hand. Its step is minus the weight: one term takes the gradient, one the curvature;
        the size of their sum comes first, then the penalty is added.
    right: Leave out the curvature and it is LM, leave out the gradient and it is OBD; with a large λ it ranks as MP
        does.
    summed: Your saliency is one number, but every weight needs one of its own: do not sum over the weights.
    sign: The gradient term has the wrong sign: the step is minus the weight, so this term is -g θ.
    half-curvature: The 1/2 of the quadratic term is missing.
    sign-and-half: The sign of the gradient term is wrong, and the 1/2 of the quadratic term is missing.
    half-penalty: The 1/2 of the step penalty is missing.
    both-halves: Both halves are missing: the quadratic term has a 1/2, and so has the step penalty.
    signed: The absolute value is missing.
    penalty-inside: Take the absolute value before you add the step penalty, which must never make a step cheaper.
    each-term: You took the absolute value of each term, but the two may cancel: take it of their sum.
    quadratic-not-squared: The weight is not squared in the quadratic term.
    curvature-squared: The curvature is squared, but only the step should be.
    penalty-on-size: The weight is not squared in the step penalty: you use its absolute value.
    penalty-constant: The step penalty is the same for every weight, but it must grow with the weight, as 1/2 λ θ².
    penalty-summed: You add the step penalty of all weights together: each weight pays for its own square only.
    penalty-squared: The step penalty λ is squared, but only the weight should be.
    penalty-subtracted: The step penalty is subtracted, but it should penalise long steps.
    no-penalty: The step penalty is ignored.
    no-gradient: The gradient is ignored: that is OBD.
    no-curvature: The curvature is ignored: that is LM.
    bare-gradient: The gradient is not multiplied by the step.
    change-squared: You squared the change instead of taking its absolute value.
    half-gradient: You halved the gradient term too: the 1/2 belongs to the two squares only.
    swapped: Gradient and curvature are swapped: the gradient goes with the weight, the curvature with its square.
    clipped: You clipped negative changes at zero: take the absolute value.
"""


def _qm_wrong(weights: Tensor, gradient: Tensor, curvature: Tensor, step_penalty: float) -> dict[str, Tensor]:
    squares = weights.square()
    linear, quadratic, extra = -gradient * weights, 0.5 * curvature * squares, 0.5 * step_penalty * squares
    right = (linear + quadratic).abs()
    return {
        "sign": (-linear + quadratic).abs() + extra,
        "half-curvature": (linear + 2 * quadratic).abs() + extra,
        "sign-and-half": (-linear + 2 * quadratic).abs() + extra,
        "half-penalty": right + 2 * extra,
        "both-halves": (linear + 2 * quadratic).abs() + 2 * extra,
        "signed": linear + quadratic + extra,
        "penalty-inside": (linear + quadratic + extra).abs(),
        "each-term": linear.abs() + quadratic.abs() + extra,
        "quadratic-not-squared": (linear + 0.5 * curvature * weights).abs() + extra,
        "curvature-squared": (linear + 0.5 * (curvature * weights).square()).abs() + extra,
        "penalty-on-size": right + 0.5 * step_penalty * weights.abs(),
        "penalty-constant": right + 0.5 * step_penalty,
        "penalty-summed": right + extra.sum(),
        "penalty-squared": right + 0.5 * (step_penalty * weights).square(),
        "penalty-subtracted": right - extra,
        "no-penalty": right,
        "no-gradient": quadratic + extra,
        "no-curvature": linear.abs() + extra,
        "bare-gradient": (-gradient + quadratic).abs() + extra,
        "change-squared": right.square() + extra,
        "half-gradient": (linear / 2 + quadratic).abs() + extra,
        "swapped": (-curvature * weights + 0.5 * gradient * squares).abs() + extra,
        "clipped": (linear + quadratic).clamp_min(0) + extra,
    }


def _summed(found: list[Tensor], *arguments: Tensor | float) -> dict[str, bool]:
    return {"summed": found[0].ndim == 0}


register(
    "QM saliency",
    Exercise(
        _qm,
        lambda: [(*point, penalty) for point in points() for penalty in (0.0, 0.3, 50.0)],
        _qm_wrong,
        _QM_WORDS,
        ("the saliency",),
        signs=_summed,
    ),
)
