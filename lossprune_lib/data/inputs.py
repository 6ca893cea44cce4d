"""Inputs of a network: a tensor [N, ...], or a tuple or dict of such tensors with the same number of examples."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from torch import Tensor

Inputs = Any  # a Tensor, or a tuple, list or mapping of Inputs


def tensors_of(x: Inputs) -> Iterator[Tensor]:
    """Yield all tensors of some inputs; raise TypeError for what is made of anything else."""
    for leaf in _leaves(x):
        if not isinstance(leaf, Tensor):
            raise TypeError(
                "Inputs are a torch tensor [N, ...], or a tuple or dict of such, not "
                f"{type(leaf).__name__}: convert arrays with torch.from_numpy."
            )
        yield leaf


def tensors_among(x: object) -> Iterator[Tensor]:
    """Yield all tensors in what a task of the user's own may give; what is none is left out."""
    return (leaf for leaf in _leaves(x) if isinstance(leaf, Tensor))


def _leaves(x: object) -> Iterator[object]:
    if isinstance(x, (Mapping, tuple, list)) and len(x):
        for entry in x.values() if isinstance(x, Mapping) else x:
            yield from _leaves(entry)
    else:
        yield x


def change(x: Inputs, function: Callable[[Tensor], Tensor]) -> Inputs:
    """Return inputs of the same structure, each tensor changed by a function; what is no input stays what it is."""
    if isinstance(x, Tensor):
        return function(x)
    if isinstance(x, Mapping):
        return {name: change(entry, function) for name, entry in x.items()}
    if isinstance(x, (tuple, list)):
        make = getattr(x, "_make", tuple)  # of a named tuple, such as a packed sequence, another of its kind
        return make(change(entry, function) for entry in x)
    return x


def count(x: Inputs) -> int:
    """Return the number of examples."""
    return len(next(tensors_of(x)))


def part(x: Inputs, rows: slice | Tensor) -> Inputs:
    """Return some of the examples."""
    return change(x, lambda tensor: tensor[rows])


def call(function: Callable[..., Any], x: Inputs) -> Any:
    """Call a network on inputs: with those of a tuple in their order, with those of a mapping by name.

    The language models of the transformers library give an object that names its logits; then these are returned.
    """
    given = x if isinstance(x, (tuple, list)) else (x,)
    outputs = function(**x) if isinstance(x, Mapping) else function(*given)
    return outputs if isinstance(outputs, Tensor) else getattr(outputs, "logits", outputs)


class OnCopies:
    """A network, or a function, that may change its inputs in place: then it is given copies, and the data stay.

    The first call is on a copy, and shows whether the others must be. ValueError if only a later one changes its own.
    What a task of the user's own gives beside tensors, such as None for a mask or an object, is handed on as it is.
    """

    def __init__(self, function: Callable[[Inputs], Any]) -> None:
        self.function, self.changes = function, True

    def __call__(self, x: Inputs) -> Any:
        given = change(x, Tensor.clone) if self.changes else x
        before = versions(given)
        outputs = self.function(given)
        changed = None in before or before != versions(given)
        if changed and not self.changes:
            raise ValueError(
                "The network changes its inputs in place, in some batches only, and with them your data: load these "
                "again, and let its forward pass begin with a copy (x = x.clone())."
            )
        self.changes = changed
        return outputs


def versions(x: Inputs) -> list[int | None]:
    """Return torch's count of the changes of each tensor; None where it does not count them, in inference mode."""
    return [None if tensor.is_inference() else tensor._version for tensor in tensors_among(x)]


def kind(x: Inputs) -> tuple[Any, ...]:
    """Return the shape of one example and the dtype of each tensor: equal for inputs that a network treats alike."""
    return tuple((tuple(tensor.shape[1:]), tensor.dtype) for tensor in tensors_of(x))
