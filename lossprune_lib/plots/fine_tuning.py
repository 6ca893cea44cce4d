"""A fine-tuned study: loss change by pruning against the gap after fine-tuning, and what each layer keeps."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from lossprune_lib.plots.style import CARD, GUIDE, HIGHLIGHT, counted, style
from lossprune_lib.results.cells import View, densities
from lossprune_lib.results.selection import CELL, gap, loss_change, themselves

if TYPE_CHECKING:
    import pandas as pd

BEST: dict[str, Any] = {
    "color": HIGHLIGHT,
    "marker": "*",
    "markeredgecolor": CARD,
    "linestyle": (0, (1, 1)),
    "linewidth": 1.6,
}
_LINEAR_TO = 2.0  # percentage points: up to there the scale of gaps is linear, above it logarithmic
_GAPS = (-2, -1, 0, 1, 2, 5, 10, 20, 50, 90)


def frame(axes: Iterable[Axes], table: pd.DataFrame) -> dict[str, Line2D]:
    """Give two Axes scales that suit every view of a table, and return what `place` fills, empty."""
    runs = themselves(table)
    points, layers = axes
    _frame_of_gaps(points, loss_change(runs), gap(runs))
    _frame_of_layers(layers, runs.groupby(CELL)[densities(runs)].mean())
    lines: dict[str, Line2D] = {}
    for criterion in runs["criterion"].unique():
        looks = style(criterion)
        (lines[f"{criterion} runs"],) = points.plot([], [], **{**looks, "linestyle": "none"})
        (lines[f"{criterion} kept"],) = layers.plot([], [], **looks)
    (lines["best run"],) = points.plot([], [], **{**BEST, "linestyle": "none", "markersize": 15, "zorder": 6})
    (lines["best kept"],) = layers.plot([], [], **{**BEST, "markersize": 12, "zorder": 6})
    for ax in (points, layers):
        ax.grid()
    return lines


def place(lines: dict[str, Line2D], view: View, criterion: str) -> tuple[str, str]:
    """Put a view into its lines, one criterion filled and thick, and return what the two titles say."""
    columns = densities(view.cells)
    across = range(len(columns))
    for name, runs in view.runs.groupby("criterion"):
        chosen = name == criterion
        points, kept = lines[f"{name} runs"], lines[f"{name} kept"]
        points.set_data(runs["change"], runs["gap"])
        # The chosen one is filled and lies below the others, so that it hides none of them.
        points.set(markerfacecolor=(points.get_color(), 0.45) if chosen else "none", markersize=8 if chosen else 5)
        points.set(alpha=None, markeredgewidth=0.4 if chosen else 1.1, zorder=3 if chosen else 4)
        if name == "mp":  # one run of each seed, among many of the others: filled and on top, or it is not seen
            points.set(markerfacecolor=points.get_color(), markersize=5, zorder=5)
        kept.set_data(across, view.best_kept(str(name))[columns].astype(float))
        kept.set(linewidth=3.4 if chosen else 1.5, zorder=3 if chosen else 4)
    lines["best run"].set_data([view.best["change"]], [view.best["gap"]])
    lines["best kept"].set_data(across, view.best[columns].astype(float))
    return (
        f"{100 * view.sparsity:.4g} % pruned, {counted(view.stages, 'stage')}",
        f"{criterion.upper()} (thick) at λ = {view.best_kept(criterion)['step_penalty']:g}\n"
        f"star: {view.best['criterion'].upper()}, λ = {view.best['step_penalty']:g}",
    )


def legend(criteria: Iterable[str]) -> list[Line2D]:
    """Return what a legend needs to say what `place` draws."""
    handles = [Line2D([], [], **style(criterion)) for criterion in criteria]
    return [*handles, Line2D([], [], **{**BEST, "markersize": 13, "label": "smallest mean gap"})]


def _frame_of_gaps(ax: Axes, change: pd.Series, gaps: pd.Series) -> None:
    ax.set_yscale("symlog", linthresh=_LINEAR_TO)
    ax.set(xlim=(0, 1.05 * change.max()), ylim=(min(0, gaps.min()) - 0.3, 1.25 * gaps.max() + 0.3))
    low, high = ax.get_ylim()
    ax.yaxis.set_major_locator(FixedLocator([tick for tick in _GAPS if low <= tick <= high]))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.axhline(0, color=GUIDE, linewidth=0.8)
    ax.set(xlabel="loss change by pruning (nats)", ylabel="validation gap after fine-tuning (points)")


def _frame_of_layers(ax: Axes, shares: pd.DataFrame) -> None:
    kept = shares.to_numpy()
    smallest = float(kept[kept > 0].min())
    ax.set_yscale("symlog", linthresh=smallest)
    ax.set(xlim=(-0.3, len(shares.columns) - 0.7), ylim=(-smallest / 3, 1.4))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.5g} %"))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.set_xticks(range(len(shares.columns)), [name.removeprefix("density.") for name in shares.columns])
    ax.set(xlabel="layer", ylabel="share of weights kept (logarithmic)")
