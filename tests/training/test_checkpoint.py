"""A training that was stopped, at any epoch and in any way, goes on and gives bitwise what it would have given."""

from __future__ import annotations

import math
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lossprune_lib import Mask, WeightSpace, files, models, training
from lossprune_lib.data import Task
from lossprune_lib.loss_modelling import CrossEntropy, Loss, binary_cross_entropy, cross_entropy, mean_squared_error
from lossprune_lib.training import Recipe, checkpoint, crop_and_flip, sgd
from lossprune_lib.training.gradual import fit_gradually
from lossprune_lib.training.structure import described

QUICK = Recipe(epochs=8, batch_size=30, lr=0.1, schedule="one_cycle")


@pytest.fixture(autouse=True)
def each_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the state after each epoch, not every 20 seconds."""
    monkeypatch.setattr(checkpoint, "_SECONDS", 0.0)


@pytest.fixture(scope="module")
def small(digits64: Task) -> Task:
    parts = {
        f"{part}_{split}": getattr(digits64, f"{part}_{split}")[:130] for part in "xy" for split in ("valid", "test")
    }
    return Task.from_tensors(digits64.x_train[:90], digits64.y_train[:90], **parts, classes=10)


def convolutions(seed: int = 0) -> nn.Module:
    """A network whose layout in memory, statistics and draws of dropout must all come back."""
    torch.manual_seed(seed)
    layers = [nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 6, 3), nn.Dropout2d(0.1), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(96, 10)).double()


def half_mask(net: nn.Module, seed: int = 0) -> Mask:
    space = WeightSpace(net)
    return Mask(torch.rand(space.size, generator=torch.Generator().manual_seed(seed)) < 0.5, space.layout)


def numbers(net: nn.Module) -> list[Tensor]:
    return list(net.state_dict().values())


def same(first: nn.Module, second: nn.Module) -> bool:
    return all(torch.equal(ours, theirs) for ours, theirs in zip(numbers(first), numbers(second), strict=True))


class Stopped(Exception):
    pass


def stop_after(stop: int) -> Callable[[int, object], None]:
    def on_epoch(epoch: int, score: object) -> None:
        if epoch == stop:
            raise Stopped

    return on_epoch


RECIPES = {
    "sgd": QUICK,
    "without momentum": replace(QUICK, momentum=0.0),
    "adamw": replace(QUICK, optimizer="adamw", lr=0.01),
    "milestones": replace(QUICK, schedule="steps", milestones=(3, 6)),
    "channels last, crop and flip": replace(QUICK, channels_last=True, augment=crop_and_flip),
    "best in the middle": replace(QUICK, schedule="steps", lr=0.15),
}


@pytest.mark.parametrize("masked", [False, True], ids=["dense", "masked"])
@pytest.mark.parametrize("name", RECIPES)
def test_a_stopped_training_goes_on_to_the_same_network(name: str, masked: bool, small: Task, tmp_path: Path) -> None:
    net, recipe, heard = convolutions(), RECIPES[name], []
    how = {"recipe": recipe, "mask": half_mask(net) if masked else None, "seed": 3, "progress": False}
    undisturbed = training.fit(net, small, on_epoch=lambda *report: heard.append(report), **how)
    how["checkpoint"] = tmp_path / "state"
    again: list[tuple[int, training.Score]] = []
    for stop in (1, 4, 6):
        with pytest.raises(Stopped):
            training.fit(net, small, on_epoch=stop_after(stop), **how)
    resumed = training.fit(net, small, on_epoch=lambda *report: again.append(report), **how)
    assert same(resumed, undisturbed)
    assert again == heard[6:]  # and no epoch is done twice
    layouts = [[tensor.stride() for tensor in numbers(fitted)] for fitted in (resumed, undisturbed)]
    assert layouts[0] == layouts[1]
    if name == "best in the middle":
        errors = [score.error for _, score in heard]
        assert errors.index(min(errors)) < 6  # the best network, too, came out of the file


@pytest.mark.parametrize("stop", [1, 3, 5, 7], ids=["before", "while pruned", "while pruned further", "after"])
def test_a_network_that_is_pruned_on_the_way_goes_on_with_its_mask(
    stop: int, small: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net, path, train_epoch = convolutions(), tmp_path / "state", sgd.train_epoch
    how = {"recipe": QUICK, "seed": 3, "progress": False}
    undisturbed, mask = fit_gradually(net, small, 0.8, **how)
    epochs = iter([train_epoch] * stop)
    monkeypatch.setattr(sgd, "train_epoch", lambda *arguments: next(epochs)(*arguments))
    with pytest.raises(StopIteration):
        fit_gradually(net, small, 0.8, checkpoint=path, **how)
    monkeypatch.setattr(sgd, "train_epoch", train_epoch)
    resumed, again = fit_gradually(net, small, 0.8, checkpoint=path, **how)
    assert same(resumed, undisturbed)
    assert torch.equal(again.kept, mask.kept)
    assert again.layout == mask.layout
    with pytest.raises(ValueError, match="is of another training"):
        fit_gradually(net, small, 0.7, checkpoint=path, **how)


class Average(nn.Module):
    """Shifts by a running mean that no state dict has."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(1, 5).double().expand(2, 5)[:1], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.mean = self.mean + x.detach().mean(0) + 1
        return x - self.mean


def test_buffers_outside_the_state_dict_are_kept_too(small: Task, tmp_path: Path) -> None:
    net, recipe = with_layer(Average()), replace(QUICK, epochs=6)
    scores: list[training.Score] = []
    how = {"task": small, "recipe": recipe, "progress": False}
    undisturbed = training.fit(net, on_epoch=lambda _, score: scores.append(score), **how)
    best = min(scores, key=lambda score: score.error)
    assert training.evaluate(undisturbed, small) == best != scores[-1]
    how["checkpoint"] = tmp_path / "state"
    with pytest.raises(Stopped):
        training.fit(net, on_epoch=stop_after(2), **how)
    resumed = training.fit(net, **how)
    assert same(resumed, undisturbed)
    assert torch.equal(resumed[2].mean, undisturbed[2].mean)


class Table(nn.Module):
    """Numbers the examples by a table that grows to the longest batch so far, expanded as such tables are."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("rows", torch.zeros(1, 1).double().expand(1, 5), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        if len(self.rows) < len(x):
            self.rows = torch.zeros(len(x), 1).double().expand(-1, 5)
        return x + self.rows[: len(x)]


def test_buffers_that_grow_or_are_expanded_are_no_obstacle(small: Task, tmp_path: Path) -> None:
    how = {"net": with_layer(Table()), "task": small, "recipe": QUICK, "progress": False}
    undisturbed = training.fit(**how)
    how["checkpoint"] = tmp_path / "state"
    with pytest.raises(Stopped):
        training.fit(on_epoch=stop_after(2), **how)
    assert same(training.fit(**how), undisturbed)


class Changing(nn.Module):
    """Has a buffer only from its first forward pass on, or only until then."""

    def __init__(self, comes: bool) -> None:
        super().__init__()
        self.comes = comes
        if not comes:
            self.register_buffer("shift", torch.zeros(5).double())

    def forward(self, x: Tensor) -> Tensor:
        if not self.comes:
            self.shift = None
        elif not hasattr(self, "shift"):
            self.register_buffer("shift", torch.ones(5).double())
        return x if self.shift is None else x + self.shift


@pytest.mark.parametrize("comes", [True, False], ids=["comes", "goes"])
def test_buffers_that_come_or_go_have_no_checkpoint(comes: bool, small: Task, tmp_path: Path) -> None:
    net, path = with_layer(Changing(comes)), tmp_path / "state"
    with pytest.raises(ValueError, match=r"buffer '2\.shift' came or went .* register it in __init__"):
        training.fit(net, small, 2, progress=False, checkpoint=path)
    assert not path.exists()
    training.fit(net, small, 1, progress=False)


def test_a_sparse_buffer_has_no_checkpoint(small: Task, tmp_path: Path) -> None:
    net = with_layer(nn.Tanh())
    net[2].register_buffer("table", torch.eye(5).to_sparse(), persistent=False)
    with pytest.raises(ValueError, match=r"buffer '2\.table' is sparse"):
        training.fit(net, small, 1, progress=False, checkpoint=tmp_path / "state")
    training.fit(net, small, 1, progress=False)


def test_a_finished_training_is_not_done_again(small: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = training.fit(convolutions(), small, recipe=QUICK, progress=False, checkpoint=tmp_path / "state")
    monkeypatch.setattr(sgd, "train_epoch", lambda *_: pytest.fail("it was done"))
    assert same(training.fit(convolutions(), small, recipe=QUICK, progress=False, checkpoint=tmp_path / "state"), first)


OTHERS: dict[str, Callable[[Task], dict[str, object]]] = {
    "network": lambda task: {"net": convolutions(1)},
    "epochs": lambda task: {"epochs": 9},
    "seed": lambda task: {"seed": 4},
    "mask": lambda task: {"mask": half_mask(convolutions(), 1)},
    "no mask": lambda task: {"mask": None},
    "learning rate": lambda task: {"recipe": replace(QUICK, lr=0.2)},
    "augmentation": lambda task: {"recipe": replace(QUICK, augment=crop_and_flip)},
    "optimizer": lambda task: {"recipe": replace(QUICK, optimizer="adamw")},
    "loss": lambda task: {"loss": CrossEntropy(label_smoothing=0.1)},
    "labels": lambda task: {"task": replace(task, y_train=task.y_train.flip(0))},
    "inputs": lambda task: {"task": replace(task, x_train=task.x_train.flip(0))},
    "validation": lambda task: {"task": replace(task, x_valid=task.x_valid.flip(0))},
}


@pytest.mark.parametrize("what", OTHERS)
def test_the_state_of_another_training_is_refused_and_stays(what: str, small: Task, tmp_path: Path) -> None:
    path = tmp_path / "state"
    how = {"net": convolutions(), "task": small, "recipe": QUICK, "seed": 3, "mask": half_mask(convolutions())}
    how |= {"progress": False, "checkpoint": path}
    with pytest.raises(Stopped):
        training.fit(on_epoch=stop_after(2), **how)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="another name, or delete that file"):
        training.fit(**how | OTHERS[what](small))
    assert path.read_bytes() == before


class Times(nn.Module):
    """Multiplies by a number that no description of it has."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor


def with_layer(layer: nn.Module, frozen: bool = False) -> nn.Module:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 5), layer, nn.Linear(5, 10)).double()
    net[1].requires_grad_(not frozen)
    return net


OF_EQUAL_NUMBERS = {
    "type": (nn.Tanh(), nn.ReLU(), False),
    "settings": (nn.Dropout(0.1), nn.Dropout(0.9), False),
    "attribute": (Times(1.0), Times(2.0), False),
    "frozen": (nn.Tanh(), nn.Tanh(), True),
}


@pytest.mark.parametrize("what", OF_EQUAL_NUMBERS)
def test_a_network_of_equal_numbers_that_trains_otherwise_is_another(what: str, small: Task, tmp_path: Path) -> None:
    layer, other, frozen = OF_EQUAL_NUMBERS[what]
    how = {"task": small, "epochs": 1, "progress": False, "checkpoint": tmp_path / "state"}
    first = training.fit(with_layer(layer), **how)
    assert same(training.fit(with_layer(layer), **how), first)
    with pytest.raises(ValueError, match="is of another training"):
        training.fit(with_layer(other, frozen), **how)


def test_a_networks_structure_is_the_same_in_another_process() -> None:
    code = "from torch import nn; from lossprune_lib.training.structure import structure; "
    code += "print(structure(nn.Sequential(nn.MultiheadAttention(4, 2), nn.LSTM(4, 2), nn.GELU())))"
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True) for _ in "12"]
    assert runs[0].stdout == runs[1].stdout
    assert "MultiheadAttention" in runs[0].stdout
    assert " at 0x" not in runs[0].stdout


class Plain(Loss):
    """A loss of one's own that is not a dataclass."""

    def total(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return nn.functional.cross_entropy(outputs, targets, reduction="sum")


class Smoothed(Plain):
    """Holds a setting and prints itself, though it is no dataclass, and keeps what it works out from it."""

    def __init__(self, setting: float) -> None:
        self.setting = setting

    def __repr__(self) -> str:
        return f"Smoothed({self.setting})"

    @cached_property
    def twice(self) -> float:
        return 2 * self.setting


class Focal(CrossEntropy):
    """Adds a setting that is not a field to those that are."""

    def __init__(self, setting: float) -> None:
        super().__init__()
        object.__setattr__(self, "setting", setting)


def test_a_loss_that_is_no_dataclass_is_described_by_what_it_holds() -> None:
    used = Smoothed(1.0)
    assert used.twice == 2
    assert described(used) == described(Smoothed(1.0)) == "Smoothed(setting=1.0)"
    assert described(Plain()) == "Plain()"


@dataclass(frozen=True, eq=False)
class Weighed(Plain):
    """Has a setting that is printed with few digits, or none."""

    setting: object

    def total(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return super().total(outputs, targets)


def power(p: float) -> Callable[[Tensor], Tensor]:
    return lambda h: h**p


SETTINGS = {
    "no dataclass": lambda value: Smoothed(float(value)),
    "beside the fields": lambda value: Focal(float(value)),
    "digits": lambda value: torch.tensor([1, 1 + 1e-5 * value]),
    "many numbers": lambda value: np.r_[np.zeros(2000), value, np.zeros(2000)],
    "function": power,
}


def loss_of(setting: object) -> Loss:
    return setting if isinstance(setting, Loss) else Weighed(setting)


@pytest.mark.parametrize("what", SETTINGS)
def test_losses_are_told_apart_by_all_that_they_hold(what: str, small: Task, tmp_path: Path) -> None:
    how = {"net": with_layer(nn.Tanh()), "task": small, "epochs": 1, "progress": False}
    how["checkpoint"] = tmp_path / "state"
    first = training.fit(loss=loss_of(SETTINGS[what](1)), **how)
    assert same(training.fit(loss=loss_of(SETTINGS[what](1)), **how), first)
    with pytest.raises(ValueError, match="is of another training"):
        training.fit(loss=loss_of(SETTINGS[what](4)), **how)


def test_a_loss_that_holds_what_cannot_be_compared_has_no_checkpoint(small: Task, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"this Weighed .* no Linear: let it hold nothing but"):
        training.fit(convolutions(), small, 1, loss=Weighed([nn.Linear(1, 1)]), checkpoint=tmp_path / "state")


@pytest.mark.parametrize("loss", [cross_entropy, mean_squared_error, binary_cross_entropy], ids=str)
def test_states_that_were_kept_under_a_losss_printed_form_stay_valid(loss: Loss) -> None:
    assert described(loss) == repr(loss)


@pytest.mark.parametrize("what", ["mask", "augmentation"])
def test_functions_that_cannot_be_told_apart_have_no_checkpoint(what: str, small: Task, tmp_path: Path) -> None:
    given = {"mask": lambda epoch, net: None} if what == "mask" else {"recipe": Recipe(augment=lambda x, draws: x)}
    with pytest.raises(ValueError, match="leave the checkpoint out"):
        training.fit(convolutions(), small, 1, progress=False, checkpoint=tmp_path / "state", **given)
    training.fit(convolutions(), small, 1, progress=False, **given)


def test_a_folder_is_refused_before_any_work(small: Task, tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError, match="name a file in it"):
        training.fit(convolutions(), small, 1, progress=False, checkpoint=tmp_path)


def test_a_sparsity_of_zero_may_have_a_checkpoint(small: Task, tmp_path: Path) -> None:
    _, mask = fit_gradually(convolutions(), small, 0.0, recipe=QUICK, progress=False, checkpoint=tmp_path / "state")
    assert mask.sparsity == 0


def test_numpys_numbers_name_the_same_training(small: Task, tmp_path: Path) -> None:
    how = {"recipe": Recipe(batch_size=np.int64(30)), "seed": np.int64(1)}
    first = training.fit(convolutions(), small, np.int64(1), progress=False, checkpoint=tmp_path / "state", **how)
    again = {"recipe": Recipe(batch_size=30), "seed": 1}
    assert same(training.fit(convolutions(), small, 1, progress=False, checkpoint=tmp_path / "state", **again), first)
    sparsity, recipe = np.float32(0.5), replace(QUICK, epochs=1)
    fit_gradually(convolutions(), small, sparsity, recipe=recipe, progress=False, checkpoint=tmp_path / "gradual")


def test_a_damaged_state_is_refused(small: Task, tmp_path: Path) -> None:
    path = tmp_path / "state"
    training.fit(convolutions(), small, 1, recipe=QUICK, progress=False, checkpoint=path)
    contents = bytearray(path.read_bytes())
    contents[-5] ^= 1
    path.write_bytes(contents)
    with pytest.raises(ValueError, match="damaged"):
        training.fit(convolutions(), small, 1, recipe=QUICK, progress=False, checkpoint=path)


def test_a_file_that_is_no_state_is_refused(small: Task, tmp_path: Path) -> None:
    path = files.save_tensors(tmp_path / "weights", {"w": torch.ones(3)}, {})
    with pytest.raises(ValueError, match="is of another training"):
        training.fit(convolutions(), small, 1, recipe=QUICK, progress=False, checkpoint=path)


def test_a_state_is_kept_now_and_then_and_at_the_end(
    small: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, written, clock = tmp_path / "state", [], iter([0.0, *(7.0 * epoch for epoch in range(1, 50))])
    monkeypatch.setattr(checkpoint, "_SECONDS", 20.0)
    monkeypatch.setattr(time, "monotonic", lambda: next(clock, math.inf))
    save = files.save_tensors

    def saved(*arguments: object) -> Path:
        written.append(arguments[2])
        return save(*arguments)

    monkeypatch.setattr(files, "save_tensors", saved)
    training.fit(convolutions(), small, recipe=QUICK, progress=False, checkpoint=path)
    epochs = [notes["notes"].split(",")[0] for notes in written]
    assert epochs == ['{"epoch": 3', '{"epoch": 6', '{"epoch": 8']


KILLED = """
import sys
from pathlib import Path
from lossprune_lib import data, models, training
from lossprune_lib.training import checkpoint
checkpoint._SECONDS = 0.0
task = data.load("digits", device="cpu")
training.fit(models.mlp_300_100(task), task, 400, progress=False, checkpoint=Path(sys.argv[1]))
"""


def test_a_training_that_is_killed_leaves_a_whole_state(tmp_path: Path, digits: Task) -> None:
    path = tmp_path / "state"
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(path)])
    try:
        while not path.exists():
            assert process.poll() is None
            time.sleep(0.01)
        time.sleep(0.2)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    tensors, notes = files.load_tensors(path)
    assert notes["notes"].startswith('{"epoch": ')
    assert {"now fc1.weight", "best fc1.weight"} <= set(tensors)
    heard: list[int] = []

    def on_epoch(epoch: int, score: object) -> None:
        heard.append(epoch)
        raise Stopped

    with pytest.raises(Stopped):
        training.fit(models.mlp_300_100(digits), digits, 400, progress=False, checkpoint=path, on_epoch=on_epoch)
    assert heard[0] > 1
