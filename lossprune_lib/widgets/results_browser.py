"""Results browser: any configuration of any study under sliders, drawn within the curve of all step penalties."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import ipywidgets
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lossprune_lib import plots
from lossprune_lib.results.selection import CELL, distinct, gap, has_no_model, loss_change
from lossprune_lib.widgets.picture import Picture
from lossprune_lib.widgets.sliders import Sliders

if TYPE_CHECKING:
    import pandas as pd

_PANELS = {
    "change": ("Right after pruning", "change of training loss (nats)"),
    "gap": ("After fine-tuning", "validation gap (percentage points)"),
}
_OTHERS = "#8C8C8C"
_SAME_PLACE = 0.06  # of an axis: labels that are nearer than this would overlap


def cells(table: pd.DataFrame) -> pd.DataFrame:
    """Return the mean and spread over seeds of each configuration.

    Returns
    -------
    DataFrame
        sparsity, criterion, stages, step_penalty; change (of the training loss by pruning, nats), gap and test_gap (after
        fine-tuning, percentage points; NaN for a study without it); the same with ``_spread`` (deviation, n - 1); seeds.
    """
    runs = distinct(table)
    measured: dict[str, Any] = {"change": loss_change(runs), "gap": math.nan, "test_gap": math.nan}
    if "tuned_valid_error" in runs and runs["tuned_valid_error"].notna().all():
        measured |= {"gap": gap(runs), "test_gap": gap(runs, "test")}
    grouped = runs.assign(**measured).groupby(CELL, sort=False)
    found = grouped[list(measured)].mean().join(grouped[list(measured)].std().add_suffix("_spread"))
    return found.assign(seeds=grouped.size()).reset_index()


def draw(axes: Iterable[Axes], found: pd.DataFrame, criterion: str, stages: int, step_penalty: float) -> str:
    """Draw one configuration within the curve of all step penalties, and return its numbers in words.

    Parameters
    ----------
    axes : two, cleared first: for the loss change and for the gap after fine-tuning
    found : from `cells`, of one table and one sparsity
    criterion, stages, step_penalty : what was not run is not drawn, and the words say so; criteria without a loss model
        depend on neither stages nor step penalty
    """
    penalties = sorted({step_penalty, *found["step_penalty"]})
    for ax, column in zip(_framed(axes, found, penalties), _PANELS, strict=True):
        _fill(ax, found, column, criterion, stages, step_penalty, penalties)
    return in_words(found, criterion, stages, step_penalty)


def in_words(found: pd.DataFrame, criterion: str, stages: int, step_penalty: float) -> str:
    """Return the numbers of a configuration in a sentence, or that it was not run."""
    row, name = _row(found, criterion, stages, step_penalty), _name(criterion, stages, step_penalty)
    if row is None:
        run = found[found["criterion"] == criterion]
        numbers = ", ".join(str(number) for number in sorted(run["stages"].unique())) or "none"
        penalties = ", ".join(_short(penalty) for penalty in sorted(run["step_penalty"].unique())) or "none"
        return f"{name}: not run here. What was run: stages {numbers}; λ {penalties}."
    words = f"{name}: loss change {_pair(row, 'change')} nats"
    if not math.isnan(row["gap"]):
        words += f", validation gap after fine-tuning {_pair(row, 'gap')} percentage points"
    return f"{words} ({_count(row['seeds'], 'seed')})."


def legend() -> list[Line2D]:
    """Return what a legend needs to say what `draw` draws."""
    looks = plots.style("mp", marker="")
    _, here = plots.here(Figure().subplots())
    here.set(label="chosen step penalty")
    return [
        Line2D([], [], **{key: looks[key] for key in ("color", "linestyle", "linewidth", "label")}),
        Line2D([], [], color="#444444", marker="o", markersize=5, label="the criterion, chosen stages (bar: spread)"),
        Line2D([], [], color=_OTHERS, linewidth=1, label="other numbers of stages"),
        here,
    ]


def browse(tables: Mapping[str, pd.DataFrame]) -> Sliders:
    """Show any configuration of some studies under sliders, starting at the best of the first one's most stages.

    Takes a table of runs for each study's name, as from `results.load`; its own `table` has the `cells` of all of them.
    """
    import pandas as pd

    if not isinstance(tables, Mapping):
        raise TypeError(
            f"The tables to browse are a dict from the studies' names, not a {type(tables).__name__}: write for example "
            '{"digits": results.load("digits")}.'
        )
    if not tables:
        raise ValueError("There is no table to browse: results.names() says which are shipped, Study.run makes others.")
    named = {name: cells(table).assign(network=table["model"].iloc[0]) for name, table in tables.items()}
    found = pd.concat(named, names=["study", None]).reset_index(0)
    parts = {
        f"{study}, {100 * part['sparsity'].iloc[0]:.3g} %": part
        for (study, _), part in found.groupby(["study", "sparsity"], sort=False)
    }
    start = next(iter(parts.values())).sort_values(["stages", "change"], ascending=[False, True]).iloc[0]
    penalties = sorted(found["step_penalty"].unique())
    options: dict[str, list[tuple[str, Any]]] = {
        "study": [(label, label) for label in parts],
        "criterion": [(name.upper(), name) for name in found["criterion"].unique()],
        "stages": [(str(number), number) for number in sorted(found["stages"].unique())],
        "step_penalty": [(_short(penalty), penalty) for penalty in penalties],
    }
    controls: dict[str, ipywidgets.ValueWidget] = {}
    for name, choices in options.items():
        kind = ipywidgets.SelectionSlider if len(choices) > 1 else ipywidgets.Dropdown  # a slider needs two places
        controls[name] = kind(
            description="λ" if name == "step_penalty" else name,
            options=choices,
            value=start[name] if name != "study" else choices[0][1],
            layout={"width": "560px", "max_width": "95%"},
        )
    if isinstance(controls["study"], ipywidgets.SelectionSlider):
        controls["study"].readout = False  # it has no room for the name, which stands above the picture
    figure = Figure(figsize=(9.2, 4.3))
    axes = figure.subplots(1, 2, gridspec_kw={"left": 0.07, "right": 0.99, "bottom": 0.22, "top": 0.81, "wspace": 0.18})
    title = figure.text(0.5, 0.93, "", ha="center", fontsize=11)
    figure.legend(handles=legend(), loc="lower center", ncols=4, fontsize=8.5, frameon=False)
    picture, line = Picture(figure, [title]), ipywidgets.HTML()
    filled: list[Artist] = []
    # Each study has scales of its own. Drawing them takes as long as a whole figure, so it is done here, once.
    frames = {}
    for study, part in parts.items():
        _framed(axes, part, penalties)
        picture.settle()
        frames[study] = picture.still, [ax.get_ylim() for ax in axes]

    def redraw(study: str, criterion: str, stages: int, step_penalty: float) -> str:
        part = parts[study]
        while filled:
            filled.pop().remove()
        for ax in axes:
            ax.containers.clear()  # error bars that were removed would stay in memory
        picture.still, limits = frames[study]
        for ax, limit in zip(axes, limits, strict=True):
            ax.set_ylim(limit)
        for ax, column in zip(axes, _PANELS, strict=True):
            filled.extend(_fill(ax, part, column, criterion, stages, step_penalty, penalties))
        picture.moving = [*filled, title]
        title.set_text(f"{study} pruned: {_name(criterion, stages, step_penalty)}")
        line.value = _line(study, part, criterion, stages, step_penalty)
        return f"{study} pruned. {in_words(part, criterion, stages, step_penalty)}"

    sliders = Sliders(controls, picture, redraw, found)
    sliders.children = (*sliders.children, line)
    return sliders


def _framed(axes: Iterable[Axes], found: pd.DataFrame, penalties: Sequence[float]) -> list[Axes]:
    """Return cleared Axes with scales that are the same for every configuration, so that they compare."""
    axes = list(axes)
    for ax, (column, (title, label)) in zip(axes, _PANELS.items(), strict=True):
        ax.clear()
        ax.set_title(title, fontsize=10)
        ax.set(ylabel=label, xlabel="step penalty λ", xlim=(-0.9, len(penalties) - 0.6))
        ax.set_xticks(range(len(penalties)), [_short(penalty) for penalty in penalties])
        spread = found[f"{column}_spread"].fillna(0)
        low, high = min(0, (found[column] - spread).min()), (found[column] + spread).max()
        if low < high:
            ax.set_ylim(low - 0.03 * (high - low) * (low < 0), high + 0.05 * (high - low))
        ax.grid(alpha=0.3)
    return axes


def _fill(
    ax: Axes, found: pd.DataFrame, column: str, criterion: str, stages: int, penalty: float, penalties: Sequence[float]
) -> list[Artist]:
    """Draw into framed Axes what belongs to a configuration, and return it."""
    ax.axhline(0, color=_OTHERS, linewidth=0.8)
    known = found[found[column].notna()]
    if known.empty:
        ax.text(0.5, 0.5, "not fine-tuned", transform=ax.transAxes, ha="center", color=_OTHERS)
    for name in dict.fromkeys(["mp", criterion]):
        of_one = known[known["criterion"] == name]
        if has_no_model(name):
            for level in of_one[column]:
                ax.axhline(level, **plots.style(name, marker=""))
            continue
        for number in sorted(of_one["stages"].unique(), key=lambda number: number != stages):  # the chosen first
            curve = of_one[of_one["stages"] == number].sort_values("step_penalty")
            _curve(ax, curve, column, [penalties.index(value) for value in curve["step_penalty"]], number == stages)
    row = _row(found, criterion, stages, penalty)
    line, point = plots.here(ax)
    line.set_xdata([penalties.index(penalty)])
    point.set(data=([penalties.index(penalty)], [math.nan if row is None else row[column]]), zorder=5)
    return sorted([*ax.collections, *ax.lines, *ax.texts], key=lambda artist: artist.zorder)


def _curve(ax: Axes, curve: pd.DataFrame, column: str, across: list[int], chosen: bool) -> None:
    looks: dict[str, Any] = plots.style(str(curve["criterion"].iloc[0]))
    if chosen:
        ax.errorbar(across, curve[column], curve[f"{column}_spread"].fillna(0), capsize=2, elinewidth=1, **looks)
    else:
        ax.plot(across, curve[column], color=_OTHERS, linewidth=1, marker=looks.get("marker"), markersize=3)
    height, near, label = curve[column].iloc[0], _SAME_PLACE * np.ptp(ax.get_ylim()), str(curve["stages"].iloc[0])
    if all(abs(height - text.get_position()[1]) > near for text in ax.texts):
        weight = "bold" if chosen else "normal"
        ax.text(across[0] - 0.2, height, label, ha="right", va="center", fontsize=8, weight=weight)


def _row(found: pd.DataFrame, criterion: str, stages: int, step_penalty: float) -> pd.Series | None:
    of_one = found[found["criterion"] == criterion]
    if not has_no_model(criterion):
        of_one = of_one[(of_one["stages"] == stages) & (of_one["step_penalty"] == step_penalty)]
    return None if of_one.empty else of_one.iloc[0]


def _line(study: str, found: pd.DataFrame, criterion: str, stages: int, step_penalty: float) -> str:
    """Return a configuration's numbers as a table with one line, in HTML."""
    row = _row(found, criterion, stages, step_penalty)
    if row is None:
        return html.escape(in_words(found, criterion, stages, step_penalty))
    names = {"change": "loss change (nats)", "gap": "validation gap (points)", "test_gap": "test gap (points)"}
    shown = {"study": study, "network": row["network"], "criterion": criterion.upper(), "stages": row["stages"]}
    shown |= {"λ": _short(row["step_penalty"])} | {name: _pair(row, column) for column, name in names.items()}
    style = "style='padding-right: 1.5em; text-align: left'"
    head = "".join(f"<th {style}>{name}</th>" for name in [*shown, "seeds"])
    body = "".join(f"<td {style}>{html.escape(str(value))}</td>" for value in [*shown.values(), row["seeds"]])
    return f"<table><tr>{head}</tr><tr>{body}</tr></table>"


def _pair(row: pd.Series, column: str) -> str:
    """Return a mean and its spread as 1.23 ± 0.04, without what is not known."""
    text = f"{row[column]:.2f} ± {row[column + '_spread']:.2f}".removesuffix(" ± nan")
    return "-" if text == "nan" else text


def _name(criterion: str, stages: int, step_penalty: float) -> str:
    text = f"{criterion.upper()}, {_count(stages, 'stage')}, λ = {_short(step_penalty)}"
    return f"{text} (it depends on neither)" if has_no_model(criterion) else text


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _short(penalty: float) -> str:
    return np.format_float_scientific(penalty, trim="-", exp_digits=1) if 0 < penalty < 0.005 else f"{penalty:g}"
