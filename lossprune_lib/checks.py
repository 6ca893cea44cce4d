"""Checks that refuse bad input before any work starts, with a sentence that says what to do."""

from __future__ import annotations

import difflib
import math
import numbers
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

_MOST = 2**63 - 1  # the largest number that torch takes as a size

Kind = TypeVar("Kind")


def check_choice(name: object, options: Iterable[str], what: str) -> str:
    """Return `name` if it is one of `options`; else raise ValueError, suggesting a near match."""
    options = list(options)
    if isinstance(name, str) and name in options:
        return name
    raise ValueError(
        f"There is no {what} called {name!r}.{suggestion(name, options)} Choose one of: {', '.join(options)}."
    )


def suggestion(name: object, options: Iterable[str]) -> str:
    """Return " Did you mean 'option'?" for the option nearest to a wrong name; nothing if none is near."""
    lower = {option.lower(): option for option in options}
    wrong = str(name).lower()
    near = difflib.get_close_matches(wrong, lower, n=1)
    near += [option for option in lower if wrong and option.startswith(wrong)]
    return f" Did you mean {lower[near[0]]!r}?" if near else ""


def check_int(value: object, what: str, least: int = 1) -> int:
    """Return `value` as an int of at least `least`; else raise TypeError or ValueError."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{what} must be a whole number, not {value!r}: give for example {max(least, 1)}.")
    number = int(value)
    if number < least:
        raise ValueError(f"{what} is {number}, but must be at least {least}.")
    if number > _MOST:
        raise ValueError(f"{what} is too large, it must be at most {_MOST}: give a smaller number.")
    return number


def check_float(value: object, what: str, least: float = 0.0) -> float:
    """Return `value` as a finite float of at least `least`; else raise TypeError or ValueError."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{what} must be a number, not {value!r}.")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number) or number < least:
        raise ValueError(f"{what} is {number}, but must be finite and at least {least:g}.")
    return number


def check_sparsity(value: object, what: str = "sparsity") -> float:
    """Return `value` as a float in [0, 1), the share of weights that is zero; else raise."""
    number = check_float(value, what)
    if number >= 1:
        raise ValueError(
            f"{what} is {number:g}, but must be in [0, 1): it is the share of weights that is zero, "
            "so write 95 % as 0.95."
        )
    return number


def check_network(net: object) -> nn.Module:
    """Return `net` if it is a network; else raise TypeError."""
    return check_instance(net, nn.Module, "A network", "make a torch.nn.Module, such as models.mlp_300_100(task)")


def check_task(given: object, *needs: str) -> None:
    """Raise TypeError unless `given` has the attributes that are needed of a task."""
    lacks = [name for name in (*needs, "device", "dtype") if not hasattr(given, name)]
    if lacks:
        raise TypeError(
            f'A task is what data.load gives, not a {type(given).__name__}: write data.load("digits"), or give a class '
            f"of your own what it lacks: {', '.join(lacks)}."
        )


def check_instance(given: object, kind: type[Kind], what: str, remedy: str) -> Kind:
    """Return `given` if it is a `kind`; else raise TypeError, which says how to get one."""
    if not isinstance(given, kind):
        raise TypeError(f"{what} is {with_article(kind.__name__)}, not {_named(given)}: {remedy}.")
    return given


def check_list(given: object, what: str, example: str) -> list[Any]:
    """Return a list of what `given` holds, if it is a list, or the like; else raise TypeError."""
    if isinstance(given, (str, bytes, Mapping)) or not isinstance(given, Iterable):
        raise TypeError(f"{what} are a list, such as {example}, not {_named(given)}.")
    return list(given)


def check_callable(given: object, what: str, example: str) -> None:
    """Raise TypeError unless `given` is None or can be called."""
    if given is not None and not callable(given):
        raise TypeError(f"{what} is a function, such as {example}, not {_named(given)}.")


def check_generator(given: object) -> torch.Generator:
    """Return `given` if it is a generator of random numbers; else raise TypeError."""
    return check_instance(given, torch.Generator, "generator", 'write seeds.generator(0, "my batch")')


def check_path(given: object) -> Path:
    """Return a path to a file; raise TypeError or ValueError for what cannot be one."""
    if not isinstance(given, (str, os.PathLike)):
        raise TypeError(f"A path is a string or a pathlib.Path, not {_named(given)}.")
    found = os.fspath(given)
    try:
        valid = isinstance(found, str) and found != "" and b"\0" not in os.fsencode(found)
    except UnicodeEncodeError:
        valid = False
    if not valid:
        raise ValueError(f"{found!r} is not a valid file path: give the name of a file.")
    return Path(found)


def _named(given: object) -> str:
    """Return what a sentence calls a wrong value: the value itself if it is short, else its type."""
    short = isinstance(given, (str, bytes, numbers.Number)) and len(repr(given)) < 40
    return repr(given) if short or given is None else with_article(type(given).__name__)


def with_article(name: str) -> str:
    return f"an {name}" if name[0] in "AEIOUaeiou" else f"a {name}"


def check_finite(
    tensor: Tensor,
    what: str,
    otherwise: str = "look for a learning rate that was too high, or load the network again",
) -> Tensor:
    """Return `tensor` if it holds neither NaN nor infinity; else raise ValueError, which says what to do."""
    check_stored(tensor, what)
    # The sum is NaN or infinite if any entry is, and takes one pass; only then are the entries counted.
    if tensor.is_floating_point() and not math.isfinite(tensor.sum().item()):
        bad = tensor.numel() - int(torch.isfinite(tensor).sum())
        if bad:
            raise ValueError(
                f"{what} holds {bad} values that are NaN or infinite, and nothing can be computed from them: "
                f"{otherwise}."
            )
    return tensor


def check_stored(tensor: Tensor, what: str) -> None:
    """Raise ValueError for a tensor on torch's device meta."""
    if tensor.is_meta:
        raise ValueError(f"{what} is on the device meta, which stores no numbers: make it on the CPU or a GPU.")
