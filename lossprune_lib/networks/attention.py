"""Attention as plain operations, which have the derivatives and the batches that what torch fuses has not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Lock

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

# Torch's switches are those of the whole process: who enters first turns them, and who leaves last turns them back.
_LOCK, _SWITCHED = Lock(), ExitStack()
_inside = 0


@contextmanager
def plain_attention() -> Iterator[None]:
    """Compute attention one operation after another in what runs inside, in any thread."""
    global _inside
    with _LOCK:
        _inside += 1
        if _inside == 1:
            _SWITCHED.callback(torch.backends.mha.set_fastpath_enabled, torch.backends.mha.get_fastpath_enabled())
            torch.backends.mha.set_fastpath_enabled(False)
            _SWITCHED.enter_context(sdpa_kernel(SDPBackend.MATH))
    try:
        yield
    finally:
        with _LOCK:
            _inside -= 1
            if _inside == 0:
                _SWITCHED.close()
