"""The stop button, and a slider moved a thousand times."""

from __future__ import annotations

import contextlib
import copy
import gc
import sys
import tracemalloc
from collections.abc import Iterator
from typing import Any
from unittest import mock

import ipywidgets
import matplotlib.figure
import pytest
import torch
from torch import Tensor, nn

from bad_input.bench import Bench, Case
from lossprune_lib import LocalPruner, models, training, widgets


@contextlib.contextmanager
def interrupt(target: str, call: int) -> Iterator[None]:
    """Press the stop button (a KeyboardInterrupt) at so many calls of a function of the library."""
    module, _, name = target.rpartition(".")
    __import__(f"lossprune_lib.{module}")
    function = getattr(sys.modules[f"lossprune_lib.{module}"], name)
    calls = 0

    def pressed(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call:
            raise KeyboardInterrupt
        return function(*arguments, **named)

    with mock.patch(f"lossprune_lib.{target}", pressed), pytest.raises(KeyboardInterrupt):
        yield
    assert calls == call


def state_of(bench: Bench, net: nn.Module) -> list[Tensor]:
    tensors = [*net.state_dict().values(), *bench.task.split("train")]
    assert not any(module.training or module._forward_hooks for module in net.modules())
    assert all(parameter.grad is None and parameter.requires_grad for parameter in net.parameters())
    return [tensor.clone() for tensor in tensors]


def equal(a: list[Tensor], b: list[Tensor]) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def interrupted_training(bench: Bench) -> str:
    net = models.mlp_300_100(bench.task)
    before, fresh = state_of(bench, net), copy.deepcopy(net)
    with interrupt("training.sgd.check_outputs", call=7):
        training.fit(net, bench.task, epochs=2, progress=False)
    assert equal(before, state_of(bench, net))
    again, expected = (training.fit(n, bench.task, epochs=1, progress=False) for n in (net, fresh))
    assert equal(list(again.state_dict().values()), list(expected.state_dict().values()))
    return "works: network and task are as they were, and training again gives what it would have given"


def interrupted_pruning(bench: Bench) -> str:
    net = bench.mlp()
    before, fresh = state_of(bench, net), copy.deepcopy(net)
    for function, call in [
        ("loss_modelling.passes.record", 3),
        ("loss_modelling.curvature.weight_gradients", 1),
        ("pruning.stage.judge", 2),
    ]:
        pruner = LocalPruner("qm", sparsity=0.5, stages=4, max_bytes=10**5)
        with interrupt(function, call):
            pruner.prune(net, bench.task, progress=False)
        assert equal(before, state_of(bench, net))
    again, expected = (pruner.prune(n, bench.task, progress=False) for n in (net, fresh))
    assert torch.equal(again.mask.kept, expected.mask.kept)
    return "works: network and task are as they were, and pruning again gives what it would have given"


def interrupted_stream(bench: Bench) -> str:
    pruner = LocalPruner("qm", sparsity=0.5, stages=4)
    states = pruner.stream(bench.net, bench.task)
    state = [next(states), next(states)][-1]
    with interrupt("pruning.stage.judge", call=1):
        next(states)
    for _ in range(2):
        state = pruner.step(state)
    assert torch.equal(state.mask.kept, pruner.prune(bench.net, bench.task, progress=False).mask.kept)
    return "works: the last state is whole, and pruner.step goes on from it"


def interrupted_study(bench: Bench) -> str:
    study, store = bench.study(), bench.store
    with interrupt("training.evaluation.check_outputs", call=1):
        study.run(store, device="cpu", progress=False)
    with interrupt("training.ensembles.set_rate", call=1):  # fine-tuning; the baseline is kept by now
        study.run(store, device="cpu", progress=False)
    with mock.patch("lossprune_lib.studies.experiment.train", side_effect=AssertionError("trained again")):
        table = study.run(store, device="cpu", progress=False)
    return f"works: the trained network was kept, and the same call ends with {len(table)} of {len(study.runs)} runs"


def thousand_moves(bench: Bench) -> str:
    figure = matplotlib.figure.Figure(figsize=(0.5, 0.5), dpi=20)
    ax = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    ax.set_axis_off()
    (line,) = ax.plot([0, 1], [0, 1])
    control = ipywidgets.IntSlider(max=999)

    def redraw(point: int) -> str:
        line.set_ydata([0, point / 999])
        return f"point {point}"

    sliders = widgets.Sliders({"point": control}, widgets.Picture(figure, []), redraw)
    tracemalloc.start()
    try:
        for control.value in range(100):  # caches fill
            pass
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        for i in range(1000):
            control.value = (i * 7 + 1) % 1000
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert grown < 100_000, f"{grown:,} bytes more after a thousand moves"
    assert sliders.picture.canvas.figure is figure
    assert len(ax.lines) == 1
    return "works: a thousand moves redraw one figure, and take less than 0.1 MB more memory"


CASES: list[Case] = [
    # the stop button, and much use
    ("interrupted in training", interrupted_training, None, "as they were"),
    ("interrupted in pruning", interrupted_pruning, None, "as they were"),
    ("interrupted in a stream of stages", interrupted_stream, None, "the last state is whole"),
    ("interrupted in a study", interrupted_study, None, "2 of 2 runs"),
    ("a slider moved a thousand times", thousand_moves, None, "a thousand moves"),
]
