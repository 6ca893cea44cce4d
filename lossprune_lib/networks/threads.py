"""One thread at a time: whoever evaluates a network puts other weights and hooks into it meanwhile."""

from __future__ import annotations

from threading import RLock
from weakref import WeakKeyDictionary

from torch import nn

_LOCKS: WeakKeyDictionary[nn.Module, RLock] = WeakKeyDictionary()  # not in the networks, which are copied and pickled


def alone(net: nn.Module) -> RLock:
    """Return a network's lock: within it no other thread reads the network or evaluates it at other weights."""
    return _LOCKS.setdefault(net, RLock())
