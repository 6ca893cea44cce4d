"""Copies of a network, which the library prunes and trains in the original's place."""

from __future__ import annotations

import copy
import dis
from functools import partial
from types import CellType, FunctionType, MethodType
from typing import TypeVar

import torch
from torch import nn

from lossprune_lib.networks.choice import check_plain, unwrapped
from lossprune_lib.networks.threads import alone
from lossprune_lib.networks.weights import WeightSpace

Copied = TypeVar("Copied", nn.Module, WeightSpace)


def copied(given: Copied) -> Copied:
    """Return a deep copy of a network, or of a space with its network.

    Raises
    ------
    ValueError
        if a module keeps what cannot be copied, or the copy would compute with the original's layers.
    """
    with alone(_network(given)):
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
    """Raise ValueError if a copy's functions refer to the parts of the original, by their ids."""
    for name, module in copied_net.named_modules():
        hooks = [*module._forward_pre_hooks.values(), *module._forward_hooks.values()]
        if any(_holds(function, theirs) for function in (vars(module).get("forward"), *hooks)):
            raise ValueError(
                f"A copy of this network computes with the original's layers (a forward or a hook of module {name!r} "
                "holds on to them), so pruning or training it would change nothing: define forward in the class, and "
                "let a hook use the module that it is given."
            )


def _network(given: nn.Module | WeightSpace) -> nn.Module:
    return unwrapped(given.net if isinstance(given, WeightSpace) else given)


def _parts(net: nn.Module) -> list[nn.Module | torch.Tensor]:
    return [*net.modules(), *net.parameters(), *net.buffers()]


def _not_copied(net: nn.Module, error: str) -> ValueError:
    check_plain(net)  # what is computed from others says it better
    reason = "a tensor with a graph" if "graph leaves" in error else error.partition("\n")[0].rstrip(".")
    return ValueError(
        f"The network cannot be copied, as {_what_cannot_be_copied(net)} cannot ({reason}): delete it, or keep it "
        "outside of the network, a tensor as x.detach()."
    )


def _what_cannot_be_copied(net: nn.Module) -> str:
    for name, module in net.named_modules():
        for key, value in vars(module).items():
            try:
                copy.deepcopy(None if key == "_modules" else value)
            except Exception:
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
        names = {step.argval for step in dis.get_instructions(found) if step.opname == "LOAD_GLOBAL"}
        held = [cell.cell_contents for cell in found.__closure__ or () if cell != CellType()]
        waiting += held
        held += [*(found.__defaults__ or ()), *(found.__globals__.get(name) for name in names)]
        if any(id(value.__self__ if isinstance(value, MethodType) else value) in theirs for value in held):
            return True
    return False
