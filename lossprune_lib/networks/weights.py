"""WeightSpace: a network's D prunable weights as one flat vector, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn.utils import parametrize

from lossprune_lib.checks import check_finite, check_instance, check_network

Layout = tuple[tuple[str, tuple[int, ...]], ...]  # (layer, shape of its weight), in the order of the flat vector


class WeightSpace:
    """The weights of every `Linear` and `Conv2d` of a network, in the order of ``net.modules()``, as a vector [D].

    Biases and norm parameters are not prunable and belong to the rest. Vectors may be ``[R, D]``, for R networks.

    Attributes
    ----------
    net : nn.Module
        The network itself, never changed unless by `write_`.
    layers : tuple of str
        The names of the prunable layers.
    layout : tuple of (layer, shape of its weight)
    sizes : tuple of int
        The number of weights in each layer.
    size : int
        Their sum, D.

    Raises
    ------
    ValueError
        if the network has no such layer, or one whose weight is frozen, shared, reparametrised, not initialised, NaN or
        infinite, or neither float32 nor float64, or on another device than the others.
    """

    def __init__(self, net: nn.Module) -> None:
        check_network(net)
        modules = {name: module for name, module in net.named_modules() if isinstance(module, (nn.Linear, nn.Conv2d))}
        if not modules:
            raise ValueError(
                "This network has no Linear or Conv2d layer, so there is no weight to prune: give one that has."
            )
        _check_weights(net, modules)
        self.net = net
        self.layers = tuple(modules)
        self.modules = tuple(modules.values())
        self.layout: Layout = tuple((name, tuple(module.weight.shape)) for name, module in modules.items())
        self.sizes = tuple(module.weight.numel() for module in self.modules)
        self.size = sum(self.sizes)
        self.footprints: dict[Any, Any] = {}  # from the preflight, by the shape and dtype of inputs

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters' names, as in ``net.state_dict()``."""
        return tuple(f"{layer}.weight" if layer else "weight" for layer in self.layers)

    def read(self) -> Tensor:
        """Return a copy of the network's weights [D]."""
        return torch.cat([module.weight.detach().reshape(-1) for module in self.modules])

    def write_(self, weights: Tensor) -> None:
        """Put weights [D] into the network."""
        self.check(weights)
        if weights.ndim != 1:
            raise ValueError(
                f"The weights have shape {list(weights.shape)}, but a network has one vector [D]: choose a row."
            )
        if weights.is_meta:
            raise ValueError(
                "The weights are on the device meta, which keeps no numbers: make them on the CPU or a GPU."
            )
        with torch.no_grad():
            for module, part in zip(self.modules, self.split(weights), strict=True):
                module.weight.copy_(part)

    def split(self, vector: Tensor) -> list[Tensor]:
        """Return each layer's part of a vector [..., D], as a view [..., *shape of its weight]."""
        self.check(vector)
        return self.parts(vector)

    def parts(self, vector: Tensor) -> list[Tensor]:
        """Return what `split` does, of a vector that was checked already."""
        pieces = vector.split(self.sizes, dim=-1)
        return [piece.unflatten(-1, shape) for piece, (_, shape) in zip(pieces, self.layout, strict=True)]

    def rest(self) -> dict[str, Tensor]:
        """Return copies of all parameters and buffers that are not prunable: biases, norms, running statistics."""
        prunable = set(self.names)
        state = [*self.net.named_parameters(), *self.net.named_buffers()]
        return {name: tensor.detach().clone() for name, tensor in state if name not in prunable}

    def call(self, weights: Tensor, rest: Mapping[str, Tensor], x: Tensor) -> Tensor:
        """Run the network as a function of its weights.

        Parameters
        ----------
        weights : [D], or [R, D] for R networks at once
        rest : from `rest`; with [R, D] each entry may be stacked to [R, ...] or shared
        x : [N, *input shape], shared by the R networks

        Returns
        -------
        Tensor
            Logits [N, C] or [R, N, C].

        Raises
        ------
        ValueError, TypeError
            if the weights are not [D] or [R, D], or the rest belongs to another network.
        """
        self.check(weights)
        if weights.ndim > 2:
            raise ValueError(
                f"The weights have shape {list(weights.shape)}, but must be [D] or [R, D]: flatten the rest."
            )
        check_instance(x, Tensor, "A batch of inputs", "convert it with torch.from_numpy")
        check_instance(rest, Mapping, "The rest of a network", "give what space.rest() gives")  # type: ignore[type-abstract]
        if weights.ndim == 1:
            return self.run(weights, rest, x)
        own = {name: tensor.ndim for name, tensor in [*self.net.named_parameters(), *self.net.named_buffers()]}
        strange = [name for name in rest if name not in own]
        if strange:
            raise ValueError(f"This network has no {strange[0]!r}: give the rest that space.rest() gives.")
        stacked = {name: 0 if tensor.ndim > own[name] else None for name, tensor in rest.items()}
        return vmap(lambda w, r: self.run(w, r, x), in_dims=(0, stacked))(weights, dict(rest))

    def run(self, weights: Tensor, rest: Mapping[str, Tensor], x: Tensor) -> Tensor:
        """Return what `call` does, at one vector [D], of arguments that were checked already."""
        return functional_call(self.net, {**rest, **dict(zip(self.names, self.parts(weights), strict=True))}, (x,))

    def check(self, vector: Tensor) -> None:
        """Raise TypeError or ValueError unless a vector is a tensor that ends in D."""
        if not isinstance(vector, Tensor):
            raise TypeError(
                f"A vector over weights is a torch tensor [D], not {type(vector).__name__}: convert it with "
                "torch.as_tensor."
            )
        if vector.layout is not torch.strided:
            raise ValueError("A vector over weights is a dense tensor, not a sparse one: convert it with .to_dense().")
        if vector.ndim < 1 or vector.shape[-1] != self.size:
            raise ValueError(
                f"This network has {self.size:,} weights, but the vector has shape {list(vector.shape)}: "
                "it belongs to another network, make it for this one."
            )

    def check_point(self, vector: Tensor, what: str) -> None:
        """Raise TypeError or ValueError unless a vector is one [D] that is finite, of the weights' dtype and device."""
        self.check(vector)
        if vector.ndim != 1:
            raise ValueError(f"{what} has shape {list(vector.shape)}, but must be one vector [D] = [{self.size}].")
        weight = self.modules[0].weight
        if vector.dtype != weight.dtype or vector.device != weight.device:
            raise ValueError(
                f"{what} is {vector.dtype} on {vector.device}, the network's weights {weight.dtype} on "
                f"{weight.device}: convert it with .to(space.read())."
            )
        check_finite(vector, what, "compute it again from finite numbers")


def check_space(space: object) -> WeightSpace:
    """Return `space` if it is a WeightSpace; else raise TypeError."""
    return check_instance(space, WeightSpace, "A space", "write WeightSpace(net)")


def _check_weights(net: nn.Module, modules: dict[str, nn.Linear | nn.Conv2d]) -> None:
    _check_owners(net, modules)
    first = next(iter(modules.values())).weight
    for name, module in modules.items():
        if parametrize.is_parametrized(module, "weight") or "weight" not in module._parameters:
            raise ValueError(
                f"The weight of layer {name!r} is computed from other tensors (a parametrisation, weight norm or "
                "torch.nn.utils.prune): make it plain first, for example with "
                "torch.nn.utils.parametrize.remove_parametrizations or torch.nn.utils.prune.remove."
            )
        _check_weight(name, module.weight, first)


def _check_owners(net: nn.Module, modules: dict[str, nn.Linear | nn.Conv2d]) -> None:
    """Raise ValueError if a prunable weight belongs to two modules."""
    prunable = {id(layer._parameters.get("weight")) for layer in modules.values()}
    owners: dict[int, tuple[nn.Module, str]] = {}
    for module_name, module in net.named_modules(remove_duplicate=False):
        for name, parameter in module.named_parameters(recurse=False):
            full = f"{module_name}.{name}" if module_name else name
            owner, first = owners.setdefault(id(parameter), (module, full))
            if owner is not module and id(parameter) in prunable:
                raise ValueError(f"The weight {full} is shared with {first}: give each layer a weight of its own.")


def _check_weight(name: str, weight: Tensor, first: Tensor) -> None:
    """Raise ValueError unless a weight is initialised, trainable, finite, and of the first one's dtype and device."""
    if isinstance(weight, nn.parameter.UninitializedParameter):
        raise ValueError(f"Layer {name!r} is lazy and has no weights yet: run the network once on a batch.")
    if weight.numel() == 0:
        raise ValueError(
            f"Layer {name!r} has no weights, as its weight has the shape {list(weight.shape)}: give it at least one "
            "input and one output."
        )
    if weight.dtype not in (torch.float32, torch.float64):
        raise ValueError(f"The weight of layer {name!r} is {weight.dtype}: convert the network with net.float().")
    if weight.dtype != first.dtype or weight.device != first.device:
        raise ValueError(
            f"The weight of layer {name!r} is {weight.dtype} on {weight.device}, others {first.dtype} on "
            f"{first.device}: move the whole network to one device and dtype."
        )
    if weight.device.type == "meta":
        raise ValueError(
            f"The weight of layer {name!r} is on the device meta, which keeps no numbers: make the network on the "
            "task's device, or load it."
        )
    if not weight.requires_grad:
        raise ValueError(
            f"The weight of layer {name!r} is frozen (requires_grad=False): call net.requires_grad_(True)."
        )
    check_finite(weight.detach(), f"The weight of layer {name!r}")
