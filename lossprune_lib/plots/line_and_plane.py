"""A figure for a slider to move: the loss along a step, and on the plane that it spans with the step of MP."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Annotation

from lossprune_lib.loss_modelling import landscape
from lossprune_lib.plots.landscape import direction_style, frame, lengths_frame, levels_bar, mark, plane, steps
from lossprune_lib.plots.style import GUIDE

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, eq=False)
class View:
    """What is known so far of a step: the loss on the way to it, on the line along it, and on its plane with MP's step.

    Attributes
    ----------
    first, step : [D], MP's step and this one, which may not be known yet
    first_line, line : losses along each, at evenly spaced shares from 0 to 1
    path : distance from theta and loss, after each stage
    at, plane : [A] lengths along the first step and across it, and losses [A, A]
    emptied : the layers of which nothing is left
    """

    first: Tensor
    first_line: Tensor
    step: Tensor | None = None
    line: Tensor | None = None
    path: tuple[tuple[float, float], ...] = ()
    at: Tensor | None = None
    plane: Tensor | None = None
    emptied: tuple[str, ...] = ()

    @cached_property
    def angle(self) -> float:
        """Between the two steps, in degrees; NaN while the second is not known."""
        if self.step is None:
            return math.nan
        first, second = self.first.double(), self.step.double()
        cosine = (first @ second / (first.norm() * second.norm()).clamp_min(1e-30)).clamp(-1, 1)
        return math.degrees(math.acos(cosine))


class LineAndPlane:
    """A view for a slider to move: on the left the loss along both steps, on the right on their plane.

    Parameters
    ----------
    size : the length of theta
    directions : the names that the second step may have
    low, high : of the plane's coordinates, which are lengths
    """

    def __init__(
        self, figure: Figure, size: float, classes: int, directions: Iterable[str], low: float, high: float
    ) -> None:
        self.figure = figure
        slices = figure.add_axes((0.065, 0.13, 0.4, 0.77))
        self.field = figure.add_axes((0.535, 0.13, 0.36, 0.77))
        levels_bar(figure, figure.add_axes((0.905, 0.13, 0.015, 0.77)))
        frame(slices, 1.01 * size, 1.5 * math.log(classes), classes)
        lengths_frame(self.field, low, high)
        slices.axvline(size, color=GUIDE, linewidth=0.9, linestyle=":")
        slices.annotate(
            "‖θ‖", (size, 0.94), (-4, 0), ("data", "axes fraction"), "offset points", ha="right", fontsize=9
        )
        (self.first,) = slices.plot([], [], **direction_style("mp", markevery=[-1]))
        self.lines = {name: slices.plot([], [], **direction_style(name, markevery=[-1]))[0] for name in directions}
        (self.stops,) = slices.plot([], [], "o", markerfacecolor="none", color=GUIDE, markersize=5)
        named = [self.first, next(iter(self.lines.values())), self.stops]
        # At some distance from the left, where the line along the gradient climbs.
        said = ["MP, in one go", " ", "after each stage"]
        self.legend = slices.legend(named, said, loc="upper left", bbox_to_anchor=(0.16, 1))
        self.arrows = {name: steps(self.field, {name: (0, 0)}) for name in ("mp", *self.lines)}
        self.marks = mark(self.field, {"θ": (0, 0)}, below=True) + mark(self.field, {"MP": (1, 0), "": (0, 1)})
        self.titles = slices.set_title(" "), self.field.set_title(" ")
        self.moving: list[Artist] = [self.first, *self.lines.values(), self.stops, *self.marks, *self.titles]
        self.moving += [self.legend]
        self.moving += [line for pair in self.arrows.values() for line in pair]

    def show(self, view: View, direction: str, name: str, *titles: str) -> list[Artist]:
        """Move everything to a view; `name` is the second step's, in words. Return what is to be drawn."""
        while self.field.collections:
            self.field.collections[0].remove()
        drawn: list[Artist] = [_along(self.first, view.first, view.first_line)]
        # The only stage of a finished step ends where its line does, which has a marker there.
        stops = len(view.path) > (0 if view.step is None else 1)
        self.stops.set_data([length for length, _ in view.path], [loss for _, loss in view.path])
        self.stops.set_color(self.lines[direction].get_color())
        if stops:
            drawn.append(self.stops)
        self._explain(self.lines[direction], name, stops)
        if view.step is not None and view.line is not None:
            drawn.append(_along(self.lines[direction], view.step, view.line))
        if view.at is not None and view.plane is not None:
            drawn += plane(self.field, view.at, view.at, view.plane, lines=False)
        drawn += self._in_plane(view, direction, name.split(",")[0].removesuffix(" direction"))
        for title, text in zip(self.titles, titles, strict=True):
            title.set_text(text)
        return [*drawn, self.legend, *self.titles]

    def _explain(self, line: Line2D, name: str, stops: bool) -> None:
        """Give the legend the second step's look and name, and that of its stops where there are any."""
        _, second, each = (handle for handle in self.legend.legend_handles if isinstance(handle, Line2D))
        _, of_second, of_each = self.legend.get_texts()
        second.set(color=line.get_color(), linestyle=line.get_linestyle(), marker=line.get_marker())
        of_second.set_text(name)
        each.set_color(line.get_color())
        for part in (each, of_each):
            part.set_visible(stops)

    def _in_plane(self, view: View, direction: str, name: str) -> list[Artist]:
        """Move both steps to where they end in the plane, and return what is drawn of them."""
        theta, of_theta, first, of_first, second, of_second = self.marks
        ends = {"mp": (view.first.norm().item(), 0.0)}
        _put(first, of_first, ends["mp"])
        shown = [theta, of_theta, first, of_first]
        if view.step is not None:
            ends[direction] = landscape.orthonormal(view.first, view.step)[2]
            _put(second, of_second, ends[direction])
            of_second.set_text(name)
            shown += [second, of_second]
        for of, (x, y) in ends.items():
            for line in self.arrows[of]:
                line.set_data([0, x], [0, y])  # type: ignore[attr-defined]
        return [line for of in ends for line in self.arrows[of]] + shown


def _put(dot: Line2D, text: Annotation, place: tuple[float, float]) -> None:
    dot.set_data([place[0]], [place[1]])
    text.xy = place


def _along(line: Line2D, step: Tensor, losses: Tensor) -> Line2D:
    line.set_data(np.linspace(0, step.norm().item(), len(losses)), losses.cpu())
    return line
