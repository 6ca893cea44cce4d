"""Training and fine-tuning: plain SGD, best on validation kept, pruned weights held at zero."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import torch
from torch import Tensor, nn, optim
from torch.nn import functional as F

from lossprune_lib.checks import check_callable, check_finite, check_instance, check_int
from lossprune_lib.data.task import Task
from lossprune_lib.networks.masks import Mask, _zero_pruned, check_mask
from lossprune_lib.networks.validation import check_labels, check_logits, check_place, in_words
from lossprune_lib.progress import progress_bar
from lossprune_lib.seeds import generator
from lossprune_lib.training.evaluation import Score, evaluate
from lossprune_lib.training.recipe import Recipe, check_recipe


def fit(
    net: nn.Module,
    task: Task,
    epochs: int | None = None,
    *,
    recipe: Recipe | None = None,
    mask: Mask | None = None,
    seed: int = 0,
    progress: bool = True,
    on_epoch: Callable[[int, Score], object] | None = None,
) -> nn.Module:
    """Train a copy of a network; return it as it was after the epoch of lowest validation error, in eval mode.

    Parameters
    ----------
    net : the network to start from, not changed; its frozen parameters stay frozen
    task : whose training examples are used; its validation examples choose the epoch
    epochs : how long, in place of the recipe's number; 0 gives back a (masked) copy
    mask : to fine-tune a pruned network: its pruned weights are zero from the start and after every step
    seed : decides the order of the examples; the same seed gives the same network on one machine's CPU
    progress : whether to show a bar, where it takes more than two seconds
    on_epoch : called after each epoch with its number, from 1, and the validation `Score`

    Raises
    ------
    ValueError
        if the network is on another device than the task or does not take its inputs, has NaN or infinite parameters, the
        mask belongs to another network, a label is out of range, or the loss becomes NaN or infinite.
    """

    recipe = check_recipe(recipe)
    epochs = recipe.epochs if epochs is None else check_int(epochs, "epochs", least=0)
    check_callable(on_epoch, "on_epoch", "lambda epoch, score: print(epoch, score)")
    check_place(net, task)
    for name, parameter in net.named_parameters():
        if isinstance(parameter, nn.parameter.UninitializedParameter):
            raise ValueError(f"The parameter {name!r} is lazy and has no numbers yet: run the network once on a batch.")
        check_finite(parameter.detach(), f"The parameter {name!r}")
    net = copy.deepcopy(net)
    if recipe.channels_last:
        net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    half = torch.autocast(task.device.type, torch.bfloat16, enabled=recipe.precision == "bfloat16")
    if not all(parameter.is_leaf for parameter in net.parameters()):
        raise ValueError(
            "A copy of this network cannot be trained (is it a scripted one?): give the one that it was made of."
        )
    trainable = [parameter for parameter in net.parameters() if parameter.requires_grad]
    if not trainable:
        raise ValueError(
            "All parameters of this network are frozen, so there is nothing to train: net.requires_grad_(True)."
        )
    optimizer = optim.SGD(trainable, lr=recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay)
    enforce = Enforcer(mask, net, optimizer) if mask is not None else None
    best = evaluate(net, task, "valid").error if epochs == 0 else math.inf
    best_state = copy.deepcopy(net.state_dict())

    with progress_bar(progress, total=epochs, desc="training", unit="epoch", leave=False, delay=2) as bar:
        for epoch in range(1, epochs + 1):
            net.train()
            set_rate(optimizer, recipe.rate(epoch - 1, epochs))
            draws = generator(seed, "augment", epoch)
            for x, y in task.batches("train", recipe.batch_size, generator(seed, "order", epoch)):
                if recipe.augment is not None:
                    x = recipe.augment(x, draws)
                optimizer.zero_grad()
                with half, in_words(x):
                    logits = net(x)
                check_logits(logits, len(x), task.classes)
                if epoch == 1:
                    check_labels(y, logits.shape[1])
                F.cross_entropy(logits.to(trainable[0].dtype), y).backward()
                optimizer.step()
                if enforce is not None:
                    enforce()
            score = evaluate(net, task, "valid")
            if not math.isfinite(score.loss):
                raise ValueError(
                    f"The loss is {score.loss} after epoch {epoch}: the learning rate {recipe.lr:g} is too high for this network, "
                    "try a tenth of it."
                )
            if score.error < best:
                best, best_state = score.error, copy.deepcopy(net.state_dict())
            # A refresh would show the bar before its delay is over.
            bar.set_postfix_str(f"validation error {100 * score.error:.2f} %, best {100 * best:.2f} %", refresh=False)
            bar.update()
            if on_epoch is not None:
                on_epoch(epoch, score)
    net.load_state_dict(best_state)
    net.zero_grad(set_to_none=True)
    return net.eval()


def set_rate(optimizer: optim.Optimizer, rate: float) -> None:
    """Set an optimizer's learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate


class Enforcer:
    """Keeps pruned weights at zero while a network is trained: call it after every step of the optimizer.

    Momentum and weight decay would otherwise revive them, so the optimizer's buffers are masked too.
    """

    def __init__(self, mask: Mask, net: nn.Module, optimizer: optim.Optimizer) -> None:
        space = check_mask(mask).check(net)
        check_instance(optimizer, optim.Optimizer, "optimizer", "give the one that trains the network")
        self.parts, self.modules, self.optimizer = mask.parts(space), space.modules, optimizer
        _zero_pruned(self.parts, self.modules)

    def __call__(self) -> None:
        _zero_pruned(self.parts, self.modules)
        with torch.no_grad():
            for part, module in zip(self.parts, self.modules, strict=True):
                for buffer in self.optimizer.state.get(module.weight, {}).values():
                    if isinstance(buffer, Tensor) and buffer.shape == part.shape:
                        buffer.mul_(part)
