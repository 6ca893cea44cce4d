"""The figures of a study's table: loss changes, gaps after fine-tuning and layers, each drawn on Axes as in `plots`.

All take a table of one sparsity.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.ticker import NullLocator

from lossprune_lib.checks import check_choice
from lossprune_lib.plots.style import GUIDE, contrast, label_lines, style
from lossprune_lib.results.selection import best_penalty, gap, has_no_model, loss_change, themselves

if TYPE_CHECKING:
    import pandas as pd

_LOSS_CHANGE = "change of training loss by pruning (nats)"
_BAND = 0.18  # opacity
_COLOURS = "viridis"


def change_heatmap(ax: Axes, table: pd.DataFrame, criterion: str) -> Axes:
    """Draw a criterion's mean loss change over seeds, stages against step penalty; the best of each row is framed.

    The colours mean the same for every criterion of a table, so that heatmaps can stand side by side.
    """
    runs = _of_one_sparsity(table)
    check_choice(criterion, runs["criterion"].unique(), "criterion in this table")
    means = runs.assign(change=loss_change(runs)).groupby(["criterion", "stages", "step_penalty"])["change"].mean()
    shown = means[criterion].unstack("step_penalty")
    image = ax.imshow(shown, cmap=_COLOURS, vmin=means.min(), vmax=means.max(), aspect="auto")
    for (row, column), value in np.ndenumerate(shown.to_numpy()):
        if not math.isnan(value):
            colour = _text_on(image.to_rgba(value))
            ax.text(column, row, _short(value), color=colour, ha="center", va="center", fontsize=9)
    best = best_penalty(runs).query("criterion == @criterion").set_index("stages")["step_penalty"]
    for row, stages in enumerate(shown.index):
        corner = shown.columns.get_loc(best[stages]) - 0.46, row - 0.46
        ax.add_patch(matplotlib.patches.Rectangle(corner, 0.92, 0.92, fill=False, edgecolor="white", linewidth=3))
        ax.add_patch(matplotlib.patches.Rectangle(corner, 0.92, 0.92, fill=False, edgecolor="black", linewidth=1.2))
    ax.set_xticks(range(len(shown.columns)), [_power(value) for value in shown.columns])
    ax.set_yticks(range(len(shown.index)), [str(value) for value in shown.index])
    ax.set_xlabel("step penalty λ")
    ax.set_ylabel("pruning stages")
    ax.set_title(f"{style(criterion)['label']}: {_LOSS_CHANGE}", fontsize=9)
    return ax


def change_by_stages(ax: Axes, table: pd.DataFrame) -> Axes:
    """Draw each criterion's loss change at its best step penalty against the number of stages.

    Bands are one standard deviation over seeds to each side. Criteria without a loss model are horizontal.
    """
    runs = _of_one_sparsity(table)
    ticks = sorted(runs.loc[~runs["criterion"].map(has_no_model), "stages"].unique()) or [1]
    for criterion, best in best_penalty(runs).groupby("criterion", sort=False):
        looks = style(str(criterion))
        if has_no_model(str(criterion)):
            mean, spread = best["mean"].iloc[0], best["spread"].iloc[0]
            ax.axhline(mean, **{**looks, "marker": ""})
            if not math.isnan(spread):
                ax.axhspan(mean - spread, mean + spread, color=looks.get("color"), alpha=_BAND, linewidth=0)
            continue
        (line,) = ax.plot(best["stages"], best["mean"], **looks)
        low, high = best["mean"] - best["spread"], best["mean"] + best["spread"]
        ax.fill_between(best["stages"], low, high, color=line.get_color(), alpha=_BAND, linewidth=0)
    ax.set_xscale("log")
    ax.set_xticks(ticks, [str(tick) for tick in ticks])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlabel("pruning stages")
    ax.set_ylim(bottom=0)
    ax.set_ylabel(f"{_LOSS_CHANGE},\nat the best step penalty")
    ax.grid(axis="y")
    return label_lines(ax)


def change_against_gap(ax: Axes, table: pd.DataFrame) -> Axes:
    """Draw every run: its loss change by pruning against its validation gap after fine-tuning.

    Raises
    ------
    ValueError
        if there are runs that were not fine-tuned.
    """
    runs = _of_one_sparsity(table)
    runs = runs.assign(change=loss_change(runs), gap=gap(runs))
    for criterion, part in runs.groupby("criterion", sort=False):
        looks = style(str(criterion), linestyle="none", alpha=0.6, markeredgewidth=1.2)
        front = 3 if criterion == "mp" else 2  # its few runs would be hidden
        ax.plot(part["change"], part["gap"], **{**looks, "markerfacecolor": "none"}, zorder=front)
    ax.axhline(0, color=GUIDE, linewidth=0.8)
    ax.set_xlabel(_LOSS_CHANGE)
    ax.set_ylabel("validation gap after fine-tuning\n(percentage points)")
    return _finish(ax)


def _of_one_sparsity(table: pd.DataFrame) -> pd.DataFrame:
    runs = themselves(table)
    found = runs["sparsity"].unique()
    if len(found) > 1:
        raise ValueError(
            f"The table has the sparsities {', '.join(f'{value:.4g}' for value in found)}: draw one at a time, "
            f"for example table[table['sparsity'] == {found[0]!r}]."
        )
    return runs


def _finish(ax: Axes) -> Axes:
    ax.grid()
    # Above the axes: keys inside them would look like runs.
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=4, columnspacing=1.2, handletextpad=0.3)
    return ax


def _text_on(colour: Any) -> str:
    """Return black or white, whichever contrasts more with a colour."""
    return max("black", "white", key=lambda text: contrast(to_rgb(text), to_rgb(colour)))


def _short(change: float) -> str:
    """Return a loss change in four characters or so, small ones too."""
    return f"{change:.2f}" if change >= 0.095 else f"{change:.1g}"


def _power(value: float) -> str:
    """Return a step penalty as it is written: 0, 10⁻³, 1, 100."""
    exponent = math.log10(value) if value > 0 else 0.0
    if exponent < 0 and exponent == round(exponent):
        return f"$10^{{{exponent:.0f}}}$"
    return f"{value:g}"
