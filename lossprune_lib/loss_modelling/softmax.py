"""The softmax of logits: a root of the Hessian of its cross-entropy, and which dimension counts the classes."""

from __future__ import annotations

import torch
from torch import Tensor


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


def class_dimension(shape: tuple[int, ...], targets: Tensor) -> int:
    """Return which dimension of outputs [N, ...] counts the classes, by the shape of the labels: 1 or the last.

    Raises
    ------
    ValueError
        if neither fits, or both do.
    """
    last, second = (shape[:-1] == targets.shape), (shape[:1] + shape[2:] == targets.shape)
    if len(shape) < 2 or not (last or second):
        raise ValueError(
            f"The network's output has the shape {list(shape)}, the labels {list(targets.shape)}: for labels [N, ...] "
            "a cross-entropy takes logits [N, C, ...] or [N, ..., C]."
        )
    if last and second and len(shape) > 2:
        raise ValueError(
            f"Logits {list(shape)} for labels {list(targets.shape)}: the classes may be the second or the last "
            "dimension, as both are of one size. Give a batch of another length."
        )
    return 1 if second else len(shape) - 1
