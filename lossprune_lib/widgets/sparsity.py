"""A sparsity slider: the kept weights of the first layer, the accuracy so far, and the first images that go wrong."""

from __future__ import annotations

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from lossprune_lib.checks import check_sparsity
from lossprune_lib.data.task import Task
from lossprune_lib.networks.masks import Mask
from lossprune_lib.networks.weights import WeightSpace
from lossprune_lib.plots.networks import PrunedNetwork
from lossprune_lib.plots.style import WIDTH, styled
from lossprune_lib.pruning.ranking import one_shot
from lossprune_lib.widgets.picture import Picture
from lossprune_lib.widgets.sliders import Sliders, control

SPARSITIES = (*(i / 50 for i in range(45)), *(0.9 + i / 200 for i in range(20)), 0.9975)
_IMAGES = 6


@styled
def sparsity_slider(net: nn.Module, task: Task, criterion: str = "mp", start: float = 0.0) -> Sliders:
    """Prune a network in one go under a slider: the kept weights of its first layer, its accuracy, its first mistakes.

    The curve of the accuracy is drawn as far as the slider has been moved. Accuracy and mistakes are those on the
    validation examples; a mistake is an image that the whole network reads and the pruned one does not, and those that
    go wrong at the lowest sparsity come first.

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
    answers = _answers(space, masks, task)
    kept = [space.split(mask.kept)[0] for mask in masks]
    furthest = min(range(len(SPARSITIES)), key=lambda i: abs(SPARSITIES[i] - start))
    weight, figure = space.split(space.read())[0], Figure(figsize=(WIDTH, 4.4))
    shown = PrunedNetwork(figure, table, criterion, weight, task.shape, _IMAGES)

    def redraw(point: int) -> str:
        row, labels = table.iloc[point], task.y_valid
        left = f"{100 * row['sparsity']:.1f} % pruned: {int(masks[point].kept.sum()):,} of {space.size:,} weights left"
        first = _first_wrong(answers[: point + 1], labels)[:_IMAGES]
        wrong = [(_pixels(task.x_valid[i]), f"{labels[i]} → {answers[point][i]}") for i in first]
        right = f"{100 * row['accuracy']:.1f} % of the images right"
        heading = "First mistakes: label → the network's answer" if wrong else "None lost to pruning so far"
        shown.show(point, max(furthest, point), kept[point], wrong, left, right, heading)
        said = ", ".join(f"a {labels[i]} read as {answers[point][i]}" for i in first)
        measured = f"accuracy {100 * row['accuracy']:.1f} %, loss {row['loss']:.2f}"
        return f"{left}; on the validation examples {measured}. " + (
            f"The first that go wrong: {said}." if said else f"{heading}."
        )

    places = [(f"{100 * sparsity:.1f} %", i) for i, sparsity in enumerate(table["sparsity"])]
    controls = {"point": control("sparsity", places, furthest)}

    def remember(change: dict[str, int]) -> None:
        nonlocal furthest
        furthest = max(furthest, change["new"])

    controls["point"].observe(remember, names="value")
    return Sliders(controls, Picture(shown.figure, shown.moving), redraw, table)


def _answers(space: WeightSpace, masks: list[Mask], task: Task) -> Tensor:
    """Return what each pruned network says of each validation example, [masks, N]."""
    weights, rest = space.read(), space.rest()
    with torch.no_grad():
        outputs = [space.run(weights * mask.kept, rest, task.x_valid) for mask in masks]
    return torch.stack([logits.argmax(1) for logits in outputs]).cpu()


def _first_wrong(answers: Tensor, labels: Tensor) -> list[int]:
    """Return the examples that go wrong at the end though not at the start, those first that have been wrong longest.

    Parameters
    ----------
    answers : [sparsities, N], at rising sparsity
    """
    wrong = answers != labels.cpu()
    since = len(wrong) - wrong.flip(0).long().cumprod(0).sum(0)  # the place from which on it is wrong throughout
    found = (wrong[-1] & ~wrong[0]).nonzero().squeeze(1)
    return found[since[found].argsort(stable=True)].tolist()


def _pixels(image: Tensor) -> np.ndarray:
    shown = image[0].detach().cpu().float()
    return ((shown - shown.min()) / (shown.max() - shown.min()).clamp_min(1e-9)).numpy()
