"""Copies of a network, which the library prunes and trains in the original's place."""

from __future__ import annotations

import copy
import inspect
from contextlib import suppress
from functools import partial
from types import FunctionType, MethodType
from typing import TypeVar

import torch
from torch import nn

from lossprune_lib.networks.choice import check_plain, unwrapped
from lossprune_lib.networks.threads import check_idle
from lossprune_lib.networks.weights import WeightSpace

Copied = TypeVar("Copied", nn.Module, WeightSpace)


def copied(given: Copied) -> Copied:
    """Return a deep copy of a network, or of a space with its network.

    Raises
    ------
    ValueError, RuntimeError
        if a module keeps what cannot be copied, the copy would compute with the original's layers, or another thread
        evaluates the network.
    """
    check_idle(_network(given))
    theirs = {id(entry) for entry in _parts(_network(given))}
    try:
        found = copy.deepcopy(given)
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, TypeError) as error:
        raise _not_copied(_network(given), str(error)) from error
    _check_apart(_network(found), theirs)
    return found


def _check_apart(copied_net: nn.Module, theirs: set[int]) -> None:
    """Raise ValueError if a forward of the copy refers to the parts of the original, by their ids.

    Hooks may: most of them only record.
    """
    for name, module in copied_net.named_modules():
        if _holds(vars(module).get("forward"), theirs):
            raise ValueError(
                f"A copy of this network computes with the original's layers (the forward of module {name!r} holds on "
                "to them), so pruning or training it would change nothing: define forward in the class."
            )


def _network(given: nn.Module | WeightSpace) -> nn.Module:
    return unwrapped(given.net if isinstance(given, WeightSpace) else given)


def _parts(net: nn.Module) -> list[nn.Module | torch.Tensor]:
    return [*net.modules(), *net.parameters(), *net.buffers()]


def _not_copied(net: nn.Module, error: str) -> ValueError:
    if "graph leaves" in error:
        check_plain(net)  # what is computed from others says it better
    reason = "a tensor with a graph" if "graph leaves" in error else error.partition("\n")[0].rstrip(".")
    return ValueError(
        f"The network cannot be copied, as {_what_cannot_be_copied(net)} cannot ({reason}): delete it, or keep it "
        "outside of the network, a tensor as x.detach()."
    )


def _what_cannot_be_copied(net: nn.Module) -> str:
    for name, module in net.named_modules():
        for key, value in {**vars(module), **module._buffers}.items():
            try:
                copy.deepcopy(None if key in ("_modules", "_buffers") else value)
            except Exception:  # whatever it is: only the name of what raises it is wanted
                return f"{key!r} of module {name!r}" if name else repr(key)
    return "a part of it"


def _holds(function: object, theirs: set[int]) -> bool:
    """Return whether a plain function, of which a copy is the function itself, refers to some objects, by their ids."""
    waiting, seen = [function], set[int]()
    while waiting:
        found = waiting.pop()
        found = found.func if isinstance(found, partial) else found  # whose arguments are copied
        if not isinstance(found, FunctionType) or id(found) in seen:
            continue
        seen.add(id(found))
        held = [*(found.__defaults__ or ()), *(found.__kwdefaults__ or {}).values()]
        with suppress(ValueError):  # a variable that has no value yet
            names = inspect.getclosurevars(found)
            held += [*names.nonlocals.values(), *names.globals.values()]
            waiting += names.nonlocals.values()
        if any(id(value.__self__ if isinstance(value, MethodType) else value) in theirs for value in held):
            return True
    return False
