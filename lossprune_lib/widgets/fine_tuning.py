"""A finished study under sliders: loss change by pruning against the gap after fine-tuning, and what each layer keeps."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import ipywidgets
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from lossprune_lib import plots
from lossprune_lib.checks import check_choice
from lossprune_lib.results.findings import rank_correlation
from lossprune_lib.results.selection import CELL, distinct, gap, has_no_model, loss_change
from lossprune_lib.widgets.picture import Picture
from lossprune_lib.widgets.sliders import Sliders

if TYPE_CHECKING:
    import pandas as pd

_BEST: dict[str, Any] = {
    "color": "#CC79A7",
    "marker": "*",
    "markeredgecolor": "#000000",
    "linestyle": (0, (1, 1)),
    "linewidth": 1.6,
}
_LINEAR_TO = 2.0  # percentage points: up to there the scale of gaps is linear, above it logarithmic
_GAPS = (-2, -1, 0, 1, 2, 5, 10, 20, 50, 90)


@dataclass(frozen=True, eq=False)
class View:
    """What is shown at one sparsity and number of stages; criteria without a loss model belong to every number of stages.

    Attributes
    ----------
    runs : one row per run, with change (nats) and gap (percentage points, validation)
    cells : a row a configuration: means over seeds of change, gap and each layer's share of kept weights
    correlation : Spearman's, within each seed, averaged over seeds
    """

    sparsity: float
    stages: int
    runs: pd.DataFrame
    cells: pd.DataFrame
    correlation: float

    @property
    def best(self) -> pd.Series:
        """The configuration with the smallest mean gap."""
        return self.cells.iloc[int(self.cells["gap"].argmin())]

    def best_kept(self, criterion: str) -> pd.Series:
        """A criterion's configuration with the smallest mean loss change."""
        of_one = self.cells[
            self.cells["criterion"] == check_choice(criterion, set(self.cells["criterion"]), "criterion")
        ]
        return of_one.iloc[int(of_one["change"].argmin())]


def views(table: pd.DataFrame) -> dict[tuple[float, int], View]:
    """Return what there is to show, by sparsity and number of stages.

    Raises
    ------
    ValueError
        if there are runs that were not fine-tuned.
    """
    runs = distinct(table).reset_index(drop=True)
    runs = runs.assign(change=loss_change(runs), gap=gap(runs))
    measured = ["change", "gap", *_layers(runs)]
    fixed = runs["criterion"].map(has_no_model)
    found = {}
    for sparsity in sorted(runs["sparsity"].unique()):
        part = runs[runs["sparsity"] == sparsity]
        for stages in sorted(part["stages"][~fixed].unique()) or [1]:
            shown = part[fixed[part.index] | (part["stages"] == stages)]
            cells = shown.groupby(CELL, sort=False)[measured].mean().reset_index()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # the words say where there is none
                correlation = rank_correlation(shown, draws=1)["correlation"].iloc[0]
            found[float(sparsity), int(stages)] = View(float(sparsity), int(stages), shown, cells, correlation)
    return found


def frame(axes: Iterable[Axes], table: pd.DataFrame) -> dict[str, Line2D]:
    """Give two Axes scales that suit every view of a table, and return what `place` fills, empty."""
    runs = distinct(table)
    points, layers = axes
    change, gaps, columns = loss_change(runs), gap(runs), _layers(runs)
    points.set_yscale("symlog", linthresh=_LINEAR_TO)
    points.set(xlim=(0, 1.05 * change.max()), ylim=(min(0, gaps.min()) - 0.3, 1.25 * gaps.max() + 0.3))
    low, high = points.get_ylim()
    points.yaxis.set_major_locator(FixedLocator([tick for tick in _GAPS if low <= tick <= high]))
    points.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    points.yaxis.set_minor_locator(NullLocator())
    points.axhline(0, color="#7F7F7F", linewidth=0.8)
    points.set(xlabel="loss change by pruning (nats)", ylabel="validation gap after fine-tuning (points)")
    kept = runs.groupby(CELL)[columns].mean().to_numpy()
    smallest = float(kept[kept > 0].min())
    layers.set_yscale("symlog", linthresh=smallest)
    layers.set(xlim=(-0.3, len(columns) - 0.7), ylim=(-smallest / 3, 1.4))
    layers.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.5g} %"))
    layers.yaxis.set_minor_locator(NullLocator())
    layers.set_xticks(range(len(columns)), [name.removeprefix("density.") for name in columns])
    layers.set(xlabel="layer", ylabel="share of weights kept")
    lines: dict[str, Line2D] = {}
    for criterion in runs["criterion"].unique():
        looks = plots.style(criterion)
        (lines[f"{criterion} runs"],) = points.plot([], [], **{**looks, "linestyle": "none"})
        (lines[f"{criterion} kept"],) = layers.plot([], [], **looks)
    (lines["best run"],) = points.plot([], [], **{**_BEST, "linestyle": "none", "markersize": 15, "zorder": 6})
    (lines["best kept"],) = layers.plot([], [], **{**_BEST, "markersize": 12, "zorder": 6})
    for ax in (points, layers):
        ax.grid(alpha=0.3)
        ax.set_title(" ", fontsize=9.5)
    return lines


def place(lines: dict[str, Line2D], view: View, criterion: str) -> tuple[str, str]:
    """Put a view into its lines, one criterion filled and thick, and return what the two titles say."""
    columns = _layers(view.cells)
    across = range(len(columns))
    for name, runs in view.runs.groupby("criterion"):
        chosen = name == criterion
        points, kept = lines[f"{name} runs"], lines[f"{name} kept"]
        points.set_data(runs["change"], runs["gap"])
        points.set(markerfacecolor=points.get_color() if chosen else "none", alpha=0.9 if chosen else 0.45)
        points.set(markersize=6.5 if chosen else 4.5, zorder=4 if chosen else 3)
        kept.set_data(across, view.best_kept(str(name))[columns].astype(float))
        kept.set(linewidth=3 if chosen else 1.1, alpha=1 if chosen else 0.6, zorder=4 if chosen else 3)
    lines["best run"].set_data([view.best["change"]], [view.best["gap"]])
    lines["best kept"].set_data(across, view.best[columns].astype(float))
    return (
        f"{100 * view.sparsity:.4g} % pruned, {_stages(view.stages)}: rank correlation {_number(view.correlation)}",
        f"{criterion.upper()} (thick) at λ = {view.best_kept(criterion)['step_penalty']:g}",
    )


def in_words(view: View, criterion: str) -> str:
    """Return what a view shows, in sentences."""
    mine, best = view.best_kept(criterion), view.best
    layers = {name.removeprefix("density."): mine[name] for name in _layers(view.cells)}
    kept = ", ".join(f"{name} {100 * share:.2g} %" for name, share in layers.items())
    return (
        f"{100 * view.sparsity:.4g} % pruned in {_stages(view.stages)}, {len(view.runs)} runs: rank correlation of loss change and gap "
        f"within seeds {_number(view.correlation)}. {criterion.upper()} changes the loss least at λ = {mine['step_penalty']:g}: "
        f"by {mine['change']:.2f} nats, with a gap of {mine['gap']:.1f} percentage points; it keeps {kept}. The smallest "
        f"gap has {best['criterion'].upper()} at λ = {best['step_penalty']:g}: {best['gap']:.1f} points, with a loss change "
        f"of {best['change']:.2f} nats."
    )


def legend(criteria: Iterable[str]) -> list[Line2D]:
    """Return what a legend needs to say what `place` draws."""
    handles = [Line2D([], [], **plots.style(criterion)) for criterion in criteria]
    return [*handles, Line2D([], [], **{**_BEST, "markersize": 11, "label": "smallest mean gap"})]


def fine_tuning_slider(table: pd.DataFrame, start: tuple[float, int, str] | None = None) -> Sliders:
    """Show a fine-tuned study under sliders: every run on the left, and what each layer keeps on the right.

    The right-hand lines are means over seeds, each criterion at the step penalty of its smallest loss change.

    Parameters
    ----------
    table : as from `results.load`, with fine-tuning
    start : the sparsity, number of stages and criterion that are shown first

    Raises
    ------
    ValueError
        if there are runs that were not fine-tuned.
    """
    shown = views(table)
    criteria = list(distinct(table)["criterion"].unique())
    sparsities, stages = (sorted({key[i] for key in shown}) for i in (0, 1))
    first = start or (sparsities[len(sparsities) // 2], stages[-1], criteria[-1])
    options = {
        "sparsity": [(f"{100 * value:.4g} %", value) for value in sparsities],
        "stages": [(str(value), value) for value in stages],
        "criterion": [(name.upper(), name) for name in criteria],
    }
    controls: dict[str, ipywidgets.ValueWidget] = {}
    for (name, choices), value in zip(options.items(), first, strict=True):
        kind = ipywidgets.SelectionSlider if len(choices) > 1 else ipywidgets.Dropdown  # a slider needs two places
        controls[name] = kind(
            description=name, options=choices, value=value, layout={"width": "560px", "max_width": "95%"}
        )
    figure = Figure(figsize=(9.2, 4.4))
    axes = figure.subplots(1, 2, gridspec_kw={"left": 0.07, "right": 0.99, "bottom": 0.21, "top": 0.93, "wspace": 0.28})
    figure.legend(handles=legend(criteria), loc="lower center", ncols=5, fontsize=8.5, frameon=False)
    lines = frame(axes, table)
    titles = [ax.title for ax in axes]

    def redraw(sparsity: float, stages: int, criterion: str) -> str:
        for line in lines.values():  # not every criterion was run everywhere
            line.set_data([], [])
        view = shown.get((sparsity, stages))
        if view is None or criterion not in set(view.cells["criterion"]):
            text = f"{100 * sparsity:.4g} % pruned in {_stages(stages)}: "
            text += "not run." if view is None else f"{criterion.upper()} was not run."
            titles[0].set_text(text)
            titles[1].set_text("")
            return text
        for title, text in zip(titles, place(lines, view, criterion), strict=True):
            title.set_text(text)
        picture.moving = [*sorted(lines.values(), key=lambda line: line.zorder), *titles]
        return in_words(view, criterion)

    picture = Picture(figure, [*lines.values(), *titles])
    return Sliders(controls, picture, redraw, table)


def _number(correlation: float) -> str:
    return "not defined" if math.isnan(correlation) else f"{correlation:.2f}"


def _stages(number: int) -> str:
    return f"{number} stage{'s' if number > 1 else ''}"


def _layers(table: pd.DataFrame) -> list[str]:
    found = [str(name) for name in table if str(name).startswith("density.") and table[name].notna().any()]
    if not found:
        raise ValueError(
            "The table has no columns density.LAYER: give one from Study.run, Study.table or results.load."
        )
    return found
