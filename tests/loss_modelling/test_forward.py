"""Forward passes: what is recorded for gradient and curvature, and the networks that are refused."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from sample_networks import NETWORKS, make
from torch import Tensor, nn
from torch.nn import functional as F

from lossprune_lib import LossModel, WeightSpace
from lossprune_lib.loss_modelling.forward import record

X, Y = torch.randn(6, 4, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 2, 0, 1, 2])


class ByKeyword(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner, self.head = nn.Linear(4, 4), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(input=torch.tanh(self.inner(input=x)))


class Wrapped(nn.Module):
    """A linear layer, and something done to its logits."""

    def __init__(self, change: Callable[[Tensor], object]) -> None:
        super().__init__()
        self.layer, self.change = nn.Linear(4, 3), change

    def forward(self, x: Tensor) -> object:
        return self.change(self.layer(x))


def _normed(**options: bool) -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4, **options), nn.Linear(4, 3))


REFUSED: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "batch norm in training mode": (lambda: _normed().train(), r"norm '1' is in training mode.*net\.eval\(\)"),
    "dropout in training mode": (
        lambda: nn.Sequential(nn.Linear(4, 3), nn.Dropout(0.1)).train(),
        r"Dropout '1' is in training mode.*net\.eval\(\)",
    ),
    "other dropout in training mode": (
        lambda: nn.Sequential(nn.AlphaDropout(0.1), nn.Linear(4, 3)).train(),
        "Dropout '0' is in training mode",
    ),
    "a tuple": (lambda: Wrapped(lambda z: (z, z)), r"output has type tuple.*one tensor"),
    "a dictionary": (lambda: Wrapped(lambda z: {"logits": z}), "output has type dict"),
    "one dimension": (lambda: Wrapped(lambda z: z.sum(1)), "output has the shape"),
    "a scalar": (lambda: Wrapped(lambda z: z.sum()), "output has shape"),
    "not one row an example": (lambda: Wrapped(lambda z: z.repeat(2, 1)), "output has shape"),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("order", [0, 1, 2])
def test_refused_with_a_sentence_and_left_as_it_was(case: str, order: int) -> None:
    factory, sentence = REFUSED[case]
    net = factory()
    if "mode" not in case:
        net.eval()
    before = copy.deepcopy(net.state_dict())
    with pytest.raises(ValueError, match=sentence):
        LossModel.at(net, (X, Y), order=order)
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    assert not any(module._forward_hooks for module in net.modules())


def test_an_output_that_depends_on_the_number_of_examples_is_refused_too() -> None:
    net = Wrapped(lambda z: z if len(z) == 1 else z.T)
    with pytest.raises(ValueError, match="output has shape"):
        LossModel.at(net, (X, Y))


@pytest.mark.parametrize(
    "net",
    [
        nn.Sequential(nn.Linear(4, 3), nn.Dropout(0.5)).eval(),
        nn.Sequential(nn.Linear(4, 3), nn.Dropout(0.0)).train(),
        nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4), nn.Linear(4, 3)).train(),
        _normed().eval(),
        ByKeyword(),
    ],
    ids=["dropout in eval mode", "dropout of nothing", "training mode alone", "batch norm in eval mode", "by keyword"],
)
def test_what_keeps_examples_apart_is_accepted(net: nn.Module) -> None:
    model = LossModel.at(net, (X, Y))
    loss = F.cross_entropy(net(X), Y)
    weights = [module.weight for module in net.modules() if isinstance(module, nn.Linear)]
    gradient = torch.cat([g.flatten() for g in torch.autograd.grad(loss, weights)])
    assert model.loss == pytest.approx(loss.item(), rel=1e-5)
    torch.testing.assert_close(model.gradient, gradient)
    assert (model.curvature > 0).any()


@pytest.mark.parametrize("name", NETWORKS)
def test_a_recording_keeps_logits_inputs_and_gradients(name: str) -> None:
    net, x, _ = make(name)
    space = WeightSpace(net)
    seen: dict[nn.Module, Tensor] = {}
    every = range(len(space.modules))
    handles = [
        m.register_forward_hook(lambda m, i, o: seen.__setitem__(m, i[0].detach().clone())) for m in space.modules
    ]
    logits = net(x)
    for handle in handles:
        handle.remove()
    with torch.no_grad():  # whatever the caller's mode is
        recording = record(space, space.read(), space.rest(), x, len(x), every)
    assert torch.equal(recording.outputs, logits)
    assert list(recording.calls) == list(every)
    for i, call in recording.calls.items():
        assert torch.equal(call.input, seen[space.modules[i]])
        assert not call.input.requires_grad
    scalar = torch.sin(recording.outputs).sum()
    expected = torch.autograd.grad(torch.sin(logits).sum(), [module.weight for module in space.modules])
    sums = [torch.ones_like(part) for part in expected]
    recording.add_gradient(scalar, sums, keep_graph=True)
    for found, part in zip(sums, expected, strict=True):
        torch.testing.assert_close(found, 1 + part)
    recording.add_gradient(scalar, sums)
    with pytest.raises(RuntimeError, match="second time"):
        recording.add_gradient(scalar, sums)


def test_a_recording_is_made_at_the_weights_given() -> None:
    net, x, _ = make("mlp")
    space = WeightSpace(net)
    weights = torch.randn(space.size, dtype=torch.float64, requires_grad=True)
    recording = record(space, weights, space.rest(), x, len(x), [])
    torch.testing.assert_close(recording.outputs, space.call(weights, space.rest(), x))
    recording.add_gradient(recording.outputs.sum(), [torch.zeros_like(part) for part in recording.weights])
    assert weights.grad is None
    assert all(parameter.grad is None for parameter in net.parameters())


def test_gradients_at_outputs_are_those_before_an_activation_in_place() -> None:
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3))
    in_place = nn.Sequential(plain[0], nn.ReLU(inplace=True), plain[2])
    found = []
    for net in (plain, in_place):
        space = WeightSpace(net)
        recording = record(space, space.read(), space.rest(), X, len(X), [0, 1])
        edges = [call.edge for call in recording.calls.values()]
        found.append(torch.autograd.grad(recording.outputs.square().sum(), edges))
    for expected, gradient in zip(*found, strict=True):
        assert gradient.abs().sum() > 0
        assert torch.equal(gradient, expected)
