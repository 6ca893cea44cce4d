"""What every network of `models` begins with: what it needs to know of its task, and its first weights."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import nn

from lossprune_lib.checks import check_task
from lossprune_lib.seeds import generator


class TaskShape(Protocol):
    """What a network needs to know about its task."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def classes(self) -> int | None: ...
    @property
    def device(self) -> torch.device: ...
    @property
    def dtype(self) -> torch.dtype: ...


def classes_of(task: TaskShape) -> int:
    """Return how many outputs a network for a task has; ValueError if its targets are not classes."""
    check_task(task, "shape", "classes")
    if task.classes is None:
        raise ValueError(
            "The targets of this task are not class numbers: say how many outputs its networks have, for example with "
            "Task.from_tensors(..., classes=1)."
        )
    return task.classes


def initialised(net: nn.Module, task: TaskShape, seed: int) -> nn.Module:
    """Return a network with Kaiming-normal weights and zero biases, where its task is, in eval mode."""
    if not task.dtype.is_floating_point:
        raise TypeError(f"This network takes real numbers, not {task.dtype}: for sequences of tokens take tiny_gpt.")
    # Drawn on the CPU and then moved: the same network on every device.
    draws = generator(seed, "initial weights")
    for module in net.modules():
        # A meta tensor has no numbers; to pretend to draw some, torch would load its compiler, for one or two seconds.
        if isinstance(module, (nn.Linear, nn.Conv2d)) and not module.weight.is_meta:
            nn.init.kaiming_normal_(module.weight, generator=draws)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return net.to(device=task.device, dtype=task.dtype).eval()
