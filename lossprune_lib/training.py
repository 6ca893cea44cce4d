"""Training and fine-tuning: plain SGD, best on validation kept, pruned weights held at zero."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn, optim
from torch.nn import functional as F

from lossprune_lib import checks
from lossprune_lib.batches import check_labels
from lossprune_lib.data import Task
from lossprune_lib.forward import check_logits, in_words
from lossprune_lib.masks import Enforcer, Mask
from lossprune_lib.progress import progress_bar
from lossprune_lib.seeds import generator

Augment = Callable[[Tensor, torch.Generator], Tensor]
SCHEDULES = ("steps", "one_cycle")
PRECISIONS = ("float32", "bfloat16")
_RISE = 0.3  # the share of a cycle in which the learning rate rises


@dataclass(frozen=True)
class Recipe:
    """How a network is trained; the defaults are the paper's for MNIST (Laurent et al. 2020, appendix), but for epochs.

    Attributes
    ----------
    schedule : "steps" or "one_cycle"
        Of the learning rate, set at each epoch: multiplied by `lr_factor` after each of the `milestones`; or rising in a
        straight line to `lr` over the first 30 % of the epochs and falling to zero over the rest.
    channels_last : bool
        Keep the weights of convolutions channel by channel, which is faster on most machines; the network stays so.
    precision : "float32" or "bfloat16"
        Of the products in training (by torch's autocast); weights, pruning and evaluation stay in the network's own.
    augment : (inputs [N, ...], CPU generator) -> inputs, optional
        Changes each training batch, such as `crop_and_flip`. Never used for pruning or evaluation.
    """

    epochs: int = 20
    lr: float = 0.01
    momentum: float = 0.9
    weight_decay: float = 5e-4
    batch_size: int = 100
    schedule: str = "steps"
    milestones: tuple[int, ...] = ()
    lr_factor: float = 0.1
    channels_last: bool = False
    precision: str = "float32"
    augment: Augment | None = None

    def __post_init__(self) -> None:
        checks.whole(self.epochs, "epochs", least=0)
        checks.whole(self.batch_size, "batch_size")
        for name in ("lr", "momentum", "weight_decay", "lr_factor"):
            object.__setattr__(self, name, checks.real(getattr(self, name), name))
        if isinstance(self.milestones, str) or not isinstance(self.milestones, Iterable):
            raise TypeError(f"milestones are numbers of epochs, such as (60, 120), not {self.milestones!r}.")
        milestones = tuple(checks.whole(milestone, "a milestone", least=0) for milestone in self.milestones)
        object.__setattr__(self, "milestones", milestones)
        if not isinstance(self.channels_last, (bool, np.bool_)):
            raise TypeError(f"channels_last is True or False, not {self.channels_last!r}.")
        object.__setattr__(self, "channels_last", bool(self.channels_last))
        checks.called(self.augment, "augment", "training.crop_and_flip")
        checks.known(self.schedule, SCHEDULES, "schedule of the learning rate")
        checks.known(self.precision, PRECISIONS, "precision")

    def rate(self, epoch: int, epochs: int) -> float:
        """Return the learning rate of an epoch, counted from 0, of so many."""
        if self.schedule == "one_cycle":
            done = (epoch + 0.5) / epochs
            return self.lr * min(done / _RISE, (1 - done) / (1 - _RISE))
        return self.lr * self.lr_factor ** sum(epoch >= milestone for milestone in self.milestones)


@dataclass(frozen=True)
class Score:
    """The mean loss of a network on a split, and the share of examples that it gets wrong."""

    loss: float
    error: float

    @property
    def accuracy(self) -> float:
        return 1 - self.error


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
    epochs = recipe.epochs if epochs is None else checks.whole(epochs, "epochs", least=0)
    checks.called(on_epoch, "on_epoch", "lambda epoch, score: print(epoch, score)")
    check_place(net, task)
    for name, parameter in net.named_parameters():
        if isinstance(parameter, nn.parameter.UninitializedParameter):
            raise ValueError(f"The parameter {name!r} is lazy and has no numbers yet: run the network once on a batch.")
        checks.finite(parameter.detach(), f"The parameter {name!r}")
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


@torch.no_grad()
def evaluate(net: nn.Module, task: Task, split: str = "valid") -> Score:
    """Return the loss and error of a network on "train", "valid" or "test", in eval mode; the network is not changed."""
    check_place(net, task)
    training = {module for module in net.modules() if module.training}
    net.eval()
    try:
        return score(net, task, split)
    finally:
        for module in training:
            module.training = True


@torch.no_grad()
def score(call: Callable[[Tensor], Tensor], task: Task, split: str) -> Score:
    """Return the loss and error of a function from inputs to logits on a split."""
    loss, wrong, examples = 0.0, 0, 0
    for x, y in task.batches(split):
        with in_words(x):
            logits = call(x)
        check_logits(logits, len(x), task.classes)
        check_labels(y, logits.shape[1])
        loss += F.cross_entropy(logits, y, reduction="sum").item()
        wrong += int((logits.argmax(1) != y).sum())
        examples += len(y)
    return Score(loss / check_examples(examples, split), wrong / examples)


def check_examples(examples: int, split: str) -> int:
    """Return the number of examples of a split; raise ValueError if there are none."""
    if examples == 0:
        raise ValueError(f"The split {split!r} of this task has no examples: its batches must yield at least one.")
    return examples


def set_rate(optimizer: optim.Optimizer, rate: float) -> None:
    """Set an optimizer's learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def crop_and_flip(x: Tensor, generator: torch.Generator, padding: int = 4) -> Tensor:
    """Shift each image [N, C, H, W] by up to `padding` pixels, zeros moving in, and mirror half of them."""
    checks.instance(x, Tensor, "A batch of images", "convert it with torch.from_numpy")
    if x.ndim != 4:
        raise ValueError(f"Images to crop and flip are [N, C, H, W], but these have the shape {list(x.shape)}.")
    checks.whole(padding, "padding", least=0)
    checks.generator(generator)
    examples, _, height, width = x.shape
    padded = F.pad(x, (padding,) * 4)
    rows = torch.randint(2 * padding + 1, (examples, 1), generator=generator) + torch.arange(height)
    columns = torch.randint(2 * padding + 1, (examples, 1), generator=generator) + torch.arange(width)
    mirrored = torch.rand(examples, 1, generator=generator) < 0.5
    columns = torch.where(mirrored, columns.flip(1), columns)
    example = torch.arange(examples, device=x.device).view(-1, 1, 1)
    return padded[example, :, rows.to(x.device).unsqueeze(2), columns.to(x.device).unsqueeze(1)].permute(0, 3, 1, 2)


def check_recipe(recipe: Recipe | None) -> Recipe:
    """Return a recipe, the default one for None; raise TypeError for anything else."""
    if recipe is not None and not isinstance(recipe, Recipe):
        raise TypeError(f"A recipe is a training.Recipe, not {recipe!r}: write for example training.Recipe(epochs=20).")
    return recipe or Recipe()


def check_place(net: nn.Module, task: Task) -> None:
    """Raise TypeError or ValueError unless they are a network and a task, on one device and of one dtype."""
    checks.network(net)
    checks.task(task, "batches", "sample")
    parameter = next(net.parameters(), None)
    if parameter is None:
        return
    if parameter.device != task.device or (task.dtype.is_floating_point and parameter.dtype != task.dtype):
        raise ValueError(
            f"The network is {parameter.dtype} on {parameter.device}, the task {task.dtype} on {task.device}: "
            "move one of them, for example task.to(device, dtype) or net.to(device, dtype)."
        )


AUGMENTATIONS: dict[str, Augment] = {"crop_and_flip": crop_and_flip}  # by name, for plans
