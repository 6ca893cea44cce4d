"""What the cases start from, and the short ways to provoke a refusal."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lossprune_lib import LocalPruner, LossModel, Mask, Study, WeightSpace, data, models

# A name, what provokes the answer, its kind and a word of its sentence; the kind is None where nothing is refused.
Case = tuple[str, Callable[["Bench"], object], type[Exception] | None, str]


class Bench:
    """What the cases start from: small, made afresh where a case changes it, and a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def task(self) -> data.Task:
        return data.load("digits", device="cpu")

    @cached_property
    def net(self) -> nn.Sequential:
        return self.mlp()

    @cached_property
    def space(self) -> WeightSpace:
        return WeightSpace(self.net)

    @cached_property
    def batch(self) -> data.Batch:
        return self.task.sample(20, torch.Generator().manual_seed(0))

    @property
    def ones(self) -> Tensor:
        return torch.ones(self.space.size)

    def mlp(self, *more: nn.Module, inputs: int = 64, classes: int = 10) -> nn.Sequential:
        torch.manual_seed(0)
        layers = [nn.Flatten(), nn.Linear(inputs, 5), nn.Tanh(), *more, nn.Linear(5, classes)]
        return nn.Sequential(*layers).eval()

    def tensors(self, **changes: Tensor) -> list[Any]:
        """Return x and y of train, valid and test, some of them changed."""
        x, y = self.batch
        splits = {f"{kind}_{split}": part for split in data.SPLITS for kind, part in (("x", x), ("y", y))}
        return list((splits | changes).values())

    @cached_property
    def flat(self) -> data.Task:
        """Inputs of another size than the network takes."""
        x = torch.randn(20, 7)
        return data.Task.from_tensors(*self.tensors(x_train=x, x_valid=x, x_test=x), classes=10)

    def mask(self, sparsity: float) -> Mask:
        return LocalPruner("mp", sparsity=sparsity, stages=1).prune(self.net, self.task, progress=False).mask

    def with_weight(self, value: float) -> nn.Module:
        net = self.mlp()
        net[1].weight.data[0, 0] = value
        return net

    def checkpoint(self) -> Path:
        path = self.folder / "net.safetensors"
        models.save(path, models.mlp_300_100(self.task), "mlp_300_100", self.task)
        return path

    def study(self, **settings: Any) -> Study:
        small = {"criteria": ("mp", "lm"), "stages": 1, "step_penalties": 0.0, "seeds": 0, "train_examples": 100}
        return Study.grid(**(small | {"training": 1, "tuning": 1, "sparsities": 0.5} | settings))

    @property
    def store(self) -> Path:
        return self.folder / "runs.sqlite"


def at(change: Callable[[Bench], data.Batch]) -> Callable[[Bench], object]:
    return lambda bench: LossModel.at(bench.net, change(bench))


def pruner(**settings: Any) -> Callable[[Bench], object]:
    return lambda bench: LocalPruner(**settings)


def prune(make_net: Callable[[Bench], Any], criterion: str = "qm") -> Callable[[Bench], object]:
    return lambda bench: LocalPruner(criterion, stages=1).prune(make_net(bench), bench.task, progress=False)
