"""Copies of networks: what would compute with the original's layers, or cannot be copied, is refused in words."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from types import MethodType
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import prune as torch_prune

from lossprune_lib import LocalPruner, WeightSpace, data, training
from lossprune_lib.networks.copies import copied

X = torch.randn(40, 4, generator=torch.Generator().manual_seed(0))
Y = X[:, :3].argmax(1)
TASK = data.Task.from_tensors(X, Y, X, Y, X, Y)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.fc1, self.fc2 = nn.Linear(4, 5), nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.fc1(x).tanh())


def again(self: Net, x: Tensor) -> Tensor:
    return self.fc2(torch.sin(self.fc1(x)))


def _by_closure(net: Net) -> None:
    net.forward = lambda x: net.fc2(net.fc1(x).sin())


def _by_a_global(net: Net) -> None:
    functions: dict[str, Any] = {"net": net}
    exec("def forward(x): return net.fc2(net.fc1(x).sin())", functions)
    net.forward = functions["forward"]


def _around_the_forward(net: Net) -> None:
    forward = net.forward
    net.forward = lambda x: 2 * forward(x)


def _twice_around(net: Net) -> None:
    _around_the_forward(net)
    once = net.forward
    net.forward = partial(lambda scale, x: scale * once(x), 2)


def _by_parameters(net: Net) -> None:
    net.fc1.forward = lambda x, weight=net.fc1.weight: F.linear(x, weight)


def _by_a_keyword(net: Net) -> None:
    def forward(x: Tensor, *, layer: nn.Module = net.fc1) -> Tensor:
        return net_of_its_own.fc2(layer(x))

    net_of_its_own = Net()
    net.forward = forward


@pytest.mark.parametrize(
    "change", [_by_closure, _by_a_global, _around_the_forward, _twice_around, _by_parameters, _by_a_keyword]
)
def test_a_copy_that_computes_with_the_originals_layers_is_refused(change: Callable[[Net], None]) -> None:
    net = Net().eval()
    change(net)
    for use in (
        partial(LocalPruner("mp", sparsity=0.5, stages=1).prune, progress=False),
        partial(training.fit, epochs=1),
    ):
        with pytest.raises(ValueError, match="holds on to them"):
            use(net, TASK)


def _by_a_bound_method(net: Net) -> None:
    net.forward = MethodType(again, net)


def _by_a_partial(net: Net) -> None:
    net.forward = partial(again, net)


def _by_an_activation(net: Net) -> None:
    net.fc1 = nn.Sequential(net.fc1, nn.Identity())
    net.fc1[1].forward = lambda x: x.sin()


def _compiled_inside(net: Net) -> None:
    net.fc1 = torch.compile(net.fc1, backend="eager")


def _by_a_recording_hook(net: Net) -> None:
    seen: list[Tensor] = []
    net.fc1.register_forward_hook(lambda module, given, output: seen.append(output.detach()))


def _by_a_hook_that_knows_the_network(net: Net) -> None:
    net.fc1.features = {}
    net.fc1.register_forward_hook(lambda module, given, output: net.fc1.features.update(last=output.detach()))


@pytest.mark.parametrize(
    "change",
    [
        _by_a_bound_method,
        _by_a_partial,
        _by_an_activation,
        _compiled_inside,
        _by_a_recording_hook,
        _by_a_hook_that_knows_the_network,
    ],
)
def test_functions_that_go_with_the_copy_are_no_obstacle(change: Callable[[Net], None]) -> None:
    net = Net().eval()
    change(net)
    run = LocalPruner("qm", sparsity=0.5, stages=1).prune(net, TASK, progress=False)
    assert run.true_change != 0
    tuned = training.fit(run.network(), TASK, 1, mask=run.mask, progress=False)
    before, after = (run.mask.check(each).read() for each in (net, tuned))
    assert not torch.equal(before[run.mask.kept], after[run.mask.kept])


def _with_features(net: Net) -> None:
    net.fc1.features = net(X)


def _with_a_lock(net: Net) -> None:
    net.fc1.features = [threading.Lock()]


@pytest.mark.parametrize(("change", "why"), [(_with_features, "with a graph"), (_with_a_lock, "lock")])
def test_what_cannot_be_copied_is_named(change: Callable[[Net], None], why: str) -> None:
    net = Net().eval()
    change(net)
    for given in (net, WeightSpace(net)):
        with pytest.raises(ValueError, match=f"'features' of module 'fc1' cannot .*{why}"):
            copied(given)


def test_weights_that_are_computed_are_said_to_be_so() -> None:
    net = Net().eval()
    torch_prune.l1_unstructured(net.fc1, "weight", 0.5)
    with pytest.raises(ValueError, match=r"prune\.remove"):
        training.fit(net, TASK, 1)
