"""LoaderTask: the same examples, batches and networks as a Task in memory, and nothing read that is not needed."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset, WeightedRandomSampler

from lossprune_lib import LocalPruner, training
from lossprune_lib.data import SPLITS, Batch, LoaderTask, Task


class Counted(Dataset[Batch]):
    """Examples that are counted when they are read."""

    def __init__(self, x: Tensor, y: Tensor, wrapped: Callable[[Tensor], object] = lambda x: x) -> None:
        self.x, self.y, self.wrapped, self.read = x, y, wrapped, list[int]()

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: int) -> tuple[object, Tensor]:
        self.read.append(index)
        return self.wrapped(self.x[index]), self.y[index]


@pytest.fixture(scope="module")
def whole() -> Task:
    x = torch.randn(90, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    y = x[:, :3].argmax(1)
    return Task.from_tensors(x[:50], y[:50], x[50:70], y[50:70], x[70:], y[70:])


def loaders(task: Task, wrapped: Callable[[Tensor], object] = lambda x: x, **settings: object) -> list[DataLoader]:
    return [DataLoader(Counted(*task.split(split), wrapped), batch_size=7, **settings) for split in SPLITS]  # type: ignore[arg-type]


def draws(seed: int = 5) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def perceptron() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3)).double().eval()


def equal(first: Batch, second: Batch) -> bool:
    return all(torch.equal(ours, theirs) for ours, theirs in zip(first, second, strict=True))


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("split", SPLITS)
def test_the_batches_are_those_of_the_same_examples_in_memory(split: str, workers: int, whole: Task) -> None:
    task = LoaderTask(*loaders(whole, num_workers=workers, shuffle=True))
    for generator in (lambda: None, draws):
        pairs = zip(task.batches(split, 8, generator()), whole.batches(split, 8, generator()), strict=True)
        assert all(equal(*pair) for pair in pairs)
    assert equal(task.sample(20, draws()), whole.sample(20, draws()))
    assert equal(task.sample(1000, draws()), whole.sample(1000, draws()))
    assert (task.dtype, task.device) == (torch.float64, torch.device("cpu"))


def test_so_are_training_and_pruning(whole: Task) -> None:
    task, recipe = LoaderTask(*loaders(whole)), training.Recipe(epochs=3, batch_size=10, lr=0.1)
    runs = []
    for source in (whole, task):
        net = training.fit(perceptron(), source, recipe=recipe, progress=False)
        run = LocalPruner("qm", 0.6, stages=3, batch_size=30).prune(net, source, progress=False)
        tuned = training.fit(run.network(), source, recipe=recipe, mask=run.mask, progress=False)
        runs.append((run.mask.kept.tolist(), run.true_change, training.evaluate(tuned, source, "test")))
    assert runs[0] == runs[1]


def test_a_device_may_be_named_with_or_without_its_number(whole: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    """As "cuda" and "cuda:0" are one."""
    task = LoaderTask(*loaders(whole), device="cpu:0")
    assert task.device == torch.device("cpu") == next(task.batches("valid"))[0].device
    expected = training.evaluate(perceptron(), whole)
    assert training.evaluate(perceptron(), task) == expected
    monkeypatch.setattr(task, "device", torch.device("cpu:0"))  # as a task of the user's own may have it
    assert training.evaluate(perceptron(), task) == expected


def test_a_sample_reads_its_own_examples_only(whole: Task) -> None:
    every = loaders(whole)
    task = LoaderTask(*every)
    first = task.sample(10, draws(1))
    assert [len(loader.dataset.read) for loader in every] == [10, 0, 0]
    assert len(set(every[0].dataset.read)) == 10
    assert equal(task.sample(10, draws(1)), first)
    assert not torch.equal(task.sample(10, draws(2))[0], first[0])


def test_torchs_own_random_numbers_stay_as_they_are(whole: Task) -> None:
    task, before = LoaderTask(*loaders(whole, shuffle=True)), torch.get_rng_state()
    list(task.batches("valid"))
    list(task.batches("train", 10, draws()))
    task.sample(5, draws())
    assert torch.equal(torch.get_rng_state(), before)


def noisy(x: Tensor) -> Tensor:
    return x + torch.rand(()) + np.random.rand() + random.random()  # noqa: NPY002


@pytest.mark.parametrize("workers", [0, 1])
def test_a_data_set_that_draws_gives_the_same_again(workers: int, whole: Task) -> None:
    task = LoaderTask(*loaders(whole, noisy, num_workers=workers))
    before = torch.get_rng_state(), str(np.random.get_state()), random.getstate()  # noqa: NPY002
    first, again = (
        [task.sample(9, draws()), *task.batches("train", 20, draws()), *task.batches("valid", 8)] for _ in range(2)
    )
    assert all(equal(*pair) for pair in zip(first, again, strict=True))
    noise = [x[:, 0] - whole.x_valid[:8, 0] for x, _ in (first[4], next(whole.batches("valid", 8)))]
    assert noise[0].unique().numel() == 8 > noise[1].unique().numel()
    assert not torch.equal(task.sample(9, draws(6))[0], first[0][0])
    kept = []
    for _ in task.batches("valid", 8):  # between the batches, too, the generators are as they were
        kept.append(torch.equal(torch.get_rng_state(), before[0]))
    assert all(kept)
    assert task.dtype == torch.float64
    assert (str(np.random.get_state()), random.getstate()) == before[1:]  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), before[0])


class Structured(nn.Module):
    """Takes the two halves of an input apart."""

    def __init__(self) -> None:
        super().__init__()
        self.net = perceptron()

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return self.net(torch.cat([a, b], 1))


@pytest.mark.parametrize(
    ("wrapped", "keys"),
    [(lambda x: (x[:1], x[1:]), (0, 1)), (lambda x: {"a": x[:1], "b": x[1:]}, ("a", "b"))],
    ids=["tuple", "dict"],
)
def test_inputs_may_have_several_parts(wrapped, keys, whole: Task) -> None:  # type: ignore[no-untyped-def]
    task = LoaderTask(*loaders(whole, wrapped))
    x, y = task.sample(9, draws())
    assert type(x) is type(wrapped(whole.x_train[0]))
    assert equal((torch.cat([x[key] for key in keys], 1), y), whole.sample(9, draws()))
    assert task.dtype == torch.float64
    recipe = training.Recipe(epochs=2, batch_size=10, lr=0.1)
    plain = training.fit(perceptron(), whole, recipe=recipe, progress=False)
    parted = training.fit(Structured(), task, recipe=recipe, progress=False)
    assert training.evaluate(parted, task) == training.evaluate(plain, whole)


@pytest.mark.parametrize("use", [training.fit, training.evaluate])
def test_a_network_that_cannot_take_the_parts_is_refused(use: Callable[..., object], whole: Task) -> None:
    task = LoaderTask(*loaders(whole, lambda x: {"a": x}))
    with pytest.raises(ValueError, match="cannot run on inputs"):
        use(perceptron(), task)


def test_tokens_beside_a_mask_leave_the_networks_precision_free(whole: Task) -> None:
    tokens = LoaderTask(*loaders(whole, lambda x: {"ids": (x > 0).long(), "mask": x > 0}))
    assert tokens.dtype == torch.int64


class Stream(IterableDataset[Batch]):
    def __iter__(self) -> Iterator[Batch]:
        raise AssertionError("nothing may be read")


EXAMPLES = TensorDataset(torch.randn(9, 4), torch.arange(9) % 3)
GOOD = DataLoader(EXAMPLES, batch_size=3)
REFUSED: dict[str, tuple[object, type[Exception], str]] = {
    "a data set": (EXAMPLES, TypeError, "DataLoader"),
    "a stream": (DataLoader(Stream()), TypeError, "stream"),
    "a sampler": (DataLoader(EXAMPLES, 3, sampler=WeightedRandomSampler([1.0] * 9, 9)), ValueError, "sampler"),
    "batches of its own": (DataLoader(EXAMPLES, batch_sampler=[[0, 1], [2]]), ValueError, "batch_size"),
    "no batches": (DataLoader(Subset(EXAMPLES, [0]), batch_size=None), ValueError, "batch_size"),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_loaders_that_cannot_be_followed_are_refused(fault: str) -> None:
    loader, error, keyword = REFUSED[fault]
    with pytest.raises(error, match=keyword):
        LoaderTask(GOOD, loader, GOOD)  # type: ignore[arg-type]


def test_a_network_of_another_precision_is_refused_with_what_there_is_to_do() -> None:
    """A loader's examples stay as they are, so it is the network that moves."""
    loader = DataLoader(TensorDataset(EXAMPLES.tensors[0].double(), EXAMPLES.tensors[1]), batch_size=3)
    task, net = LoaderTask(loader, loader, loader), torch.nn.Linear(4, 3)
    with pytest.raises(ValueError, match=r"task torch.float64 on cpu: move one of them, for example with net\.to"):
        training.evaluate(net, task)
    assert training.evaluate(net.to(task.device, task.dtype), task).loss > 0


def test_what_cannot_be_asked_for_is_refused() -> None:
    task = LoaderTask(GOOD, GOOD, GOOD)
    with pytest.raises(ValueError, match="split"):
        task.batches("training")
    with pytest.raises(ValueError, match="examples"):
        task.sample(0, draws())
    with pytest.raises(TypeError, match="Generator"):
        task.sample(3, 0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="device"):
        LoaderTask(GOOD, GOOD, GOOD, device="gpu")


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (lambda x, y: {"x": x, "mask": x > 0, "labels": y}, "a dict with x, mask, labels"),
        (lambda x, y: {"x": x, "labels": y}, "a dict with x, labels"),
        (lambda x, y: (x, y, 0), "(Tensor, Tensor, Tensor)"),
        (lambda x, y: (x, "cat"), "(Tensor, tuple)"),
        (lambda x, y: x, "a Tensor"),
    ],
)
def test_rows_that_are_no_pairs_are_named(row: Callable[[Tensor, Tensor], object], words: str, whole: Task) -> None:
    rows = [row(x, y) for x, y in zip(*whole.split("train"), strict=True)]
    task = LoaderTask(*3 * [DataLoader(rows, batch_size=2)])
    for read in (lambda: task.dtype, lambda: next(task.batches("valid", 2)), lambda: task.sample(2, draws())):
        with pytest.raises(TypeError, match=re.escape(f"gives {words}, but must give pairs")):
            read()


def test_an_empty_data_set_is_refused(whole: Task) -> None:
    train, valid, _ = loaders(whole)
    empty: DataLoader[Any] = DataLoader([], batch_size=2)
    with pytest.raises(ValueError, match="data set 'train' is empty"):
        LoaderTask(empty, valid, valid)
    LoaderTask(train, valid, empty)  # whoever has no test set


def test_any_pair_of_inputs_and_targets_will_do(whole: Task) -> None:
    def collate(rows: list[Any]) -> Iterator[Tensor]:
        return map(torch.stack, zip(*rows, strict=True))

    pairs = TensorDataset(whole.x_train, whole.y_train)
    task = LoaderTask(*(DataLoader(pairs, batch_size=10, collate_fn=collate) for _ in SPLITS))
    x, y = next(task.batches("train", 10))
    assert torch.equal(x, whole.x_train[:10])
    assert torch.equal(y, whole.y_train[:10])
