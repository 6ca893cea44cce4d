"""One thread at a time: whoever evaluates a network puts other weights and hooks into it meanwhile."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from threading import get_ident
from weakref import WeakKeyDictionary

import torch
from torch import nn

_BUSY: WeakKeyDictionary[nn.Module, list[int]] = WeakKeyDictionary()  # the thread, and how deep it is in `alone`
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_BUSY.clear)  # whose other threads are gone


@contextmanager
def alone(net: nn.Module) -> Iterator[None]:
    """Keep other threads from a network while this one changes it; raise RuntimeError if another is at it."""
    if torch.compiler.is_compiling():
        yield
        return
    busy = _BUSY.setdefault(net, [get_ident(), 0])  # one step, so that two threads cannot both begin
    _check_own(busy)
    busy[1] += 1
    try:
        yield
    finally:
        busy[1] -= 1
        if busy[1] == 0:
            _BUSY.pop(net, None)


def check_idle(net: nn.Module) -> None:
    """Raise RuntimeError if another thread is changing a network, so that it cannot be read."""
    _check_own(_BUSY.get(net, [get_ident(), 0]))


def _check_own(busy: list[int]) -> None:
    if busy[0] != get_ident():
        raise RuntimeError(
            "This network is being evaluated in another thread, which puts other weights into it meanwhile: give each "
            "thread its own copy.deepcopy(net)."
        )
