"""Moving a slider leaves nothing behind: the same figure, and as many artists and tensors as before."""

from __future__ import annotations

import collections
import gc
from collections.abc import Callable, Iterator
from types import ModuleType

import pytest
import torch
from matplotlib.artist import Artist
from test_results_browser import LARGE, SMALL

from lossprune_lib import data, results, widgets
from lossprune_lib.widgets import landscape, locality

MAKERS: dict[str, Callable[[torch.nn.Module, data.Task], widgets.Sliders]] = {
    "sparsity": widgets.sparsity_slider,
    "landscape": lambda net, task: widgets.landscape_slider(net, task, stages=2, examples=50),
    "taylor": lambda net, task: widgets.taylor_slider(net, task, batch_size=50),
    "one_weight": lambda net, task: widgets.one_weight_slider(net, task, {"A": 50111, "B": 9044}, examples=50),
    "two_weights": lambda net, task: widgets.two_weights_slider(net, task, {"A": (50111, 50134)}, examples=50),
    "shares": lambda net, task: widgets.shares_slider(net, task, stages=2),
    "locality": lambda net, task: widgets.locality_slider(net, task, stages=2),
    "fine_tuning": lambda net, task: widgets.fine_tuning_slider(results.load("digits")),
    "browse": lambda net, task: widgets.browse({"large": LARGE, "small": SMALL}),
}


def move_all(sliders: widgets.Sliders) -> None:
    """Move each slider away by one place, and back."""
    for control in sliders.controls.values():
        here = control.index
        control.index = here - 1 if here else min(1, len(control.options) - 1)
        assert not sliders.message.value
        control.index = here


def in_memory() -> tuple[int, int]:
    """Count the artists and the tensors that there are."""
    gc.collect()
    kinds = collections.Counter(map(type, gc.get_objects()))  # isinstance would ask each object, and load lazy modules
    artists, tensors = (sum(kinds[kind] for kind in kinds if issubclass(kind, of)) for of in (Artist, torch.Tensor))
    return artists, tensors


@pytest.fixture(autouse=True)
def _only_what_is_new() -> Iterator[None]:
    """Let the collector look at what the test makes alone, not at a million objects of all modules each time."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.parametrize("name", MAKERS)
def test_moves_leave_nothing_behind(name: str, trained: torch.nn.Module, digits: data.Task) -> None:
    sliders = MAKERS[name](trained, digits)
    figure = sliders.picture.canvas.figure
    move_all(sliders)  # what is computed once is kept
    before = in_memory()
    move_all(sliders)
    assert in_memory() == before
    assert sliders.picture.canvas.figure is figure


@pytest.mark.parametrize(
    ("name", "module"), [("landscape", landscape), ("locality", locality)], ids=["landscape", "locality"]
)
def test_only_the_last_settings_are_remembered(
    name: str, module: ModuleType, trained: torch.nn.Module, digits: data.Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_CACHE_SIZE", 1)
    sliders = MAKERS[name](trained, digits)
    tensors = set()
    for sparsity in module.SPARSITIES[:3]:
        sliders.controls["sparsity"].value = sparsity
        tensors.add(in_memory()[1])
    assert len(tensors) == 1
