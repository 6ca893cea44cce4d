"""Refusing bad input before work starts, with a sentence that says what to do."""

from __future__ import annotations

import difflib
import math
import numbers
from collections.abc import Iterable

import torch
from torch import Tensor, nn


def known(name: object, options: Iterable[str], what: str) -> str:
    """Return `name` if it is one of `options`; else raise ValueError, suggesting a near match."""
    options = list(options)
    if isinstance(name, str) and name in options:
        return name
    raise ValueError(f"There is no {what} called {name!r}.{hint(name, options)} Choose one of: {', '.join(options)}.")


def hint(name: object, options: Iterable[str]) -> str:
    """Return " Did you mean 'option'?" for the option nearest to a wrong name; nothing if none is near."""
    lower = {option.lower(): option for option in options}
    wrong = str(name).lower()
    near = difflib.get_close_matches(wrong, lower, n=1)
    near += [option for option in lower if wrong and option.startswith(wrong)]
    return f" Did you mean {lower[near[0]]!r}?" if near else ""


def whole(value: object, what: str, least: int = 1) -> int:
    """Return `value` as an int of at least `least`; else raise TypeError or ValueError."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{what} must be a whole number, not {value!r}: give for example {max(least, 1)}.")
    if value < least:
        raise ValueError(f"{what} is {value}, but must be at least {least}.")
    return int(value)


def real(value: object, what: str, least: float = 0.0) -> float:
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


def sparsity(value: object, what: str = "sparsity") -> float:
    """Return `value` as a float in [0, 1), the share of weights that is zero; else raise."""
    number = real(value, what)
    if number >= 1:
        raise ValueError(
            f"{what} is {number:g}, but must be in [0, 1): it is the share of weights that is zero, "
            "so write 95 % as 0.95."
        )
    return number


def network(net: object) -> nn.Module:
    """Return `net` if it is a network; else raise TypeError."""
    if not isinstance(net, nn.Module):
        raise TypeError(
            f"A network is a torch.nn.Module, not {type(net).__name__}: make one, for example with "
            "models.mlp_300_100(task)."
        )
    return net


def task(given: object, needs: str = "shape") -> None:
    """Raise TypeError unless `given` has what is needed of a task."""
    if not hasattr(given, needs):
        raise TypeError(f'A task is what data.load gives, not a {type(given).__name__}: write data.load("digits").')


def finite(
    tensor: Tensor,
    what: str,
    otherwise: str = "look for a learning rate that was too high, or load the network again",
) -> Tensor:
    """Return `tensor` if it holds neither NaN nor infinity; else raise ValueError, which says what to do."""
    # A sum is NaN or infinite as soon as one entry is, and costs one read; only then are the entries counted.
    if tensor.is_floating_point() and not math.isfinite(tensor.sum().item()):
        bad = tensor.numel() - int(torch.isfinite(tensor).sum())
        if bad:
            raise ValueError(
                f"{what} holds {bad} values that are NaN or infinite, and nothing can be computed from them: {otherwise}."
            )
    return tensor
