"""The table of the language model: what each way to prune it costs, and which layers pay."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lossprune_lib.checks import check_sparsity
from lossprune_lib.files import shipped

if TYPE_CHECKING:
    import pandas as pd

WAY = ["method", "scope", "stages", "shares"]
_NAMES = {
    "mp": "MP",
    "lm": "LM",
    "qm": "QM",
    "wanda": "Wanda",
    "sparsegpt": "SparseGPT",
    "sparsegpt in turn": "SparseGPT, in turn",
    "shuffled": "random",
}
_SCOPES = {"global": "global", "layer": "per layer", "row": "per row", "2:4": "2:4"}


def language_model() -> pd.DataFrame:
    """Return the shipped table of prunings of `tiny_gpt`, a row each (see data/results/language_model)."""
    import pandas as pd

    file = shipped("results/language_model/language_model.csv")
    return pd.read_csv(file, keep_default_na=False, dtype={"shares": str})


def losses(table: pd.DataFrame) -> pd.DataFrame:
    """Return the loss of each way to prune at each sparsity, over the seeds of its data.

    Parameters
    ----------
    table : from `language_model`

    Returns
    -------
    DataFrame
        `WAY`; label: the same in words; sparsity; loss: the mean, with loss_least and loss_most, in nats per character;
        seconds: the mean; seeds: how many (one where no data is read).
    """
    of = table.groupby([*WAY, "sparsity"], sort=False)
    found = of.agg(
        loss=("loss", "mean"),
        loss_least=("loss", "min"),
        loss_most=("loss", "max"),
        seconds=("seconds", "mean"),
        seeds=("seed", "nunique"),
    ).reset_index()
    found.insert(len(WAY), "label", [_label(*way) for way in found[WAY].itertuples(index=False)])
    return found


def layer_shares(table: pd.DataFrame, sparsity: float) -> pd.DataFrame:
    """Return the share of its weights that each layer keeps, ways to prune in rows by their labels, layers in columns.

    Of several seeds it is the mean. Ways that prune to the pattern 2:4 are left out: they keep half of each layer.

    Raises
    ------
    TypeError, ValueError
        if sparsity is none, or not one of the table's.
    """
    check_sparsity(sparsity)
    rows = table[(table["sparsity"] == sparsity) & (table["scope"] != "2:4")]
    if rows.empty:
        there = ", ".join(f"{value:g}" for value in sorted(set(table["sparsity"])))
        raise ValueError(f"The table has no sparsity {sparsity:g}: take one of {there}.")
    labels = [_label(*way) for way in rows[WAY].itertuples(index=False)]
    densities = rows.filter(regex=r"^density\.").rename(columns=lambda name: name.removeprefix("density."))
    return densities.groupby(labels, sort=False).mean()


def _label(method: str, scope: str, stages: int, shares: str) -> str:
    name = _NAMES.get(method, method)
    if shares:
        return f"{name}, {_NAMES[shares]}'s shares"
    staged = f", {stages} stages" if stages > 1 else ""
    return f"{name}, {_SCOPES[scope]}{staged}"
