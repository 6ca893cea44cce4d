"""Losses that can be modelled: cross-entropy, squared error, binary cross-entropy, and how to add one.

A loss model needs the loss's value and a root of its Hessian by the outputs: for each example, columns whose outer
products sum to that Hessian. Outputs are [N, ...], of whatever shape the loss takes; N counts the independent examples.

>>> outputs = torch.tensor([[1.0], [2.0]])  # of a regression: one number for each of two examples
>>> counts = torch.tensor([[0.0], [3.0]])
>>> (mean_squared_error.total(outputs, counts) / mean_squared_error.count(counts)).item()
1.0

A loss of one's own is a frozen dataclass at the top of a module, such as the Poisson regression of the counts; nothing
is said where its root is right:

>>> from lossprune_lib.loss_modelling import check_root
>>> @dataclass(frozen=True)
... class Poisson(Loss):
...     def total(self, outputs, targets):
...         return (outputs.exp() - targets * outputs).sum()
...
...     def hessian_root(self, outputs, targets):  # of one output per example: the root of its second derivative
...         return outputs.exp().sqrt().unsqueeze(0)
>>> check_root(Poisson(), outputs, counts)
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from lossprune_lib.loss_modelling.loss import Loss, NothingCountsError, random_signs
from lossprune_lib.loss_modelling.roots import TRIED, check_total
from lossprune_lib.loss_modelling.softmax import class_dimension, softmax_hessian_root
from lossprune_lib.networks.validation import check_rows

_IGNORED = -100  # torch's label of positions that do not count


@dataclass(frozen=True)
class CrossEntropy(Loss):
    """The softmax cross-entropy, averaged over all positions, as torch's: same settings, same value.

    Outputs are [N, C], [N, C, ...] as torch takes them, or [N, ..., C] as language models give them; targets are the
    class numbers, int64 [N] or [N, ...]. Positions labelled -100 do not count.

    Attributes
    ----------
    label_smoothing : float in [0, 1)
    class_weights : C numbers, or None for equal ones
    """

    label_smoothing: float = 0.0
    class_weights: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(f"label_smoothing is {self.label_smoothing!r}, but must be in [0, 1), such as 0.1.")
        if self.class_weights is not None:
            weights = tuple(float(weight) for weight in self.class_weights)
            if not weights or not all(math.isfinite(weight) and weight >= 0 for weight in weights) or not sum(weights):
                raise ValueError("class_weights are one number for each class, none below zero and not all zero.")
            object.__setattr__(self, "class_weights", weights)

    def total(self, outputs: Tensor, targets: Tensor) -> Tensor:
        logits = outputs.movedim(class_dimension(outputs.shape, targets), 1)
        weight = None if self.class_weights is None else self._weights(logits.dtype, logits.device)
        return F.cross_entropy(logits, targets, weight, reduction="sum", label_smoothing=self.label_smoothing)

    def hessian_root(self, outputs: Tensor, targets: Tensor) -> Tensor:
        logits, where = self._positions(outputs, targets)
        root = softmax_hessian_root(logits)
        scale = self._scale(logits, targets)
        if scale is not None:
            root = root * scale.sqrt().reshape(-1, 1)
        if outputs.ndim == 2:
            return root
        # Positions do not influence one another: each column is zero at all but one of them.
        examples, positions = len(outputs), targets[0].numel()
        apart = root.new_zeros(positions, len(root), examples, positions, logits.shape[1])
        for i, part in enumerate(root.unflatten(1, (examples, positions)).unbind(2)):
            apart[i, :, :, i] = part
        return apart.flatten(0, 1).reshape(-1, *where).movedim(-1, class_dimension(outputs.shape, targets) + 1)

    def sampled_column(self, outputs: Tensor, targets: Tensor, generator: torch.Generator) -> Tensor:
        """p - e_y at each position, for a class y drawn from p: on average its outer product is diag(p) - p p^T."""
        logits, where = self._positions(outputs, targets)
        p = torch.softmax(logits, dim=1)
        drawn = torch.rand(len(p), 1, generator=generator, dtype=torch.float64).to(p)
        y = (p.cumsum(1) < drawn).sum(1, keepdim=True).clamp_(max=p.shape[1] - 1)
        column = p.scatter_add(1, y, p.new_full(y.shape, -1.0))
        scale = self._scale(logits, targets)
        if scale is not None:
            column = column * scale.sqrt().unsqueeze(1)
        return column.reshape(where).movedim(-1, class_dimension(outputs.shape, targets))

    def columns(self, outputs: Tensor, targets: Tensor) -> int:
        return targets[0].numel() * (outputs.shape[class_dimension(outputs.shape, targets)] - 1)

    def count(self, targets: Tensor) -> Tensor:
        counted = targets.flatten() != _IGNORED
        if self.class_weights is None:
            return counted.sum()
        own = self._weights(torch.float64, targets.device)[targets.flatten() * counted]
        return own.mul_(counted).sum()

    def wrong(self, outputs: Tensor, targets: Tensor) -> Tensor:
        answers = outputs.argmax(class_dimension(outputs.shape, targets))
        return (answers != targets)[targets != _IGNORED]

    def check(self, shape: tuple[int, ...], targets: Tensor) -> None:
        if targets.dtype != torch.int64:
            raise TypeError(f"The labels are {targets.dtype}, but must be int64: the number of a class.")
        classes = shape[class_dimension(shape, targets)]
        counted = targets[targets != _IGNORED]
        if counted.numel() == 0:
            raise NothingCountsError(f"All labels of the batch are {_IGNORED}, which do not count: give some that do.")
        least, most = int(counted.min()), int(counted.max())
        if least < 0 or most >= classes:
            raise ValueError(
                f"The batch has labels from {least} to {most}, but the network has {classes} logits, for labels from 0 "
                f"to {classes - 1}: give its last layer one output for each class."
            )
        if self.class_weights is not None and len(self.class_weights) != classes:
            raise ValueError(f"There are {len(self.class_weights)} class_weights for {classes} logits: give one each.")
        if self.count(targets) == 0:
            raise NothingCountsError(
                "All labels of the batch are of classes whose class_weights are zero, so nothing counts: give others."
            )

    def _weights(self, dtype: torch.dtype, device: torch.device) -> Tensor:
        """Return the class weights [C]; a copy to a GPU is only queued."""
        return torch.tensor(self.class_weights, dtype=dtype).to(device, non_blocking=True)

    def _positions(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, torch.Size]:
        """Return the logits of all positions [M, C], and the shape [N, ..., C] that they came from."""
        logits = outputs.movedim(class_dimension(outputs.shape, targets), -1)
        return logits.reshape(-1, logits.shape[-1]), logits.shape

    def _scale(self, logits: Tensor, targets: Tensor) -> Tensor | None:
        """Return by how much each position's Hessian [M] is scaled; None where all count fully."""
        ignored = targets.flatten() == _IGNORED
        if self.class_weights is None:
            return (~ignored).to(logits) if bool(ignored.any()) else None
        weights = self._weights(logits.dtype, logits.device)
        own = weights[targets.flatten().masked_fill(ignored, 0)]
        scale = (1 - self.label_smoothing) * own + self.label_smoothing * weights.mean()
        return scale.masked_fill(ignored, 0)


class _OfEachNumber(Loss):
    """A loss of each number of the outputs alone: its Hessian is diagonal, and targets are of the outputs' shape."""

    def _roots(self, outputs: Tensor) -> Tensor:
        """Return the root of the loss's second derivative by each of the outputs."""
        raise NotImplementedError

    def hessian_root(self, outputs: Tensor, targets: Tensor) -> Tensor:
        roots = self._roots(outputs).reshape(len(outputs), -1)
        return torch.diag_embed(roots, dim1=0, dim2=2).reshape(-1, *outputs.shape)

    def sampled_column(self, outputs: Tensor, targets: Tensor, generator: torch.Generator) -> Tensor:
        return self._roots(outputs) * random_signs(outputs.shape, generator).to(outputs)

    def columns(self, outputs: Tensor, targets: Tensor) -> int:
        return outputs[0].numel()

    def count(self, targets: Tensor) -> float:
        return targets.numel()

    def check(self, shape: tuple[int, ...], targets: Tensor) -> None:
        if not targets.is_floating_point():
            raise TypeError(
                f"The targets are {targets.dtype}, but this loss compares real numbers: convert with .float()."
            )
        if tuple(targets.shape) != tuple(shape):
            raise ValueError(
                f"The network's output has the shape {list(shape)}, the targets {list(targets.shape)}: they must be "
                "equal (for one number per example write targets.unsqueeze(1))."
            )


@dataclass(frozen=True)
class MeanSquaredError(_OfEachNumber):
    """The squared error, averaged over all numbers, as torch's; targets are float and of the outputs' shape."""

    def total(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return F.mse_loss(outputs, targets, reduction="sum")

    def _roots(self, outputs: Tensor) -> Tensor:
        return torch.full_like(outputs, math.sqrt(2))


@dataclass(frozen=True)
class BinaryCrossEntropy(_OfEachNumber):
    """The cross-entropy of independent yes-or-no questions, from logits, averaged over all numbers, as torch's.

    Targets are floats in [0, 1], of the outputs' shape.
    """

    def total(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(outputs, targets, reduction="sum")

    def _roots(self, outputs: Tensor) -> Tensor:
        # sqrt(p (1 - p)), without a difference of nearly equal numbers
        return (torch.sigmoid(outputs) * torch.sigmoid(-outputs)).sqrt()

    def wrong(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs > 0) != (targets > 0.5)

    def check(self, shape: tuple[int, ...], targets: Tensor) -> None:
        super().check(shape, targets)
        if targets.min() < 0 or targets.max() > 1:
            raise ValueError("The targets of a binary cross-entropy are from 0 to 1: 1 for yes, 0 for no.")


cross_entropy = CrossEntropy()
mean_squared_error = MeanSquaredError()
binary_cross_entropy = BinaryCrossEntropy()


def check_outputs(loss: Loss, outputs: object, targets: Tensor) -> None:
    """Raise TypeError or ValueError unless what a network gives has a row for each target, and goes with the loss."""
    outputs = check_rows(outputs, len(targets))
    if targets.dtype == torch.float64 != outputs.dtype:
        raise TypeError(f"The targets are torch.float64, the network's output {outputs.dtype}: convert one of them.")
    loss.check(tuple(outputs.shape), targets)


def check_sum(loss: Loss, outputs: Tensor, targets: Tensor) -> None:
    """Raise ValueError if a loss of one's own does not sum over the examples; once is enough for each loss."""
    if not is_shipped(loss):
        check_total(loss, outputs[:TRIED], targets[:TRIED])


def is_shipped(loss: Loss) -> bool:
    """Return whether a loss comes with the library, so that its total and root need not be checked."""
    return type(loss) in (CrossEntropy, MeanSquaredError, BinaryCrossEntropy)
