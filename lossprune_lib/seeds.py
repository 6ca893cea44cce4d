"""Random draws that are the same on every device: one CPU generator for each seed and purpose."""

from __future__ import annotations

import contextlib
import hashlib
import random
from collections.abc import Iterator

import numpy as np
import torch

from lossprune_lib.checks import check_int


def generator(seed: int, *purpose: str | int) -> torch.Generator:
    """Return a fresh CPU generator that depends on `seed` and `purpose` alone.

    Draws for different purposes (the split, the order of an epoch, a stage's batch) are then independent, and adding
    one never shifts another.

    Parameters
    ----------
    seed : int, at least 0
    purpose : strings and ints, such as ``("batch", 3)`` for the batch of stage 3
    """
    plain = (part if isinstance(part, str) else check_int(part, "purpose", least=0) for part in purpose)
    key = repr((check_int(seed, "seed", least=0), *plain)).encode()
    digest = hashlib.sha256(key).digest()
    return torch.Generator(device="cpu").manual_seed(int.from_bytes(digest[:8], "little", signed=True))


@contextlib.contextmanager
def own_draws(device: torch.device, seed: int, *purpose: str | int) -> Iterator[None]:
    """Let what a network draws by itself, as dropout does, depend on `seed` and `purpose` alone.

    Torch's own generators, of the CPU and of the device, are afterwards as they were before.
    """
    number = generator(seed, *purpose).initial_seed()
    on_gpu = device.type == "cuda"
    with torch.random.fork_rng([device] if on_gpu else []):
        torch.default_generator.manual_seed(number)
        if on_gpu:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(number)
        yield


@contextlib.contextmanager
def draws_of_data(seed: int, *purpose: str | int) -> Iterator[None]:
    """Let what a data set draws, by torch, NumPy or Python, depend on `seed` and `purpose` alone.

    Their own generators, which torch seeds in a loader's workers too, are afterwards as they were before.
    """
    of_python, of_numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    number = generator(seed, *purpose).initial_seed()
    with own_draws(torch.device("cpu"), seed, *purpose):
        try:
            random.seed(number)
            np.random.seed(number % 2**32)  # noqa: NPY002
            yield
        finally:
            random.setstate(of_python)
            np.random.set_state(of_numpy)  # noqa: NPY002
