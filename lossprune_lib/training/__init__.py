"""Training and fine-tuning: one network, or many of one architecture at once.

Any loss of `loss_modelling.losses` can be trained, pruned and evaluated by. A regression:

>>> import torch
>>> from lossprune_lib import LocalPruner, data, models, training
>>> from lossprune_lib.loss_modelling import mean_squared_error as loss
>>> x = torch.randn(400, 5, generator=torch.Generator().manual_seed(0))
>>> y = x.tanh().sum(1, keepdim=True)  # float, of the shape of the network's output
>>> splits = [part for rows in (slice(0, 200), slice(200, 300), slice(300, 400)) for part in (x[rows], y[rows])]
>>> task = data.Task.from_tensors(*splits, classes=1)  # how many outputs the networks of models have
>>> net = training.fit(models.mlp_300_100(task), task, epochs=20, loss=loss)
>>> run = LocalPruner("qm", sparsity=0.9, stages=5, loss=loss).prune(net, task)
>>> tuned = training.fit(run.network(), task, epochs=10, loss=loss, mask=run.mask)
>>> training.evaluate(tuned, task, "test", loss=loss).loss < 0.2 * y.var().item()
True

Several labels for each example:

>>> from lossprune_lib.loss_modelling import binary_cross_entropy as loss
>>> y = (x > 0.5).float()  # 1 for yes, 0 for no
>>> splits = [part for rows in (slice(0, 200), slice(200, 300), slice(300, 400)) for part in (x[rows], y[rows])]
>>> task = data.Task.from_tensors(*splits, classes=5)
>>> recipe = training.Recipe(epochs=20, lr=0.1)
>>> net = training.fit(models.mlp_300_100(task), task, recipe=recipe, loss=loss)
>>> run = LocalPruner("qm", sparsity=0.9, stages=5, loss=loss).prune(net, task)
>>> tuned = training.fit(run.network(), task, recipe=recipe, loss=loss, mask=run.mask)
>>> training.evaluate(tuned, task, "test", loss=loss).accuracy > 0.9  # the share of right answers
True
"""

from lossprune_lib.training.enforcer import Enforcer
from lossprune_lib.training.evaluation import Score, evaluate, score
from lossprune_lib.training.gradual import fit_gradually
from lossprune_lib.training.recipe import AUGMENTATIONS, PRECISIONS, SCHEDULES, Augment, Recipe, crop_and_flip
from lossprune_lib.training.sgd import fit

__all__ = [
    "AUGMENTATIONS",
    "PRECISIONS",
    "SCHEDULES",
    "Augment",
    "Enforcer",
    "Recipe",
    "Score",
    "crop_and_flip",
    "evaluate",
    "fit",
    "fit_gradually",
    "score",
]
