"""The two halves of the Taylor slider's picture: curves over sparsity, and a bar for each order. No science in them."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.patches import Polygon
from matplotlib.ticker import PercentFormatter

from lossprune_lib import plots
from lossprune_lib.loss_modelling.forecast import ORDERS
from lossprune_lib.plots import taylor as taylor_plots

NAMES = {"first": "1st order", "diagonal": "2nd, diagonal", "ggn": "2nd, full GGN", "hessian": "2nd, full Hessian"}
_WIDEST = 150  # per cent: longer bars are cut


class Curves:
    """The left half: truth and promise over sparsity."""

    def __init__(self, ax: Axes, highest: float) -> None:
        ax.set(xlim=(0, 1), ylim=(-0.12 * highest, 1.08 * highest))
        ax.set(xlabel="sparsity that is pruned to", ylabel="change of loss since the model was built (nats)")
        ax.xaxis.set_major_formatter(PercentFormatter(1, symbol=" %", decimals=0))
        ax.grid(alpha=0.3)
        self.band = Polygon(np.zeros((3, 2)), label="truth ± 10 %", **taylor_plots.BAND)
        ax.add_patch(self.band)
        (self.truth,) = ax.plot([], [], **taylor_plots.TRUE)
        self.promises = {name: ax.plot([], [], **taylor_plots.order_style(name, marker=None))[0] for name in ORDERS}
        (self.built,) = ax.plot([0], [0], "^", color="#000000", markersize=9, clip_on=False, label="model built here")
        ax.legend(loc="upper left", fontsize=8.5, frameon=False)
        self.radius = ax.axvline(0, **taylor_plots.RADIUS)
        self.label = ax.text(0, -0.1 * highest, "", fontsize=9)
        self.here = plots.here(ax)
        self.title = ax.set_title(" ", fontsize=10)
        self.moving: list[Artist] = [
            self.band, self.truth, *self.promises.values(), self.radius, self.label, *self.here, self.built, self.title
        ]  # fmt: skip

    def show(
        self,
        truth: dict[float, float],
        promised: dict[float, float],
        built: float,
        chosen: float,
        order: str,
        off: float,
    ) -> None:
        """Move everything to where it belongs; `off` is NaN where the model is never off, or this is not known yet."""
        across = np.array(sorted(truth))
        values = np.array([truth[kappa] for kappa in across])
        low, high = taylor_plots.band(values)
        self.truth.set_data(across, values)
        self.band.set_xy(np.column_stack([[*across, *across[::-1]], [*low, *high[::-1]]]))
        for name, line in self.promises.items():
            on = sorted(promised) if name == order else []
            line.set_data(on, [promised[kappa] for kappa in on])
        self.built.set_xdata([built])
        known = not math.isnan(off)
        self.radius.set(visible=known, xdata=[off, off])
        left = off < 0.55
        self.label.set(visible=known, text=f" off by 10 % from {100 * off:.1f} % on ", x=off if known else 0)
        self.label.set_horizontalalignment("left" if left else "right")
        line, point = self.here
        line.set_xdata([chosen])
        point.set_data([chosen], [truth[chosen]])
        self.title.set_text(f"model built at {100 * built:.1f} %, last stage to {100 * chosen:.1f} %")


class Bars:
    """The right half: what each order foresees of the last stage's true change."""

    def __init__(self, ax: Axes) -> None:
        labels = {**NAMES, "absolute": "sum of saliencies\n(a bound)"}
        ax.set(xlim=(-20, _WIDEST + 75), ylim=(len(labels) - 0.4, -0.6), xlabel="in per cent of the true change")
        ax.set_yticks(range(len(labels)), list(labels.values()), fontsize=9)
        ax.set_xticks([0, 50, 100, 150])
        ax.axvspan(90, 110, **taylor_plots.BAND)
        ax.axvline(100, color="#000000", linewidth=1.5)
        ax.axvline(0, color="#444444", linewidth=0.8)
        colours = [taylor_plots.order_style(name)["color"] for name in ORDERS] + ["#CC79A7"]
        drawn = ax.barh(range(len(labels)), [0] * len(labels), color=colours, height=0.5)
        self.bars = dict(zip(labels, drawn, strict=True))
        self.texts = {name: ax.text(_WIDEST + 8, i, "", va="center", fontsize=9) for i, name in enumerate(labels)}
        self.title = ax.set_title(" ", fontsize=10)
        self.moving: list[Artist] = [*self.bars.values(), *self.texts.values(), self.title]

    def show(self, changes: dict[str, float], true: float, order: str) -> None:
        """Show what is known so far; the chosen order's bar has a dark edge."""
        self.title.set_text(f"foreseen of the true {true:+.3g} nats")
        for name, bar in self.bars.items():
            share = 100 * changes[name] / true if name in changes and true else 0.0
            width = min(max(share, -15), _WIDEST)
            bar.set(width=width, edgecolor="#000000" if name == order else "none", linewidth=2 if name == order else 0)
            cut = "»" if share > _WIDEST else "«" if share < -15 else " "
            self.texts[name].set_text(f"{cut} {changes[name]:+.3g}" if name in changes else "  ...")
            self.texts[name].set_fontweight("bold" if name == order else "normal")
