"""The layers' shares by hand: what each layer keeps, and how well the network reads with it, beside the usual rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from lossprune_lib.plots.style import HIGHLIGHT, INK, ink, label_lines, percent, style

YOURS: dict[str, Any] = {"color": HIGHLIGHT, "linewidth": 3.2, "marker": "o", "markersize": 10}
_LOOKS = {"equal": "uniform", "erk": "erk", "mp": "mp", "magnitude": "magnitude", "qm": "qm"}
LABELS = {"equal": "equal", "erk": "ERK", "mp": "MP", "magnitude": "QM's shares", "qm": "QM itself"}
_LOWEST = 5e-4  # shares below are drawn there


@dataclass(frozen=True)
class Way:
    """A way to choose the weights: the share that each layer keeps, and how good what is left is."""

    shares: tuple[float, ...]
    accuracy: float
    loss: float


def shares(ax: Axes, layers: Sequence[str], ways: Mapping[str, Way]) -> Axes:
    """Draw what share each layer keeps (logarithmic), a line for each way; names are those of `LABELS`."""
    ax.set_yscale("log")
    ax.set(xlim=(-0.2, len(layers) - 0.8), ylim=(0.8 * _LOWEST, 1.3))
    ax.set_ylabel("share of the layer's weights kept (logarithmic)")
    ax.yaxis.set_major_locator(FixedLocator([0.001, 0.01, 0.1, 1]))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g} %"))
    ax.set_xticks(range(len(layers)), layers)
    ax.grid(axis="y")
    lines = {}
    for name, way in ways.items():
        drawn = [max(share, _LOWEST) for share in way.shares]
        lines[ax.plot(range(len(layers)), drawn, **style(_LOOKS[name]))[0]] = LABELS[name]
    return label_lines(ax, lines)


class SharesView:
    """The shares on the left, the accuracy of each way on the right; for sliders to move."""

    def __init__(self, figure: Figure, layers: Sequence[str]) -> None:
        self.layers = layers
        self.left, self.right = figure.add_axes((0.085, 0.1, 0.36, 0.78)), figure.add_axes((0.655, 0.1, 0.17, 0.78))
        self.axes = self.left, self.right
        names = ["yours", *LABELS.values()]
        self.right.set(xlim=(0, 1), ylim=(len(names) - 0.4, -0.6))
        self.right.set_yticks(range(len(names)), names)
        self.right.set_xticks([0, 0.5, 1])
        self.right.xaxis.set_major_formatter(percent())
        self.right.grid(axis="x")
        colours = [HIGHLIGHT, *(style(_LOOKS[name])["color"] for name in LABELS)]
        for label, colour in zip(self.right.get_yticklabels(), colours, strict=True):
            label.set(color=ink(colour), fontsize=10, fontweight="bold" if label.get_text() == "yours" else "normal")
        self.colours = dict(zip(("yours", *LABELS), colours, strict=True))
        (self.line,) = self.left.plot([], [], **YOURS, zorder=5)
        (self.bar,) = self.right.barh([0], [0.0], color=HIGHLIGHT, height=0.6)
        self.text = self.right.text(1.06, 0, "", va="center", color=ink(HIGHLIGHT), fontweight="bold")
        self.titles = self.left.set_title(" "), self.right.set_title(" ")
        self.moving: list[Artist] = [self.line, self.bar, self.text, *self.titles]

    def draw(self, ways: Mapping[str, Way]) -> list[Artist]:
        """Draw the ways that the learner's own is compared with, and return what is to be removed before the next."""
        before = {*self.left.get_children(), *self.right.get_children()}
        shares(self.left, self.layers, {name: way for name, way in ways.items() if name != "qm"})
        for i, name in enumerate(LABELS, 1):
            way = ways[name]
            self.right.barh([i], [way.accuracy], color=self.colours[name], height=0.6)
            self.right.text(1.06, i, f"{100 * way.accuracy:.0f} %, {way.loss:.2f} nats", va="center", color=INK)
        after = [*self.left.get_children(), *self.right.get_children()]
        return [artist for artist in after if artist not in before]

    def show(self, way: Way, *titles: str) -> None:
        """Move to the learner's own way; the titles are of the shares and of the accuracies."""
        self.line.set_data(range(len(way.shares)), [max(share, _LOWEST) for share in way.shares])
        self.bar.set_width(way.accuracy)
        self.text.set_text(f"{100 * way.accuracy:.0f} %, {way.loss:.2f} nats")
        for title, text in zip(self.titles, titles, strict=True):
            title.set_text(text)
