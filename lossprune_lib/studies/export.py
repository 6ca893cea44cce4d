"""Export: a study's finished runs as small CSV files, with a note of how, when, where and from which commit."""

from __future__ import annotations

import os
import platform
import re
import shlex
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from lossprune_lib import files, results
from lossprune_lib.installation import study_plans
from lossprune_lib.results.selection import ADDED, check_columns
from lossprune_lib.studies.store import Store
from lossprune_lib.studies.study import Study

_IN_NOTE = ("trace", "device", "versions")  # the same for all runs, or too large
_DIGITS = "%.6g"
_REMEDY = "export into another folder, or remove what was exported there before."
_MOVE = "move it, or export into another folder."


def export(study: Study, plan: str | Path, store: str | Path, folder: str | Path) -> list[Path]:
    """Write NAME.csv (one row per run), NAME-overlap.csv (how much the criteria's masks have in common) and NAME.md.

    The plan is copied beside them. A table that is there already keeps the rows of its other seeds, so that a study may
    be run in parts, each with a store of its own, and be given more seeds; the note has a line for each part.

    Parameters
    ----------
    study : whose finished runs are written
    plan : the file that the study was read from; NAME is its name without the ending
    store : the SQLite file with the runs
    folder : where the files go; created if it does not exist

    Raises
    ------
    ValueError
        if no run of the study is finished; a table or plan of this name is there with runs that are not in the plan,
        or with runs of these seeds that the store does not have; or a file of such a name is no export.
    """
    plan, folder = Path(plan), Path(folder)
    planned = Study.read(plan)  # all of it: `study` may have some of its seeds only
    table, csv, note = study.table(store), folder / f"{plan.stem}.csv", folder / f"{plan.stem}.md"
    if table.empty:
        raise ValueError(f"No run of {plan.stem} is finished in {store}: run the study first.")
    overlaps = folder / f"{plan.stem}-overlap.csv"
    _check_same_study(folder / plan.name, csv, planned)
    _check_nothing_lost(csv, table, planned)
    _check_own(note, overlaps)
    earlier = _of_other_seeds(csv, table)
    parts = [*_parts_in(note, set(earlier["seed"])), _part(study, store, table)]
    whole = table.drop(columns=[name for name in _IN_NOTE if name in table])
    if not earlier.empty:
        whole = pd.concat([earlier, whole]).sort_values("seed", kind="stable")
    written = [_write(whole, csv)]
    of_controls_alone = "control" in table and table["control"].ne("").all()
    if earlier.empty and not of_controls_alone:  # else this store does not have all masks, or no criterion's own
        overlap = results.criterion_overlap(table, study.masks(store))
        written.append(_write(overlap, overlaps))
    else:
        overlaps.unlink(missing_ok=True)  # an earlier part's would be taken for that of all seeds
    content = plan.read_bytes()
    written.append(files.replace(folder / plan.name, lambda path: path.write_bytes(content)))
    text = _note(planned, plan, whole, sorted(parts))
    return [*written, files.replace(note, lambda path: path.write_text(text, "utf-8"))]


def _of_other_seeds(csv: Path, table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of seeds that were exported before, from another store."""
    found = _exported(csv) if csv.is_file() else table.iloc[:0]
    return found[~found["seed"].isin(table["seed"])]


def _exported(csv: Path) -> pd.DataFrame:
    try:
        table = pd.read_csv(csv, keep_default_na=False, na_values=[""])
        check_columns(table, ["seed"], "it was not exported")
    except ValueError as error:  # pandas' own are such, too
        raise ValueError(f"{csv} is no study's table, and would be replaced: {_MOVE} ({error})") from error
    return table


def _check_same_study(copied: Path, csv: Path, planned: Study) -> None:
    """Raise ValueError if what was exported before, a plan and its table, has runs that are not planned."""
    # The plan knows what no column shows, such as the learning rate.
    if copied.is_file() and not set(Study.read(copied).runs) <= set(planned.runs):
        raise ValueError(f"{copied} is another plan, with runs that this one has not: {_REMEDY}")
    if not csv.is_file():
        return
    runs, table = [run.columns() for run in planned.runs], _exported(csv)
    names = [*runs[0], *ADDED]
    known = {_settings(run, names) for run in runs}
    strange = [_settings(row, names) not in known for row in table.to_dict("records")]
    if any(strange):
        raise ValueError(f"{csv} has runs of another plan (seeds {_listed(table.loc[strange, 'seed'])}): {_REMEDY}")


def _check_nothing_lost(csv: Path, table: pd.DataFrame, planned: Study) -> None:
    """Raise ValueError if what was exported before has finished runs of the table's seeds that the table lacks."""
    if not csv.is_file():
        return
    before = _exported(csv)
    before = before[before["seed"].isin(table["seed"])]
    names = [*planned.runs[0].columns(), *ADDED]
    there = {_settings(row, names) for row in table.to_dict("records")}
    lost = [_settings(row, names) not in there for row in before.to_dict("records")]
    if any(lost):
        raise ValueError(
            f"{csv} has finished runs that this store lacks ({sum(lost)}, of the seeds "
            f"{_listed(before.loc[lost, 'seed'])}), and they would be lost: export from the store that has them, or "
            "into another folder."
        )


def _check_own(note: Path, overlaps: Path) -> None:
    """Raise ValueError if a file that the export would replace is none of its own."""
    beginnings = {note: f"# {note.stem}\n\nMade by ", overlaps: "sparsity,stages,first,second,"}
    for path, beginning in beginnings.items():
        if path.is_file() and not path.read_text("utf-8", errors="replace").startswith(beginning):
            raise ValueError(f"{path} was not exported, and would be replaced: {_MOVE}")


def _settings(row: Mapping[Any, Any], names: Collection[str]) -> tuple[Any, ...]:
    """Return a row's configuration in the digits of a CSV file; what the row lacks is as usual."""
    found = ADDED | {name: value for name, value in row.items() if name in names and not pd.isna(value)}
    values = (found.get(name) for name in names)
    return tuple(float(_DIGITS % value) if isinstance(value, float) else value for value in values)


def _write(table: pd.DataFrame, path: Path) -> Path:
    return files.replace(path, lambda temporary: table.to_csv(temporary, index=False, float_format=_DIGITS))


def _part(study: Study, store: str | Path, table: pd.DataFrame) -> str:
    """Return the note's row on the seeds in one store: when, where, and from which versions."""
    with Store(store, must_exist=True) as kept:
        first, last = kept.period([run.key for run in study.runs]) or ("", "")
    # A stack's seconds are shared among its runs, so their sum is the whole; training the baselines is not included.
    hours = (table["pruning_seconds"].sum() + table["tuning_seconds"].sum()) / 3600
    devices, versions = (", ".join(sorted(table[name].unique())) for name in ("device", "versions"))
    here = f"cpu ({platform.machine()}, {os.cpu_count()} cores)"  # a GPU's store may have come from elsewhere
    where = f"{devices.replace('cpu', here)}, {hours:.2g} hours of pruning and fine-tuning"
    return f"| seeds {_listed(table['seed'])} | {first} to {last}; {where}; {versions} |"


def _parts_in(note: Path, seeds: set[int]) -> list[str]:
    """Return such rows of an earlier note, of seeds that are still in the table."""
    lines = note.read_text("utf-8").splitlines() if note.is_file() else []
    rows = [line for line in lines if line.startswith("| seeds ")]
    return [row for row in rows if seeds & {int(seed) for seed in re.findall(r"\d+", row.split("|")[1])}]


def _listed(seeds: pd.Series) -> str:
    return ", ".join(str(seed) for seed in sorted(seeds.unique()))


def _note(study: Study, plan: Path, table: pd.DataFrame, parts: list[str]) -> str:
    missing = len(study.runs) - len(table)
    state = "all of them" if not missing else f"{missing} were not run"
    rows = "\n".join(parts)
    again = "The same machine and versions give the same numbers again."
    if any("; cpu (" not in part for part in parts):
        again = "On a GPU the last digits depend on chance: the same machine gives nearly the same numbers again."
    # A plan that comes with the project goes by its name; another is read where the note lies, from its copy.
    of_that_name = study_plans().get(plan.stem)
    given = plan.stem if of_that_name and of_that_name.samefile(plan) else shlex.quote(plan.name)
    return f"""# {plan.stem}

Made by `python -m lossprune_lib study run {given}`, then
`python -m lossprune_lib study export {given} FOLDER`. {again}

| | |
|---|---|
| how | the plan [{plan.name}]({plan.name}) |
| runs | {len(table):,} of {len(study.runs):,} ({state}); seeds {_listed(table["seed"])} |
{rows}

`{plan.stem}.csv` has one row per run: its configuration; loss and error (a fraction) on the train, valid and test split
of the dense network, after pruning and after fine-tuning; the signed change of the training loss by pruning; the share
of weights that each layer keeps; seconds (those of a stack of runs shared evenly). `{plan.stem}-overlap.csv`, where the
masks of all seeds were there: weights kept by both of two criteria, as a share of those kept by either, each at its
best step penalty.
"""
