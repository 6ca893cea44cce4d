"""One look for all figures: a card of a soft tone, and a colour, a line style and a marker for each criterion.

A picture cannot follow the theme of the page that it lies on, and no grey ink is legible on both white and black. So
each figure is a card: a soft ground of its own, dark ink, the same in light and dark themes.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

CARD = "#F3EFE6"
INK = "#1F1D1A"
MUTED = "#5C574E"  # text that is there to be looked up
GUIDE = "#857E72"  # lines that are no data: zero, a level to compare with
GRID = "#DDD7CA"
PRUNED = "#9C9484"  # of no weight: white is a small one, red and blue are large ones
HIGHLIGHT = "#C2408A"
# What really happens is dark and thick in every figure of the course; a prediction has its criterion's look.
ACTUAL: dict[str, Any] = {"color": INK, "linestyle": "-", "linewidth": 3}
THOUSANDTHS = 1000  # what one weight changes is told in thousandths of a nat
WIDTH = 8.8  # inches, at 100 dots each: as wide as a cell of JupyterLab on a laptop, with its side bar open

# The colour-blind safe palette of Okabe and Ito (2008); what is written in a colour is written in its `ink`.
STYLES: dict[str, dict[str, Any]] = {
    "random": {"color": "#555555", "linestyle": ":", "marker": "x", "label": "random"},
    "mp": {"color": "#000000", "linestyle": "--", "marker": "s", "label": "MP, magnitude"},
    "lm": {"color": "#0072B2", "linestyle": "-.", "marker": "^", "label": "LM, linear model"},
    "qm": {"color": "#D55E00", "linestyle": "-", "marker": "o", "label": "QM, quadratic model"},
    "obd": {"color": "#009E73", "linestyle": (0, (5, 1, 1, 1, 1, 1)), "marker": "D", "label": "OBD"},
    "wanda": {"color": "#56B4E9", "linestyle": (0, (3, 1)), "marker": "v", "label": "Wanda"},
    "sparsegpt": {"color": "#4B0082", "linestyle": (0, (9, 1)), "marker": "h", "label": "SparseGPT"},
}
# Controls have one colour, which no criterion has; they are told apart by their markers.
_CONTROL = "#7A5C2E"
CONTROLS: dict[str, dict[str, Any]] = {
    "uniform": {"linestyle": (0, (1, 1)), "marker": "P", "label": "same share of each layer"},
    "erk": {"linestyle": (0, (4, 2)), "marker": "X", "label": "ERK's shares"},
    "lamp": {"linestyle": (0, (4, 1, 1, 1)), "marker": "d", "label": "LAMP's shares"},
    "gradual": {"linestyle": (0, (8, 2)), "marker": "v", "label": "gradual magnitude"},
    "magnitude": {"linestyle": "-", "marker": "h", "label": "magnitude at QM's shares"},
    "shuffled": {"linestyle": (0, (1, 3)), "marker": "*", "label": "QM's mask, shuffled"},
}
_LOOK: Any = {
    "figure.facecolor": CARD,
    "axes.facecolor": CARD,
    "savefig.facecolor": CARD,
    "font.family": "DejaVu Sans",  # comes with matplotlib, so that figures are the same on every machine
    "mathtext.fontset": "dejavusans",
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 8,
    "axes.labelsize": 10,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "figure.titlesize": 12,
    "figure.titleweight": "bold",
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "xtick.color": GUIDE,
    "ytick.color": GUIDE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "axes.edgecolor": GUIDE,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "grid.alpha": 1.0,
    "lines.linewidth": 1.8,
    "lines.markersize": 5.5,
    "hatch.linewidth": 0.8,
}
_P = ParamSpec("_P")
_R = TypeVar("_R")
_LEAST_CONTRAST = 4.6  # WCAG 2 asks for 4.5 : 1; rounding of pixels takes some of it
_SIZE, _GAP = 9, 6  # of the letters of labels, and between them and the axes, in points
_LINE = 1.25  # of the font's size, from one label to the next


def use_style() -> None:
    """Draw all figures of this process from now on as cards: the first cell of a notebook says so."""
    matplotlib.rcParams.update(_LOOK)


def in_style() -> Any:
    """Return a context in which figures are cards, whatever the process draws otherwise."""
    return matplotlib.rc_context(_LOOK)


def styled(draw: Callable[_P, _R]) -> Callable[_P, _R]:
    """Make a function draw cards, whatever the process draws otherwise."""

    @functools.wraps(draw)
    def wrapped(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        with in_style():
            return draw(*args, **kwargs)

    return wrapped


def style(criterion: str, **changes: Any) -> dict[str, Any]:
    """Return the keyword arguments that every line of a criterion or control is drawn with; others get a plain line."""
    known = STYLES.get(criterion) or ({"color": _CONTROL} | CONTROLS[criterion] if criterion in CONTROLS else None)
    return {"linewidth": 1.8, "markersize": 5.5, **(known or {"label": criterion}), **changes}


def ink(colour: Any) -> str:
    """Return a colour that text on a card can be read in: the same, darkened as far as that takes."""
    red, green, blue = to_rgb(colour)
    while contrast((red, green, blue), to_rgb(CARD)) < _LEAST_CONTRAST:
        red, green, blue = (0.95 * part for part in (red, green, blue))
    return to_hex((red, green, blue))


def signed(value: float, digits: int = 2) -> str:
    """Return a number with its sign, and a minus as long as a plus."""
    return f"{round(value, digits) + 0.0:+.{digits}f}".replace("-", "\N{MINUS SIGN}")


def percent(whole: float = 1) -> PercentFormatter:
    """Return what writes the ticks of an axis in per cent of a whole."""
    return PercentFormatter(whole, symbol=" %", decimals=0)


def counted(number: int, what: str) -> str:
    """Return a number and what is counted, whose plural ends in s: 1 stage, 2 stages."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def label_lines(ax: Axes, labels: Mapping[Line2D, str] | None = None) -> Axes:
    """Write each line's label at its right-hand end, in its colour, in place of a legend; labels keep apart.

    No label reaches below the axes, where the ticks have theirs. When the limits of the axes change, the labels follow.

    Parameters
    ----------
    labels : of the lines that get one; by default those of all lines that have one
    """
    if labels is None:
        labels = {line: str(line.get_label()) for line in ax.lines if not str(line.get_label()).startswith("_")}
    looks: dict[str, Any] = {"fontsize": _SIZE, "va": "center", "annotation_clip": False}
    texts = {
        line: ax.annotate(
            text, (1, 0), (_GAP, 0), "axes fraction", "offset points", color=ink(line.get_color()), **looks
        )
        for line, text in labels.items()
        if len(line.get_xydata())  # type: ignore[arg-type]
    }
    ax.get_ylim()  # lets matplotlib find the limits, which it puts off

    def place(_: object = None) -> None:
        ends = {line: line.get_transform().transform(np.asarray(line.get_xydata())[-1]) for line in texts}
        wanted = {line: min(max(ax.transAxes.inverted().transform(end)[1], 0.0), 1.0) for line, end in ends.items()}
        inches = ax.get_position().height * ax.figure.get_figheight()  # type: ignore[union-attr]
        least = _LINE * _SIZE / 72 / inches
        upwards = sorted(texts, key=wanted.__getitem__)
        for i, (line, height) in enumerate(
            zip(upwards, _apart([wanted[line] for line in upwards], least), strict=True)
        ):
            texts[line].xy = 1, max(height, (i + 0.5) * least)

    place()
    ax.callbacks.connect("ylim_changed", place)
    return ax


def here(ax: Axes) -> tuple[Line2D, Line2D]:
    """Add what marks a slider's place, a vertical line and a point, and return both to be moved."""
    line = ax.axvline(0, color=HIGHLIGHT, linewidth=1.5)
    (point,) = ax.plot([0], [0], marker="o", markersize=8, color=HIGHLIGHT, linestyle="none")
    return line, point


def _apart(heights: list[float], least: float) -> list[float]:
    """Return ascending heights, moved as little as may be so that each is at least so far above the one before."""
    groups: list[tuple[float, int]] = []  # the lowest height of a run of labels that touch, and how many they are
    for height in heights:
        groups.append((height, 1))
        while len(groups) > 1 and groups[-2][0] + groups[-2][1] * least > groups[-1][0]:
            (low, few), (high, more) = groups[-2:]
            # The middle of the joined run is the mean of what its labels want.
            middle = (few * (low + (few - 1) * least / 2) + more * (high + (more - 1) * least / 2)) / (few + more)
            groups[-2:] = [(middle - (few + more - 1) * least / 2, few + more)]
    return [low + i * least for low, number in groups for i in range(number)]


def contrast(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """Return the contrast of two colours by WCAG 2, from 1 to 21."""
    dark, light = sorted(_luminance(colour) for colour in (one, other))
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: tuple[float, ...]) -> float:
    """Return the relative luminance of WCAG 2."""
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
