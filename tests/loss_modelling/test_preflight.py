"""What the preflight refuses, and what it finds; how many examples go at once follows from what one takes."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from sample_networks import NETWORKS, make
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from lossprune_lib import BatchLoss, LossModel, WeightSpace
from lossprune_lib.loss_modelling.cut_off import NoGradientWarning
from lossprune_lib.loss_modelling.footprint import Footprint, SlowCurvatureWarning
from lossprune_lib.loss_modelling.preflight import preflight

X, Y = torch.randn(6, 4, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 2, 0, 1, 2])


class Around(nn.Module):
    """Two layers, and a function of them and the input for the forward pass."""

    def __init__(self, forward: Callable[[Around, Tensor], Tensor], first: nn.Module | None = None) -> None:
        super().__init__()
        self.first, self.head, self.way = first or nn.Linear(4, 4), nn.Linear(4, 3), forward

    def forward(self, x: Tensor) -> Tensor:
        return self.way(self, x)


def _detached(net: Around, x: Tensor) -> Tensor:
    return net.head(x) + net.first(x).detach().sum(1, keepdim=True)


def _without_graph(net: Around, x: Tensor) -> Tensor:
    with torch.no_grad():
        hidden = net.first(x)
    return net.head(hidden)


def _in_place(net: Around, x: Tensor) -> Tensor:
    return net.head(net.first(x.sub_(0.5)))


def _changing_what_a_gradient_needs(net: Around, x: Tensor) -> Tensor:
    hidden = torch.tanh(net.first(x))
    return net.head(hidden.add_(x))


def _recomputed(reentrant: bool) -> Callable[[], nn.Module]:
    def way(net: Around, x: Tensor) -> Tensor:
        return net.head(checkpoint(lambda h: torch.tanh(net.head(h).sum(1, keepdim=True) + h), net.first(x), **how))

    how = {"use_reentrant": reentrant}
    return lambda: Around(way)


REFUSED: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "random": (
        lambda: Around(lambda net, x: net.head(F.dropout(net.first(x), 0.5, training=net.training))).train(),
        r"other outputs when it runs again.*net\.eval\(\)",
    ),
    "changing what a gradient needs": (
        lambda: Around(_changing_what_a_gradient_needs),
        r"no gradients for this network.*remove what prevents them",
    ),
    "checkpointing": (_recomputed(False), r"computes it again \(checkpointing\).*switch that off"),
    "checkpointing of the older kind": (_recomputed(True), "no gradients for this network.*checkpointing"),
    "changing its input": (lambda: Around(_in_place), "changes its input in place"),
    "of another shape": (lambda: nn.Linear(5, 3), r"cannot run on inputs of shape \[4\].*Give it the inputs"),
    "overwriting what its gradient needs": (
        lambda: Around(lambda net, x: net.head(net.first(x).exp().mul_(2))),
        "no gradients for this network.*inplace operation",
    ),
    "not finite": (lambda: Around(lambda net, x: net.head(net.first(x)) * float("inf")), "NaN or infinite"),
}

MIXING: dict[str, Callable[[Tensor], Tensor]] = {
    "the mean over the batch": lambda h: h - h.mean(0),
    "a running sum": lambda h: h.cumsum(0),
    "the difference to the first row": lambda h: h - h[:1],
    "the difference to the last row": lambda h: h - h[-1:],
    "ranks within the batch": lambda h: h * h.detach().argsort(0).argsort(0),
    "the row before": lambda h: h + 0.1 * h.roll(1, 0),
    "softmax over the batch": lambda h: h.softmax(0),
    "batch norm without statistics": nn.BatchNorm1d(4, track_running_stats=False).eval(),
}


@pytest.mark.parametrize("examples", [2, 5])
@pytest.mark.parametrize("case", MIXING)
def test_examples_that_influence_one_another_have_no_curvature_but_a_gradient(case: str, examples: int) -> None:
    net = Around(lambda net, x: net.head(torch.tanh(MIXING[case](net.first(x)))))
    x, y = X[:examples], Y[:examples]
    with pytest.raises(ValueError, match=r"influence one another.*mp, lm"):
        LossModel.at(net, (x, y))
    model = LossModel.at(net, (x, y), order=1, max_bytes=1)
    loss = F.cross_entropy(net(x), y)
    wanted = torch.autograd.grad(loss, [net.first.weight, net.head.weight])
    assert model.loss == pytest.approx(loss.item(), rel=1e-6)
    torch.testing.assert_close(model.gradient, torch.cat([part.flatten() for part in wanted]))


@pytest.mark.parametrize("rows", [[0, 0, 1, 2], [0, 0, 0, 0, 1]])
def test_equal_examples_do_not_hide_that_examples_influence_one_another(rows: list[int]) -> None:
    net = Around(lambda net, x: net.head(torch.tanh(net.first(x) - net.first(x)[:1])))
    space = WeightSpace(net)
    alike = torch.tensor([0, 0])
    assert not BatchLoss(space, (X[alike], Y[alike])).footprint.mixes
    with pytest.raises(ValueError, match="influence one another"):
        BatchLoss(space, (X[rows], Y[rows])).model(space.read())


@pytest.mark.parametrize("max_bytes", [1, 2**30])
def test_examples_that_influence_one_another_further_on_are_found_and_then_run_as_a_whole(max_bytes: int) -> None:
    """As where experts take no more than so many examples, or a layer's units are dead for the first two."""

    def crowded(net: Around, x: Tensor) -> Tensor:
        some = x[:, :1] > 1
        return net.head(torch.tanh(net.first(x))) * torch.where(some, 1 / some.sum().clamp(min=1), 1)

    net, x = Around(crowded), X.clamp(-1, 1)
    x[3:, 0] = 2
    space = WeightSpace(net)
    with pytest.raises(ValueError, match="influence one another"):
        BatchLoss(space, (x, Y), max_bytes=max_bytes).model(space.read())
    found = BatchLoss(space, (x, Y), max_bytes=max_bytes).model(space.read(), order=1)
    wanted = torch.autograd.grad(F.cross_entropy(net(x), Y), list(space.parameters))
    torch.testing.assert_close(found.gradient, torch.cat([part.flatten() for part in wanted]))


def test_a_batch_of_one_does_not_hide_that_examples_influence_one_another() -> None:
    net = Around(lambda net, x: net.head(torch.tanh(net.first(x) - net.first(x).mean(0))))
    with pytest.raises(ValueError, match="influence one another"):
        LossModel.at(net, (X[:1], Y[:1]))


def test_a_network_that_cannot_run_on_one_example_is_never_asked_to() -> None:
    net = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 3))
    squeezing = Around(lambda outer, x: net(x).squeeze() + 0 * outer.head(outer.first(x)))
    whole = LossModel.at(squeezing, (X, Y))
    cut = LossModel.at(squeezing, (X, Y), max_bytes=1)
    torch.testing.assert_close(cut.curvature, whole.curvature)
    assert cut.loss == pytest.approx(F.cross_entropy(net(X), Y).item(), rel=1e-6)


@pytest.mark.parametrize("way", [_detached, _without_graph, lambda net, x: (net.first(x), net.head(x))[1]])
def test_weights_that_do_not_reach_the_output_have_zeros_and_a_warning(way: Callable[[Around, Tensor], Tensor]) -> None:
    net, matters = Around(way), way in (_detached, _without_graph)
    why = "no gradient reaches it, although the output" if matters else "the output does not depend on it"
    with pytest.warns(SlowCurvatureWarning, match=f"first: {why}") as warned:
        model = LossModel.at(net, (X, Y))
    assert any(issubclass(each.category, NoGradientWarning) for each in warned) == matters
    inner, head = WeightSpace(net).split(model.curvature)
    assert not inner.any()
    assert head.any()
    assert not WeightSpace(net).split(model.gradient)[0].any()


@pytest.mark.parametrize("way", [_detached, _without_graph])
def test_a_gradient_that_is_cut_off_is_said_once_and_only_where_it_is_asked_for(
    way: Callable[[Around, Tensor], Tensor],
) -> None:
    net = Around(way)
    batch, weights = BatchLoss(net, (X, Y)), WeightSpace(net).read()
    batch.value(weights)  # a loss needs no gradient: nothing to say
    with pytest.warns(NoGradientWarning, match=r"No gradient reaches 'first', although .*exclude=") as warned:
        batch.model(weights, order=1)
    assert [each.filename for each in warned] == [__file__]
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # said once
        batch.model(weights / 3, order=1)
    with pytest.warns(NoGradientWarning) as warned:
        BatchLoss(Around(way), (X, Y)).quadratic_form(weights, weights, "hessian")
    assert [each.filename for each in warned] == [__file__]


def test_a_network_may_fail_with_weights_that_nobody_asked_for() -> None:
    """Whether a layer matters is tried with other weights, with which its outputs are no places in a table."""
    table = torch.arange(24.0).reshape(8, 3)
    net = Around(lambda net, x: net.head(x) + table[net.first(x).detach().abs().sum(1).long()])
    with torch.no_grad():
        net.first.weight.mul_(0.1)
    with pytest.warns(NoGradientWarning, match="reaches 'first'"):
        assert LossModel.at(net, (X, Y), order=1).loss == pytest.approx(F.cross_entropy(net(X), Y).item(), rel=1e-6)


@pytest.mark.filterwarnings("ignore::lossprune_lib.loss_modelling.footprint.SlowCurvatureWarning")
@pytest.mark.filterwarnings("ignore::lossprune_lib.loss_modelling.cut_off.NoGradientWarning")
@pytest.mark.parametrize("max_bytes", [1, 2**30])
def test_where_no_weight_reaches_the_output_all_is_zero(max_bytes: int) -> None:
    net = Around(lambda net, x: net.head(net.first(x)).detach())
    batch, weights = BatchLoss(net, (X, Y), max_bytes=max_bytes), WeightSpace(net).read()
    assert batch.value(weights).item() == pytest.approx(F.cross_entropy(net(X), Y).item(), rel=1e-6)
    model = batch.model(weights)
    assert not model.gradient.any()
    assert not model.curvature.any()


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_modelled_is_refused_with_a_sentence(case: str) -> None:
    factory, sentence = REFUSED[case]
    net, before = factory(), X.clone()
    with pytest.raises(ValueError, match=sentence):
        LossModel.at(net, (X, Y))
    assert torch.equal(X, before)
    assert not any(module._forward_hooks for module in net.modules())


def test_inference_mode_is_refused_and_no_grad_is_not() -> None:
    net = nn.Linear(4, 3)
    with torch.no_grad():
        assert LossModel.at(net, (X, Y)).curvature is not None
    with torch.inference_mode(), pytest.raises(ValueError, match="inference_mode: leave it"):
        LossModel.at(net, (X, Y))


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize(
    "net", [nn.Linear(4, 3), Around(lambda net, x: net.head(net.first(x)))], ids=["mlp", "another"]
)
def test_autocast_around_a_loss_model_is_refused(net: nn.Module, order: int) -> None:
    with torch.autocast("cpu", torch.bfloat16), pytest.raises(ValueError, match="autocast: leave it first"):
        LossModel.at(net, (X, Y), order)
    with torch.autocast("cpu", torch.bfloat16, enabled=False):
        assert LossModel.at(net, (X, Y), order).loss is not None
    batch = BatchLoss(net, (X, Y))  # made outside, and used within
    weights = batch.space.read()
    for use in (batch.value, partial(batch.model, order=order), lambda w: batch.quadratic_form(w, w, "ggn")):
        with torch.autocast("cpu", torch.bfloat16), pytest.raises(ValueError, match="autocast: leave it first"):
            use(weights)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_plain_networks_pass(name: str, dtype: torch.dtype, scale: float) -> None:
    net, x, _ = make(name, scale)
    space = WeightSpace(net.to(dtype))
    found = preflight(space, space.rest(), x.to(dtype))
    assert torch.allclose(found.outputs, net(x[:1].to(dtype)), atol=1e-5 * scale)


def test_sizes_are_those_of_one_example() -> None:
    net = nn.Sequential(
        nn.Conv2d(4, 6, 3, stride=2, groups=2),
        nn.ReLU(inplace=True),
        nn.Conv2d(6, 2, 1),
        nn.Flatten(2),
        nn.Linear(6, 5),
        nn.Flatten(),
    )
    space, x = WeightSpace(net), torch.randn(3, 4, 5, 7)
    found = preflight(space, space.rest(), x)
    assert found.positions == {0: 6, 1: 6, 2: 2}
    assert found.outputs.shape == (1, 10)
    assert found.largest >= 4 * 5 * 7
    assert found.saved >= 4 * 5 * 7 + 6 * 6 + 2 * 6


def test_a_network_is_tried_once_for_inputs_of_one_shape_but_its_mode_always_checked() -> None:
    calls: list[int] = []
    net = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 3)).eval()
    net[0].register_forward_pre_hook(lambda module, arguments: calls.append(len(arguments[0])))
    space = WeightSpace(net)
    y = torch.zeros(len(X), dtype=torch.int64)
    first = BatchLoss(space, (X, y)).footprint
    tried = len(calls)
    assert BatchLoss(space, (X + 1, y)).footprint is first
    assert len(calls) == tried
    net.train()
    with pytest.raises(ValueError, match="training mode"):
        BatchLoss(space, (X, y))


def test_a_network_that_was_tried_leaves_nothing_behind(trained: nn.Module) -> None:
    def tensors() -> int:
        gc.collect()
        return sum(issubclass(type(thing), Tensor) for thing in gc.get_objects())

    x = torch.zeros(2, 1, 8, 8)
    LossModel.at(trained, (x, torch.zeros(2, dtype=torch.int64)))  # what torch keeps once
    before = tensors()
    for _ in range(3):
        space = WeightSpace(trained)
        preflight(space, space.rest(), x)
    del space
    assert tensors() == before


def test_other_kinds_of_numbers_are_tried_too() -> None:
    space = WeightSpace(nn.Sequential(nn.Linear(3, 2)).eval())
    rest = space.rest()
    preflight(space, rest, torch.ones(2, 3))
    with pytest.raises(ValueError, match="cannot run on inputs"):
        preflight(space, rest, torch.ones(2, 3, dtype=torch.int64))


def test_more_budget_columns_or_positions_change_the_examples_at_once() -> None:
    space = WeightSpace(nn.Conv2d(3, 8, 3))
    small = Footprint(torch.zeros(1, 10), saved=100, largest=50, positions={0: 4})
    wide = Footprint(torch.zeros(1, 10), saved=100, largest=50, positions={0: 400})
    assert small.examples_within(space, 9, 1) == 1
    assert small.examples_within(space, 9, 2**20) > wide.examples_within(space, 9, 2**20)
    assert small.examples_within(space, 9, 2**20) < small.examples_within(space, 9, 2**24)
    assert small.examples_within(space, 9, 2**24) < small.examples_within(space, 0, 2**24)


PEAK = """
import re, sys, torch
from pathlib import Path
from types import SimpleNamespace
from torch import nn
from lossprune_lib import LossModel, models

class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.q, self.k, self.v, self.out = (nn.Linear(16, 16) for _ in range(4))
    def forward(self, x):
        a = torch.softmax(self.q(x) @ self.k(x).mT, 2)
        return self.out((a @ self.v(x)).mean(1))

class Chain(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 8, 3, padding=1), nn.Linear(8, 10)
    def forward(self, x):
        x = self.conv(x)
        for _ in range(20):
            x = torch.tanh(x + 0.1)
        return self.head(x.mean((2, 3)))

IMAGES = SimpleNamespace(shape=(3, 32, 32), classes=10, device=torch.device("cpu"), dtype=torch.float32)
NETWORKS = {
    "small_vgg": (lambda: models.small_vgg(IMAGES), (3, 32, 32), 10, 256),
    "a thousand classes": (lambda: nn.Sequential(nn.Linear(20, 50), nn.Tanh(), nn.Linear(50, 1000)), (20,), 1000, 300),
    "attention": (Attention, (512, 16), 16, 64),
    "chain": (Chain, (3, 32, 32), 10, 256),
}
name, budget = sys.argv[1], int(sys.argv[2]) * 2**20
factory, shape, classes, examples = NETWORKS[name]
net = factory()
def run(examples, max_bytes):
    torch.manual_seed(0)
    LossModel.at(net, (torch.randn(examples, *shape), torch.arange(examples) % classes), max_bytes=max_bytes)
    # Not getrusage: its peak starts at that of the parent process.
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
run(2, 1)  # everything that a budget cannot avoid: the library, the sums of D numbers
before = run(2, 1)
inputs = examples * torch.Size(shape).numel() * 4
print((run(examples, budget) - before) * 2**10 - inputs)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
@pytest.mark.parametrize("name", ["small_vgg", "a thousand classes", "attention", "chain"])
def test_peak_memory_stays_within_the_budget(name: str) -> None:
    budget = 64  # MiB
    command = [sys.executable, "-c", PEAK, name, str(budget)]
    # Freed blocks go back at once: what the heap keeps for later made the same run take 39 to 86 MiB.
    prompt = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_ARENA_MAX": "1"}
    grown = int(subprocess.run(command, check=True, capture_output=True, text=True, env=prompt).stdout) / 2**20
    print(f"\n{name}: {grown:.0f} MiB of {budget}")
    assert grown < budget
    command[-1] = "100000"
    without = int(subprocess.run(command, check=True, capture_output=True, text=True, env=prompt).stdout) / 2**20
    print(f"{name} without a budget: {without:.0f} MiB")
    assert without > 1.5 * budget
