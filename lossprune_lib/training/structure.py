"""Structure: what decides what a network computes beside its parameters and buffers, in words that stay the same."""

from __future__ import annotations

import dataclasses
from argparse import Namespace
from collections.abc import Mapping
from enum import Enum
from functools import partial
from numbers import Number
from types import SimpleNamespace

import numpy as np
import torch
from torch import Tensor, nn

from lossprune_lib import files

_OF_EVERY_MODULE = frozenset(vars(nn.Module()))  # its parameters, hooks and mode, which are compared elsewhere


def structure(net: nn.Module) -> list[tuple[str, str, str, str]]:
    """Return the name, type and settings of each module: equal for networks of one architecture, in any process."""
    return [
        (name, _name(type(module)), module.extra_repr(), _in_words(_settings(module)))
        for name, module in net.named_modules()
    ]


def _settings(module: nn.Module) -> dict[str, object]:
    """Return a module's own attributes: its forward pass may read them, though `extra_repr` leaves them out."""
    return {name: value for name, value in sorted(vars(module).items()) if name not in _OF_EVERY_MODULE}


def _in_words(value: object) -> str:
    """Describe a setting: plain values, functions and what is made of them; of anything else, its type alone.

    The usual description of an object has its address, which is another one in each process.
    """
    if value is None or isinstance(value, (str, bytes, Number, torch.dtype, torch.device, torch.Size)):
        return repr(value)
    if isinstance(value, Enum):
        return f"{_name(type(value))}.{value.name}"
    if isinstance(value, partial):
        return f"{_in_words(value.func)}{_in_words(value.args)}{_in_words(value.keywords)}"
    if isinstance(value, (Tensor, np.ndarray)) and not isinstance(value, nn.Parameter):
        numbers = torch.as_tensor(value).detach().cpu().contiguous()
        return f"{numbers.dtype}{list(numbers.shape)}{files.fingerprint({'numbers': numbers}, {})}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_in_words, value))}]"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{_in_words(key)}: {_in_words(entry)}' for key, entry in value.items())}}}"
    if isinstance(value, (set, frozenset)):
        return f"{{{', '.join(sorted(map(_in_words, value)))}}}"
    if isinstance(value, (SimpleNamespace, Namespace)):
        return _name(type(value)) + _in_words(vars(value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _name(type(value)) + _in_words({e.name: getattr(value, e.name, None) for e in dataclasses.fields(value)})
    return _name(value if hasattr(value, "__qualname__") else type(value))


def _name(kind: object) -> str:
    return str(getattr(kind, "__qualname__", ""))  # a class that moves to another module is the same one
