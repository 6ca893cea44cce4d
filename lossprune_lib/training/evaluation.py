"""Evaluation: the loss and error of a network on a split."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from lossprune_lib.data.inputs import OnCopies, call
from lossprune_lib.data.task import TaskLike
from lossprune_lib.loss_modelling.loss import Loss, NothingCountsError, check_loss
from lossprune_lib.loss_modelling.losses import check_outputs, check_sum, cross_entropy
from lossprune_lib.networks.validation import check_examples, check_place, in_words


@dataclass(frozen=True)
class Score:
    """The mean loss of a network on a split, and the share of its answers that are wrong.

    An answer is what a loss counts: a class of the cross-entropy, a yes or no of the binary one. The squared error has
    no wrong answers; the error is then NaN.
    """

    loss: float
    error: float

    @property
    def accuracy(self) -> float:
        return 1 - self.error

    @property
    def chosen_by(self) -> float:
        """What the best epoch has the least of: the error, or the loss where there is no error."""
        return self.loss if math.isnan(self.error) else self.error


@torch.no_grad()
def evaluate(net: nn.Module, task: TaskLike, split: str = "valid", *, loss: Loss = cross_entropy) -> Score:
    """Return the loss and error of a network, in eval mode, on "train", "valid" or "test"; it is not changed."""
    check_place(net, task)
    training = {module for module in net.modules() if module.training}
    net.eval()
    try:
        return score(partial(call, net), task, split, loss=loss)
    finally:
        for module in training:
            module.training = True


@torch.no_grad()
def score(function: Callable[[Any], Tensor], task: TaskLike, split: str, *, loss: Loss = cross_entropy) -> Score:
    """Return the loss and error of a function from inputs to outputs on a split."""
    check_loss(loss)
    function = OnCopies(function)
    total, count, wrong, answers, examples = 0.0, 0.0, 0, 0, 0
    for x, y in task.batches(split):
        with in_words(x):
            outputs = function(x)
        with suppress(NothingCountsError):  # of one batch; the others may have what counts
            check_outputs(loss, outputs, y)
        if examples == 0:
            check_sum(loss, outputs, y)
        total += loss.total(outputs, y).item()
        count += float(loss.count(y))
        examples += len(y)
        mistakes = _check_mistakes(loss, loss.wrong(outputs, y), len(y))
        if mistakes is not None:
            wrong += int(mistakes.sum())
            answers += mistakes.numel()
    check_examples(examples, split)
    if count == 0:
        raise ValueError(f"None of the targets of the split {split!r} counts: give some that do.")
    return Score(total / count, wrong / answers if answers else math.nan)


def _check_mistakes(loss: Loss, mistakes: Any, examples: int) -> Tensor | None:
    """Return what a loss says is wrong; raise TypeError unless that is bool, of each answer, or None."""
    is_tensor = isinstance(mistakes, Tensor)
    if mistakes is not None and not (is_tensor and mistakes.dtype == torch.bool and (mistakes.ndim or examples == 1)):
        given = f"{mistakes.dtype} {list(mistakes.shape)}" if is_tensor else repr(mistakes)
        raise TypeError(
            f"The wrong of the loss {type(loss).__name__} gives {given}, but must give a bool tensor with one entry "
            "for each answer that counts: leave out .mean(), .sum() or .float()."
        )
    return mistakes
