"""A layer's error by several ways: against the definition, and in the order that mathematics demands."""

from __future__ import annotations

import pytest
import torch

from lossprune_lib.pruning import errors_by_way
from lossprune_lib.pruning.errors_by_way import best_row
from lossprune_lib.pruning.layerwise import hessian


@pytest.fixture
def layer() -> tuple[torch.Tensor, torch.Tensor]:
    source = torch.Generator().manual_seed(0)
    x = torch.randn(60, 12, generator=source, dtype=torch.float64)
    x = x * torch.linspace(0.3, 3, 12) + torch.randn(60, 1, generator=source, dtype=torch.float64)
    return torch.randn(5, 12, generator=source, dtype=torch.float64), x


def test_errors_are_shares_of_the_outputs_squares(layer: tuple[torch.Tensor, torch.Tensor]) -> None:
    weights, x = layer
    table = errors_by_way(weights, hessian(x), [0.25, 0.5])
    pruned = weights.clone()
    pruned.scatter_(1, weights.abs().argsort(dim=1)[:, :6], 0)
    share = (x @ (pruned - weights).T).square().sum() / (x @ weights.T).square().sum()
    assert table.loc[0.5, "magnitude"] == pytest.approx(share.item(), rel=1e-10)


def test_paying_back_never_makes_it_worse(layer: tuple[torch.Tensor, torch.Tensor]) -> None:
    weights, x = layer
    table = errors_by_way(weights, hessian(x), [0.25, 0.5, 0.75])
    assert (table["Wanda, updated"] < table["Wanda"]).all()
    assert (table["OBS"] < table["Wanda"]).all()
    assert (table["SparseGPT"] < table["Wanda"]).all()


def test_the_best_row_is_that_of_least_squares(layer: tuple[torch.Tensor, torch.Tensor]) -> None:
    weights, x = layer
    kept = torch.arange(12) % 3 > 0
    solved = torch.linalg.lstsq(x[:, kept], x @ weights[0]).solution
    found = best_row(weights[0], hessian(x), kept)
    assert torch.allclose(found[kept], solved)
    assert (found[~kept] == 0).all()
