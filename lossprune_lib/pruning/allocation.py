"""How many weights each layer keeps: rules that choose by magnitude within layers, and differ in the layers' shares.

They are the controls of any comparison of criteria: a criterion that ranks all weights together decides two things at
once, how many weights each layer keeps and which, and only the second is about single weights.

Sources: Evci et al. 2020, Rigging the Lottery, section 3 (ERK); Lee et al. 2021, Layer-Adaptive Sparsity for the
Magnitude-Based Pruning (LAMP); Frankle et al. 2021, Pruning Neural Networks at Initialization, section 4 (shuffling).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from lossprune_lib.checks import check_generator, check_sparsity
from lossprune_lib.networks.masks import Mask, check_mask
from lossprune_lib.networks.selection import count, smallest
from lossprune_lib.networks.weights import WeightSpace, check_space


def erk(space: WeightSpace, sparsity: float) -> dict[str, float]:
    """Return the share that each layer keeps by the Erdos-Renyi-kernel rule: in proportion to the sum of its sizes.

    A layer of shape [M, K, ...] keeps about M + K + ... weights times a factor common to all layers that do not keep
    everything. So small layers stay dense.
    """
    check_space(space)
    wanted = space.size - count(space.size, check_sparsity(sparsity))
    sums = torch.tensor([float(sum(shape)) for _, shape in space.layout], dtype=torch.float64)
    sizes = torch.tensor(space.sizes, dtype=torch.float64)
    whole = torch.zeros(len(sizes), dtype=torch.bool)
    while True:
        factor = (wanted - sizes[whole].sum()) / sums[~whole].sum()
        beyond = ~whole & (factor * sums > sizes)
        if not beyond.any():
            break
        whole |= beyond
    kept = torch.where(whole, sizes, factor * sums)
    return dict(zip(space.layers, (kept / sizes).tolist(), strict=True))


def lamp(space: WeightSpace, weights: Tensor, sparsity: float) -> dict[str, float]:
    """Return the share that each layer keeps if weights are ranked by LAMP: theta^2 over all of its layer not smaller.

    Within a layer that is the order of magnitudes, so LAMP is magnitude pruning with shares of its own.

    Parameters
    ----------
    weights : [D], as from ``space.read()``
    sparsity : float in [0, 1)
        Of all weights together.

    Raises
    ------
    TypeError, ValueError
        if these are not the weights of the space, or sparsity is none.
    """
    check_space(space).check(weights)
    scores = torch.cat([lamp_scores(part.reshape(-1)) for part in space.split(weights)])
    return Mask(~smallest(scores, count(space.size, check_sparsity(sparsity))), space.layout).density()


def largest(space: WeightSpace, shares: Mapping[str, float]) -> Mask:
    """Return the mask that keeps the largest weights of each layer, so many as its share says.

    Parameters
    ----------
    shares : of each layer, as from `erk`, `lamp` and `Mask.density`
    """
    gone = [size - round(size * shares[layer]) for layer, size in zip(space.layers, space.sizes, strict=True)]
    dense = Mask.dense(space)
    return dense.without(dense.smallest_kept(space.read().abs(), gone, "layer"))


def scaled(sizes: Sequence[int], shares: Sequence[float], wanted: float) -> list[float]:
    """Return shares of layers in the same proportion that keep so many weights; what would be above 1 is 1.

    Parameters
    ----------
    sizes, shares : of each layer; shares of which all are zero count as equal
    """
    weights = shares if any(shares) else [1.0] * len(sizes)
    whole: set[int] = set()
    while True:
        rest = [i for i in range(len(sizes)) if i not in whole]
        left = wanted - sum(sizes[i] for i in whole)
        mass = sum(sizes[i] * weights[i] for i in rest)
        factor = left / mass if mass else 0.0
        beyond = {i for i in rest if factor * weights[i] > 1}
        if not beyond:
            return [1.0 if i in whole else factor * weights[i] for i in range(len(sizes))]
        whole |= beyond


def give_way(sizes: Sequence[int], shares: Sequence[float], moved: int, share: float) -> list[float]:
    """Return the shares of layers after one of them was changed: the others give way, and as many weights are kept.

    They stay in proportion to each other. Where they cannot give way so far, the one that was changed stops.
    """
    wanted = sum(size * of for size, of in zip(sizes, shares, strict=True))
    others = [i for i in range(len(sizes)) if i != moved]
    low, high = (wanted - sum(sizes[i] for i in others)) / sizes[moved], wanted / sizes[moved]
    share = min(max(share, low, 0.0), high, 1.0)
    rest = scaled([sizes[i] for i in others], [shares[i] for i in others], wanted - share * sizes[moved])
    return [*rest[:moved], share, *rest[moved:]]


def lamp_scores(weights: Tensor) -> Tensor:
    """Return LAMP's score of each weight of one layer [K]; 1 for the largest."""
    squares, order = weights.double().square().sort(descending=True)
    sums = squares.cumsum(0).clamp_min(torch.finfo(torch.float64).tiny)
    return torch.empty_like(squares).scatter_(0, order, squares / sums)


def shuffled(mask: Mask, generator: torch.Generator) -> Mask:
    """Return a mask with the same number of kept weights in each layer, but random ones.

    This is at once the mask shuffled within its layers, and random pruning with its shares.
    """
    check_mask(mask)
    check_generator(generator)
    parts = mask.kept.split(mask.sizes)
    shuffled_parts = [part[torch.randperm(len(part), generator=generator).to(part.device)] for part in parts]
    return Mask(torch.cat(shuffled_parts), mask.layout)
