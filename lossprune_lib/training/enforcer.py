"""Enforcer: pruned weights stay zero while a network is trained."""

from __future__ import annotations

from collections import Counter

import torch
from torch import Tensor, nn, optim

from lossprune_lib.checks import check_instance
from lossprune_lib.networks.masks import Mask, check_mask, zero_pruned


class Enforcer:
    """Keeps pruned weights at zero while a network is trained: call it after every step of the optimizer.

    To make one sets the network's pruned weights to zero, in place. Momentum and weight decay would otherwise revive
    them, so the optimizer's buffers are masked too.

    Raises
    ------
    TypeError, ValueError
        for a mask of another network, or an optimizer that trains another copy of the network.

    Examples
    --------
    In a training loop of your own, here with a pruned network that is fine-tuned:

    >>> import torch
    >>> from lossprune_lib import LocalPruner, data, models
    >>> from lossprune_lib.pruning import schedules
    >>> from lossprune_lib.training.gradual import by_magnitude
    >>> def train_epoch(net, optimizer, enforce, seed):
    ...     for x, y in task.batches("train", 100, torch.Generator().manual_seed(seed)):
    ...         optimizer.zero_grad()
    ...         torch.nn.functional.cross_entropy(net(x), y).backward()
    ...         optimizer.step()
    ...         enforce()
    >>> task = data.load("digits", device="cpu")
    >>> run = LocalPruner("mp", sparsity=0.9, stages=1).prune(models.pretrained("mlp_300_100", task), task)
    >>> net = run.network()
    >>> optimizer = torch.optim.AdamW(net.parameters())
    >>> train_epoch(net, optimizer, Enforcer(run.mask, net, optimizer), seed=0)

    To prune on the way, enforce a sparser mask from time to time:

    >>> net = models.mlp_300_100(task)
    >>> optimizer = torch.optim.AdamW(net.parameters())
    >>> for epoch in range(1, 4):
    ...     mask = by_magnitude(net, schedules.cubic(0.9, epoch, 3))
    ...     train_epoch(net, optimizer, Enforcer(mask, net, optimizer), seed=epoch)
    """

    def __init__(self, mask: Mask, net: nn.Module, optimizer: optim.Optimizer) -> None:
        space = check_mask(mask).check(net)
        check_instance(optimizer, optim.Optimizer, "optimizer", "give the one that trains the network")
        trained = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        alike = Counter(weight.shape for weight in space.parameters) <= Counter(weight.shape for weight in trained)
        if alike and {id(parameter) for parameter in trained}.isdisjoint(map(id, net.parameters())):
            raise ValueError(
                "The optimizer trains another network of the same shapes, whose weights would not stay zero: make it "
                "of net.parameters() of the network that is given here (run.network() gives a new copy each time)."
            )
        self.parts, self.weights, self.optimizer = mask.parts(space), space.parameters, optimizer
        zero_pruned(self.parts, self.weights)

    @torch.no_grad()
    def __call__(self) -> None:
        zero_pruned(self.parts, self.weights)
        for part, weight in zip(self.parts, self.weights, strict=True):
            for buffer in self.optimizer.state.get(weight, {}).values():
                if isinstance(buffer, Tensor) and buffer.shape == part.shape:
                    buffer.mul_(part)
