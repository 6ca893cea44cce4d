"""Enforcer: pruned weights stay zero while a network is trained."""

from __future__ import annotations

import torch
from torch import Tensor, nn, optim

from lossprune_lib.checks import check_instance
from lossprune_lib.networks.masks import Mask, check_mask, zero_pruned


class Enforcer:
    """Keeps pruned weights at zero while a network is trained: call it after every step of the optimizer.

    Momentum and weight decay would otherwise revive them, so the optimizer's buffers are masked too.
    """

    def __init__(self, mask: Mask, net: nn.Module, optimizer: optim.Optimizer) -> None:
        space = check_mask(mask).check(net)
        check_instance(optimizer, optim.Optimizer, "optimizer", "give the one that trains the network")
        self.parts, self.weights, self.optimizer = mask.parts(space), space.parameters, optimizer
        zero_pruned(self.parts, self.weights)

    @torch.no_grad()
    def __call__(self) -> None:
        zero_pruned(self.parts, self.weights)
        for part, weight in zip(self.parts, self.weights, strict=True):
            for buffer in self.optimizer.state.get(weight, {}).values():
                if isinstance(buffer, Tensor) and buffer.shape == part.shape:
                    buffer.mul_(part)
