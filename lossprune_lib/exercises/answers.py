"""A learner's answer: called on arguments, read as tensors, compared, and put into words."""

from __future__ import annotations

import contextlib
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import FrameType
from typing import Any, TypeGuard

import numpy as np
import torch
from torch import Tensor

from lossprune_lib.networks.weights import WeightSpace

_SHOWN = 16  # a tensor of more entries is not printed


class Refusal(Exception):
    """What is wrong with an answer: the mistake's identifier, and a sentence that names it and says where to look."""

    def __init__(self, mistake: str, sentence: str) -> None:
        super().__init__(sentence)
        self.mistake = mistake


class NotAttempted(Exception):
    """The stub was left as it was."""


def call(function: Any, arguments: Iterable[Any]) -> Any:
    """Return what a learner's function returns for copies of some arguments.

    Raises
    ------
    Refusal
        if it is not a function, stops with an error, or changes a tensor or a network that it was given.
    NotAttempted
        if it returns nothing.
    """
    if not callable(function):
        kind = type(function).__name__
        raise Refusal("no-function", f"The answer must be a function, not {kind}: write its name without brackets.")
    given = [x.clone() if isinstance(x, Tensor) else list(x) if isinstance(x, list) else x for x in arguments]
    before = [_contents(x) for x in given]
    try:
        result = function(*given)
    except Refusal:
        raise
    except Exception as error:
        if isinstance(error, NotImplementedError) and not error.args:
            raise  # what a cell without an answer raises; torch's has words
        where = _where(function, given, error)
        raise Refusal("exception", f"Your function stops with {type(error).__name__}: {error}{where}") from error
    for argument, was in zip(given, before, strict=True):
        if was is None or torch.equal(was, _contents(argument)):
            continue
        if isinstance(argument, WeightSpace):
            argument.write_(was)
            raise Refusal(
                "network-changed", "Your function changes the network. space.call runs it with other weights."
            )
        raise Refusal("in-place", "Your function changes its input in place: work on a copy, x.clone().")
    if result is None or result is ...:
        raise NotAttempted
    return result


def _where(function: Any, given: Sequence[Any], error: Exception) -> str:
    """Return the line of the learner's own at which it stopped, and with which numbers it was called."""
    code = getattr(function, "__code__", None)
    if code is None:
        return ""
    lines = [frame.line for frame in traceback.extract_tb(error.__traceback__) if frame.filename == code.co_filename]
    named = zip(code.co_varnames[: code.co_argcount], given, strict=False)
    called = [f"{name} = {_show(x)}" for name, x in named if isinstance(x, (list, float, int, str))]
    said = [f"in your line `{line}`" for line in lines[-1:] if line]
    said += [f"called with {', '.join(called)}"] if called else []
    return f" ({', '.join(said)})" if said else ""


@contextlib.contextmanager
def watching(packages: tuple[str, ...]) -> Iterator[set[str]]:
    """Give the names of the packages whose functions are called meanwhile, of those that are watched."""
    used: set[str] = set()
    if not packages:
        yield used
        return

    def look(frame: FrameType, event: str, _: object) -> None:
        module = str(frame.f_globals.get("__name__", ""))
        used.update(package for package in packages if f"{module}.".startswith(f"{package}."))

    before = sys.getprofile()
    sys.setprofile(look)
    try:
        yield used
    finally:
        sys.setprofile(before)


def _contents(argument: Any) -> Any:
    """Return a copy of what a function must not change, None if there is no such thing."""
    if isinstance(argument, WeightSpace):
        return argument.read()
    return argument.clone() if isinstance(argument, Tensor) else None


def read(result: Any, right: Sequence[Tensor], names: Sequence[str]) -> tuple[list[Tensor] | None, Refusal | None]:
    """Return a result as a tensor for each part, None if it cannot be read; and what is wrong with its form, if so.

    Parameters
    ----------
    right : one tensor for each part, whose shape and kind the result must have
    names : of the parts; with one name, the result is that part
    """
    several = len(names) > 1 and (isinstance(result, (tuple, list)) or getattr(result, "ndim", False))
    parts = list(result) if several else [result]
    if len(parts) != len(names):
        return None, Refusal("parts", f"Return {len(names)} things: {', '.join(names[:-1])} and {names[-1]}.")
    found: list[Tensor] = []
    problem = None
    for part, wanted, name in zip(parts, right, (name[0].upper() + name[1:] for name in names), strict=True):
        try:
            tensor = as_tensor(part)
        except (TypeError, ValueError, RuntimeError):
            return None, Refusal("type", f"{name} must be {_instead(part, wanted)}.")
        found.append(tensor.reshape(()) if not wanted.ndim and tensor.numel() == 1 else tensor)
        problem = problem or _problem(found[-1], wanted, name)
    return found, problem


def _instead(part: Any, wanted: Tensor) -> str:
    if not wanted.ndim:
        return f"{'True or False' if wanted.dtype == torch.bool else 'a number'}, not {type(part).__name__}"
    pieces = isinstance(part, (list, tuple)) and any(isinstance(piece, Tensor) and piece.ndim for piece in part)
    given = "a list of pieces: join them with torch.cat" if pieces else type(part).__name__
    return f"a list or tensor of shape {list(wanted.shape)}, not {given}"


def as_tensor(value: Any) -> Tensor:
    """Return numbers, an array or a list of tensors as a tensor; raise TypeError, ValueError or RuntimeError."""
    if isinstance(value, (list, tuple)) and any(isinstance(entry, Tensor) for entry in value):
        return torch.stack([torch.as_tensor(entry).detach().cpu() for entry in value])
    return value.detach().cpu() if isinstance(value, Tensor) else torch.as_tensor(np.array(value))


def _problem(found: Tensor, wanted: Tensor, name: str) -> Refusal | None:
    if found.shape != wanted.shape:
        needed = f"have {list(wanted.shape)}" if wanted.ndim else "be a single number"
        return Refusal("shape", f"{name} has the shape {list(found.shape)}, but must {needed}.")
    if wanted.dtype == torch.bool != found.dtype and not wanted.ndim:
        return Refusal("dtype", f"{name} must be True or False: return the comparison itself, such as a <= b.")
    if wanted.dtype == torch.bool != found.dtype:
        kind = str(found.dtype).removeprefix("torch.")
        return Refusal("dtype", f"{name} must be a bool tensor of True and False, not {kind}: convert it with .bool().")
    if found.dtype == torch.bool != wanted.dtype:
        return Refusal("dtype", f"{name} must consist of numbers, not of True and False.")
    if not torch.isfinite(found).all():
        return Refusal("not-finite", f"{name} is NaN or infinite: do you divide by zero?")
    return None


def near(found: Tensor, wanted: Any, tolerance: float = 1e-4) -> bool:
    """Return whether numbers agree, to a share of the largest wanted; anything fits where that is NaN or infinite."""
    a, b = found.double(), as_tensor(wanted).double()
    if a.shape != b.shape:
        return False
    a, b = a[b.isfinite()], b[b.isfinite()]
    return not len(b) or bool(((a - b).abs() <= tolerance * b.abs().max().clamp_min(0.01)).all())


def counterexample(arguments: Mapping[str, Any], name: str, found: Tensor, right: Tensor) -> str:
    """Return a sentence with a case: what was given, what one part of the result should be, and what it is."""
    place, wanted, got = "", _show(right), _show(found)
    if right.ndim and right.dtype == torch.bool and right.sum() != found.sum():
        wanted, got = (f"False in {int((~mask).sum())} places" for mask in (right, found))
    elif _is_large(right):
        k = int((found.double() - right.double()).abs().argmax())
        place = f" at {[int(i) for i in np.unravel_index(k, tuple(right.shape))]}"
        wanted, got = _show(right.flatten()[k]), _show(found.flatten()[k])
    given = []
    for key, x in arguments.items():
        if place and _is_large(x) and x.shape == right.shape:
            given.append(f"{key}{place} = {_show(x.flatten()[k])}")
        elif _is_large(x):
            given.append(f"{key} of shape {list(x.shape)}")
        elif isinstance(x, (Tensor, list, float, int, str)):
            given.append(f"{key} = {_show(x)}")
    return f"For {', '.join(given)}: {name}{place} should be {wanted}, but yours is {got}."


def _is_large(value: Any) -> TypeGuard[Tensor]:
    return isinstance(value, Tensor) and value.numel() > _SHOWN


def _show(value: Any) -> str:
    if isinstance(value, Tensor):
        return _show(value.tolist())
    if isinstance(value, list):
        return f"[{', '.join(map(_show, value))}]"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
