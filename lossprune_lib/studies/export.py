"""Export: a study's finished runs as small CSV files, with a note of how, when, where and from which commit."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING

from lossprune_lib import files, results
from lossprune_lib.studies.store import Store
from lossprune_lib.studies.study import Study

if TYPE_CHECKING:
    import pandas as pd

_IN_NOTE = ("trace", "device", "versions")  # the same for all runs, or too large


def export(study: Study, plan: str | Path, store: str | Path, folder: str | Path) -> list[Path]:
    """Write NAME.csv (one row per run), NAME-overlap.csv (how much the criteria's masks have in common) and NAME.md.

    Parameters
    ----------
    study : whose finished runs are written
    plan : the file that the study was read from; NAME is its name without the ending
    store : the SQLite file with the runs
    folder : where the files go; created if it does not exist

    Raises
    ------
    ValueError
        if no run of the study is finished.
    """
    plan, folder = Path(plan), Path(folder)
    table = study.table(store)
    if table.empty:
        raise ValueError(f"No run of {plan.stem} is finished in {store}: run the study first.")
    overlap = results.criterion_overlap(table, study.masks(store))
    csv = table.drop(columns=[name for name in _IN_NOTE if name in table])
    note = _note(study, plan, store, table)
    return [
        _write(csv, folder / f"{plan.stem}.csv"),
        _write(overlap, folder / f"{plan.stem}-overlap.csv"),
        files.replace(folder / f"{plan.stem}.md", lambda path: path.write_text(note, "utf-8")),
    ]


def _write(table: pd.DataFrame, path: Path) -> Path:
    return files.replace(path, lambda temporary: table.to_csv(temporary, index=False, float_format="%.6g"))


def _note(study: Study, plan: Path, store: str | Path, table: pd.DataFrame) -> str:
    with Store(store, must_exist=True) as kept:
        first, last = kept.period([run.key for run in study.runs]) or ("", "")
    # A stack's seconds are shared among its runs, so their sum is the whole; training the baselines is not included.
    hours = (table["pruning_seconds"].sum() + table["tuning_seconds"].sum()) / 3600
    seeds = ", ".join(str(seed) for seed in sorted(table["seed"].unique()))
    missing = len(study.runs) - len(table)
    state = "all of them" if not missing else f"{missing} were not run"
    devices = ", ".join(sorted(table["device"].unique()))
    versions = "; ".join(sorted(table["versions"].unique()))
    return f"""# {plan.stem}

Made by `python -m lossprune_lib study run {plan.stem}`, then
`python -m lossprune_lib study export {plan.stem} FOLDER`. The same machine and versions give the same numbers again.

| | |
|---|---|
| how | the plan [{plan.name}]({plan.name}) |
| runs | {len(table):,} of {len(study.runs):,} ({state}); seeds {seeds} |
| when | {first} to {last} |
| where | {devices} ({platform.machine()}, {os.cpu_count()} cores), {hours:.2g} hours of pruning and fine-tuning |
| from | {versions} |

`{plan.stem}.csv` has one row per run: its configuration; loss and error (a fraction) on the train, valid and test split
of the dense network, after pruning and after fine-tuning; the signed change of the training loss by pruning; the share
of weights that each layer keeps; seconds (those of a stack of runs shared evenly). `{plan.stem}-overlap.csv`: weights
kept by both of two criteria, as a share of those kept by either, each at its best step penalty.
"""
