"""One configuration within the curve of all step penalties: right after pruning, and after fine-tuning."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lossprune_lib.plots.style import GUIDE, INK, MUTED, here, style
from lossprune_lib.results.selection import has_no_model

if TYPE_CHECKING:
    import pandas as pd

# By criterion and number of stages: places on the x axis, means and spreads, [3, penalties].
Curves: TypeAlias = dict[str, dict[int, np.ndarray]]
_PANELS = {
    "change": ("Right after pruning", "change of training loss (nats)"),
    "gap": ("After fine-tuning", "validation gap (percentage points)"),
}
_OTHERS: dict[str, Any] = {"color": "#B8B0A2", "linewidth": 1.4}  # so light that no eye takes it for OBD's green
_CHOSEN = 2.6  # points
_SAME_PLACE = 0.06  # of an axis: labels that are nearer than this would overlap


def frame(axes: Iterable[Axes], found: pd.DataFrame, penalties: Sequence[float]) -> list[Curves]:
    """Clear two Axes and give them scales that are the same for every configuration, so that they compare.

    Parameters
    ----------
    axes : for the loss change and for the gap after fine-tuning
    found : from `results.cells`, of one table and one sparsity
    penalties : the places on the x axis

    Returns
    -------
    list of Curves
        What `fill` draws into each: looking it up in the table would take longer than a slider may.
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
    return [_curves(found, column, penalties) for column in _PANELS]


def fill(axes: Iterable[Axes], curves: Iterable[Curves], criterion: str, stages: int, place: int) -> list[Artist]:
    """Draw one configuration into framed Axes; what was not run is not drawn. Return what was drawn.

    Parameters
    ----------
    curves : from `frame`
    place : of the step penalty on the x axis
    """
    drawn: list[Artist] = []
    for ax, of_panel in zip(axes, curves, strict=True):
        ax.axhline(0, color=GUIDE, linewidth=0.8)
        if not of_panel:
            ax.text(0.5, 0.5, "not fine-tuned", transform=ax.transAxes, ha="center", color=MUTED)
        for name in dict.fromkeys(["mp", criterion]):
            _criterion(ax, of_panel.get(name, {}), name, stages)
        line, point = here(ax)
        line.set_xdata([place])
        point.set(data=([place], [_height(of_panel.get(criterion, {}), criterion, stages, place)]), zorder=5)
        drawn += sorted([*ax.collections, *ax.lines, *ax.texts], key=lambda artist: artist.zorder)
    return drawn


def legend() -> list[Line2D]:
    """Return what a legend needs to say what `fill` draws."""
    looks = style("mp", marker="")
    _, chosen = here(Figure().subplots())
    chosen.set(label="chosen step penalty")
    return [
        Line2D([], [], **{key: looks[key] for key in ("color", "linestyle", "linewidth", "label")}),
        Line2D([], [], color=INK, linewidth=_CHOSEN, marker="o", label="the criterion, chosen stages (bar: spread)"),
        Line2D([], [], **_OTHERS, label="other numbers of stages"),
        chosen,
    ]


def in_short(penalty: float) -> str:
    """Return a step penalty as it stands on an axis: 0, 1e-3, 0.1, 100."""
    return np.format_float_scientific(penalty, trim="-", exp_digits=1) if 0 < penalty < 0.005 else f"{penalty:g}"


def _curves(found: pd.DataFrame, column: str, penalties: Sequence[float]) -> Curves:
    known = found[found[column].notna()].sort_values("step_penalty")
    known = known.assign(place=known["step_penalty"].map(penalties.index), spread=known[f"{column}_spread"].fillna(0))
    curves: Curves = {}
    of_each: Any = known.groupby(["criterion", "stages"])
    for (criterion, stages), part in of_each:
        curves.setdefault(criterion, {})[stages] = part[["place", column, "spread"]].to_numpy(dtype=float).T
    return curves


def _criterion(ax: Axes, curves: dict[int, np.ndarray], criterion: str, stages: int) -> None:
    if has_no_model(criterion):
        for _, levels, _ in curves.values():
            for level in levels:
                ax.axhline(level, **style(criterion, marker=""))
        return
    for number in sorted(curves, key=lambda number: number != stages):  # the chosen first
        _curve(ax, curves[number], criterion, number, number == stages)


def _curve(ax: Axes, curve: np.ndarray, criterion: str, stages: int, chosen: bool) -> None:
    looks, (across, heights, spreads) = style(criterion), curve
    if chosen:
        ax.errorbar(across, heights, spreads, capsize=2, elinewidth=1, **looks | {"linewidth": _CHOSEN})
    else:
        ax.plot(across, heights, **_OTHERS)
    near = _SAME_PLACE * np.ptp(ax.get_ylim())
    if all(abs(heights[0] - text.get_position()[1]) > near for text in ax.texts):
        weight = "bold" if chosen else "normal"
        ax.text(across[0] - 0.2, heights[0], str(stages), ha="right", va="center", fontsize=9, weight=weight)


def _height(curves: dict[int, np.ndarray], criterion: str, stages: int, place: int) -> float:
    """Return the mean of a configuration, NaN if it was not run; without a loss model it is the same everywhere."""
    if has_no_model(criterion):
        return next((heights[0] for _, heights, _ in curves.values()), math.nan)
    across, heights, _ = curves.get(stages, np.empty((3, 0)))
    return next(iter(heights[across == place]), math.nan)
