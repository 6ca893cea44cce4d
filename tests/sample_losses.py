"""Losses of one's own, as a user would write them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from lossprune_lib.loss_modelling import Loss


@dataclass(frozen=True)
class Squares(Loss):
    """Half the weighted sum of squared differences, averaged over examples; labels stand for their one-hot vectors.

    Its Hessian by the outputs [N, C] has the weights on its diagonal: a root with fewer than C columns would not do.
    """

    scale: float = 1.0
    rising: bool = False  # weights 1, 2, ... times the scale, in place of equal ones

    def weights(self, outputs: Tensor) -> Tensor:
        classes = outputs.shape[1]
        return self.scale * (torch.arange(1, classes + 1).to(outputs) if self.rising else outputs.new_ones(classes))

    def total(self, outputs: Tensor, targets: Tensor) -> Tensor:
        wanted = targets if targets.is_floating_point() else F.one_hot(targets, outputs.shape[1])
        return (self.weights(outputs.detach()) * (outputs - wanted).square()).sum() / 2

    def hessian_root(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return torch.diag(self.weights(outputs).sqrt()).unsqueeze(1).repeat(1, len(outputs), 1)


HALF_SQUARES = Squares()
SQUARES = Squares(scale=2)
RISING_SQUARES = Squares(scale=2, rising=True)
