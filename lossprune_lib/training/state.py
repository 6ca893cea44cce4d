"""A network's state while it is trained: its parameters and all buffers, also those that its state dict leaves out."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn


def numbers_of(net: nn.Module) -> dict[str, Tensor]:
    """Return a network's parameters and buffers themselves, by name."""
    return {**dict(net.named_parameters()), **dict(net.named_buffers())}


def copy_of(net: nn.Module) -> dict[str, Tensor]:
    """Return copies of a network's parameters and buffers, by name."""
    return {name: tensor.detach().clone() for name, tensor in numbers_of(net).items()}


def own_states(net: nn.Module) -> dict[str, Any]:
    """Return copies of what modules keep beside tensors (`get_extra_state`), by the modules' names."""
    theirs = {name: module for name, module in net.named_modules() if _has_own_state(module)}
    return {name: copy.deepcopy(module.get_extra_state()) for name, module in theirs.items()}


def _has_own_state(module: nn.Module) -> bool:
    return type(module).get_extra_state is not nn.Module.get_extra_state


def put_back(net: nn.Module, state: Mapping[str, Tensor], own: Mapping[str, Any]) -> None:
    """Put what `copy_of` and `own_states` returned into the network."""
    for name, module in net.named_modules():
        if name in own:
            module.set_extra_state(own[name])
    for name, place in numbers_of(net).items():
        if name in state:  # else it is a buffer that came later
            put(state[name], place)


@torch.no_grad()
def put(kept: Tensor, place: Tensor) -> None:
    """Copy numbers into their place."""
    if place.shape != kept.shape:  # a buffer that grows, as tables of positions do
        place.set_(kept.to(place.device, copy=True))  # type: ignore[call-overload]
        return
    try:
        place.copy_(kept)
    except RuntimeError:  # a buffer that is expanded cannot be written; as a rule it is as it was
        if not torch.equal(place, kept.to(place.device)):
            raise
