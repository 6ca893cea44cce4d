"""A slider over sparsity, stages and order: what a Taylor model promises, and what pruning really does to the loss."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Iterator, Mapping

import ipywidgets
import pandas as pd
from matplotlib.figure import Figure
from torch import nn

from lossprune_lib.data.task import Task
from lossprune_lib.loss_modelling.forecast import ORDERS
from lossprune_lib.pruning.criteria import CRITERIA
from lossprune_lib.pruning.local import LocalPruner
from lossprune_lib.pruning.ranking import Path
from lossprune_lib.pruning.run import PrunerState
from lossprune_lib.pruning.stage import EmptyLayerWarning
from lossprune_lib.seeds import generator
from lossprune_lib.widgets.picture import Picture
from lossprune_lib.widgets.sliders import Sliders
from lossprune_lib.widgets.taylor_panels import NAMES, Bars, Curves

GRID = (*(i / 50 for i in range(1, 45)), *(0.9 + i / 200 for i in range(19)))
STAGES = (1, 2, 3, 5, 8, 14, 28)
_COARSE = 3  # every third place of the grid, where a prediction takes passes through the network
_CACHE_SIZE = 24  # points at which a model was built; each holds several vectors [D]
_PART = 0.06  # seconds between pictures
_CHEAP = ("first", "diagonal")


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
    """Compare promise and truth under sliders: sparsity, number of stages, order of the model.

    Pruning to the chosen sparsity in the chosen number of stages stands before its last stage: there the model is built. Left:
    the loss beyond this point, as the model sees it and as it is, and the sparsity from which the model is off by 10 %.
    Right: what models of all orders foresee of the last stage's true change.

    Parameters
    ----------
    criterion : which chooses the weights; one without a model, such as "mp", takes the same ones in any number of stages
    start, stages, order : what is shown first, from `GRID`, `STAGES` and `trust.ORDERS`
    """
    batch = task.sample(batch_size, generator(seed, "batch", 1))
    shared: dict[int, float] = {}
    has_model = CRITERIA[criterion].models_loss
    paths: dict[tuple[float, int], Path] = {}

    def reach(sparsity: float, stages: int) -> Iterator[Path | str]:
        """Yield a word after each stage, and last the path from before the last one."""
        key = (sparsity, stages) if has_model and stages > 1 else (_before_last(sparsity, stages), 1)
        if key not in paths:
            pruner = LocalPruner(criterion, sparsity=sparsity, stages=stages, seed=seed)
            state = pruner.start(net, task)
            if has_model:
                for stage in range(1, stages):
                    state = _step(pruner, state)
                    yield f"stage {stage} of {stages}"
            elif stages > 1:
                state = _step(pruner, state, key[0])  # weights that need no model go in one order, whatever the stages
            while len(paths) >= _CACHE_SIZE:
                del paths[next(iter(paths))]
            paths[key] = Path(pruner, state, batch, {} if has_model else shared)
        yield paths[key]

    dense = next(found for found in reach(start, 1) if isinstance(found, Path))
    truth = [dense.true_change(kappa) for kappa in GRID]
    figure = Figure(figsize=(9.2, 4.3))
    left, right = figure.subplots(
        1, 2, gridspec_kw={"left": 0.075, "right": 0.985, "bottom": 0.125, "top": 0.9, "wspace": 0.42, "width_ratios": (1.5, 1)}
    )  # fmt: skip
    curves, bars = Curves(left, max(truth)), Bars(right)
    picture = Picture(figure, [*curves.moving, *bars.moving])

    def redraw(sparsity: float, stages: int, order: str) -> Iterator[str]:
        clock = _Clock()
        for found in reach(sparsity, stages):
            if isinstance(found, Path):
                yield from _fill(found, sparsity, order, curves, bars, clock)
            elif clock.over():
                curves.title.set_text(f"pruning, {found}")
                yield f"Pruning, {found}."

    size = {"width": "560px", "max_width": "95%"}
    labels = [(f"{100 * kappa:.4g} %", kappa) for kappa in GRID]
    nearest = min(GRID, key=lambda kappa: abs(kappa - start))
    controls: dict[str, ipywidgets.ValueWidget] = {
        "sparsity": ipywidgets.SelectionSlider(description="sparsity", options=labels, value=nearest, layout=size),
        "stages": ipywidgets.SelectionSlider(
            description="stages", options=[(str(number), number) for number in STAGES], value=stages, layout=size
        ),
        "order": ipywidgets.SelectionSlider(
            description="order", options=[(label, name) for name, label in NAMES.items()], value=order, layout=size
        ),
    }
    table = pd.DataFrame(
        {
            "sparsity": GRID,
            "true_change": truth,
            **{name: [dense.predicted_change(kappa, name) for kappa in GRID] for name in ("first", "diagonal")},
            "saliency_sum": [dense.saliency_sum(kappa) for kappa in GRID],
        }
    )
    return Sliders(controls, picture, redraw, table)


def _step(pruner: LocalPruner, state: PrunerState, sparsity: float | None = None) -> PrunerState:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EmptyLayerWarning)  # no place to show it; the picture shows what comes of it
        return pruner.step(state, sparsity)


def _before_last(sparsity: float, stages: int) -> float:
    return LocalPruner("mp", sparsity=sparsity, stages=stages).sparsities[-2] if stages > 1 else 0.0


def _fill(path: Path, sparsity: float, order: str, curves: Curves, bars: Bars, clock: _Clock) -> Iterator[str]:
    """Draw bit by bit, what is at the chosen sparsity first; yield the numbers in words after each part."""
    built = path.state.mask.sparsity
    ahead = [kappa for kappa in GRID if kappa > built + 1e-9]
    places = ahead if order in _CHEAP else sorted({*ahead[::_COARSE], ahead[-1], sparsity})
    truth, promised, changes = {built: 0.0}, {built: 0.0}, {"absolute": path.saliency_sum(sparsity)}

    def show(done: bool = False) -> str:
        off = first_off(truth, promised) if done else math.nan
        curves.show(truth, promised, built, sparsity, order, off)
        bars.show(changes, truth[sparsity], order)
        words = _in_words(path, sparsity, order, truth[sparsity], changes)
        return f"{words} {_off_in_words(off, order)}" if done else f"{words} More is being computed."

    truth[sparsity] = path.true_change(sparsity)
    truth |= {kappa: path.true_change(kappa) for kappa in ahead if path.is_measured(kappa)}
    changes |= {name: path.predicted_change(sparsity, name) for name in _CHEAP}
    if order in _CHEAP:
        promised |= {kappa: path.predicted_change(kappa, order) for kappa in ahead}
    if not path.is_forecast(sparsity):
        yield show()  # at once: the rest takes passes through the network
    for name in ORDERS:
        changes[name] = path.predicted_change(sparsity, name)
        if clock.over():
            yield show()
    for kappa in ahead:
        truth[kappa] = path.true_change(kappa)
        if kappa in places:
            promised[kappa] = path.predicted_change(kappa, order)
        if clock.over():
            yield show()
    yield show(done=True)


def first_off(truth: Mapping[float, float], promised: Mapping[float, float], tolerance: float = 0.1) -> float:
    """Return the sparsity at which a prediction leaves the band around the truth; NaN if it never does.

    Parameters
    ----------
    truth, promised : sparsity -> change of the loss; between two places where both are known the error is taken as straight
    """
    places = sorted(set(truth.keys()) & set(promised.keys()))
    gaps = [(abs(promised[kappa] - truth[kappa]), abs(truth[kappa])) for kappa in places]
    errors = [gap / size if size else math.inf if gap else 0.0 for gap, size in gaps]
    for i, error in enumerate(errors):
        if error > tolerance:
            before = errors[i - 1] if i else 0.0
            share = (tolerance - before) / (error - before) if math.isfinite(error) else 0.0
            return places[max(0, i - 1)] + share * (places[i] - places[max(0, i - 1)])
    return math.nan


class _Clock:
    """Says when it is time for a picture."""

    def __init__(self) -> None:
        self.began = time.monotonic()

    def over(self) -> bool:
        """Return whether enough time has passed since this last said so."""
        now = time.monotonic()
        late = now - self.began > _PART
        self.began = now if late else self.began
        return late


def _in_words(path: Path, sparsity: float, order: str, true: float, changes: dict[str, float]) -> str:
    built, name = path.state.mask.sparsity, path.pruner.criterion.upper()
    said = ", ".join(f"{NAMES[key]} {changes[key]:+.3g}" for key in ORDERS if key in changes)
    return (
        f"{name} prunes from {100 * built:.1f} % to {100 * sparsity:.1f} % in the last stage. The loss truly changes by "
        f"{true:+.3g} nats; predicted: {said}; sum of saliencies {changes['absolute']:.3g}."
    )


def _off_in_words(off: float, order: str) -> str:
    if math.isnan(off):
        return f"The chosen model ({NAMES[order]}) is nowhere off by 10 %."
    return f"The chosen model ({NAMES[order]}) is off by 10 % from {100 * off:.1f} % on."
