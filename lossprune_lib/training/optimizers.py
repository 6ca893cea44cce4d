"""The optimizer that trains a copy of a network, and its learning rate."""

from __future__ import annotations

import torch
from torch import nn, optim

from lossprune_lib.checks import check_finite
from lossprune_lib.networks.copies import copied
from lossprune_lib.training.recipe import Recipe


def copy_with_optimizer(net: nn.Module, recipe: Recipe) -> tuple[nn.Module, optim.Optimizer]:
    """Return a copy of a network, and the optimizer of its parameters that are not frozen."""
    _check_parameters(net)
    net = copied(net)
    if recipe.channels_last:
        net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if not all(parameter.is_leaf for parameter in net.parameters()):
        raise ValueError(
            "A copy of this network cannot be trained (is it a scripted one?): give the network it was made from."
        )
    trainable = [parameter for parameter in net.parameters() if parameter.requires_grad]
    if not trainable:
        raise ValueError(
            "All parameters of this network are frozen, so there is nothing to train: net.requires_grad_(True)."
        )
    for name, module in net.named_modules():
        sparse = isinstance(module, (nn.Embedding, nn.EmbeddingBag)) and module.sparse and module.weight.requires_grad
        if sparse and (recipe.optimizer == "adamw" or recipe.weight_decay):
            raise ValueError(
                f"Embedding {name!r} has sparse gradients, which neither AdamW nor weight decay takes: set its sparse "
                "to False."
            )
    if recipe.optimizer == "adamw":
        return net, optim.AdamW(trainable, recipe.lr, (recipe.momentum, 0.999), weight_decay=recipe.weight_decay)
    return net, optim.SGD(trainable, lr=recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay)


def set_rate(optimizer: optim.Optimizer, rate: float) -> None:
    """Set an optimizer's learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def _check_parameters(net: nn.Module) -> None:
    for name, parameter in net.named_parameters():
        if isinstance(parameter, nn.parameter.UninitializedParameter):
            raise ValueError(f"The parameter {name!r} is lazy and has no numbers yet: run the network once on a batch.")
        check_finite(parameter.detach(), f"The parameter {name!r}")
