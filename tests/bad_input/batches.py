"""Batches and tasks: shapes, dtypes, devices, labels and numbers that do not fit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import nn

from bad_input.bench import Case, at, prune
from lossprune_lib import LossModel, Mask, WeightSpace, criteria, data, ensembles, training
from lossprune_lib.training import Recipe


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


CASES: list[Case] = [
    # shapes
    ("training on inputs of another size", lambda b: training.fit(b.net, b.flat, 1), ValueError, "shape [7]"),
    ("evaluating on inputs of another size", lambda b: training.evaluate(b.net, b.flat), ValueError, "shape [7]"),
    (
        "a loss model on inputs of another size",
        lambda b: LossModel.at(b.net, b.flat.split("test")),
        ValueError,
        "shape [7]",
    ),
    (
        "networks together on inputs of another size",
        lambda b: ensembles.fit(ensembles.Ensemble.of([b.net]), b.flat, 1),
        ValueError,
        "shape [7]",
    ),
    (
        "fewer logits than classes",
        lambda b: training.fit(b.mlp(classes=4), b.task, 1),
        ValueError,
        "give its last layer",
    ),
    (
        "an output that is an image",
        lambda b: training.evaluate(nn.Conv2d(1, 10, 3), b.task),
        ValueError,
        "logits [N, C",
    ),
    (
        "WeightSpace.call with [R, D + 1]",
        lambda b: b.space.call(torch.ones(2, 371), b.space.rest(), b.batch[0]),
        ValueError,
        "[2, 371]",
    ),
    (
        "WeightSpace.call with [2, R, D]",
        lambda b: b.space.call(b.ones.expand(2, 2, -1), b.space.rest(), b.batch[0]),
        ValueError,
        "[R, D]",
    ),
    (
        "WeightSpace.call with another rest",
        lambda b: b.space.call(b.ones.expand(2, -1), {"bias": b.ones}, b.batch[0]),
        ValueError,
        "space.rest()",
    ),
    ("splitting a vector of another network", lambda b: b.space.split(torch.ones(3)), ValueError, "another network"),
    ("writing a list into a network", lambda b: b.space.write_([1.0]), TypeError, "torch.as_tensor"),
    (
        "the gradient of a model without it",
        lambda b: LossModel.at(b.net, b.batch, gradient=False).predicted_change(b.ones),
        ValueError,
        "gradient=False",
    ),
    (
        "a quadratic model without a gradient",
        lambda b: criteria.saliency(LossModel.at(b.net, b.batch, gradient=False), "qm"),
        ValueError,
        "gradient=False",
    ),
    (
        "a step of another length",
        lambda b: LossModel.at(b.net, b.batch).predicted_change(torch.ones(3)),
        ValueError,
        "[370]",
    ),
    ("inputs without labels for each", at(lambda b: (b.batch[0], b.batch[1][:-1])), ValueError, "19 labels"),
    ("a single example without its dimension", at(lambda b: (b.batch[0], b.batch[1][0])), ValueError, "one example"),
    ("an empty batch", at(lambda b: (b.batch[0][:0], b.batch[1][:0])), ValueError, "at least one example"),
    (
        "flat inputs to crop and flip",
        lambda b: training.crop_and_flip(b.batch[0].flatten(1), torch.Generator()),
        ValueError,
        "[N, C, H, W]",
    ),
    ("a layer without inputs", lambda b: WeightSpace(b.mlp(nn.Linear(0, 5))), ValueError, "Layer '3'"),
    (
        "the weights of several networks for one",
        lambda b: b.mlp() and WeightSpace(b.mlp()).write_(b.ones.expand(2, -1)),
        ValueError,
        "choose a row",
    ),
    ("a sparse tensor as a vector", lambda b: b.space.split(b.ones.to_sparse()), ValueError, ".to_dense"),
    (
        "ranking scores of another network",
        lambda b: b.mask(0.5).smallest_kept(torch.ones(3), [1]),
        ValueError,
        "[D] = [370]",
    ),
    ("a task's split without examples", lambda b: training.evaluate(b.net, Empty()), ValueError, "no examples"),
    # dtypes and devices
    ("a half-precision network", prune(lambda b: b.mlp().half()), ValueError, "torch.float16"),
    (
        "a step in another precision",
        lambda b: LossModel.at(b.net, b.batch).predicted_change(b.ones.double()),
        ValueError,
        "model.weights",
    ),
    ("labels that are no whole numbers", at(lambda b: (b.batch[0], b.batch[1].float())), TypeError, "int64"),
    ("a task turned into whole numbers", lambda b: b.task.to(dtype=torch.int64), ValueError, "floating-point"),
    (
        "a network on another device than its data",
        lambda b: training.evaluate(b.mlp().to("meta"), b.task),
        ValueError,
        "move one",
    ),
    ("a batch on another device", at(lambda b: (b.batch[0].to("meta"), b.batch[1])), ValueError, "move one"),
    ("a network on a device without numbers", lambda b: WeightSpace(b.mlp().to("meta")), ValueError, "meta"),
    (
        "a layer on another device",
        prune(lambda b: b.mlp(nn.Linear(5, 5).to("meta"))),
        ValueError,
        "move the whole network",
    ),
    ("an unknown device", lambda b: data.load("digits", device="gpu"), ValueError, '"auto"'),
    (
        "a task on a device without numbers",
        lambda b: data.Task.from_tensors(*[part.to("meta") for part in b.tensors()]),
        ValueError,
        "x_train",
    ),
    (
        "a mask on a device without numbers",
        lambda b: Mask((b.ones > 0).to("meta"), b.space.layout),
        ValueError,
        "mask is on the device meta",
    ),
    ("a device that is not here", lambda b: data.load("digits", device="xpu:3"), ValueError, '"auto"'),
    # NaN and infinity
    ("NaN weights, pruning", prune(lambda b: b.with_weight(np.nan)), ValueError, "load the network again"),
    ("infinite weights, training", lambda b: training.fit(b.with_weight(np.inf), b.task, 1), ValueError, "'1.weight'"),
    ("NaN in a batch", at(lambda b: (b.batch[0] * np.nan, b.batch[1])), ValueError, "The batch holds"),
    (
        "infinity in a data set",
        lambda b: data.Task.from_tensors(*b.tensors(x_test=b.batch[0] / 0)),
        ValueError,
        "x_test",
    ),
    (
        "a learning rate far too high",
        lambda b: training.fit(b.net, b.task, 1, recipe=Recipe(lr=1e30), progress=False),
        ValueError,
        "too high",
    ),
    # labels
    ("a label out of range", at(lambda b: (b.batch[0], b.batch[1] + 5)), ValueError, "10 logits"),
    (
        "a label below zero",
        lambda b: data.Task.from_tensors(*b.tensors(y_train=b.batch[1] - 1)),
        ValueError,
        "the label -1",
    ),
    (
        "a task of one's own with labels out of range, training",
        lambda b: training.fit(b.net, Shifted(), 1),
        ValueError,
        "10 logits",
    ),
    ("the same, evaluating", lambda b: training.evaluate(b.net, Shifted()), ValueError, "10 logits"),
    (
        "the same, networks together",
        lambda b: ensembles.fit(ensembles.Ensemble.of([b.net]), Shifted(), 1),
        ValueError,
        "10 logits",
    ),
]
