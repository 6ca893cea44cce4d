"""A sparsity slider: accuracy, loss, and the kept weights of the first layer."""

from __future__ import annotations

from matplotlib.figure import Figure
from torch import nn

from lossprune_lib.checks import check_sparsity
from lossprune_lib.data.task import Task
from lossprune_lib.networks.weights import WeightSpace
from lossprune_lib.plots.networks import PrunedNetwork
from lossprune_lib.pruning.ranking import one_shot
from lossprune_lib.widgets.picture import Picture
from lossprune_lib.widgets.sliders import Sliders, control

SPARSITIES = (*(i / 50 for i in range(45)), *(0.9 + i / 200 for i in range(20)), 0.9975)


def sparsity_slider(net: nn.Module, task: Task, criterion: str = "mp", start: float = 0.5) -> Sliders:
    """Prune a network in one go under a slider: accuracy, loss, and the kept weights of its first layer.

    Accuracy and loss are measured on the validation examples, at every sparsity of the slider before it appears.

    Parameters
    ----------
    net : whose first prunable layer is Linear
    start : the sparsity that is shown first
    """
    check_sparsity(start, "start")
    space = WeightSpace(net)
    if not isinstance(space.modules[0], nn.Linear):
        raise ValueError(
            f"The first layer, {space.layers[0]!r}, is a convolution, but its weights are drawn as images of the "
            "inputs: take a network that starts with a Linear layer, such as mlp_300_100."
        )
    masks, table = one_shot(net, task, SPARSITIES, criterion)
    kept = [space.split(mask.kept)[0] for mask in masks]
    first = min(range(len(SPARSITIES)), key=lambda i: abs(SPARSITIES[i] - start))
    shown = PrunedNetwork(Figure(figsize=(9.2, 4.3)), table, criterion, space.split(space.read())[0], task.shape)

    def redraw(point: int) -> str:
        row = table.iloc[point]
        left = f"{100 * row['sparsity']:.1f} % pruned: {int(masks[point].kept.sum()):,} of {space.size:,} weights left"
        measured = f"accuracy {100 * row['accuracy']:.1f} %, loss {row['loss']:.2f}"
        shown.show(row, kept[point], left, measured)
        return f"{left}; on the validation examples {measured}."

    places = [(f"{100 * sparsity:.1f} %", i) for i, sparsity in enumerate(table["sparsity"])]
    return Sliders({"point": control("sparsity", places, first)}, Picture(shown.figure, shown.moving), redraw, table)
