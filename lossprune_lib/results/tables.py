"""Results: the shipped tables, what they say, and the paper's numbers beside ours.

A table has one row per run (see `Study.table`). Each sparsity is looked at alone. Runs of one configuration and seed
that are there twice (magnitude, in tables that were put together) count once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lossprune_lib.checks import suggestion
from lossprune_lib.files import shipped

if TYPE_CHECKING:
    import pandas as pd


def names() -> list[str]:
    """Return the names of the shipped tables."""
    return sorted(path.stem for path in shipped("results").glob("*.csv") if path.with_suffix(".toml").is_file())


def missing() -> list[str]:
    """Return the names of the plans that were not run: those without a shipped table."""
    return sorted({path.stem for path in shipped("results").glob("*.toml")} - set(names()))


def load(name: str) -> pd.DataFrame:
    """Read a shipped table.

    Raises
    ------
    FileNotFoundError
        if there is none of this name; the message says which there are, and how to make one that is only planned.
    """
    import pandas as pd

    if not isinstance(name, str):
        raise TypeError(f"name is that of a shipped table, such as {names()[0]!r}, not {name!r}.")
    if name in names():
        return pd.read_csv(shipped(f"results/{name}.csv"))
    planned = (shipped("results") / f"{name}.toml").is_file()
    why = (
        f"The study {name!r} is planned, but was not run: python -m lossprune_lib study run {name} runs it."
        if planned
        else f"There are no results called {name!r}.{suggestion(name, names())}"
    )
    raise FileNotFoundError(f"{why} There are tables of: {', '.join(names()) or 'no study yet'}.")
