"""One network in several threads: while one evaluates it at other weights, the library keeps off in the others."""

from __future__ import annotations

import copy
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest
import torch
from sample_networks import make
from torch import Tensor, nn

from lossprune_lib import BatchLoss, LocalPruner, LossModel, WeightSpace, data
from lossprune_lib.networks.copies import copied

X = torch.randn(20, 4, generator=torch.Generator().manual_seed(0))
Y = X[:, :3].argmax(1)
TASK = data.Task.from_tensors(X, Y, X, Y, X, Y)


class Waiting(nn.Linear):
    """Waits in its forward pass, once it is told to."""

    entered: Event | None = None
    leave = Event()

    def forward(self, x: Tensor) -> Tensor:
        if self.entered is not None:
            self.entered.set()
            assert self.leave.wait(60)
        return super().forward(x)


@pytest.mark.parametrize(
    "use",
    [
        lambda net, risk: LossModel.at(net, (X, Y)),
        lambda net, risk: risk.value(risk.space.read() * 3),
        lambda net, risk: WeightSpace(net),
        lambda net, risk: risk.space.rest(),
        lambda net, risk: copied(net),
        lambda net, risk: LocalPruner("mp", sparsity=0.5, stages=1).prune(net, TASK, progress=False),
    ],
)
def test_what_another_thread_evaluates_is_left_alone(use: Callable[[nn.Module, BatchLoss], object]) -> None:
    net = Waiting(4, 3)
    risk = BatchLoss(net, (X, Y))
    before = risk.space.read()
    Waiting.entered = Event()
    with ThreadPoolExecutor(1) as other:
        found = other.submit(risk.value, before * 2)
        assert Waiting.entered.wait(60)
        try:
            with pytest.raises(RuntimeError, match=r"own copy\.deepcopy\(net\)"):
                use(net, risk)
        finally:
            Waiting.entered = None
            Waiting.leave.set()
        value = found.result(60)
    Waiting.leave.clear()
    assert value == BatchLoss(net, (X, Y)).value(before * 2)
    assert torch.equal(risk.space.read(), before)
    use(net, risk)  # which is over


def test_networks_of_their_own_are_evaluated_side_by_side() -> None:
    net, *batch = make("mlp")
    one, nets = LossModel.at(net, batch), [copy.deepcopy(net) for _ in range(8)]
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda own: LossModel.at(own, batch), nets))
    for model in found:
        assert model.gradient is not None
        torch.testing.assert_close(model.gradient, one.gradient)


@pytest.mark.skipif(sys.platform == "win32", reason="has no fork")
def test_a_forked_process_does_not_wait_for_a_thread_that_it_has_not() -> None:
    net = Waiting(4, 3)
    risk = BatchLoss(net, (X, Y))
    Waiting.entered = Event()
    with ThreadPoolExecutor(1) as other:
        found = other.submit(risk.value, risk.space.read() * 2)
        assert Waiting.entered.wait(60)
        if (child := os.fork()) == 0:
            try:
                risk.space.rest()
            except BaseException:
                os._exit(1)
            os._exit(0)
        Waiting.entered = None
        Waiting.leave.set()
        found.result(60)
    Waiting.leave.clear()
    assert os.waitpid(child, 0)[1] == 0


def test_a_run_can_be_compiled_whole() -> None:
    space = WeightSpace(nn.Linear(4, 3))
    run = torch.compile(lambda w: space.run(w, space_rest, X), fullgraph=True, backend="eager")
    space_rest = space.rest()
    torch.testing.assert_close(run(space.read()), space.run(space.read(), space_rest, X))
