"""What networks, batches and outputs must be for one another, checked before any work."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from lossprune_lib.checks import check_finite, check_network, check_task
from lossprune_lib.data.inputs import Inputs, tensors_among, tensors_of
from lossprune_lib.data.task import Batch, TaskLike
from lossprune_lib.networks.weights import WeightSpace


def check_batch(space: WeightSpace, batch: Batch) -> Batch:
    """Return the batch, or raise if it is empty or does not go with the network."""
    try:
        x, y = batch
    except (TypeError, ValueError):
        raise TypeError(
            "A batch is a pair of inputs [N, ...] and labels [N], such as task.sample(...) gives."
        ) from None
    if not isinstance(y, Tensor):
        raise TypeError("A batch is inputs and labels as torch tensors: convert arrays with torch.from_numpy.")
    inputs = list(tensors_of(x))
    if any(tensor.layout is not torch.strided for tensor in (*inputs, y)):
        raise ValueError("The batch is sparse: convert it with .to_dense().")
    if y.ndim == 0 or any(tensor.ndim == 0 for tensor in inputs):
        raise ValueError(
            "The batch has no dimension of examples: give inputs [N, ...] and labels [N], also for one example."
        )
    sizes = {len(tensor) for tensor in inputs}
    if sizes != {len(y)} or len(y) == 0:
        raise ValueError(
            f"The batch has {' and '.join(map(str, sorted(sizes)))} inputs and {len(y)} labels: give at least one "
            "example, and as many of each."
        )
    weight = space.like
    for tensor in (*inputs, y):
        if tensor.device != weight.device:
            raise ValueError(
                f"The network is on {weight.device}, the batch on {tensor.device}: move one of them with .to(device)."
            )
    for tensor in inputs:
        if tensor.is_floating_point() and tensor.dtype != weight.dtype:
            raise ValueError(
                f"The network is {weight.dtype}, the batch {tensor.dtype}: convert one of them with .to(dtype=...)."
            )
        if tensor.is_floating_point():
            check_finite(tensor, "The batch", "repair these examples, or leave them out")
    return (dict(x) if isinstance(x, Mapping) else x), y


@contextmanager
def in_words(x: Inputs) -> Iterator[None]:
    """Say in words that a network cannot run on inputs x [N, ...], where torch only names two sizes that differ."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, TypeError, IndexError, AttributeError, KeyError, AssertionError) as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        shapes = ", ".join(str(list(tensor.shape[1:])) for tensor in tensors_among(x))
        raise ValueError(
            f"The network cannot run on inputs of shape {shapes or 'unknown'}: {reason}. Give it the "
            "inputs that it was made for."
        ) from error


def check_rows(outputs: object, examples: int) -> Tensor:
    """Return a network's output if it is one tensor [N, ...] with a row for each example; else raise ValueError."""
    if not isinstance(outputs, Tensor) or outputs.ndim == 0 or len(outputs) != examples:
        kind = f"shape {list(outputs.shape)}" if isinstance(outputs, Tensor) else f"type {type(outputs).__name__}"
        raise ValueError(
            f"For {examples} example{'s' if examples != 1 else ''} the network's output has {kind}, but it must be one "
            "tensor [N, ...] with a row for each example, such as logits [N, C]: wrap the network in a module that "
            "returns that."
        )
    return outputs


def close(a: Tensor, b: Tensor) -> bool:
    """Return whether two tensors differ by no more than rounding."""
    # Other batch sizes and other orders of summation round otherwise; what is meant here differs by tenths.
    tolerance = 1e-3 if b.dtype == torch.float32 else 1e-6
    return bool((a - b).abs().max() <= tolerance * b.abs().max().clamp_min(torch.finfo(b.dtype).tiny))


def check_mode(net: nn.Module) -> None:
    """Raise ValueError if a batch norm or dropout is in training mode: the loss is then no function of the weights."""
    for name, module in net.named_modules():
        is_norm = isinstance(module, nn.modules.batchnorm._BatchNorm)
        if is_norm and module.training and module.running_mean is not None:
            raise ValueError(
                f"Batch norm {name!r} is in training mode, so that examples influence one another and no loss model "
                "holds: call net.eval() first."
            )
        if isinstance(module, nn.modules.dropout._DropoutNd) and module.training and module.p > 0:
            raise ValueError(f"Dropout {name!r} is in training mode, so the loss is random: call net.eval() first.")


def check_examples(examples: int, split: str) -> int:
    """Return the number of examples of a split; raise ValueError if there are none."""
    if examples == 0:
        raise ValueError(
            f"The split {split!r} of this task gave no examples: it is empty, or its batches were used up, and each "
            "call of them must begin anew."
        )
    return examples


def check_place(net: nn.Module, task: TaskLike) -> None:
    """Raise TypeError or ValueError unless they are a network and a task, on one device and of one dtype."""
    check_network(net)
    check_task(task, "batches", "sample")
    parameter = next(net.parameters(), None)
    if parameter is None:
        return
    place = torch.empty(0, device=task.device).device  # "cuda" is "cuda:0", or whichever is the current one
    if parameter.device != place or (task.dtype.is_floating_point and parameter.dtype != task.dtype):
        raise ValueError(
            f"The network is {parameter.dtype} on {parameter.device}, the task {task.dtype} on {task.device}: "
            "move one of them, for example with net.to(device, dtype)."
        )
