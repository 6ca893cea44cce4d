"""What a batch must be for a network, asked before any work."""

from __future__ import annotations

import torch
from torch import Tensor

from lossprune_lib import checks
from lossprune_lib.data import Batch
from lossprune_lib.weights import WeightSpace


def check_batch(space: WeightSpace, batch: Batch) -> Batch:
    """Return the batch, or raise if it is empty or does not go with the network."""
    try:
        x, y = batch
    except (TypeError, ValueError):
        raise TypeError(
            "A batch is a pair of inputs [N, ...] and labels [N], such as task.sample(...) gives."
        ) from None
    if not isinstance(x, Tensor) or not isinstance(y, Tensor):
        raise TypeError("A batch is a pair of torch tensors: convert arrays with torch.from_numpy.")
    if x.ndim == 0 or y.ndim == 0:
        raise ValueError(
            f"The batch has inputs {list(x.shape)} and labels {list(y.shape)}: give [N, ...] and [N], also for one example."
        )
    if len(x) == 0 or len(x) != len(y):
        raise ValueError(
            f"The batch has {len(x)} inputs and {len(y)} labels: give at least one example, and as many of each."
        )
    weight = space.modules[0].weight
    if x.device != weight.device or y.device != weight.device:
        raise ValueError(
            f"The network is on {weight.device}, the batch on {x.device}: move one of them with .to(device)."
        )
    if x.layout is not torch.strided or y.layout is not torch.strided:
        raise ValueError("The batch is sparse: convert it with .to_dense().")
    if x.is_floating_point() and x.dtype != weight.dtype:
        raise ValueError(
            f"The network is {weight.dtype}, the batch {x.dtype}: convert one, for example with task.to(dtype=...)."
        )
    if x.is_floating_point():
        checks.finite(x, "The batch", "repair these examples, or leave them out")
    return x, y


def check_labels(y: Tensor, classes: int) -> None:
    """Raise TypeError or ValueError unless labels are int64 [N] in 0 .. classes - 1."""
    if y.dtype != torch.int64 or y.ndim != 1:
        raise TypeError(
            f"The labels are {y.dtype} {list(y.shape)}, but must be int64 [N]: one class number an example."
        )
    if int(y.min()) < 0 or int(y.max()) >= classes:
        raise ValueError(
            f"The batch has labels from {int(y.min())} to {int(y.max())}, but the network has {classes} logits: labels go "
            f"from 0 to {classes - 1}."
        )
