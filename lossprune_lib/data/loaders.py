"""LoaderTask: a task whose examples stay where a `DataLoader` reads them, such as a data set larger than memory."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from contextlib import nullcontext, suppress
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, RandomSampler, SequentialSampler

from lossprune_lib.checks import check_choice, check_generator, check_instance, check_int, with_article
from lossprune_lib.data.inputs import change, tensors_of
from lossprune_lib.data.task import SPLITS, Batch, find_device
from lossprune_lib.seeds import draws_of_data


class LoaderTask:
    """A task from three loaders, each of pairs of inputs and targets.

    Inputs may also be tuples or dicts of tensors: the network's arguments in order, or by name. Of a loader, its data
    set, workers and collation are used. Sizes and order of the batches are the library's, drawn from its own seeds, so
    that runs repeat, and the same as those of a `Task` of the same examples.

    A sample reads just its own examples, all in one worker: the stages of a pruning take stages x batch_size reads.

    Parameters
    ----------
    train, valid, test : DataLoader of a data set with a length and an index
    device : where the batches are sent

    Raises
    ------
    TypeError, ValueError
        for a loader that is none, or of a stream, an empty data set or a sampler of its own; once it is read, also for
        a data set that does not give pairs.

    Examples
    --------
    >>> from torch.utils.data import TensorDataset
    >>> from lossprune_lib import LocalPruner, training
    >>> x = torch.rand(200, 3, generator=torch.Generator().manual_seed(0))
    >>> parts = [TensorDataset(part, (part.sum(1) > 1.5).long()) for part in x.split([120, 40, 40])]
    >>> task = LoaderTask(*(DataLoader(part, batch_size=50) for part in parts))
    >>> net = training.fit(torch.nn.Linear(3, 2), task, recipe=training.Recipe(lr=0.5))
    >>> run = LocalPruner("qm", sparsity=0.5, stages=2, batch_size=60).prune(net, task)
    >>> tuned = training.fit(run.network(), task, recipe=training.Recipe(lr=0.5), mask=run.mask)
    >>> int((tuned.weight == 0).sum()), training.evaluate(tuned, task, "test").accuracy > 0.6
    (3, True)
    """

    def __init__(
        self,
        train: DataLoader[Any],
        valid: DataLoader[Any],
        test: DataLoader[Any],
        device: str | torch.device = "cpu",
    ) -> None:
        self.loaders = dict(zip(SPLITS, (train, valid, test), strict=True))
        self.device = torch.empty(0, device=find_device(device)).device  # with its number, as its tensors have it
        for split, loader in self.loaders.items():
            check_instance(loader, DataLoader, f"What reads the split {split!r}", "write DataLoader(dataset)")
            if isinstance(loader.dataset, IterableDataset):
                raise TypeError(
                    f"The data set {split!r} is a stream, from which no examples can be drawn: give one with a length "
                    "and an index, or write a class with what data.TaskLike has."
                )
            if loader.batch_size is None or type(loader.sampler) not in (SequentialSampler, RandomSampler):
                raise ValueError(
                    f"The loader {split!r} has a sampler of its own, but the library draws the batches itself: give it "
                    "a batch_size and no sampler."
                )
            if split == "train" and len(loader.dataset) == 0:  # type: ignore[arg-type]
                raise ValueError("The data set 'train' is empty: give at least one example.")

    @cached_property
    def dtype(self) -> torch.dtype:
        """Of the first floating-point input; or of the first input, if there is none."""
        loader = self.loaders["train"]
        with draws_of_data(0, "first example"):
            x, _ = _pair("train", loader.collate_fn([loader.dataset[0]]))
        dtypes = [tensor.dtype for tensor in tensors_of(x)]
        return next((dtype for dtype in dtypes if dtype.is_floating_point), dtypes[0])

    def sample(self, examples: int, generator: torch.Generator) -> Batch:
        """Draw `examples` different training examples; all of them, in a random order, if there are fewer."""
        order = self._shuffled("train", generator)[: check_int(examples, "examples")]
        return next(self._read("train", order, len(order), generator))

    def batches(self, split: str, batch_size: int = 1000, generator: torch.Generator | None = None) -> Iterator[Batch]:
        """Yield all of a split in batches: in order, or shuffled if a generator is given."""
        check_choice(split, SPLITS, "split")
        check_int(batch_size, "batch_size")
        if generator is None:
            return self._read(split, range(len(self.loaders[split].dataset)), batch_size, torch.Generator())  # type: ignore[arg-type]
        return self._read(split, self._shuffled(split, generator), batch_size, generator)

    def _shuffled(self, split: str, generator: torch.Generator) -> list[int]:
        examples = len(self.loaders[split].dataset)  # type: ignore[arg-type]
        return torch.randperm(examples, generator=check_generator(generator)).tolist()

    def _read(self, split: str, order: Any, batch_size: int, generator: torch.Generator) -> Iterator[Batch]:
        # The generator seeds the workers; without one, a loader would draw from torch's global random numbers.
        like = ("num_workers", "collate_fn", "pin_memory", "worker_init_fn", "multiprocessing_context")
        settings = {name: getattr(self.loaders[split], name) for name in like}
        dataset = self.loaders[split].dataset
        # Without workers the data set draws in this process: then each batch from a seed that the generator gives, of a
        # copy, so that all else is drawn as in memory.
        copy = torch.Generator().set_state(generator.get_state())
        seed = int(torch.randint(2**62, (), generator=copy))
        batches = iter(DataLoader(dataset, batch_size, sampler=order, generator=generator, **settings))
        for number in itertools.count():
            with nullcontext() if settings["num_workers"] else draws_of_data(seed, "examples", number):
                batch = next(batches, None)
            if batch is None:
                return
            x, y = _pair(split, batch)
            yield change(x, lambda tensor: tensor.to(self.device)), y.to(self.device)


def _pair(split: str, batch: Any) -> Batch:
    """Return a batch that is a pair of inputs and targets; else raise TypeError."""
    if not isinstance(batch, (Mapping, Tensor)):
        with suppress(TypeError, ValueError):  # of what is no pair
            x, y = batch = tuple(batch)
            if isinstance(y, Tensor):
                return x, y
    given = with_article(type(batch).__name__)
    if isinstance(batch, Mapping):
        given = f"a dict with {', '.join(map(str, batch))}"
    elif isinstance(batch, (tuple, list)):
        given = f"({', '.join(type(entry).__name__ for entry in batch)})"
    raise TypeError(
        f"The data set {split!r} gives {given}, but must give pairs of inputs and targets as numbers: return (x, y), "
        "where x may be a dict of all that the network takes."
    )
