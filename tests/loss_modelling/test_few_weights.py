"""One weight and two: the loss and its models against autograd and losses that are computed apart, in float64."""

from __future__ import annotations

import copy

import pytest
import torch
from awkward_networks import Made
from torch import nn
from torch.nn import functional as F

from lossprune_lib import BatchLoss, WeightSpace, data, landscape
from lossprune_lib.loss_modelling import few_weights

INDICES = (50111, 9044)  # one of the last layer, one of the first
SHARES = (-0.5, 0.0, 0.4, 1.0, 1.5)


@pytest.fixture(scope="module")
def net(trained) -> torch.nn.Module:
    return copy.deepcopy(trained).double()


@pytest.fixture(scope="module")
def risk(net, digits64: data.Task) -> BatchLoss:
    return BatchLoss(net, (digits64.x_train[:200], digits64.y_train[:200]))


def loss_with(net: torch.nn.Module, risk: BatchLoss, values: dict[tuple[str, int, int], torch.Tensor]) -> torch.Tensor:
    """Return the mean loss, by torch alone, with some weights of some layers set to values."""
    parameters = {name: p.detach().clone() for name, p in net.named_parameters()}
    for (layer, row, column), value in values.items():
        mask = torch.zeros_like(parameters[f"{layer}.weight"])
        mask[row, column] = 1
        parameters[f"{layer}.weight"] = parameters[f"{layer}.weight"] * (1 - mask) + value * mask
    return F.cross_entropy(torch.func.functional_call(net, parameters, (risk.x,)), risk.y)


@pytest.mark.parametrize(("index", "place"), [(50111, ("fc3", 9, 11)), (9044, ("fc1", 141, 20))])
def test_one_weight_is_what_torch_says(risk, net, index: int, place: tuple[str, int, int]) -> None:
    layer, row, column = place
    found = few_weights.one_weight(risk, index, SHARES)
    value = getattr(net, layer).weight[row, column].item()
    assert (found.name, found.value) == (f"{layer}[{row}, {column}]", pytest.approx(value))
    start = loss_with(net, risk, {}).item()
    for share, at, actual in zip(SHARES, found.at, found.actual, strict=True):
        assert at.item() == pytest.approx(share * value)
        expected = loss_with(net, risk, {place: torch.tensor(share * value, dtype=torch.float64)}).item() - start
        assert actual.item() == pytest.approx(expected, abs=1e-10)
    at = torch.tensor(value, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(loss_with(net, risk, {place: at}), at)
    assert found.slope == pytest.approx(slope.item(), rel=1e-6)
    assert found.predicted("lm", 0.3) == pytest.approx(slope.item() * (0.3 - value))
    logits = torch.func.jacfwd(lambda w: _logits(net, risk, place, w))(at.detach())
    p = _logits(net, risk, place, at.detach()).softmax(1)
    curvature = ((p * logits**2).sum(1) - (p * logits).sum(1) ** 2).mean().item()  # J^T (diag(p) - p p^T) J
    assert found.predicted("obd", 0.3) == pytest.approx(curvature * (0.3 - value) ** 2 / 2, rel=1e-5)
    assert found.predicted("qm", 0.3) == pytest.approx(found.predicted("lm", 0.3) + found.predicted("obd", 0.3))


def _logits(net, risk, place: tuple[str, int, int], value: torch.Tensor) -> torch.Tensor:
    layer, row, column = place
    weight = dict(net.named_parameters())[f"{layer}.weight"].detach()
    mask = torch.zeros_like(weight)
    mask[row, column] = 1
    parameters = {name: p.detach() for name, p in net.named_parameters()}
    parameters[f"{layer}.weight"] = weight * (1 - mask) + value * mask
    return torch.func.functional_call(net, parameters, (risk.x,))


def test_weights_of_a_restricted_space_are_the_same_ones(risk, net) -> None:
    without = BatchLoss(WeightSpace(net, exclude="fc1"), (risk.x, risk.y))
    first = risk.space.size - without.space.size
    pairs = [
        (few_weights.one_weight(of, index, SHARES).actual, few_weights.two_weights(of, both, SHARES).actual)
        for of, index, both in (
            (risk, INDICES[0], (first + 5, INDICES[0])),
            (without, INDICES[0] - first, (5, INDICES[0] - first)),
        )
    ]
    for whole, part in zip(*pairs, strict=True):
        torch.testing.assert_close(part, whole, rtol=1e-9, atol=1e-12)
    assert few_weights.removal(risk, [(INDICES[0],)]).dtype == torch.float64


def test_the_batch_is_cut_to_the_budget_of_the_loss() -> None:
    torch.manual_seed(0)
    seen: list[int] = []

    def forward(own: nn.Module, z: torch.Tensor) -> torch.Tensor:
        seen.append(len(z))
        return own.a(z).tanh()

    x, y = torch.randn(50, 6, dtype=torch.float64), torch.randint(3, (50,))
    wide, narrow = (BatchLoss(Made(forward, a=nn.Linear(6, 3)).double(), (x, y), max_bytes=b) for b in (2**30, 1))
    for risk in (wide, narrow):
        risk.model(risk.space.read())  # which cuts the batch in its own way
    for find, which in ((few_weights.one_weight, 3), (few_weights.two_weights, (3, 8))):
        most = {}
        for name, risk in (("wide", wide), ("narrow", narrow)):
            seen.clear()
            find(risk, which, SHARES)
            most[name] = max(seen)
        assert most["narrow"] < most["wide"] == 50


@pytest.mark.parametrize(
    ("index", "error", "message"),
    [
        (50200, IndexError, "no weight 50200.*from 0 to 50199"),
        (-1, ValueError, "at least 0"),
        (0.5, TypeError, "whole number"),
    ],
)
def test_an_index_of_no_weight_is_refused(risk, index, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        few_weights.one_weight(risk, index, SHARES)
    with pytest.raises(error, match=message):
        few_weights.two_weights(risk, (0, index), SHARES)
    with pytest.raises(error, match=message):
        few_weights.removal(risk, [(0,), (0, index)])


def test_two_weights_are_two(risk) -> None:
    for indices in ((0,), (0, 1, 2), (5, 5)):
        with pytest.raises(ValueError, match="two different weights"):
            few_weights.two_weights(risk, indices, SHARES)
    with pytest.raises(TypeError, match="indices are a list"):
        few_weights.two_weights(risk, 3, SHARES)


def test_indices_may_be_those_that_torch_gives(risk) -> None:
    largest = risk.space.read().abs().topk(2).indices
    assert (
        few_weights.one_weight(risk, largest[0], [0.0]).name
        == few_weights.one_weight(risk, int(largest[0]), [0.0]).name
    )
    pair = tuple(map(int, largest))
    assert few_weights.two_weights(risk, largest, [0.0]).names == few_weights.two_weights(risk, pair, [0.0]).names
    assert few_weights.removal(risk, [largest]).equal(few_weights.removal(risk, [pair]))


def test_the_first_and_the_last_weight_have_names(risk) -> None:
    last = risk.space.size - 1
    assert few_weights.one_weight(risk, 0, [0.0]).name == "fc1[0, 0]"
    assert few_weights.one_weight(risk, last, [0.0]).name == "fc3[9, 99]"
    assert few_weights.two_weights(risk, (risk.space.sizes[0], last), [0.0]).names == ("fc2[0, 0]", "fc3[9, 99]")


def test_two_weights_are_what_torch_says(risk, net) -> None:
    places = ("fc3", 9, 11), ("fc3", 9, 34)
    found = few_weights.two_weights(risk, (50111, 50134), SHARES)
    values = torch.tensor([getattr(net, layer).weight[row, column].item() for layer, row, column in places]).double()
    start = loss_with(net, risk, {}).item()
    for i, first in enumerate(SHARES):
        for j, second in enumerate(SHARES):
            at = dict(zip(places, (first * values[0], second * values[1]), strict=True))
            assert found.actual[i, j].item() == pytest.approx(loss_with(net, risk, at).item() - start, abs=1e-10)
    hessian = torch.autograd.functional.hessian(
        lambda pair: loss_with(net, risk, dict(zip(places, pair, strict=True))), values
    )
    expected = (hessian[0, 0].item(), hessian[1, 1].item(), hessian[0, 1].item())
    assert found.hessian == pytest.approx(expected, rel=1e-5)
    step = torch.tensor([0.2, -0.5]).double() * values - values
    slopes = torch.tensor(found.slopes).double()
    full = slopes @ step + step @ hessian @ step / 2
    assert found.predicted(0.2, -0.5, full=True).item() == pytest.approx(full.item())
    diagonal = slopes @ step + (hessian.diagonal() * step**2).sum() / 2
    assert found.predicted(0.2, -0.5, full=False).item() == pytest.approx(diagonal.item())


def test_the_telling_weights_tell_what_they_are_named_after(risk) -> None:
    chosen = few_weights.telling_weights(risk)
    found = {name: few_weights.one_weight(risk, index, [0.0]) for name, index in chosen.items()}
    actual = {name: of.actual[0].item() for name, of in found.items()}
    assert actual["costly"] == max(actual.values()) > 0 > actual["welcome"] == min(actual.values())
    at_zero = {name: {c: of.predicted(c, 0.0) for c in ("lm", "qm", "obd")} for name, of in found.items()}
    assert at_zero["welcome"]["obd"] > 0 > at_zero["welcome"]["qm"]
    errors = {name: abs(at_zero[name]["qm"] - actual[name]) for name in found}
    assert errors["mistaken"] == max(errors.values())
    shares = {name: abs(at_zero[name]["lm"] / at_zero[name]["qm"]) for name in found}
    assert shares["level"] == min(shares.values())


def test_the_telling_pairs_cost_more_less_and_the_sum(risk) -> None:
    chosen = few_weights.telling_pairs(risk)
    beyond = {}
    for name, pair in chosen.items():
        first, second, both = few_weights.removal(risk, [(pair[0],), (pair[1],), pair]).tolist()
        beyond[name] = both - first - second
        found = few_weights.two_weights(risk, pair, [0.0, 1.0])
        off_diagonal = found.hessian[2] * found.values[0] * found.values[1]
        if name != "sum":
            assert (off_diagonal > 0) == (beyond[name] > 0)
    assert beyond["less"] < 0 < beyond["more"]
    assert abs(beyond["sum"]) < 0.05 * beyond["more"]


def test_lengths_and_angles_are_kept_in_the_plane_of_two_steps() -> None:
    first, second = torch.randn(2, 50, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    along, across, (x, y) = landscape.orthonormal(first, second)
    assert torch.stack([along, across]) @ torch.stack([along, across]).T == pytest.approx(
        torch.eye(2).numpy(), abs=1e-12
    )
    torch.testing.assert_close(x * along + y * across, second)
    torch.testing.assert_close(first.norm() * along, first)
    assert y >= 0
    assert landscape.orthonormal(first, -2 * first)[2] == pytest.approx((-2 * first.norm().item(), 0), abs=1e-12)
