"""Task: the train, valid and test tensors of a data set, on one device; and what is read of any other task."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from lossprune_lib.checks import check_choice, check_finite, check_generator, check_instance, check_int, check_list

SPLITS = ("train", "valid", "test")

Batch = tuple[Any, Tensor]  # inputs [N, ...], a tensor or a tuple or dict of such, and targets [N, ...]


class TaskLike(Protocol):
    """All that training, evaluation and pruning read of a task: a `Task`, a `LoaderTask`, or a class of your own.

    The networks of `models` also read a `shape` and `classes`.
    """

    @property
    def device(self) -> torch.device:
        """Where the batches are."""

    @property
    def dtype(self) -> torch.dtype:
        """Of the inputs; where it is a floating-point one, networks must have it too."""

    def sample(self, examples: int, generator: torch.Generator) -> Batch:
        """Draw different training examples; all of them, if there are fewer."""

    def batches(self, split: str, batch_size: int = ..., generator: torch.Generator | None = ...) -> Iterator[Batch]:
        """Yield all of "train", "valid" or "test" in batches: in order, or shuffled if a generator is given.

        Each call begins anew.
        """


@dataclass(frozen=True, eq=False)
class Task:
    """A task in memory: inputs [N, *shape] and targets [N, ...] for training, validation and test.

    `classes` is None where the targets are not class numbers. `from_tensors` checks tensors of your own more
    closely. For other data see `TaskLike`.
    """

    x_train: Tensor
    y_train: Tensor
    x_valid: Tensor
    y_valid: Tensor
    x_test: Tensor
    y_test: Tensor
    classes: int | None
    name: str = "custom"
    class_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for split in SPLITS:
            _check_counts(split, *self.split(split))

    @classmethod
    def from_tensors(
        cls,
        x_train: Tensor,
        y_train: Tensor,
        x_valid: Tensor,
        y_valid: Tensor,
        x_test: Tensor,
        y_test: Tensor,
        *,
        classes: int | None = None,
        name: str = "custom",
        class_names: tuple[str, ...] = (),
    ) -> Task:
        """Check tensors of your own and make a task of them.

        Parameters
        ----------
        x_train, x_valid, x_test : float or int64 [N, *shape]
            Inputs as the network takes them, best with mean 0 and deviation 1 over the training set.
        y_train, y_valid, y_test : int64 [N, ...] or float [N, ...]
            Labels from 0 to ``classes - 1``, or -100 at positions that do not count; or numbers to be met.
        classes : int, optional
            The number of classes; by default the largest label plus one, or None if the targets are numbers. Given for
            such, it is how many outputs the networks of `models` have.
        name, class_names : what figures call the data and its classes

        Raises
        ------
        TypeError, ValueError
            if a shape, dtype, device or label does not fit, or a number is NaN or infinite.
        """
        parts = {"train": (x_train, y_train), "valid": (x_valid, y_valid), "test": (x_test, y_test)}
        for split, (x, y) in parts.items():
            _check_examples(split, x, y)
            for kind, part, first in (("x", x, x_train), ("y", y, y_train)):
                if (part.shape[1:], part.dtype, part.device) != (first.shape[1:], first.dtype, first.device):
                    raise ValueError(
                        f"{kind}_{split} is {_kind(part)}, but {kind}_train is {_kind(first)}: give all splits one "
                        "shape, dtype and device."
                    )
        if classes is not None:
            check_int(classes, "classes")
        if not y_train.is_floating_point():
            largest = max(int(y.max()) for _, y in parts.values())
            classes = largest + 1 if classes is None else int(classes)
            if largest >= classes:
                raise ValueError(
                    f"There is a label {largest}, but only {classes} classes: labels go from 0 to classes - 1."
                )
        class_names = tuple(check_list(class_names, "class_names", '["cat", "dog"]'))
        if class_names and len(class_names) != classes:
            raise ValueError(
                f"There are {len(class_names)} class names for {classes or 'no'} classes: give one each, or none."
            )
        return cls(x_train, y_train, x_valid, y_valid, x_test, y_test, classes, name, class_names)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one input, such as (1, 28, 28)."""
        return tuple(self.x_train.shape[1:])

    @property
    def device(self) -> torch.device:
        return self.x_train.device

    @property
    def dtype(self) -> torch.dtype:
        return self.x_train.dtype

    def split(self, split: str) -> Batch:
        """Return all inputs and labels of "train", "valid" or "test"."""
        check_choice(split, SPLITS, "split")
        return getattr(self, f"x_{split}"), getattr(self, f"y_{split}")

    def sample(self, examples: int, generator: torch.Generator) -> Batch:
        """Draw `examples` different training examples; all of them, in a random order, if there are fewer."""
        examples = check_int(examples, "examples")
        order = torch.randperm(len(self.x_train), generator=check_generator(generator))[:examples].to(self.device)
        return self.x_train.index_select(0, order), self.y_train.index_select(0, order)

    def batches(self, split: str, batch_size: int = 1000, generator: torch.Generator | None = None) -> Iterator[Batch]:
        """Yield all of a split in batches: in order, or shuffled if a generator is given."""
        x, y = self.split(split)
        batch_size = check_int(batch_size, "batch_size")
        if generator is None:
            yield from zip(x.split(batch_size), y.split(batch_size), strict=True)
        else:
            order = torch.randperm(len(x), generator=check_generator(generator)).to(self.device)
            for rows in order.split(batch_size):
                yield x[rows], y[rows]

    def to(self, device: str | torch.device | None = None, dtype: torch.dtype | None = None) -> Task:
        """Return the same task on another device, or in another floating-point dtype.

        Raises
        ------
        TypeError, ValueError
            if this machine has no such device, or dtype is not a floating-point one of torch.
        """
        place = None if device is None else find_device(device)
        if dtype is not None:
            dtype = check_instance(dtype, torch.dtype, "dtype", "write for example torch.float64")
            if not dtype.is_floating_point:
                raise ValueError(f"dtype is {dtype}, but must be a floating-point one, such as torch.float64.")

        def moved(split: str) -> Batch:
            parts = self.split(split)
            x, y = (part.to(device=place, dtype=dtype if part.is_floating_point() else None) for part in parts)
            return x, y

        splits = (*moved("train"), *moved("valid"), *moved("test"))
        return Task(*splits, classes=self.classes, name=self.name, class_names=self.class_names)

    def __repr__(self) -> str:
        counts = ", ".join(f"{len(self.split(split)[0]):,} {split}" for split in SPLITS)
        of = f"targets {tuple(self.y_train.shape[1:])}" if self.classes is None else f"{self.classes} classes"
        return f"Task({self.name!r}: {counts}; {of}; inputs {self.shape}; {self.dtype} on {self.device})"


def find_device(device: str | torch.device) -> torch.device:
    """Return the device of a name; "auto" is a CUDA accelerator if there is one, else the CPU.

    Raises
    ------
    ValueError
        if this machine has no such device.
    """
    if isinstance(device, str) and device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        place = torch.device(device)
        torch.empty(0, device=place)
    except (RuntimeError, TypeError, ValueError, AssertionError) as error:
        raise ValueError(f'There is no device {device!r} here: use "auto" or "cpu", or "cuda" where it is.') from error
    return place


def _check_counts(split: str, x: Tensor, y: Tensor) -> None:
    if not isinstance(x, Tensor) or not isinstance(y, Tensor):
        raise TypeError(f"x_{split} and y_{split} must be torch tensors: convert arrays with torch.from_numpy.")
    if x.ndim < 2 or y.ndim == 0 or len(x) == 0 or len(x) != len(y):
        raise ValueError(
            f"x_{split} is {_kind(x)} and y_{split} {_kind(y)}: give at least one example, inputs of shape [N, ...] "
            "and N targets."
        )


def _check_examples(split: str, x: Tensor, y: Tensor) -> None:
    _check_counts(split, x, y)
    if x.dtype not in (torch.float32, torch.float64, torch.int64):
        raise TypeError(
            f"x_{split} is {x.dtype}, but must be float32 or float64 (or int64, for embeddings): convert it with "
            ".float()."
        )
    if y.dtype not in (torch.float32, torch.float64, torch.int64):
        raise TypeError(f"y_{split} is {_kind(y)}: convert class numbers with .long(), other targets with .float().")
    if x.device != y.device:
        raise ValueError(f"x_{split} is on {x.device} and y_{split} on {y.device}: move them to one device.")
    if x.is_floating_point() and y.is_floating_point() and x.dtype != y.dtype:
        raise ValueError(f"x_{split} is {x.dtype} and y_{split} {y.dtype}: convert one of them.")
    check_finite(x, f"x_{split}", "repair these examples, or leave them out")
    check_finite(y, f"y_{split}", "repair these targets, or leave their examples out")
    if not y.is_floating_point() and bool(((y < 0) & (y != -100)).any()):
        raise ValueError(f"y_{split} has the label {int(y.min())}: labels go from 0 to classes - 1.")


def _kind(tensor: Tensor) -> str:
    return f"{tensor.dtype} {list(tensor.shape)} on {tensor.device}"
