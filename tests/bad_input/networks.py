"""Networks that cannot be pruned, masks and directions of another network."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from sample_networks import make
from torch import Tensor, nn

from bad_input.bench import Bench, Case, prune
from lossprune_lib import LocalPruner, LossModel, Mask, data, ensembles, landscape, training
from lossprune_lib.pruning import EmptyLayerWarning, prune_together


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


def along(**changes: Any) -> Callable[[Bench], object]:
    """A line through the loss with something wrong; functions are given the vector of ones."""

    def provoke(bench: Bench) -> object:
        arguments: dict[str, Any] = {"direction": bench.ones, "at": [0.0, 1.0]}
        arguments |= {name: value(bench.ones) if callable(value) else value for name, value in changes.items()}
        return landscape.line(bench.net, bench.batch, **arguments)

    return provoke


CASES: list[Case] = [
    # networks
    ("batch norm in training mode", prune(lambda b: b.mlp(nn.BatchNorm1d(5)).train()), ValueError, "net.eval()"),
    ("dropout in training mode", prune(lambda b: b.mlp(nn.Dropout()).train()), ValueError, "net.eval()"),
    ("frozen weights", prune(lambda b: b.mlp().requires_grad_(False)), ValueError, "frozen"),
    (
        "training with all weights frozen",
        lambda b: training.fit(b.mlp().requires_grad_(False), b.task, 1),
        ValueError,
        "requires_grad_",
    ),
    (
        "no layer that can be pruned",
        prune(lambda b: nn.Sequential(nn.Flatten(), nn.PReLU(64))),
        ValueError,
        "no weight to prune",
    ),
    (
        "examples that influence one another",
        prune(lambda b: b.mlp(nn.BatchNorm1d(5, track_running_stats=False))),
        ValueError,
        "influence one another",
    ),
    (
        "a layer to leave out that is not there",
        lambda b: LocalPruner("mp", exclude="fc9").prune(b.mlp(), b.task, progress=False),
        ValueError,
        "selects no parameter",
    ),
    (
        "a weight computed by a parametrisation",
        prune(lambda b: b.mlp(nn.utils.parametrizations.weight_norm(nn.Linear(5, 5)))),
        ValueError,
        "layer '3'",
    ),
    (
        "networks of two architectures together",
        lambda b: ensembles.Ensemble.of([b.mlp(), b.mlp(nn.Tanh())]),
        ValueError,
        "one architecture",
    ),
    (
        "a head with one class",
        lambda b: LossModel.at(b.mlp(classes=1), (b.batch[0], b.batch[1] * 0)),
        UserWarning,
        "single logit",
    ),
    ("a layer pruned away", all_but_one_layer, EmptyLayerWarning, "lower the sparsity"),
    ("a network of one weight", one_weight, None, "of 1 weight are zero"),
    (
        "a network with lazy layers",
        lambda b: training.fit(nn.Sequential(nn.Flatten(), nn.LazyLinear(10)), b.task, 1),
        ValueError,
        "lazy",
    ),
    # masks
    (
        "several masks where one is meant",
        lambda b: Mask((b.ones > 0).expand(2, -1), b.space.layout).apply_(b.mlp()),
        ValueError,
        "the mask of one network",
    ),
    ("a mask with a layout that is none", lambda b: Mask(b.ones > 0, [370]), TypeError, "WeightSpace(net).layout"),
    (
        "a mask sparser than the target",
        lambda b: LocalPruner("mp", sparsity=0.5).prune(b.net, b.task, b.mask(0.9)),
        ValueError,
        "larger sparsity",
    ),
    (
        "the same for one of several pruners",
        lambda b: prune_together([LocalPruner("mp", s) for s in (0.95, 0.5)], b.net, b.task, b.mask(0.9)),
        ValueError,
        "already sparser",
    ),
    (
        "the same, stage by stage",
        lambda b: next(LocalPruner("mp", sparsity=0.5).stream(b.net, b.task, b.mask(0.9))),
        ValueError,
        "already sparser",
    ),
    # landscapes
    ("a direction of another network", along(direction=torch.ones(3)), ValueError, "another network"),
    ("a direction of NaN", along(direction=lambda ones: ones * np.nan), ValueError, "The direction holds"),
    ("a direction in another precision", along(direction=Tensor.double), ValueError, "torch.float64"),
    ("a direction of NumPy", along(direction=Tensor.numpy), TypeError, "torch.as_tensor"),
    ("a direction on another device", along(direction=lambda ones: ones.to("meta")), ValueError, "meta"),
    ("a start that is infinite", along(start=lambda ones: ones / 0), ValueError, "The start holds"),
    ("no position on a line", along(at=[]), ValueError, "one or more numbers"),
    ("a position that is NaN", along(at=[np.nan]), ValueError, "torch.linspace"),
]
