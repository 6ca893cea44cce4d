"""One layer's error by several ways to prune it: which weights go, and whether the others make up for them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lossprune_lib.networks.selection import count
from lossprune_lib.pruning.layerwise import compensated, inverse_factor, obs, output_square

if TYPE_CHECKING:
    import pandas as pd


def errors_by_way(weights: Tensor, hessian: Tensor, sparsities: Iterable[float]) -> pd.DataFrame:
    """Return the squared change of a layer's outputs, as a share of their squares, with each row pruned alike.

    Parameters
    ----------
    weights : float64 [M, K]
        Some rows of the layer.
    hessian : float64 [K, K]
        Positive definite, from `layerwise.hessian`.

    Returns
    -------
    DataFrame
        A row for each sparsity; columns: magnitude and Wanda, whose other weights stay; Wanda updated, the least error
        for Wanda's mask; SparseGPT; and OBS, one weight at a time.
    """
    import pandas as pd

    factor = inverse_factor(hessian)
    scores = {"magnitude": weights.abs(), "Wanda": weights.abs() * hessian.diagonal().sqrt()}
    sparsegpt = weights.abs() / factor.diagonal()
    rows = {}
    for sparsity in sparsities:
        gone = count(weights.shape[1], sparsity)

        def error(new: Tensor) -> float:
            # The Hessian is twice the Gram matrix, which a quotient does not see.
            return output_square(new - weights, hessian) / output_square(weights, hessian)

        found = {name: weights * _largest(score, gone) for name, score in scores.items()}
        kept = zip(weights, found["Wanda"] != 0, strict=True)
        found["Wanda, updated"] = torch.stack([best_row(row, hessian, of_row) for row, of_row in kept])
        found["SparseGPT"] = compensated(weights, _largest(sparsegpt, gone), factor)
        found["OBS"] = torch.stack([obs(row, hessian, gone) for row in weights])
        rows[sparsity] = {name: error(new) for name, new in found.items()}
    return pd.DataFrame(rows).T.rename_axis("sparsity")


def best_row(row: Tensor, hessian: Tensor, kept: Tensor) -> Tensor:
    """Return the row [K] of least error among those that are zero where `kept` (bool [K]) is False."""
    new = torch.zeros_like(row)
    new[kept] = torch.linalg.solve(hessian[kept][:, kept], hessian[kept] @ row)
    return new


def _largest(scores: Tensor, gone: int) -> Tensor:
    """Return which weights stay if so many of each row go, those of the smallest scores."""
    kept = torch.ones_like(scores, dtype=torch.bool)
    return kept.scatter(1, scores.argsort(dim=1)[:, :gone], False)
