"""Prune again with the same examples in another order, and with others: python data/results/make_chaos.py [--help]

The question and the rules stand in JUDGING.md, under "Chaos". What is finished is kept in artefacts/chaos, so that the
same command goes on where it was stopped. `--network` and `--seeds` do a part, for several processes side by side;
`--write` writes chaos/chaos.csv and chaos/chaos.md from what is finished: a block (network, stages, seed) whole or not
at all, and seeds from the start of the list. MNIST is read from the folder that LOSSPRUNE_DATA names.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import os
import platform
import subprocess
import time
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from lossprune_lib import Study, __version__, data, files, models, results
from lossprune_lib.data.task import Batch, Task, TaskLike
from lossprune_lib.pruning.local import LocalPruner
from lossprune_lib.pruning.run import PrunerState, training_loss
from lossprune_lib.pruning.stage import EmptyLayerWarning
from lossprune_lib.seeds import generator
from lossprune_lib.studies import experiment

HERE = Path(__file__).parent
WORK = HERE.parents[1] / "artefacts" / "chaos"
NETWORKS = {"digits": 0.95, "mnist": 0.9884707849539315}  # each trained as the plan of this name; its sparsity here
SEEDS = (1111, 1112, 1113, 1114, 1115)
CRITERIA = ("qm", "lm", "obd")
PENALTIES = (0.0, 1e-5, 1e-4, 1e-3, 1e-2)
STAGES = (14, 140)
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


def settings_of(stages: int) -> list[Setting]:
    """Return the settings at a number of stages; those in float64 are the control."""
    found = [
        Setting(criterion, stages, "exponential", penalty, "float32")
        for criterion, penalty in itertools.product(CRITERIA, PENALTIES)
    ]
    if stages == 14:
        found += [Setting(criterion, stages, "linear", 0.0, "float32") for criterion in CRITERIA]
        double = itertools.product(CRITERIA, ("exponential", "linear"))
        found += [Setting(criterion, stages, schedule, 0.0, "float64") for criterion, schedule in double]
    else:
        found.append(Setting("qm", stages, "exponential", 0.0, "float64"))
    return found


def network_of(name: str, seed: int, dtype: str) -> tuple[nn.Module, Task]:
    """Return a network trained as the plan of its name says, and its task; trained once, and then kept."""
    from safetensors.torch import load

    baseline = Study.read(HERE / f"{name}.toml").only([seed]).runs[0].baseline
    path = WORK / f"{name}-{seed}.safetensors"
    if not path.is_file():
        trained = experiment.train(baseline, "cpu")
        files.replace(path, lambda temporary: temporary.write_bytes(trained.network))
    task = data.load(name, device="cpu", seed=seed, progress=False)
    net = models.make(baseline.model, task, seed=seed)
    net.load_state_dict(load(path.read_bytes()))
    return net.eval().to(getattr(torch, dtype)), task.to(dtype=getattr(torch, dtype))


def compared(net: nn.Module, task: Task, name: str, seed: int, setting: Setting) -> Iterator[dict[str, Any]]:
    """Prune as it is drawn, reordered and redrawn, stage by stage; yield a row for each of the last two."""
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
    dense = training_loss(first, first.dense)
    change = {how: training_loss(state, state.weights) - dense for how, state in states.items()}
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


@functools.cache
def versions() -> str:
    command = ["git", "-C", str(HERE), "describe", "--always", "--dirty", "--abbrev=10"]
    commit = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    return f"lossprune {__version__} ({commit}), torch {torch.__version__}, Python {platform.python_version()}"


def run(name: str, seed: int, stages: int) -> None:
    """Carry out what is missing of a block, and keep each cell as soon as it is finished."""
    path = WORK / f"{name}-{seed}-{stages}.csv"
    done = pd.read_csv(path) if path.is_file() else pd.DataFrame(columns=[*asdict(settings_of(stages)[0])])
    keys = [*asdict(settings_of(stages)[0])]
    there = {tuple(row) for row in done[keys].itertuples(index=False)}
    places: dict[str, tuple[nn.Module, Task]] = {}
    for setting in settings_of(stages):
        if tuple(asdict(setting).values()) in there:
            continue
        if setting.dtype not in places:
            places = {setting.dtype: network_of(name, seed, setting.dtype)}
        start = time.process_time()
        rows = pd.DataFrame(compared(*places[setting.dtype], name, seed, setting))
        rows["seconds"] = (time.process_time() - start) / len(rows)
        rows["finished"], rows["versions"] = datetime.now(UTC).isoformat(timespec="seconds"), versions()
        done = pd.concat([done, rows], ignore_index=True)
        kept = done
        files.replace(path, lambda temporary, kept=kept: kept.to_csv(temporary, index=False))
        print(rows.drop(columns=["finished", "versions"]).to_string(header=False, index=False), flush=True)


def finished() -> Iterable[pd.DataFrame]:
    """Yield the tables of the blocks that are complete; of each network and number of stages, the first seeds."""
    for name, stages in itertools.product(NETWORKS, STAGES):
        expected = sum(2 if setting.dtype == "float32" else 1 for setting in settings_of(stages))
        for seed in SEEDS:
            path = WORK / f"{name}-{seed}-{stages}.csv"
            table = pd.read_csv(path) if path.is_file() else pd.DataFrame()
            if len(table) < expected:
                break
            yield table


def write() -> None:
    table = pd.concat(finished(), ignore_index=True)
    csv = table.drop(columns=["seconds", "finished", "versions"])
    folder = HERE / "chaos"
    print(files.replace(folder / "chaos.csv", lambda path: csv.to_csv(path, index=False, float_format="%.6g")))
    text = note(table)
    print(files.replace(folder / "chaos.md", lambda path: path.write_text(text, "utf-8")))


def note(table: pd.DataFrame) -> str:
    ran = table.groupby(["network", "stages"])["seed"].unique()
    rows = "\n".join(
        f"| {name}, {stages} stages | seeds {', '.join(map(str, seeds))}{'' if len(seeds) < len(SEEDS) else ' (all)'} |"
        for (name, stages), seeds in ran.items()
    )
    minutes = table["seconds"].sum() / 60
    return f"""# chaos

Made by `python data/results/make_chaos.py`. The same machine and versions give the same numbers again.

| | |
|---|---|
| how | the settings at the head of [make_chaos.py](../make_chaos.py), and [JUDGING.md](../JUDGING.md), "Chaos" |
{rows}
| when | {table["finished"].min()} to {table["finished"].max()} |
| where | cpu ({platform.machine()}, {os.cpu_count()} cores), {minutes:.0f} minutes of processor time |
| from | {"; ".join(sorted(table["versions"].unique()))} |

The networks are those of `digits.toml` and `mnist.toml`, trained again from these plans. Each row of `chaos.csv`
compares two prunings of one network: as its seed draws the examples of each stage, and the same examples in another
order ("reordered") or others ("redrawn"). `overlap`: weights kept by both, as a share of those kept by either.
`first_apart`: the first stage after which their masks differ, 0 if they never do. `change` and `other_change`: the
signed change of the loss over the training set, in nats. Rows in float64 are the control.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description="Prunings that differ only in the order, or the draw, of examples.")
    parser.add_argument("--network", choices=NETWORKS, action="append", help="only this one; may be given again")
    parser.add_argument("--seeds", type=int, choices=SEEDS, nargs="+", default=SEEDS, help="only these")
    parser.add_argument("--stages", type=int, choices=STAGES, nargs="+", default=STAGES, help="only these")
    parser.add_argument("--write", action="store_true", help="only write the table of what is finished")
    given = parser.parse_args()
    if not given.write:
        warnings.simplefilter("ignore", EmptyLayerWarning)
        for stages, name, seed in itertools.product(given.stages, given.network or NETWORKS, given.seeds):
            run(name, seed, stages)
    if given.write or (given.seeds == SEEDS and not given.network):
        write()


if __name__ == "__main__":
    main()
