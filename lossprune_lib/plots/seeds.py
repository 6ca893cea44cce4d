"""What several seeds say: differences with their intervals, and how far masks and losses move from draw to draw."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from matplotlib.axes import Axes

from lossprune_lib.plots.style import GUIDE, HIGHLIGHT, INK, ink, percent, style

if TYPE_CHECKING:
    import pandas as pd

    from lossprune_lib.results.statistics import Interval


def differences(ax: Axes, found: Mapping[str, Interval]) -> Axes:
    """Draw paired differences: a mark for each seed, the mean, and its 95 % interval where there are enough seeds.

    Parameters
    ----------
    found : label -> `results.paired`; the first on top
    """
    ax.axvline(0, color=GUIDE, linewidth=1)
    for row, each in enumerate(found.values()):
        ax.plot(each.values, [row] * each.n, "|", color=GUIDE, markersize=11, markeredgewidth=1.4)
        if not math.isnan(each.low):
            ax.plot([each.low, each.high], [row, row], color=INK, linewidth=2.4, solid_capstyle="butt")
        ax.plot([each.mean], [row], "o", color=INK, markersize=7)
    ax.set_yticks(range(len(found)), list(found))
    ax.set(ylim=(len(found) - 0.4, -0.6), xlabel="difference, by seed (nats)")
    ax.grid(axis="x")
    return ax


def masks_and_losses(axes: Iterable[Axes], table: pd.DataFrame) -> None:
    """Draw on two Axes what two prunings share that differ in their draw of examples, and how far apart they end.

    Parameters
    ----------
    table : rows of `results.chaos`, each with a setting of its own
    """
    left, right = axes
    labels = []
    for row, (_, of) in enumerate(table.iterrows()):
        looks = style(str(of["criterion"]), linestyle="none", markersize=8)
        for ax, name in ((left, "overlap"), (right, "move")):
            ax.plot([of[f"{name}_low"], of[f"{name}_high"]], [row, row], color=looks["color"], linewidth=2.4)
            ax.plot([of[name]], [row], **looks)
        right.plot([of["distance"]], [row], "|", color=HIGHLIGHT, markersize=16, markeredgewidth=2.4)
        labels.append(f"{str(of['criterion']).upper()}, \u03bb = {of['step_penalty']:g}")
    for ax in (left, right):
        ax.set(ylim=(len(table) - 0.4, -0.6))
        ax.grid(axis="x")
    left.set_yticks(range(len(table)), labels)
    right.set_yticks(range(len(table)), [])
    left.set(xlim=(0, 1), xlabel="overlap (kept by both, of what either keeps)", title="masks")
    left.xaxis.set_major_formatter(percent())
    right.set(xlabel="difference of the two loss changes (nats)", title="losses")
    right.text(1, 1.03, "| distance to other criteria", color=ink(HIGHLIGHT), ha="right", transform=right.transAxes)
