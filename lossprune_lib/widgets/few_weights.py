"""One weight dragged along its loss, with LM, QM and OBD beside it; and two, with the Hessian's off-diagonal term."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from lossprune_lib.data.task import Task
from lossprune_lib.loss_modelling import few_weights
from lossprune_lib.loss_modelling.batch_loss import BatchLoss
from lossprune_lib.plots.few_weights import MODELS, OneWeightView, TwoWeightsView
from lossprune_lib.plots.style import WIDTH, signed, styled
from lossprune_lib.widgets.picture import Frames, Picture
from lossprune_lib.widgets.sliders import Sliders, control

SHARES = tuple(i / 20 for i in range(-10, 31))  # of the trained value: 1 is trained, 0 is pruned
PAIR_SHARES = tuple(i / 10 for i in range(-3, 14))


@styled
def one_weight_slider(
    net: nn.Module, task: Task, weights: Mapping[str, int] | None = None, examples: int = 500, start: float = 1.0
) -> Sliders:
    """Drag one weight along its loss: the actual change, and what the models of LM, QM and OBD say there.

    Parameters
    ----------
    weights : label and index of each weight to choose from; by default four that tell the models apart, as
        `few_weights.telling_weights` finds them, under their names
    examples : how many training examples the loss is measured on
    start : the share of its trained value that is shown first

    Returns
    -------
    Sliders
        Its `table` has a row for each weight: name, value, and the changes when it is pruned: actual, lm, qm, obd.
    """
    import pandas as pd

    risk = _exact(net, task, examples)
    chosen = weights or few_weights.telling_weights(risk)
    found = {name: few_weights.one_weight(risk, index, SHARES) for name, index in chosen.items()}
    figure = Figure(figsize=(WIDTH, 4.1))
    shown = OneWeightView(figure)
    picture = Picture(figure, shown.moving)
    frame = Frames(picture, shown.axes, shown.draw, found)

    def redraw(weight: str, share: int) -> str:
        frame(weight)
        of, at = found[weight], SHARES[share]
        value = at * of.value + 0.0  # never -0
        changes = [of.actual[share].item(), *(of.predicted(name, value) for name in MODELS)]
        shown.show(value, changes, f"{of.name} = {signed(value, 3)}")
        models = zip(MODELS, changes[1:], strict=True)
        said = ", ".join(f"{name.upper()} {1000 * change:+.2f}" for name, change in models)
        place = "pruned" if at == 0 else "as trained" if at == 1 else f"at {100 * at:.0f} % of its trained value"
        return (
            f"The weight {of.name} {place}, {value:+.3f}: the loss changes by {1000 * changes[0]:+.2f} thousandths of "
            f"a nat; predicted: {said}."
        )

    rows = [
        (of.name, of.value, of.actual[SHARES.index(0)].item(), *(of.predicted(name, 0.0) for name in MODELS))
        for of in found.values()
    ]
    table = pd.DataFrame(rows, columns=["weight", "value", "actual", *MODELS])
    controls = {
        "weight": control("weight", [(of.name, name) for name, of in found.items()], next(iter(found))),
        "share": control("its value", _places(SHARES), _nearest(SHARES, start)),
    }
    return Sliders(controls, picture, redraw, table)


@styled
def two_weights_slider(
    net: nn.Module,
    task: Task,
    pairs: Mapping[str, tuple[int, int]] | None = None,
    examples: int = 500,
    start: float = 0.0,
) -> Sliders:
    """Move two weights on their loss, beside quadratic models with and without the off-diagonal term of the Hessian.

    Parameters
    ----------
    pairs : label and indices of each pair to choose from; by default three, as `few_weights.telling_pairs` finds them
    examples : how many training examples the loss is measured on
    start : the share of their trained values that both show first; at 1, as trained, all changes are zero

    Returns
    -------
    Sliders
        Its `table` has a row for each pair: first, second, and the actual changes when one, the other, or both are
        pruned (first_alone, second_alone, both), and what the models predict for both (full, diagonal).
    """
    import pandas as pd

    risk = _exact(net, task, examples)
    found = {
        name: few_weights.two_weights(risk, pair, PAIR_SHARES)
        for name, pair in (pairs or few_weights.telling_pairs(risk)).items()
    }
    figure = Figure(figsize=(WIDTH, 3.7))
    shown = TwoWeightsView(figure, found.values())
    picture = Picture(figure, shown.moving)
    frame = Frames(picture, shown.axes, shown.draw, found)

    def redraw(pair: str, first: int, second: int) -> str:
        frame(pair)
        of, shares = found[pair], (PAIR_SHARES[first], PAIR_SHARES[second])
        changes = [
            of.actual[first, second].item(),
            *(of.predicted(*shares, full=full).item() for full in (True, False)),
        ]
        alone = of.actual[first, _TRAINED].item(), of.actual[_TRAINED, second].item()
        together = " + ".join(f"{_thousandths(change):.2f}" for change in alone)
        heading = f"each moved alone: {together} = {_thousandths(sum(alone)):.2f}; both: {_thousandths(changes[0]):.2f}"
        shown.show(of.names, *shares, changes, heading)
        return (
            f"{of.names[0]} at {100 * shares[0]:.0f} % and {of.names[1]} at {100 * shares[1]:.0f} % of the trained "
            f"value, in thousandths of a nat: {heading}. The model with the off-diagonal term says "
            f"{_thousandths(changes[1]):+.2f}, the diagonal one {_thousandths(changes[2]):+.2f}."
        )

    table = pd.DataFrame([_pair_row(of) for of in found.values()])
    labels = [(" and ".join(of.names), name) for name, of in found.items()]
    controls = {"pair": control("pair", labels, next(iter(found)))}
    for name in ("first", "second"):
        controls[name] = control(f"the {name}", _places(PAIR_SHARES), _nearest(PAIR_SHARES, start))
    return Sliders(controls, picture, redraw, table)


def _pair_row(of: few_weights.TwoWeights) -> dict[str, object]:
    changes = {
        "first_alone": of.actual[_PRUNED, _TRAINED].item(),
        "second_alone": of.actual[_TRAINED, _PRUNED].item(),
        "both": of.actual[_PRUNED, _PRUNED].item(),
    }
    models = {name: of.predicted(0.0, 0.0, full=name == "full").item() for name in ("full", "diagonal")}
    return {"first": of.names[0], "second": of.names[1], **changes, **models}


def _exact(net: nn.Module, task: Task, examples: int) -> BatchLoss:
    """Bind the loss in float64: what one weight changes is near the rounding of float32."""
    x: Tensor = task.x_train[:examples]
    return BatchLoss(copy.deepcopy(net).double(), (x.double(), task.y_train[:examples]))


def _thousandths(change: float) -> float:
    return round(1000 * change, 2) + 0.0  # never -0


def _places(shares: tuple[float, ...]) -> list[tuple[str, int]]:
    return [(f"{100 * share:.0f} %", i) for i, share in enumerate(shares)]


def _nearest(shares: tuple[float, ...], wanted: float) -> int:
    return int(torch.tensor(shares).sub(wanted).abs().argmin())


_TRAINED, _PRUNED = PAIR_SHARES.index(1), PAIR_SHARES.index(0)
