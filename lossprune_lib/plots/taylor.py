"""Figures of how a Taylor model's promise compares with the truth; each takes the Axes to draw on, and returns them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from lossprune_lib import plots
from lossprune_lib.loss_modelling.forecast import ORDERS

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

TRUE: dict[str, Any] = {"color": "#000000", "linestyle": "-", "linewidth": 2.6, "label": "true change"}
BAND: dict[str, Any] = {"color": "#000000", "alpha": 0.13, "linewidth": 0}
RADIUS: dict[str, Any] = {"color": "#444444", "linestyle": (0, (1, 1)), "linewidth": 1.6}
# First order is LM's model and the diagonal one QM's: they look like them.
_OTHERS: dict[str, dict[str, Any]] = {
    "ggn": {"color": "#56B4E9", "linestyle": (0, (6, 2)), "marker": "v"},
    "hessian": {"color": "#E69F00", "linestyle": (0, (3, 1, 1, 1)), "marker": "P"},
}
CAUSES = {
    "beyond the 2nd order": ("#000000", ""),
    "GGN for the Hessian": ("#E69F00", "//"),
    "diagonal for the full GGN": ("#56B4E9", ".."),
    "absolute values": ("#CC79A7", "xx"),
    "batch noise": ("#BBBBBB", "--"),
}


def order_style(order: str, **changes: Any) -> dict[str, Any]:
    """Return the keyword arguments that every line of an order is drawn with."""
    of_criterion = {"first": "lm", "diagonal": "qm"}
    looks = plots.style(of_criterion[order]) if order in of_criterion else plots.style(order) | _OTHERS[order]
    return looks | {"label": ORDERS[order]} | changes


def promise(
    ax: Axes, table: pd.DataFrame, orders: Sequence[str], across: str = "sparsity", tolerance: float = 0.1
) -> Axes:
    """Draw the true change, the band around it, and what models of some orders predict.

    Parameters
    ----------
    table : with the columns `across`, true_change and the orders
    across : "sparsity" or "share" (of the straight step)
    """
    x, truth = table[across].to_numpy(), table["true_change"].to_numpy()
    ax.fill_between(x, *band(truth, tolerance), **BAND, label=f"truth ± {100 * tolerance:.0f} %")
    ax.plot(x, truth, **TRUE)
    for order in orders:
        ax.plot(x, table[order], **order_style(order, marker=None))
    labels = {"sparsity": "sparsity that is pruned to", "share": "share of the step"}
    ax.set(xlabel=labels[across], ylabel="change of loss (nats)")
    ax.xaxis.set_major_formatter(PercentFormatter(1, symbol=" %", decimals=0))
    ax.grid(alpha=0.3)
    return ax


def band(truth: np.ndarray, tolerance: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    """Return the lowest and the highest prediction that is off by no more than a share of the truth."""
    width = tolerance * np.abs(truth)
    return truth - width, truth + width


def mark_radius(ax: Axes, at: float, label: str = "") -> Axes:
    """Draw a vertical line where a model is off by more than it may be."""
    ax.axvline(at, **RADIUS)
    if label:
        ax.annotate(
            label, (at, 0.96), xycoords=("data", "axes fraction"), xytext=(4, 0), textcoords="offset points",
            fontsize=8, va="top",
        )  # fmt: skip
    return ax


def causes(ax: Axes, table: pd.DataFrame) -> Axes:
    """Draw errors, one bar each, stacked out of their causes.

    Parameters
    ----------
    table : one row for each bar, its index the labels; the columns are causes, signed, in nats
    """
    bottoms = {True: np.zeros(len(table)), False: np.zeros(len(table))}
    x = np.arange(len(table))
    for cause in table:
        values = table[cause].to_numpy()
        colour, hatch = CAUSES.get(str(cause), ("#009E73", "oo"))
        below = np.where(values >= 0, bottoms[True], bottoms[False])
        ax.bar(x, values, 0.6, below, color=colour, hatch=hatch, edgecolor="white", linewidth=0.6, label=str(cause))
        bottoms[True] += np.maximum(values, 0)
        bottoms[False] += np.minimum(values, 0)
    ax.axhline(0, color="#444444", linewidth=0.8)
    ax.set_xticks(x, list(table.index))
    ax.set_ylabel("error of the prediction (nats)")
    ax.grid(axis="y", alpha=0.3)
    ax.set_axisbelow(True)
    return ax


def ladder(ax: Axes, changes: Mapping[str, float], true_change: float, tolerance: float = 0.1) -> Axes:
    """Draw what each approximation foresees of a true change, as horizontal bars in per cent of it.

    Parameters
    ----------
    changes : label -> predicted change, or a bound; the first on top
    """
    shares = [100 * change / true_change for change in changes.values()]
    ax.axvspan(100 * (1 - tolerance), 100 * (1 + tolerance), **BAND)
    ax.axvline(100, color="#000000", linewidth=1.5)
    drawn = ax.barh(list(changes), shares, color="#0072B2", height=0.55)
    ax.bar_label(drawn, labels=[f" {share:.0f} %" for share in shares], fontsize=9)
    ax.invert_yaxis()
    ax.set_xlabel("predicted, in per cent of the true change")
    return ax


def cancellation(ax: Axes, changes: Tensor) -> Axes:
    """Draw the running sum of single weights' modelled changes, with their signs and without, in the order given."""
    values = changes.detach().cpu().double().numpy()
    share = np.arange(1, len(values) + 1) / len(values)
    ax.plot(share, np.abs(values).cumsum(), color="#CC79A7", linestyle="--", label="sum of absolute values: a bound")
    ax.plot(share, values.cumsum(), **order_style("diagonal", marker=None, label="sum with signs: the prediction"))
    ax.axhline(0, color="#444444", linewidth=0.8)
    ax.set(xlabel="sparsity that is pruned to", ylabel="change of loss (nats)")
    ax.xaxis.set_major_formatter(PercentFormatter(1, symbol=" %", decimals=0))
    ax.grid(alpha=0.3)
    return ax
