"""Figures of locality: schedules, predicted and actual change, the limit of the step penalty, steps of chosen size."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from lossprune_lib.networks import selection
from lossprune_lib.plots.style import ACTUAL, CARD, GUIDE, INK, MUTED, label_lines, percent, style
from lossprune_lib.pruning import schedules

if TYPE_CHECKING:
    import pandas as pd


_ACTUAL: dict[str, Any] = {**ACTUAL, "marker": "o", "markersize": 6}
_PREDICTED: dict[str, Any] = {"markerfacecolor": CARD, "markersize": 6, "zorder": 5}
_LOOKS = {"linear": (GUIDE, "--", "+"), "exponential": (INK, "-", "p"), "cubic": (MUTED, "-.", "1")}  # no criterion's
_MANY = 40  # markers are drawn up to this many stages
_TOPS = (0.1, 0.2, 0.5, 1, 2, 3, 5, 10, 20)  # nats; one step of these scales does for many settings
_ROOM = 1.15  # of the highest change, up to the top
_SMALLEST = 1e-5  # nats; errors below are drawn there


def schedule_curves(axes: Iterable[Axes], size: int, sparsity: float, stages: int) -> None:
    """Draw each schedule on two Axes: the sparsity after each stage, and how many of `size` weights it removes."""
    level, removed = axes
    number = np.arange(stages + 1)
    for name in schedules.SCHEDULES:
        colour, line, marker = _LOOKS.get(name, (GUIDE, ":", "|"))
        kappas = [0.0, *schedules.sparsities(name, sparsity, stages)]
        looks: dict[str, Any] = {"color": colour, "linestyle": line, "marker": marker, "markersize": 6, "label": name}
        level.plot(number, kappas, **looks)
        removed.plot(number[1:], np.diff([selection.count(size, kappa) for kappa in kappas]), **looks)
    level.yaxis.set_major_formatter(percent())
    level.set(xlabel="stage", ylabel="sparsity after the stage", ylim=(0, 1))
    removed.set(xlabel="stage", ylabel="weights removed by the stage", ylim=(0, None))
    for ax in (level, removed):
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.grid(axis="y")
    level.legend(loc="lower right", handlelength=3)  # all end at one point, where labels would say nothing
    label_lines(removed)


def path_points(trace: pd.DataFrame, column: str) -> tuple[np.ndarray, np.ndarray]:
    """Return a trace's sparsities and a column's sum up to each, both from 0 before the first stage."""
    changes = trace[column].to_numpy(float)
    return np.append(0, trace["sparsity"].to_numpy(float)), np.append(0, changes.cumsum())


def predicted_and_actual(ax: Axes, trace: pd.DataFrame, criterion: str) -> tuple[Line2D, Line2D]:
    """Draw what the stages of a pruning changed and what their models predicted, each added up, against sparsity.

    Parameters
    ----------
    trace : of a `PruningRun`
    criterion : whose look the prediction gets; a criterion without a loss model predicts nothing

    Returns
    -------
    Line2D, Line2D
        The actual and the predicted change, to be moved.
    """
    (actual,) = ax.plot([], [], **_ACTUAL, label="actual")
    (predicted,) = ax.plot([], [], **style(criterion, **_PREDICTED, label="predicted"))
    move(actual, predicted, trace, criterion)
    ax.relim()
    ax.autoscale_view()
    ax.axhline(0, color=GUIDE, linewidth=0.8)
    sparsity_axis(ax)
    ax.set_ylabel("change of the loss since the start (nats)")
    ax.grid()
    return actual, predicted


def move(actual: Line2D, predicted: Line2D, trace: pd.DataFrame, criterion: str) -> None:
    """Give the lines of `predicted_and_actual` another pruning."""
    actual.set_data(*path_points(trace, "true_change"))
    if trace["predicted_change"].isna().any():
        predicted.set_data([], [])
    else:
        predicted.set_data(*path_points(trace, "predicted_change"))
    looks, few = style(criterion), len(trace) <= _MANY
    actual.set_marker(_ACTUAL["marker"] if few else "")
    predicted.set(color=looks["color"], linestyle=looks["linestyle"], marker=looks["marker"] if few else "")


class Staged:
    """A pruning in stages, for a slider to move: actual and predicted change left, errors of the stages right.

    Parameters
    ----------
    criterion : that is shown first
    """

    def __init__(self, figure: Figure, criterion: str) -> None:
        import pandas as pd

        self.figure = figure
        grid = {"left": 0.07, "right": 0.975, "bottom": 0.13, "top": 0.85, "wspace": 0.2}
        self.left, right = figure.subplots(1, 2, gridspec_kw=grid)
        blank = pd.DataFrame({"sparsity": [], "true_change": [], "predicted_change": []}, dtype=float)
        self.actual, self.predicted = predicted_and_actual(self.left, blank, criterion)
        self.legend = self.left.legend(handlelength=2.6, loc="upper left")
        (self.errors,) = right.plot([], [], markersize=4)
        sparsity_axis(right)
        right.set_yscale("log")
        right.set(ylim=(_SMALLEST, 10), ylabel="error of each stage (nats, logarithmic)")
        right.grid()
        self.title = figure.text(0.07, 0.94, "", ha="left", va="center", fontweight="bold")
        self.note = right.text(0.5, 0.5, "", ha="center", transform=right.transAxes)
        self.moving: list[Artist] = [self.left.yaxis, self.left.lines[-1], self.actual, self.predicted]
        self.moving += [self.errors, self.note, self.title, self.legend]

    def show(self, trace: pd.DataFrame, criterion: str, stages: int, title: str, note: str) -> None:
        """Move everything to a trace, finished or not, and the scale of the changes to what they reach."""
        move(self.actual, self.predicted, trace, criterion)
        looks = style(criterion)
        marker = looks["marker"] if stages <= _MANY else ""
        self.errors.set(color=looks["color"], linestyle=looks["linestyle"], marker=marker)
        error = (trace["true_change"] - trace["predicted_change"]).abs().clip(lower=_SMALLEST)
        self.errors.set_data(trace["sparsity"], error)
        self._explain(predicts=not note)
        self.title.set_text(title)
        self.note.set_text(note)
        highest = max(float(np.max(line.get_ydata(), initial=0.0)) for line in (self.actual, self.predicted))
        top = next((top for top in _TOPS if top > _ROOM * highest), _ROOM * highest)
        self.left.set_ylim(-0.1 * top, top)

    def _explain(self, predicts: bool) -> None:
        """Give the legend the looks of the lines; without a model, it names no prediction."""
        for said, line in zip(self.legend.legend_handles, (self.actual, self.predicted), strict=True):
            said.set(color=line.get_color(), linestyle=line.get_linestyle(), marker=line.get_marker())
        for part in (self.legend.legend_handles[1], self.legend.get_texts()[1]):
            part.set_visible(predicts)


def sparsity_axis(ax: Axes) -> None:
    """Label the x axis as sparsity, from 0 to 1 in per cent."""
    ax.set(xlabel="sparsity (share of weights that is zero)", xlim=(0, 1))
    ax.xaxis.set_major_formatter(percent())
