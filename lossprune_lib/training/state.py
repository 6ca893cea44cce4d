"""A network's state while it is trained: its parameters and all buffers, also those that its state dict leaves out."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


def numbers_of(net: nn.Module) -> dict[str, Tensor]:
    """Return a network's parameters and buffers themselves, by name."""
    return {**dict(net.named_parameters()), **dict(net.named_buffers())}


def copy_of(net: nn.Module) -> dict[str, Tensor]:
    """Return copies of a network's parameters and buffers, by name."""
    return {name: tensor.detach().clone() for name, tensor in numbers_of(net).items()}


def put_back(net: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Put what `copy_of` returned into the network."""
    for name, place in numbers_of(net).items():
        if name in state:  # else it is a buffer that came later
            put(state[name], place)


@torch.no_grad()
def put(kept: Tensor, place: Tensor) -> None:
    """Copy numbers into their place."""
    if place.shape != kept.shape:  # a buffer that grows, as tables of positions do
        place.set_(kept.to(place.device, copy=True))  # type: ignore[call-overload]
    # What is as it was is left alone: buffers that are expanded cannot be written.
    elif not torch.equal(place, kept.to(place.device)):
        place.copy_(kept)
