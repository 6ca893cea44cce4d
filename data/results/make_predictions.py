"""Ask models what prunings of several networks will cost: python data/results/make_predictions.py [--help]

The question and the rules stand in JUDGING.md, under "Predictions". What is finished is kept in artefacts/predictions,
so that the same command goes on where it was stopped; `--write` writes predictions/predictions.csv and predictions.md
from what is there. MNIST is read from the folder that LOSSPRUNE_DATA names.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
from make_chaos import trained_as
from torch import nn

from lossprune_lib import files
from lossprune_lib.data.task import Task
from lossprune_lib.loss_modelling.batch_loss import BatchLoss
from lossprune_lib.pruning import causes_by_stages, cost_of_groups, stage_by_stage
from lossprune_lib.pruning.local import LocalPruner
from lossprune_lib.pruning.stage import EmptyLayerWarning
from lossprune_lib.results.statistics import spearman
from lossprune_lib.seeds import generator
from lossprune_lib.studies import experiment

HERE = Path(__file__).parent
WORK = HERE.parents[1] / "artefacts" / "predictions"
NETWORKS = {"digits": 0.9, "mnist": 0.9884707849539315}  # and their sparsities
SEEDS = (1111, 1112, 1113, 1114, 1115)
STEPS = [("random", 14), ("mp", 14), ("obd", 14), ("lm", 14), ("qm", 14), ("qm", 1), ("qm", 140)]
ORDERS = ("first", "diagonal", "ggn", "hessian")
STAGES = (1, 2, 4, 7, 14, 28)


def measured(net: nn.Module, task: Task, sparsity: float, seed: int) -> Iterator[dict[str, Any]]:
    """Yield what is predicted of steps, the causes of error, and the costs of groups, a number a row."""

    def rows(part: str, chooser: str, stages: int, numbers: dict[str, float]) -> Iterator[dict[str, Any]]:
        for quantity, value in numbers.items():
            yield {"part": part, "chooser": chooser, "stages": stages, "quantity": quantity, "value": float(value)}

    for chooser, stages in STEPS:
        pruner = LocalPruner(chooser, sparsity=sparsity, stages=stages, seed=seed)
        total = stage_by_stage(pruner, net, task, ORDERS)[["true_change", *ORDERS]].sum()
        yield from rows("steps", chooser, stages, total.rename({"true_change": "actual"}).to_dict())
    pruner = LocalPruner("mp", sparsity=sparsity, seed=seed)
    for stages, errors in causes_by_stages(pruner, net, task, STAGES).iterrows():
        yield from rows("causes", "mp", int(str(stages)), errors.abs().to_dict())
    state = list(LocalPruner("qm", sparsity=sparsity, stages=14, seed=seed).stream(net, task))[6]
    risk = BatchLoss(net, task.sample(1000, generator(seed, "batch", 8)))  # the batch of the stage that comes next
    for chooser in ("mp", "qm"):
        costs = cost_of_groups(risk, state, chooser)
        numbers = {
            "order": spearman(costs["actual"], costs.index.to_series()),
            "last": costs["actual"].iloc[-1],
            "first six": costs["actual"].iloc[:6].sum(),
            "first six predicted": costs["predicted"].iloc[:6].sum(),
        }
        yield from rows("groups", chooser, 14, numbers)


def run(name: str, seed: int) -> None:
    """Measure one network, unless that is done."""
    path = WORK / f"{name}-{seed}.csv"
    if path.is_file():
        return
    net, task = trained_as(name, seed, WORK)
    start = time.process_time()
    table = pd.DataFrame(measured(net, task, NETWORKS[name], seed))
    table.insert(0, "network", name)
    table.insert(1, "sparsity", NETWORKS[name])
    table.insert(2, "seed", seed)
    table["seconds"] = (time.process_time() - start) / len(table)
    table["finished"], table["versions"] = datetime.now(UTC).isoformat(timespec="seconds"), experiment.versions()
    files.replace(path, lambda temporary: table.to_csv(temporary, index=False))
    print(f"{name}, seed {seed}: finished", flush=True)


def write() -> None:
    paths = [WORK / f"{name}-{seed}.csv" for name in NETWORKS for seed in SEEDS]
    table = pd.concat([pd.read_csv(path) for path in paths if path.is_file()], ignore_index=True)
    csv = table.drop(columns=["seconds", "finished", "versions"])
    folder = HERE / "predictions"
    print(files.replace(folder / "predictions.csv", lambda path: csv.to_csv(path, index=False, float_format="%.6g")))
    print(files.replace(folder / "predictions.md", lambda path: path.write_text(note(table), "utf-8")))


def note(table: pd.DataFrame) -> str:
    minutes = table["seconds"].sum() / 60
    seeds = "\n".join(
        f"| {name} | seeds {', '.join(map(str, part['seed'].unique()))} |"
        for name, part in table.groupby("network", sort=False)
    )
    return f"""# predictions

Made by `python data/results/make_predictions.py`. The same machine and versions give the same numbers again.

| | |
|---|---|
| how | [make_predictions.py](../make_predictions.py); the rules: [JUDGING.md](../JUDGING.md), "Predictions" |
{seeds}
| when | {table["finished"].min()} to {table["finished"].max()} |
| where | cpu ({platform.machine()}, {os.cpu_count()} cores), {minutes:.0f} minutes of processor time |
| from | {"; ".join(sorted(table["versions"].unique()))} |

The networks are those of `digits.toml` and `mnist.toml`, trained again, one a seed. Each row of `predictions.csv` is
one number, in nats but for `order`. *steps*: the actual change of the loss over the stages of a pruning, each on its
own batch, and what the slopes (`first`), the diagonal model, the full GGN and the full Hessian predict of the same
steps. *causes*: the sizes of three errors of the diagonal model for MP's steps. *groups*: the weights that are left
after half of QM's stages, in twelve groups; `order` is the rank correlation of a group's place and its actual cost.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description="What models of several orders predict of prunings.")
    parser.add_argument("--network", choices=NETWORKS, action="append", help="only this one; may be given again")
    parser.add_argument("--write", action="store_true", help="only write the table of what is finished")
    given = parser.parse_args()
    if not given.write:
        warnings.simplefilter("ignore", EmptyLayerWarning)
        for name in given.network or NETWORKS:
            for seed in SEEDS:
                run(name, seed)
    if given.write or not given.network:
        write()


if __name__ == "__main__":
    main()
