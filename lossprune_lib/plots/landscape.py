"""Figures of loss landscapes: slices along directions, planes of two steps, lengths of steps.

A mask's direction is drawn in the style of its criterion.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import colormaps
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.contour import QuadContourSet
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lossprune_lib.plots.style import CARD, GUIDE, HIGHLIGHT, INK, MUTED, ink, label_lines, style

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

LEVELS = (0.0, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2)  # each band ends twice as far up: a plane spans two powers of ten
_DIRECTIONS: dict[str, dict[str, Any]] = {
    "random": {"label": "random direction"},
    "gradient": {"color": HIGHLIGHT, "linestyle": (0, (3, 1, 1, 1)), "marker": "v", "label": "gradient, uphill"},
    "downhill": {"color": "#56B4E9", "linestyle": (0, (8, 2)), "marker": "P", "label": "gradient, downhill"},
}


def direction_style(direction: str, **changes: Any) -> dict[str, Any]:
    """Return the keyword arguments of a direction's line: a criterion's, "random", "gradient" or "downhill"."""
    return style(direction, **(_DIRECTIONS.get(direction, {}) | changes))


def frame(ax: Axes, longest: float, top: float, classes: int | None = None) -> Axes:
    """Prepare Axes for slices: loss against length of the step, with the loss of blind guessing as a thin line."""
    ax.set(xlim=(0, 1.02 * longest), ylim=(0, top), xlabel="length of the step from θ", ylabel="loss (nats)")
    if classes is not None:
        ax.axhline(math.log(classes), color=GUIDE, linewidth=0.9)
        where = ("axes fraction", "data"), "offset points"
        ax.annotate("guessing", (0.01, math.log(classes)), (0, 2), *where, color=MUTED, fontsize=9)
    ax.grid()
    return ax


def one_slice(ax: Axes, lengths: Tensor, losses: Tensor, direction: str, **changes: Any) -> Line2D:
    """Draw the loss along one direction, in its style; a marker stands at the end of the line only."""
    looks = direction_style(direction, markevery=[-1], **changes)
    return ax.plot(lengths.cpu(), losses.cpu(), **looks)[0]


def slices(ax: Axes, at: Tensor, losses: Mapping[str, Tensor]) -> Axes:
    """Draw the loss along several directions, each labelled at its end or where it leaves; `frame` comes first."""
    top, (start, end) = ax.get_ylim()[1], ax.get_xlim()
    lines = {one_slice(ax, at, of_one, name): of_one.cpu().numpy() for name, of_one in losses.items()}
    for i, (line, of_one) in enumerate((line, of_one) for line, of_one in lines.items() if of_one[-1] > top):
        height = (0.95 - 0.09 * i) * top
        first = int(np.argmax(of_one > height))
        place = np.interp(height, of_one[max(first - 1, 0) : first + 1], at[max(first - 1, 0) : first + 1].cpu())
        right = place < (start + end) / 2
        where: dict[str, Any] = {"ha": "left" if right else "right", "va": "center", "fontsize": 9}
        look = where | {"textcoords": "offset points", "color": ink(line.get_color())}
        ax.annotate(str(line.get_label()), (place, height), (6 if right else -6, 0), **look)
    return label_lines(ax, {line: str(line.get_label()) for line, of_one in lines.items() if of_one[-1] <= top})


def slices_by_sparsity(ax: Axes, at: Tensor, losses: Mapping[float, Tensor], criterion: str) -> Axes:
    """Draw the loss on the way to a criterion's masks, one line for each sparsity, which stands at its end."""
    lines = {}
    for sparsity, of_one in losses.items():
        line = one_slice(ax, at, of_one, criterion, linewidth=0.8 + 2.2 * sparsity**4)
        lines[line] = f"{100 * sparsity:.0f} %"
    ax.set_xlabel("t, share of the way to the mask")
    return label_lines(ax, lines)


def plane(ax: Axes, at_first: Tensor, at_second: Tensor, losses: Tensor, *, lines: bool = True) -> list[Artist]:
    """Draw the loss [A, B] on the plane of two steps, filled contours at `LEVELS`; the first step goes right."""
    grid = (at_first.cpu(), at_second.cpu(), losses.T.cpu())
    colours = colormaps["viridis"](np.linspace(0, 1, len(LEVELS)))
    drawn: list[QuadContourSet] = [ax.contourf(*grid, levels=LEVELS, colors=colours, extend="max")]
    if lines:
        drawn.append(ax.contour(*grid, levels=LEVELS[1:], colors=CARD, linewidths=0.6))
    return list(drawn)


def lengths_frame(ax: Axes, low: float, high: float) -> Axes:
    """Prepare Axes for a plane in true angles and lengths, along the first step and across it."""
    ax.set(xlim=(low, high), ylim=(low, high), aspect="equal")
    ax.set(xlabel="length along MP's step", ylabel="length at right angles to it")
    return ax


def steps(ax: Axes, ends: Mapping[str, tuple[float, float]]) -> list[Artist]:
    """Draw steps from the origin of a plane in true lengths, each in the style of its criterion or direction."""
    drawn: list[Artist] = []
    for name, (x, y) in ends.items():
        (behind,) = ax.plot([0, x], [0, y], color=CARD, linewidth=4.5, alpha=0.85)
        (line,) = ax.plot([0, x], [0, y], **direction_style(name, marker="", linewidth=2))
        drawn += [behind, line]
    return drawn


def mark(ax: Axes, points: Mapping[str, tuple[float, float]], below: bool = False) -> list[Any]:
    """Mark points of a plane by a dot and a name above or below, legible on every colour; return what was drawn."""
    drawn: list[Any] = []
    behind = {"facecolor": CARD, "edgecolor": "none", "alpha": 0.85, "pad": 1.5}
    for name, place in points.items():
        (dot,) = ax.plot(*place, "o", color=INK, markeredgecolor=CARD, markersize=8)
        text = ax.annotate(name, place, (7, -14 if below else 6), textcoords="offset points", fontsize=9, bbox=behind)
        drawn += [dot, text]
    return drawn


def levels_bar(figure: Figure, cax: Axes) -> None:
    """Draw the key of a plane's colours; each band reaches twice as far up as the one below."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import BoundaryNorm, ListedColormap

    colours = ListedColormap(colormaps["viridis"](np.linspace(0, 1, len(LEVELS)))[:-1])
    key = ScalarMappable(BoundaryNorm(LEVELS, colours.N), colours.with_extremes(over=colormaps["viridis"](1.0)))
    figure.colorbar(key, cax=cax, extend="max", ticks=LEVELS, label="loss (nats)").ax.tick_params(labelsize=8)


def two_weights(ax: Axes, first: Tensor, second: Tensor, losses: Tensor, theta: tuple[float, float]) -> Axes:
    """Draw the loss over two single weights, and the steps that prune one, the other, or both.

    Parameters
    ----------
    first, second : [A], [B], values of the weights
    losses : [A, B]
    theta : the trained network's own values
    """
    filled = ax.contourf(first.cpu(), second.cpu(), losses.T.cpu(), levels=12, cmap="viridis")
    ax.figure.colorbar(filled, ax=ax, label="loss (nats)")
    ax.axhline(0, color="white", linewidth=1)
    ax.axvline(0, color="white", linewidth=1)
    x, y = theta
    for end in ((0, y), (x, 0), (0, 0)):
        ax.annotate("", end, theta, arrowprops={"arrowstyle": "->", "color": "white", "linewidth": 1.8})
    mark(ax, {"θ": theta, "first pruned": (0, y), "both pruned": (0, 0)})
    mark(ax, {"second pruned": (x, 0)}, below=True)
    ax.set(xlabel="value of the first weight", ylabel="value of the second weight")
    return ax


def lengths(ax: Axes, values: pd.Series, criteria: Mapping[str, str]) -> Axes:
    """Draw lengths of steps as labelled dots on a logarithmic scale, the first on top.

    Parameters
    ----------
    criteria : {name of a step: its criterion}, in whose colour and marker it is drawn; other steps are neutral
    """
    for row, (name, value) in enumerate(zip(map(str, values.index), values, strict=True)):
        look = direction_style(criteria[name]) if name in criteria else {"color": GUIDE, "marker": "p"}
        ax.plot([value], [name], linestyle="none", color=look["color"], marker=look["marker"])
        ax.annotate(f"{value:.2g}", (value, row), (8, 0), textcoords="offset points", va="center")
    ax.invert_yaxis()
    ax.set_xscale("log")
    ax.set_xlim(values.min() / 2, 3 * values.max())
    ax.grid()
    ax.set_xlabel("length of the step (logarithmic)")
    return ax
