"""The named data sets, each as a `Task`."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lossprune_lib.checks import check_choice
from lossprune_lib.data import characters, downloads
from lossprune_lib.data.task import Task, find_device
from lossprune_lib.seeds import generator

NAMES = ("digits", "python_reference", *downloads.SOURCES)
_DIGITS_EXAMPLES = 300  # for validation, and as many for the test


def load(
    name: str,
    *,
    device: str | torch.device = "auto",
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
    progress: bool = True,
) -> Task:
    """Load a named data set as a `Task`; images are normalised by the mean and deviation of those for training.

    Parameters
    ----------
    name : "digits", "python_reference", "mnist", "fashion_mnist" or "cifar10"
        "digits" (8 x 8 images) comes with scikit-learn and "python_reference" with this library, so they never need a
        network. The others are downloaded once into the user's cache; a folder named by the environment variable
        ``LOSSPRUNE_DATA`` is searched first. "python_reference" is a text, for language models: the inputs are tokens
        of characters [N, 96], int64, the labels the tokens that follow each, [N, 96] (see `data.characters`).
    device : "auto", or what torch takes
        "auto" is a CUDA accelerator if there is one, else the CPU.
    seed : int
        Decides which examples are for training and which for validation. The test set is always the same, and so are
        all parts of a text: its end is held out.
    dtype : torch.float32 or torch.float64
        Of images.
    progress : bool
        Whether a download shows a bar.

    Raises
    ------
    ValueError
        for an unknown name, or a damaged file.
    ConnectionError
        if a download fails; the message says what to do without a network.
    """
    check_choice(name, NAMES, "data set")
    if not isinstance(dtype, torch.dtype) or dtype not in (torch.float32, torch.float64):
        raise ValueError(f"dtype is {dtype}, but images are torch.float32 or torch.float64.")
    order_of_split = generator(seed, "split", name)
    if name == "python_reference":
        return _text(name, find_device(device))
    return _normalised(name, order_of_split, device, dtype, progress)


def _normalised(
    name: str, order_of_split: torch.Generator, device: str | torch.device, dtype: torch.dtype, progress: bool
) -> Task:
    x_train, y_train, x_test, y_test, class_names = _digits() if name == "digits" else _images(name, progress)

    order = torch.randperm(len(x_train), generator=order_of_split)
    for_valid = _DIGITS_EXAMPLES if name == "digits" else downloads.SOURCES[name].valid_examples
    valid, train = order[:for_valid], order[for_valid:]
    if len(train) == 0:
        raise ValueError(
            f"{name} has only {len(x_train)} training images, all of them needed for validation: replace the file."
        )
    mean, deviation = _statistics(name, x_train[train])
    place = find_device(device)

    def normal(x: Tensor) -> Tensor:
        return x.sub(mean).div_(deviation).to(device=place, dtype=dtype)

    return Task(
        normal(x_train[train]),
        y_train[train].to(place),
        normal(x_train[valid]),
        y_train[valid].to(place),
        normal(x_test),
        y_test.to(place),
        classes=len(class_names),
        name=name,
        class_names=class_names,
    )


def _text(name: str, place: torch.device) -> Task:
    names = characters.vocabulary()
    parts = {
        f"{kind}_{split}": tensor.to(place)
        for split, pair in characters.sequences(name).items()
        for kind, tensor in zip("xy", pair, strict=True)
    }
    return Task(**parts, classes=len(names), name=name, class_names=names)


def _statistics(name: str, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean and deviation of each channel of the training images [N, C, H, W]."""
    channels = (0, *range(2, x.ndim))
    deviation, mean = torch.std_mean(x.double(), dim=channels, correction=0, keepdim=True)
    if not deviation.all():
        raise ValueError(f"All training images of {name} have the same pixels in a channel: replace the file.")
    return mean.float(), deviation.float()


def _digits() -> tuple[Tensor, Tensor, Tensor, Tensor, tuple[str, ...]]:
    # Scikit-learn's own file, without scikit-learn: importing it takes longer than everything up to the first figure.
    package = find_spec("sklearn")
    if package is None or package.origin is None:
        raise ModuleNotFoundError(
            "The digits come with scikit-learn, which is not installed: pip install scikit-learn."
        )
    file = Path(package.origin).with_name("datasets") / "data" / "digits.csv.gz"
    table = torch.from_numpy(np.loadtxt(file, delimiter=",", dtype=np.int64))
    x = table[:, :-1].float().div_(16).reshape(-1, 1, 8, 8)
    y = table[:, -1].clone()
    # Scikit-learn lists the digits writer by writer, so the test images are drawn from all of them, always the same.
    order = torch.randperm(len(x), generator=generator(0, "test images", "digits"))
    test, rest = order[:_DIGITS_EXAMPLES], order[_DIGITS_EXAMPLES:]
    return x[rest], y[rest], x[test], y[test], tuple("0123456789")


def _images(name: str, progress: bool) -> tuple[Tensor, Tensor, Tensor, Tensor, tuple[str, ...]]:
    arrays = downloads.read(name, progress)

    def pixels(key: str) -> Tensor:
        x = torch.from_numpy(arrays[key])
        x = x.unsqueeze(1) if x.ndim == 3 else x.permute(0, 3, 1, 2)
        return x.to(torch.float32, memory_format=torch.contiguous_format).div_(255)

    y_train, y_test = (torch.from_numpy(arrays[key]) for key in ("y_train", "y_test"))
    return pixels("x_train"), y_train, pixels("x_test"), y_test, downloads.SOURCES[name].class_names
