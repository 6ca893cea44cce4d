"""Figures of how the change that a Taylor model predicts compares with the actual change."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.patches import Polygon
from matplotlib.ticker import FuncFormatter, MaxNLocator

from lossprune_lib.loss_modelling.forecast import ORDERS
from lossprune_lib.plots.style import ACTUAL, CARD, GUIDE, HIGHLIGHT, MUTED, here, ink, percent, style

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

BAND: dict[str, Any] = {"color": "#000000", "alpha": 0.13, "linewidth": 0}
RADIUS: dict[str, Any] = {"color": GUIDE, "linestyle": (0, (1, 1)), "linewidth": 1.6}
# First order is LM's model and the diagonal one QM's: they look like them.
_OTHERS: dict[str, dict[str, Any]] = {
    "ggn": {"color": "#56B4E9", "linestyle": (0, (6, 2)), "marker": "v"},
    "hessian": {"color": "#E69F00", "linestyle": (0, (3, 1, 1, 1)), "marker": "P"},
}
NAMES = {"first": "1st order", "diagonal": "2nd, diagonal", "ggn": "2nd, full GGN", "hessian": "2nd, full Hessian"}
_WIDEST = 150  # per cent: longer bars are cut
_BEYOND, _BEFORE, _WIDE = 2.5, 0.06, 0.6  # of what a last stage is drawn in: see `window`


def order_style(order: str, **changes: Any) -> dict[str, Any]:
    """Return the keyword arguments that every line of an order is drawn with."""
    of_criterion = {"first": "lm", "diagonal": "qm"}
    looks = style(of_criterion[order]) if order in of_criterion else style(order) | _OTHERS[order]
    return looks | {"label": ORDERS[order]} | changes


def predictions(ax: Axes, table: pd.DataFrame, orders: Sequence[str], across: str = "sparsity") -> Axes:
    """Draw the actual change, the band around it, and what models of some orders predict.

    Parameters
    ----------
    table : with the columns `across`, true_change and the orders
    across : "sparsity" or "share" (of the straight step)
    """
    x, actual = table[across].to_numpy(), table["true_change"].to_numpy()
    ax.fill_between(x, *band(actual), **BAND, label="actual ± 10 %")
    ax.plot(x, actual, **ACTUAL, label="actual change")
    for order in orders:
        ax.plot(x, table[order], **order_style(order, marker=None))
    labels = {"sparsity": "sparsity after pruning", "share": "share of the step"}
    ax.set(xlabel=labels[across], ylabel="change of loss (nats)")
    ax.xaxis.set_major_formatter(percent())
    ax.grid()
    return ax


def band(actual: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the lowest and the highest prediction that is off by no more than a tenth of the actual change."""
    width = 0.1 * np.abs(actual)
    return actual - width, actual + width


def cancellation(ax: Axes, changes: Tensor) -> Axes:
    """Draw the running sum of single weights' modelled changes, with their signs and without, in the order given."""
    values = changes.detach().cpu().double().numpy()
    share = np.arange(1, len(values) + 1) / len(values)
    ax.plot(share, np.abs(values).cumsum(), color=HIGHLIGHT, linestyle="--", label="sum of saliencies")
    ax.plot(share, values.cumsum(), **order_style("diagonal", marker=None, label="sum with signs: the prediction"))
    ax.axhline(0, color=GUIDE, linewidth=0.8)
    ax.set(xlabel="sparsity after pruning", ylabel="change of loss (nats)")
    ax.xaxis.set_major_formatter(percent())
    ax.grid()
    return ax


def window(built: float, chosen: float) -> tuple[float, float]:
    """Return the sparsities between which a last stage is drawn: it takes up about two fifths of them."""
    high = min(1.0, built + _BEYOND * (chosen - built))
    return (0.0, 1.0) if high - built > _WIDE else (max(0.0, built - _BEFORE * (high - built)), high)


class Curves:
    """Actual and predicted change over sparsity, for a slider to move; the axes move to where the last stage is."""

    def __init__(self, ax: Axes) -> None:
        self.ax = ax
        ax.set(xlabel="sparsity after pruning", ylabel="change of loss since the model was built (nats)")
        ax.xaxis.set_major_locator(MaxNLocator(5))
        ax.xaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.3g} %"))
        ax.yaxis.get_offset_text().set(x=0, horizontalalignment="right")  # not over the title
        ax.grid()
        self.band = Polygon(np.zeros((3, 2)), label="actual ± 10 %", **BAND)
        ax.add_patch(self.band)
        (self.actual,) = ax.plot([], [], **ACTUAL, label="actual change")
        self.predictions = {name: ax.plot([], [], **order_style(name, marker=None))[0] for name in ORDERS}
        (self.built,) = ax.plot([0], [0], "^", color="#000000", markersize=9, clip_on=False, label="model built here")
        above: dict[str, Any] = {"zorder": 6, "bbox": {"facecolor": CARD, "edgecolor": "none", "pad": 1.5}}  # the lines
        bold = above | {"transform": ax.transAxes, "va": "top", "fontweight": "bold"}
        key = ax.text(0.03, 0.95, "actual change ± 10 %", **bold)
        self.key = ax.text(0.03, 0.87, "", **bold)
        self.radius = ax.axvline(0, **RADIUS)
        self.label = ax.text(0, 0.03, "", fontsize=9, transform=ax.get_xaxis_transform(), **above)
        self.here = here(ax)
        self.title = ax.set_title(" ")
        self.moving: list[Artist] = [ax.xaxis, ax.yaxis, self.band, self.actual, *self.predictions.values()]
        self.moving += [self.radius, *self.here, self.built, self.title, key, self.key, self.label]

    def show(
        self,
        actual: dict[float, float],
        predicted: dict[float, float],
        built: float,
        chosen: float,
        order: str,
        off: float,
    ) -> None:
        """Move everything to where it belongs; `off` is NaN where the model is never off, or this is not known yet."""
        across = np.array(sorted(actual))
        values = np.array([actual[kappa] for kappa in across])
        low, high = band(values)
        self.actual.set_data(across, values)
        self.band.set_xy(np.column_stack([[*across, *across[::-1]], [*low, *high[::-1]]]))
        for name, line in self.predictions.items():
            on = sorted(predicted) if name == order else []
            line.set_data(on, [predicted[kappa] for kappa in on])
        self.key.set(text=f"predicted: {NAMES[order]}", color=ink(order_style(order)["color"]))
        self._zoom(across, values, predicted, built, chosen)
        self.built.set_xdata([built])
        known = not math.isnan(off)
        self.radius.set(visible=known, xdata=[off, off])
        start, end = self.ax.get_xlim()
        known = known and off < end
        self.radius.set_visible(known)
        self.label.set(visible=known, text=f" off by 10 % from {100 * off:.1f} % on ", x=off if known else 0)
        self.label.set_horizontalalignment("left" if off < (start + end) / 2 else "right")
        line, point = self.here
        line.set_xdata([chosen])
        point.set_data([chosen], [actual[chosen]])
        self.title.set_text(f"built at {100 * built:.1f} %, last stage to {100 * chosen:.1f} %")

    def _zoom(
        self, across: np.ndarray, values: np.ndarray, predicted: dict[float, float], built: float, chosen: float
    ) -> None:
        """Move the axes to the last stage, and to the changes there."""
        low, high = window(built, chosen)
        top = max(float(np.interp(high, across, values)), values[across <= high].max(), 1e-9)
        bottom = min([0.0, *(change for kappa, change in predicted.items() if kappa <= high)])
        self.ax.set(xlim=(low, high), ylim=(max(1.1 * bottom, -0.6 * top) - 0.12 * top, 1.25 * top))


class Bars:
    """What each order predicts of the last stage's actual change, for a slider to move."""

    def __init__(self, ax: Axes) -> None:
        labels = {**NAMES, "absolute": "sum of saliencies\n(not a prediction)"}
        ax.set(xlim=(-20, _WIDEST + 90), ylim=(len(labels) - 0.4, -0.6), xlabel="in per cent of the actual change")
        ax.set_yticks(range(len(labels)), list(labels.values()), fontsize=9)
        ax.set_xticks([0, 50, 100, 150])
        ax.axvspan(90, 110, **BAND)
        ax.axvline(100, color="#000000", linewidth=1.5)
        ax.axvline(0, color=GUIDE, linewidth=0.8)
        colours = [order_style(name)["color"] for name in ORDERS] + [MUTED]  # no prediction
        drawn = ax.barh(range(len(labels)), [0] * len(labels), color=colours, height=0.5)
        self.bars = dict(zip(labels, drawn, strict=True))
        self.texts = {name: ax.text(_WIDEST + 8, i, "", va="center", fontsize=9) for i, name in enumerate(labels)}
        ax.text(_WIDEST + 16, -0.45, "nats", va="center", fontsize=9, color=MUTED)
        self.title = ax.set_title(" ")
        self.moving: list[Artist] = [*self.bars.values(), *self.texts.values(), self.title]

    def show(self, changes: dict[str, float], actual: float, order: str) -> None:
        """Show what is known so far; the chosen order's bar has a dark edge."""
        self.title.set_text(f"predicted of {actual:+.3g} nats".replace("-", "\N{MINUS SIGN}"))
        for name, bar in self.bars.items():
            share = 100 * changes[name] / actual if name in changes and actual else 0.0
            width = min(max(share, -15), _WIDEST)
            bar.set(width=width, edgecolor="#000000" if name == order else "none", linewidth=2 if name == order else 0)
            cut = "»" if share > _WIDEST else "«" if share < -15 else " "
            self.texts[name].set_text(f"{cut} {changes[name]:+.3g}" if name in changes else "  ...")
            self.texts[name].set_fontweight("bold" if name == order else "normal")
