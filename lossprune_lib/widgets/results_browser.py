"""Results browser: any configuration of any study under sliders, drawn within the curve of all step penalties."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import ipywidgets
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lossprune_lib.plots import penalties as penalty_plots
from lossprune_lib.plots.penalties import in_short, legend
from lossprune_lib.plots.style import WIDTH, counted, style, styled
from lossprune_lib.results.cells import cell, cells
from lossprune_lib.results.selection import has_no_model
from lossprune_lib.widgets.picture import Picture
from lossprune_lib.widgets.sliders import Sliders, control

if TYPE_CHECKING:
    import pandas as pd


def in_words(found: pd.DataFrame, criterion: str, stages: int, step_penalty: float) -> str:
    """Return the numbers of a configuration in a sentence, or that it was not run."""
    row, name = cell(found, criterion, stages, step_penalty), _name(criterion, stages, step_penalty)
    if row is None:
        run = found[found["criterion"] == criterion]
        numbers = ", ".join(str(number) for number in sorted(run["stages"].unique())) or "none"
        penalties = ", ".join(in_short(penalty) for penalty in sorted(run["step_penalty"].unique())) or "none"
        return f"{name}: not run here. What was run: stages {numbers}; λ {penalties}."
    words = f"{name}: loss change {_pair(row, 'change')} nats"
    if not math.isnan(row["gap"]):
        words += f", validation gap after fine-tuning {_pair(row, 'gap')} percentage points"
    return f"{words} ({counted(row['seeds'], 'seed')})."


@styled
def browse(tables: Mapping[str, pd.DataFrame]) -> Sliders:
    """Show any configuration of some studies under sliders, starting at the best of the first one's most stages.

    Takes a table of runs for each study's name, as from `results.load`; its own `table` has the `cells` of all of them.
    """
    found = _all_cells(tables)
    parts = {
        f"{study}, {100 * part['sparsity'].iloc[0]:.3g} %": part
        for (study, _), part in found.groupby(["study", "sparsity"], sort=False)
    }
    penalties = sorted(found["step_penalty"].unique())
    figure = Figure(figsize=(WIDTH, 4.3))
    axes = figure.subplots(1, 2, gridspec_kw={"left": 0.07, "right": 0.99, "bottom": 0.22, "top": 0.8, "wspace": 0.18})
    title = figure.text(0.07, 0.93, "", ha="left", fontsize=11, fontweight="bold")
    named = figure.legend(handles=legend(), loc="lower center", ncols=4, columnspacing=1.2, handletextpad=0.5)
    chosen = named.legend_handles[1]
    assert isinstance(chosen, Line2D)
    chosen.set_visible(False)  # it looks as the criterion does, so it is drawn with each
    picture = Picture(figure, [title])
    line = ipywidgets.HTML(layout={"max_width": "100%", "overflow": "auto"})  # a table that is too wide scrolls alone
    filled: list[Artist] = []
    # Each study has scales of its own. Drawing them takes as long as a whole figure, so it is done here, once.
    frames = {}
    for study, part in parts.items():
        curves = penalty_plots.frame(axes, part, penalties)
        picture.settle()
        frames[study] = picture.still, [ax.get_ylim() for ax in axes], curves
    chosen.set_visible(True)

    def redraw(study: str, criterion: str, stages: int, step_penalty: float) -> str:
        while filled:
            filled.pop().remove()
        picture.still, limits, curves = frames[study]
        for ax, limit in zip(axes, limits, strict=True):
            ax.containers.clear()  # error bars that were removed would stay in memory
            ax.set_ylim(limit)
        filled.extend(penalty_plots.fill(axes, curves, criterion, stages, penalties.index(step_penalty)))
        chosen.set(**{key: value for key, value in style(criterion).items() if key in ("color", "linestyle", "marker")})
        picture.moving = [*filled, title, chosen]
        title.set_text(f"{study} pruned: {_name(criterion, stages, step_penalty)}")
        line.value = _line(study, parts[study], criterion, stages, step_penalty)
        return f"{study} pruned. {in_words(parts[study], criterion, stages, step_penalty)}"

    sliders = Sliders(_controls(parts, found, penalties), picture, redraw, found)
    sliders.children = (*sliders.children, line)
    return sliders


def _all_cells(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    import pandas as pd

    if not isinstance(tables, Mapping):
        raise TypeError(
            f"The tables to browse are a dict from the studies' names, not a {type(tables).__name__}: write for "
            'example {"digits": results.load("digits")}.'
        )
    if not tables:
        raise ValueError("There is no table to browse: results.names() says which are shipped, Study.run makes others.")
    named = {name: cells(table).assign(network=table["model"].iloc[0]) for name, table in tables.items()}
    return pd.concat(named, names=["study", None]).reset_index(0)


def _controls(
    parts: Mapping[str, pd.DataFrame], found: pd.DataFrame, penalties: list[float]
) -> dict[str, ipywidgets.ValueWidget]:
    first = next(iter(parts))
    start = parts[first].sort_values(["stages", "change"], ascending=[False, True]).iloc[0]
    stages = [(str(number), number) for number in sorted(found["stages"].unique())]
    criteria = [(name.upper(), name) for name in found["criterion"].unique()]
    lambdas = [(in_short(penalty), penalty) for penalty in penalties]
    return {
        # Its readout has no room for the study's name, which stands above the picture.
        "study": control("study", [(label, label) for label in parts], first, readout=False),
        "criterion": control("criterion", criteria, start["criterion"]),
        "stages": control("stages", stages, start["stages"]),
        "step_penalty": control("λ", lambdas, start["step_penalty"]),
    }


def _line(study: str, found: pd.DataFrame, criterion: str, stages: int, step_penalty: float) -> str:
    """Return a configuration's numbers as a table with one line, in HTML."""
    row = cell(found, criterion, stages, step_penalty)
    if row is None:
        return html.escape(in_words(found, criterion, stages, step_penalty))
    names = {"change": "loss change (nats)", "gap": "validation gap (points)", "test_gap": "test gap (points)"}
    shown = {"study": study, "network": row["network"], "criterion": criterion.upper(), "stages": row["stages"]}
    shown |= {"λ": in_short(row["step_penalty"])} | {name: _pair(row, column) for column, name in names.items()}
    style = "style='padding-right: 1.5em; text-align: left'"
    head = "".join(f"<th {style}>{name}</th>" for name in [*shown, "seeds"])
    body = "".join(f"<td {style}>{html.escape(str(value))}</td>" for value in [*shown.values(), row["seeds"]])
    return f"<table><tr>{head}</tr><tr>{body}</tr></table>"


def _pair(row: pd.Series, column: str) -> str:
    """Return a mean and its spread as 1.23 ± 0.04, without what is not known."""
    text = f"{row[column]:.2f} ± {row[column + '_spread']:.2f}".removesuffix(" ± nan")
    return "-" if text == "nan" else text


def _name(criterion: str, stages: int, step_penalty: float) -> str:
    text = f"{criterion.upper()}, {counted(stages, 'stage')}, λ = {in_short(step_penalty)}"
    return f"{text} (it depends on neither)" if has_no_model(criterion) else text
