"""One configuration within the curve of all step penalties: right after pruning, and after fine-tuning."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lossprune_lib.plots.style import GUIDE, INK, here, style
from lossprune_lib.results.cells import cell
from lossprune_lib.results.selection import has_no_model

if TYPE_CHECKING:
    import pandas as pd

_PANELS = {
    "change": ("Right after pruning", "change of training loss (nats)"),
    "gap": ("After fine-tuning", "validation gap (percentage points)"),
}
_OTHERS = GUIDE
_SAME_PLACE = 0.06  # of an axis: labels that are nearer than this would overlap


def frame(axes: Iterable[Axes], found: pd.DataFrame, penalties: Sequence[float]) -> None:
    """Clear two Axes and give them scales that are the same for every configuration, so that they compare.

    Parameters
    ----------
    axes : for the loss change and for the gap after fine-tuning
    found : from `results.cells`, of one table and one sparsity
    penalties : the places on the x axis
    """
    for ax, (column, (title, label)) in zip(axes, _PANELS.items(), strict=True):
        ax.clear()
        ax.set_title(title)
        ax.set(ylabel=label, xlabel="step penalty λ", xlim=(-0.9, len(penalties) - 0.6))
        ax.set_xticks(range(len(penalties)), [in_short(penalty) for penalty in penalties])
        spread = found[f"{column}_spread"].fillna(0)
        low, high = min(0, (found[column] - spread).min()), (found[column] + spread).max()
        if low < high:
            ax.set_ylim(low - 0.03 * (high - low) * (low < 0), high + 0.05 * (high - low))
        ax.grid()


def fill(
    axes: Iterable[Axes],
    found: pd.DataFrame,
    criterion: str,
    stages: int,
    step_penalty: float,
    penalties: Sequence[float],
) -> list[Artist]:
    """Draw one configuration into framed Axes; what was not run is not drawn. Return what was drawn."""
    drawn: list[Artist] = []
    for ax, column in zip(axes, _PANELS, strict=True):
        ax.axhline(0, color=_OTHERS, linewidth=0.8)
        known = found[found[column].notna()]
        if known.empty:
            ax.text(0.5, 0.5, "not fine-tuned", transform=ax.transAxes, ha="center", color=_OTHERS)
        for name in dict.fromkeys(["mp", criterion]):
            _criterion(ax, known[known["criterion"] == name], column, name, stages, penalties)
        row, place = cell(found, criterion, stages, step_penalty), [penalties.index(step_penalty)]
        line, point = here(ax)
        line.set_xdata(place)
        point.set(data=(place, [math.nan if row is None else row[column]]), zorder=5)
        drawn += sorted([*ax.collections, *ax.lines, *ax.texts], key=lambda artist: artist.zorder)
    return drawn


def legend() -> list[Line2D]:
    """Return what a legend needs to say what `fill` draws."""
    looks = style("mp", marker="")
    _, chosen = here(Figure().subplots())
    chosen.set(label="chosen step penalty")
    return [
        Line2D([], [], **{key: looks[key] for key in ("color", "linestyle", "linewidth", "label")}),
        Line2D([], [], color=INK, marker="o", markersize=5, label="the criterion, chosen stages (bar: spread)"),
        Line2D([], [], color=_OTHERS, linewidth=1, marker="o", markersize=3, label="other numbers of stages"),
        chosen,
    ]


def in_short(penalty: float) -> str:
    """Return a step penalty as it stands on an axis: 0, 1e-3, 0.1, 100."""
    return np.format_float_scientific(penalty, trim="-", exp_digits=1) if 0 < penalty < 0.005 else f"{penalty:g}"


def _criterion(
    ax: Axes, of_one: pd.DataFrame, column: str, criterion: str, stages: int, penalties: Sequence[float]
) -> None:
    if has_no_model(criterion):
        for level in of_one[column]:
            ax.axhline(level, **style(criterion, marker=""))
        return
    for number in sorted(of_one["stages"].unique(), key=lambda number: number != stages):  # the chosen first
        curve = of_one[of_one["stages"] == number].sort_values("step_penalty")
        _curve(ax, curve, column, [penalties.index(value) for value in curve["step_penalty"]], number == stages)


def _curve(ax: Axes, curve: pd.DataFrame, column: str, across: list[int], chosen: bool) -> None:
    looks: dict[str, Any] = style(str(curve["criterion"].iloc[0]))
    if chosen:
        ax.errorbar(across, curve[column], curve[f"{column}_spread"].fillna(0), capsize=2, elinewidth=1, **looks)
    else:
        ax.plot(across, curve[column], color=_OTHERS, linewidth=1, marker=looks.get("marker"), markersize=3)
    height, near, label = curve[column].iloc[0], _SAME_PLACE * np.ptp(ax.get_ylim()), str(curve["stages"].iloc[0])
    if all(abs(height - text.get_position()[1]) > near for text in ax.texts):
        weight = "bold" if chosen else "normal"
        ax.text(across[0] - 0.2, height, label, ha="right", va="center", fontsize=9, weight=weight)
