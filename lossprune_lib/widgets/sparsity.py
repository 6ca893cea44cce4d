"""A sparsity slider: accuracy, loss, and the kept weights of the first layer."""

from __future__ import annotations

import ipywidgets
from matplotlib.figure import Figure
from torch import nn

from lossprune_lib import plots
from lossprune_lib.checks import check_sparsity
from lossprune_lib.data.task import Task
from lossprune_lib.networks.weights import WeightSpace
from lossprune_lib.pruning.ranking import one_shot
from lossprune_lib.widgets.picture import Picture
from lossprune_lib.widgets.sliders import Sliders

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
            f"The first layer, {space.layers[0]!r}, is a convolution, but its weights are drawn as images of the inputs: "
            "take a network that starts with a Linear layer, such as mlp_300_100."
        )
    masks, table = one_shot(net, task, SPARSITIES, criterion)
    weight, inputs = space.split(space.read())[0], task.shape

    figure = Figure(figsize=(9.2, 4.3))
    grid = figure.add_gridspec(
        2, 2, width_ratios=(1, 1.15), left=0.01, right=0.975, bottom=0.115, top=0.925, wspace=0.2, hspace=0.13
    )
    layer, accuracy, loss = (figure.add_subplot(grid[part]) for part in ((slice(None), 0), (0, 1), (1, 1)))
    first = min(range(len(SPARSITIES)), key=lambda i: abs(SPARSITIES[i] - start))
    kept = [space.split(mask.kept)[0] for mask in masks]
    plots.kept_weights(layer, weight, kept[first], inputs)
    marks = {}
    for ax, column in ((accuracy, "accuracy"), (loss, "loss")):
        plots.pruning_curve(ax, table, column, criterion)
        marks[column] = plots.here(ax)
    accuracy.tick_params(labelbottom=False)
    accuracy.set_xlabel("")

    def redraw(point: int) -> str:
        row, mask = table.iloc[point], masks[point]
        layer.images[0].set_data(plots.kept_weights_image(weight, kept[point], inputs))
        for column, (line, dot) in marks.items():
            line.set_xdata([row["sparsity"]])
            dot.set_data([row["sparsity"]], [row[column]])
        text = f"{100 * row['sparsity']:.1f} % pruned: {int(mask.kept.sum()):,} of {space.size:,} weights left"
        measured = f"accuracy {100 * row['accuracy']:.1f} %, loss {row['loss']:.2f}"
        layer.set_title(text, fontsize=10)
        accuracy.set_title(measured, fontsize=10)
        return f"{text}; on the validation examples {measured}."

    moving = [layer.images[0], layer.title, accuracy.title, *marks["accuracy"], *marks["loss"]]
    slider = ipywidgets.SelectionSlider(
        description="sparsity",
        options=[(f"{100 * sparsity:.1f} %", i) for i, sparsity in enumerate(table["sparsity"])],
        value=first,
        layout={"width": "560px", "max_width": "95%"},
    )
    return Sliders({"point": slider}, Picture(figure, moving), redraw, table)
