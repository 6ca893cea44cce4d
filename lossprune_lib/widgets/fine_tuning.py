"""A finished study under sliders: loss change by pruning against gap after fine-tuning, and what each layer keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from lossprune_lib.plots.fine_tuning import frame, legend, place
from lossprune_lib.plots.style import WIDTH, counted, styled
from lossprune_lib.results.cells import View, densities, views
from lossprune_lib.results.selection import themselves
from lossprune_lib.widgets.picture import Picture
from lossprune_lib.widgets.sliders import Sliders, control

if TYPE_CHECKING:
    import pandas as pd


def in_words(view: View, criterion: str) -> str:
    """Return what a view shows, in sentences."""
    mine, best = view.best_kept(criterion), view.best
    layers = {name.removeprefix("density."): mine[name] for name in densities(view.cells)}
    kept = ", ".join(f"{name} {100 * share:.2g} %" for name, share in layers.items())
    return (
        f"{100 * view.sparsity:.4g} % pruned in {counted(view.stages, 'stage')}, {len(view.runs)} runs. "
        f"{criterion.upper()} changes the loss least at λ = {mine['step_penalty']:g}: "
        f"by {mine['change']:.2f} nats, with a gap of {mine['gap']:.1f} percentage points; it keeps {kept}. "
        f"{best['criterion'].upper()} has the smallest gap, at λ = {best['step_penalty']:g}: {best['gap']:.1f} points, "
        f"with a loss change of {best['change']:.2f} nats."
    )


@styled
def fine_tuning_slider(table: pd.DataFrame, start: tuple[float, int, str] | None = None) -> Sliders:
    """Show a fine-tuned study under sliders: every run on the left, and what each layer keeps on the right.

    The right-hand lines are means over seeds, each criterion at the step penalty of its smallest loss change.

    Parameters
    ----------
    table : as from `results.load`, with fine-tuning
    start : the sparsity, number of stages and criterion that are shown first

    Raises
    ------
    ValueError
        if there are runs that were not fine-tuned.
    """
    shown = views(table)
    criteria = list(themselves(table)["criterion"].unique())
    sparsities, stages = (sorted({key[i] for key in shown}) for i in (0, 1))
    first = start or (sparsities[len(sparsities) // 2], stages[-1], criteria[-1])
    controls = {
        "sparsity": control("sparsity", [(f"{100 * value:.4g} %", value) for value in sparsities], first[0]),
        "stages": control("stages", [(str(value), value) for value in stages], first[1]),
        "criterion": control("criterion", [(name.upper(), name) for name in criteria], first[2]),
    }
    figure = Figure(figsize=(WIDTH, 4.6))
    grid = {"left": 0.075, "right": 0.985, "bottom": 0.21, "top": 0.89, "wspace": 0.3}
    axes = figure.subplots(1, 2, gridspec_kw=grid)
    close = {"columnspacing": 1.1, "handlelength": 1.8, "handletextpad": 0.5}
    figure.legend(handles=legend(criteria), loc="lower center", ncols=5, **close)
    lines = frame(axes, table)
    titles = [ax.set_title(" ", fontsize=10) for ax in axes]

    def redraw(sparsity: float, stages: int, criterion: str) -> str:
        for line in lines.values():  # not every criterion was run everywhere
            line.set_data([], [])
        view = shown.get((sparsity, stages))
        if view is None or criterion not in set(view.cells["criterion"]):
            text = f"{100 * sparsity:.4g} % pruned in {counted(stages, 'stage')}: "
            text += "not run." if view is None else f"{criterion.upper()} was not run."
            said = text, ""
        else:
            said, text = place(lines, view, criterion), in_words(view, criterion)
            picture.moving = [*sorted(lines.values(), key=lambda line: line.zorder), *titles]
        for title, words in zip(titles, said, strict=True):
            title.set_text(words)
        return text

    picture = Picture(figure, [*lines.values(), *titles])
    return Sliders(controls, picture, redraw, table)
