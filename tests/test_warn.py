"""Warnings name the line that called the library, however deep in it they arise."""

from __future__ import annotations

import inspect
import warnings

import pytest
import torch
from torch import nn

from lossprune_lib import LocalPruner, LossModel, data
from lossprune_lib.pruning import CoverageWarning, EmptyLayerWarning, prune_together
from lossprune_lib.warn import warn


@pytest.fixture
def task() -> data.Task:
    x, y = torch.randn(30, 6, generator=torch.Generator().manual_seed(0)).double(), torch.arange(30) % 3
    return data.Task.from_tensors(x, y, x, y, x, y)


@pytest.fixture
def net() -> nn.Module:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 8), nn.Linear(8, 3)).double().eval()
    with torch.no_grad():
        net[3].weight.mul_(1e-3)  # the first to go
    return net


@pytest.mark.parametrize("way", ["start", "stream", "prune", "together", "in a helper"])
def test_each_way_in_is_named(way: str, net: nn.Module, task: data.Task) -> None:
    pruner = LocalPruner("mp", 0.5, 1, exclude=["0"])  # little is left to be pruned

    def helper() -> None:
        pruner.prune(net, task, progress=False)

    ways = {
        "start": lambda: pruner.step(pruner.start(net, task)),
        "stream": lambda: list(pruner.stream(net, task)),
        "prune": lambda: pruner.prune(net, task, progress=False),
        "together": lambda: prune_together([pruner], net, task, progress=False),
        "in a helper": helper,
    }
    lines, first = inspect.getsourcelines(test_each_way_in_is_named)
    with pytest.warns((CoverageWarning, EmptyLayerWarning)) as said:
        ways[way]()
    assert {each.category for each in said} == {CoverageWarning, EmptyLayerWarning}
    for each in said:
        assert each.filename == __file__
        assert first <= each.lineno < first + len(lines)


def test_a_loss_model_too(net: nn.Module, task: data.Task) -> None:
    one = nn.Sequential(nn.Linear(6, 1)).double().eval()
    with pytest.warns(UserWarning, match="single logit") as said:
        LossModel.at(one, (task.x_train, task.y_train * 0))
    assert said[0].filename == __file__


def test_outside_the_library_it_is_the_line_itself() -> None:
    with pytest.warns(FutureWarning, match="soon") as said:
        warn("soon", FutureWarning)
    assert said[0].filename == __file__


def test_a_line_in_a_loop_warns_once(net: nn.Module, task: data.Task) -> None:
    pruner = LocalPruner("mp", 0.5, 1, exclude=["0"])  # little is left to be pruned
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("default")
        for _ in range(3):
            pruner.prune(net, task, progress=False)
    assert sorted(each.category.__name__ for each in said) == ["CoverageWarning", "EmptyLayerWarning"]
