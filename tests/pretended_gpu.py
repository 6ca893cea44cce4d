"""A pretended GPU: tensors that are put onto it stay in memory, but claim to be on it and refuse to mix with others.

After `install()` torch claims a CUDA device. A tensor that is made on it or moved to it carries a mark, and results
carry the mark of their inputs. Marked and unmarked tensors together raise torch's error, and functions that take only
CPU tensors, as NumPy's do, refuse marked ones. So code that forgets to move something fails as it would on a GPU. What
differs inside kernels goes unnoticed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

GPU, CPU = torch.device("cuda", 0), torch.device("cpu")
_MARK = "_on_the_pretended_gpu"
_KEEP_THEIR_PLACE = ("__getitem__", "__setitem__", "index_put_", "copy_")  # whatever they are given from elsewhere


def is_marked(tensor: Tensor) -> bool:
    return _MARK in tensor.__dict__


def mark(result: Any, on_gpu: bool) -> Any:
    """Mark all tensors in a result, or take their marks away."""
    for tensor in _tensors_in(result):
        if on_gpu:
            tensor.__dict__[_MARK] = True
        else:
            tensor.__dict__.pop(_MARK, None)
    return result


def install() -> None:
    """Let torch claim a GPU for the rest of this process."""
    torch.cuda.is_available = lambda: True
    torch.cuda.device_count = lambda: 1
    torch.cuda.current_device = lambda: 0
    torch.cuda.get_device_name = lambda *_: "a pretended GPU"
    torch.cuda.synchronize = lambda *_: None
    torch.cuda.get_rng_state = lambda *_: torch.get_rng_state()
    torch.cuda.set_rng_state = torch.cuda.manual_seed = lambda *_: None
    torch.cuda.device = lambda *_: contextlib.nullcontext()  # type: ignore[assignment,misc]
    nn.Parameter.__new__ = staticmethod(_parameter)  # type: ignore[assignment]
    PretendedGpu().__enter__()


class PretendedGpu(TorchFunctionMode):
    """Keeps the marks in all calls of torch."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None) -> Any:
        kwargs = dict(kwargs or {})
        name, owner = getattr(func, "__name__", ""), getattr(func, "__self__", None)
        if owner in (Tensor.device, Tensor.is_cuda) or name in ("__set__", "__get__"):
            return _attribute(func, name, owner, args)
        if name == "_parse_to":
            return func(*args, **kwargs)
        if name == "_has_compatible_shallow_copy_type":
            return is_marked(args[0]) == is_marked(args[1]) and func(*args)
        if name in ("numpy", "__array__") and is_marked(args[0]):
            raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() first.")
        if name in ("to", "cpu", "cuda"):
            return _moved(func, name, args, kwargs)
        if kwargs.get("device") is not None:
            on_gpu = _is_gpu(kwargs["device"])
            kwargs["device"] = CPU if on_gpu else kwargs["device"]
            return mark(func(*args, **kwargs), on_gpu)
        given = list(_tensors_in((args, kwargs)))
        on_gpu = any(map(is_marked, given))
        if name in _KEEP_THEIR_PLACE:
            if "item" in name and not is_marked(args[0]) and any(map(is_marked, _tensors_in(args[1]))):
                raise RuntimeError("indices should be either on cpu or on the same device as the indexed tensor (cpu)")
            return mark(func(*args, **kwargs), is_marked(args[0]))
        if on_gpu and not all(is_marked(t) or t.ndim == 0 or _is_wrapped(t) for t in given):
            raise RuntimeError(f"Expected all tensors to be on the same device, but found cuda:0 and cpu (in {name}).")
        return mark(func(*args, **kwargs), True) if on_gpu else func(*args, **kwargs)


def _attribute(func: Any, name: str, owner: Any, args: Any) -> Any:
    """Read or write an attribute, such as tensor.device."""
    if owner is Tensor.device:
        return GPU if is_marked(args[0]) else func(*args)
    if owner is Tensor.is_cuda:
        return is_marked(args[0])
    if name == "__get__":
        return mark(func(*args), is_marked(args[0]))
    if owner is Tensor.data:
        mark(args[0], is_marked(args[1]))
    return func(*args)


def _moved(func: Any, name: str, args: Any, kwargs: dict[str, Any]) -> Tensor:
    tensor, *rest = args
    if name != "to":
        return mark(tensor.clone() if is_marked(tensor) != (name == "cuda") else tensor, name == "cuda")
    on_gpu, asked = is_marked(tensor), [*rest, *kwargs.values()]
    for value in asked:
        if isinstance(value, Tensor):
            on_gpu = is_marked(value)
        elif isinstance(value, (str, torch.device)):
            on_gpu = _is_gpu(value)
    rest = [CPU if _is_gpu(value) else value for value in rest]
    result = func(tensor, *rest, **{key: CPU if _is_gpu(value) else value for key, value in kwargs.items()})
    return mark(result.clone() if result is tensor and on_gpu != is_marked(tensor) else result, on_gpu)


def _tensors_in(values: Any) -> Iterator[Tensor]:
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, (tuple, list)):
        for value in values:
            yield from _tensors_in(value)
    elif isinstance(values, dict):
        yield from _tensors_in(list(values.values()))


def _is_gpu(device: object) -> bool:
    return isinstance(device, (str, torch.device)) and torch.device(device).type == "cuda"


def _is_wrapped(tensor: Tensor) -> bool:
    """Return whether this is a tensor of vmap or jvp, which come without marks."""
    return torch._C._functorch.is_functorch_wrapped_tensor(tensor)


_plain_parameter = nn.Parameter.__new__


def _parameter(cls: type, data: Tensor | None = None, requires_grad: bool = True) -> Tensor:
    made = _plain_parameter(cls, data, requires_grad)
    return made if data is None else mark(made, is_marked(data))
