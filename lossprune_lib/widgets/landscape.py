"""Loss landscape sliders: the loss on the line to a mask, and on the plane of two masks."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field

import ipywidgets
import torch
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from torch import Tensor, nn

from lossprune_lib.data.task import Task
from lossprune_lib.loss_modelling import landscape
from lossprune_lib.loss_modelling.model import LossModel
from lossprune_lib.networks.masks import Mask
from lossprune_lib.networks.weights import WeightSpace
from lossprune_lib.plots import landscape as landscape_plots
from lossprune_lib.pruning.local import LocalPruner
from lossprune_lib.pruning.ranking import one_shot
from lossprune_lib.pruning.stage import EmptyLayerWarning
from lossprune_lib.widgets.picture import Picture
from lossprune_lib.widgets.sliders import Sliders

SPARSITIES = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99)
STAGES = (1, 2, 3, 5, 7, 10, 14, 20)
DIRECTIONS = {"random": "random", "gradient": "gradient", "obd": "OBD mask", "lm": "LM mask", "qm": "QM mask"}
_LOW, _HIGH, _SIDE = -0.25, 1.25, 13
_POINTS = 13
_CACHE_SIZE = 50  # views; each holds a vector [D]
_PART = 0.06  # seconds: enough work to be worth a new picture


@dataclass
class _View:
    """What is known so far of a setting: a step, the loss on the line along it, and on its plane with MP's step."""

    path: list[tuple[float, float]] = field(default_factory=list)  # distance from theta and loss, after each stage
    step: Tensor | None = None
    line: Tensor | None = None
    at: Tensor | None = None  # coordinates of the plane
    plane: Tensor | None = None
    emptied: str = ""
    done: bool = False


def landscape_slider(
    net: nn.Module, task: Task, start: float = 0.9, stages: int = 14, direction: str = "qm", examples: int = 500
) -> Sliders:
    """Show the true loss on the way to a mask under sliders: on straight lines, and on the plane of two of them.

    One line leads to the mask of magnitude pruning, in one go. The other leads to the mask that another criterion chose in
    so many stages, or as far along a random direction or the gradient. The plane is that of both steps. Its own `table`
    has, for each sparsity, the length of MP's step, its share of the length of theta, and the loss at its end.

    Parameters
    ----------
    start, stages, direction : what is shown first; values in `SPARSITIES`, `STAGES` and `DIRECTIONS`
    examples : how many training examples the loss is measured on; each stage draws its own
    """
    import pandas as pd

    space = WeightSpace(net)
    theta, batch = space.read(), (task.x_train[:examples], task.y_train[:examples])
    size, shares = theta.norm().item(), torch.linspace(0, 1, _POINTS)
    masks, _ = one_shot(net, task, SPARSITIES)
    to_mp = {kappa: theta * mask.kept - theta for kappa, mask in zip(SPARSITIES, masks, strict=True)}
    mp_lines = {kappa: landscape.line(net, batch, step, shares) for kappa, step in to_mp.items()}
    free = {"gradient": LossModel.at(net, batch, 1).gradient, "random": landscape.random_direction(net, 0)}
    mp_emptied = {kappa: _emptied(mask) for kappa, mask in zip(SPARSITIES, masks, strict=True)}
    rows = [(kappa, step.norm().item(), step.norm().item() / size) for kappa, step in to_mp.items()]
    table = pd.DataFrame(rows, columns=["sparsity", "step_length", "share_of_theta"])
    table["loss"] = [line[-1].item() for line in mp_lines.values()]
    at_theta = mp_lines[SPARSITIES[0]][0].item()
    views: dict[tuple[float, int, str], _View] = {}

    def parts(sparsity: float, stages: int, direction: str, view: _View) -> Iterator[None]:
        """Compute a view, and stop after each part that is worth a new picture."""
        first, since = to_mp[sparsity], time.monotonic()
        if direction in free:
            along = free[direction]
            assert along is not None
            step = along * (first.norm() / along.norm().clamp_min(1e-30))
        else:
            step = first
            pruner = LocalPruner(direction, sparsity=sparsity, stages=stages)
            state = pruner.start(net, task)
            for _ in range(stages):
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", EmptyLayerWarning)  # the words say it
                    state = pruner.step(state)
                view.emptied = _emptied(state.mask)
                step = state.weights - theta
                view.path.append((step.norm().item(), landscape.line(net, batch, step, [1.0]).item()))
                if time.monotonic() - since > _PART:
                    yield
                    since = time.monotonic()
        view.line, view.step = landscape.line(net, batch, step, shares), step
        yield
        at = torch.linspace(_LOW, _HIGH, _SIDE)
        even, odd = at[::2], at[1::2]
        losses = torch.empty(_SIDE, _SIDE)
        losses[::2, ::2] = landscape.plane(net, batch, first, step, even, even).cpu()
        view.at, view.plane = even, losses[::2, ::2]
        yield
        losses[::2, 1::2] = landscape.plane(net, batch, first, step, even, odd).cpu()
        yield
        losses[1::2] = landscape.plane(net, batch, first, step, odd, at).cpu()
        view.at, view.plane, view.done = at, losses, True
        yield

    figure = Figure(figsize=(9.4, 4.4))
    slices = figure.add_axes((0.065, 0.13, 0.43, 0.77))
    field_ = figure.add_axes((0.555, 0.13, 0.345, 0.77))
    landscape_plots.levels_bar(figure, figure.add_axes((0.925, 0.13, 0.017, 0.77)))
    landscape_plots.frame(slices, 1.03 * size, 1.5 * math.log(task.classes), task.classes)
    landscape_plots.plane_frame(field_, _LOW, _HIGH, "MP's mask", "")
    slices.axvline(size, color="#8C8C8C", linewidth=0.9, linestyle=":")
    slices.annotate("|θ|", (size, 0.94), (-4, 0), ("data", "axes fraction"), "offset points", ha="right", fontsize=9)
    upwards = figure.text(0.512, 0.515, "", rotation=90, ha="center", va="center", fontsize=10)
    mp_line = landscape_plots.one_slice(slices, shares, shares, "mp")
    lines = {name: landscape_plots.one_slice(slices, shares, shares, name) for name in DIRECTIONS}
    (stops,) = slices.plot([], [], "o", markerfacecolor="none", color="#8C8C8C", markersize=5)
    slices.legend([mp_line, stops], ["MP, in one go", "after each stage"], loc=(0.3, 0.84), fontsize=8.5, frameon=False)
    marks = landscape_plots.mark(field_, {"θ": (0, 0), "MP": (1, 0), "": (0, 1)})
    picture = Picture(figure, [mp_line, *marks, *lines.values(), stops, slices.title, field_.title, upwards])

    def draw(sparsity: float, stages: int, direction: str, view: _View) -> str:
        while field_.collections:
            field_.collections[0].remove()
        first, name = to_mp[sparsity], _name(direction, stages)
        mp_line.set_data(shares * first.norm().item(), mp_lines[sparsity])
        moving: list[Artist] = [mp_line]
        if direction not in free:
            stops.set_data([length for length, _ in view.path], [loss for _, loss in view.path])
            stops.set_color(lines[direction].get_color())
            moving.append(stops)
        if view.step is not None and view.line is not None:
            lines[direction].set_data(shares * view.step.norm().item(), view.line)
            moving.append(lines[direction])
        if view.at is not None and view.plane is not None:
            moving += landscape_plots.plane(field_, view.at, view.at, view.plane, lines=False)
        marks[-1].set_text(name.split(",")[0])
        moving += marks
        slices.set_title(f"{100 * sparsity:.0f} % pruned: MP (dashed) and {name}", fontsize=10)
        field_.set_title(_angle(first, view.step), fontsize=10)
        upwards.set_text(f"share of the step: {name}" if direction in free else f"share of the step to {name}")
        picture.moving = [*moving, slices.title, field_.title, upwards]
        said = [f"{100 * sparsity:.0f} % pruned. Loss {at_theta:.2f} at θ"]
        said += [_line_words("MP", first, mp_lines[sparsity], size) + mp_emptied[sparsity]]
        return "; ".join(said + _view_words(name, view, first, size)) + "."

    def redraw(sparsity: float, stages: int, direction: str) -> Iterator[str]:
        setting = (sparsity, 0 if direction in free else stages, direction)
        view = views.get(setting, _View())
        yield draw(sparsity, stages, direction, view)
        if view.done:
            return
        for _ in parts(sparsity, stages, direction, view):
            if view.done:
                while len(views) >= _CACHE_SIZE:
                    del views[next(iter(views))]
                views[setting] = view
            yield draw(sparsity, stages, direction, view)

    options = {
        "sparsity": [(f"{100 * kappa:.0f} %", kappa) for kappa in SPARSITIES],
        "stages": [(str(number), number) for number in STAGES],
        "direction": [(label, name) for name, label in DIRECTIONS.items()],
    }
    chosen = {"sparsity": start, "stages": stages, "direction": direction}
    controls: dict[str, ipywidgets.ValueWidget] = {
        name: ipywidgets.SelectionSlider(
            description=name,
            options=choices,
            value=chosen[name],
            layout={"width": "560px", "max_width": "95%"},
        )
        for name, choices in options.items()
    }
    return Sliders(controls, picture, redraw, table)


def _name(direction: str, stages: int) -> str:
    if direction in ("random", "gradient"):
        return f"{direction} direction"
    return f"{direction.upper()}, {stages} {'stage' if stages == 1 else 'stages'}"


def _angle(first: Tensor, step: Tensor | None) -> str:
    if step is None:
        return "computing the plane"
    cosine = torch.nn.functional.cosine_similarity(first.double(), step.double(), dim=0).clamp(-1, 1)
    return f"plane of both steps, {math.degrees(math.acos(cosine)):.0f}° apart"


def _emptied(mask: Mask) -> str:
    gone = [layer for layer, density in mask.density().items() if density == 0]
    return f" (nothing is left of {', '.join(gone)})" if gone else ""


def _line_words(name: str, step: Tensor, line: Tensor, size: float) -> str:
    length = step.norm().item()
    return f"{name}: step of length {length:.1f} ({length / size:.0%} of θ), loss {line[-1]:.2f} at its end"


def _view_words(name: str, view: _View, first: Tensor, size: float) -> list[str]:
    """Return a view's numbers in words, as far as they are known."""
    if view.step is None or view.line is None:
        return [f"{name}: so far {len(view.path)} done"]
    said = [_line_words(name, view.step, view.line, size) + view.emptied, _angle(first, view.step)]
    if view.done and view.plane is not None:
        said.append(f"loss on it from {view.plane.min():.2f} to {view.plane.max():.2f}")
    return said
