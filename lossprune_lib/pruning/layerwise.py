"""Pruning for a layer's own outputs: Wanda, SparseGPT, and the Optimal Brain Surgeon that both come from.

They model not the loss but the squared error of one layer's outputs, for its inputs X [P, K] at P positions of the
stage's batch, ||X w - X w'||^2 summed over its rows w [K]. It is quadratic, with the same Hessian for each row,
H = 2 X^T X [K, K], and the dense layer is its minimum, so there is no gradient and nothing is left out:

- Wanda reads the diagonal of H alone, as Optimal Brain Damage does of the loss's;
- the Optimal Brain Surgeon reads all of H, and changes the weights that stay to make up for each that goes;
- SparseGPT does that for all rows at once, by one factor of H^-1, with the columns in a fixed order.

>>> from lossprune_lib import LocalPruner, data, models
>>> from lossprune_lib.pruning.layerwise import SPARSEGPT, WANDA
>>> task, net = data.load("digits", device="cpu"), models.pretrained("mlp_300_100", "digits")
>>> wanda = LocalPruner(WANDA, sparsity=0.8, stages=1, scope="row").prune(net, task)
>>> sparsegpt = LocalPruner(SPARSEGPT, sparsity=0.8, stages=1, scope="layer").prune(net, task)
>>> sparsegpt.true_change < wanda.true_change
True

Sources: Hassibi and Stork 1993, Second Order Derivatives for Network Pruning: Optimal Brain Surgeon; Frantar and
Alistarh 2023, SparseGPT; Sun et al. 2024, A Simple and Effective Pruning Approach for Large Language Models (Wanda).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn

from lossprune_lib.checks import check_instance, check_int, check_list
from lossprune_lib.data.task import TaskLike
from lossprune_lib.networks.masks import Mask
from lossprune_lib.networks.weights import WeightSpace
from lossprune_lib.pruning.criteria import Criterion, Update
from lossprune_lib.pruning.local import CoverageWarning, LocalPruner
from lossprune_lib.pruning.stage_model import StageModel

DAMPING = 0.01  # of the mean of the Hessian's diagonal is added to it, as SparseGPT's authors do


def _wanda(stage: StageModel) -> Tensor:
    layers = zip(stage.space.split(stage.weights), stage.inputs().values(), strict=True)
    return torch.cat([(_rows(weight, x).abs() * x.norm(dim=-2, keepdim=True)).flatten() for weight, x in layers])


def _sparsegpt(stage: StageModel) -> tuple[Tensor, Update]:
    inputs = list(stage.inputs().values())
    factors = [inverse_factor(hessian(x)) for x in inputs]
    weights = [_rows(weight, x).double() for weight, x in zip(stage.space.split(stage.weights), inputs, strict=True)]

    def flat(rows: list[Tensor]) -> Tensor:
        return torch.cat([part.flatten() for part in rows]).to(stage.weights.dtype)

    def update(pruned: Tensor) -> Tensor:
        kept = stage.space.split(stage.mask.without(pruned).kept)
        layers = zip(weights, kept, factors, strict=True)
        return flat([compensated(rows, part.reshape(rows.shape), factor) for rows, part, factor in layers])

    roots = [factor.diagonal(dim1=-2, dim2=-1).unsqueeze(-2) for factor in factors]
    return flat([(rows / root).square() for rows, root in zip(weights, roots, strict=True)]), update


WANDA = Criterion("wanda", order=0, score=_wanda)
"""Wanda's score, ``|w_j| ||X_j||``: how far a weight moves its output. Compare it within rows: ``scope="row"``.

Its square is w_j^2 H_jj / 2, the layer's error from pruning that weight alone. It is for Linear and Conv2d layers.
"""

SPARSEGPT = Criterion("sparsegpt", order=0, score=_sparsegpt)
"""SparseGPT: w_j^2 / U_jj^2 for the upper factor U of the inverse Hessian, U^T U = H^-1, and its update of the weights.

The score is twice the layer's error from pruning a weight and changing those right of it in its row, U_jj^2 being
entry (j, j) of the inverse of the Hessian of columns j to K. The weights that stay are changed as in the paper, column
by column, by `compensated`. It is for Linear and Conv2d layers, with ``scope="layer"``, ``"row"`` or ``"2:4"``.

With ``scope="layer"`` it is the authors' program with one block for the layer, whose mask is chosen before any weight
is changed. Theirs has blocks of 128 columns, and chooses each when those left of it are done; its 2:4 masks likewise,
four columns at a time. Theirs also prunes one block of a network after another, each with the inputs that the pruned
ones before give: that is `in_turn`.
"""


def hessian(inputs: Tensor) -> Tensor:
    """Return H = 2 X^T X of a layer's squared error, float64 [..., K, K], for inputs X [..., P, K]."""
    x = inputs.double()
    return 2 * x.transpose(-2, -1) @ x


def output_square(weights: Tensor, gram: Tensor) -> float:
    """Return the sum of the squares of what weights [M, K] give for inputs X with the Gram matrix X^T X, [K, K]."""
    return ((weights @ gram) * weights).sum().item()


def inverse_factor(hessian: Tensor, damping: float = DAMPING) -> Tensor:
    """Return the upper triangular U with U^T U = H^-1, of a Hessian [..., K, K] whose diagonal was damped.

    Parameters
    ----------
    damping : float
        So many times the mean of the diagonal is added to it, as inputs may be zero or depend on each other.
    """
    mean = hessian.diagonal(dim1=-2, dim2=-1).mean(-1)[..., None, None]
    mean = mean.where(mean > 0, torch.ones_like(mean))  # where all inputs are zero, any weights do
    damped = hessian + damping * mean * torch.eye(hessian.shape[-1], dtype=hessian.dtype, device=hessian.device)
    return torch.linalg.cholesky(torch.cholesky_inverse(torch.linalg.cholesky(damped)), upper=True)


def compensated(weights: Tensor, kept: Tensor, factor: Tensor) -> Tensor:
    """Return the weights of a layer after the pruned ones have gone, column by column from the left.

    A weight that is kept stays as it is when its column is reached. One that is pruned becomes zero, and the weights
    right of it in its row change to where the layer's squared error is least, given all left of them.

    Parameters
    ----------
    weights, kept : [..., M, K], float and bool
    factor : [..., K, K], from `inverse_factor`
    """
    left = weights.to(factor.dtype, copy=True)
    for j in range(left.shape[-1]):
        gone = left[..., j].masked_fill(kept[..., j], 0) / factor[..., j, j, None]
        left[..., j:] -= gone.unsqueeze(-1) * factor[..., None, j, j:]
    return left.masked_fill(~kept, 0).to(weights.dtype)


def obs_update(weights: Tensor, inverse: Tensor, pruned: int) -> Tensor:
    """Return a row [K] without one of its weights, all others changed to where the error is least.

    Source: Hassibi and Stork 1993, equation 5: dw = -w_q / [H^-1]_qq H^-1 e_q.

    Parameters
    ----------
    inverse : [K, K], of the Hessian
    pruned : q
    """
    changed = weights - weights[pruned] / inverse[pruned, pruned] * inverse[:, pruned]
    changed[pruned] = 0
    return changed


def obs(weights: Tensor, hessian: Tensor, count: int) -> Tensor:
    """Prune a row one weight at a time: always the one whose removal costs least, w_q^2 / (2 [H^-1]_qq).

    The exact Optimal Brain Surgeon of a layer's squared error, for one row and without damping; it takes K^2 `count`
    operations for each row, where SparseGPT takes K^2 for all.

    Parameters
    ----------
    weights : [K]
    hessian : [K, K], positive definite
    count : int from 0 to K

    Returns
    -------
    Tensor
        [K], of which `count` are zero. The others are those of least error, given which are zero.

    Raises
    ------
    ValueError
        for a count that is more than K, or a Hessian that is singular: inputs that are zero or depend on each other.
    """
    if check_int(count, "count", least=0) > len(weights):
        raise ValueError(f"{count} of {len(weights)} weights cannot be pruned.")
    factor, wrong = torch.linalg.cholesky_ex(hessian.double())
    if wrong:
        raise ValueError(
            "The Hessian is not positive definite, as some inputs are zero or depend on each other: add a little to "
            "its diagonal, such as a hundredth of its mean."
        )
    left, inverse = weights.double().clone(), torch.cholesky_inverse(factor)
    kept = torch.ones_like(left, dtype=torch.bool)
    for _ in range(count):
        costs = (left.square() / (2 * inverse.diagonal())).masked_fill(~kept, torch.inf)
        q = int(costs.argmin())
        left = obs_update(left, inverse, q)
        # The inverse of the Hessian of the weights that are left: row and column q become zero.
        inverse = inverse - torch.outer(inverse[:, q], inverse[q]) / inverse[q, q]
        inverse[q, :], inverse[:, q], kept[q] = 0, 0, False
    return left.to(weights.dtype)


def in_turn(
    pruner: LocalPruner, net: nn.Module, task: TaskLike, groups: Sequence[str] | None = None
) -> tuple[nn.Module, Mask]:
    """Prune one group of layers after another, each with the inputs that those before it give by then.

    Parameters
    ----------
    pruner : with any scope but "global", such as ``LocalPruner(SPARSEGPT, sparsity=0.5, stages=1, scope="layer")``
    net, task : as in `LocalPruner.prune`
    groups : patterns of the names of layers, each a group, such as ``["block1.*", "block2.*"]``
        Of the layers that the pruner may prune, each is in the first group that matches; by default each is one.

    Returns
    -------
    net, mask
        A pruned copy of the network, and the mask of all layers.

    Raises
    ------
    ValueError, TypeError
        if layers would be ranked together or have densities, or one is in no group, or groups are no list of patterns.
    """
    check_instance(pruner, LocalPruner, "A pruner", "write LocalPruner(SPARSEGPT, ...)")
    if pruner.densities is not None:
        raise ValueError("Layers that are pruned in turn all get the pruner's sparsity: leave the densities out.")
    if pruner.within == "global":
        raise ValueError('Layers that are pruned in turn are ranked apart: give the pruner scope="layer" or "row".')
    space = WeightSpace(net, pruner.include, pruner.exclude)
    kept: dict[str, Tensor] = {}
    for names in _grouped(space, groups):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CoverageWarning)  # a part of the network, as it should be
            run = replace(pruner, include=names).prune(net, task, progress=False)
        net = run.network()
        kept |= dict(zip(run.state.space.layers, run.mask.kept.split(run.mask.sizes), strict=True))
    return net, Mask(torch.cat([kept[layer] for layer in space.layers]), space.layout)


def _grouped(space: WeightSpace, groups: Sequence[str] | None) -> list[list[str]]:
    """Return the names of the parameters of each group."""
    if groups is None:
        return [[name] for name in space.names]
    groups = check_list(groups, "groups", '["block1.*", "block2.*"]')
    for pattern in groups:
        check_instance(pattern, str, "A group", 'give the pattern of its layers\' names, such as "block1.*"')
    found: list[list[str]] = [[] for _ in groups]
    for layer, name in zip(space.layers, space.names, strict=True):
        of = next((i for i, pattern in enumerate(groups) if fnmatchcase(layer, pattern)), None)
        if of is None:
            raise ValueError(f"Layer {layer!r} is in no group: give one that matches it, or exclude it.")
        found[of].append(name)
    return [names for names in found if names]


def _rows(weight: Tensor, inputs: Tensor) -> Tensor:
    """Return a layer's weight as what its inputs [..., P, K] are multiplied with, [..., M, K]."""
    return weight.reshape(*inputs.shape[:-2], -1, inputs.shape[-1])
