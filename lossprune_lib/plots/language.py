"""Figures of the language model: sizes of inputs, a layer's error, losses of all ways to prune, layers' shares."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from torch import Tensor

from lossprune_lib.plots.style import GUIDE, HIGHLIGHT, INK, MUTED, label_lines, percent, style
from lossprune_lib.plots.writing import layers

if TYPE_CHECKING:
    import pandas as pd

# Kinds of layers, in colours that no criterion has.
_KINDS = {
    "query": ("#C9A227", (0, (4, 1))),
    "proj": ("#0B4F4F", "-"),
    "up": ("#8A3B12", (0, (1, 1))),
    "down": (HIGHLIGHT, (0, (6, 1, 1, 1))),
}
_ERRORS: dict[str, dict[str, Any]] = {
    "magnitude": {"of": "uniform"},
    "Wanda": {"of": "wanda"},
    "Wanda, updated": {"of": "wanda", "markerfacecolor": "none", "linestyle": ":"},
    "SparseGPT": {"of": "sparsegpt"},
    "OBS": {"of": "OBS", "label": "OBS, one at a time", "color": HIGHLIGHT, "marker": "p"},
}
_WAYS = {
    "MP, global": {"of": "mp"},
    "MP, per layer": {"of": "uniform"},
    "Wanda, per row": {"of": "wanda"},
    "Wanda, per layer": {"of": "wanda", "markerfacecolor": "none", "linestyle": ":"},
    "SparseGPT, per layer": {"of": "sparsegpt"},
    "SparseGPT, in turn, per layer": {"of": "sparsegpt", "markerfacecolor": "none", "linestyle": ":"},
    "LM, global, 14 stages": {"of": "lm"},
    "QM, global, 14 stages": {"of": "qm"},
}


def _style(looks: Mapping[str, Any]) -> dict[str, Any]:
    changes = {name: value for name, value in looks.items() if name != "of"}
    return style(looks["of"], **changes)


def _per_cent(ax: Axes, *marks: float) -> None:
    ax.xaxis.set_major_locator(FixedLocator(marks))
    ax.xaxis.set_major_formatter(percent())


def input_sizes(ax: Axes, norms: Mapping[str, Tensor]) -> Axes:
    """Draw each layer's norms of inputs, sorted, as multiples of the median; layers that share their inputs are one."""
    lines = {}
    for name, values in norms.items():
        kind = name.split(".")[-1]
        if kind not in _KINDS:
            continue  # key and value read what query reads
        colour, dashes = _KINDS[kind]
        across = np.linspace(0, 1, len(values))
        (line,) = ax.plot(across, values.cpu(), color=colour, linestyle=dashes, linewidth=1.4)
        lines[kind] = line
    labels = {"query": "query, key, value", "proj": "proj", "up": "up", "down": "down"}
    ax.legend(list(lines.values()), [labels[kind] for kind in lines], loc="upper left", handlelength=3.5)
    most = max(norms, key=lambda name: norms[name][-1].item())
    largest = norms[most][-1].item()
    ax.plot([1], [largest], "o", color=_KINDS.get(most.split(".")[-1], (INK, ""))[0])
    ax.annotate(f"largest: {largest:.1f}", (1, largest), (4, 6), textcoords="offset points", ha="right")
    ax.margins(y=0.12)
    ax.set_yscale("log")
    ax.yaxis.set_major_locator(FixedLocator([0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100]))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.set(xlim=(0, 1.03), xlabel="inputs of a layer, sorted by their norm", ylabel="norm / median (logarithmic)")
    _per_cent(ax, 0, 0.25, 0.5, 0.75, 1)
    ax.grid()
    return ax


def errors(ax: Axes, table: pd.DataFrame) -> Axes:
    """Draw a layer's error against sparsity, a line for each way to prune it.

    Parameters
    ----------
    table : from `pruning.errors_by_way`
    """
    lines = {}
    for name, looks in _ERRORS.items():
        drawn = _style(looks)
        lines[ax.plot(table.index, table[name], clip_on=False, **drawn)[0]] = looks.get("label", name)
    ax.set_yscale("log")
    ax.yaxis.set_major_locator(FixedLocator([0.001, 0.01, 0.1, 1]))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g} %"))
    ax.set(
        xlim=(table.index[0], table.index[-1]),
        ylim=(None, 2),
        xlabel="share of each row pruned",
        ylabel="error of the layer (logarithmic)",
    )
    _per_cent(ax, 0.1, 0.3, 0.5, 0.7, 0.9)
    ax.grid()
    ax.get_ylim()  # settles the limits, by which the labels are placed
    return label_lines(ax, lines)


def losses(ax: Axes, table: pd.DataFrame, dense: float | None = None) -> Axes:
    """Draw the loss against sparsity, a line for each way to prune; a thin bar from least to most over the seeds.

    Parameters
    ----------
    table : from `results.losses`
    dense : the loss of the network that was pruned, to compare with
    """
    ends = table["sparsity"].min(), table["sparsity"].max()
    known = [] if dense is None else [dense]
    lines = {ax.plot(ends, [value] * 2, color=GUIDE, linewidth=1)[0]: "nothing pruned" for value in known}
    for label, looks in _WAYS.items():
        rows = table[table["label"] == label].sort_values("sparsity")
        if rows.empty:
            continue
        drawn = _style(looks)
        (line,) = ax.plot(rows["sparsity"], rows["loss"], clip_on=False, **drawn)
        ax.vlines(rows["sparsity"], rows["loss_least"], rows["loss_most"], color=drawn["color"], linewidth=1)
        lines[line] = label
    bottom = math.floor(min([*known, table["loss_least"].min()]))
    ax.set(xlabel="share of the weights pruned", ylabel=f"loss (nats a character), from {bottom} up")
    ax.set_ylim(bottom=bottom)
    ax.margins(x=0)
    _per_cent(ax, *sorted(set(table["sparsity"])))
    ax.grid()
    ax.get_ylim()  # settles the limits, by which the labels are placed
    return label_lines(ax, lines)


def shares(ax: Axes, table: pd.DataFrame) -> Axes:
    """Draw which share of its weights each layer keeps; a row of the table for each way, a column for each layer."""
    layers(ax, list(table.columns))
    at = ax.get_xticks()
    for label, row in table.iterrows():
        looks = _style(_WAYS[str(label)])
        ax.plot(at, row, **{**looks, "linestyle": "none", "label": str(label)})
    ax.set_ylabel("share kept", color=MUTED)
    ax.legend(ncols=3, loc="upper center", bbox_to_anchor=(0.5, 1.3))
    return ax
