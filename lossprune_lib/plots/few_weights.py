"""Figures of one weight dragged along its loss, and of two weights with the models of their loss beside it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from matplotlib import colormaps
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import BoundaryNorm
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FixedLocator, MaxNLocator

from lossprune_lib.loss_modelling.few_weights import OneWeight, TwoWeights
from lossprune_lib.plots.style import (
    ACTUAL,
    CARD,
    GUIDE,
    HIGHLIGHT,
    INK,
    MUTED,
    THOUSANDTHS,
    ink,
    label_lines,
    percent,
    signed,
    style,
)

if TYPE_CHECKING:
    from torch import Tensor

MODELS = ("lm", "qm", "obd")
_PRUNED: dict[str, Any] = {"color": INK, "linewidth": 1.2, "linestyle": (0, (2, 2)), "zorder": 3}
_TRAINED: dict[str, Any] = {
    "color": CARD,
    "markersize": 11,
    "markeredgewidth": 2,
    "zorder": 3,
    "path_effects": [withStroke(linewidth=4, foreground=INK)],
}
_LEVELS = 12
_COLOURS = "YlGnBu_r"


def one_weight(ax: Axes, weight: OneWeight, *, labels: bool = True) -> Axes:
    """Draw the loss over one weight, LM's line, QM's and OBD's parabolas, and what each predicts where it is pruned."""
    ax.axhline(0, color=GUIDE, linewidth=0.8)
    values, actual = weight.at.numpy(), THOUSANDTHS * weight.actual.numpy()
    lines = {ax.plot(values, actual, **ACTUAL, label="actual")[0]: "actual"}
    for name in MODELS:
        looks = style(name, marker="", linewidth=2)
        curve = [THOUSANDTHS * weight.predicted(name, value) for value in values]
        lines[ax.plot(values, curve, **looks)[0]] = name.upper()
        at_zero = THOUSANDTHS * weight.predicted(name, 0.0)
        ax.plot([0], [at_zero], color=looks["color"], marker=style(name)["marker"], markersize=8, alpha=0.55)
    low, high = min(0.0, actual.min()), max(0.0, actual.max())
    models = [THOUSANDTHS * weight.predicted(name, 0.0) for name in MODELS]
    low, high = min(low, *models), max(high, *models)
    ax.set(ylim=(low - 0.12 * (high - low), high + 0.15 * (high - low)))
    ends = sorted((values[0], values[-1]))
    ax.set(xlim=ends, xlabel=f"value of the weight {weight.name}", ylabel="change of the loss (thousandths of a nat)")
    if values[0] > values[-1]:  # the trained value is always on the right
        ax.invert_xaxis()
    for at, text in ((0.0, "pruned"), (weight.value, "trained")):
        ax.axvline(at, color=GUIDE, linewidth=1, linestyle=(0, (2, 2)))
        ax.annotate(text, (at, 1), (0, 3), ("data", "axes fraction"), "offset points", ha="center", color=MUTED)
    ax.grid(axis="y")
    return label_lines(ax, lines) if labels else ax


class OneWeightView:
    """One weight on the left, what each model says of its place on the right; for a slider to move."""

    def __init__(self, figure: Figure) -> None:
        self.left, self.right = figure.add_axes((0.085, 0.135, 0.485, 0.75)), figure.add_axes((0.72, 0.135, 0.26, 0.75))
        self.axes = self.left, self.right
        colours = [INK, *(style(name)["color"] for name in MODELS)]
        markers = ["o", *(style(name)["marker"] for name in MODELS)]
        self.here = self.left.axvline(0, color=HIGHLIGHT, linewidth=1.5)
        self.points = [
            self.left.plot([], [], marker=marker, color=colour, markersize=8, markeredgecolor=CARD)[0]
            for marker, colour in zip(markers, colours, strict=True)
        ]
        self.right.axvline(0, color=GUIDE, linewidth=0.8)
        self.right.set(ylim=(3.6, -0.6), xlabel="change (thousandths of a nat)")
        self.right.set_yticks(range(4), ["actual", *(name.upper() for name in MODELS)])
        for label, colour in zip(self.right.get_yticklabels(), colours, strict=True):
            label.set(color=ink(colour), fontweight="bold", fontsize=10)
        self.right.grid(axis="x")
        self.bars = self.right.barh(range(4), [0.0] * 4, color=colours, height=0.5)
        self.texts = [self.right.text(0, i, "", va="center", fontsize=10) for i in range(4)]
        self.title = self.right.set_title(" ")
        self.moving: list[Artist] = [self.here, *self.points[::-1], *self.bars, *self.texts, self.title]

    def draw(self, weight: OneWeight) -> list[Artist]:
        """Draw what stays while a weight moves, set the limits, and return what is to be removed before the next."""
        before = {*self.left.get_children()}
        one_weight(self.left, weight)
        low, high = self.left.get_ylim()
        self.right.set_xlim(low, high + 0.45 * (high - low))
        return [artist for artist in self.left.get_children() if artist not in before]

    def show(self, value: float, changes: Sequence[float], title: str) -> None:
        """Move to a value of the weight; `changes` (nats) are the actual one and those of `MODELS`."""
        self.here.set_xdata([value])
        low, high = self.left.get_ylim()
        for point, bar, text, change in zip(self.points, self.bars, self.texts, changes, strict=True):
            shown = THOUSANDTHS * change
            point.set_data([value], [shown])
            bar.set_width(min(max(shown, low), high))
            text.set(x=min(max(shown, 0.0), high) + 0.02 * (high - low), text=signed(shown))
        self.title.set_text(title)


class TwoWeightsView:
    """The loss over two weights: actual, with and without the off-diagonal term; for sliders to move.

    Parameters
    ----------
    pairs : all that are to be drawn; they share one scale of colours
    """

    TITLES = ("actual", "with off-diagonal", "diagonal only")

    def __init__(self, figure: Figure, pairs: Iterable[TwoWeights]) -> None:
        self.axes = [figure.add_axes((0.085 + 0.275 * i, 0.15, 0.235, 0.6)) for i in range(3)]
        self.heading = figure.text(0.085, 0.93, "", fontsize=11, fontweight="bold", ha="left")
        at, values = zip(*((pair.at, values) for pair in pairs for values in _maps(pair)), strict=True)
        low, high = min(0.0, *(v.min().item() for v in values)), max(v.max().item() for v in values)
        ends = at[0][0].item(), at[0][-1].item()
        self.levels = MaxNLocator(_LEVELS).tick_values(low, high)
        self.dots, self.titles, self.names = [], [], []
        for ax, title in zip(self.axes, self.TITLES, strict=True):
            ax.set(xlim=ends, ylim=ends)
            for axis, draw in ((ax.xaxis, ax.axvline), (ax.yaxis, ax.axhline)):
                draw(0, color=CARD, linewidth=2.2, zorder=3)  # seen on dark colours, as the dashes are on light ones
                pruned = draw(0, **_PRUNED)
                axis.set_major_locator(FixedLocator([0, 0.5, 1]))
                axis.set_major_formatter(percent())
            (trained,) = ax.plot([1], [1], "+", **_TRAINED)
            self.titles.append(ax.set_title(title))
            dot = ax.plot([], [], "o", color=HIGHLIGHT, markersize=11, markeredgecolor=CARD, markeredgewidth=1.5)[0]
            self.dots.append(dot)
            self.names.append(ax.set_xlabel(" ", fontsize=9))
        for ax in self.axes[1:]:
            ax.tick_params(labelleft=False)
        self.names.append(self.axes[0].set_ylabel(" ", fontsize=9))
        key = {"ncols": 2, "handlelength": 1.6, "handletextpad": 0.5, "columnspacing": 1.2}
        figure.legend([trained, pruned], ["both as trained", "one pruned"], loc="upper right", **key)
        colours = ScalarMappable(BoundaryNorm(self.levels, colormaps[_COLOURS].N), _COLOURS)
        bar = figure.colorbar(colours, cax=figure.add_axes((0.9, 0.15, 0.015, 0.6)), format="%.1f")
        bar.set_label("change (thousandths of a nat)")
        bar.outline.set_visible(False)
        self.moving: list[Artist] = [*self.dots, *self.titles, self.heading, *self.names]

    def draw(self, pair: TwoWeights) -> list[Artist]:
        """Draw the three maps of a pair, and return what is to be removed before the next."""
        drawn: list[Artist] = []
        for ax, values in zip(self.axes, _maps(pair), strict=True):
            grid = pair.at, pair.at, values.T
            drawn.append(ax.contourf(*grid, levels=self.levels, cmap=_COLOURS, norm=BoundaryNorm(self.levels, 256)))
            drawn.append(ax.contour(*grid, levels=self.levels, colors=CARD, linewidths=0.6))
        return drawn

    def show(self, names: tuple[str, str], first: float, second: float, changes: Sequence[float], heading: str) -> None:
        """Move to shares of both weights; `changes` (nats) are the actual one and those of the two models."""
        for dot, title, name, change in zip(self.dots, self.titles, self.TITLES, changes, strict=True):
            dot.set_data([first], [second])
            title.set_text(f"{name}\n{signed(THOUSANDTHS * change)}")
        for label, text in zip(self.names, (*[names[0]] * 3, names[1]), strict=True):
            label.set_text(f"{text}, of its trained value")
        self.heading.set_text(heading)


def _maps(pair: TwoWeights) -> list[Tensor]:
    """Return what the three maps show, in thousandths of a nat."""
    grid = torch.meshgrid(pair.at, pair.at, indexing="ij")
    models = [pair.predicted(*grid, full=full) for full in (True, False)]
    return [THOUSANDTHS * values for values in (pair.actual, *models)]
