"""Quadratic forms with the full GGN and the full Hessian: D x D matrices that are never built.

A diagonal has D numbers, the matrix D^2. But all that a quadratic model needs of the matrix M is step^T M step, and
that costs a few passes through the network. With J the Jacobian of the outputs and H the Hessian of one example's loss
by its outputs, the GGN is J^T H J: forward through J (jvp), then once through the small H. For the Hessian it is the
second derivative of the loss along the step.

Sources: Pearlmutter 1994, Fast Exact Multiplication by the Hessian; Schraudolph 2002, Fast Curvature Matrix-Vector
Products for Second-Order Gradient Descent, section 3 (the GGN).
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torch.func import grad, jvp


def ggn_quadratic_form(
    outputs: Callable[[Tensor], Tensor], loss: Callable[[Tensor], Tensor], weights: Tensor, step: Tensor
) -> Tensor:
    """Return step^T G step, for G the GGN of loss(outputs(weights)) at weights [D], summed over examples.

    Never below zero for a loss that is convex in the outputs.

    Parameters
    ----------
    outputs : weights [D] -> [N, ...]
    loss : outputs -> scalar
        The sum over the examples.
    step : [D]
    """
    at, moved = jvp(outputs, (weights,), (step,))[:2]
    curved = jvp(grad(loss), (at.detach(),), (moved.detach(),))[1]
    return (moved * curved).sum().clamp_min(0)


def hessian_quadratic_form(
    outputs: Callable[[Tensor], Tensor], loss: Callable[[Tensor], Tensor], weights: Tensor, step: Tensor
) -> Tensor:
    """Return step^T H step, for H the Hessian of the same at weights [D]; it may be negative."""

    def slope(at: Tensor) -> Tensor:
        return jvp(lambda weights: loss(outputs(weights)), (at,), (step,))[1]

    return jvp(slope, (weights,), (step,))[1]
