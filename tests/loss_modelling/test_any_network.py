"""Gradient and curvature of networks that no layer's own rule covers: equal to a dense computation in float64."""

from __future__ import annotations

import warnings

import pytest
import torch
from awkward_networks import CASES, Clipped, dense_model, make
from torch import nn

from lossprune_lib import BatchLoss, WeightSpace
from lossprune_lib.loss_modelling import losses
from lossprune_lib.loss_modelling.footprint import SlowCurvatureWarning

# Where the layers' own rules hold all the same.
FAST = (
    "windows folded into the batch",
    "images folded into the batch",
    "batch norm behind a transposition",
    "language model tied to its embedding",
    "inputs by name",
    "a layer twice for some examples",
    "a weight used elsewhere too for some examples",
    "positions in the order of their values",
    "regression",
    "several labels",
    "a single example",
    "a single example behind a batch norm",
)

DRAWS = 40  # of sampled curvature: enough to tell a factor of two from chance in the sum over a network's weights


@pytest.mark.parametrize("max_bytes", [2**30, 1])
@pytest.mark.parametrize("name", CASES)
def test_it_equals_a_dense_computation(name: str, max_bytes: int) -> None:
    net, x, y, loss = make(name)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        risk = BatchLoss(net, (x, y), loss=loss, max_bytes=max_bytes)
        model = risk.model(risk.space.read())
    assert model.gradient is not None
    assert model.curvature is not None
    gradient, curvature = dense_model(net, x, y, loss, risk.space.names)
    torch.testing.assert_close(model.gradient, gradient, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(model.curvature, curvature, rtol=1e-9, atol=1e-12)
    assert (curvature > 0).any()
    slow = [warning for warning in said if issubclass(warning.category, SlowCurvatureWarning)]
    assert len(slow) == (0 if name in FAST else 1)


@pytest.mark.parametrize("name", CASES)
def test_sampled_curvature_is_right_on_average(name: str) -> None:
    net, x, y, loss = make(name)
    space = WeightSpace(net)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SlowCurvatureWarning)
        exact = BatchLoss(space, (x, y), loss=loss).model(space.read()).curvature
        drawn = torch.stack(
            [
                BatchLoss(space, (x, y), loss=loss, curvature_columns=2, seed=seed).model(space.read()).curvature
                for seed in range(DRAWS)
            ]
        )
    assert exact is not None
    # Of many weights some are off by chance: the sum over weights, and the most of the draws' means.
    error = (drawn.mean(0) - exact) / (drawn.std(0) / DRAWS**0.5).clamp_min(1e-12 * exact.max())
    assert (error.abs() < 5).all()
    assert abs(drawn.sum(1).mean() - exact.sum()) < 3 * drawn.sum(1).std() / DRAWS**0.5 + 1e-9 * exact.sum()


def test_of_integers_and_frozen_or_chosen_weights_too() -> None:
    net, x, y, loss = make("language model tied to its embedding")
    space = WeightSpace(net, include=["default", nn.Embedding])
    assert space.layers == ("e", "a")
    with pytest.warns(SlowCurvatureWarning, match="e: it belongs to an Embedding"):
        model = BatchLoss(space, (x, y)).model(space.read())
    gradient, curvature = dense_model(net, x, y, loss, space.names)
    torch.testing.assert_close(model.gradient, gradient, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(model.curvature, curvature, rtol=1e-9, atol=1e-12)
    net.a.requires_grad_(False)
    assert WeightSpace(net, include=["default", nn.Embedding]).layers == ("e",)


def test_one_example_alone_would_be_wrong_behind_a_transposed_batch_norm() -> None:
    net, x, _, _ = make("batch norm behind a transposition")
    (alone,) = torch.autograd.grad(net(x[:1]).mul(torch.arange(3.0)).sum(), net.conv.weight)
    (beside,) = torch.autograd.grad(net(x[:2])[:1].mul(torch.arange(3.0)).sum(), net.conv.weight)
    step = torch.zeros_like(net.conv.weight)
    step.view(-1)[0] = 1e-6
    with torch.no_grad():
        ends = []
        for sign in (1, -1):
            net.conv.weight += sign * step
            ends.append(net(x[:1]).mul(torch.arange(3.0)).sum())
            net.conv.weight -= sign * step
    difference = (ends[0] - ends[1]) / 2e-6
    assert beside.view(-1)[0] == pytest.approx(difference.item(), rel=1e-6)
    if torch.allclose(alone, beside):
        pytest.skip("this version of torch computes it rightly")


def test_a_network_in_half_precision_inside_has_gradient_and_curvature() -> None:
    class Autocast(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.o = nn.Linear(4, 8), nn.Linear(8, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            with torch.autocast("cpu", torch.bfloat16):
                return self.o(torch.tanh(self.a(x)))

    torch.manual_seed(0)
    net, x, y = Autocast(), torch.randn(6, 4), torch.randint(3, (6,))
    plain = nn.Sequential(net.a, nn.Tanh(), net.o)
    expected = BatchLoss(plain, (x, y)).model(WeightSpace(plain).read())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SlowCurvatureWarning)
        found = BatchLoss(net, (x, y)).model(WeightSpace(net).read())
    for name in ("gradient", "curvature"):
        off = (getattr(found, name) - getattr(expected, name)).norm() / getattr(expected, name).norm()
        assert 0 < off < 0.05


def test_a_layer_that_clips_its_weights_is_exact_at_weights_that_it_clips() -> None:
    net = nn.Sequential(Clipped(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()
    nn.init.uniform_(net[0].weight, -0.2, 0.2)
    space, batch = WeightSpace(net), (torch.randn(5, 3).double(), torch.tensor([0, 1, 0, 1, 1]))
    weights = 2 * space.read()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SlowCurvatureWarning)
        model = BatchLoss(space, batch).model(weights)
    space.write_(weights)
    gradient, curvature = dense_model(net, *batch, losses.cross_entropy, space.names)
    torch.testing.assert_close(model.gradient, gradient, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(model.curvature, curvature, rtol=1e-9, atol=1e-12)
    assert (curvature == 0).any()


@pytest.mark.parametrize("wrapper", [nn.DataParallel, torch.compile])
def test_wrapped_networks_are_those_inside(wrapper: object) -> None:
    net, x, y, _ = make("inputs by name")
    space = WeightSpace(wrapper(net))  # type: ignore[operator]
    assert space.net is net
    assert space.layers == ("a", "b", "o")
    assert BatchLoss(space, (x, y)).value(space.read()) == BatchLoss(net, (x, y)).value(space.read())


def test_too_many_columns_are_refused_with_the_remedy() -> None:
    net, x = nn.Sequential(nn.Flatten(), nn.Linear(4, 2000)), torch.randn(3, 4)
    y = torch.tensor([0, 1, 1999])
    with pytest.raises(ValueError, match="curvature_columns"):
        BatchLoss(net, (x, y), max_bytes=2**22).model(WeightSpace(net).read())
    sampled = BatchLoss(net, (x, y), max_bytes=2**22, curvature_columns=1).model(WeightSpace(net).read())
    assert sampled.curvature is not None
    assert BatchLoss(net, (x, y), max_bytes=2**22).model(WeightSpace(net).read(), order=1).gradient is not None


def test_sampled_curvature_does_not_depend_on_how_the_batch_is_cut() -> None:
    net, x, y, _ = make("GRU, time first, a label for each step")
    found = []
    for max_bytes in (2**30, 1):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SlowCurvatureWarning)
            risk = BatchLoss(net, (x, y), loss=losses.cross_entropy, curvature_columns=3, seed=5, max_bytes=max_bytes)
            found.append(risk.model(risk.space.read()).curvature)
    torch.testing.assert_close(*found, rtol=1e-9, atol=1e-12)
