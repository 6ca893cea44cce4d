"""WeightSpace: the prunable weights read and written in a fixed order, and the network as a function of them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sample_networks import NETWORKS, make, prunable
from torch import Tensor, nn
from torch.nn.utils import parametrizations
from torch.nn.utils import prune as torch_prune

from lossprune_lib import WeightSpace


class Shuffled(nn.Module):
    """Registers its layers in another order than it uses them; some are nested, some cannot be pruned."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(12, 2)
        self.body = nn.Sequential(nn.Conv2d(3, 4, 2, bias=False), nn.BatchNorm2d(4), nn.ReLU())
        self.upscale = nn.ConvTranspose2d(1, 3, 1)
        self.stem = nn.Conv2d(1, 1, (1, 2))
        self.register_buffer("offset", torch.ones(1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(self.upscale(self.stem(x))).flatten(1)) + self.offset


def mlp(widths: list[int], bias: bool = True) -> nn.Sequential:
    return nn.Sequential(*[nn.Linear(before, after, bias=bias) for before, after in pairwise(widths)])


@st.composite
def random_nets(draw: st.DrawFn) -> nn.Sequential:
    """Convolutions with groups and linear layers of random sizes, mixed with modules that are not prunable."""
    layers: list[nn.Module] = []
    for _ in range(draw(st.integers(1, 4))):
        bias, before, after = draw(st.booleans()), draw(st.integers(1, 5)), draw(st.integers(1, 5))
        groups = draw(st.integers(1, 2))
        kernel = (draw(st.integers(1, 3)), draw(st.integers(1, 3)))
        convolution = nn.Conv2d(before * groups, after * groups, kernel, groups=groups, bias=bias)
        layers += [draw(st.sampled_from([nn.Linear(before, after, bias=bias), convolution])), nn.LayerNorm(after)]
    return nn.Sequential(*layers).to(draw(st.sampled_from([torch.float32, torch.float64])))


def test_the_order_is_that_of_net_modules() -> None:
    space = WeightSpace(Shuffled())
    assert space.layers == ("head", "body.0", "upscale", "stem")
    assert space.names == ("head.weight", "body.0.weight", "upscale.weight", "stem.weight")
    assert space.layout == (
        ("head", (2, 12)),
        ("body.0", (4, 3, 2, 2)),
        ("upscale", (1, 3, 1, 1)),
        ("stem", (1, 1, 1, 2)),
    )
    assert space.sizes == (24, 48, 3, 2)
    assert space.size == 77


@pytest.mark.parametrize("name", NETWORKS)
def test_read_joins_the_weights_found_independently(name: str) -> None:
    net, _, _ = make(name)
    weights = prunable(net)
    space = WeightSpace(net)
    assert space.names == tuple(weights)
    assert torch.equal(space.read(), torch.cat([weight.reshape(-1) for weight in weights.values()]))


def test_a_single_layer_is_a_network() -> None:
    net = nn.Linear(3, 2)
    space = WeightSpace(net)
    assert (space.layers, space.names, space.size) == (("",), ("weight",), 6)
    x = torch.randn(4, 3)
    assert torch.equal(space.call(space.read(), space.rest(), x), net(x))


def test_read_gives_a_copy_without_a_graph() -> None:
    net = mlp([3, 2, 2])
    weights = WeightSpace(net).read()
    assert not weights.requires_grad
    before = net[0].weight.detach().clone()
    weights.zero_()
    assert torch.equal(net[0].weight, before)


@given(random_nets(), st.integers(0, 2**31))
@settings(max_examples=40, deadline=None)
def test_what_is_written_is_read_and_nothing_else_changes(net: nn.Sequential, seed: int) -> None:
    space, rest = WeightSpace(net), WeightSpace(net).rest()
    weights = torch.randn(space.size, generator=torch.Generator().manual_seed(seed), dtype=next(net.parameters()).dtype)
    space.write_(weights)
    assert torch.equal(space.read(), weights)
    for part, weight in zip(space.split(weights), prunable(net).values(), strict=True):
        assert torch.equal(part, weight)
    assert space.rest().keys() == rest.keys()
    assert all(torch.equal(after, rest[name]) for name, after in space.rest().items())
    assert all(parameter.requires_grad and parameter.is_leaf for parameter in net.parameters())


@given(random_nets(), st.lists(st.integers(0, 3), max_size=2))
@settings(max_examples=40, deadline=None)
def test_split_gives_views_that_join_to_the_vector(net: nn.Sequential, leading: list[int]) -> None:
    space = WeightSpace(net)
    vector = torch.arange(torch.Size([*leading, space.size]).numel(), dtype=torch.float64).view(*leading, space.size)
    parts = space.split(vector)
    assert [part.shape for part in parts] == [(*leading, *shape) for _, shape in space.layout]
    assert torch.equal(torch.cat([part.flatten(len(leading)) for part in parts], dim=-1), vector)
    for part in parts:
        part.fill_(-1)
    assert (vector == -1).all()


def test_the_rest_is_everything_else_as_copies() -> None:
    net = Shuffled()
    state = {**dict(net.named_parameters()), **dict(net.named_buffers())}
    rest = WeightSpace(net).rest()
    assert set(rest) == set(state) - {"head.weight", "body.0.weight", "upscale.weight", "stem.weight"}
    assert {"offset", "upscale.bias", "body.1.running_var"} <= set(rest)
    for name, tensor in rest.items():
        assert torch.equal(tensor, state[name])
        assert not tensor.requires_grad
        assert tensor.data_ptr() != state[name].data_ptr()


@pytest.mark.parametrize("name", NETWORKS)
def test_calling_with_its_own_weights_is_the_network(name: str) -> None:
    net, x, _ = make(name)
    space = WeightSpace(net)
    assert torch.equal(space.call(space.read(), space.rest(), x), net(x))


@pytest.mark.parametrize("name", NETWORKS)
def test_calling_many_weights_at_once_equals_each_alone(name: str) -> None:
    net, x, _ = make(name)
    space, rest = WeightSpace(net), WeightSpace(net).rest()
    before = {key: tensor.clone() for key, tensor in net.state_dict().items()}
    weights = torch.randn(3, space.size, dtype=torch.float64)
    stacked = space.call(weights, rest, x)
    assert all(torch.equal(tensor, before[key]) for key, tensor in net.state_dict().items())
    for logits, alone in zip(stacked, weights, strict=True):
        space.write_(alone)
        torch.testing.assert_close(logits, net(x).detach(), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", ["mlp", "convolutions", "residual with batch norm", "sequence"])
@pytest.mark.parametrize("share", ["nothing", "half"])
def test_the_rest_may_be_stacked_too(name: str, share: str) -> None:
    net, x, _ = make(name)
    space, rest = WeightSpace(net), WeightSpace(net).rest()
    weights = torch.randn(3, space.size, dtype=torch.float64)
    shared = set(list(rest)[::2]) if share == "half" else set()
    rests = {
        key: tensor
        if key in shared
        else torch.stack([tensor + i if tensor.is_floating_point() else tensor for i in range(3)])
        for key, tensor in rest.items()
    }
    stacked = space.call(weights, rests, x)
    for i, logits in enumerate(stacked):
        own = {key: tensor if key in shared else tensor[i] for key, tensor in rests.items()}
        torch.testing.assert_close(logits, space.call(weights[i], own, x), rtol=1e-10, atol=1e-10)
    assert not torch.allclose(stacked, space.call(weights, rest, x))


def test_many_weights_without_any_rest() -> None:
    net = mlp([3, 2], bias=False)
    space, x = WeightSpace(net), torch.randn(4, 3)
    weights = torch.randn(5, 6)
    torch.testing.assert_close(space.call(weights, space.rest(), x), x @ weights.view(5, 2, 3).mT)


@pytest.mark.parametrize("vector", [torch.zeros(7), torch.zeros(9), torch.zeros(8, 1), torch.tensor(0.0)])
def test_a_vector_of_another_network_is_refused_before_anything_is_written(vector: Tensor) -> None:
    net = mlp([2, 2, 2])
    space = WeightSpace(net)
    before = space.read()
    with pytest.raises(ValueError, match="another network"):
        space.write_(vector)
    assert torch.equal(space.read(), before)
    space.check(torch.zeros(8))
    space.check(torch.zeros(3, 8))


def _with(change: Callable[[nn.Sequential], object]) -> Callable[[], nn.Module]:
    def factory() -> nn.Module:
        net = mlp([3, 3, 3])
        change(net)
        return net

    return factory


def _fill(value: float) -> Callable[[], nn.Module]:
    def change(net: nn.Sequential) -> None:
        net[1].weight.data[0, 0] = value

    return _with(change)


def test_a_layer_under_two_names_is_one_layer() -> None:
    net = nn.Module()
    net.first = nn.Linear(3, 2)
    net.body = nn.Sequential(net.first, nn.Tanh())
    net.forward = net.body.forward  # type: ignore[method-assign]
    space = WeightSpace(net)
    assert space.layers == ("first",)
    assert torch.equal(space.call(space.read() * 0, space.rest(), torch.ones(1, 3)), net.first.bias.tanh().unsqueeze(0))


def test_a_network_is_left_as_it_was_where_modules_and_weights_stand_in_several_places() -> None:
    net = nn.ModuleDict({"a": nn.Linear(3, 3), "b": nn.Linear(3, 3)})
    net["again"] = nn.Sequential(net["a"], nn.Tanh())
    net["b"].weight = net["a"].weight
    net.forward = lambda x: net["b"](net["again"](x))  # type: ignore[method-assign]
    before, x = dict(net.named_parameters(remove_duplicate=False)), torch.randn(2, 3)
    space = WeightSpace(net)
    found = space.call(2 * space.read(), space.rest(), x)
    after = dict(net.named_parameters(remove_duplicate=False))
    assert all(after[name] is parameter for name, parameter in before.items())
    with torch.no_grad():
        net["a"].weight.mul_(2)
    torch.testing.assert_close(found, net.forward(x))


REFUSED: dict[str, tuple[Callable[[], object], str]] = {
    "no layer": (lambda: nn.Sequential(nn.BatchNorm1d(3), nn.Tanh()), "no weight to prune.*include="),
    "parametrised": (_with(lambda net: parametrizations.weight_norm(net[1])), "'1' is computed .*remove_parametr"),
    "parametrised first": (_with(lambda net: parametrizations.spectral_norm(net[0])), "'0' is computed"),
    "pruned by torch": (
        _with(lambda net: torch_prune.l1_unstructured(net[1], "weight", 0.5)),
        r"'1' is computed .*prune\.remove",
    ),
    "lazy": (lambda: nn.Sequential(nn.LazyLinear(3)), "'0' is lazy .*run the network once"),
    "lazy second": (lambda: nn.Sequential(nn.Linear(3, 3), nn.LazyConv2d(3, 1)), "'1' is lazy"),
    "half": (_with(lambda net: net.half()), r"'0' is torch\.float16.*net\.float\(\)"),
    "bfloat16": (_with(lambda net: net[1].bfloat16()), r"'1' is torch\.bfloat16"),
    "mixed dtype": (_with(lambda net: net[1].double()), r"'1' is torch\.float64 .* others torch\.float32 .*one device"),
    "mixed device": (
        _with(lambda net: net[1].to("meta")),
        "'1' is torch.float32 on meta, others .* on cpu.*one device",
    ),
    "NaN": (_fill(float("nan")), "'1' holds 1 values that are NaN or infinite"),
    "infinite": (_fill(float("inf")), "'1' holds 1 values that are NaN or infinite"),
    "minus infinite": (_fill(-float("inf")), "'1' holds 1 values that are NaN or infinite"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_with_a_sentence(case: str) -> None:
    factory, sentence = REFUSED[case]
    with pytest.raises(ValueError, match=sentence):
        WeightSpace(factory())


@pytest.mark.parametrize("thing", ["a net", None, nn.Linear, lambda x: x, mlp([2, 2]).state_dict()])
def test_what_is_not_a_module_is_refused(thing: object) -> None:
    with pytest.raises(TypeError, match=r"A network is a Module, not .*: make a torch.nn.Module, such as models.mlp"):
        WeightSpace(thing)


def test_what_is_shared_or_frozen_beside_the_weights_is_accepted() -> None:
    net = mlp([3, 3, 3])
    net[1].bias = net[0].bias
    net[0].bias.requires_grad_(False)
    assert WeightSpace(net).size == 18


def test_large_weights_whose_sum_overflows_are_accepted() -> None:
    net = mlp([3, 3])
    with torch.no_grad():
        net[0].weight.fill_(3e38)
    assert WeightSpace(net).read().isfinite().all()


def test_weights_made_plain_again_are_accepted() -> None:
    net = mlp([3, 3, 3])
    torch_prune.l1_unstructured(net[0], "weight", 0.5)
    parametrizations.weight_norm(net[1])
    torch_prune.remove(net[0], "weight")
    nn.utils.parametrize.remove_parametrizations(net[1], "weight")
    assert (WeightSpace(net).read() == 0).sum() == 4
