"""A slider over sparsity, stages and order: what a Taylor model predicts, and how pruning really changes the loss."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache

import pandas as pd
from matplotlib.figure import Figure
from torch import nn

from lossprune_lib.checks import check_choice
from lossprune_lib.data.task import Task
from lossprune_lib.loss_modelling.forecast import ORDERS
from lossprune_lib.plots.style import WIDTH, styled
from lossprune_lib.plots.taylor import NAMES, Bars, Curves, window
from lossprune_lib.pruning.criteria import CRITERIA
from lossprune_lib.pruning.local import LocalPruner
from lossprune_lib.pruning.ranking import Path
from lossprune_lib.pruning.run import PrunerState
from lossprune_lib.results.first_off import first_off
from lossprune_lib.seeds import generator
from lossprune_lib.widgets.picture import Picture
from lossprune_lib.widgets.resumable import Clock, Resumable
from lossprune_lib.widgets.sliders import Sliders, control

GRID = (*(i / 50 for i in range(1, 45)), *(0.9 + i / 200 for i in range(19)))
STAGES = (1, 2, 3, 5, 8, 14, 28)
_COARSE = 3  # every third place of the grid, where a prediction takes passes through the network
_FINER, _NARROW = 12, 0.2  # places in a window that is so narrow that the grid has few there
_CACHE_SIZE = 24  # points at which a model was built; each holds several vectors [D]
_CHEAP = ("first", "diagonal")


@styled
def taylor_slider(
    net: nn.Module,
    task: Task,
    criterion: str = "mp",
    *,
    start: float = 0.8,
    stages: int = 1,
    order: str = "diagonal",
    batch_size: int = 1000,
    seed: int = 0,
) -> Sliders:
    """Compare predicted and actual change under sliders: sparsity, number of stages, order of the model.

    Pruning to the chosen sparsity in the chosen number of stages stands before its last stage: there the model is
    built. Left: the loss beyond this point, as the model sees it and as it is, and the sparsity from which the
    prediction is off by 10 %. Right: what models of all orders predict of the last stage's actual change.

    Parameters
    ----------
    criterion : which chooses the weights; one without a model, such as "mp", takes the same ones in any number of
        stages
    start, stages, order : what is shown first, of `GRID`, `STAGES` (the nearest) and `forecast.ORDERS`

    Raises
    ------
    ValueError, TypeError
        for a criterion or an order that there is not, or a network and task that do not go together.
    """
    check_choice(criterion, CRITERIA, "criterion")
    points = _Points(net, task, criterion, batch_size, seed)
    dense = points.path(0.0, 1)
    actual = [dense.true_change(kappa) for kappa in GRID]
    figure = Figure(figsize=(WIDTH, 4.2))
    grid = {"left": 0.085, "right": 0.985, "bottom": 0.125, "top": 0.9, "wspace": 0.42, "width_ratios": (1.5, 1)}
    left, right = figure.subplots(1, 2, gridspec_kw=grid)
    curves, bars = Curves(left), Bars(right)
    picture = Picture(figure, [*curves.moving, *bars.moving])

    def redraw(sparsity: float, stages: int, order: str) -> Iterator[str]:
        clock, before = Clock(), points.before_last(sparsity, stages)
        while not before.done:
            before.go_on()
            if not before.done:
                said = f"stage {before.number} of {stages}"
                curves.title.set_text(f"pruning, {said}")
                yield f"Pruning, {said}."
        yield from _fill(points.path(sparsity, stages), sparsity, order, curves, bars, clock)

    controls = {
        "sparsity": control("sparsity", [(f"{100 * kappa:.4g} %", kappa) for kappa in GRID], start),
        "stages": control("stages", [(str(number), number) for number in STAGES], stages),
        "order": control("order", [(label, name) for name, label in NAMES.items()], order),
    }
    predicted = {name: [dense.predicted_change(kappa, name) for kappa in GRID] for name in _CHEAP}
    sums = [dense.saliency_sum(kappa) for kappa in GRID]
    table = pd.DataFrame({"sparsity": GRID, "true_change": actual, **predicted, "saliency_sum": sums})
    return Sliders(controls, picture, redraw, table)


class _Points:
    """Where prunings stand before their last stage, and the paths from there; the last ones are kept."""

    def __init__(self, net: nn.Module, task: Task, criterion: str, batch_size: int, seed: int) -> None:
        self.net, self.task, self.criterion, self.seed = net, task, criterion, seed
        self.batch = task.sample(batch_size, generator(seed, "batch", 1))
        self.has_model = CRITERIA[criterion].models_loss
        self.losses: dict[int, float] = {}
        self._pruned = lru_cache(maxsize=_CACHE_SIZE)(self._prune)
        self._paths = lru_cache(maxsize=_CACHE_SIZE)(self._path)

    def before_last(self, sparsity: float, stages: int) -> Resumable[PrunerState]:
        """Return the states up to the last stage's beginning, computed or not."""
        return self._pruned(*self._key(sparsity, stages))

    def path(self, sparsity: float, stages: int) -> Path:
        """Return the path from before the last stage."""
        return self._paths(*self._key(sparsity, stages))

    def _key(self, sparsity: float, stages: int) -> tuple[float, int]:
        if stages == 1:
            return 0.0, 1
        # Weights that need no model go in one order, whatever the stages.
        return (sparsity, stages) if self.has_model else (self._pruner(sparsity, stages).sparsities[-2], 1)

    def _pruner(self, sparsity: float, stages: int) -> LocalPruner:
        return LocalPruner(self.criterion, sparsity=sparsity, stages=stages, seed=self.seed)

    def _prune(self, sparsity: float, stages: int) -> Resumable[PrunerState]:
        pruner = self._pruner(sparsity, stages)
        return Resumable(lambda: self._states(pruner), stages if self.has_model or not sparsity else 2)

    def _states(self, pruner: LocalPruner) -> Iterator[PrunerState]:
        yield pruner.start(self.net, self.task)
        yield from pruner.stream(self.net, self.task)

    def _path(self, sparsity: float, stages: int) -> Path:
        state = self._pruned(sparsity, stages).go_on(math.inf)
        return Path(self._pruner(sparsity, stages), state, self.batch, {} if self.has_model else self.losses)


def _fill(path: Path, sparsity: float, order: str, curves: Curves, bars: Bars, clock: Clock) -> Iterator[str]:
    """Draw bit by bit, what is at the chosen sparsity first; yield the numbers in words after each part."""
    built = path.state.mask.sparsity
    low, high = window(built, sparsity)
    finer = [low + i * (high - low) / _FINER for i in range(_FINER + 1)] if high - low < _NARROW else []
    ahead = sorted({*(kappa for kappa in (*GRID, *finer) if kappa > built + 1e-9 and kappa <= GRID[-1]), sparsity})
    places = ahead if order in _CHEAP else sorted({*ahead[::_COARSE], *finer[::2], ahead[-1], sparsity} & {*ahead})
    actual, predicted, changes = {built: 0.0}, {built: 0.0}, {"absolute": path.saliency_sum(sparsity)}

    def show(done: bool = False) -> str:
        off = first_off(actual, predicted) if done else math.nan
        curves.show(actual, predicted, built, sparsity, order, off)
        bars.show(changes, actual[sparsity], order)
        words = _in_words(path, sparsity, actual[sparsity], changes)
        return f"{words} {_off_in_words(off, order)}" if done else f"{words} More is being computed."

    actual[sparsity] = path.true_change(sparsity)
    actual |= {kappa: path.true_change(kappa) for kappa in ahead if path.is_measured(kappa)}
    changes |= {name: path.predicted_change(sparsity, name) for name in _CHEAP}
    if order in _CHEAP:
        predicted |= {kappa: path.predicted_change(kappa, order) for kappa in ahead}
    if not path.is_forecast(sparsity):
        yield show()  # at once: the rest takes passes through the network
    for name in ORDERS:
        changes[name] = path.predicted_change(sparsity, name)
        if clock.over():
            yield show()
    for kappa in ahead:
        actual[kappa] = path.true_change(kappa)
        if kappa in places:
            predicted[kappa] = path.predicted_change(kappa, order)
        if clock.over():
            yield show()
    yield show(done=True)


def _in_words(path: Path, sparsity: float, actual: float, changes: dict[str, float]) -> str:
    built, name = path.state.mask.sparsity, path.pruner.rule.name.upper()
    said = ", ".join(f"{NAMES[key]} {changes[key]:+.3g}" for key in ORDERS if key in changes)
    return (
        f"{name} prunes from {100 * built:.1f} % to {100 * sparsity:.1f} % in the last stage. The loss changes by "
        f"{actual:+.3g} nats; predicted: {said}; sum of saliencies {changes['absolute']:.3g}."
    )


def _off_in_words(off: float, order: str) -> str:
    if math.isnan(off):
        return f"The chosen model ({NAMES[order]}) is nowhere off by more than 10 %."
    return f"The chosen model ({NAMES[order]}) is off by more than 10 % from {100 * off:.1f} % on."
