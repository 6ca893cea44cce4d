"""The GGN diagonal is exact: against the dense Jacobian in float64, for every kind of network."""

from __future__ import annotations

import pytest
import torch
from sample_networks import NETWORKS, dense_ggn_diagonal, make, prunable
from torch import nn

from lossprune_lib import WeightSpace
from lossprune_lib.loss_modelling import LossModel, curvature
from lossprune_lib.loss_modelling.backward import by_autograd
from lossprune_lib.loss_modelling.forward import record
from lossprune_lib.loss_modelling.softmax import softmax_hessian_root


def relative_error(value: torch.Tensor, reference: torch.Tensor) -> float:
    return ((value - reference).abs().max() / reference.abs().max()).item()


@pytest.mark.parametrize("name", [name for name in NETWORKS if name != "one class"])
@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_diagonal_equals_dense_jacobian(name: str, scale: float) -> None:
    net, x, y = make(name, scale)
    diagonal = LossModel.at(net, (x, y)).curvature
    reference = dense_ggn_diagonal(net, x)
    assert torch.isfinite(diagonal).all()
    assert (diagonal >= 0).all()
    assert relative_error(diagonal, reference) < 1e-10


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("cheaper", [True, False], ids=["by pairs", "by examples"])
def test_both_methods_are_exact(name: str, cheaper: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if name == "one class":
        pytest.skip("it has no columns")
    monkeypatch.setattr(curvature, "pairs_are_cheaper", lambda positions, columns: cheaper)
    net, x, y = make(name)
    assert relative_error(LossModel.at(net, (x, y)).curvature, dense_ggn_diagonal(net, x)) < 1e-10


@pytest.mark.parametrize("name", ["mlp", "convolutions", "dilation and groups", "sequence"])
@pytest.mark.parametrize(("few", "products_in_cache"), [(1, 2), (2, 1)], ids=["two at once", "one after another"])
def test_products_of_examples_are_exact_however_they_are_cut(
    name: str, few: int, products_in_cache: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Layers so large that the cache holds few products of them; the last part may be a shorter one."""
    net, x, y = make(name)
    largest = max(weight.numel() * weight.element_size() for weight in prunable(net).values())
    monkeypatch.setattr(curvature, "pairs_are_cheaper", lambda positions, columns: False)
    monkeypatch.setattr(curvature, "_CACHE_BYTES", products_in_cache * largest)
    monkeypatch.setattr(curvature, "_MINIMUM_BATCH", few)
    assert relative_error(LossModel.at(net, (x, y)).curvature, dense_ggn_diagonal(net, x)) < 1e-10


@pytest.mark.parametrize(("positions", "columns"), [(1, 1), (4, 9), (16, 9), (18, 9), (64, 9), (64, 99)])
def test_the_method_with_fewer_multiplications_is_chosen(positions: int, columns: int) -> None:
    by_examples = positions * columns
    by_pairs = positions * (positions + 1) / 2
    if positions == 1:
        assert curvature.pairs_are_cheaper(positions, columns)
    else:
        assert curvature.pairs_are_cheaper(positions, columns) == (by_pairs < by_examples)


def test_one_class_has_zero_curvature_and_says_so() -> None:
    net, x, y = make("one class")
    with pytest.warns(UserWarning, match="single logit"):
        model = LossModel.at(net, (x, y))
    assert torch.count_nonzero(model.curvature) == 0


@pytest.mark.parametrize("name", ["mlp", "convolutions", "residual with batch norm", "sequence"])
def test_a_small_budget_changes_nothing(name: str) -> None:
    net, x, y = make(name)
    whole, cut = LossModel.at(net, (x, y)), LossModel.at(net, (x, y), max_bytes=1)
    assert cut.loss == pytest.approx(whole.loss, rel=1e-12)
    assert relative_error(cut.gradient, whole.gradient) < 1e-12
    assert relative_error(cut.curvature, whole.curvature) < 1e-12


@pytest.mark.parametrize("classes", [1, 2, 10, 1000])
@pytest.mark.parametrize("scale", [0.0, 1.0, 100.0, 1e4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_root_of_the_softmax_hessian(classes: int, scale: float, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    logits = scale * torch.randn(5, classes, dtype=torch.float64)
    root = softmax_hessian_root(logits.to(dtype))
    assert root.shape == (classes - 1, 5, classes)
    assert root.dtype == dtype
    assert torch.isfinite(root).all()
    p = torch.softmax(logits.to(dtype).double(), 1)
    hessian = torch.diag_embed(p) - p.unsqueeze(2) * p.unsqueeze(1)
    found = torch.einsum("snc,snd->ncd", root.double(), root.double())
    assert (found - hessian).abs().max() < (1e-6 if dtype == torch.float32 else 1e-15)


def test_saturated_logits_in_float32_agree_with_float64() -> None:
    net, x, y = make("convolutions", scale=100.0)
    reference = LossModel.at(net, (x, y)).curvature
    single = LossModel.at(net.float(), (x.float(), y)).curvature
    assert single.dtype == torch.float32
    assert relative_error(single.double(), reference) < 1e-4


def test_an_input_changed_in_place_is_refused_not_silently_wrong() -> None:
    class Overwriting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second, self.third = nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            hidden = torch.tanh(self.first(x))
            y = self.second(hidden)
            hidden.mul_(2)
            return self.third(y + hidden)

    with pytest.raises(ValueError, match=r"no gradients for this network.*change in place"):
        LossModel.at(Overwriting(), (torch.randn(4, 3), torch.tensor([0, 1, 0, 1])))


def test_hooks_are_gone_afterwards() -> None:
    net, x, y = make("convolutions")
    LossModel.at(net, (x, y))
    assert all(not module._forward_hooks for module in net.modules())


def test_columns_are_additive() -> None:
    """The diagonal of a sum of Hessians is the sum of diagonals, whichever way the columns are grouped."""
    net, x, _ = make("dilation and groups")
    space = WeightSpace(net)
    recording = record(space, space.read(), space.rest(), x, len(x), range(len(space.modules)))
    root = softmax_hessian_root(recording.outputs.detach())

    def diagonal(columns: torch.Tensor) -> torch.Tensor:
        sums = torch.zeros(space.size, dtype=columns.dtype)
        by_pairs = dict.fromkeys(recording.calls, True)
        ways = by_autograd(recording)
        curvature.ggn_diagonals(space, recording, columns, by_pairs, space.split(sums), {}, ways, lambda: None)
        return sums

    whole = diagonal(root)
    parts = sum(diagonal(root[i : i + 1]) for i in range(len(root)))
    assert relative_error(parts, whole) < 1e-12
