"""Bonus 2.5: how much the loss bends along a step, without building the Hessian."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from lossprune_lib.exercises.checking import Exercise, fresh, register

Loss = Callable[[Tensor], Tensor]
Case = tuple[Loss, Tensor, Tensor]


@torch.enable_grad()  # a student may have switched it off
def _derivatives(loss: Loss, weights: Tensor, step: Tensor) -> tuple[Tensor, Tensor]:
    """Return the gradient [D], and the Hessian times the step [D]."""
    at = weights.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(at), at, create_graph=True)
    (product,) = torch.autograd.grad(gradient @ step, at)
    return gradient.detach(), product


def _right(loss: Loss, weights: Tensor, step: Tensor) -> Tensor:
    return step @ _derivatives(loss, weights, step)[1]


def _network(x: Tensor, y: Tensor, hidden: int) -> Loss:
    """Return the loss of a network of two layers with tanh between them, as a function of all of its weights."""
    inputs = x.shape[1]

    def loss(weights: Tensor) -> Tensor:
        first, last = weights[: inputs * hidden].view(inputs, hidden), weights[inputs * hidden :]
        return ((x @ first).tanh() @ last - y).square().mean()

    return loss


def _cases() -> list[Case]:
    source, cases = fresh(), []
    for inputs, hidden in ((2, 3), (4, 3), (3, 5)):
        x, y = torch.randn(20, inputs, generator=source).double(), torch.randn(20, generator=source).double()
        weights, step = torch.randn(2, (inputs + 1) * hidden, generator=source).double()
        cases.append((_network(x, y, hidden), weights, 0.7 * step))
    return cases


_WORDS = """
    right: Two backward passes are enough for it, whatever the number of weights. That is how the library does it for
        whole networks.
    hint: The slope along the step is a number that depends on the weights. Differentiate it, and go along the step.
    hessian-times-step: This is the Hessian times the step, one number for each weight. Multiply by the step once more.
    half: There is a 1/2 too many: it belongs to the Taylor expansion, not to the quadratic form.
    length: This is the length of the Hessian times the step: take its product with the step.
    squared-slope: This is the square of the slope. A second derivative asks how the slope itself changes.
    slope: This is the slope along the step, a first derivative. Differentiate it once more.
    second-order: This is the whole second-order prediction. Only the quadratic form is asked for.
    per-length: You divided by the squared length of the step: leave the step as long as it is.
    negated: The sign is wrong: where the loss bends upwards along the step, the quadratic form is positive.
    diagonal: Only the diagonal of the Hessian is in it. All pairs of weights count.
    at-the-end: The derivatives are taken at the end of the step. The expansion is made where the step begins.
    weights-for-step: You went along the weights. Go along the step.
    actual-change: This is the actual change of the loss. The quadratic form knows the loss at one point only.
"""


def _wrong(loss: Loss, weights: Tensor, step: Tensor) -> dict[str, Tensor]:
    gradient, product = _derivatives(loss, weights, step)
    slope, form = gradient @ step, step @ product
    diagonal = torch.autograd.functional.hessian(loss, weights).diagonal()
    return {
        "half": form / 2,
        "length": product.norm(),
        "squared-slope": slope.square(),
        "slope": slope,
        "second-order": slope + form / 2,
        "per-length": form / (step @ step),
        "negated": -form,
        "diagonal": diagonal @ step.square(),
        "at-the-end": _right(loss, weights + step, step),
        "weights-for-step": _right(loss, weights, weights),
        "actual-change": loss(weights + step) - loss(weights),
    }


register(
    "curvature along a step",
    Exercise(
        _right,
        _cases,
        _wrong,
        _WORDS,
        ("the quadratic form",),
        signs=lambda found, loss, weights, step: {"hessian-times-step": found[0].shape == weights.shape},
    ),
)
