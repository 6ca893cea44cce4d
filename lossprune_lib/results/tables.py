"""The shipped tables: the names of those that there are, of those that are only planned, and their rows."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from lossprune_lib.checks import suggestion
from lossprune_lib.files import shipped

EVERYWHERE = "**"


def names(folder: str = ".") -> list[str]:
    """Return the names of the shipped tables: the main ones, or those of a subfolder such as ``"controls"``.

    ``"**"`` stands for all of them; no two have the same name.
    """
    return sorted(path.stem for path in _plans(folder).values() if path.with_suffix(".csv").is_file())


def missing(folder: str = ".") -> list[str]:
    """Return the names of the plans that were not run: those without a shipped table; folders as in `names`."""
    return sorted({*_plans(folder)} - {*names(folder)})


def load(name: str) -> pd.DataFrame:
    """Read a shipped table, of whichever folder.

    Raises
    ------
    FileNotFoundError
        if there is none of this name; the message says which there are, and how to make one that is only planned.
    """
    if not isinstance(name, str):
        raise TypeError(f"name is that of a shipped table, such as {names()[0]!r}, not {name!r}.")
    plans, there = _plans(EVERYWHERE), names(EVERYWHERE)
    if name in there:
        return pd.read_csv(plans[name].with_suffix(".csv"))
    why = (
        f"The study {name!r} is planned, but was not run: python -m lossprune_lib study run {name} runs it."
        if name in plans
        else f"There are no results called {name!r}.{suggestion(name, there)}"
    )
    raise FileNotFoundError(f"{why} There are tables of: {', '.join(there) or 'no study yet'}.")


def finished_seeds(name: str) -> pd.DataFrame | None:
    """Read what there is of a planned study: its table, or that of the seeds finished so far; None if there is none.

    Seeds of a study that is not finished are to be shown one by one, without an interval or a verdict.

    Raises
    ------
    FileNotFoundError
        if there is no plan of this name.
    """
    import pandas as pd

    so_far = shipped("results") / "unfinished" / f"{name}.csv"
    if name not in missing(EVERYWHERE):
        return load(name)
    return pd.read_csv(so_far) if so_far.is_file() else None


def _plans(folder: str) -> dict[str, Path]:
    return {path.stem: path for path in shipped("results").glob(f"{folder}/*.toml")}
