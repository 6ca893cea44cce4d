"""Bad input and bad luck: what a learner or a researcher can do wrong, and the sentence that answers it.

One table: a name, what provokes it, the kind of the answer and a part of its sentence. Where nothing is wrong, or nothing is
lost, the answer is what still works. ``python tests/test_bad_input.py`` prints the table with the whole sentences.
"""

from __future__ import annotations

import contextlib
import copy
import gc
import os
import re
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import tracemalloc
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any
from unittest import mock

import ipywidgets
import matplotlib.figure
import numpy as np
import pandas as pd
import pytest
import torch
from sample_networks import make
from torch import Tensor, nn

from lossprune_lib import (
    LocalPruner,
    LossModel,
    Mask,
    Study,
    WeightSpace,
    criteria,
    data,
    ensembles,
    exercises,
    landscape,
    models,
    results,
    training,
    widgets,
)
from lossprune_lib.data import downloads
from lossprune_lib.pruning import EmptyLayerWarning, one_shot, prune_together, schedules, trust_region
from lossprune_lib.studies.experiment import Outcome
from lossprune_lib.studies.runs import Baseline, Run
from lossprune_lib.studies.store import Store
from lossprune_lib.training import Enforcer, Recipe

Works = None  # the kind of an answer that is no refusal


class Bench:
    """What the cases start from: small, made afresh where a case changes it, and a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def task(self) -> data.Task:
        return data.load("digits", device="cpu")

    @cached_property
    def net(self) -> nn.Sequential:
        return self.mlp()

    @cached_property
    def space(self) -> WeightSpace:
        return WeightSpace(self.net)

    @cached_property
    def batch(self) -> data.Batch:
        return self.task.sample(20, torch.Generator().manual_seed(0))

    @property
    def ones(self) -> Tensor:
        return torch.ones(self.space.size)

    def mlp(self, *more: nn.Module, inputs: int = 64, classes: int = 10) -> nn.Sequential:
        torch.manual_seed(0)
        layers = [nn.Flatten(), nn.Linear(inputs, 5), nn.Tanh(), *more, nn.Linear(5, classes)]
        return nn.Sequential(*layers).eval()

    def tensors(self, **changes: Tensor) -> list[Any]:
        """Return x and y of train, valid and test, some of them changed."""
        x, y = self.batch
        splits = {f"{kind}_{split}": part for split in data.SPLITS for kind, part in (("x", x), ("y", y))}
        return list((splits | changes).values())

    @cached_property
    def flat(self) -> data.Task:
        """Inputs of another size than the network takes."""
        x = torch.randn(20, 7)
        return data.Task.from_tensors(*self.tensors(x_train=x, x_valid=x, x_test=x), classes=10)

    def mask(self, sparsity: float) -> Mask:
        return LocalPruner("mp", sparsity=sparsity, stages=1).prune(self.net, self.task, progress=False).mask

    def with_weight(self, value: float) -> nn.Module:
        net = self.mlp()
        net[1].weight.data[0, 0] = value
        return net

    def checkpoint(self) -> Path:
        path = self.folder / "net.safetensors"
        models.save(path, models.mlp_300_100(self.task), "mlp_300_100", self.task)
        return path

    def changed(self, path: Path, change: Callable[[bytearray], object]) -> Path:
        content = bytearray(path.read_bytes())
        change(content)
        path.write_bytes(content)
        return path

    @contextlib.contextmanager
    def data_folder(self, arrays: dict[str, np.ndarray]) -> Iterator[Path]:
        np.savez(self.folder / "mnist.npz", **arrays)
        with mock.patch.dict(os.environ, {downloads.FOLDER_VARIABLE: str(self.folder)}):
            yield self.folder / "mnist.npz"

    def study(self, **settings: Any) -> Study:
        small = {"criteria": ("mp", "lm"), "stages": 1, "step_penalties": 0.0, "seeds": 0, "train_examples": 100}
        return Study.grid(**(small | {"training": 1, "tuning": 1, "sparsities": 0.5} | settings))

    @property
    def store(self) -> Path:
        return self.folder / "runs.sqlite"


@dataclass(frozen=True)
class Case:
    name: str
    provoke: Callable[[Bench], object]
    kind: type[Exception] | None
    sentence: str


# --- what takes more than a line


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(64, 64), nn.Linear(64, 64)
        self.second.weight = self.first.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x.flatten(1)))


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(64, 64)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(self.layer(x.flatten(1)))


class Attention(nn.Module):
    """Its out_proj is a Linear whose weight is used without calling it: its curvature would silently be zero."""

    def __init__(self) -> None:
        super().__init__()
        self.attention, self.head = nn.MultiheadAttention(8, 2, batch_first=True), nn.Linear(8, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = x.squeeze(1)
        return self.head(self.attention(x, x, x)[0].mean(1))


class Own:
    """A task of one's own, as a user with a data set of another kind writes it."""

    classes, shape, device, dtype = 10, (1, 8, 8), torch.device("cpu"), torch.float32

    def sample(self, examples: int, generator: torch.Generator) -> data.Batch:
        return torch.zeros(examples, *self.shape), torch.zeros(examples, dtype=torch.int64)

    def batches(
        self, split: str, batch_size: int = 1000, generator: torch.Generator | None = None
    ) -> Iterator[data.Batch]:
        yield torch.zeros(10, *self.shape), torch.arange(10)


class Shifted(Own):
    """Its labels are counted from 5."""

    def batches(self, *arguments: Any, **named: Any) -> Iterator[data.Batch]:
        yield from ((x, y + 5) for x, y in super().batches(*arguments, **named))


class Empty(Own):
    def batches(self, *arguments: Any, **named: Any) -> Iterator[data.Batch]:
        yield from ()


def nan_checkpoint(bench: Bench) -> nn.Module:
    net = models.mlp_300_100(bench.task)
    net.fc1.weight.data[0, 0] = np.nan
    models.save(bench.folder / "net", net, "mlp_300_100", bench.task)
    return models.load(bench.folder / "net")


def images(**changes: np.ndarray) -> dict[str, np.ndarray]:
    x, y = np.zeros((4, 28, 28), np.uint8), np.arange(4)
    return {"x_train": x, "y_train": y, "x_test": x, "y_test": y} | changes


def load_images(bench: Bench, arrays: dict[str, Any], damage: Callable[[bytearray], object] | None = None) -> None:
    with bench.data_folder(arrays) as path:
        if damage is not None:
            bench.changed(path, damage)
        data.load("mnist", device="cpu")


def cut_download(bench: Bench) -> None:
    """Fetch from a server that promises a thousand bytes, sends five hundred and hangs up."""

    def serve() -> None:
        with listener, listener.accept()[0] as connection:
            connection.recv(10_000)
            connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 1000\r\n\r\n" + bytes(500))

    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{listener.getsockname()[1]}/mnist.npz"
    source = downloads.SOURCES["mnist"]
    fetched = replace(source.downloads[0], addresses=(address,))
    environment = {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1", downloads.FOLDER_VARIABLE: ""}
    with (
        mock.patch.dict(downloads.SOURCES, mnist=replace(source, downloads=(fetched,))),
        mock.patch.object(downloads, "cache_folder", return_value=bench.folder / "cache"),
        mock.patch.dict(os.environ, environment),
    ):
        try:
            data.load("mnist", device="cpu", progress=False)
        finally:
            thread.join()
            assert not [path for path in bench.folder.rglob("*") if path.is_file()], "half a file was kept"


def read_only(bench: Bench) -> None:
    run, outcome = Run(Baseline("digits", "mlp_300_100", 0), "mp", 0.5, 1, 0.0), Outcome({}, [], b"")
    with Store(bench.store) as store:
        store._database.execute("PRAGMA query_only = ON")  # as a file's permissions would, but for root too
        store.add([run], [outcome])


def truncated_store(bench: Bench) -> None:
    Store(bench.store).__exit__(None, None, None)
    Store(bench.changed(bench.store, lambda content: content.__delitem__(slice(5000, None))))


def another_programs_file(bench: Bench) -> None:
    with contextlib.closing(sqlite3.connect(bench.store)) as database:
        database.execute("CREATE TABLE notes (text TEXT)")
    bench.study().run(bench.store, progress=False)


_WRITER = """
import sys
from lossprune_lib.studies.experiment import Outcome
from lossprune_lib.studies.runs import Baseline, Run
from lossprune_lib.studies.store import Store
with Store(sys.argv[1]) as store:
    for stages in range(1, 40, 2):
        store.add([Run(Baseline("digits", "mlp_300_100", 0), "qm", 0.9, stages, 0.0)], [Outcome({}, [], b"")])
"""


def two_processes(bench: Bench) -> str:
    runs = [Run(Baseline("digits", "mlp_300_100", 0), "qm", 0.9, stages, 0.0) for stages in range(1, 41)]
    with Store(bench.store) as store:
        other = subprocess.Popen([sys.executable, "-c", _WRITER, str(bench.store)])
        for run in runs[1::2]:
            store.add([run], [Outcome({}, [], b"")])
        assert other.wait() == 0
        found = store.finished([run.key for run in runs])
    return f"works: {len(found)} of 40 runs of two processes are in one store"


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
    with interrupt("training.sgd.check_logits", call=7):
        training.fit(net, bench.task, epochs=2, progress=False)
    assert equal(before, state_of(bench, net))
    again, expected = (training.fit(n, bench.task, epochs=1, progress=False) for n in (net, fresh))
    assert equal(list(again.state_dict().values()), list(expected.state_dict().values()))
    return "works: network and task are as they were, and training again gives what it would have given"


def interrupted_pruning(bench: Bench) -> str:
    net = bench.mlp()
    before, fresh = state_of(bench, net), copy.deepcopy(net)
    for function, call in [
        ("loss_modelling.model.record", 3),
        ("loss_modelling.curvature.weight_gradient", 1),
        ("pruning.stage.saliency", 2),
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
    with interrupt("pruning.stage.saliency", call=1):
        next(states)
    for _ in range(2):
        state = pruner.step(state)
    assert torch.equal(state.mask.kept, pruner.prune(bench.net, bench.task, progress=False).mask.kept)
    return "works: the last state is whole, and pruner.step goes on from it"


def interrupted_study(bench: Bench) -> str:
    study, store = bench.study(), bench.store
    with interrupt("training.evaluation.check_logits", call=1):
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


def one_weight(bench: Bench) -> str:
    net, x, y = make("one weight")
    task = data.Task.from_tensors(x, y, x, y, x, y, classes=2)
    assert LossModel.at(net, (x, y)).curvature.item() > 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EmptyLayerWarning)
        run = LocalPruner("qm", sparsity=0.6, stages=2).prune(net, task, progress=False)
    assert np.isfinite(run.true_change)
    return f"works: {run.mask!r}".replace("weights", "weight")


def all_but_one_layer(bench: Bench) -> Any:
    return LocalPruner("mp", sparsity=0.99, stages=1).prune(bench.mlp(), bench.task, progress=False)


# --- the table


def at(change: Callable[[Bench], data.Batch]) -> Callable[[Bench], object]:
    return lambda bench: LossModel.at(bench.net, change(bench))


def pruner(**settings: Any) -> Callable[[Bench], object]:
    return lambda bench: LocalPruner(**settings)


def prune(make_net: Callable[[Bench], Any], criterion: str = "qm") -> Callable[[Bench], object]:
    return lambda bench: LocalPruner(criterion, stages=1).prune(make_net(bench), bench.task, progress=False)


def along(**changes: Any) -> Callable[[Bench], object]:
    """A line through the loss with something wrong; functions are given the vector of ones."""

    def provoke(bench: Bench) -> object:
        arguments: dict[str, Any] = {"direction": bench.ones, "at": [0.0, 1.0]}
        arguments |= {name: value(bench.ones) if callable(value) else value for name, value in changes.items()}
        return landscape.line(bench.net, bench.batch, **arguments)

    return provoke


CASES = [
    # wrong types
    Case("a network that is none", prune(lambda b: "mlp_300_100"), TypeError, r"not str: make one.*models\.mlp_300"),
    Case("a name in place of a task", lambda b: training.fit(b.net, "digits"), TypeError, r'not a str: write data\.load'),
    Case("a network made from a name", lambda b: models.mlp_300_100("digits"), TypeError, r"not a str: write data\.load"),
    Case("a dict in place of a recipe", lambda b: training.fit(b.net, b.task, recipe={"lr": 1}), TypeError, r"training\.Recipe\(epochs=20\)"),
    Case("a tensor in place of a mask", lambda b: training.fit(b.net, b.task, mask=b.ones > 0), TypeError, r"not a Tensor: .* write Mask\(kept"),
    Case("a mask of numbers", lambda b: Mask(b.ones, b.space.layout), TypeError, r"not torch.float32: convert it with \.bool"),
    Case("a mask that is a list", lambda b: Mask([True], (("a", (1,)),)), TypeError, "bool tensor .* not list"),
    Case("torch's loss in place of a Loss", pruner(loss=nn.CrossEntropyLoss()), TypeError, "loss_model.Loss.* leave it out for the cross-entropy"),
    Case("a network in place of a loss model", lambda b: criteria.saliency(b.net, "mp"), TypeError, r"LossModel\.at\(net, batch\) gives"),
    Case("one sparsity where a list is meant", lambda b: one_shot(b.net, b.task, 0.5), TypeError, r"such as \[0\.5, 0\.9\], not 0\.5"),
    Case("NumPy arrays as data", lambda b: data.Task.from_tensors(*[np.zeros((3, 2))] * 6), TypeError, "convert arrays with torch.from_numpy"),
    Case("a batch that is no pair", at(lambda b: b.batch[0]), TypeError, "pair of inputs .* task.sample"),
    Case("a seed in place of a generator", lambda b: b.task.sample(3, 0), TypeError, r"is a Generator, not 0: write seeds\.generator"),
    Case("a tensor in place of a task", lambda b: training.fit(b.net, b.ones), TypeError, r'not a Tensor: write data\.load\("digits"\).* what it lacks: batches, sample, classes'),
    Case("a network in place of its space", lambda b: Mask.dense(b.net), TypeError, r"A space is a WeightSpace, not a Sequential: write WeightSpace\(net\)"),
    Case("one network in place of several", lambda b: ensembles.Ensemble.of(b.net), TypeError, r"list of networks, not of a Sequential: write \[net\]"),
    Case("a network in place of an ensemble", lambda b: ensembles.evaluate(b.net, b.task), TypeError, r"An ensemble is an Ensemble, not a Sequential: write Ensemble\.of"),
    Case("a network that is not in an ensemble", lambda b: ensembles.Ensemble.of([b.net]).network(1), ValueError, "no network 1 among 1: they are counted from 0"),
    Case("masks of an ensemble as a list", lambda b: ensembles.fit(ensembles.Ensemble.of([b.net]), b.task, 1, kept=[True]), TypeError, r"kept is a Tensor, not a list: stack the masks' \.kept"),
    Case("seeds of an ensemble that are none", lambda b: ensembles.fit(ensembles.Ensemble.of([b.net]), b.task, 1, seeds=0.5), TypeError, "seeds is a whole number, or a list of one for each network, not a float"),
    Case("what to do after an epoch that cannot be called", lambda b: training.fit(b.net, b.task, 1, on_epoch="print"), TypeError, "on_epoch is a function, such as .* not 'print'"),
    Case("milestones that are one number", lambda b: Recipe(milestones=0.5), TypeError, r"milestones are numbers of epochs, such as \(60, 120\), not 0\.5"),
    Case("a state that is none", lambda b: LocalPruner("mp").step(b.mask(0.5)), TypeError, "A state is a PrunerState, not a Mask: take the one that start"),
    Case("a change asked of a network", lambda b: criteria.modelled_change(b.net, "qm"), TypeError, r"A loss model is a LossModel, not a Sequential: make it first"),
    Case("random scores from a seed", lambda b: criteria.saliency(LossModel(b.ones), "random", generator=0), TypeError, "generator is a Generator, not 0"),
    Case("shuffled batches from a seed", lambda b: list(b.task.batches("train", 10, 0)), TypeError, "generator is a Generator, not 0"),
    Case("a dtype in quotes", lambda b: b.task.to(dtype="float64"), TypeError, r"dtype is a dtype, not 'float64': write for example torch\.float64"),
    Case("class names that are one string", lambda b: data.Task.from_tensors(*b.tensors(), class_names="0123456789"), TypeError, "class_names are strings, one for each class"),
    Case("a rest that is none", lambda b: b.space.call(b.ones, None, b.batch[0]), TypeError, r"not None: give what space\.rest\(\) gives"),
    Case("inputs of NumPy", lambda b: b.space.call(b.ones, b.space.rest(), b.batch[0].numpy()), TypeError, "not a ndarray: convert it with torch.from_numpy"),
    Case("an optimizer that is none", lambda b: Enforcer(b.mask(0.5), b.mlp(), None), TypeError, "optimizer is an Optimizer, not None: give the one that trains"),
    Case("a table that is a list", lambda b: results.best_penalty([1]), TypeError, r"A table is a DataFrame, not a list: give one from Study\.run"),
    Case("a table of something else", lambda b: results.loss_change(pd.DataFrame({"a": [1]})), ValueError, r"lacks the columns true_change: give one from Study\.run"),
    Case("a table with gaps", lambda b: results.best_penalty(results.load("digits").assign(true_change=np.nan)), ValueError, "true_change of the table has entries that are no numbers"),
    Case("one table to browse", lambda b: widgets.browse(results.load("digits")), TypeError, r'dict from the studies\' names.* \{"digits": results\.load'),
    Case("results of a number", lambda b: results.load(1), TypeError, "name is that of a shipped table, such as .* not 1"),
    Case("masks to compare as a list", lambda b: results.overlap([True]), TypeError, r"kept is a Tensor, not a list: stack the masks' \.kept"),
    Case("trials that are none", lambda b: trust_region.finished(LocalPruner(), [1]), TypeError, "A trial is a Trial, not 1: give what trust_region yields"),
    Case("a network in place of a pruner", lambda b: trust_region.trust_region(b.net, b.net, b.task, 0.1), TypeError, r"A pruner is a LocalPruner, not a Sequential"),
    Case("a path that is none", lambda b: models.load(None), TypeError, r"A path is a string or a pathlib\.Path, not None"),
    # shapes
    Case("training on inputs of another size", lambda b: training.fit(b.net, b.flat, 1), ValueError, r"cannot run on inputs of shape \[7\].*Give it the inputs"),
    Case("evaluating on inputs of another size", lambda b: training.evaluate(b.net, b.flat), ValueError, r"cannot run on inputs of shape \[7\]"),
    Case("a loss model on inputs of another size", lambda b: LossModel.at(b.net, b.flat.split("test")), ValueError, r"cannot run on inputs of shape \[7\]"),
    Case("networks together on inputs of another size", lambda b: ensembles.fit(ensembles.Ensemble.of([b.net]), b.flat, 1), ValueError, r"cannot run on inputs of shape \[7\]"),
    Case("fewer logits than classes", lambda b: training.fit(b.mlp(classes=4), b.task, 1), ValueError, "4 logits, but the task 10 classes: give its last layer"),
    Case("an output that is an image", lambda b: training.evaluate(nn.Conv2d(1, 10, 3), b.task), ValueError, r"must be logits \[N, C\].*one logit for each class"),
    Case("a convolution network on flat inputs", lambda b: models.small_vgg(b.flat), ValueError, r"not inputs of shape \[7\]: try .* mlp_300_100"),
    Case("images too small for VGG11", lambda b: models.vgg11(b.task), ValueError, "at least 32 x 32.* try small_vgg"),
    Case("WeightSpace.call with [R, D + 1]", lambda b: b.space.call(torch.ones(2, 371), b.space.rest(), b.batch[0]), ValueError, r"370 weights, .* shape \[2, 371\]: .*another network"),
    Case("WeightSpace.call with [2, R, D]", lambda b: b.space.call(b.ones.expand(2, 2, -1), b.space.rest(), b.batch[0]), ValueError, r"must be \[D\] or \[R, D\]"),
    Case("WeightSpace.call with another rest", lambda b: b.space.call(b.ones.expand(2, -1), {"bias": b.ones}, b.batch[0]), ValueError, r"no 'bias': give the rest that space\.rest\(\)"),
    Case("splitting a vector of another network", lambda b: b.space.split(torch.ones(3)), ValueError, "belongs to another network"),
    Case("writing a list into a network", lambda b: b.space.write_([1.0]), TypeError, "not list: convert it with torch.as_tensor"),
    Case("the gradient of a model without it", lambda b: LossModel.at(b.net, b.batch, gradient=False).predicted_change(b.ones), ValueError, "made without its gradient: leave out gradient=False"),
    Case("a quadratic model without a gradient", lambda b: criteria.saliency(LossModel.at(b.net, b.batch, gradient=False), "qm"), ValueError, "qm needs the gradient, .*: leave out gradient=False"),
    Case("a step of another length", lambda b: LossModel.at(b.net, b.batch).predicted_change(torch.ones(3)), ValueError, r"shape \[3\], the weights \[370\]: give one"),
    Case("inputs without labels for each", at(lambda b: (b.batch[0], b.batch[1][:-1])), ValueError, "20 inputs and 19 labels.* as many of each"),
    Case("a single example without its dimension", at(lambda b: (b.batch[0], b.batch[1][0])), ValueError, r"give \[N, \.\.\.\] and \[N\], also for one example"),
    Case("an empty batch", at(lambda b: (b.batch[0][:0], b.batch[1][:0])), ValueError, "0 inputs and 0 labels: give at least one example"),
    Case("an empty data set", lambda b: data.Task.from_tensors(*b.tensors(x_valid=b.batch[0][:0], y_valid=b.batch[1][:0])), ValueError, "x_valid is .* give at least one example"),
    Case("flat inputs to crop and flip", lambda b: training.crop_and_flip(b.batch[0].flatten(1), torch.Generator()), ValueError, r"are \[N, C, H, W\], but these have the shape \[20, 64\]"),
    Case("a layer without inputs", lambda b: WeightSpace(b.mlp(nn.Linear(0, 5))), ValueError, r"Layer '3' has no weights, .* shape \[5, 0\]: give it at least one"),
    Case("the weights of several networks for one", lambda b: b.mlp() and WeightSpace(b.mlp()).write_(b.ones.expand(2, -1)), ValueError, r"shape \[2, 370\], but a network has one vector \[D\]: choose a row"),
    Case("a sparse tensor as a vector", lambda b: b.space.split(b.ones.to_sparse()), ValueError, r"dense tensor, not a sparse one: convert it with \.to_dense"),
    Case("ranking scores of another network", lambda b: b.mask(0.5).smallest_kept(torch.ones(3), [1]), ValueError, r"one real number each, \[D\] = \[370\], .* \[3\] on cpu: give those of this network"),
    Case("a task's split without examples", lambda b: training.evaluate(b.net, Empty()), ValueError, "split 'valid' of this task has no examples"),
    # dtypes and devices
    Case("a network in another precision", lambda b: training.fit(b.mlp().double(), b.task), ValueError, "float64 on cpu, the task torch.float32 on cpu: move one"),
    Case("a half-precision network", prune(lambda b: b.mlp().half()), ValueError, "network is torch.float16 .* move one"),
    Case("a step in another precision", lambda b: LossModel.at(b.net, b.batch).predicted_change(b.ones.double()), ValueError, r"convert it with \.to\(model\.weights\)"),
    Case("labels that are no whole numbers", at(lambda b: (b.batch[0], b.batch[1].float())), TypeError, "labels are torch.float32 .* must be int64"),
    Case("a task turned into whole numbers", lambda b: b.task.to(dtype=torch.int64), ValueError, "int64, but must be a floating-point one"),
    Case("a network on another device than its data", lambda b: training.evaluate(b.mlp().to("meta"), b.task), ValueError, "on meta, the task .* on cpu: move one of them"),
    Case("a batch on another device", at(lambda b: (b.batch[0].to("meta"), b.batch[1])), ValueError, r"on cpu, the batch on meta: move one of them with \.to"),
    Case("a network on a device without numbers", lambda b: WeightSpace(b.mlp().to("meta")), ValueError, "meta, which keeps no numbers: make the network on"),
    Case("a layer on another device", prune(lambda b: b.mlp(nn.Linear(5, 5).to("meta"))), ValueError, "on meta, others .* move the whole network"),
    Case("an unknown device", lambda b: data.load("digits", device="gpu"), ValueError, """no kind of device called 'gpu': use "auto", "cpu" or "cuda\""""),
    Case("a task on a device without numbers", lambda b: data.Task.from_tensors(*[part.to("meta") for part in b.tensors()]), ValueError, "x_train is on the device meta, which keeps no numbers"),
    Case("a mask on a device without numbers", lambda b: Mask((b.ones > 0).to("meta"), b.space.layout), ValueError, "mask is on the device meta, which keeps no numbers: make it on the CPU"),
    Case("a device that is not here", lambda b: data.load("digits", device="xpu:3"), ValueError, """no device 'xpu:3' here: use device="auto\""""),
    # NaN and infinity
    Case("NaN weights, pruning", prune(lambda b: b.with_weight(np.nan)), ValueError, "layer '1' holds 1 values that are NaN .* learning rate .* load the network again"),
    Case("infinite weights, training", lambda b: training.fit(b.with_weight(np.inf), b.task, 1), ValueError, "parameter '1.weight' holds 1 values that are NaN or infinite"),
    Case("NaN in a batch", at(lambda b: (b.batch[0] * np.nan, b.batch[1])), ValueError, "batch holds 1280 values .* repair these examples, or leave them out"),
    Case("infinity in a data set", lambda b: data.Task.from_tensors(*b.tensors(x_test=b.batch[0] / 0)), ValueError, "x_test holds .* repair these examples"),
    Case("a learning rate far too high", lambda b: training.fit(b.net, b.task, 1, recipe=Recipe(lr=1e30), progress=False), ValueError, r"after epoch 1: the learning rate 1e\+30 is too high"),
    # labels
    Case("a label out of range", at(lambda b: (b.batch[0], b.batch[1] + 5)), ValueError, "labels from 5 to 14, but the network has 10 logits: labels go from 0 to 9"),
    Case("a label below zero", lambda b: data.Task.from_tensors(*b.tensors(y_train=b.batch[1] - 1)), ValueError, "y_train has the label -1: labels go from 0"),
    Case("more labels than classes", lambda b: data.Task.from_tensors(*b.tensors(), classes=3), ValueError, "label 9, but only 3 classes"),
    Case("a task of one's own with labels out of range, training", lambda b: training.fit(b.net, Shifted(), 1), ValueError, "labels from . to 1., but the network has 10 logits: labels go from 0 to 9"),
    Case("the same, evaluating", lambda b: training.evaluate(b.net, Shifted()), ValueError, "labels from . to 1., but the network has 10 logits"),
    Case("the same, networks together", lambda b: ensembles.fit(ensembles.Ensemble.of([b.net]), Shifted(), 1), ValueError, "labels from . to 1., but the network has 10 logits"),
    # numbers
    Case("sparsity in per cent", pruner(sparsity=95), ValueError, r"sparsity is 95, but must be in \[0, 1\).* write 95 % as 0\.95"),
    Case("sparsity 1", pruner(sparsity=1.0), ValueError, r"must be in \[0, 1\)"),
    Case("sparsity below 0", pruner(sparsity=-0.1), ValueError, "sparsity is -0.1, but must be finite and at least 0"),
    Case("sparsity NaN", pruner(sparsity=np.nan), ValueError, "sparsity is nan, but must be finite"),
    Case("sparsity in quotes", pruner(sparsity="0.9"), TypeError, "must be a number, not '0.9'"),
    Case("no stages", pruner(stages=0), ValueError, "stages is 0, but must be at least 1"),
    Case("fractional stages", pruner(stages=1.5), TypeError, "stages must be a whole number, not 1.5: give for example 1"),
    Case("two million stages", lambda b: schedules.sparsities("cubic", 0.9, 2_000_000), ValueError, "stages is 2000000, but must be at most 1,000,000"),
    Case("a number that no machine holds", pruner(batch_size=10**30), ValueError, "batch_size is too large, it must be at most 9223372036854775807"),
    Case("a NumPy number of examples", lambda b: f"works: {len(list(b.task.batches('test', np.int64(100))))} batches", Works, "works: 3 batches"),
    Case("a negative step penalty", pruner(step_penalty=-1e-3), ValueError, "step_penalty is -0.001, but must be finite and at least 0"),
    Case("a batch of no examples", pruner(batch_size=0), ValueError, "batch_size is 0, but must be at least 1"),
    Case("a negative seed", pruner(seed=-1), ValueError, "seed is -1, but must be at least 0"),
    Case("half an epoch", lambda b: training.fit(b.net, b.task, 0.5), TypeError, "epochs must be a whole number, not 0.5"),
    # names
    Case("an unknown criterion", pruner(criterion="odb"), ValueError, "no criterion called 'odb'. Did you mean 'obd'"),
    Case("an unknown schedule", pruner(schedule="exponental"), ValueError, "no schedule called 'exponental'. Did you mean 'exponential'"),
    Case("an unknown schedule, asked directly", lambda b: schedules.sparsities("cubik", 0.9, 3), ValueError, "Did you mean 'cubic'"),
    Case("an unknown scope", pruner(scope="layers"), ValueError, "no scope called 'layers'. Did you mean 'layer'"),
    Case("an unknown trace", pruner(trace="training"), ValueError, "no trace called 'training'. Did you mean 'train'"),
    Case("an unknown data set", lambda b: data.load("fashion-mnist"), ValueError, "no data set called 'fashion-mnist'. Did you mean 'fashion_mnist'"),
    Case("an unknown split", lambda b: training.evaluate(b.net, b.task, "validation"), ValueError, "no split called 'validation'. Did you mean 'valid'"),
    Case("an unknown model", lambda b: models.pretrained("mlp", "digits"), ValueError, "no model called 'mlp'. Did you mean 'mlp_300_100'"),
    Case("a network that is not shipped", lambda b: models.pretrained("mlp_300_100", "digit"), ValueError, "Did you mean 'mlp_300_100-digits'"),
    Case("an unknown exercise", lambda b: exercises.check("filter normalization", 1), ValueError, """no exercise called .* Did you mean 'filter normalisation'"""),
    Case("an unknown shipped result", lambda b: results.load("digit"), FileNotFoundError, "no results called 'digit'. Did you mean 'digits'"),
    Case("an unknown setting of a study", lambda b: Study.grid(criterion="qm"), ValueError, "no setting called 'criterion'. Did you mean 'criteria'"),
    # networks
    Case("batch norm in training mode", prune(lambda b: b.mlp(nn.BatchNorm1d(5)).train()), ValueError, r"Batch norm '3' is in training mode.* call net\.eval\(\)"),
    Case("dropout in training mode", prune(lambda b: b.mlp(nn.Dropout()).train()), ValueError, r"Dropout '3' .* call net\.eval\(\)"),
    Case("shared weights", prune(lambda b: Tied()), ValueError, "second.weight is shared with first.weight: give each layer"),
    Case("frozen weights", prune(lambda b: b.mlp().requires_grad_(False)), ValueError, r"frozen .* call net\.requires_grad_\(True\)"),
    Case("training with all weights frozen", lambda b: training.fit(b.mlp().requires_grad_(False), b.task, 1), ValueError, "nothing to train: net.requires_grad_"),
    Case("no layer that can be pruned", prune(lambda b: nn.Sequential(nn.Conv1d(1, 10, 3))), ValueError, "no Linear or Conv2d layer, so there is no weight to prune"),
    Case("a layer used twice", prune(lambda b: Twice()), ValueError, "'layer' runs more than once .* give each use a layer of its own"),
    Case("a layer that silently would get no curvature", prune(lambda b: Attention()), ValueError, "'attention.out_proj' does not run .* remove the layer, or call it"),
    Case("a weight computed by a parametrisation", prune(lambda b: b.mlp(nn.utils.parametrizations.weight_norm(nn.Linear(5, 5)))), ValueError, "layer '3' is computed .* make it plain first"),
    Case("networks of two architectures together", lambda b: ensembles.Ensemble.of([b.mlp(), b.mlp(nn.Tanh())]), ValueError, "must have one architecture"),
    Case("a head with one class", lambda b: LossModel.at(b.mlp(classes=1), (b.batch[0], b.batch[1] * 0)), UserWarning, "single logit, .* so is the curvature: give it one logit for each class"),
    Case("a layer pruned away", all_but_one_layer, EmptyLayerWarning, "layer '1' are pruned away.* Lower the sparsity"),
    Case("a network of one weight", one_weight, Works, "works: .* of 1 weight are zero"),
    Case("a network with lazy layers", lambda b: training.fit(nn.Sequential(nn.Flatten(), nn.LazyLinear(10)), b.task, 1), ValueError, "parameter '1.weight' is lazy .* run the network once on a batch"),
    # masks
    Case("several masks where one is meant", lambda b: Mask((b.ones > 0).expand(2, -1), b.space.layout).apply_(b.mlp()), ValueError, r"masks of several networks, \[2, 370\]: choose one, Mask\(mask\.kept\[0\]"),
    Case("a mask with a layout that is none", lambda b: Mask(b.ones > 0, [370]), TypeError, r"layout of a mask is its layers' names and shapes: take .* WeightSpace\(net\)\.layout"),
    Case("a mask of another network", lambda b: b.mask(0.5).apply_(models.mlp_300_100(b.task)), ValueError, "mask belongs to another network: layer 'fc1'"),
    Case("a mask sparser than the target", lambda b: LocalPruner("mp", sparsity=0.5).prune(b.net, b.task, b.mask(0.9)), ValueError, r"sparser already \(0\.9 of all weights\) than the sparsity 0\.5.* give a larger sparsity"),
    Case("the same for one of several pruners", lambda b: prune_together([LocalPruner("mp", s) for s in (0.95, 0.5)], b.net, b.task, b.mask(0.9)), ValueError, "sparser already"),
    Case("the same, stage by stage", lambda b: next(LocalPruner("mp", sparsity=0.5).stream(b.net, b.task, b.mask(0.9))), ValueError, "sparser already"),
    Case("a mask that does not fit its layers", lambda b: Mask(torch.ones(3) > 0, b.space.layout), ValueError, r"shape \[3\], but its layers have 370 weights"),
    # landscapes
    Case("a direction of another network", along(direction=torch.ones(3)), ValueError, "belongs to another network"),
    Case("a direction of NaN", along(direction=lambda ones: ones * np.nan), ValueError, "The direction holds 370 values .* compute it again"),
    Case("a direction in another precision", along(direction=Tensor.double), ValueError, r"direction is torch.float64 .* convert it with \.to"),
    Case("a direction of NumPy", along(direction=Tensor.numpy), TypeError, "not ndarray: convert it with torch.as_tensor"),
    Case("a direction on another device", along(direction=lambda ones: ones.to("meta")), ValueError, "direction is torch.float32 on meta"),
    Case("a start that is infinite", along(start=lambda ones: ones / 0), ValueError, "The start holds 370 values"),
    Case("no position on a line", along(at=[]), ValueError, "must be a list of one or more numbers"),
    Case("a position that is NaN", along(at=[np.nan]), ValueError, r"at holds 1 values .* torch\.linspace"),
    # files
    Case("a missing checkpoint", lambda b: models.load(b.folder / "net.safetensors"), FileNotFoundError, "no file .*net.safetensors: check the path"),
    Case("a truncated checkpoint", lambda b: models.load(b.changed(b.checkpoint(), lambda c: c.__delitem__(slice(9000, None)))), ValueError, "net.safetensors is damaged .* copy it again"),
    Case("a tampered checkpoint", lambda b: models.load(b.changed(b.checkpoint(), lambda c: c.__setitem__(-1, c[-1] ^ 1))), ValueError, "not what was saved.*copy it again"),
    Case("a pickle in place of a checkpoint", lambda b: torch.save(b.net, b.folder / "net.pt") or models.load(b.folder / "net.pt"), ValueError, "damaged or no safetensors file .* copy it again"),
    Case("a checkpoint with NaN weights", lambda b: prune(lambda _: nan_checkpoint(b))(b), ValueError, "layer 'fc1' holds 1 values that are NaN"),
    Case("saving another network than it is named", lambda b: models.save(b.folder / "net", b.net, "mlp_300_100", b.task), ValueError, r"no mlp_300_100 for inputs \[1, 8, 8\] and 10 classes, .* make it with models\.mlp_300_100\(task\)"),
    Case("a note that is no string", lambda b: models.save(b.folder / "net", models.mlp_300_100(b.task), "mlp_300_100", b.task, epochs=3), TypeError, "noted in a file are strings, not 3: write it in quotes"),
    Case("a note in the place of the shape", lambda b: models.save(b.folder / "net", models.mlp_300_100(b.task), "mlp_300_100", b.task, shape="1"), ValueError, "shape are noted anyway: give your notes other names"),
    Case("saving into a folder's place", lambda b: b.mask(0.5).save(b.folder), IsADirectoryError, "is a folder: name a file in it"),
    Case("saving below a file", lambda b: b.mask(0.5).save(b.checkpoint() / "mask"), FileExistsError, "cannot be written .* check its folder, and who may write there"),
    Case("a path with a zero byte", lambda b: models.load("net\0"), ValueError, "is no path to a file: give its name"),
    Case("a mask in place of a checkpoint", lambda b: models.load(b.mask(0.5).save(b.folder / "mask")), ValueError, "holds no network that this version knows .* save it again"),
    Case("a checkpoint in place of a mask", lambda b: Mask.load(b.checkpoint()), ValueError, r"holds no mask .* save it again with Mask\.save"),
    Case("a damaged data file", lambda b: load_images(b, images(), lambda c: c.__delitem__(slice(500, None))), ValueError, "mnist.npz cannot be read .* remove it to have it fetched"),
    Case("a data file of other images", lambda b: load_images(b, images(x_test=np.zeros((4, 8, 8), np.uint8))), ValueError, r"x_test is uint8 of shape \(4, 8, 8\), but must be .* replace the file"),
    Case("pickled objects in a data file", lambda b: load_images(b, images(y_test=np.array([b], object))), ValueError, "allow_pickle=False.*replace it"),
    Case("a download cut half-way", cut_download, ConnectionError, r"could not be fetched .* use data\.load\(\"digits\"\)"),
    # studies
    Case("a store that is not there", lambda b: b.study().table(b.store), FileNotFoundError, "no store .* run the study first"),
    Case("a store in a folder that is not there", lambda b: b.study().run(b.folder / "none" / "runs.sqlite"), FileNotFoundError, "no folder .* make it first"),
    Case("a read-only store", read_only, PermissionError, "cannot be written: check who may write"),
    Case("a truncated store", truncated_store, ValueError, "damaged or no store .* run the study again"),
    Case("another program's SQLite file", another_programs_file, ValueError, "of another program: give the store another name"),
    Case("seeds that a study has not", lambda b: b.study().only(7), TypeError, r"seeds are a list of whole numbers, such as \[0, 1\], not 7"),
    Case("a list of lists in a study", lambda b: b.study(stages=[[1, 2], [3]]), TypeError, "stages are single values in one list"),
    Case("a study without seeds", lambda b: b.study(seeds=[]), ValueError, "no seeds: give at least one"),
    Case("a client that is none", lambda b: b.study().run(b.store, client="tcp://here"), TypeError, "leave it out to work in this process"),
    Case("a store opened by two processes", two_processes, Works, "works: 40 of 40"),
    # the stop button, and much use
    Case("interrupted in training", interrupted_training, Works, "works: network and task are as they were"),
    Case("interrupted in pruning", interrupted_pruning, Works, "works: network and task are as they were"),
    Case("interrupted in a stream of stages", interrupted_stream, Works, "works: the last state is whole"),
    Case("interrupted in a study", interrupted_study, Works, "ends with 2 of 2 runs"),
    Case("a slider moved a thousand times", thousand_moves, Works, "works: a thousand moves redraw one figure"),
]  # fmt: skip


def answer(case: Case, folder: Path) -> tuple[type[BaseException] | None, str]:
    """Return the kind of the answer and its sentence."""
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        try:
            found = case.provoke(Bench(folder))
        except Exception as error:
            return type(error), str(error)
    if case.kind is not Works and issubclass(case.kind, Warning):
        return next(((w.category, str(w.message)) for w in heard), (None, "nothing was said"))
    return None, str(found)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_answer_is_a_clear_sentence(case: Case, tmp_path: Path) -> None:
    kind, sentence = answer(case, tmp_path)
    assert kind is case.kind, sentence
    assert re.search(case.sentence, sentence, re.DOTALL), sentence
    assert "\n" not in sentence.strip(), sentence


def test_every_case_has_a_name_of_its_own() -> None:
    names = [case.name for case in CASES]
    assert len(names) == len(set(names)) >= 45


def main() -> None:
    print("| case | answer |\n|---|---|")
    for case in CASES:
        with tempfile.TemporaryDirectory() as folder:
            kind, sentence = answer(case, Path(folder))
            words = " ".join(sentence.replace(f"{folder}/", "").split()).replace("|", "\\|")
            print(f"| {case.name} | {f'{kind.__name__}: ' if kind else ''}{words} |", flush=True)


if __name__ == "__main__":
    main()
