"""Mask: which weights are kept."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lossprune_lib import files
from lossprune_lib.checks import check_choice, check_instance, check_sparsity, check_stored, suggestion
from lossprune_lib.networks.choice import parameters_of, unwrapped
from lossprune_lib.networks.selection import SCOPES, check_scope, check_scores, lowest
from lossprune_lib.networks.weights import Layout, WeightSpace, check_space

_WRAPPERS = ("module", "_orig_mod")  # what DataParallel and torch.compile put into the names of layers


@dataclass(frozen=True, eq=False)
class Mask:
    """Which weights of a network are kept.

    Attributes
    ----------
    kept : bool [D]
        In the order of `WeightSpace`.
    layout : the layers it belongs to, as in ``WeightSpace.layout``
    """

    kept: Tensor
    layout: Layout

    def __repr__(self) -> str:
        return f"Mask({self.sparsity:.4f} of {self.kept.numel():,} weights are zero)"

    def __post_init__(self) -> None:
        if not isinstance(self.kept, Tensor) or self.kept.dtype != torch.bool:
            kind = self.kept.dtype if isinstance(self.kept, Tensor) else type(self.kept).__name__
            raise TypeError(f"A mask is a bool tensor [D], not {kind}: convert it with .bool().")
        check_stored(self.kept, "This mask")
        _check_layout(self.layout)
        if self.kept.shape != (sum(self.sizes),):
            raise ValueError(
                f"This mask has shape {list(self.kept.shape)}, but its layers have {sum(self.sizes):,} weights, [D]: "
                "choose the mask of one network, and take the layout of its own, WeightSpace(net).layout."
            )

    @classmethod
    def dense(cls, space: WeightSpace) -> Mask:
        """Keep every weight."""
        check_space(space)
        return cls(torch.ones(space.size, dtype=torch.bool, device=space.like.device), space.layout)

    @property
    def sizes(self) -> list[int]:
        """The number of weights in each layer."""
        return [torch.Size(shape).numel() for _, shape in self.layout]

    @property
    def sparsity(self) -> float:
        """The share of weights that is zero."""
        return 1 - sum(self._counts) / self.kept.numel()

    def density(self) -> dict[str, float]:
        """Return the share of weights that each layer keeps."""
        parts = zip(self.layout, self._counts, self.kept.split(self.sizes, dim=-1), strict=True)
        return {name: kept / part.numel() for (name, _), kept, part in parts}

    @cached_property
    def _counts(self) -> list[int]:
        """The number of kept weights in each layer."""
        return torch.stack([part.count_nonzero() for part in self.kept.split(self.sizes, dim=-1)]).tolist()

    def sparsities(self, scope: str) -> list[float]:
        """Return the share of weights that is zero in each group that a scope ranks together."""
        return [1 - kept / size for size, kept in self._groups(scope)]

    def still_to_prune(self, sparsity: float | list[float], scope: str) -> list[int]:
        """Return how many more weights to prune for a sparsity: of all, or of each group that a scope ranks together.

        Parameters
        ----------
        sparsity : one for all groups, or a list of each one's own
        scope : "global", "layer", "row" or "2:4"
            A row is the weights of one output, the first dimension. "2:4" ranks four consecutive weights along the
            inputs, the second dimension (so of a convolution at one place of its kernel), and its sparsity is 0.5.
            Where the number of inputs is no multiple of 4, the last ones stay.
        """
        groups = self._groups(scope)
        if not isinstance(sparsity, list):
            check_scope(scope, check_sparsity(sparsity))
            sparsity = [sparsity] * len(groups)
        return [round(size * share) - (size - kept) for (size, kept), share in zip(groups, sparsity, strict=True)]

    def smallest_kept(self, scores: Tensor, counts: list[int], scope: str = "global") -> Tensor:
        """Return the indices of the kept weights of smallest score: `counts` of all, or of each group of a scope.

        Parameters
        ----------
        scores : [D]
        counts : from `still_to_prune` in the same scope; below zero counts as zero
        """
        check_scores(scores, self.kept.numel())
        tables = self._grouped(self.kept, scope)
        if not isinstance(counts, list) or len(counts) != sum(map(len, tables)):
            raise TypeError(
                f"counts is a list of one number, or one for each {scope}, as still_to_prune gives it, not {counts!r}."
            )
        chosen, first = [], 0
        for values, kept in zip(self._grouped(scores, scope), tables, strict=True):
            of_table, counts = counts[: len(values)], counts[len(values) :]
            chosen.append(lowest(values, kept, of_table) + first)
            first += values.numel()
        found = torch.cat(chosen)
        if scope != "2:4":  # the other tables hold the vector in its own order
            return found
        indices = self._grouped(torch.arange(len(scores), device=scores.device), scope)
        return torch.cat([table.reshape(-1) for table in indices])[found]

    def _grouped(self, vector: Tensor, scope: str) -> list[Tensor]:
        """Return a vector [D] as tables [groups, weights of a group] of what is ranked together."""
        if check_choice(scope, SCOPES, "scope") == "global":
            return [vector[None]]
        parts = list(zip(vector.split(self.sizes), (shape for _, shape in self.layout), strict=True))
        if scope == "layer":
            return [part[None] for part, _ in parts]
        if scope == "row":
            return [part.reshape(shape[0], -1) for part, shape in parts]
        along_inputs = [part.reshape(shape).movedim(min(1, len(shape) - 1), -1) for part, shape in parts]
        return [part[..., : part.shape[-1] // 4 * 4].reshape(-1, 4) for part in along_inputs]

    def _groups(self, scope: str) -> list[tuple[int, int]]:
        """Return the size of each group that a scope ranks together, and how many of its weights are kept."""
        tables = self._grouped(self.kept, scope)
        return [(table.shape[1], kept) for table in tables for kept in table.count_nonzero(1).tolist()]

    def without(self, pruned: Tensor) -> Mask:
        """Return a mask that prunes more weights, given by their indices [K]; its layout is not checked again."""
        mask = object.__new__(Mask)
        vars(mask).update(kept=self.kept.index_fill(0, pruned, False), layout=self.layout)
        return mask

    def check(self, net: nn.Module) -> WeightSpace:
        """Return the network's space; raise ValueError if the mask belongs to another network."""
        space = WeightSpace.matching(net, self.layout)
        if space is None:
            found = {o.layer: o.parameter for o in parameters_of(unwrapped(net))}
            ours = {name: tuple(found[name].shape) if name in found else None for name, _ in self.layout}
            name, shape = next((name, shape) for name, shape in self.layout if ours[name] != shape)
            raise ValueError(
                f"This mask belongs to another network: layer {name!r} has the weight shape {shape} "
                f"in the mask, {ours[name]} in the network. Prune this network, or take the one that was pruned."
            )
        return space

    def __getitem__(self, layer: str) -> Tensor:
        """Return a layer's part of the mask, bool, in the shape of its weight, whatever wraps the network.

        Torch's own tools, for example, take a finished mask in this way:

        >>> import torch
        >>> from lossprune_lib import Mask, WeightSpace
        >>> net = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Linear(2, 2))
        >>> mask = Mask(torch.arange(10) % 2 == 0, WeightSpace(net).layout)
        >>> for name, _ in mask.layout:
        ...     device = net.get_submodule(name).weight.device
        ...     _ = torch.nn.utils.prune.custom_from_mask(net.get_submodule(name), "weight", mask[name].to(device))
        >>> net[0].weight_mask
        tensor([[1., 0., 1.],
                [0., 1., 0.]])
        """
        layers = self._by_layer()
        layers = {_unwrapped(name): part for name, part in layers.items()} | layers
        for name in (str(layer), _unwrapped(str(layer))):
            if name in layers:
                return layers[name]
        names = ", ".join(name for name, _ in self.layout)
        raise KeyError(f"This mask has no layer {layer!r}.{suggestion(layer, layers)} Its layers are: {names}.")

    def _by_layer(self) -> dict[str, Tensor]:
        parts = zip(self.layout, self.kept.split(self.sizes), strict=True)
        return {name: part.reshape(shape) for (name, shape), part in parts}

    def apply_(self, net: nn.Module) -> None:
        """Set the network's pruned weights to zero, in place."""
        space = self.check(net)
        zero_pruned(self.parts(space), space.parameters)

    def parts(self, space: WeightSpace) -> list[Tensor]:
        """Return each layer's part of the mask, on the device of its weight, in the weight's shape."""
        return [part.to(weight.device) for part, weight in zip(space.split(self.kept), space.parameters, strict=True)]

    def save(self, path: str | Path) -> Path:
        """Write the mask to a safetensors file, atomically."""
        layers = {name or "weight": part for name, part in self._by_layer().items()}
        return files.save_tensors(path, layers, {"layers": json.dumps([name for name, _ in self.layout])})

    @classmethod
    def load(cls, path: str | Path) -> Mask:
        """Read a mask that `save` wrote, on the CPU; ValueError if the file is damaged or holds something else."""
        tensors, metadata = files.load_tensors(path)
        try:
            names = json.loads(metadata["layers"])
            parts = [tensors[name or "weight"] for name in names]
            each_once = isinstance(names, list) and len(set(names)) == len(names) == len(tensors)
            if not names or not each_once or any(part.dtype != torch.bool for part in parts):
                raise ValueError("its tensors are not one mask per layer")
        except (KeyError, ValueError, TypeError, RecursionError) as error:
            why = f"it lacks {error}" if isinstance(error, KeyError) else error
            raise ValueError(f"{path} holds no mask ({why}): save it again with Mask.save.") from error
        layout = tuple((name, tuple(part.shape)) for name, part in zip(names, parts, strict=True))
        return cls(torch.cat([part.reshape(-1) for part in parts]), layout)


def check_mask(mask: object) -> Mask:
    """Return `mask` if it is a Mask; else raise TypeError."""
    remedy = "take run.mask or Mask.load(path), or write Mask(kept, WeightSpace(net).layout) for a bool tensor [D]"
    return check_instance(mask, Mask, "A mask", remedy)


def _unwrapped(layer: str) -> str:
    return ".".join(part for part in layer.split(".") if part not in _WRAPPERS)


def _check_layout(layout: Any) -> None:
    try:
        right = all(isinstance(name, str) and min(torch.Size(shape), default=1) > 0 for name, shape in layout)
    except (TypeError, ValueError, RuntimeError):
        right = False
    if not right:
        raise TypeError(
            "The layout of a mask is its layers' names and shapes: take that of its network, WeightSpace(net).layout."
        )


def zero_pruned(parts: list[Tensor], weights: tuple[nn.Parameter, ...]) -> None:
    """Set the pruned weights of layers to zero, in place; parts as from `Mask.parts`."""
    with torch.no_grad():
        for part, weight in zip(parts, weights, strict=True):
            weight.mul_(part)
