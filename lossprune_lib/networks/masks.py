"""Mask: which weights are kept, and how the k smallest are selected."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lossprune_lib import files
from lossprune_lib.checks import check_choice, check_instance, check_int, check_sparsity
from lossprune_lib.networks.weights import Layout, WeightSpace, check_space

SCOPES = ("global", "layer")


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
        if self.kept.is_meta:
            raise ValueError("This mask is on the device meta, which stores no numbers: make it on the CPU or a GPU.")
        _check_layout(self.layout)
        if self.kept.shape[-1:] != (sum(self.sizes),):
            raise ValueError(
                f"This mask has shape {list(self.kept.shape)}, but its layers have {sum(self.sizes):,} weights: "
                "take the layout of its own network, WeightSpace(net).layout."
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
        return 1 - int(self.kept.sum()) / self.kept.numel()

    def density(self) -> dict[str, float]:
        """Return the share of weights that each layer keeps."""
        parts = self.kept.split(self.sizes, dim=-1)
        counts = torch.stack([part.sum() for part in parts]).tolist()
        return {name: count / part.numel() for (name, _), count, part in zip(self.layout, counts, parts, strict=True)}

    def still_to_prune(self, sparsity: float, scope: str) -> list[int]:
        """Return how many more weights to prune for a sparsity: of all ("global"), or of each "layer"."""
        self._check_one()
        return self.remaining(check_sparsity(sparsity), check_choice(scope, SCOPES, "scope"))

    def remaining(self, sparsity: float | list[float], scope: str) -> list[int]:
        """Return what `still_to_prune` does, of arguments that were checked already; each layer may have its own."""
        sizes = [self.kept.numel()] if scope == "global" else self.sizes
        each = sparsity if isinstance(sparsity, list) else [sparsity] * len(sizes)
        parts = zip(self.kept.split(sizes), each, strict=True)
        return [_count(part.numel(), of_part) - int((~part).sum()) for part, of_part in parts]

    def smallest_kept(self, scores: Tensor, counts: list[int]) -> Tensor:
        """Return the indices of the kept weights of smallest score: `counts` of all, or of each layer.

        Parameters
        ----------
        scores : [D]
        counts : from `still_to_prune`; below zero counts as zero
        """
        check_scores(scores, self.kept.numel())
        if not isinstance(counts, list) or len(counts) not in (1, len(self.layout)):
            raise TypeError(
                f"counts is a list of one number, or one for each layer, as still_to_prune gives it, not {counts!r}."
            )
        return self.lowest_kept(scores, counts)

    def lowest_kept(self, scores: Tensor, counts: list[int]) -> Tensor:
        """Return what `smallest_kept` does, of arguments that were checked already."""
        sizes = self.sizes if len(counts) > 1 else [len(scores)]
        chosen, offset = [], 0
        for part, kept, k in zip(scores.split(sizes), self.kept.split(sizes), counts, strict=True):
            candidates = _places(kept)
            chosen.append(candidates[_places(_smallest(part.index_select(0, candidates), max(0, k)))] + offset)
            offset += len(part)
        return torch.cat(chosen)

    def without(self, pruned: Tensor) -> Mask:
        """Return a mask that prunes more weights, given by their indices [K]; its layout is not checked again."""
        mask = copy.copy(self)
        object.__setattr__(mask, "kept", self.kept.index_fill(0, pruned, False))
        return mask

    def check(self, net: nn.Module) -> WeightSpace:
        """Return the network's space; raise ValueError if the mask belongs to another network."""
        self._check_one()
        space = WeightSpace.matching(net, self.layout)
        if space is None:
            theirs, ours = dict(self.layout), dict(WeightSpace(net).layout)
            name = next((key for key in [*ours, *theirs] if ours.get(key) != theirs.get(key)), self.layout[0][0])
            raise ValueError(
                f"This mask belongs to another network: layer {name!r} has the weight shape {theirs.get(name)} "
                f"in the mask, {ours.get(name)} in the network. Prune this network, or take the one that was pruned."
            )
        return space

    def _check_one(self) -> None:
        if self.kept.ndim != 1:
            raise ValueError(
                f"These are masks of several networks, {list(self.kept.shape)}: choose one, "
                "Mask(mask.kept[0], mask.layout)."
            )

    def apply_(self, net: nn.Module) -> None:
        """Set the network's pruned weights to zero, in place."""
        space = self.check(net)
        zero_pruned(self.parts(space), space.parameters)

    def parts(self, space: WeightSpace) -> list[Tensor]:
        """Return each layer's part of the mask, on the device of its weight, in the weight's shape."""
        return [part.to(weight.device) for part, weight in zip(space.split(self.kept), space.parameters, strict=True)]

    def save(self, path: str | Path) -> Path:
        """Write the mask to a safetensors file, atomically."""
        self._check_one()
        layers = {
            name or "weight": part.reshape(shape)
            for (name, shape), part in zip(self.layout, self.kept.split(self.sizes), strict=True)
        }
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
    if not isinstance(mask, Mask):
        raise TypeError(
            f"A mask is a Mask, as run.mask or Mask.load gives it, not a {type(mask).__name__}: for a bool tensor [D] "
            "write Mask(kept, WeightSpace(net).layout)."
        )
    return mask


def check_scores(scores: object, size: int | None = None) -> None:
    """Raise TypeError or ValueError unless scores are a tensor of real numbers [D], of the size if one is given."""
    given = check_instance(scores, Tensor, "What weights are ranked by", "convert it with torch.as_tensor")
    fits = given.ndim == 1 and size in (None, len(given))
    if not fits or given.is_complex() or given.is_meta or given.is_sparse:
        raise ValueError(
            f"Weights are ranked by one real number each, [D]{'' if size is None else f' = [{size}]'}, but these are "
            f"{given.dtype} {list(given.shape)} on {given.device}: give those of this network."
        )


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


def count(size: int, sparsity: float) -> int:
    """Return how many of `size` weights to prune for a sparsity: the nearest whole number, halves to the even one."""
    return _count(check_int(size, "size", least=0), check_sparsity(sparsity))


def _count(size: int, sparsity: float) -> int:
    return round(size * sparsity)


def smallest(saliency: Tensor, k: int) -> Tensor:
    """Mark exactly the k smallest entries.

    Parameters
    ----------
    saliency : float [D]
        May be -inf (selected first), never NaN. Ties go to the lower index, so the answer is always the same.
    k : int from 0 to D

    Returns
    -------
    bool [D]
    """
    check_scores(saliency)
    return _smallest(saliency, check_int(k, "k", least=0))


def _smallest(saliency: Tensor, k: int) -> Tensor:
    if k > len(saliency):
        raise ValueError(f"{k} of {len(saliency)} entries cannot be selected.")
    if k == 0:
        return torch.zeros_like(saliency, dtype=torch.bool)
    if torch.isnan(saliency.min()):  # NaN if any entry is
        raise ValueError("A saliency is NaN, so nothing can be ranked: check the network's weights and the batch.")
    largest = _kth_smallest(saliency, k)
    selected = saliency < largest
    missing = k - int(selected.count_nonzero())
    selected[_places(saliency == largest)[:missing]] = True
    return selected


def _places(marked: Tensor) -> Tensor:
    """Return the indices where a bool tensor [D] is true; on a CPU, NumPy takes a third of torch's time."""
    if marked.device.type != "cpu":
        return marked.nonzero().squeeze(1)
    return torch.from_numpy(np.flatnonzero(marked.numpy()))


def _kth_smallest(values: Tensor, k: int) -> Tensor | float:
    # NumPy's vectorised selection is the fastest on a CPU, unless many entries tie; where they do, it is at the bottom
    # (dead inputs give exact zeros), so those are set aside. Torch's selection is the one that runs on a GPU.
    if values.device.type != "cpu":
        return values.kthvalue(k).values
    array = values.detach().numpy()
    bottom = array.min()
    above = array[array > bottom]
    k -= len(array) - len(above)
    return float(bottom if k <= 0 else np.partition(above, k - 1)[k - 1])
