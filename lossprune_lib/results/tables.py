"""The shipped tables: the names of those that there are, of those that are only planned, and their rows."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from lossprune_lib.checks import suggestion
from lossprune_lib.files import shipped

EVERYWHERE = "**"
# Parts of one question, in plans of their own: other criteria or stages of the same networks, or what is controlled.
_BELONGING = {
    "mnist_controls": ("mnist_200",),
    "cifar10_resnet_quarter": ("cifar10_resnet_140",),
    "cifar10_resnet_100_epochs": ("cifar10_resnet_100_epochs_140",),
    "cifar10_resnet_controls": ("cifar10_resnet_criteria", "cifar10_resnet_gradual"),
    "cifar10_vgg_controls": ("cifar10_vgg_criteria", "cifar10_vgg_gradual"),
    "cifar10_resnet_100_epochs_controls": ("cifar10_resnet_100_epochs_criteria",),
    "cifar10_vgg_100_epochs_controls": ("cifar10_vgg_100_epochs_criteria",),
}

_NO_STUDIES = ("chaos", "language_model", "predictions")  # their tables have functions of their own


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
    _check_name(name)
    plans, there = _plans(EVERYWHERE), names(EVERYWHERE)
    if name in there:
        return pd.read_csv(plans[name].with_suffix(".csv"))
    why = (
        f"The study {name!r} is planned, but was not run: python -m lossprune_lib study run {name} runs it, and study "
        "export makes a table that pandas.read_csv reads."
        if name in plans
        else f"There are no results called {name!r}.{suggestion(name, there)}"
    )
    if name in _NO_STUDIES:
        why = f"{name} is not a study: results.{name}() reads its table."
    if name.endswith(".csv"):
        why = "This reads the shipped tables; read your own with pandas.read_csv."
    raise FileNotFoundError(f"{why} There are tables of: {', '.join(there) or 'no study yet'}.")


def belonging(name: str) -> tuple[str, ...]:
    """Return the names of the shipped tables that are read together with one: parts of the same question."""
    _check_name(name)
    return tuple(other for other in _BELONGING.get(name, ()) if other in names(EVERYWHERE))


def together(name: str) -> pd.DataFrame:
    """Read a shipped table with those that belong to it: of the same networks and, where they have it, fine-tuning.

    Raises
    ------
    FileNotFoundError
        as `load`.
    """
    found = pd.concat([load(name), *map(load, belonging(name))], ignore_index=True)
    sizes = found.get("batch_size")
    # Such plans draw fewer examples for more stages on purpose, and are one series by the rules.
    return found if sizes is None or sizes.nunique() == 1 else found.drop(columns="batch_size")


def _check_name(name: object) -> None:
    if not isinstance(name, str):
        raise TypeError(f"name is that of a shipped table, such as {names()[0]!r}, not {name!r}.")


def _plans(folder: str) -> dict[str, Path]:
    return {path.stem: path for path in shipped("results").glob(f"{folder}/*.toml")}
