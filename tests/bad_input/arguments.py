"""Arguments of the wrong type, numbers out of range, misspelt names."""

from __future__ import annotations

import numpy as np
import pandas as pd
from torch import nn

from bad_input.bench import Case, at, prune, pruner
from lossprune_lib import (
    LocalPruner,
    LossModel,
    Mask,
    criteria,
    data,
    ensembles,
    exercises,
    models,
    results,
    training,
    widgets,
)
from lossprune_lib.pruning import one_shot, schedules, trust_region
from lossprune_lib.training import Enforcer, Recipe

CASES: list[Case] = [
    # wrong types
    ("a network that is none", prune(lambda b: "mlp_300_100"), TypeError, "models.mlp_300"),
    ("a name in place of a task", lambda b: training.fit(b.net, "digits"), TypeError, "data.load"),
    ("a network made from a name", lambda b: models.mlp_300_100("digits"), TypeError, "data.load"),
    (
        "a dict in place of a recipe",
        lambda b: training.fit(b.net, b.task, recipe={"lr": 1}),
        TypeError,
        "training.Recipe",
    ),
    ("a tensor in place of a mask", lambda b: training.fit(b.net, b.task, mask=b.ones > 0), TypeError, "Mask(kept"),
    ("a mask that is a list", lambda b: Mask([True], (("a", (1,)),)), TypeError, "bool tensor"),
    ("torch's loss in place of a Loss", pruner(loss=nn.CrossEntropyLoss()), TypeError, "leave it out"),
    ("a network in place of a loss model", lambda b: criteria.saliency(b.net, "mp"), TypeError, "LossModel.at"),
    ("one sparsity where a list is meant", lambda b: one_shot(b.net, b.task, 0.5), TypeError, "[0.5, 0.9]"),
    ("a batch that is no pair", at(lambda b: b.batch[0]), TypeError, "task.sample"),
    ("a seed in place of a generator", lambda b: b.task.sample(3, 0), TypeError, "seeds.generator"),
    ("a tensor in place of a task", lambda b: training.fit(b.net, b.ones), TypeError, "batches, sample"),
    ("a network in place of its space", lambda b: Mask.dense(b.net), TypeError, "WeightSpace(net)"),
    ("one network in place of several", lambda b: ensembles.Ensemble.of(b.net), TypeError, "[net]"),
    ("a network in place of an ensemble", lambda b: ensembles.evaluate(b.net, b.task), TypeError, "Ensemble.of"),
    (
        "a network that is not in an ensemble",
        lambda b: ensembles.Ensemble.of([b.net]).network(1),
        ValueError,
        "no network 1",
    ),
    (
        "masks of an ensemble as a list",
        lambda b: ensembles.fit(ensembles.Ensemble.of([b.net]), b.task, 1, kept=[True]),
        TypeError,
        ".kept",
    ),
    (
        "seeds of an ensemble that are none",
        lambda b: ensembles.fit(ensembles.Ensemble.of([b.net]), b.task, 1, seeds=0.5),
        TypeError,
        "for each network",
    ),
    (
        "what to do after an epoch that cannot be called",
        lambda b: training.fit(b.net, b.task, 1, on_epoch="print"),
        TypeError,
        "on_epoch",
    ),
    ("a momentum that never fades", lambda b: Recipe(momentum=1.0), ValueError, "below 1"),
    ("milestones that are one number", lambda b: Recipe(milestones=0.5), TypeError, "milestones"),
    ("a state that is none", lambda b: LocalPruner("mp").step(b.mask(0.5)), TypeError, "PrunerState"),
    ("a change asked of a network", lambda b: criteria.modelled_change(b.net, "qm"), TypeError, "A loss model"),
    (
        "random scores from a seed",
        lambda b: criteria.saliency(LossModel(b.ones), "random", generator=0),
        TypeError,
        "Generator",
    ),
    ("shuffled batches from a seed", lambda b: list(b.task.batches("train", 10, 0)), TypeError, "Generator"),
    ("a dtype in quotes", lambda b: b.task.to(dtype="float64"), TypeError, "torch.float64"),
    (
        "class names that are one string",
        lambda b: data.Task.from_tensors(*b.tensors(), class_names="0123456789"),
        TypeError,
        "class_names",
    ),
    ("a rest that is none", lambda b: b.space.call(b.ones, None, b.batch[0]), TypeError, "space.rest()"),
    (
        "inputs of NumPy",
        lambda b: b.space.call(b.ones, b.space.rest(), b.batch[0].numpy()),
        TypeError,
        "torch.from_numpy",
    ),
    ("an optimizer that is none", lambda b: Enforcer(b.mask(0.5), b.mlp(), None), TypeError, "optimizer"),
    ("a table that is a list", lambda b: results.best_penalty([1]), TypeError, "Study.run"),
    ("a table of something else", lambda b: results.loss_change(pd.DataFrame({"a": [1]})), ValueError, "true_change"),
    (
        "a table with gaps",
        lambda b: results.best_penalty(results.load("digits").assign(true_change=np.nan)),
        ValueError,
        "true_change",
    ),
    ("one table to browse", lambda b: widgets.browse(results.load("digits")), TypeError, "results.load"),
    ("results of a number", lambda b: results.load(1), TypeError, "shipped table"),
    ("masks to compare as a list", lambda b: results.overlap([True]), TypeError, ".kept"),
    ("trials that are none", lambda b: trust_region.finished(LocalPruner(), [1]), TypeError, "trust_region"),
    (
        "a network in place of a pruner",
        lambda b: trust_region.trust_region(b.net, b.net, b.task, 0.1),
        TypeError,
        "LocalPruner",
    ),
    ("a path that is none", lambda b: models.load(None), TypeError, "pathlib.Path"),
    # numbers
    ("sparsity in per cent", pruner(sparsity=95), ValueError, "0.95"),
    ("two million stages", lambda b: schedules.sparsities("cubic", 0.9, 2_000_000), ValueError, "1,000,000"),
    (
        "a NumPy number of examples",
        lambda b: f"works: {len(list(b.task.batches('test', np.int64(100))))} batches",
        None,
        "3 batches",
    ),
    # names
    ("an unknown schedule, asked directly", lambda b: schedules.sparsities("cubik", 0.9, 3), ValueError, "'cubic'"),
    ("an unknown exercise", lambda b: exercises.check("filter normalization", 1), ValueError, "'filter normalisation'"),
    ("an unknown shipped result", lambda b: results.load("digit"), FileNotFoundError, "'digits'"),
]
