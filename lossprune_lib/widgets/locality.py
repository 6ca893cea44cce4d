"""Sliders for the stages of a pruning: the path of the true loss, and of what the models promised."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

import ipywidgets
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import nn

from lossprune_lib import plots
from lossprune_lib.data.task import Task
from lossprune_lib.plots import locality as locality_plots
from lossprune_lib.pruning.criteria import CRITERIA
from lossprune_lib.pruning.local import LocalPruner
from lossprune_lib.pruning.run import PrunerState
from lossprune_lib.pruning.stage import EmptyLayerWarning
from lossprune_lib.widgets.picture import Picture
from lossprune_lib.widgets.sliders import Sliders

if TYPE_CHECKING:
    import pandas as pd

SPARSITIES = (0.5, 0.7, 0.8, 0.85, 0.9, 0.92, 0.95, 0.97, 0.98, 0.99)
STAGES = (1, 2, 3, 5, 8, 14, 25, 40, 70, 140)
PENALTIES = (0.0, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0, 100.0)
_NAMES = ("mp", "obd", "lm", "qm")
_SECONDS_A_PART = 0.06
_SECONDS_AT_FIRST = 0.01  # so that the first stage is seen at once
_CACHE_SIZE = 50  # prunings; each holds several vectors [D]
_SMALLEST = 1e-6  # nats; errors below are drawn there


def locality_slider(
    net: nn.Module,
    task: Task,
    criterion: str = "qm",
    sparsity: float = 0.9,
    stages: int = 14,
    step_penalty: float = 1e-3,
    seed: int = 0,
) -> Sliders:
    """Prune a network in stages under sliders; each stage appears as soon as it is done, and finished ones are kept.

    Left: how the loss changed since the start, and how the models of the stages said it would. Right: by how much each stage's
    promise is off. Both are measured on each stage's own batch; MP has no model, so its truth is that of all training examples.

    Parameters
    ----------
    criterion, sparsity, stages, step_penalty : shown first; one of `_NAMES`, and of the slider's places the nearest
    seed : of the batches

    Returns
    -------
    Sliders
        Its `table` is the trace of the pruning that it starts with.
    """
    import pandas as pd

    runs: dict[tuple[str, float, int, float], _Run] = {}
    choices = {
        "sparsity": [(f"{100 * value:.0f} %", value) for value in SPARSITIES],
        "stages": [(str(value), value) for value in STAGES],
        "step_penalty": [(f"{value:g}", value) for value in PENALTIES],
        "criterion": [(name.upper(), name) for name in _NAMES],
    }
    first = {
        "sparsity": _nearest(SPARSITIES, sparsity),
        "stages": _nearest(STAGES, stages),
        "step_penalty": _nearest(PENALTIES, step_penalty),
        "criterion": criterion,
    }
    controls: dict[str, ipywidgets.ValueWidget] = {
        name: ipywidgets.SelectionSlider(
            description="λ" if name == "step_penalty" else name,
            options=options,
            value=first[name],
            layout={"width": "560px", "max_width": "95%"},
        )
        for name, options in choices.items()
    }
    figure = Figure(figsize=(9.2, 4.1))
    left, right = figure.subplots(
        1, 2, gridspec_kw={"left": 0.07, "right": 0.97, "bottom": 0.13, "top": 0.85, "wspace": 0.2}
    )
    blank = pd.DataFrame({"sparsity": [], "true_change": [], "predicted_change": []}, dtype=float)
    truth, promise = locality_plots.predicted_and_actual(left, blank, criterion)
    left.set_ylim(-0.25, 1.25 * np.log(task.classes))
    (off,) = right.plot([], [], markersize=4)
    _frame_of_errors(right)
    title = figure.text(0.5, 0.955, "", ha="center", va="center", fontsize=9.5)
    note = right.text(0.5, 0.5, "", ha="center", transform=right.transAxes)
    left.set_title("solid or broken: truth; dotted with x: promise", fontsize=9)
    picture = Picture(figure, [truth, promise, off, note, title])

    def redraw(sparsity: float, stages: int, step_penalty: float, criterion: str) -> Iterator[str]:
        if not CRITERIA[criterion].models_loss:
            step_penalty = 0.0
        key = criterion, sparsity, stages, step_penalty
        if key not in runs:
            while len(runs) >= _CACHE_SIZE:
                del runs[next(iter(runs))]
            runs[key] = _Run(*key, net, task, seed)
        run = runs[key]
        seconds = _SECONDS_AT_FIRST
        while True:
            run.go_on(seconds)
            seconds, trace = _SECONDS_A_PART, run.trace
            locality_plots.move(truth, promise, trace, criterion)
            looks = plots.style(criterion)
            off.set(color=looks["color"], linestyle=looks["linestyle"], marker=looks["marker"] if stages <= 40 else "")
            error = (trace["true_change"] - trace["predicted_change"]).abs().clip(lower=_SMALLEST)
            off.set_data(trace["sparsity"], error)
            words = run.in_words()
            title.set_text(words.replace(". Nothing", ".\nNothing"))
            note.set_text("" if CRITERIA[criterion].models_loss else "no model, so no promise")
            highest = max(float(np.max(line.get_ydata(), initial=0.0)) for line in (truth, promise))
            if highest > left.get_ylim()[1]:
                left.set_ylim(top=1.2 * highest)
                picture.settle()
            yield words
            if run.done:
                return

    sliders = Sliders(controls, picture, redraw)
    sliders.table = next(iter(runs.values())).trace
    return sliders


class _Run:
    """A pruning that is done piece by piece, and can be left and taken up again."""

    def __init__(
        self, criterion: str, sparsity: float, stages: int, penalty: float, net: nn.Module, task: Task, seed: int
    ) -> None:
        self.pruner = LocalPruner(
            criterion,
            sparsity=sparsity,
            stages=stages,
            step_penalty=penalty,
            seed=seed,
            trace="batch" if CRITERIA[criterion].models_loss else "train",
        )
        self.state: PrunerState = self.pruner.start(net, task)
        self.rows: list[dict[str, float]] = []

    @property
    def done(self) -> bool:
        return len(self.rows) == self.pruner.stages

    def go_on(self, seconds: float) -> None:
        """Run stages until the time is over: at least one, if any is left."""
        end = time.perf_counter() + seconds
        while not self.done:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", EmptyLayerWarning)  # in_words says it
                self.state = self.pruner.step(self.state)
            self.rows.append(self.state.row)
            if time.perf_counter() > end:
                return

    @property
    def trace(self) -> pd.DataFrame:
        import pandas as pd

        return pd.DataFrame(self.rows).reindex(columns=["stage", "sparsity", "predicted_change", "true_change"])

    def in_words(self) -> str:
        """Return what was asked for, and the numbers up to now."""
        pruner, trace = self.pruner, self.trace
        modelled = CRITERIA[pruner.criterion].models_loss
        text = pruner.criterion.upper() + (f", λ = {pruner.step_penalty:g}" if modelled else "")
        text += f", {100 * pruner.sparsity:.0f} % pruned, stage {len(trace)} of {pruner.stages}"
        text += f": the loss changed by {trace['true_change'].sum():+.2f} nats"
        if modelled:
            text += f", the models promised {trace['predicted_change'].sum():+.2f}"
        else:
            text += "; there is no model, so no promise"
        empty = [name.removeprefix("density.") for name, share in self.state.row.items() if name.startswith("density.")
                 and share == 0]  # fmt: skip
        return f"{text}. Nothing is left of {' and '.join(empty)}." if empty else f"{text}."


def _nearest(options: tuple[float, ...], wanted: float) -> float:
    return min(options, key=lambda option: abs(option - wanted))


def _frame_of_errors(ax: Axes) -> None:
    locality_plots.sparsity_axis(ax)
    ax.set_yscale("log")
    ax.set(ylim=(_SMALLEST, 10), ylabel="|truth - promise| in each stage (nats)")
    ax.set_title("how far each stage's promise is off", fontsize=9)
    ax.grid(alpha=0.3)
