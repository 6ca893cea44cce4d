"""Evaluation: the loss and error of a network on a split."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lossprune_lib.data.task import Task
from lossprune_lib.networks.validation import check_examples, check_labels, check_logits, check_place, in_words


@dataclass(frozen=True)
class Score:
    """The mean loss of a network on a split, and the share of examples that it gets wrong."""

    loss: float
    error: float

    @property
    def accuracy(self) -> float:
        return 1 - self.error


@torch.no_grad()
def evaluate(net: nn.Module, task: Task, split: str = "valid") -> Score:
    """Return the loss and error of a network, in eval mode, on "train", "valid" or "test"; it is not changed."""
    check_place(net, task)
    training = {module for module in net.modules() if module.training}
    net.eval()
    try:
        return score(net, task, split)
    finally:
        for module in training:
            module.training = True


@torch.no_grad()
def score(call: Callable[[Tensor], Tensor], task: Task, split: str) -> Score:
    """Return the loss and error of a function from inputs to logits on a split."""
    loss, wrong, examples = 0.0, 0, 0
    for x, y in task.batches(split):
        with in_words(x):
            logits = call(x)
        check_logits(logits, len(x), task.classes)
        check_labels(y, logits.shape[1])
        loss += F.cross_entropy(logits, y, reduction="sum").item()
        wrong += int((logits.argmax(1) != y).sum())
        examples += len(y)
    return Score(loss / check_examples(examples, split), wrong / examples)
