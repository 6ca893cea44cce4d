"""Comparisons that seeds decide: masks beside their controls, longer training, correlations, the paper, curvature.

A dot is a mean over seeds, a bar its interval or spread; where seeds are few, they are drawn one by one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from lossprune_lib.plots.style import CARD, GUIDE, HIGHLIGHT, INK, MUTED, counted, ink, label_lines, style
from lossprune_lib.results.exactness import MARGIN
from lossprune_lib.results.selection import distinct, loss_change

if TYPE_CHECKING:
    import pandas as pd

    from lossprune_lib.results.statistics import Interval

_MASKS = {"mp": "MP", "uniform": "equal shares", "magnitude": "QM's shares", "shuffled": "QM shuffled", "qm": "QM"}
_ERRORS = (3, 5, 10, 20, 50, 90)
_ASIDE = 0.12  # from dot to dot of one number of epochs
_STAGES = 14  # of QM, in `controls`
_SHORT = {"mp": "MP", "obd": "OBD", "lm": "LM", "qm": "QM"}


def controls(axes: Sequence[Axes], table: pd.DataFrame) -> None:
    """Draw test errors after fine-tuning: magnitude, QM and what lies between them, a dot for each seed.

    Parameters
    ----------
    axes : one for each sparsity of the table; all get one logarithmic scale
    table : with the controls of magnitude and of QM
    """
    runs = distinct(table)
    error = 100 * runs["tuned_test_error"]
    for ax, (sparsity, part) in zip(axes, runs.assign(error=error).groupby("sparsity"), strict=True):
        here = part[(part["criterion"] == "mp") | ((part["criterion"] == "qm") & (part["stages"] == _STAGES))]
        name = here["control"].where(here["control"] != "", here["criterion"])
        for row, mask in enumerate(_MASKS):
            seeds = here["error"][name == mask]
            colour = style(mask)["color"]
            ax.plot(seeds, np.full(len(seeds), row), "o", markersize=6, markerfacecolor="none", color=colour)
            ax.plot([seeds.mean()], [row], "|", markersize=18, markeredgewidth=2.5, color=colour)
            ax.annotate(f"{seeds.mean():.1f}", (seeds.mean(), row - 0.36), ha="center", color=ink(colour))
        ax.set_xscale("log")
        ax.set(xlim=(2.2, 110), ylim=(len(_MASKS) - 0.5, -0.7), title=f"{100 * float(str(sparsity)):g} % pruned")
        ax.set_yticks(range(len(_MASKS)), list(_MASKS.values()))
        ax.xaxis.set_major_locator(FixedLocator(_ERRORS))
        ax.xaxis.set_minor_locator(NullLocator())
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g} %"))
        ax.set_xlabel("test error after fine-tuning\n(logarithmic)")
        ax.grid(axis="x")


def before_and_after(axes: Sequence[Axes], table: pd.DataFrame) -> None:
    """Draw each criterion's loss change by pruning, and its test error after fine-tuning, a dot for each seed.

    Thin lines join the dots of a seed.

    Parameters
    ----------
    axes : two, for before and after
    table : of one sparsity, and one setting of each of MP, OBD, LM and QM that it has; controls are left out
    """
    runs = distinct(table)
    runs = runs[runs["control"] == ""]
    shown = [name for name in _SHORT if name in set(runs["criterion"])]
    columns = loss_change(runs), 100 * runs["tuned_test_error"]
    for ax, values, form in zip(axes, columns, ("{:.2f}", "{:.1f}"), strict=True):
        by_seed = runs.assign(value=values).pivot(index="criterion", columns="seed", values="value").loc[shown]
        ax.plot(by_seed, range(len(shown)), color=GUIDE, linewidth=0.7, alpha=0.45, zorder=1)
        for row, name in enumerate(shown):
            seeds, colour = values[runs["criterion"] == name], style(name)["color"]
            ax.plot(seeds, np.full(len(seeds), row), "o", markersize=6, markerfacecolor="none", color=colour)
            ax.plot([seeds.mean()], [row], "|", markersize=18, markeredgewidth=2.5, color=colour)
            ax.annotate(form.format(seeds.mean()), (seeds.mean(), row - 0.36), ha="center", color=ink(colour))
        ax.set_yticks(range(len(shown)), [_SHORT[name] for name in shown])
        ax.set(ylim=(len(shown) - 0.5, -0.8))
        ax.grid(axis="x")
    axes[0].set(title="right after pruning", xlabel="loss change (nats)", xlim=(0, None))
    axes[1].set(title="after fine-tuning", xlabel="test error (%)")


def errors_by_epoch(ax: Axes, errors: Mapping[str, Sequence[float]], dense: float) -> Axes:
    """Draw validation errors (fractions) against the epochs of fine-tuning; the first is that before any."""
    lines = {}
    for name, values in errors.items():
        looks = style(name, marker="o", markersize=4)
        lines[ax.plot(range(len(values)), [100 * value for value in values], **looks)[0]] = _MASKS[name]
    lines[ax.plot([0, len(values) - 1], [100 * dense] * 2, color=GUIDE)[0]] = "dense"
    ax.set_xticks(range(0, len(values), 5))
    ax.set(xlim=(0, len(values) - 1), ylim=(0, 100), xlabel="epochs of fine-tuning", ylabel="validation error (%)")
    ax.grid(axis="y")
    return label_lines(ax, lines)


def gaps_by_epochs(axes: Sequence[Axes], panels: Mapping[str, pd.DataFrame]) -> None:
    """Draw gaps after fine-tuning, a line for each criterion from the short to the long one; one number has dots only.

    Parameters
    ----------
    axes : one for each panel
    panels : title -> gaps (percentage points), a row for each number of epochs, a column for each criterion
    """
    low = min(0.0, *(table.min().min() - 0.2 for table in panels.values()))
    high = max(table.max().max() for table in panels.values())
    for ax, (title, table) in zip(axes, panels.items(), strict=True):
        across, alone = np.arange(len(table)), len(table) == 1
        aside = _ASIDE * (np.arange(table.shape[1]) - (table.shape[1] - 1) / 2) * alone  # dots hide each other
        lines = {
            ax.plot(across + by, table[name], **style(name))[0]: _SHORT[name]
            for name, by in zip(map(str, table), aside, strict=True)
        }
        ax.set_xticks(across, [f"{epochs} epochs" for epochs in table.index])
        ax.set(xlim=(-0.5, 0.5) if alone else (-0.3, len(table) - 0.8), ylim=(low, high + 0.2), title=title)
        ax.grid(axis="y")
        label_lines(ax, lines)
    axes[0].set_ylabel("test gap (percentage points)")


def correlations(ax: Axes, found: Mapping[str, Interval], ceilings: Mapping[str, float]) -> Axes:
    """Draw rank correlations with their intervals, a thick line where the ceiling of each is, a thin one at its half.

    Parameters
    ----------
    found, ceilings : by the same names, which stand at the left
    """
    for row, (name, interval) in enumerate(found.items()):
        ax.plot([interval.low, interval.high], [row, row], color=INK, linewidth=2.5, solid_capstyle="butt")
        ax.plot([interval.mean], [row], "o", color=INK, markersize=8)
        for part, width, label in ((1, 2.5, "ceiling"), (0.5, 1, "half the ceiling")):  # the rule asks for the half
            (line,) = ax.plot([part * ceilings[name]] * 2, [row - 0.32, row + 0.32], color=HIGHLIGHT, linewidth=width)
            line.set_label(label if row == 0 else "")
    ax.axvline(0, color=GUIDE, linewidth=0.8)
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    ax.set_yticks(range(len(found)), list(found))
    ax.set(xlim=(-1, 1.03), ylim=(len(found) - 0.4, -0.6))
    ax.set_xlabel("rank correlation of loss change and validation gap")
    ax.grid(axis="x")
    return ax


def beside_paper(ax: Axes, table: pd.DataFrame, unit: str) -> Axes:
    """Draw our means beside the paper's with their spreads; what differs is marked.

    Parameters
    ----------
    table : from `results.beside_paper`, of one sparsity
    unit : what stands below the axis
    """
    for row, cell in enumerate(table.to_dict("records")):
        colour = style(str(cell["criterion"]))["color"]
        ax.errorbar([cell["mean"]], [row - 0.14], xerr=_known(cell["spread"]), fmt="o", color=colour, markersize=8)
        paper: dict[str, Any] = {"color": colour, "markerfacecolor": "none", "markersize": 8}
        ax.errorbar([cell["paper_mean"]], [row + 0.2], xerr=_known(cell["paper_spread"]), fmt="D", **paper)
        if cell["differs"]:
            ax.annotate("differs", (1.01, row), xycoords=("axes fraction", "data"), va="center", color=MUTED)
    ax.set_yticks(range(len(table)), [_SHORT[str(name)] for name in table["criterion"]])
    ax.set(ylim=(len(table) - 0.4, -0.6), xlabel=unit)
    ax.grid(axis="x")
    return ax


def exactness(ax: Axes, table: pd.DataFrame, other: pd.DataFrame | None = None) -> Axes:
    """Draw by how much more the loss changes with sampled curvature than with the exact one, in per cent of the latter.

    A band shows what counts as well.

    Parameters
    ----------
    table : from `results.exactness`
    other : the same of another study, drawn thinner and open below it
    """
    names = [_setting(cell) for cell in table.to_dict("records")]
    for found, below, width, size, filled in ((table, 0, 2.5, 8, True), (other, 0.3, 1.2, 6, False)):
        for cell in found.to_dict("records") if found is not None else []:
            row = names.index(_setting(cell)) + below
            mean, low, high = (100 * value / cell["exact"] for value in (cell["mean"], cell["low"], cell["high"]))
            look = style(str(cell["criterion"]))
            ax.plot([low, high], [row, row], color=look["color"], linewidth=width, solid_capstyle="butt")
            inside = look["color"] if filled else CARD
            ax.plot([mean], [row], look["marker"], color=look["color"], markerfacecolor=inside, markersize=size)
    ax.axvspan(-100 * MARGIN, 100 * MARGIN, color=GUIDE, alpha=0.15, linewidth=0)
    ax.axvline(0, color=GUIDE, linewidth=0.8)
    ax.set_yticks(range(len(names)), names)
    ax.set(ylim=(len(names) - 0.4, -0.6))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:+g} %" if value else "0 %"))
    ax.set_xlabel("loss change with sampled curvature, against that with exact curvature")
    ax.grid(axis="x")
    return ax


def _setting(cell: Any) -> str:
    criterion, stages, number = (cell[name] for name in ("criterion", "stages", "curvature_columns"))
    return f"{_SHORT[criterion]}, {counted(stages, 'stage')}, {counted(number, 'column')}"


def _known(spread: float) -> float | None:
    return None if np.isnan(spread) else spread
