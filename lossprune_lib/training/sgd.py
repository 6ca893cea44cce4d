"""Training and fine-tuning by SGD or AdamW: the best network on validation is kept, pruned weights stay zero."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn, optim

from lossprune_lib.checks import check_callable, check_finite, check_int
from lossprune_lib.data.inputs import call
from lossprune_lib.data.task import TaskLike
from lossprune_lib.loss_modelling.losses import Loss, check_loss, check_outputs, cross_entropy
from lossprune_lib.networks.masks import Mask
from lossprune_lib.networks.validation import check_place, in_words
from lossprune_lib.progress import progress_bar
from lossprune_lib.seeds import generator
from lossprune_lib.training.enforcer import Enforcer
from lossprune_lib.training.evaluation import Score, evaluate
from lossprune_lib.training.recipe import Recipe, check_recipe

MaskAt = Callable[[int, nn.Module], Mask | None]  # an epoch, from 1, and the network so far -> a new mask, or None


def fit(
    net: nn.Module,
    task: TaskLike,
    epochs: int | None = None,
    *,
    loss: Loss = cross_entropy,
    recipe: Recipe | None = None,
    mask: Mask | MaskAt | None = None,
    seed: int = 0,
    progress: bool = True,
    on_epoch: Callable[[int, Score], object] | None = None,
) -> nn.Module:
    """Train a copy of a network; return it as it was after its best epoch, in eval mode.

    The best epoch has the lowest validation error or, under a loss without right and wrong, the lowest validation loss.

    Parameters
    ----------
    net : the network to start from, not changed; its frozen parameters stay frozen
    task : its training examples are used for the steps, its validation examples to choose the epoch
    epochs : how long, instead of the recipe's number; 0 returns a (masked) copy
    loss : one of `loss_modelling.losses`, or your own
    mask : to fine-tune a pruned network: its pruned weights are zero from the start and after every step
        Or a function (epoch, net) -> a mask from here on, or None: it prunes on the way, and the last mask counts.
    seed : decides the order of the examples; the same seed gives the same network on one machine's CPU
    progress : whether to show a bar if training takes more than two seconds
    on_epoch : called after each epoch with its number, from 1, and the validation `Score`

    Raises
    ------
    ValueError
        if the network is on another device than the task or does not take its inputs, has NaN or infinite parameters,
        the mask belongs to another network, the targets do not go with the loss, or it becomes NaN or infinite.
    """
    recipe, loss = check_recipe(recipe), check_loss(loss)
    epochs = recipe.epochs if epochs is None else check_int(epochs, "epochs", least=0)
    check_callable(on_epoch, "on_epoch", "lambda epoch, score: print(epoch, score)")
    check_place(net, task)
    net, optimizer = copy_with_optimizer(net, recipe)
    enforce = None if mask is None or callable(mask) else Enforcer(mask, net, optimizer)
    if epochs == 0:
        evaluate(net, task, "valid", loss=loss)  # refuses a network that does not go with the task
    best, best_state = math.inf, copy.deepcopy(net.state_dict())
    with progress_bar(progress, total=epochs, desc="training", unit="epoch", leave=False, delay=2) as bar:
        for epoch in range(1, epochs + 1):
            sparser = mask(epoch, net) if callable(mask) else None
            if sparser is not None:
                enforce, best = Enforcer(sparser, net, optimizer), math.inf
            set_rate(optimizer, recipe.rate(epoch - 1, epochs))
            train_epoch(net, task, recipe, optimizer, enforce, seed, epoch, loss)
            score = evaluate(net, task, "valid", loss=loss)
            check_score(score, recipe, epoch)
            if score.chosen_by < best:
                best, best_state = score.chosen_by, copy.deepcopy(net.state_dict())
            _show(bar, score, best)
            if on_epoch is not None:
                on_epoch(epoch, score)
    net.load_state_dict(best_state)
    net.zero_grad(set_to_none=True)
    return net.eval()


def _show(bar: Any, score: Score, best: float) -> None:
    text = f"validation error {100 * score.error:.2f} %, best {100 * best:.2f} %"
    if math.isnan(score.error):
        text = f"validation loss {score.loss:.4g}, best {best:.4g}"
    bar.set_postfix_str(text, refresh=False)  # else the bar would show before its delay is over
    bar.update()


def set_rate(optimizer: optim.Optimizer, rate: float) -> None:
    """Set an optimizer's learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def check_score(score: Score, recipe: Recipe, epoch: int) -> None:
    """Raise ValueError if training has diverged."""
    if not math.isfinite(score.loss):
        raise ValueError(
            f"The loss is {score.loss} after epoch {epoch}: the learning rate {recipe.lr:g} is too high for this "
            "network, try a tenth of it."
        )


def _check_parameters(net: nn.Module) -> None:
    for name, parameter in net.named_parameters():
        if isinstance(parameter, nn.parameter.UninitializedParameter):
            raise ValueError(f"The parameter {name!r} is lazy and has no numbers yet: run the network once on a batch.")
        check_finite(parameter.detach(), f"The parameter {name!r}")


def copy_with_optimizer(net: nn.Module, recipe: Recipe) -> tuple[nn.Module, optim.Optimizer]:
    """Return a copy of a network, and the optimizer of its parameters that are not frozen."""
    _check_parameters(net)
    net = copy.deepcopy(net)
    if recipe.channels_last:
        net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if not all(parameter.is_leaf for parameter in net.parameters()):
        raise ValueError(
            "A copy of this network cannot be trained (is it a scripted one?): give the network it was made from."
        )
    trainable = [parameter for parameter in net.parameters() if parameter.requires_grad]
    if not trainable:
        raise ValueError(
            "All parameters of this network are frozen, so there is nothing to train: net.requires_grad_(True)."
        )
    if recipe.optimizer == "adamw":
        return net, optim.AdamW(trainable, recipe.lr, (recipe.momentum, 0.999), weight_decay=recipe.weight_decay)
    return net, optim.SGD(trainable, lr=recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay)


def train_epoch(
    net: nn.Module,
    task: TaskLike,
    recipe: Recipe,
    optimizer: optim.Optimizer,
    enforce: Enforcer | None,
    seed: int,
    epoch: int,
    loss: Loss = cross_entropy,
) -> None:
    """Take one step on each batch of the training examples."""
    net.train()
    precision = torch.autocast(task.device.type, torch.bfloat16, enabled=recipe.precision == "bfloat16")
    dtype = optimizer.param_groups[0]["params"][0].dtype
    draws = generator(seed, "augment", epoch)
    for x, y in task.batches("train", recipe.batch_size, generator(seed, "order", epoch)):
        if recipe.augment is not None:
            x = recipe.augment(x, draws)
        optimizer.zero_grad()
        with precision, in_words(x):
            outputs = call(net, x)
        if epoch == 1:
            check_outputs(loss, outputs, y)
        (loss.total(outputs.to(dtype), y) / loss.count(y)).backward()
        optimizer.step()
        if enforce is not None:
            enforce()
