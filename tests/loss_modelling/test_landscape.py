"""Lines and planes: the same losses as a loop of forward passes, whatever the network and the budget."""

from __future__ import annotations

import copy
from types import MethodType

import pytest
import torch
from awkward_networks import Made
from sample_losses import HALF_SQUARES, SQUARES
from sample_networks import NETWORKS, make
from torch import nn
from torch.nn import functional as F

from lossprune_lib import BatchLoss, LossModel, WeightSpace, data, landscape, models

NAMES = [name for name in NETWORKS if name not in ("one class", "one weight")]


def loop(net: nn.Module, batch: data.Batch, weights: torch.Tensor) -> torch.Tensor:
    """The losses at weights [P, D], one forward pass after the other in a network of their own."""
    net = copy.deepcopy(net)
    space = WeightSpace(net)
    losses = []
    for row in weights:
        space.write_(row)
        with torch.no_grad():
            losses.append(F.cross_entropy(net(batch[0]), batch[1]))
    return torch.stack(losses)


def directions(net: nn.Module) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    weights = WeightSpace(net).read()
    torch.manual_seed(1)
    return weights, torch.randn_like(weights), torch.randn_like(weights)


@pytest.mark.parametrize("max_bytes", [2**30, 40_000, 1])
@pytest.mark.parametrize("name", NAMES)
def test_a_line_is_a_loop_of_forward_passes(name: str, max_bytes: int) -> None:
    net, x, y = make(name)
    weights, direction, _ = directions(net)
    at = torch.linspace(-1, 2, 7, dtype=torch.float64)
    found = landscape.line(net, (x, y), direction, at, max_bytes=max_bytes)
    assert found.shape == (7,)
    assert torch.allclose(found, loop(net, (x, y), weights + at[:, None] * direction), rtol=1e-12, atol=0)


@pytest.mark.parametrize("name", NAMES)
def test_a_plane_is_a_loop_of_forward_passes(name: str) -> None:
    net, x, y = make(name)
    weights, first, second = directions(net)
    start = weights * 0.9
    a, b = [-0.5, 0.0, 1.0], [0.0, 0.25]
    found = landscape.plane(net, (x, y), first, second, a, b, start)
    points = torch.stack([start + i * first + j * second for i in a for j in b])
    assert found.shape == (3, 2)
    assert torch.allclose(found.flatten(), loop(net, (x, y), points), rtol=1e-12, atol=0)


@pytest.mark.parametrize(
    "layers",
    [
        [nn.Linear(6, 3, bias=False)],
        [nn.Tanh(), nn.Linear(6, 5, bias=False), nn.Identity(), nn.Linear(5, 3)],
        [nn.Linear(6, 5), nn.ReLU(inplace=True), nn.Linear(5, 5), nn.Linear(5, 3, bias=False)],
        [nn.Flatten(), nn.Linear(6, 5), (tanh := nn.Tanh()), nn.Linear(5, 4), tanh, nn.Linear(4, 3)],
    ],
    ids=["one layer", "activation first", "in place", "an activation twice"],
)
def test_chains_of_every_kind(layers: list[nn.Module]) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(*layers).double()
    batch = torch.randn(9, 6, dtype=torch.float64), torch.randint(3, (9,))
    weights, direction, _ = directions(net)
    inputs = batch[0].clone()
    found = landscape.line(net, batch, direction, [-1.0, 0.5])
    assert torch.allclose(found, loop(net, batch, torch.stack([weights - direction, weights + direction / 2])))
    assert torch.equal(batch[0], inputs)
    assert torch.equal(WeightSpace(net).read(), weights)


@pytest.mark.parametrize("name", ["mlp", "convolutions"])
def test_any_loss_is_summed_over_the_examples_of_each_point(name: str) -> None:
    net, x, y = make(name)
    _, first, second = directions(net)
    slices = [
        landscape.plane(net, (x, y), first, second, [0.0, 0.5], [0.0, 0.1], loss=loss)
        for loss in (HALF_SQUARES, SQUARES)
    ]
    outputs = net(x).detach()
    assert slices[0][0, 0].item() == pytest.approx(HALF_SQUARES.total(outputs, y).item() / len(x), rel=1e-12)
    torch.testing.assert_close(slices[1], 2 * slices[0], rtol=1e-12, atol=0)


@pytest.mark.parametrize("name", ["mlp", "convolutions"])
def test_weights_that_give_nan_are_refused(name: str) -> None:
    net, x, y = make(name)
    start = WeightSpace(net).read().fill_(float("inf"))
    with pytest.raises(ValueError, match="NaN or infinite"):
        landscape.line(net, (x, y), torch.ones_like(start), [0.0], start)


@pytest.mark.parametrize("net", ["batch statistics", "a batch norm of vectors", "a tuple", "names"])
def test_a_batch_is_cut_only_where_it_may_be(net: str) -> None:
    torch.manual_seed(0)
    x, y = torch.randn(9, 6, dtype=torch.float64), torch.randint(3, (9,))
    norm, sides = nn.BatchNorm1d(5, track_running_stats=False), {"left": nn.Linear(4, 5), "right": nn.Linear(2, 5)}
    cases = {
        "batch statistics": (Made(lambda own, z: own.a(z - z.mean(0)), a=nn.Linear(6, 3)), x),
        "a batch norm of vectors": (nn.Sequential(nn.Linear(6, 5), norm, nn.Tanh(), nn.Linear(5, 3)), x),
        "a tuple": (Made(lambda own, a, b: own.left(a) * own.right(b), **sides), (x[:, :4], x[:, 4:])),
        "names": (Made(lambda own, a, b: own.left(a) * own.right(b), **sides), {"b": x[:, 4:], "a": x[:, :4]}),
    }
    network, inputs = cases[net]
    network = network.double().eval()
    weights, direction, _ = directions(network)
    risk = BatchLoss(network, (inputs, y))
    expected = torch.stack([risk.value(weights + t * direction) for t in (0.0, 0.5)])
    for max_bytes in (2**30, 1):
        found = landscape.line(network, (inputs, y), direction, [0.0, 0.5], max_bytes=max_bytes)
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)


def test_a_network_that_keeps_no_graph_has_a_landscape() -> None:
    torch.manual_seed(0)
    x, y = torch.randn(9, 6, dtype=torch.float64), torch.randint(3, (9,))
    net = Made(torch.no_grad()(lambda own, z: own.a(z)), a=nn.Linear(6, 3)).double()
    weights, direction, _ = directions(net)
    found = landscape.line(net, (x, y), direction, [0.0, 1.0])
    assert torch.allclose(found, loop(net, (x, y), torch.stack([weights, weights + direction])), rtol=1e-12, atol=0)


def _scaled(module: nn.Module, z: torch.Tensor) -> torch.Tensor:
    return type(module).forward(module, z) * z.sum(1, keepdim=True)


@pytest.mark.filterwarnings("ignore:The curvature of")
@pytest.mark.parametrize("step", [0, 1, 2])
def test_a_network_with_a_forward_pass_of_its_own_is_run_as_it_is(step: int) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 3)).double().eval()
    x, y = torch.randn(6, 4, dtype=torch.float64), torch.randint(3, (6,))
    net[step].forward = MethodType(_scaled, net[step])  # type: ignore[method-assign]
    weights, direction, _ = directions(net)
    found = landscape.line(net, (x, y), direction, [0.0, 1.0])
    assert torch.allclose(found, loop(net, (x, y), torch.stack([weights, weights + direction])), rtol=1e-12, atol=0)
    own, wrapped = (LossModel.at(one, (x, y)) for one in (net, Made(lambda own, z: own.net(z), net=net)))
    torch.testing.assert_close(own.curvature, wrapped.curvature, rtol=1e-9, atol=1e-12)


def test_the_loss_at_zero_is_the_loss_model_s(trained: nn.Module, digits: data.Task) -> None:
    batch = digits.x_train[:300], digits.y_train[:300]
    direction = landscape.random_direction(trained)
    found = landscape.line(trained, batch, direction, [0.0, 1.0])
    assert found.dtype == torch.float32
    assert found[0].item() == pytest.approx(LossModel.at(trained, batch, order=0).loss, rel=1e-5)
    assert found[1] > found[0]


@pytest.mark.parametrize("name", ["mlp", "convolutions", "dilation and groups"])
def test_a_random_direction_has_the_networks_norms(name: str) -> None:
    net, _, _ = make(name)
    space = WeightSpace(net)
    one, other = landscape.random_direction(net, 3), landscape.random_direction(net, 4)
    for part, own in zip(space.split(one), space.split(space.read()), strict=True):
        assert torch.allclose(part.flatten(1).norm(dim=1), own.flatten(1).norm(dim=1), rtol=1e-12)
    assert torch.equal(one, landscape.random_direction(net, 3))
    without = WeightSpace(net, exclude=space.layers[0])
    torch.testing.assert_close(landscape.random_direction(without).norm(), without.read().norm(), rtol=1e-12, atol=0)
    assert abs(torch.cosine_similarity(one, other, dim=0)) < 0.9


def test_a_random_direction_leaves_dead_units_alone(digits: data.Task) -> None:
    net = models.mlp_300_100(digits)
    with torch.no_grad():
        net.fc1.weight[5] = 0
    assert torch.count_nonzero(WeightSpace(net).split(landscape.random_direction(net))[0][5]) == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"direction": torch.zeros(3, dtype=torch.float64)}, "belongs to another network"),
        ({"start": torch.zeros(3, dtype=torch.float64)}, "belongs to another network"),
        ({"at": []}, "one or more numbers"),
        ({"at": [[0.0]]}, "one or more numbers"),
        ({"at": "half"}, "must be numbers"),
        ({"at": [float("nan")]}, "NaN or infinite"),
        ({"max_bytes": 0}, "max_bytes"),
        ({"batch": (torch.zeros(0, 6), torch.zeros(0, dtype=torch.int64))}, "at least one example"),
    ],
)
def test_what_cannot_be_used_is_refused(changes: dict[str, object], message: str) -> None:
    net, x, y = make("mlp")
    arguments = {"batch": (x, y), "direction": WeightSpace(net).read(), "at": [0.0]} | changes
    with pytest.raises((ValueError, TypeError), match=message):
        landscape.line(net, **arguments)


@pytest.mark.parametrize(("directions", "shape"), [(1, (1, 2)), (2, (3, 1)), (1, (3,)), (0, (3, 0))])
def test_each_point_has_a_coordinate_for_each_direction(directions: int, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 3)).eval()
    risk = BatchLoss(net, (torch.randn(5, 4), torch.randint(3, (5,))))
    along = [torch.ones(risk.space.size)] * directions
    with pytest.raises(ValueError, match=r"points is \[P, K\]"):
        landscape.losses_at(risk, along, torch.zeros(shape))


def test_a_network_in_training_mode_is_refused() -> None:
    net, x, y = make("residual with batch norm")
    with pytest.raises(ValueError, match="training mode"):
        landscape.line(net.train(), (x, y), WeightSpace(net).read(), [0.0])
