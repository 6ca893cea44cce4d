"""SparseStack: logits and gradients equal those of dense networks one by one; other networks are refused."""

from __future__ import annotations

import copy
import subprocess
import sys
from collections import OrderedDict
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils import parametrize

from lossprune_lib import WeightSpace, data, models
from lossprune_lib.networks.mlps import is_mlp
from lossprune_lib.networks.sparse import Pattern, linear
from lossprune_lib.training.sparse_stack import SparseStack

EXACT = {"rtol": 0.0, "atol": 1e-12}
Shape = tuple[int, ...]

NETWORKS: dict[str, tuple[Callable[[], nn.Module], Shape]] = {
    "one layer": (lambda: nn.Sequential(nn.Linear(6, 3)), (6,)),
    "tanh": (lambda: nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3)), (6,)),
    "relu in place": (
        lambda: nn.Sequential(nn.Flatten(), nn.Linear(6, 7), nn.ReLU(inplace=True), nn.Linear(7, 3)),
        (1, 2, 3),
    ),
    "gelu": (lambda: nn.Sequential(nn.Linear(6, 7), nn.GELU("tanh"), nn.Linear(7, 3)), (6,)),
    "many activations": (
        lambda: nn.Sequential(
            *(nn.Linear(6, 5), nn.Sigmoid(), nn.Linear(5, 5), nn.SiLU(), nn.ELU(0.5), nn.Linear(5, 5)),
            *(nn.LeakyReLU(0.3), nn.Softplus(2.0), nn.Identity(), nn.Linear(5, 3)),
        ),
        (6,),
    ),
    "without bias": (
        lambda: nn.Sequential(
            nn.Linear(6, 5, bias=False), nn.ReLU(inplace=True), nn.Linear(5, 5), nn.Tanh(), nn.Linear(5, 3, bias=False)
        ),
        (6,),
    ),
    "named layers": (
        lambda: nn.Sequential(
            OrderedDict(
                flat=nn.Flatten(), first=nn.Linear(6, 5), act=nn.Tanh(), last_one=nn.Linear(5, 3), out=nn.Tanh()
            )
        ),
        (2, 3),
    ),
    "one unit": (lambda: nn.Sequential(nn.Linear(6, 1), nn.Tanh(), nn.Linear(1, 3)), (6,)),
    "one input, one class": (lambda: nn.Sequential(nn.Linear(1, 4), nn.Tanh(), nn.Linear(4, 1)), (1,)),
    "activation first": (lambda: nn.Sequential(nn.Tanh(), nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 3)), (6,)),
}


def random_half(parts: list[Tensor]) -> None:
    for part in parts:
        part.copy_(torch.rand(part.shape) < 0.5)


def own_densities(parts: list[Tensor]) -> None:
    for part in parts:
        part.copy_(torch.rand(part.shape) < torch.linspace(0.9, 0.0, len(part)).view(-1, 1, 1))  # the last: empty


def empty_rows_and_columns(parts: list[Tensor]) -> None:
    random_half(parts)
    for part in parts:
        part[:, 0], part[:, :, -1] = False, False


def empty_layer(which: int) -> Callable[[list[Tensor]], None]:
    def empty(parts: list[Tensor]) -> None:
        random_half(parts)
        parts[which].fill_(False)

    return empty


def a_single_weight(parts: list[Tensor]) -> None:
    parts[-1][0, 0, 0] = True


MASKS: dict[str, Callable[[list[Tensor]], object]] = {
    "random": random_half,
    "of own density": own_densities,
    "empty rows and columns": empty_rows_and_columns,
    "empty first layer": empty_layer(0),
    "empty last layer": empty_layer(-1),
    "a single weight": a_single_weight,
    "nothing": lambda parts: None,
    "everything": lambda parts: [part.fill_(True) for part in parts],
}


class Case:
    """R networks, their masks, shared or separate inputs, and their results one by one, dense and masked."""

    def __init__(self, name: str, masks: str, networks: int, shared_input: bool, dtype: torch.dtype = torch.float64):
        torch.manual_seed(len(name) + networks)
        make, shape = NETWORKS[name]
        self.nets = [make().to(dtype) for _ in range(networks)]
        for net in self.nets:
            for parameter in net.parameters():
                nn.init.normal_(parameter, std=0.7)
        self.space = WeightSpace(self.nets[0])
        self.weights = torch.stack([WeightSpace(net).read() for net in self.nets])
        rests = [WeightSpace(net).rest() for net in self.nets]
        self.rest = {name: torch.stack([rest[name] for rest in rests]) for name in rests[0]}
        self.kept = torch.zeros(networks, self.space.size, dtype=torch.bool)
        MASKS[masks](self.space.split(self.kept))
        self.x = torch.randn((9, *shape) if shared_input else (networks, 9, *shape), dtype=dtype)
        self.shared_input = shared_input

    def stack(self) -> SparseStack:
        return SparseStack(self.space, self.weights, self.rest, self.kept, shared_input=self.shared_input)

    def masked(self) -> list[nn.Module]:
        nets = copy.deepcopy(self.nets)
        for net, weights, kept in zip(nets, self.weights, self.kept, strict=True):
            WeightSpace(net).write_(weights * kept)
        return nets

    def inputs(self, r: int) -> Tensor:
        return (self.x if self.shared_input else self.x[r]).clone()


@pytest.mark.parametrize("shared_input", [True, False], ids=["shared inputs", "own inputs"])
@pytest.mark.parametrize("networks", [1, 4])
@pytest.mark.parametrize("masks", MASKS)
@pytest.mark.parametrize("name", NETWORKS)
def test_logits_and_gradients_equal_those_of_dense_networks(
    name: str, masks: str, networks: int, shared_input: bool
) -> None:
    case = Case(name, masks, networks, shared_input)
    before = case.x.clone()
    stack, dense = case.stack(), case.masked()
    assert is_mlp(WeightSpace(case.nets[0]), NETWORKS[name][1])
    logits = stack.call(case.x)
    expected = torch.stack([net(case.inputs(r)) for r, net in enumerate(dense)])
    torch.testing.assert_close(logits, expected, **EXACT)

    direction = torch.randn_like(expected)
    (logits * direction).sum().backward()
    (expected * direction).sum().backward()
    layers = [module for module in case.space.net if isinstance(module, nn.Linear)]
    assert len(stack.values) == len(layers)
    for i, (layer, kept) in enumerate(zip(case.space.layers, case.space.split(case.kept), strict=True)):
        weight_gradients = torch.stack([net.get_submodule(layer).weight.grad for net in dense])
        torch.testing.assert_close(stack.values[i].grad, weight_gradients[kept], **EXACT)
        if layers[i].bias is not None:
            bias_gradients = torch.stack([net.get_submodule(layer).bias.grad for net in dense])
            torch.testing.assert_close(stack.biases[f"{layer}.bias"].grad, bias_gradients, **EXACT)
    assert torch.equal(case.x, before)


@pytest.mark.parametrize("shared_input", [True, False], ids=["shared inputs", "own inputs"])
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("examples", [9, 1])
def test_evaluation_is_on_inputs_that_all_networks_see(name: str, shared_input: bool, examples: int) -> None:
    case = Case(name, "random", 3, shared_input)
    x = torch.randn(examples, *NETWORKS[name][1], dtype=torch.float64)
    expected = torch.stack([net(x) for net in case.masked()])
    with torch.no_grad():
        torch.testing.assert_close(case.stack().evaluate(x), expected, **EXACT)


def test_float32_stays_float32() -> None:
    case = Case("tanh", "random", 3, True, torch.float32)
    stack = case.stack()
    logits = stack.call(case.x)
    logits.sum().backward()
    assert {tensor.dtype for tensor in (logits, stack.weights(), *stack.parameters)} == {torch.float32}
    torch.testing.assert_close(logits, torch.stack([net(case.x) for net in case.masked()]), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("masks", MASKS)
def test_weights_are_those_given_and_zero_exactly_where_pruned(masks: str) -> None:
    case = Case("tanh", masks, 4, True)
    assert torch.equal(case.stack().weights(), torch.where(case.kept, case.weights, torch.zeros(()).double()))


@pytest.mark.parametrize("shared_input", [True, False], ids=["shared inputs", "own inputs"])
def test_a_step_moves_the_kept_weights_only_and_nothing_of_the_callers(shared_input: bool) -> None:
    case = Case("relu in place", "random", 4, shared_input)
    given = copy.deepcopy((case.weights, case.rest))
    stack = case.stack()
    optimizer = torch.optim.SGD(stack.parameters, 0.1, momentum=0.9, weight_decay=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        stack.call(case.x).square().sum().backward()
        stack.mask_gradients()
        optimizer.step()
    after = stack.weights()
    assert torch.count_nonzero(after[~case.kept]) == 0
    assert (after != case.weights)[case.kept].all()
    assert torch.equal(case.weights, given[0])
    assert all(torch.equal(case.rest[name], tensor) for name, tensor in given[1].items())
    assert not after.requires_grad
    after.fill_(7)
    assert (stack.weights() != 7).all()


def test_only_what_is_kept_is_held() -> None:
    case = Case("tanh", "random", 4, True)
    stack = case.stack()
    assert sum(values.numel() for values in stack.values) == int(case.kept.sum())
    assert len(stack.parameters) == len(stack.values) + len(case.rest)


def test_no_warning_about_sparse_tensors_reaches_the_user() -> None:
    """In a process of its own, since torch warns only once per process."""
    program = (
        "import torch; from torch import nn; from lossprune_lib import WeightSpace\n"
        "from lossprune_lib.training import sparse_stack\n"
        "space = WeightSpace(nn.Sequential(nn.Linear(4, 3, bias=False)))\n"
        "kept = torch.ones(1, 12, dtype=torch.bool)\n"
        "stack = sparse_stack.SparseStack(space, space.read().unsqueeze(0), {}, kept, shared_input=True)\n"
        "stack.call(torch.ones(2, 4)).sum().backward()\n"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "Sparse" not in found.stderr


# --- the product ----------------------------------------------------------------------------------------------------


def product(kept: Tensor, shared_input: bool) -> Callable[[Tensor, Tensor], Tensor]:
    pattern = Pattern.of(kept, shared_input, dtype=torch.float64)
    return lambda values, h: linear(pattern, values, h.T, None).T


@given(
    shape=st.tuples(st.integers(1, 4), st.integers(1, 6), st.integers(1, 6)),
    examples=st.integers(1, 5),
    density=st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0]),
    shared_input=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_a_product_is_that_with_the_block_diagonal_matrix(
    shape: tuple[int, int, int], examples: int, density: float, shared_input: bool, seed: int
) -> None:
    torch.manual_seed(seed)
    networks, outputs, inputs = shape
    kept = torch.rand(shape) < density
    values = torch.randn(int(kept.sum()), dtype=torch.float64, requires_grad=True)
    dense = torch.zeros(shape, dtype=torch.float64).masked_scatter(kept, values)
    matrix = dense.flatten(0, 1) if shared_input else torch.block_diag(*dense)
    h = torch.randn(inputs * (1 if shared_input else networks), examples, dtype=torch.float64, requires_grad=True)
    direction = torch.randn(networks * outputs, examples, dtype=torch.float64)
    found, expected = product(kept, shared_input)(values, h), matrix @ h
    torch.testing.assert_close(found, expected, **EXACT)
    gradients = [torch.autograd.grad(result, (values, h), direction) for result in (found, expected)]
    torch.testing.assert_close(*gradients, **EXACT)


@pytest.mark.parametrize("shared_input", [True, False])
@pytest.mark.parametrize("density", [0.0, 0.4, 1.0])
def test_the_products_gradient_equals_finite_differences(density: float, shared_input: bool) -> None:
    torch.manual_seed(0)
    kept = torch.rand(3, 4, 5) < density
    values = torch.randn(int(kept.sum()), dtype=torch.float64, requires_grad=True)
    h = torch.randn(5 if shared_input else 15, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(product(kept, shared_input), (values, h))
    assert torch.autograd.gradcheck(product(kept, shared_input), (values, h.detach()))


# --- which networks can be stacked ----------------------------------------------------------------------------------


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(6, 6), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(x + self.first(x))


class Doubled(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        return 2 * super().forward(x)


class Leaky(nn.ReLU):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + 0.1 * x


class ResidualChain(nn.Sequential):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).sum(1, keepdim=True) + x[:, :3]


class Twice(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return 2 * x


def chain(*between: nn.Module, first: tuple[nn.Module, ...] = ()) -> nn.Sequential:
    return nn.Sequential(*first, nn.Linear(6, 6), *between, nn.Linear(6, 3))


def hooked(hook: Callable[[nn.Sequential], object], *first: nn.Module) -> nn.Sequential:
    net = chain(nn.Tanh(), first=first)
    hook(net)
    return net


def same_layer_twice() -> nn.Sequential:
    layer = nn.Linear(6, 6)
    return nn.Sequential(layer, nn.Tanh(), layer, nn.Tanh(), nn.Linear(6, 3))


def shared_bias() -> nn.Sequential:
    net = nn.Sequential(nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 6))
    net[2].bias = net[0].bias
    return net


def parametrized(name: str) -> nn.Sequential:
    net = chain(nn.Tanh())
    parametrize.register_parametrization(net[0], name, Twice())
    return net


def with_own_forward() -> nn.Sequential:
    net = chain(nn.Tanh())
    net.forward = lambda x: 2 * nn.Sequential.forward(net, x)  # type: ignore[method-assign]
    return net


SIX, IMAGE = (6,), (1, 2, 3)
NOT_STACKED: dict[str, tuple[Callable[[], nn.Module], Shape]] = {
    "convolution": (lambda: nn.Sequential(nn.Conv2d(1, 2, 2), nn.Flatten(), nn.Linear(4, 3)), IMAGE),
    "no chain": (Residual, SIX),
    "nested chain": (lambda: nn.Sequential(chain(nn.Tanh()), nn.Tanh()), SIX),
    "dropout": (lambda: chain(nn.Dropout(0.5)), SIX),
    "batch norm": (lambda: chain(nn.BatchNorm1d(6)), SIX),
    "layer norm": (lambda: chain(nn.LayerNorm(6)), SIX),
    "softmax": (lambda: chain(nn.Softmax(1)), SIX),
    "log softmax": (lambda: nn.Sequential(nn.Linear(6, 3), nn.LogSoftmax(1)), SIX),
    "prelu": (lambda: chain(nn.PReLU()), SIX),
    "prelu with a slope for each unit": (lambda: chain(nn.PReLU(6)), SIX),
    "glu": (lambda: nn.Sequential(nn.Linear(6, 6), nn.GLU(1), nn.Linear(3, 3)), SIX),
    "random activation": (lambda: chain(nn.RReLU()), SIX),
    "subclass of a layer": (lambda: nn.Sequential(Doubled(6, 6), nn.Tanh(), nn.Linear(6, 3)), SIX),
    "subclass of an activation": (lambda: chain(Leaky()), SIX),
    "embedding": (lambda: nn.Sequential(nn.Embedding(5, 6), nn.Flatten(), nn.Linear(12, 3)), (2,)),
    "flatten in the middle": (lambda: chain(nn.Flatten()), SIX),
    "flatten twice": (lambda: chain(first=(nn.Flatten(), nn.Flatten())), IMAGE),
    "several dimensions without flatten": (lambda: nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 3)), (2, 3)),
    "parametrized weight": (lambda: parametrized("weight"), SIX),
    "parametrized bias": (lambda: parametrized("bias"), SIX),
    "forward hook on a layer": (
        lambda: hooked(lambda net: net[0].register_forward_hook(lambda module, x, y: 2 * y)),
        SIX,
    ),
    "forward hook on an activation": (
        lambda: hooked(lambda net: net[1].register_forward_hook(lambda module, x, y: 2 * y)),
        SIX,
    ),
}
LOOK_ALIKE: dict[str, tuple[Callable[[], nn.Module], Shape]] = {
    "a layer alone": (lambda: nn.Linear(6, 3), SIX),
    "chain with a forward of its own": (lambda: ResidualChain(*chain(nn.Tanh())), SIX),
    "instance with a forward of its own": (with_own_forward, SIX),
    "same layer twice": (same_layer_twice, SIX),
    "shared bias": (shared_bias, SIX),
    "pre-hook on a layer": (
        lambda: hooked(lambda net: net[0].register_forward_pre_hook(lambda module, x: (2 * x[0],))),
        SIX,
    ),
    "pre-hook on an activation": (
        lambda: hooked(
            lambda net: net[1].register_forward_pre_hook(lambda module, x: (x[0] - x[0].mean(1, keepdim=True),))
        ),
        SIX,
    ),
    "backward hook on a layer": (
        lambda: hooked(lambda net: net[2].register_full_backward_hook(lambda module, x, y: (2 * x[0],))),
        SIX,
    ),
    "backward pre-hook on a layer": (
        lambda: hooked(lambda net: net[2].register_full_backward_pre_hook(lambda module, y: (2 * y[0],))),
        SIX,
    ),
    "forward hook on the flatten": (
        lambda: hooked(lambda net: net[0].register_forward_hook(lambda module, x, y: 2 * y), nn.Flatten()),
        IMAGE,
    ),
    "forward hook on the network": (
        lambda: hooked(lambda net: net.register_forward_hook(lambda module, x, y: 2 * y)),
        SIX,
    ),
    "pre-hook on the network": (
        lambda: hooked(lambda net: net.register_forward_pre_hook(lambda module, x: (2 * x[0],))),
        SIX,
    ),
    "flatten from dimension 2": (lambda: nn.Sequential(nn.Flatten(2), nn.Linear(6, 3)), IMAGE),
    "flatten to dimension 2": (lambda: nn.Sequential(nn.Flatten(1, 2), nn.Linear(3, 3)), IMAGE),
    "flatten from dimension 0": (lambda: nn.Sequential(nn.Flatten(0), nn.Linear(54, 3)), SIX),
    "inputs of another size": (lambda: nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)), SIX),
}


@pytest.mark.parametrize("name", [*NOT_STACKED, *LOOK_ALIKE])
def test_what_would_come_out_wrong_is_not_stacked(name: str) -> None:
    make, shape = (NOT_STACKED | LOOK_ALIKE)[name]
    try:
        space = WeightSpace(make())
    except ValueError:  # without a weight, or with one that is computed, it gets no further
        return
    assert not is_mlp(space, shape)


def test_one_activation_module_may_serve_several_layers() -> None:
    """Whether it is stacked or not, the second use is never left out."""
    torch.manual_seed(0)
    act = nn.Tanh()
    net = nn.Sequential(nn.Linear(6, 5), act, nn.Linear(5, 4), act, nn.Linear(4, 3)).double()
    if is_mlp(WeightSpace(net), SIX):
        space, x = WeightSpace(net), torch.randn(9, 6, dtype=torch.float64)
        rest = {name: tensor.unsqueeze(0) for name, tensor in space.rest().items()}
        kept = torch.ones(1, space.size, dtype=torch.bool)
        stack = SparseStack(space, space.read().unsqueeze(0), rest, kept, shared_input=True)
        torch.testing.assert_close(stack.call(x)[0], net(x), **EXACT)


@pytest.mark.parametrize(("examples", "inputs"), [(5, 1), (1, 6)])
def test_an_activation_in_place_does_not_reach_the_data(examples: int, inputs: int) -> None:
    net = nn.Sequential(nn.LeakyReLU(0.1, inplace=True), nn.Linear(inputs, 3)).double()
    space, x = WeightSpace(net), -torch.ones(examples, inputs, dtype=torch.float64)
    if is_mlp(WeightSpace(net), (inputs,)):
        rest = {name: tensor.unsqueeze(0) for name, tensor in space.rest().items()}
        kept = torch.ones(1, space.size, dtype=torch.bool)
        SparseStack(space, space.read().unsqueeze(0), rest, kept, shared_input=True).evaluate(x)
    assert (x == -1).all()


@pytest.mark.parametrize("name", NETWORKS)
def test_plain_chains_are_stacked(name: str) -> None:
    make, shape = NETWORKS[name]
    assert is_mlp(WeightSpace(make()), shape)
    assert is_mlp(WeightSpace(make().eval()), shape)


def test_the_papers_perceptron_is_stacked_and_its_convolutional_networks_are_not(digits: data.Task) -> None:
    assert is_mlp(WeightSpace(models.mlp_300_100(digits)), digits.shape)
    assert not is_mlp(WeightSpace(models.small_vgg(digits)), digits.shape)
