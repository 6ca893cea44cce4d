"""Quadratic forms with the full GGN and the full Hessian: D x D matrices that are never built.

A diagonal has D numbers, the matrix D^2. But all that a quadratic model needs of the matrix M is step^T M step, and
that costs a few passes through the network. With J the Jacobian of the outputs and H the Hessian of one example's loss
by its outputs, the GGN is J^T H J: forward through J (jvp), then once through the small H. For the Hessian it is the
second derivative of the loss along the step, by two backward passes.

Sources: Pearlmutter 1994, Fast Exact Multiplication by the Hessian; Schraudolph 2002, Fast Curvature Matrix-Vector
Products for Second-Order Gradient Descent, section 3 (the GGN).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.func import grad, jvp

from lossprune_lib.networks.attention import plain_attention


@plain_attention()
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
    try:
        at, moved = jvp(outputs, (weights,), (step,))[:2]
    except torch.OutOfMemoryError:
        raise
    except RuntimeError:  # some layers have no forward derivative (LSTM); backward twice gives the same
        at, moved = torch.autograd.functional.jvp(outputs, weights, step)
    curved = jvp(grad(loss), (at.detach(),), (moved.detach(),))[1]
    return (moved * curved).sum().clamp_min(0)


@plain_attention()
def hessian_quadratic_form(
    outputs: Callable[[Tensor], Tensor], loss: Callable[[Tensor], Tensor], weights: Tensor, step: Tensor
) -> Tensor:
    """Return step^T H step, for H the Hessian of the same at weights [D]; it may be negative."""
    # Backward twice: forward twice, torch is silently wrong for layer norm, and has no rule for much else.
    at = weights.detach().requires_grad_()
    with torch.enable_grad():
        slope = _along(loss(outputs(at)), at, step, keep_graph=True)
        return _along(slope, at, step, keep_graph=False)


def _along(value: Tensor, at: Tensor, step: Tensor, keep_graph: bool) -> Tensor:
    """Return the derivative of a scalar along a step of what it depends on, or does not."""
    if not value.requires_grad:
        return torch.zeros_like(value)
    return torch.autograd.grad(value, at, create_graph=keep_graph, materialize_grads=True)[0] @ step
