"""How a network is trained: learning rate, schedule, batches and augmentation."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from lossprune_lib.checks import check_callable, check_choice, check_float, check_generator, check_instance, check_int

Augment = Callable[[Tensor, torch.Generator], Tensor]
SCHEDULES = ("steps", "one_cycle")
PRECISIONS = ("float32", "bfloat16")
OPTIMIZERS = ("sgd", "adamw")
_WARM_UP = 0.3  # the share of a cycle in which the learning rate rises


@dataclass(frozen=True)
class Recipe:
    """How a network is trained; all defaults but the epochs are the paper's for MNIST (Laurent et al. 2020, appendix).

    Attributes
    ----------
    epochs, batch_size : int
        How often all training examples are seen, and how many of them a step takes.
    lr, momentum, weight_decay : float
        As in `torch.optim.SGD`; weights of norms and biases decay too.
    milestones, lr_factor : after how many epochs the learning rate is multiplied, and by what
    schedule : "steps" or "one_cycle"
        Of the learning rate, set at each epoch: multiplied by `lr_factor` after each of the `milestones`; or rising
        linearly to `lr` over the first 30 % of the epochs and falling linearly to zero over the rest.
    channels_last : bool
        Store the weights of convolutions with their channels last, which is faster on most machines; the trained
        network keeps this layout.
    precision : "float32" or "bfloat16"
        Of the products in training (by torch's autocast); weights, pruning and evaluation keep the network's own.
    augment : (inputs [N, ...], CPU generator) -> inputs, optional
        Changes each training batch, such as `crop_and_flip`. Never used for pruning or evaluation.
    optimizer : "sgd" or "adamw"
        AdamW (Loshchilov and Hutter 2019), for transformers, is torch's, with `momentum` as its first beta.
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
    optimizer: str = field(default="sgd", metadata={"added": True})

    def __post_init__(self) -> None:
        object.__setattr__(self, "epochs", check_int(self.epochs, "epochs", least=0))
        object.__setattr__(self, "batch_size", check_int(self.batch_size, "batch_size"))
        for name in ("lr", "momentum", "weight_decay", "lr_factor"):
            object.__setattr__(self, name, check_float(getattr(self, name), name))
        if self.momentum >= 1:
            raise ValueError(f"momentum is {self.momentum:g}, but must be below 1.")
        if isinstance(self.milestones, str) or not isinstance(self.milestones, Iterable):
            raise TypeError(f"milestones are numbers of epochs, such as (60, 120), not {self.milestones!r}.")
        milestones = tuple(check_int(milestone, "a milestone", least=0) for milestone in self.milestones)
        object.__setattr__(self, "milestones", milestones)
        if not isinstance(self.channels_last, (bool, np.bool_)):
            raise TypeError(f"channels_last is True or False, not {self.channels_last!r}.")
        object.__setattr__(self, "channels_last", bool(self.channels_last))
        check_callable(self.augment, "augment", "training.crop_and_flip")
        check_choice(self.schedule, SCHEDULES, "schedule of the learning rate")
        check_choice(self.precision, PRECISIONS, "precision")
        check_choice(self.optimizer, OPTIMIZERS, "optimizer")

    def rate(self, epoch: int, epochs: int) -> float:
        """Return the learning rate of an epoch, counted from 0, in a training of `epochs` epochs."""
        if self.schedule == "one_cycle":
            done = (epoch + 0.5) / epochs
            return self.lr * min(done / _WARM_UP, (1 - done) / (1 - _WARM_UP))
        return self.lr * self.lr_factor ** sum(epoch >= milestone for milestone in self.milestones)


def crop_and_flip(x: Tensor, generator: torch.Generator, padding: int = 4) -> Tensor:
    """Shift each image [N, C, H, W] by up to `padding` pixels, filling with zeros, and mirror half of them."""
    check_instance(x, Tensor, "A batch of images", "convert it with torch.from_numpy")
    if x.ndim != 4:
        raise ValueError(f"Images to crop and flip are [N, C, H, W], but these have the shape {list(x.shape)}.")
    check_int(padding, "padding", least=0)
    check_generator(generator)
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
    remedy = "write for example training.Recipe(epochs=20)"
    return Recipe() if recipe is None else check_instance(recipe, Recipe, "A recipe", remedy)


AUGMENTATIONS: dict[str, Augment] = {"crop_and_flip": crop_and_flip}  # by name, for plans
