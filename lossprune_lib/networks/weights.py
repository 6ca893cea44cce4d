"""WeightSpace: a network's D prunable weights as one flat vector, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from lossprune_lib.checks import check_finite, check_instance, check_network, check_stored
from lossprune_lib.data.inputs import Inputs, call, tensors_of
from lossprune_lib.networks.choice import Owned, Selectors, check_plain, choose, lasting, parameters_of, unwrapped
from lossprune_lib.networks.threads import alone, check_idle

Layout = tuple[tuple[str, tuple[int, ...]], ...]  # (layer, shape of its weight), in the order of the flat vector


class WeightSpace:
    """A network's prunable weights, in the order of ``net.modules()``, as a vector [D]; or ``[R, D]``, of R networks.

    By default the weights of linear and convolutional layers of all kinds, the projections of attention, the matrices
    of recurrent layers, and whatever a module of another kind calls its `weight` and has two or more dimensions; no
    embedding (nor what is tied to one), norm or bias, and nothing that is frozen. `coverage` says what is left out.

    Parameters
    ----------
    net : a network; of one that torch has compiled or made parallel, the network inside
    include : what is prunable, in place of the default: names or patterns of layers or parameters ("conv1", "block*"),
        types of modules, functions (name, parameter) -> bool, or a list of these; "default" in it is the default.
        A layer's name and a type stand for all parameters, the bias too: ``exclude="*.bias"`` leaves it out
    exclude : what is left out of that

    Attributes
    ----------
    net : nn.Module
        The network itself, never changed unless by `write_`. While one thread evaluates it at other weights, the
        library refuses to in another; a call of your own meanwhile may see those weights.
    layers : tuple of str
        The names of the prunable layers: of the module that has the `weight`, or of the parameter itself.
    names : tuple of str
        The names of the parameters, as in ``net.state_dict()``.
    parameters, modules : tuples
        The parameters and the modules that own them.
    layout : tuple of (layer, shape of its weight)
    sizes : tuple of int
        The number of weights in each layer.
    size : int
        Their sum, D.
    coverage : Coverage
        The share of all parameters that is prunable, and what is left out and why.

    Raises
    ------
    ValueError
        if nothing is prunable, a selector selects nothing, or a weight is computed from others, rescaled by its layer,
        a single number, not initialised, NaN or infinite, neither float32 nor float64, or on another device than the
        others.
    """

    def __init__(self, net: nn.Module, include: Selectors | None = None, exclude: Selectors = ()) -> None:
        self.net, include, exclude = unwrapped(check_network(net)), lasting(include), lasting(exclude) or ()
        check_idle(self.net)
        chosen, self.coverage = choose(self.net, include, exclude)
        check_plain(self.net, include, exclude)
        if not chosen:
            raise ValueError(f"This network has no weight to prune ({self.coverage}): name some with include=.")
        self._bind(chosen)

    @classmethod
    def matching(cls, net: nn.Module, layout: Layout) -> WeightSpace | None:
        """Return the space of a network's parameters that a layout names, frozen or not; None if they do not match."""
        space = cls.__new__(cls)
        space.net = unwrapped(check_network(net))
        check_idle(space.net)
        there = {owned.layer: owned for owned in parameters_of(space.net)}
        chosen = [there[name] for name, shape in layout if name in there and there[name].parameter.shape == shape]
        if len(chosen) < len(layout):
            return None
        space.coverage = choose(space.net, None, ())[1]
        space._bind(chosen)
        return space

    def _bind(self, chosen: list[Owned]) -> None:
        for owned in chosen:
            _check_weight(owned.layer, owned.parameter, chosen[0].parameter)
        self.names = tuple(owned.name for owned in chosen)
        self.layers = tuple(owned.layer for owned in chosen)
        self.modules = tuple(owned.owner for owned in chosen)
        self.parameters = tuple(owned.parameter for owned in chosen)
        self.layout: Layout = tuple((owned.layer, tuple(owned.parameter.shape)) for owned in chosen)
        self.sizes = tuple(parameter.numel() for parameter in self.parameters)
        self.size = sum(self.sizes)
        # A layer's own rule for its weight gradient can hold where it alone has the weight, as its `weight`.
        self.plain = tuple(_runs_as_torch_does(o.owner) and o.layer != o.name and not o.others for o in chosen)
        self._others = {o.name: o.others for o in parameters_of(self.net) if o.others}
        self.footprints: dict[Any, Any] = {}  # from the preflight, by the kind of inputs

    def __repr__(self) -> str:
        return f"WeightSpace({self.size:,} weights in {len(self.layers)} layers; {self.coverage})"

    @property
    def like(self) -> Tensor:
        """A weight of the dtype and on the device of all."""
        return self.parameters[0]

    def read(self) -> Tensor:
        """Return a copy of the network's weights [D]."""
        return torch.cat([parameter.detach().reshape(-1) for parameter in self.parameters])

    def write_(self, weights: Tensor) -> None:
        """Put weights [D] into the network."""
        self.check(weights)
        if weights.ndim != 1:
            raise ValueError(
                f"The weights have shape {list(weights.shape)}, but a network has one vector [D]: choose a row."
            )
        check_stored(weights, "The vector of weights")
        with torch.no_grad():
            for parameter, part in zip(self.parameters, self.split(weights), strict=True):
                parameter.copy_(part)

    def split(self, vector: Tensor) -> list[Tensor]:
        """Return each layer's part of a vector [..., D], as a view [..., *shape of its weight]."""
        self.check(vector)
        pieces = vector.split(self.sizes, dim=-1)
        return [piece.unflatten(-1, shape) for piece, (_, shape) in zip(pieces, self.layout, strict=True)]

    def rest(self) -> dict[str, Tensor]:
        """Return copies of all parameters and buffers that are not prunable: biases, norms, running statistics."""
        prunable = set(self.names)
        check_idle(self.net)
        state = [*self.net.named_parameters(), *self.net.named_buffers()]
        return {name: tensor.detach().clone() for name, tensor in state if name not in prunable}

    def call(self, weights: Tensor, rest: Mapping[str, Tensor], x: Inputs) -> Tensor:
        """Run the network as a function of its weights.

        Parameters
        ----------
        weights : [D], or [R, D] for R networks at once
        rest : from `rest`; with [R, D] each entry may be stacked to [R, ...] or shared
        x : [N, *input shape], or a tuple or dict of such, shared by the R networks

        Returns
        -------
        Tensor
            Outputs [N, ...] or [R, N, ...].

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
        list(tensors_of(x))  # refuses what is none
        check_instance(rest, Mapping, "The rest of a network", "give what space.rest() gives")  # type: ignore[type-abstract]
        if weights.ndim == 1:
            return self.run(weights, rest, x)
        own = {name: tensor.ndim for name, tensor in [*self.net.named_parameters(), *self.net.named_buffers()]}
        strange = [name for name in rest if name not in own]
        if strange:
            raise ValueError(f"This network has no {strange[0]!r}: give the rest that space.rest() gives.")
        stacked = {name: 0 if tensor.ndim > own[name] else None for name, tensor in rest.items()}
        return vmap(lambda w, r: self.run(w, r, x), in_dims=(0, stacked))(weights, dict(rest))

    def run(self, weights: Tensor, rest: Mapping[str, Tensor], x: Inputs) -> Tensor:
        """Return what `call` does, at one vector [D], of arguments that were checked already."""
        return self.run_parts(self.split(weights), rest, x)

    def run_parts(self, parts: Sequence[Tensor], rest: Mapping[str, Tensor], x: Inputs) -> Tensor:
        """Return what `run` does, of weights that were split already."""
        state = {**rest, **dict(zip(self.names, parts, strict=True))}
        # Told of each name by us: where torch ties them itself, it leaves modules that stand in two places changed.
        state |= {other: state[name] for name, others in self._others.items() for other in others}
        with alone(self.net):
            return call(lambda *given, **named: functional_call(self.net, state, given, named, tie_weights=False), x)

    def check(self, vector: Tensor) -> None:
        """Raise TypeError or ValueError unless a vector is a tensor that ends in D."""
        check_instance(vector, Tensor, "A vector over weights", "make it a torch tensor, with torch.as_tensor")
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
        weight = self.like
        if vector.dtype != weight.dtype or vector.device != weight.device:
            raise ValueError(
                f"{what} is {vector.dtype} on {vector.device}, the network's weights {weight.dtype} on "
                f"{weight.device}: convert it with .to(space.read())."
            )
        check_finite(vector, what, "compute it again from finite numbers")


def _runs_as_torch_does(module: nn.Module) -> bool:
    """Return whether a module is a linear layer or a 2d convolution, and its forward pass is torch's own.

    Another one may change the weight before use, at some weights or for some inputs only.
    """
    kinds = [kind for kind in (nn.Linear, nn.Conv2d) if isinstance(module, kind)]
    names = ("forward", "_conv_forward")
    return bool(kinds) and not any(
        name in vars(module) or getattr(type(module), name, None) is not getattr(kinds[0], name, None) for name in names
    )


def check_space(space: object) -> WeightSpace:
    """Return `space` if it is a WeightSpace; else raise TypeError."""
    return check_instance(space, WeightSpace, "A space", "write WeightSpace(net)")


def _check_weight(name: str, weight: Tensor, first: Tensor) -> None:
    """Raise ValueError unless a weight is initialised, not empty, finite, and of the first one's dtype and device."""
    if isinstance(weight, nn.parameter.UninitializedParameter):
        raise ValueError(f"Layer {name!r} is lazy and has no weights yet: run the network once on a batch.")
    if weight.numel() == 0:
        raise ValueError(
            f"Layer {name!r} has no weights, as its weight has the shape {list(weight.shape)}: give it at least one "
            "input and one output."
        )
    if weight.ndim == 0:
        raise ValueError(f"Parameter {name!r} is a single number without dimensions, and cannot be pruned: exclude it.")
    if weight.dtype not in (torch.float32, torch.float64):
        remedy = "exclude it" if weight.is_complex() else "convert the network with net.float()"
        raise ValueError(f"The weight of layer {name!r} is {weight.dtype}: {remedy}.")
    if weight.dtype != first.dtype or weight.device != first.device:
        raise ValueError(
            f"The weight of layer {name!r} is {weight.dtype} on {weight.device}, others {first.dtype} on "
            f"{first.device}: move the whole network to one device and dtype."
        )
    check_finite(weight.detach(), f"The weight of layer {name!r}")
