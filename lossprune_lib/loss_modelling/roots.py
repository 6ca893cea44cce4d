"""Whether a loss of one's own gives a sum over the examples, and a root of its Hessian, before anything is modelled."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import torch
from torch import Tensor

from lossprune_lib.loss_modelling.loss import Loss
from lossprune_lib.seeds import generator

TRIED = 8  # examples on which a total is tried: a few may have no loss


def check_total(loss: Loss, outputs: Tensor, targets: Tensor) -> None:
    """Raise ValueError unless a loss's total is a sum over the examples [N, ...]: of each one twice, twice as much.

    Nothing is said where it is not finite, or so small that rounding decides.
    """
    z = outputs.detach().to(torch.promote_types(outputs.dtype, torch.float32))
    # One by one, as losses may cancel. A trained network's own answers may have no loss, but those to others do.
    for answer, other, target in zip(z.split(1), z.flip(0).split(1), targets.split(1), strict=True):
        own, foreign = _sums_up(loss, answer, target), True
        with suppress(ValueError, RuntimeError):  # a foreign answer may be none that the loss takes
            foreign = _sums_up(loss, other, target)
        if not (own and foreign):
            fault = 'must be a scalar, the sum over the examples and not their mean: write .sum() or reduction="sum"'
            raise _refused(loss, "total", fault)


@torch.no_grad()
def _sums_up(loss: Loss, answer: Tensor, target: Tensor) -> bool:
    """Return whether the total of an example four times is twice that of it two times, as far as this can be seen."""
    # One example alone may be squeezed to none.
    once, twice = (loss.total(torch.cat(n * [answer]), torch.cat(n * [target])) for n in (2, 4))
    if not all(isinstance(total, Tensor) and total.numel() == 1 for total in (once, twice)):
        return False
    tolerance = 1e-6 if answer.dtype == torch.float64 else 1e-3
    finite = bool(once.isfinite() and twice.isfinite())
    return not finite or torch.allclose(twice, 2 * once, rtol=tolerance, atol=tolerance / 100)


def check_differentiable(loss: Loss, total: Tensor, outputs: Tensor) -> None:
    """Raise ValueError if a loss of outputs that have gradients has none, though it is not zero (nothing counts)."""
    if outputs.requires_grad and not total.requires_grad and total.item() != 0:
        fault = (
            "has no gradient by the outputs: compute it with torch operations on them, without detach, .item() or "
            "torch.tensor()"
        )
        raise _refused(loss, "total", fault)


def check_root(loss: Loss, outputs: Tensor, targets: Tensor) -> None:
    """Raise ValueError unless a loss's root is one of its Hessian H, which autograd knows.

    Tried on a random direction v: with the columns as the rows of R, R^T R v must be H v. No matrix is built, so it
    costs two backward passes through the loss. Outputs are shrunk to a size of 1 at most, where losses do not saturate;
    nothing is said of a loss that is not finite there.

    Parameters
    ----------
    outputs, targets : of one example, or a few
        [N, ...].

    Notes
    -----
    The message names the common mistakes: a mean in place of a sum, a factor 2, a transposed root, constants of
    another dtype.
    """
    z, y = outputs.detach().double(), targets.double() if targets.is_floating_point() else targets
    z = z / z.abs().max().clamp_min(1)
    v = torch.randn((2 * len(z), *z.shape[1:]), generator=generator(0, "root"), dtype=torch.float64).to(z)
    with _constants_in_words(loss):
        check_total(loss, z, y)
        z, y = torch.cat([z, z]), torch.cat([y, y])
        root, columns, expected = loss.hessian_root(z, y), loss.columns(z[:1], y[:1]), _hessian_times(loss, z, y, v)
    if root.shape[1:] != z.shape:
        fault = f"has the shape {list(root.shape)} for outputs {list(z.shape)}, but must be [S, *outputs.shape]"
        raise _refused(loss, "hessian_root", f"{fault}: S columns, which come first")
    if root.dtype != z.dtype:
        fault = (
            f"is {root.dtype} for outputs of {z.dtype}: make its constants like the outputs, with dtype=outputs.dtype"
        )
        raise _refused(loss, "hessian_root", fault)
    if columns != len(root):
        raise _refused(loss, "columns", f"is {columns}, but its hessian_root has {len(root)}")
    rows = root.reshape(*root.shape[:2], -1).transpose(0, 1)  # [N, S, K]
    if bool(expected.isfinite().all()) and not _close(_gram_times(rows, v), expected):
        raise _refused(loss, "hessian_root", _mistake(rows, v, expected))


@contextmanager
def _constants_in_words(loss: Loss) -> Iterator[None]:
    """Say what is wrong with a loss that has numbers of another dtype than the outputs'."""
    try:
        yield
    except RuntimeError as error:
        if "dtype" not in str(error) and "scalar type" not in str(error):
            raise
        raise ValueError(
            f"The loss {type(loss).__name__} cannot be computed in float64, in which its root is checked ({error}): "
            "make its constants like the outputs, with outputs.new_tensor(...)."
        ) from error


def _mistake(rows: Tensor, v: Tensor, expected: Tensor) -> str:
    """Return what rows [N, S, K] look like whose product with v is not the expected one."""
    if rows.shape[1] == rows.shape[2] and _close(_gram_times(rows.mT, v), expected):
        return "looks transposed: its first dimension counts the columns, whose outer products are summed"
    found = _gram_times(rows, v)
    ratio = ((found * expected).sum() / expected.square().sum()).item()
    if _close(found, ratio * expected):
        return (
            f"has outer products that sum to {ratio:.6g} times the Hessian that autograd finds: look for a mean in "
            "place of a sum, a factor 2, or a loss that is not convex in the outputs"
        )
    return (
        "has outer products that do not sum to the Hessian that autograd finds: look for the Hessian itself in place "
        "of a root, or a loss that is not convex in the outputs"
    )


def _refused(loss: Loss, method: str, fault: str) -> ValueError:
    name = type(loss).__name__
    return ValueError(f"The {method} of the loss {name} {fault}. See loss_modelling.Loss for what it must be.")


def _gram_times(rows: Tensor, v: Tensor) -> Tensor:
    """Return R^T R v for the rows [N, S, K] of each example's R, and v [N, ...]."""
    return (rows.mT @ (rows @ v.reshape(len(v), -1, 1))).view_as(v)


def _hessian_times(loss: Loss, z: Tensor, y: Tensor, v: Tensor) -> Tensor:
    with torch.enable_grad():
        at = z.clone().requires_grad_()
        total = loss.total(at, y)
        check_differentiable(loss, total, at)
        slope = torch.autograd.grad(total, at, create_graph=True)[0]
        if not slope.requires_grad:  # a loss that is linear in the outputs
            return torch.zeros_like(v)
        return torch.autograd.grad((slope * v).sum(), at, allow_unused=True, materialize_grads=True)[0]


def _close(a: Tensor, b: Tensor) -> bool:
    return bool((a - b).abs().max() <= 1e-6 * b.abs().max())
