"""One look for all figures: a colour, a line style and a marker for each criterion, and what marks a slider's place."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

# The colour-blind safe palette of Okabe and Ito (2008).
STYLES: dict[str, dict[str, Any]] = {
    "random": {"color": "#555555", "linestyle": ":", "marker": "x", "label": "random"},
    "mp": {"color": "#000000", "linestyle": "--", "marker": "s", "label": "MP, magnitude"},
    "lm": {"color": "#0072B2", "linestyle": "-.", "marker": "^", "label": "LM, linear model"},
    "qm": {"color": "#D55E00", "linestyle": "-", "marker": "o", "label": "QM, quadratic model"},
    "obd": {"color": "#009E73", "linestyle": (0, (5, 1, 1, 1, 1, 1)), "marker": "D", "label": "OBD"},
}


_HERE_COLOUR = "#CC79A7"


def style(criterion: str, **changes: Any) -> dict[str, Any]:
    """Return the keyword arguments that every line of a criterion is drawn with; unknown ones get a plain line."""
    return {"linewidth": 1.8, "markersize": 5, **STYLES.get(criterion, {"label": criterion}), **changes}


def here(ax: Axes) -> tuple[Line2D, Line2D]:
    """Add what marks a slider's place, a vertical line and a point, and return both to be moved."""
    line = ax.axvline(0, color=_HERE_COLOUR, linewidth=1.5)
    (point,) = ax.plot([0], [0], marker="o", markersize=8, color=_HERE_COLOUR, linestyle="none")
    return line, point
