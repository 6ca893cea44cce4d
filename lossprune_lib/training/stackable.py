"""Stackable: which networks, recipes and seeds an ensemble can be made of and trained by."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral

import torch
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd

from lossprune_lib.checks import check_finite, check_instance, check_int, check_list
from lossprune_lib.data.inputs import call
from lossprune_lib.data.task import Task
from lossprune_lib.loss_modelling.losses import check_outputs, cross_entropy
from lossprune_lib.networks.mlps import is_changed
from lossprune_lib.networks.validation import close, in_words
from lossprune_lib.seeds import own_draws
from lossprune_lib.training.recipe import Recipe, check_recipe


def check_stackable(net: nn.Module) -> None:
    """Raise ValueError for buffers, dropout, frozen parameters, hooks, or a forward pass that was replaced."""
    if next(net.buffers(), None) is not None:
        raise ValueError("A network with buffers, such as batch norm's, cannot be stacked: train it alone.")
    if any(isinstance(module, (_DropoutNd, nn.RReLU)) for module in net.modules()):
        raise ValueError("A network with dropout cannot be stacked, as each would drop the same: train it alone.")
    if not all(parameter.requires_grad for parameter in net.parameters()):
        raise ValueError("A network with frozen parameters cannot be stacked: train it alone.")
    if any(is_changed(module) for module in net.modules()):
        raise ValueError(
            "A network with hooks, or with a forward pass that is not its class's, cannot be stacked, as they may hold "
            "on to one network's own modules: train it alone."
        )


@torch.no_grad()
def check_trains_as_it_stands(net: nn.Module, task: Task) -> None:
    """Raise ValueError unless a network, a copy that may be changed, computes the same in either mode."""
    x, _ = next(task.batches("valid", 4))
    with own_draws(task.device, 0, "stackable"), in_words(x):
        # Twice in training, as what is drawn may happen to change nothing once.
        outputs, *in_training = [call(net.train(mode), x.clone()) for mode in (False, True, True)]
    check_finite(outputs, "The network's output")
    if not all(close(again, outputs) for again in in_training):
        raise ValueError(
            "The network draws random numbers in training, or computes otherwise than in eval mode (functional "
            "dropout?), and cannot be stacked: train it alone."
        )


def check_recipe_of_ensemble(recipe: Recipe | None) -> Recipe:
    """Return a recipe, the default one for None; raise ValueError for what an ensemble cannot be trained by."""
    recipe = check_recipe(recipe)
    if recipe.augment is not None:
        raise ValueError("An ensemble is trained without augmentation: train the networks one by one.")
    if recipe.optimizer != "sgd":
        raise ValueError(f"An ensemble is trained by SGD, not by {recipe.optimizer}: train its networks one by one.")
    if recipe.precision != "float32":
        raise ValueError(
            f"Leave the precision out: an ensemble is trained in its networks' own, not {recipe.precision}."
        )
    return recipe


def check_seeds(seeds: int | Sequence[int], networks: int) -> int | list[int]:
    """Return one seed, or a list with one for each network; raise ValueError or TypeError for what are none."""
    if isinstance(seeds, Integral):
        return check_int(seeds, "a seed", least=0)
    listed = check_list(seeds, "seeds for each network", "[0, 1]")
    checked = [check_int(seed, "a seed", least=0) for seed in listed]
    if len(checked) != networks:
        raise ValueError(f"There are {len(checked)} seeds for {networks} networks: give one each, or a single one.")
    return checked


def check_kept(kept: Tensor | None, weights: Tensor) -> None:
    """Raise TypeError or ValueError unless kept is None or a bool mask for each network's weights, [R, D]."""
    if kept is None:
        return
    check_instance(kept, Tensor, "kept", "stack the masks' .kept")
    if kept.shape != weights.shape or kept.dtype != torch.bool:
        raise ValueError(
            f"kept is {kept.dtype} {list(kept.shape)}, but must be bool {list(weights.shape)}: a mask for each network."
        )


def check_class_logits(logits: Tensor, y: Tensor) -> None:
    """Raise TypeError or ValueError unless logits are [R, N, C], for labels [N] or [R, N]."""
    if y.is_floating_point() or logits.ndim != 3 or bool((y < 0).any()):
        raise TypeError(
            "Networks are trained together only by the cross-entropy of logits [N, C] and class numbers [N] from 0: "
            "train these one by one, with training.fit(net, task, loss=...)."
        )
    for labels in y.reshape(-1, y.shape[-1]):
        check_outputs(cross_entropy, logits[0], labels)
