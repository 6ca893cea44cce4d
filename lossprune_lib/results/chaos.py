"""How far a mask moves, and how far its loss, when only the order or the draw of the examples differs.

The rule is that of ``data/results/JUDGING.md``, "Chaos".
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from lossprune_lib.files import shipped
from lossprune_lib.results.selection import check_columns
from lossprune_lib.results.statistics import Interval, interval

if TYPE_CHECKING:
    import pandas as pd

SETTING = ["network", "sparsity", "criterion", "stages", "schedule", "step_penalty", "dtype", "how"]
_NEARLY_ALL = 0.95  # of the weights: masks that have as much in common are stable
_NUMBERS = ["seed", "overlap", "change", "other_change"]
_REMEDY = "give one of pairs of prunings, or none for the shipped one"


def chaos(table: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return how alike two prunings of one network are that differ in the order of their examples, or in the draw.

    Parameters
    ----------
    table : one row per two prunings; by default ``data/results/chaos/chaos.csv``

    Returns
    -------
    DataFrame
        `SETTING`; seeds: how many, and apart: in how many of them the two masks differ at all. overlap: its mean, with
        overlap_low and overlap_high, its interval, and overlap_least, the smallest of a seed. change: mean loss change
        as drawn. move: mean absolute difference of the two loss changes, with move_low and move_high. distance: mean
        absolute difference of the criterion's loss change from those of the others, NaN without others. masks:
        "chaotic", "stable" or "open". loss: "steady", "unsteady" or "open" where the masks are chaotic, else "".

    Raises
    ------
    TypeError, ValueError
        if it is no table of pairs of prunings.
    """
    import pandas as pd

    rows = []
    for setting, part in moves(table).groupby(SETTING, sort=False):
        overlap, move = interval(part["overlap"]), interval(part["move"])
        masks = _of_masks(overlap)
        rows.append(
            {
                **dict(zip(SETTING, setting, strict=True)),
                "seeds": part["seed"].nunique(),
                "apart": int((part["overlap"] < 1).sum()),
                **_columns("overlap", overlap),
                "overlap_least": part["overlap"].min(),
                "change": part["change"].mean(),
                **_columns("move", move),
                "distance": part["distance"].mean(),
                "masks": masks,
                "loss": _of_loss(interval(part["move"] - part["distance"])) if masks == "chaotic" else "",
            }
        )
    return pd.DataFrame(rows)


def moves(table: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return the table with two more columns: move and distance of each pair of prunings, as `chaos` explains them."""
    import pandas as pd

    if table is None:
        table = pd.read_csv(shipped("results/chaos/chaos.csv"))
    check_columns(table, [*SETTING, *_NUMBERS], _REMEDY)
    runs = table.reset_index(drop=True).assign(distance=math.nan)
    runs["move"] = (runs["other_change"] - runs["change"]).abs()
    for _, group in runs.groupby(["seed", *(name for name in SETTING if name != "criterion")]):
        for row, change in group["change"].items():
            runs.loc[row, "distance"] = (group["change"].drop(row) - change).abs().mean()
    return runs


def chaos_verdicts(table: pd.DataFrame | None = None) -> dict[str, str]:
    """Return whether masks are chaotic and losses are not: "holds", "refuted" or "undecided", by network."""
    found = chaos(table)
    judged = found[(found["dtype"] == "float32") & (found["how"] == "reordered")]
    return {str(name): _verdict(part) for name, part in judged.groupby("network", sort=False)}


def _verdict(part: pd.DataFrame) -> str:
    losses = part.loc[part["masks"] == "chaotic", "loss"]
    if (part["masks"] == "stable").all() or (losses == "unsteady").any():
        return "refuted"
    return "holds" if len(losses) and (losses == "steady").all() else "undecided"


def _of_masks(overlap: Interval) -> str:
    if overlap.high < _NEARLY_ALL:
        return "chaotic"
    return "stable" if overlap.low >= _NEARLY_ALL else "open"


def _of_loss(move_less_distance: Interval) -> str:
    return {"better": "steady", "worse": "unsteady"}.get(move_less_distance.verdict(), "open")


def _columns(name: str, of: Interval) -> dict[str, Any]:
    return {name: of.mean, f"{name}_low": of.low, f"{name}_high": of.high}
