"""Prune the shipped language model by every method: python data/results/make_language_model.py [--help]

What is finished is kept in artefacts/language_model, so that the same command goes on where it was stopped. The first
seed runs first. `--write` writes language_model/language_model.csv and language_model.md from what is finished.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import os
import platform
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import nn

from lossprune_lib import data, files, models, training
from lossprune_lib.networks.masks import Mask
from lossprune_lib.progress import progress_bar
from lossprune_lib.pruning import LocalPruner, allocation
from lossprune_lib.pruning.layerwise import SPARSEGPT, WANDA, in_turn
from lossprune_lib.pruning.stage import EmptyLayerWarning
from lossprune_lib.seeds import generator
from lossprune_lib.studies import experiment

HERE = Path(__file__).parent
WORK = HERE.parents[1] / "artefacts" / "language_model"
SPARSITIES = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
SEEDS = (0, 1, 2)  # of the calibration data, and of the random choices
COMMON: dict[str, Any] = {"batch_size": 64, "curvature_columns": 1, "exclude": "head"}  # 6,144 characters a stage
STAGES = 14
IN_TURN = ("block1.*", "block2.*", "block3.*")

Pruned = tuple[nn.Module, Mask]


@dataclass(frozen=True)
class Method:
    """A way to prune: in a scope, in some stages, or with the layers' shares of another method."""

    method: str
    scope: str
    stages: int = 1
    shares: str = ""  # "qm": those of QM in stages, of all weights together

    @property
    def reads_data(self) -> bool:
        return self.method != "mp" or bool(self.shares)


BLOCKS: dict[str, list[Method]] = {
    "layer by layer": [
        Method("mp", "global"),
        Method("mp", "layer"),
        Method("wanda", "row"),
        Method("wanda", "layer"),
        Method("sparsegpt", "layer"),
        Method("sparsegpt in turn", "layer"),
    ],
    "2:4": [Method(name, "2:4") for name in ("mp", "wanda", "sparsegpt", "sparsegpt in turn", "lm", "qm")],
    "in stages": [Method("lm", "global", STAGES), Method("qm", "global", STAGES)],
    "controls": [Method(name, "layer", shares="qm") for name in ("shuffled", "mp", "wanda", "sparsegpt")],
}
KEY = ["method", "scope", "stages", "shares", "sparsity", "seed"]


@functools.cache
def place() -> tuple[nn.Module, data.Task]:
    task = data.load("python_reference", device="cpu")
    return models.pretrained("tiny_gpt", task), task


@functools.lru_cache(maxsize=1)
def shares_of_qm(sparsity: float, seed: int) -> Mask:
    """Return the mask of QM in stages, from its file: the block of prunings in stages comes before the controls."""
    return Mask.load(WORK / f"qm-{sparsity:g}-{seed}.safetensors")


def pruned(method: Method, sparsity: float, seed: int) -> Pruned:
    """Return a pruned copy of the network and its mask."""
    net, task = place()
    if method.method == "shuffled":
        mask = allocation.shuffled(shares_of_qm(sparsity, seed), generator(seed, "control", "shuffled"))
        copy = models.pretrained("tiny_gpt", task)
        mask.apply_(copy)
        return copy, mask
    name = method.method.removesuffix(" in turn")
    criterion = {"wanda": WANDA, "sparsegpt": SPARSEGPT}.get(name, name)
    within: dict[str, Any] = {"scope": method.scope}
    if method.shares:
        within = {"densities": shares_of_qm(sparsity, seed).density()}
    pruner = LocalPruner(criterion, sparsity=sparsity, stages=method.stages, seed=seed, **within, **COMMON)
    if method.method != name:
        return in_turn(pruner, net, task, IN_TURN)
    run = pruner.prune(net, task, progress=False)
    return run.network(), run.mask


def row(method: Method, sparsity: float, seed: int) -> dict[str, Any]:
    """Prune, and return what came of it."""
    start = time.process_time()
    net, mask = pruned(method, sparsity, seed)
    seconds = time.process_time() - start
    if (method.method, method.scope) == ("qm", "global"):
        mask.save(WORK / f"qm-{sparsity:g}-{seed}.safetensors")
    return {
        **{name: getattr(method, name) for name in KEY[:4]},
        "sparsity": sparsity,
        "seed": seed,
        "pruned": mask.sparsity,
        "loss": training.evaluate(net, place()[1], "test").loss,
        "seconds": seconds,
        **{f"density.{layer}": share for layer, share in mask.density().items()},
    }


def prunings(block: str, seed: int) -> Iterator[tuple[Method, float, int]]:
    """Yield the method, sparsity and seed of each pruning of a block; where no data is read, one seed is enough."""
    for method in BLOCKS[block]:
        for sparsity in (0.5,) if method.scope == "2:4" else SPARSITIES:
            if method.reads_data or seed == SEEDS[0]:
                yield method, sparsity, seed


def finished() -> pd.DataFrame:
    path = WORK / "finished.csv"
    return pd.read_csv(path, keep_default_na=False) if path.is_file() else pd.DataFrame(columns=KEY)


def run(block: str, seed: int, bar: Callable[[], object]) -> None:
    """Carry out what is missing of a block, and keep each pruning as soon as it is finished."""
    table = finished()
    there = {tuple(key) for key in table[KEY].itertuples(index=False)}
    for method, sparsity, _ in prunings(block, seed):
        if (method.method, method.scope, method.stages, method.shares, sparsity, seed) not in there:
            found = row(method, sparsity, seed)
            found |= {"finished": datetime.now(UTC).isoformat(timespec="seconds"), "versions": experiment.versions()}
            table = pd.concat([table, pd.DataFrame([found])], ignore_index=True)
            files.replace(WORK / "finished.csv", functools.partial(table.to_csv, index=False))
            print(method, sparsity, seed, f"loss {found['loss']:.4f}, {found['seconds']:.1f} s", flush=True)
        bar()


def write() -> None:
    """Write the table of what is finished, in the order of the blocks."""
    order = [
        (*(getattr(method, name) for name in KEY[:4]), sparsity, seed)
        for block, of_seed in itertools.product(BLOCKS, SEEDS)
        for method, sparsity, seed in prunings(block, of_seed)
    ]
    table = pd.DataFrame(order, columns=KEY).merge(finished(), on=KEY)
    csv = table.drop(columns=["finished", "versions"]).round({"seconds": 2})
    folder = HERE / "language_model"
    print(files.replace(folder / "language_model.csv", lambda path: csv.to_csv(path, index=False, float_format="%.6g")))
    text = note(table, len(order))
    print(files.replace(folder / "language_model.md", lambda path: path.write_text(text, "utf-8")))


def note(table: pd.DataFrame, planned: int) -> str:
    net, task = place()
    dense, minutes = training.evaluate(net, task, "test").loss, table["seconds"].sum() / 60
    return f"""# language_model

Made by `python data/results/make_language_model.py`. The same machine and versions give the same numbers again.

| | |
|---|---|
| how | the settings at the head of [make_language_model.py](../make_language_model.py) |
| finished | {len(table)} of {planned} prunings |
| when | {table["finished"].min()} to {table["finished"].max()} |
| where | cpu ({platform.machine()}, {os.cpu_count()} cores), {minutes:.0f} minutes of processor time |
| from | {"; ".join(sorted(table["versions"].unique()))} |

The network is the shipped `tiny_gpt`, whose loss is {dense:.4f} nats per character on the test text
({task.x_test.numel():,} characters, never seen in training or pruning). Pruned are all Linear layers but the last;
nothing is trained afterwards. Each pruning that reads data draws {COMMON["batch_size"]} sequences of 96 characters
from the training text at each stage; the seed decides which. Curvature is sampled, with one column.

Each row of `language_model.csv` is one pruning. `scope`: among which weights the smallest were chosen. `shares`: "qm"
where each layer keeps as many weights as QM in {STAGES} stages left it with the same sparsity and seed, so that only
the choice within layers is the method's. "in turn": a block after another, each with the inputs that the pruned ones
before it give; all others see the inputs of the dense network. `pruned`: the share of prunable weights that is zero.
`loss`: nats per character on the test text. `seconds`: processor time of the pruning alone. `density.`: the share of
each layer that is left. The test text is short: differences between methods are more certain than the losses, but one
below about 0.01 may be an accident of this text.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description="Prunings of the shipped language model.")
    parser.add_argument("--seeds", type=int, choices=SEEDS, nargs="+", default=SEEDS, help="only these")
    parser.add_argument("--write", action="store_true", help="only write the table of what is finished")
    given = parser.parse_args()
    if not given.write:
        torch.set_num_threads(1)  # another number may round otherwise
        experiment.versions()  # now, whatever is edited while it runs
        WORK.mkdir(parents=True, exist_ok=True)
        warnings.simplefilter("ignore", EmptyLayerWarning)
        parts = list(itertools.product(given.seeds, BLOCKS))
        total = sum(len(list(prunings(block, seed))) for seed, block in parts)
        with progress_bar(True, total=total, desc="prunings", unit="pruning") as bar:
            for seed, block in parts:
                run(block, seed, bar.update)
    write()


if __name__ == "__main__":
    main()
