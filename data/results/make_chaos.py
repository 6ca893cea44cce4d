"""Prune again with the same examples in another order, and with others: python data/results/make_chaos.py [--help]

The question and the rules stand in JUDGING.md, under "Chaos". What is finished is kept in artefacts/chaos, so that the
same command goes on where it was stopped. `--network` and `--seeds` do a part, for several processes side by side;
`--write` writes chaos/chaos.csv and chaos/chaos.md from what is finished: of each network the first blocks, of each
block the first seeds. MNIST is read from the folder that LOSSPRUNE_DATA names.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import os
import platform
import time
import warnings
from collections.abc import Iterator
from dataclasses import asdict, astuple, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from lossprune_lib import Study, data, files, models, results
from lossprune_lib.data.task import Batch, Task, TaskLike
from lossprune_lib.pruning.local import LocalPruner
from lossprune_lib.pruning.run import PrunerState, training_loss
from lossprune_lib.pruning.stage import EmptyLayerWarning
from lossprune_lib.seeds import generator
from lossprune_lib.studies import experiment

HERE = Path(__file__).parent
WORK = HERE.parents[1] / "artefacts" / "chaos"
NETWORKS = {"digits": 0.95, "mnist": 0.9884707849539315}  # and their sparsities
SHIPPED = "mnist"  # the trained network that comes with the project; the others are trained as the plan of their name
SEEDS = (1111, 1112, 1113, 1114, 1115)
CRITERIA = ("qm", "lm", "obd")
PENALTIES = (0.0, 1e-3, 1e-2, 1e-4, 1e-5)  # in the order in which they are run
# Stages, schedule, step penalty; cut from the end where time is short.
BLOCKS = [
    (14, "linear", 0.0),
    *((stages, "exponential", penalty) for stages in (14, 140) for penalty in PENALTIES),
]
KEY = ["criterion", "stages", "schedule", "step_penalty", "dtype"]
OTHER_DRAWS = 5000  # added to the seed of the pruner, for other examples


@dataclass(frozen=True)
class Setting:
    """What the prunings of a cell have in common, beside the network."""

    criterion: str
    stages: int
    schedule: str
    step_penalty: float
    dtype: str

    def pruner(self, network: str, seed: int) -> LocalPruner:
        settings = self.stages, self.schedule, self.step_penalty
        return LocalPruner(self.criterion, NETWORKS[network], *settings, batch_size=1000, seed=seed)


@dataclass(frozen=True)
class Reordered:
    """A task whose samples have the same examples, always in one other order."""

    task: TaskLike
    seed: int

    @property
    def device(self) -> torch.device:
        return self.task.device

    @property
    def dtype(self) -> torch.dtype:
        return self.task.dtype

    def sample(self, examples: int, draws: torch.Generator) -> Batch:
        x, y = self.task.sample(examples, draws)
        order = torch.randperm(len(y), generator=generator(self.seed, "other order"))
        return x[order], y[order]

    def batches(self, split: str, *settings: Any, **named: Any) -> Iterator[Batch]:
        return self.task.batches(split, *settings, **named)


def settings_of(block: tuple[int, str, float]) -> list[Setting]:
    """Return the settings of a block; those in float64 are the control."""
    found = [Setting(criterion, *block, "float32") for criterion in CRITERIA]
    stages, _, penalty = block
    if penalty == 0:
        found += [Setting(criterion, *block, "float64") for criterion in CRITERIA if stages == 14 or criterion == "qm"]
    return found


@functools.lru_cache(maxsize=2)
def place(name: str, seed: int, dtype: str) -> tuple[nn.Module, Task, float]:
    """Return a network, its task and its training loss, in one dtype."""
    net, task = network_of(name, seed)
    net, task = net.to(getattr(torch, dtype)), task.to(dtype=getattr(torch, dtype))
    state = LocalPruner().start(net, task)
    return net, task, training_loss(state, state.dense)


def network_of(name: str, seed: int) -> tuple[nn.Module, Task]:
    """Return a network and its task: the shipped one, or one that is trained as its plan says and then kept."""
    if name == SHIPPED:
        task = data.load(name, device="cpu", seed=0, progress=False)
        return models.pretrained("mlp_300_100", task), task
    return trained_as(name, seed, WORK)


def trained_as(plan: str, seed: int, work: Path) -> tuple[nn.Module, Task]:
    """Return the network that a plan trains from a seed, and its task; it is trained once, and kept in a folder."""
    from safetensors.torch import load

    baseline = Study.read(HERE / f"{plan}.toml").only([seed]).runs[0].baseline
    path = work / f"{Path(plan).name}-{seed}.safetensors"
    if not path.is_file():
        trained = experiment.train(baseline, "cpu")
        files.replace(path, lambda temporary: temporary.write_bytes(trained.network))
    task = experiment.load_task(baseline.task, seed, baseline.train_examples, "cpu")
    net = models.make(baseline.model, task, seed=seed, width=baseline.width)
    net.load_state_dict(load(path.read_bytes()))
    return net.eval(), task


def compared(name: str, seed: int, setting: Setting) -> Iterator[dict[str, Any]]:
    """Prune as it is drawn, reordered and redrawn, stage by stage; yield a row for each of the last two."""
    net, task, dense = place(name, SEEDS[0] if name == SHIPPED else seed, setting.dtype)
    pruner = setting.pruner(name, seed)
    streams = {"drawn": pruner.stream(net, task), "reordered": pruner.stream(net, Reordered(task, seed))}
    if setting.dtype == "float32":
        streams["redrawn"] = replace(pruner, seed=seed + OTHER_DRAWS).stream(net, task)
    states: dict[str, PrunerState] = {}
    apart: dict[str, list[int]] = {how: [] for how in streams}
    for of_stage in zip(*streams.values(), strict=True):
        states = dict(zip(streams, of_stage, strict=True))
        for how, state in states.items():
            apart[how].append(int((state.mask.kept & ~states["drawn"].mask.kept).sum()))
    first = states["drawn"]
    change: dict[str, float] = {}
    for how, state in states.items():
        same = apart[how][-1] == 0
        change[how] = change["drawn"] if same and change else training_loss(state, state.weights) - dense
    for how in [*streams][1:]:
        pair: Tensor = torch.stack([first.mask.kept, states[how].mask.kept])
        yield {
            "network": name,
            "sparsity": NETWORKS[name],
            "seed": seed,
            **asdict(setting),
            "how": how,
            "overlap": results.overlap(pair)[0, 1].item(),
            "first_apart": next((stage for stage, moved in enumerate(apart[how], 1) if moved), 0),
            "change": change["drawn"],
            "other_change": change[how],
        }


def run(name: str, seed: int, block: tuple[int, str, float]) -> None:
    """Carry out what is missing of a block, and keep each setting as soon as it is finished."""
    path = WORK / f"{name}-{seed}.csv"
    done = pd.read_csv(path) if path.is_file() else pd.DataFrame(columns=KEY)
    there = {tuple(row) for row in done[KEY].itertuples(index=False)}
    for setting in settings_of(block):
        if astuple(setting) in there:
            continue
        start = time.process_time()
        rows = pd.DataFrame(compared(name, seed, setting))
        rows["seconds"] = (time.process_time() - start) / len(rows)
        rows["finished"], rows["versions"] = datetime.now(UTC).isoformat(timespec="seconds"), experiment.versions()
        done = pd.concat([done, rows], ignore_index=True)
        files.replace(path, functools.partial(done.to_csv, index=False))
        print(rows.drop(columns=["finished", "versions"]).to_string(header=False, index=False), flush=True)


def finished() -> Iterator[pd.DataFrame]:
    """Yield what is finished of each network's first blocks, of each the first seeds; the control is cut apart."""
    for name, dtype in itertools.product(NETWORKS, ("float32", "float64")):
        paths = {seed: WORK / f"{name}-{seed}.csv" for seed in SEEDS}
        tables = {seed: pd.read_csv(path) for seed, path in paths.items() if path.is_file()}
        for block in BLOCKS:
            wanted = pd.DataFrame([asdict(setting) for setting in settings_of(block) if setting.dtype == dtype])
            if wanted.empty:
                continue
            of_seeds = [tables[seed].merge(wanted) for seed in SEEDS if seed in tables]
            whole = [len(part) == len(wanted) * (2 if dtype == "float32" else 1) for part in of_seeds] + [False]
            yield from of_seeds[: whole.index(False)]
            if whole.index(False) < len(SEEDS):
                break


def write() -> None:
    table = pd.concat(finished(), ignore_index=True).astype(dict.fromkeys(("seed", "stages", "first_apart"), int))
    csv = table.drop(columns=["seconds", "finished", "versions"])
    folder = HERE / "chaos"
    print(files.replace(folder / "chaos.csv", lambda path: csv.to_csv(path, index=False, float_format="%.6g")))
    text = note(table)
    print(files.replace(folder / "chaos.md", lambda path: path.write_text(text, "utf-8")))


def note(table: pd.DataFrame) -> str:
    block = ["network", "dtype", "stages", "schedule", "step_penalty"]
    ran = table.drop_duplicates([*block, "seed"])
    rows = "\n".join(
        f"| {name}, {dtype}, {stages} {schedule}, penalty {penalty:g} | seeds {', '.join(map(str, part['seed']))} |"
        for (name, dtype, stages, schedule, penalty), part in ran.groupby(block, sort=False)
    )
    done = {tuple(key) for key in ran.loc[ran["dtype"] == "float32", [block[0], *block[2:]]].to_numpy().tolist()}
    cut = [key for key in itertools.product(NETWORKS, BLOCKS) if (key[0], *key[1]) not in done]
    of = {
        name: [f"{stages} {schedule}, penalty {penalty:g}" for to, (stages, schedule, penalty) in cut if to == name]
        for name in NETWORKS
    }
    lacking = "; ".join(f"{name}: {', '.join(blocks)}" for name, blocks in of.items() if blocks)
    not_run = (
        f"\n| not run, for want of time | {len(cut)} of {len(NETWORKS) * len(BLOCKS)} blocks, the last in `BLOCKS` "
        f"({lacking}) |"
        if cut
        else ""
    )
    minutes = table["seconds"].sum() / 60
    return f"""# chaos

Made by `python data/results/make_chaos.py`. The same machine and versions give the same numbers again;
another machine need not.

| | |
|---|---|
| how | the settings at the head of [make_chaos.py](../make_chaos.py), and [JUDGING.md](../JUDGING.md), "Chaos" |
{rows}{not_run}
| when | {table["finished"].min()} to {table["finished"].max()} |
| where | cpu ({platform.machine()}, {os.cpu_count()} cores), {minutes:.0f} minutes of processor time |
| from | {"; ".join(sorted(table["versions"].unique()))} |

The networks for the digits are those of `digits.toml`, trained again, one a seed; for MNIST it is the one that comes
with the project, and the seed is that of the examples drawn alone. Each row of `chaos.csv` compares two prunings of one
network: as its seed draws the examples of each stage, and the same examples in another order ("reordered") or others
("redrawn"). `overlap`: weights kept by both, as a share of those kept by either. `first_apart`: the first stage after
which their masks differ, 0 if they never do. `change` and `other_change`: the signed change of the loss over the
training set, in nats. Rows in float64 are the control.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description="Prunings that differ only in the order, or the draw, of examples.")
    parser.add_argument("--network", choices=NETWORKS, action="append", help="only this one; may be given again")
    parser.add_argument("--seeds", type=int, choices=SEEDS, nargs="+", default=SEEDS, help="only these")
    parser.add_argument("--write", action="store_true", help="only write the table of what is finished")
    given = parser.parse_args()
    if not given.write:
        experiment.versions()  # now, whatever is edited while it runs
        warnings.simplefilter("ignore", EmptyLayerWarning)
        for block, name, seed in itertools.product(BLOCKS, given.network or NETWORKS, given.seeds):
            run(name, seed, block)
    if given.write or (given.seeds == SEEDS and not given.network):
        write()


if __name__ == "__main__":
    main()
