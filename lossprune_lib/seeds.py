"""Random draws that are the same on every device: one CPU generator for each seed and purpose."""

from __future__ import annotations

import hashlib

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
    plain = [_plain(part, "purpose") for part in purpose]
    key = repr((_plain(seed, "seed"), *plain)).encode()
    digest = hashlib.sha256(key).digest()
    return torch.Generator(device="cpu").manual_seed(int.from_bytes(digest[:8], "little", signed=True))


def _plain(part: str | int, what: str) -> str | int:
    """Return a string or an int, so that a number has one form whoever's integer it is."""
    if isinstance(part, str) and what == "purpose":
        return part
    return part if type(part) is int and part >= 0 else check_int(part, what, least=0)
