"""Training and fine-tuning by SGD or AdamW: the best network on validation is kept, pruned weights stay zero."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn, optim

from lossprune_lib.checks import check_callable, check_int
from lossprune_lib.data.inputs import OnCopies, call
from lossprune_lib.data.task import TaskLike
from lossprune_lib.loss_modelling.loss import Loss, NothingCountsError, check_loss
from lossprune_lib.loss_modelling.losses import check_outputs, check_sum, cross_entropy
from lossprune_lib.loss_modelling.roots import check_differentiable
from lossprune_lib.networks.masks import Mask
from lossprune_lib.networks.validation import check_examples, check_place, in_words
from lossprune_lib.progress import progress_bar
from lossprune_lib.seeds import generator, own_draws
from lossprune_lib.training.checkpoint import Checkpoint, settings_of
from lossprune_lib.training.enforcer import Enforcer
from lossprune_lib.training.evaluation import Score, evaluate
from lossprune_lib.training.optimizers import copy_with_optimizer, set_rate
from lossprune_lib.training.recipe import Recipe, check_recipe
from lossprune_lib.training.state import copy_of, numbers_of, own_states, put_back

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
    checkpoint: str | Path | None = None,
) -> nn.Module:
    """Train a copy of a network; return it as it was after its best epoch, in eval mode.

    The best epoch has the lowest validation error or, under a loss without right and wrong, the lowest validation loss.

    Parameters
    ----------
    net : the network to start from, not changed; its frozen parameters stay frozen
        The running statistics of a batch norm are no parameters, and go on even where those are frozen.
    task : its training examples are used for the steps, its validation examples to choose the epoch
    epochs : how long, instead of the recipe's number; 0 returns a (masked) copy
    loss : one of `loss_modelling.losses`, or your own
    mask : to fine-tune a pruned network: its pruned weights are zero from the start and after every step
        Or a function (epoch, net) -> a mask from here on, or None: it prunes on the way, and the last mask counts.
    seed : decides the order of the examples, their augmentation and what the network draws itself, as dropout does
        The same seed gives the same network on one machine's CPU, unless other threads draw from torch's generator
        meanwhile, as another training with dropout does: train in processes.
    progress : whether to show a bar if training takes more than two seconds
    on_epoch : called after each epoch with its number, from 1, and the validation `Score`
    checkpoint : a file for the state of the training, kept every 20 seconds and at the end
        If the training is stopped, the same call goes on from there, and gives the network that it would have given.
        Give it the same data, of which only a `Task` is compared. The file stays: delete it to begin anew.

    Raises
    ------
    ValueError
        if the network is on another device than the task or does not take its inputs, has NaN or infinite parameters
        or weights that `torch.nn.utils.prune` computes, or no copy can stand for it; if the mask belongs to another
        network, an epoch has no training examples, the targets do not go with the loss, it has no gradient or becomes
        NaN or infinite; or if the checkpoint is damaged, of another training, or cannot tell the functions or the loss
        from others.
    """
    return fit_and_mask(
        net,
        task,
        epochs=epochs,
        loss=loss,
        recipe=recipe,
        mask=mask,
        mask_settings=mask,
        seed=seed,
        progress=progress,
        on_epoch=on_epoch,
        checkpoint=checkpoint,
    )[0]


@torch.inference_mode(False)  # and with gradients, wherever it is called
def fit_and_mask(
    net: nn.Module,
    task: TaskLike,
    *,
    epochs: int | None,
    loss: Loss,
    recipe: Recipe | None,
    mask: Mask | MaskAt | None,
    mask_settings: object,
    seed: int,
    progress: bool,
    on_epoch: Callable[[int, Score], object] | None,
    checkpoint: str | Path | None,
) -> tuple[nn.Module, Mask | None]:
    """Do what `fit` does, and return the last mask too; `mask_settings` are what a checkpoint tells masks apart by."""
    recipe, loss, seed = check_recipe(recipe), check_loss(loss), check_int(seed, "seed", least=0)
    epochs = recipe.epochs if epochs is None else check_int(epochs, "epochs", least=0)
    check_callable(on_epoch, "on_epoch", "lambda epoch, score: print(epoch, score)")
    check_place(net, task)
    net, optimizer = copy_with_optimizer(net, recipe)
    last = None if callable(mask) else mask
    enforce = None if last is None else Enforcer(last, net, optimizer)
    if epochs == 0:
        evaluate(net, task, "valid", loss=loss)  # refuses a network that does not go with the task
    best, best_state, best_own, done, kept = math.inf, copy_of(net), own_states(net), 0, None
    if checkpoint is not None:
        kept = Checkpoint(checkpoint, best_state, settings_of(net, task, epochs, loss, recipe, seed, mask_settings))
        notes, others = kept.restore(_places(net, best_state), optimizer)
        done, best = notes.get("epoch", 0), notes.get("best", math.inf)
        if "kept" in others:
            last = Mask(others["kept"].to(task.device), tuple((name, tuple(shape)) for name, shape in notes["layout"]))
            enforce = Enforcer(last, net, optimizer)
    words = {"desc": "training", "unit": "epoch", "leave": False}
    with progress_bar(progress, total=epochs, initial=done, delay=2, **words) as bar:
        for epoch in range(done + 1, epochs + 1):
            sparser = mask(epoch, net) if callable(mask) else None
            if sparser is not None:
                last, best = sparser, math.inf
                enforce = Enforcer(sparser, net, optimizer)
            set_rate(optimizer, recipe.rate(epoch - 1, epochs))
            with own_draws(task.device, seed, "network", epoch):
                train_epoch(net, task, recipe, optimizer, enforce, seed, epoch, loss)
            score = evaluate(net, task, "valid", loss=loss)
            check_score(score, recipe, epoch)
            if score.chosen_by < best:
                best, best_state, best_own = score.chosen_by, copy_of(net), own_states(net)
            if kept is not None:
                notes = {"epoch": epoch, "best": best, "layout": last.layout if last else None}
                others = {"kept": last.kept} if last and callable(mask) else {}
                kept.keep(_places(net, best_state) | others, optimizer, notes, last=epoch == epochs)
            _show(bar, score, best)
            if on_epoch is not None:
                on_epoch(epoch, score)
    put_back(net, best_state, best_own)
    net.zero_grad(set_to_none=True)
    return net.eval(), last


def _places(net: nn.Module, best_state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of a network as it is and as it was at its best, by name."""
    states = ("now", numbers_of(net)), ("best", best_state)
    return {f"{when} {name}": tensor for when, state in states for name, tensor in state.items()}


def _show(bar: Any, score: Score, best: float) -> None:
    text = f"validation error {100 * score.error:.2f} %, best {100 * best:.2f} %"
    if math.isnan(score.error):
        text = f"validation loss {score.loss:.4g}, best {best:.4g}"
    bar.set_postfix_str(text, refresh=False)  # else the bar would show before its delay is over
    bar.update()


def check_score(score: Score, recipe: Recipe, epoch: int) -> None:
    """Raise ValueError if training has diverged."""
    if not math.isfinite(score.loss):
        raise ValueError(
            f"The loss is {score.loss} after epoch {epoch}. Most likely the learning rate {recipe.lr:g} is too high "
            "for this network: try a tenth of it. If that does not help, look at the loss of the untrained network."
        )


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
    """Take one step on each batch of the training examples; raise ValueError if there is none."""
    net.train()
    precision = torch.autocast(task.device.type, torch.bfloat16, enabled=recipe.precision == "bfloat16")
    dtype = optimizer.param_groups[0]["params"][0].dtype
    draws, network, seen = generator(seed, "augment", epoch), OnCopies(partial(call, net)), 0
    for x, y in task.batches("train", recipe.batch_size, generator(seed, "order", epoch)):
        if recipe.augment is not None:
            x = recipe.augment(x, draws)
        optimizer.zero_grad()
        with precision, in_words(x), _single_in_words(len(y), seen, recipe.batch_size):
            outputs = network(x)
        seen += len(y)
        if epoch == 1:
            with suppress(NothingCountsError):  # then its gradient is zero
                check_outputs(loss, outputs, y)
            if seen == len(y):
                check_sum(loss, outputs, y)
        mean = loss.mean(outputs.to(dtype), y)
        check_differentiable(loss, mean, outputs)
        mean.backward()
        optimizer.step()
        if enforce is not None:
            enforce()
    check_examples(seen, "train")


@contextmanager
def _single_in_words(examples: int, before: int, batch_size: int) -> Iterator[None]:
    """Say in words that batch norm cannot be trained on a single example, which comes after those `before` it."""
    try:
        yield
    except ValueError as error:
        if examples > 1 or "more than 1 value per channel" not in str(error):
            raise
        larger = (size for size in range(batch_size + 1, before + 2) if (before + 1) % size != 1)
        such = f"such as {next(larger, batch_size + 1)}, which leaves" if before else "which leaves"
        raise ValueError(
            f"With a batch_size of {batch_size} a training batch has just one example, and batch norm needs two: "
            f"choose a larger one, {such} no single example over."
        ) from error
