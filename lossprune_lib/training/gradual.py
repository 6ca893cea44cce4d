"""Gradual magnitude pruning: a network is trained from the start, and loses weights on the way.

Source: Zhu & Gupta 2017, To Prune, or Not to Prune, section 3 (the cubic schedule, from zero).
"""

from __future__ import annotations

from pathlib import Path

from torch import nn

from lossprune_lib.checks import check_int, check_sparsity
from lossprune_lib.data.task import TaskLike
from lossprune_lib.loss_modelling.loss import Loss
from lossprune_lib.loss_modelling.losses import cross_entropy
from lossprune_lib.networks.masks import Mask
from lossprune_lib.networks.weights import WeightSpace
from lossprune_lib.training.recipe import Recipe, check_recipe
from lossprune_lib.training.sgd import fit_and_mask

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
    checkpoint: str | Path | None = None,
) -> tuple[nn.Module, Mask]:
    """Train a copy of a network, and prune it by magnitude, over all layers, from 25 to 75 % of the epochs.

    The other parameters are those of `fit`.

    Returns
    -------
    nn.Module, Mask
        The network as it was after the best epoch, as for `fit`, among those of the full sparsity, in eval mode, and
        its mask.
    """
    recipe = check_recipe(recipe)
    sparsity = check_sparsity(sparsity)
    check_int(recipe.epochs, "epochs of a network that is pruned on the way", least=1)

    def mask_at(epoch: int, net: nn.Module) -> Mask | None:
        before, now = (min(1.0, (e / recipe.epochs - _BEGIN) / (_END - _BEGIN)) for e in (epoch - 1, epoch))
        if now <= 0 or before == 1:
            return None
        # The cubic schedule of pruning.schedules, which lies above this folder; here it runs between two epochs.
        return by_magnitude(net, sparsity * (1 - (1 - now) ** 3))

    fitted, mask = fit_and_mask(
        net,
        task,
        epochs=None,
        loss=loss,
        recipe=recipe,
        mask=mask_at,
        mask_settings=sparsity,
        seed=seed,
        progress=progress,
        on_epoch=None,
        checkpoint=checkpoint,
    )
    assert mask is not None  # after the last epoch at the latest
    return fitted, mask


def by_magnitude(net: nn.Module, sparsity: float) -> Mask:
    """Return the mask that keeps a network's largest weights, over all layers; those that are zero go first."""
    space = WeightSpace(net)
    mask = Mask.dense(space)
    return mask.without(mask.smallest_kept(space.read().square(), mask.still_to_prune(sparsity, "global")))
