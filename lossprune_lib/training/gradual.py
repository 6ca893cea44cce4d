"""Gradual magnitude pruning: a network is trained from the start, and loses weights on the way.

Source: Zhu & Gupta 2017, To Prune, or Not to Prune, section 3 (the cubic schedule, from zero).
"""

from __future__ import annotations

import copy
import math

from torch import nn

from lossprune_lib.checks import check_sparsity
from lossprune_lib.data.task import TaskLike
from lossprune_lib.loss_modelling.losses import Loss, check_loss, cross_entropy
from lossprune_lib.networks.masks import Mask
from lossprune_lib.networks.validation import check_place
from lossprune_lib.networks.weights import WeightSpace
from lossprune_lib.progress import progress_bar
from lossprune_lib.training.enforcer import Enforcer
from lossprune_lib.training.evaluation import evaluate
from lossprune_lib.training.recipe import Recipe, check_recipe
from lossprune_lib.training.sgd import check_score, copy_with_optimizer, set_rate, train_epoch

_BEGIN, _END = 0.25, 0.75  # of the epochs: in between, the sparsity rises


def fit_gradually(
    net: nn.Module,
    task: TaskLike,
    sparsity: float,
    *,
    loss: Loss = cross_entropy,
    recipe: Recipe | None = None,
    seed: int = 0,
    progress: bool = True,
) -> tuple[nn.Module, Mask]:
    """Train a copy of a network, and prune it by magnitude, over all layers, from 25 to 75 % of the epochs.

    Returns
    -------
    nn.Module, Mask
        The network as it was after the best epoch, as for `fit`, among those of the full sparsity, in eval mode, and
        its mask.
    """
    recipe, epochs = check_recipe(recipe), check_recipe(recipe).epochs
    check_sparsity(sparsity)
    check_loss(loss)
    check_place(net, task)
    net, optimizer = copy_with_optimizer(net, recipe)
    mask, enforce, reached = None, None, 0.0
    best, best_state = math.inf, copy.deepcopy(net.state_dict())
    with progress_bar(progress, total=epochs, desc="training and pruning", unit="epoch", leave=False, delay=2) as bar:
        for epoch in range(1, epochs + 1):
            progressed = (epoch / epochs - _BEGIN) / (_END - _BEGIN)
            if progressed > 0 and (mask is None or reached < 1):
                reached = min(progressed, 1.0)
                mask = by_magnitude(net, sparsity * (1 - (1 - reached) ** 3))
                enforce = Enforcer(mask, net, optimizer)
            set_rate(optimizer, recipe.rate(epoch - 1, epochs))
            train_epoch(net, task, recipe, optimizer, enforce, seed, epoch, loss)
            score = evaluate(net, task, "valid", loss=loss)
            check_score(score, recipe, epoch)
            if progressed >= 1 and score.chosen_by < best:
                best, best_state = score.chosen_by, copy.deepcopy(net.state_dict())
            bar.update()
    assert mask is not None
    net.load_state_dict(best_state)
    return net.eval(), mask


def by_magnitude(net: nn.Module, sparsity: float) -> Mask:
    """Return the mask that keeps a network's largest weights, over all layers; those that are zero go first."""
    space = WeightSpace(net)
    mask = Mask.dense(space)
    return mask.without(mask.smallest_kept(space.read().square(), mask.still_to_prune(sparsity, "global")))
