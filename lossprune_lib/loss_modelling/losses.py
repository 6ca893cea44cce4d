"""Losses that can be modelled: the value, and a root of its Hessian by the outputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Loss:
    """A loss that can be modelled.

    Attributes
    ----------
    total : (logits [N, C], labels [N]) -> scalar
        The sum, not the mean, over the examples.
    hessian_root : (logits [N, C], labels [N]) -> [S, N, C]
        For each example, S columns whose outer products sum to the Hessian of its loss by its logits.
    """

    total: Callable[[Tensor, Tensor], Tensor]
    hessian_root: Callable[[Tensor, Tensor], Tensor]


def check_loss(loss: object) -> Loss:
    """Return `loss` if it is one that can be modelled; else raise TypeError."""
    if not isinstance(loss, Loss):
        raise TypeError(
            f"A loss is a loss_modelling.Loss (its total and a root of its Hessian), not {type(loss).__name__}: leave "
            "it out for the cross-entropy."
        )
    return loss


def softmax_hessian_root(logits: Tensor) -> Tensor:
    """Return C - 1 columns whose outer products sum to diag(p) - p p^T, for p = softmax of each example's logits.

    With r = sqrt(p) and j the most likely class, the columns are, for each i other than j,
    S[j, i] = -r_j r_i and S[k, i] = r_k (delta_ki - r_k r_i / (1 + r_j)) for k other than j. Nothing is divided by a
    small number, so saturated probabilities give zeros and never NaN.

    Parameters
    ----------
    logits : [N, C]

    Returns
    -------
    Tensor
        [C - 1, N, C].
    """
    examples, classes = logits.shape
    p = torch.softmax(logits, dim=1)
    r = p.sqrt()
    top = p.argmax(dim=1, keepdim=True)
    r_top = r.gather(1, top)
    others = torch.arange(classes - 1, device=logits.device).repeat(examples, 1)
    others += others >= top  # [N, C - 1]: the classes other than the most likely one
    r_others = r.gather(1, others).T.unsqueeze(2)  # [C - 1, N, 1]
    root = -r_others * (p / (1 + r_top)).scatter(1, top, r_top)
    return root.scatter_add_(2, others.T.unsqueeze(2), r_others)


def _cross_entropy_total(logits: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(logits, labels, reduction="sum")


def _cross_entropy_root(logits: Tensor, labels: Tensor) -> Tensor:
    return softmax_hessian_root(logits)


# Made of named functions, so that whatever holds it can be pickled.
cross_entropy = Loss(_cross_entropy_total, _cross_entropy_root)
