"""The layers' shares by hand: as many weights are kept as QM keeps, the largest of each layer."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache, partial
from typing import TYPE_CHECKING

import ipywidgets
from matplotlib.figure import Figure
from torch import nn

from lossprune_lib.data.task import Task
from lossprune_lib.networks.masks import Mask
from lossprune_lib.networks.weights import WeightSpace
from lossprune_lib.plots.shares import LABELS, SharesView, Way
from lossprune_lib.plots.style import WIDTH, styled
from lossprune_lib.pruning import allocation
from lossprune_lib.pruning.local import LocalPruner
from lossprune_lib.training import score
from lossprune_lib.training.gradual import by_magnitude
from lossprune_lib.widgets.picture import Frames, Picture
from lossprune_lib.widgets.sliders import Sliders, control

if TYPE_CHECKING:
    import pandas as pd

BY_HAND = "by hand"
_PRESETS = {"equal": "equal", "erk": "ERK's", "mp": "MP's", "magnitude": "QM's"}
PLACES = tuple(10 ** (-i / 20) for i in range(66, -1, -1))  # of a layer's share: 0.05 % to 100 %, by 12 % each
_CACHE_SIZE = 200


@styled
def shares_slider(
    net: nn.Module,
    task: Task,
    sparsities: Sequence[float] = (0.95, 0.98),
    start: str = "equal",
    *,
    stages: int = 14,
    step_penalty: float = 1e-3,
    seed: int = 0,
) -> Sliders:
    """Share a fixed number of weights out over the layers by hand; the largest of each layer stay.

    A layer's slider sets what share of its weights is kept; the other layers give way, so that the sparsity of the
    whole network stays, and their sliders go to the nearest place. The buttons set the shares of a rule: equal, ERK,
    those of MP over all weights, and QM's. Accuracy and loss are of the validation examples, before any fine-tuning.

    Parameters
    ----------
    sparsities : to choose from
    start : the shares that are shown first; a key of `LABELS` but "qm"
    stages, step_penalty, seed : of QM

    Returns
    -------
    Sliders
        Its `table` has a row for each sparsity and way: sparsity, way, accuracy, loss, and the share of each layer.
    """
    layers = _Layers(net, task)
    labels = {f"{100 * value:.4g} %": value for value in sparsities}
    qm = partial(LocalPruner, "qm", stages=stages, step_penalty=step_penalty, seed=seed)
    known = {label: layers.ways(value, qm(value)) for label, value in labels.items()}
    first = next(iter(labels))
    now: list[float] = list(known[first][start].shares)
    figure = Figure(figsize=(WIDTH, 4.1))
    shown = SharesView(figure, layers.space.layers)
    picture = Picture(figure, shown.moving)
    frame = Frames(picture, shown.axes, shown.draw, known)
    names, controls = layers.space.layers, _controls(layers.space.layers, labels, start, now)

    def link(moved: str) -> None:
        """Let the other layers give way, or take over the shares of a rule."""
        label, rule = controls["sparsity"].value, controls["rule"].value
        if moved in names:
            controls["rule"].value = BY_HAND
            now[:] = allocation.give_way(layers.space.sizes, now, names.index(moved), controls[moved].value)
        elif rule != BY_HAND:
            now[:] = known[label][rule].shares
        else:
            now[:] = allocation.scaled(layers.space.sizes, now, (1 - labels[label]) * layers.space.size)
        for name, share in zip(names, now, strict=True):
            controls[name].value = min(PLACES, key=lambda place: abs(math.log(place / max(share, PLACES[0]))))

    def redraw(sparsity: str, rule: str, **_: float) -> str:
        frame(sparsity)
        way = layers.by_magnitude(tuple(now)) if rule == BY_HAND else known[sparsity][rule]
        said = f"{sparsity} pruned, {'by hand' if rule == BY_HAND else _PRESETS[rule] + ' shares'}"
        shown.show(way, said, "accuracy, loss")
        return f"{said}: {_in_words(names, way)}. {_all_in_words(names, known[sparsity])}"

    return Sliders(controls, picture, redraw, _table(names, labels, known), link)


def _controls(
    names: Sequence[str], labels: Iterable[str], start: str, shares: Sequence[float]
) -> dict[str, ipywidgets.ValueWidget]:
    first, *others = [(label, label) for label in labels]
    rules = [*((label, name) for name, label in _PRESETS.items()), (BY_HAND, BY_HAND)]
    places = [(f"{100 * share:.2g} %", share) for share in PLACES]
    return {
        "sparsity": control("sparsity", [first, *others], first[1]),
        "rule": control("shares", rules, start),
        **{name: control(name, places, share) for name, share in zip(names, shares, strict=True)},
    }


class _Layers:
    """The network, and what is left of it when each layer keeps a share of its weights."""

    def __init__(self, net: nn.Module, task: Task) -> None:
        self.net, self.task, self.space = net, task, WeightSpace(net)
        self.weights, self.rest = self.space.read(), self.space.rest()
        self.by_magnitude = lru_cache(maxsize=_CACHE_SIZE)(self._by_magnitude)

    def ways(self, sparsity: float, qm: LocalPruner) -> dict[str, Way]:
        """Return the ways to compare with: magnitude at the shares of each rule, and QM itself."""
        mask = qm.prune(self.net, self.task, progress=False).mask
        rules = {
            "equal": dict.fromkeys(self.space.layers, 1 - sparsity),
            "erk": allocation.erk(self.space, sparsity),
            "mp": by_magnitude(self.net, sparsity).density(),
            "magnitude": mask.density(),
        }
        found = {name: self._way(allocation.largest(self.space, rule)) for name, rule in rules.items()}
        return found | {"qm": self._way(mask)}

    def _by_magnitude(self, shares: tuple[float, ...]) -> Way:
        return self._way(allocation.largest(self.space, dict(zip(self.space.layers, shares, strict=True))))

    def _way(self, mask: Mask) -> Way:
        found = score(partial(self.space.run, self.weights * mask.kept, self.rest), self.task, "valid")
        return Way(tuple(mask.density().values()), found.accuracy, found.loss)


def _all_in_words(names: Sequence[str], ways: Mapping[str, Way]) -> str:
    return " ".join(f"{LABELS[name]}: {_in_words(names, way)}." for name, way in ways.items())


def _in_words(layers: Sequence[str], way: Way) -> str:
    kept = ", ".join(f"{name} {100 * share:.2g} %" for name, share in zip(layers, way.shares, strict=True))
    return f"accuracy {100 * way.accuracy:.1f} %, loss {way.loss:.2f} ({kept})"


def _table(layers: Sequence[str], labels: Mapping[str, float], known: Mapping[str, Mapping[str, Way]]) -> pd.DataFrame:
    import pandas as pd

    rows = [
        {"sparsity": labels[label], "way": LABELS[name], "accuracy": way.accuracy, "loss": way.loss}
        | dict(zip(layers, way.shares, strict=True))
        for label, ways in known.items()
        for name, way in ways.items()
    ]
    return pd.DataFrame(rows)
