"""Sliders for the stages of a pruning: the path of the actual loss, and of what the models predicted."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache, partial
from typing import TYPE_CHECKING, TypeAlias

from matplotlib.figure import Figure
from torch import nn

from lossprune_lib.data.task import Task
from lossprune_lib.plots.locality import Staged
from lossprune_lib.plots.style import WIDTH, styled
from lossprune_lib.pruning.criteria import CRITERIA
from lossprune_lib.pruning.local import LocalPruner
from lossprune_lib.widgets.picture import Picture
from lossprune_lib.widgets.resumable import PART, Resumable
from lossprune_lib.widgets.sliders import Sliders, control

if TYPE_CHECKING:
    import pandas as pd

SPARSITIES = (0.5, 0.7, 0.8, 0.85, 0.9, 0.92, 0.95, 0.97, 0.98, 0.99)
STAGES = (1, 2, 3, 5, 8, 14, 25, 40, 70, 140)
PENALTIES = (0.0, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0, 100.0)
_NAMES = ("mp", "obd", "lm", "qm")
_FIRST_PART = 0.01  # seconds: the first stage is seen at once
_CACHE_SIZE = 50  # prunings
_Rows: TypeAlias = list[dict[str, float]]  # one for each stage
_TRACE = ["stage", "sparsity", "predicted_change", "true_change"]


@styled
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

    Left: how the loss changed since the start, and how the models of the stages said it would. Right: by how much each
    stage's prediction is off. Both are measured on each stage's own batch; MP has no model, so its actual change is
    that of all training examples.

    Parameters
    ----------
    criterion, sparsity, stages, step_penalty : shown first; one of `_NAMES`, and of the slider's places the nearest
    seed : of the batches

    Returns
    -------
    Sliders
        Its `table` is the trace of the pruning that it starts with.
    """
    controls = {
        "sparsity": control("sparsity", [(f"{100 * value:.0f} %", value) for value in SPARSITIES], sparsity),
        "stages": control("stages", [(str(value), value) for value in STAGES], stages),
        "step_penalty": control("λ", [(f"{value:g}", value) for value in PENALTIES], step_penalty),
        "criterion": control("criterion", [(name.upper(), name) for name in _NAMES], criterion),
    }
    shown = Staged(Figure(figsize=(WIDTH, 4.1)), criterion)
    picture = Picture(shown.figure, shown.moving)

    @lru_cache(maxsize=_CACHE_SIZE)
    def pruning(criterion: str, sparsity: float, stages: int, penalty: float) -> Resumable[_Rows]:
        trace = "batch" if CRITERIA[criterion].models_loss else "train"
        pruner = LocalPruner(criterion, sparsity=sparsity, stages=stages, step_penalty=penalty, seed=seed, trace=trace)
        return Resumable(partial(_rows, pruner, net, task), stages)

    def at(sparsity: float, stages: int, step_penalty: float, criterion: str) -> Resumable[_Rows]:
        return pruning(criterion, sparsity, stages, step_penalty if CRITERIA[criterion].models_loss else 0.0)

    def redraw(sparsity: float, stages: int, step_penalty: float, criterion: str) -> Iterator[str]:
        run, seconds = at(sparsity, stages, step_penalty, criterion), _FIRST_PART
        while True:
            rows, seconds = run.go_on(seconds), PART
            words = _in_words(rows, criterion, sparsity, stages, step_penalty)
            note = "" if CRITERIA[criterion].models_loss else "no model, so no prediction"
            shown.show(_trace(rows), criterion, stages, _title(words), note)
            yield words
            if run.done:
                return

    sliders = Sliders(controls, picture, redraw)
    sliders.table = _trace(at(**{name: made.value for name, made in controls.items()}).go_on())
    return sliders


def _rows(pruner: LocalPruner, net: nn.Module, task: Task) -> Iterator[_Rows]:
    rows: _Rows = []
    for state in pruner.stream(net, task):
        rows = [*rows, state.row]
        yield rows


def _trace(rows: _Rows) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(rows).reindex(columns=_TRACE)


def _title(words: str) -> str:
    """Return what is said in two lines: the settings, and what came of them."""
    return words.removesuffix(".").replace(": the loss", "\nthe loss", 1)


def _in_words(rows: _Rows, criterion: str, sparsity: float, stages: int, step_penalty: float) -> str:
    """Return what was asked for, and the numbers up to now."""
    modelled, trace = CRITERIA[criterion].models_loss, _trace(rows)
    text = criterion.upper() + (f", λ = {step_penalty:g}" if modelled else "")
    text += f", {100 * trace['sparsity'].iloc[-1]:.0f} % pruned, stage {len(trace)} of {stages}"
    text += f": the loss changed by {trace['true_change'].sum():+.2f} nats"
    if modelled:
        text += f", the models predicted {trace['predicted_change'].sum():+.2f}"
    else:
        text += "; there is no model, so no prediction"
    kept = {name: share for name, share in rows[-1].items() if name.startswith("density.")}
    empty = [name.removeprefix("density.") for name, share in kept.items() if share == 0]
    return f"{text}. Nothing is left of {' and '.join(empty)}." if empty else f"{text}."
