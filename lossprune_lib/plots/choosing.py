"""What a criterion's choice does to predictions: who is fooled by the model, and whether its ranking holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from lossprune_lib.plots.style import INK, label_lines, percent, signed, style
from lossprune_lib.plots.taylor import order_style
from lossprune_lib.results.predictions import share_by

if TYPE_CHECKING:
    import pandas as pd

_SHORT = {"diagonal": "diagonal GGN", "hessian": "full Hessian"}


def predicted_by_chooser(ax: Axes, table: pd.DataFrame) -> Axes:
    """Draw the actual change of the steps that each criterion chose, and what two models predicted of these steps.

    Parameters
    ----------
    table : a row for each criterion; columns true_change, diagonal and hessian (nats)
    """
    rows = np.arange(len(table))
    ax.barh(rows, table["true_change"], height=0.55, color="none", edgecolor=INK, linewidth=1.4, label="actual")
    for name, label in _SHORT.items():
        looks = order_style(name, linestyle="none", markersize=9, label=label)
        ax.plot(table[name], rows, **looks)
    for row, (_, of) in enumerate(table.iterrows()):
        share = 100 * of["diagonal"] / of["true_change"]
        ax.text(of["true_change"], row, f"  diagonal predicts {share:.0f} %", va="center", fontsize=9)
    ax.set_yticks(rows, [style(str(name))["label"] for name in table.index])
    ax.invert_yaxis()
    ax.set(xlabel="change of the loss (nats)", xlim=(None, 1.35 * table["true_change"].max()))
    ax.grid(axis="x")
    ax.legend(loc="lower right")
    return ax


def shares_by_chooser(ax: Axes, found: pd.DataFrame) -> Axes:
    """Draw which share of the actual change two models predicted of the steps that each criterion chose.

    Parameters
    ----------
    found : the rows of one network in what `results.predictions` returns; bars are its intervals
    """
    of = found.set_index("what")
    choosers, highest = ["random", "mp", "obd", "lm", "qm"], 100.0
    for name, label in _SHORT.items():
        what = [share_by(name, chooser) for chooser in choosers]
        mean, low, high = (100 * of.loc[what, column].to_numpy() for column in ("mean", "low", "high"))
        highest = max(highest, high.max())
        looks = order_style(name, linestyle="none", markersize=8, label=label)
        ax.errorbar(mean, np.arange(len(choosers)), xerr=np.stack([mean - low, high - mean]), capsize=3, **looks)
    ax.set_yticks(range(len(choosers)), [style(name)["label"] for name in choosers])
    ax.axvline(100, color=INK, linewidth=0.9)
    right = max(highest + 12, ax.get_xlim()[1])  # of axes that share theirs, the widest
    ax.set(xlabel="predicted, as a share of the actual change", xlim=(-5, right), ylim=(len(choosers) - 0.5, -0.5))
    ax.xaxis.set_major_formatter(percent(100))
    ax.grid(axis="x")
    return ax


def groups_in_order(ax: Axes, table: pd.DataFrame) -> Axes:
    """Draw what each group of weights costs when it alone is removed, the lowest saliencies first, on a log scale.

    Parameters
    ----------
    table : as from `pruning.cost_of_groups`; what is not above zero cannot be drawn, and is left out
    """
    positive = table.where(table > 0)
    (seen,) = ax.plot(table.index, positive["actual"], color=INK, marker="o", linewidth=2.4)
    (said,) = ax.plot(table.index, positive["predicted"], **order_style("diagonal", linewidth=2))
    ax.set_yscale("log")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set(xlabel="group of weights, lowest saliency first", ylabel="change of the loss (nats, logarithmic)")
    ax.grid()
    last = table.iloc[-1]
    return label_lines(ax, {seen: f"actual {signed(last['actual'])}", said: f"predicted {signed(last['predicted'])}"})
