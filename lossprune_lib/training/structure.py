"""Structure: what decides what a network computes beside its parameters and buffers, in words that stay the same."""

from __future__ import annotations

import dataclasses
import hashlib
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from functools import cached_property, partial
from numbers import Number
from types import CellType, CodeType, ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lossprune_lib import files
from lossprune_lib.loss_modelling.loss import Loss

# Its parameters and buffers, which are compared as numbers, its modules, which have their own turn, its mode, which
# training sets, and its hooks, of which those that change what it computes are added again.
_OF_EVERY_MODULE = frozenset(vars(nn.Module()))
_HOOKS = ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks")
# What a class has beside what it defines: where it was written, and what is said of it.
_OF_EVERY_CLASS = frozenset({"__doc__", "__module__", "__firstlineno__", "__static_attributes__"})
_PLAIN = (type(None), type(...), str, bytes, slice, Number, np.generic, torch.dtype, torch.device, torch.Size)


def structure(net: nn.Module) -> list[tuple[str, str, str, str]]:
    """Return the name, type and settings of each module: equal for networks of one architecture, in any process."""
    return [
        (name, _name(type(module)), module.extra_repr(), described(_settings(module)))
        for name, module in net.named_modules()
    ]


def difference(one: nn.Module, other: nn.Module) -> str:
    """Say where the structures of two networks first differ; "" if nowhere. Classes may be made twice, if alike."""
    first, second = (dict(_entries(net)) for net in (one, other))
    for place in first | second:
        ours, theirs = first.get(place, "missing"), second.get(place, "missing")
        if ours != theirs and not _alike(ours, theirs):
            same_name = str(ours) == str(theirs)
            twice = " (defined twice, and they define or refer to different things)" if same_name else ""
            texts = str(ours), str(theirs)
            differs = (i for i, (a, b) in enumerate(zip(*texts, strict=False)) if a != b)
            at = max(0, next(differs, 0) - 20)
            one_is, other_is = (text if len(text) <= 100 else f"...{text[at : at + 100]}..." for text in texts)
            return f"{place} is {one_is} in one and {other_is} in another{twice}"
    return ""


def _entries(net: nn.Module) -> Iterator[tuple[str, object]]:
    for name, module in net.named_modules():
        where = f"module {name!r}" if name else "the network"
        yield f"the class of {where}", type(module)
        yield from ((f"{key!r} of {where}", described(value)) for key, value in _settings(module).items())
        yield f"extra_repr() of {where}", module.extra_repr()


def _alike(one: object, other: object) -> bool:
    """Tell whether two classes are of one name and define the same, as those of a function or cell that is run again.

    So must their ancestors. Those that torch makes, one for each traced or parametrized module, do as settings say.
    """
    if not isinstance(one, type) or not isinstance(other, type) or len(one.__mro__) != len(other.__mro__):
        return False
    pairs = zip(one.__mro__, other.__mro__, strict=True)
    return all(a is b or (str(a) == str(b) and (_is_torchs(a) or _text(a) == _text(b))) for a, b in pairs)


def _is_torchs(kind: type) -> bool:
    return kind.__module__.startswith("torch.")


def _text(kind: type) -> str:
    return described(_definition(kind), _by_attributes)


def _definition(kind: type) -> dict[str, object]:
    return {name: value for name, value in vars(kind).items() if name not in _OF_EVERY_CLASS}


def _by_attributes(value: object) -> str:
    """Describe what a class refers to by its attributes, which are no settings that could be compared elsewhere."""
    if isinstance(value, (nn.Parameter, ModuleType)):
        return _itself(value)
    return f"{_type_of(value)}{described(getattr(value, '__dict__', {}), _itself)}"


def _itself(value: object) -> str:
    return f"{_type_of(value)} {id(value)}"


def _settings(module: nn.Module) -> dict[str, object]:
    """Return a module's own attributes: its forward pass may read them, though `extra_repr` leaves them out."""
    own = {name: value for name, value in sorted(vars(module).items()) if name not in _OF_EVERY_MODULE}
    hooks = {name: [_of_hook(hook) for hook in vars(module)[name].values()] for name in _HOOKS}
    return own | {name: functions for name, functions in hooks.items() if functions}


def _of_hook(hook: Any) -> str:
    """Describe a hook by its name and code: what it holds may be what it records, which grows in training."""
    function = hook.func if isinstance(hook, partial) else hook
    return f"{_name(function) or _type_of(function)} {described(getattr(function, '__code__', None))}"


def _type_of(value: object) -> str:
    return _name(type(value))


def described(
    value: object,
    otherwise: Callable[[object], str] = _type_of,
    seen: dict[int, tuple[object, str]] | None = None,
) -> str:
    """Describe a setting: plain values, tensors, functions and what is made of them, in words that stay the same.

    The usual description of an object has its address, which is another one in each process.

    Parameters
    ----------
    otherwise : what to say of anything else, and of tensors whose numbers cannot be read; by default its type
    seen : by id, all that was met so far, which keeps its id while it is here, and its description
    """
    if isinstance(value, _PLAIN):
        return repr(value)
    seen = {} if seen is None else seen
    if id(value) not in seen:
        seen[id(value)] = value, "..."  # as something may contain itself
        say = partial(described, otherwise=otherwise, seen=seen)
        seen[id(value)] = value, _of_parts(value, say, otherwise)
    return seen[id(value)][1]


def _of_parts(value: object, say: Callable[[object], str], otherwise: Callable[[object], str]) -> str:
    if isinstance(value, Tensor) and not isinstance(value, nn.Parameter):
        return _of_tensor(value, say, otherwise)
    if isinstance(value, np.ndarray):
        # Of objects, records and long numbers the bytes are addresses, or have gaps in which anything may be.
        as_list = value.dtype.char in "OVgG"
        numbers = say(value.tolist()) if as_list else hashlib.sha256(value.tobytes()).hexdigest()
        return f"{value.dtype}{list(value.shape)}{numbers}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(say, value))}]"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{say(key)}: {say(entry)}' for key, entry in value.items())}}}"
    if isinstance(value, (set, frozenset)):
        return f"{{{', '.join(sorted(map(say, value)))}}}"
    return _of_object(value, say) or otherwise(value)


def _of_tensor(value: Tensor, say: Callable[[object], str], otherwise: Callable[[object], str]) -> str:
    kind = f"{value.dtype}{list(value.shape)}"
    try:
        numbers = value.detach().resolve_conj().resolve_neg()
        if numbers.layout is not torch.strided:
            entries = numbers.to_sparse_coo().coalesce()
            return f"{kind}{say([entries.indices(), entries.values()])}"
        return f"{kind}{files.fingerprint({'numbers': numbers.cpu().contiguous()})}"
    except (RuntimeError, TypeError):  # it has none that can be read, as on the device meta
        return f"{kind}{otherwise(value)}"


def _of_object(value: Any, say: Callable[[object], str]) -> str:
    """Describe a function, or an object that is nothing but its attributes; return "" for any other."""
    if isinstance(value, Enum):
        return f"{_type_of(value)}.{value.name}"
    if isinstance(value, partial):
        return f"{say(value.func)}{say(value.args)}{say(value.keywords)}"
    if isinstance(value, CodeType):
        shape = value.co_argcount, value.co_kwonlyargcount, value.co_flags
        text = say([*shape, value.co_code, value.co_names, value.co_consts])
        return f"code {hashlib.sha256(text.encode()).hexdigest()[:16]}"
    if hasattr(value, "__code__"):  # two that are made in one place, or in two versions of a cell, have one name
        # A cell is empty until what it names is defined.
        cells = [entry.cell_contents for entry in value.__closure__ or () if entry != CellType()]
        beside = value.__defaults__, value.__kwdefaults__, getattr(value, "__self__", None)
        holds = [*cells, *(part for part in beside if part is not None)]
        return f"{_name(value)}{say(holds)} {say(value.__code__)}"
    if isinstance(value, type) and "<locals>" in value.__qualname__:  # likewise
        return f"{_name(value)}{say([_definition(value), *value.__bases__])}"
    if isinstance(value, (classmethod, staticmethod, cached_property)):
        return f"{_type_of(value)} {say(value.func if isinstance(value, cached_property) else value.__func__)}"
    if isinstance(value, property):
        return f"property {say([value.fget, value.fset, value.fdel])}"
    if isinstance(value, (SimpleNamespace, Namespace)):
        return _type_of(value) + say(vars(value))
    if isinstance(value, Loss) or (dataclasses.is_dataclass(value) and not isinstance(value, type)):
        fields = [f"{name}={say(getattr(value, name, None))}" for name in _fields(value)]
        return f"{_type_of(value)}({', '.join(fields)})"
    return _name(value)


def _fields(value: Any) -> list[str]:
    """Return the names of a dataclass's fields, and of a loss, which need not be one, those of all that it holds."""
    fields = [field.name for field in dataclasses.fields(value)] if dataclasses.is_dataclass(value) else []
    held = vars(value) if isinstance(value, Loss) else {}
    # What is worked out from the rest may be there or not.
    others = {name for name in held if not isinstance(getattr(type(value), name, None), cached_property)}
    return fields + sorted(others - set(fields))


def _name(kind: object) -> str:
    return str(getattr(kind, "__qualname__", ""))  # a class that moves to another module is the same one
