"""Quadratic forms with the full GGN and the full Hessian: D x D matrices that are never built.

A diagonal has D numbers, the matrix D^2. But all that a quadratic model needs of the matrix M is step^T M step, and
that costs a few passes through the network. With J the Jacobian of the logits and H the Hessian of one example's loss
by its logits, the GGN is J^T H J: forward through J (jvp), then through a root of the small H. For the Hessian it is
the second derivative of the loss along the step.

Sources: Pearlmutter 1994, Fast Exact Multiplication by the Hessian; Schraudolph 2002, Fast Curvature Matrix-Vector
Products for Second-Order Gradient Descent, section 3 (the GGN).
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torch.func import jvp


def ggn_quadratic_form(
    logits: Callable[[Tensor], Tensor], hessian_root: Callable[[Tensor], Tensor], weights: Tensor, step: Tensor
) -> Tensor:
    """Return step^T G step, for G the GGN at weights [D], summed over examples; never below zero.

    Parameters
    ----------
    logits : weights [D] -> [N, C]
    hessian_root : logits [N, C] -> [S, N, C]
        Columns whose outer products sum to the Hessian of each example's loss by its logits.
    step : [D]
    """
    at, moved = jvp(logits, (weights,), (step,))[:2]
    return (hessian_root(at.detach()) * moved).sum(2).square().sum()


def hessian_quadratic_form(
    logits: Callable[[Tensor], Tensor], loss: Callable[[Tensor], Tensor], weights: Tensor, step: Tensor
) -> Tensor:
    """Return step^T H step, for H the Hessian of loss(logits(weights)) at weights [D]; it may be negative.

    Parameters
    ----------
    logits : weights [D] -> [N, C]
    loss : logits [N, C] -> scalar
        The sum over the examples.
    step : [D]
    """

    def slope(at: Tensor) -> Tensor:
        return jvp(lambda weights: loss(logits(weights)), (at,), (step,))[1]

    return jvp(slope, (weights,), (step,))[1]
