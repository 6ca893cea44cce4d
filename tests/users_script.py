"""A script as a user writes it: a network, data, loss, criterion and schedule of her own, by the public interface.

`test_typing_of_users.py` runs it, and has mypy look at it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from lossprune_lib import BatchLoss, LocalPruner, LossModel, Mask, WeightSpace, criteria, data, training
from lossprune_lib.loss_modelling import Loss, check_root, mean_squared_error
from lossprune_lib.pruning import PruningRun, allocation
from lossprune_lib.pruning.stage_model import StageModel


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = nn.Linear(5, 30), nn.Linear(30, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.tanh(self.body(x)))


@dataclass(frozen=True)
class Poisson(Loss):
    def total(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs.exp() - targets * outputs).sum()

    def hessian_root(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs / 2).exp().unsqueeze(0)


class Stream:
    """All that the library reads of a task."""

    def __init__(self, x: Tensor, y: Tensor) -> None:
        self.x, self.y = x, y

    @property
    def device(self) -> torch.device:
        return self.x.device

    @property
    def dtype(self) -> torch.dtype:
        return self.x.dtype

    def sample(self, examples: int, generator: torch.Generator) -> data.Batch:
        rows = torch.randperm(len(self.x), generator=generator)[:examples]
        return self.x[rows], self.y[rows]

    def batches(
        self, split: str, batch_size: int = 1000, generator: torch.Generator | None = None
    ) -> Iterator[data.Batch]:
        yield self.sample(len(self.x), generator or torch.Generator().manual_seed(0))


def fisher(stage: StageModel) -> Tensor:
    assert stage.gradient is not None
    return (stage.gradient * stage.weights).square()


def late(sparsity: float, stage: int, stages: int, start: float) -> float:
    return start + (sparsity - start) * (stage / stages) ** 2


def tasks() -> list[data.TaskLike]:
    x = torch.randn(120, 5, generator=torch.Generator().manual_seed(0))
    y = (x[:, :1] > 0).float()
    loaders = [DataLoader(TensorDataset(x, y), batch_size=20) for _ in range(3)]
    in_memory = data.Task.from_tensors(x, y, x, y, x, y, classes=1)
    return [in_memory, data.LoaderTask(loaders[0], loaders[1], loaders[2]), Stream(x, y)]


def pruned(net: nn.Module, task: data.TaskLike, loss: Loss) -> PruningRun:
    space = WeightSpace(net, include=["default"], exclude=["*.bias"])
    batch = task.sample(60, torch.Generator())
    check_root(loss, net(batch[0])[:2], batch[1][:2])
    risk = BatchLoss(space, batch, loss=loss, curvature_columns=2)
    model: LossModel = risk.model(space.read(), order=2)
    assert model.curvature is not None
    print(space.coverage.share, risk.value(space.read()).item(), model.curvature.sum().item())
    shares: dict[str, float] = allocation.erk(space, 0.5)
    first = LocalPruner("mp", sparsity=0.5, stages=1, densities=shares).prune(net, task, progress=False)
    own = criteria.Criterion("fisher", order=1, score=fisher)
    return LocalPruner(own, 0.8, 3, late, loss=loss).prune(net, task, first.mask, progress=False)


def tuned(run: PruningRun, task: data.TaskLike, loss: Loss) -> nn.Module:
    net, mask = run.network(), run.mask
    optimizer = torch.optim.Adam(net.parameters())
    enforce = training.Enforcer(mask, net, optimizer)
    for x, y in task.batches("train", 30):
        optimizer.zero_grad()
        (loss.total(net(x), y) / loss.count(y)).backward()
        optimizer.step()
        enforce()
    return training.fit(net, task, 1, loss=loss, mask=mask, progress=False)


def main() -> None:
    for task in tasks():
        for loss in (Poisson(), mean_squared_error):
            net: nn.Module = Net().eval()
            run = pruned(net, task, loss)
            mask: Mask = run.mask
            trace: pd.DataFrame = run.trace
            score: training.Score = training.evaluate(tuned(run, task, loss), task, "test", loss=loss)
            print(f"{run.network_sparsity:.3f}", mask["body"].sum().item(), len(trace), score.loss)


if __name__ == "__main__":
    main()
