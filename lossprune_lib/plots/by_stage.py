"""Predicted beside actual change for the stages of a pruning, and the causes of error against the number of stages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from lossprune_lib.plots.style import ACTUAL, GUIDE, label_lines, percent
from lossprune_lib.plots.taylor import order_style
from lossprune_lib.pruning.by_stage import CAUSES

if TYPE_CHECKING:
    import pandas as pd

_SHORT = {"first": "1st order", "diagonal": "diagonal GGN", "ggn": "full GGN", "hessian": "full Hessian"}
# A colour that no model has: these are errors.
_LOOKS = dict(zip(CAUSES, (("#000000", "o", "-"), ("#882255", "s", "--"), ("#999933", "^", "-.")), strict=True))


def stage_by_stage(axes: Iterable[Axes], runs: Mapping[str, pd.DataFrame]) -> None:
    """Draw what stages changed, added up, and what models of several orders predicted of the same steps.

    Parameters
    ----------
    axes : one for each run; they get the same scale
    runs : title of each panel, and a table as from `pruning.stage_by_stage`
    """
    axes = list(axes)
    orders = [name for name in _SHORT if all(name in table for table in runs.values())]
    sums = {title: table[["true_change", *orders]].cumsum() for title, table in runs.items()}
    low, high = (f(0.0, *(f(*table.to_numpy().ravel()) for table in sums.values())) for f in (min, max))
    for ax, (title, table) in zip(axes, runs.items(), strict=True):
        across = np.append(0.0, table["sparsity"])
        total = sums[title]["true_change"].iloc[-1]
        ax.axhline(0, color=GUIDE, linewidth=0.8)
        (actual,) = ax.plot(across, np.append(0.0, sums[title]["true_change"]), **ACTUAL)
        lines = {actual: f"actual {total:.2f}"}
        for name in orders:
            (line,) = ax.plot(across, np.append(0.0, sums[title][name]), **order_style(name, marker="", linewidth=2))
            lines[line] = f"{_SHORT[name]} {100 * sums[title][name].iloc[-1] / total:.0f} %"
        ax.set(xlim=(0, across[-1]), ylim=(low - 0.05 * (high - low), high + 0.05 * (high - low)), title=title)
        ax.set(xlabel="sparsity after the stage", ylabel="change of the loss (nats)")
        ax.xaxis.set_major_formatter(percent())
        ax.grid(axis="y")
        label_lines(ax, lines)


def causes_by_stages(ax: Axes, table: pd.DataFrame) -> Axes:
    """Draw the size of each cause of error against the number of stages, as from `pruning.causes_by_stages`."""
    lines = {}
    for cause, sizes in table.abs().items():
        (line,) = ax.plot(table.index, sizes, **_looks(str(cause)))
        lines[line] = str(cause)
    _of_stages(ax, table.index, table.abs().to_numpy().max())
    return label_lines(ax, lines)


def errors_by_stages(axes: Iterable[Axes], networks: Mapping[str, pd.DataFrame]) -> None:
    """Draw the mean size of each cause of error against the number of stages, with bars for its intervals.

    Parameters
    ----------
    axes : one for each panel; they get the same scale
    networks : title of each panel, and the rows of one network in what `results.errors_by_stages` returns
        Where these have no intervals, below four seeds, there are no bars.
    """
    highest = max(found[["mean", "high"]].max().max() for found in networks.values())
    for ax, (title, found) in zip(axes, networks.items(), strict=True):
        for cause, of in found.groupby("cause", sort=False):
            bars = np.stack([of["mean"] - of["low"], of["high"] - of["mean"]])
            ax.errorbar(of["stages"], of["mean"], yerr=bars, capsize=3, label=str(cause), **_looks(str(cause)))
        _of_stages(ax, sorted(found["stages"].unique()), highest)
        ax.set_title(title)


def _looks(cause: str) -> dict[str, Any]:
    colour, marker, dashes = _LOOKS[cause]
    return {"color": colour, "marker": marker, "linestyle": dashes, "linewidth": 2.2}


def _of_stages(ax: Axes, stages: Iterable[int], highest: float) -> None:
    ax.set_xscale("log")
    ax.set_xticks(list(stages), [str(number) for number in stages])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set(xlabel="number of stages (logarithmic)", ylabel="size of the error (nats)", ylim=(0, 1.05 * highest))
    ax.grid(axis="y")
