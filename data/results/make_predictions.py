"""Ask models what prunings of several networks will cost: python data/results/make_predictions.py [--help]

The question and the rules stand in JUDGING.md, under "Predictions". What is finished is kept in artefacts/predictions,
so that the same command goes on where it was stopped; `--network` and `--seeds` do a part, for several processes side
by side. `--write` writes predictions/predictions.csv and its note from what is there, and keeps the rows of networks of
which nothing is; `--write again` writes predictions/again.csv in its place. Trained networks are taken from `--store`,
where it has them. MNIST and CIFAR-10 are read from the folder that LOSSPRUNE_DATA names.
"""

from __future__ import annotations

import argparse
import itertools
import os
import platform
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
from make_chaos import trained_as
from torch import nn

from lossprune_lib import Study, files
from lossprune_lib.data.task import Task
from lossprune_lib.pruning import causes_by_stages, cost_of_groups, stage_by_stage
from lossprune_lib.pruning.local import LocalPruner
from lossprune_lib.pruning.stage import EmptyLayerWarning, losses_of
from lossprune_lib.results.statistics import spearman
from lossprune_lib.studies import experiment
from lossprune_lib.studies.store import Store

HERE = Path(__file__).parent
WORK = HERE.parents[1] / "artefacts" / "predictions"
STEPS = [("random", 14), ("mp", 14), ("obd", 14), ("lm", 14), ("qm", 14), ("qm", 1)]
ORDERS = ("first", "diagonal", "ggn", "hessian")
STAGES = (1, 2, 4, 7, 14, 28)


@dataclass(frozen=True)
class Asked:
    """Which networks of a plan are pruned, and how."""

    sparsity: float
    seeds: tuple[int, ...] = (1111, 1112, 1113, 1114, 1115)
    curvature_columns: int | None = None
    many_stages: bool = True  # QM in 140


NETWORKS = {
    "digits": Asked(0.9),
    "mnist": Asked(0.9884707849539315),
    "longer_training/cifar10_vgg_100_epochs": Asked(0.9, (1111, 1112, 1113, 1114), 1, many_stages=False),
}


def measured(net: nn.Module, task: Task, asked: Asked, seed: int) -> Iterator[dict[str, Any]]:
    """Yield what is predicted of steps, the causes of error, and the costs of groups, a number a row."""

    def rows(part: str, chooser: str, stages: int, numbers: dict[str, float]) -> Iterator[dict[str, Any]]:
        for quantity, value in numbers.items():
            yield {"part": part, "chooser": chooser, "stages": stages, "quantity": quantity, "value": float(value)}

    def pruning(chooser: str, stages: int = 14) -> LocalPruner:
        return LocalPruner(
            chooser, asked.sparsity, stages, batch_size=1000, seed=seed, curvature_columns=asked.curvature_columns
        )

    for chooser, stages in [*STEPS, *[("qm", 140)] * asked.many_stages]:
        pruner = pruning(chooser, stages)
        total = stage_by_stage(pruner, net, task, ORDERS)[["true_change", *ORDERS]].sum()
        yield from rows("steps", chooser, stages, total.rename({"true_change": "actual"}).to_dict())
    for stages, errors in causes_by_stages(pruning("mp"), net, task, STAGES).iterrows():
        yield from rows("causes", "mp", int(str(stages)), errors.abs().to_dict())
    pruner = pruning("qm")
    state = next(itertools.islice(pruner.stream(net, task), 6, None))
    risk = losses_of(state)(pruner)  # on the batch of the stage that comes next
    for chooser in ("mp", "qm"):
        costs = cost_of_groups(risk, state, chooser)
        numbers = {
            "order": spearman(costs["actual"], costs.index.to_series()),
            "last": costs["actual"].iloc[-1],
            "first six": costs["actual"].iloc[:6].sum(),
            "first six predicted": costs["predicted"].iloc[:6].sum(),
        }
        yield from rows("groups", chooser, 14, numbers)


def path_of(plan: str, seed: int) -> Path:
    """Return where the numbers of one network are kept."""
    return WORK / f"{Path(plan).name}-{seed}.csv"


def take_from(store: Path, plan: str, seed: int) -> None:
    """Put a store's trained network where `trained_as` looks, unless there is one; SystemExit if the store has none."""
    path = path_of(plan, seed).with_suffix(".safetensors")
    with Store(store, must_exist=True) as opened:
        trained = opened.baseline(Study.read(HERE / f"{plan}.toml").only([seed]).runs[0].baseline)
    if trained is None:
        raise SystemExit(f"{store} has no network of {plan} with the seed {seed}: leave --store out to train one.")
    if not path.is_file():
        files.replace(path, lambda temporary: temporary.write_bytes(trained.network))


def run(plan: str, seed: int, store: Path | None = None) -> None:
    """Measure one network, unless that is done."""
    path, name = path_of(plan, seed), Path(plan).name
    if path.is_file():
        return
    experiment.versions()  # remembers the commit of now, whatever is edited while it runs
    if store is not None:
        take_from(store, plan, seed)
    net, task = trained_as(plan, seed, WORK)
    start = time.process_time()
    table = pd.DataFrame(measured(net, task, NETWORKS[plan], seed))
    table.insert(0, "network", name)
    table.insert(1, "sparsity", NETWORKS[plan].sparsity)
    table.insert(2, "seed", seed)
    table["seconds"] = (time.process_time() - start) / len(table)
    table["finished"], table["versions"] = datetime.now(UTC).isoformat(timespec="seconds"), experiment.versions()
    files.replace(path, lambda temporary: table.to_csv(temporary, index=False))
    print(f"{name}, seed {seed}: finished", flush=True)


def write(name: str = "predictions") -> None:
    """Write a table and its note; SystemExit if networks that are there would lose a seed."""
    paths = [path_of(plan, seed) for plan, asked in NETWORKS.items() for seed in asked.seeds]
    table = pd.concat([pd.read_csv(path) for path in paths if path.is_file()], ignore_index=True)
    lines = {str(network): line(str(network), part) for network, part in table.groupby("network")}
    csv = table.drop(columns=["seconds", "finished", "versions"])
    place, about = ((HERE / "predictions" / name).with_suffix(end) for end in (".csv", ".md"))
    if place.is_file():
        there = pd.read_csv(place)
        known = there[there["network"].isin(csv["network"])][["network", "seed"]].drop_duplicates()
        lacking = known[~known.apply(tuple, axis=1).isin(csv[["network", "seed"]].apply(tuple, axis=1))]
        if len(lacking):
            of = ", ".join(f"{network} {seed}" for network, seed in lacking.itertuples(index=False))
            raise SystemExit(f"The table that is there has more than {WORK} ({of}): run these first.")
        kept = there[~there["network"].isin(csv["network"])]
        csv = pd.concat([kept, csv])
        said = about.read_text("utf-8").splitlines()
        lines |= {network: of for network in kept["network"].unique() for of in said if of.startswith(f"| {network} |")}
        if unsaid := [network for network in kept["network"].unique() if network not in lines]:
            raise SystemExit(f"{about} has no line on {', '.join(unsaid)}: put that note back, or run these again.")
    order = [Path(plan).name for plan in NETWORKS if Path(plan).name in lines]
    csv = csv.sort_values("network", key=lambda column: column.map(order.index), kind="stable")
    print(files.replace(place, lambda path: csv.to_csv(path, index=False, float_format="%.6g")))
    text = note(name, [lines[network] for network in order])
    print(files.replace(about, lambda path: path.write_text(text, "utf-8")))


def line(network: str, table: pd.DataFrame) -> str:
    """Return the note's line on one network."""
    when = f"{table['finished'].min()} to {table['finished'].max()}"
    where = f"cpu ({platform.machine()}, {os.cpu_count()} cores), {table['seconds'].sum() / 60:.0f} minutes"
    versions = "; ".join(sorted(table["versions"].unique()))
    return f"| {network} | {', '.join(map(str, table['seed'].unique()))} | {when} | {where} | {versions} |"


def note(name: str, lines: list[str]) -> str:
    rows = "\n".join(lines)
    again = " again" * (name != "predictions")
    return f"""# {name}

Made by `python data/results/make_predictions.py`{again}. The same machine and versions give the same numbers again;
others need not: without a step penalty masks can hang on rounding (see "chaos" in [FINDINGS.md](../FINDINGS.md)).
How: [make_predictions.py](../make_predictions.py); the rules: [JUDGING.md](../JUDGING.md), "Predictions".

| network | seeds | when finished | where, of processor time | from |
|---|---|---|---|---|
{rows}

The networks are those of the plans that the table names, one a seed; for the VGG11 the diagonal is sampled, with one
column. Each row of `{name}.csv` is one number, in
nats but for `order`. *steps*: the actual change of the loss over the stages of a pruning, each on its
own batch, and what the slopes (`first`), the diagonal model, the full GGN and the full Hessian predict of the same
steps. *causes*: the sizes of three errors of the diagonal model for MP's steps. *groups*: the weights that are left
after half of QM's stages, in twelve groups; `order` is the rank correlation of a group's place and its actual cost.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description="What models of several orders predict of prunings.")
    parser.add_argument("--network", choices=NETWORKS, action="append", help="only this one; may be given again")
    parser.add_argument(
        "--write", nargs="?", const="predictions", choices=["predictions", "again"], help="only write what is finished"
    )
    parser.add_argument("--seeds", type=int, nargs="+", help="only these")
    parser.add_argument("--store", type=Path, help="a study's store, whose trained networks are taken")
    given = parser.parse_args()
    if not given.write:
        warnings.simplefilter("ignore", EmptyLayerWarning)
        for plan in given.network or NETWORKS:
            for seed in NETWORKS[plan].seeds:
                if seed in (given.seeds or [seed]):
                    run(plan, seed, given.store)
    if given.write or not (given.network or given.seeds):
        write(given.write or "predictions")


if __name__ == "__main__":
    main()
