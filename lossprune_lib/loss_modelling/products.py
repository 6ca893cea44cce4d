"""Exact products of the full GGN and of the full Hessian with a vector: D x D matrices that are never built.

A diagonal has D numbers, the matrix D^2. But what a quadratic model needs of the matrix is only what it does to one
step, and that costs a few passes through the network. With J the Jacobian of the logits and H the Hessian of one
example's loss by its logits, the GGN does J^T H J to a vector: forward through J (jvp), through the small H, back
through J^T (vjp). The Hessian's product is the derivative of the gradient along the vector.

Sources: Pearlmutter 1994, Fast Exact Multiplication by the Hessian; Schraudolph 2002, Fast Curvature Matrix-Vector
Products for Second-Order Gradient Descent, section 3 (the GGN).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from torch import Tensor
from torch.func import grad, jvp, vjp

from lossprune_lib.checks import check_int
from lossprune_lib.data.task import Batch
from lossprune_lib.loss_modelling.losses import Loss, cross_entropy
from lossprune_lib.loss_modelling.preflight import preflight
from lossprune_lib.networks.validation import check_batch, check_labels
from lossprune_lib.networks.weights import WeightSpace

_GRAPHS = 4  # what a derivative of a derivative keeps, in graphs of a plain backward pass

Part = tuple[
    Callable[[Tensor], Tensor], Callable[[Tensor], Tensor], Tensor
]  # weights -> logits, weights -> loss, labels


def ggn_product(
    space: WeightSpace,
    weights: Tensor,
    rest: Mapping[str, Tensor],
    batch: Batch,
    vector: Tensor,
    *,
    loss: Loss = cross_entropy,
    max_bytes: int = 2**30,
) -> Tensor:
    """Return the full GGN of a batch's mean loss, times a vector.

    Parameters
    ----------
    weights : [D]
        The point at which the matrix is taken.
    rest : from ``space.rest()``
    batch : inputs [N, ...] and labels [N]
    vector : [D]
    loss : its value and its Hessian's root
    max_bytes : the batch is cut so that the passes stay below this; one example is the least

    Returns
    -------
    Tensor
        [D].

    Raises
    ------
    ValueError, TypeError
        if the vector, the network or the batch cannot be used; the message says what to do.
    """

    def product(logits: Callable[[Tensor], Tensor], _: object, y: Tensor) -> Tensor:
        back = vjp(logits, weights.detach())[1]
        at, moved = jvp(logits, (weights.detach(),), (vector,))[:2]
        return back(_through_hessian(loss.hessian_root(at.detach(), y), moved))[0]

    return _mean(product, space, weights, rest, batch, vector, loss, max_bytes)


def hessian_product(
    space: WeightSpace,
    weights: Tensor,
    rest: Mapping[str, Tensor],
    batch: Batch,
    vector: Tensor,
    *,
    loss: Loss = cross_entropy,
    max_bytes: int = 2**30,
) -> Tensor:
    """Return the full Hessian of a batch's mean loss, times a vector [D]; otherwise as `ggn_product`."""

    def product(_: object, value: Callable[[Tensor], Tensor], y: Tensor) -> Tensor:
        return jvp(grad(value), (weights.detach(),), (vector,))[1]

    return _mean(product, space, weights, rest, batch, vector, loss, max_bytes)


def ggn_quadratic_form(
    space: WeightSpace,
    weights: Tensor,
    rest: Mapping[str, Tensor],
    batch: Batch,
    vector: Tensor,
    *,
    loss: Loss = cross_entropy,
    max_bytes: int = 2**30,
) -> float:
    """Return v^T G v, the GGN's curvature along a vector, by one forward pass; never below zero. As `ggn_product`."""

    def form(logits: Callable[[Tensor], Tensor], _: object, y: Tensor) -> Tensor:
        at, moved = jvp(logits, (weights.detach(),), (vector,))[:2]
        return (loss.hessian_root(at.detach(), y) * moved).sum(2).square().sum()

    return _mean(form, space, weights, rest, batch, vector, loss, max_bytes).item()


def hessian_quadratic_form(
    space: WeightSpace,
    weights: Tensor,
    rest: Mapping[str, Tensor],
    batch: Batch,
    vector: Tensor,
    *,
    loss: Loss = cross_entropy,
    max_bytes: int = 2**30,
) -> float:
    """Return v^T H v, the loss's second derivative along a vector, which may be negative. As `hessian_product`."""

    def form(_: object, value: Callable[[Tensor], Tensor], y: Tensor) -> Tensor:
        def slope(at: Tensor) -> Tensor:
            return jvp(value, (at,), (vector,))[1]

        return jvp(slope, (weights.detach(),), (vector,))[1]

    return _mean(form, space, weights, rest, batch, vector, loss, max_bytes).item()


def _through_hessian(root: Tensor, moved: Tensor) -> Tensor:
    """Return each example's H times its vector, from H's root [S, N, C] and vectors [N, C]."""
    return (root * (root * moved).sum(2, keepdim=True)).sum(0)


def _mean(
    product: Callable[..., Tensor],
    space: WeightSpace,
    weights: Tensor,
    rest: Mapping[str, Tensor],
    batch: Batch,
    vector: Tensor,
    loss: Loss,
    max_bytes: int,
) -> Tensor:
    """Return the mean over examples of what `product` sums over a part of them."""
    for given, what in ((weights, "weights"), (vector, "vector")):
        space.check(given)
        if given.ndim != 1:
            raise ValueError(f"The {what} have shape {list(given.shape)}, but must be one vector [{space.size}].")
    check_int(max_bytes, "max_bytes")
    vector = vector.detach()
    x, y = check_batch(space, batch)
    total: Any = sum(product(*part) for part in _parts(space, weights, rest, x, y, loss, max_bytes))
    return total / len(x)


def _parts(
    space: WeightSpace, weights: Tensor, rest: Mapping[str, Tensor], x: Tensor, y: Tensor, loss: Loss, max_bytes: int
) -> Iterator[Part]:
    """Yield the logits and the summed loss as functions of the weights, for one part of the batch after the other."""
    found = preflight(space, weights, rest, x)
    if loss is cross_entropy:
        check_labels(y, found.logits.shape[1])
    columns = len(loss.hessian_root(found.logits, y[:1]))
    at_once = max(1, found.examples_within(space, columns, max_bytes // _GRAPHS))
    for inputs, labels in zip(x.split(at_once), y.split(at_once), strict=True):

        def logits(at: Tensor, inputs: Tensor = inputs) -> Tensor:
            return space.call(at, rest, inputs)

        def value(at: Tensor, inputs: Tensor = inputs, labels: Tensor = labels) -> Tensor:
            return loss.total(space.call(at, rest, inputs), labels)

        yield logits, value, labels
