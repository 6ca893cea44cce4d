"""Stacked batches: what R networks see in an epoch, the same or each its own, and their losses on it together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest

import torch
from torch import Tensor
from torch.nn import functional as F

from lossprune_lib.data.task import Batch, Task
from lossprune_lib.seeds import generator


def summed_loss(logits: Tensor, y: Tensor) -> Tensor:
    """Return the sum over the networks of each one's mean loss; labels [N] are shared, [R, N] each network's own."""
    labels = y.expand(logits.shape[:2])
    return F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="sum") / logits.shape[1]


def batches_of(task: Task, batch_size: int, seeds: int | Sequence[int], epoch: int) -> Iterator[Batch]:
    """Yield an epoch's training batches: inputs [N, ...] of one seed, or [R, N, ...] of a seed for each network."""
    if isinstance(seeds, int):
        yield from task.batches("train", batch_size, generator(seeds, "order", epoch))
        return
    orders = [iter(task.batches("train", batch_size, generator(seed, "order", epoch))) for seed in seeds]
    for batches in zip_longest(*orders):
        shapes = {None if batch is None else (batch[0].shape, batch[1].shape) for batch in batches}
        if len(shapes) > 1 or len(set(map(id, orders))) < len(orders):
            raise ValueError(
                "With a seed for each network, every network reads the training set anew, but they share one iterator, "
                "or one read other batches (more, fewer or of another size) than the next: give batches that begin "
                "anew at each call, not one iterator, or one seed for all networks."
            )
        xs, ys = zip(*batches, strict=True)
        yield torch.stack(xs), torch.stack(ys)
