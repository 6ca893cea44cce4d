"""Loss landscape sliders: the loss on the line to a mask, and on the plane of two masks."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache, partial

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from lossprune_lib.data.task import Task
from lossprune_lib.loss_modelling import landscape
from lossprune_lib.loss_modelling.batch_loss import BatchLoss
from lossprune_lib.networks.initial import classes_of
from lossprune_lib.networks.masks import Mask
from lossprune_lib.plots.line_and_plane import LineAndPlane, View
from lossprune_lib.plots.style import WIDTH, counted, styled
from lossprune_lib.pruning.local import LocalPruner
from lossprune_lib.pruning.ranking import one_shot
from lossprune_lib.widgets.picture import Picture
from lossprune_lib.widgets.resumable import PART, Resumable
from lossprune_lib.widgets.sliders import Sliders, control

SPARSITIES = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99)
STAGES = (1, 2, 3, 5, 7, 10, 14, 20)
DIRECTIONS = {"random": "random", "gradient": "gradient", "obd": "OBD mask", "lm": "LM mask", "qm": "QM mask"}
_FREE = ("random", "gradient")  # these lead to no mask, so that stages mean nothing
_LOW, _HIGH, _SIDE = -0.15, 1.1, 13  # of the plane, in lengths of theta
_POINTS = 13
_CACHE_SIZE = 50  # views; each holds a vector [D]


@styled
def landscape_slider(
    net: nn.Module, task: Task, start: float = 0.9, stages: int = 14, direction: str = "qm", examples: int = 500
) -> Sliders:
    """Show the loss on the way to a mask under sliders: on straight lines, and on the plane of two, true to scale.

    One line leads to the mask of magnitude pruning, in one go. The other leads to the mask that another criterion
    chose in so many stages, or as far along a random direction or the gradient. The plane is that of both steps. Its
    own `table` has, for each sparsity, the length of MP's step, its share of the length of theta, and the loss at its
    end.

    Parameters
    ----------
    start, stages, direction : what is shown first; values in `SPARSITIES`, `STAGES` and `DIRECTIONS`
    examples : how many training examples the loss is measured on; each stage draws its own
    """
    import pandas as pd

    around = _Surroundings(net, task, examples)
    rows = [(kappa, *around.at_mp(kappa)) for kappa in SPARSITIES]
    table = pd.DataFrame(rows, columns=["sparsity", "step_length", "share_of_theta", "loss"])
    ends = _LOW * around.size, _HIGH * around.size
    shown = LineAndPlane(Figure(figsize=(WIDTH, 4.3)), around.size, classes_of(task), DIRECTIONS, *ends)
    picture = Picture(shown.figure, shown.moving)

    @lru_cache(maxsize=_CACHE_SIZE)
    def views(sparsity: float, stages: int, direction: str) -> Resumable[View]:
        return Resumable(partial(around.views, sparsity, stages, direction), stages + 5)

    def redraw(sparsity: float, stages: int, direction: str) -> Iterator[str]:
        found, name = views(sparsity, 0 if direction in _FREE else stages, direction), _name(direction, stages)
        while True:
            view = found.go_on(PART if found.number else 0)  # MP's line is there at once
            title = f"{100 * sparsity:.0f} % pruned: MP and {name}"
            picture.moving = shown.show(view, direction, name, title, _angle(view))
            yield around.in_words(view, sparsity, name, found.done)
            if found.done:
                return

    controls = {
        "sparsity": control("sparsity", [(f"{100 * kappa:.0f} %", kappa) for kappa in SPARSITIES], start),
        "stages": control("stages", [(str(number), number) for number in STAGES], stages),
        "direction": control("direction", [(label, name) for name, label in DIRECTIONS.items()], direction),
    }
    return Sliders(controls, picture, redraw, table)


class _Surroundings:
    """The steps that lead away from theta, and the loss along them."""

    def __init__(self, net: nn.Module, task: Task, examples: int) -> None:
        self.net, self.task = net, task
        self.risk = BatchLoss(net, (task.x_train[:examples], task.y_train[:examples]))
        self.theta = self.risk.space.read()
        self.size, self.shares = self.theta.norm().item(), torch.linspace(0, 1, _POINTS)
        masks, _ = one_shot(net, task, SPARSITIES)
        self.start, self.emptied_by_mp = {}, {}
        for kappa, mask in zip(SPARSITIES, masks, strict=True):
            step = self.theta * mask.kept - self.theta
            self.start[kappa] = View(step, self._losses(step))
            self.emptied_by_mp[kappa] = _emptied(mask)
        gradient = self.risk.model(self.theta, 1).gradient
        assert gradient is not None
        self.free = {"gradient": gradient, "random": landscape.random_direction(self.risk.space, 0)}

    def at_mp(self, sparsity: float) -> tuple[float, float, float]:
        """Return the length of MP's step, its share of the length of theta, and the loss at its end."""
        view = self.start[sparsity]
        length = view.first.norm().item()
        return length, length / self.size, view.first_line[-1].item()

    def views(self, sparsity: float, stages: int, direction: str) -> Iterator[View]:
        """Yield what is known after each stage, with the line, and with a quarter, half and all of the plane."""
        view = self.start[sparsity]
        yield view
        if direction in self.free:
            along = self.free[direction]
            step = along * (view.first.norm() / along.norm().clamp_min(1e-30))
        else:
            for state in LocalPruner(direction, sparsity=sparsity, stages=stages).stream(self.net, self.task):
                step, loss = state.weights - self.theta, self.risk.value(state.weights).item()
                view = replace(view, path=(*view.path, (step.norm().item(), loss)), emptied=_emptied(state.mask))
                yield view
        view = replace(view, step=step, line=self._losses(step))
        yield view
        at, losses = self.size * torch.linspace(_LOW, _HIGH, _SIDE), torch.empty(_SIDE, _SIDE)
        even, odd = at[::2], at[1::2]
        losses[::2, ::2] = self._plane(view, even, even)
        coarse = replace(view, at=even, plane=losses[::2, ::2])
        yield coarse
        losses[::2, 1::2] = self._plane(view, even, odd)
        yield coarse
        losses[1::2] = self._plane(view, odd, at)
        yield replace(view, at=at, plane=losses)

    def _losses(self, step: Tensor) -> Tensor:
        """Return the loss at shares of a step."""
        return landscape.losses_at(self.risk, [step], self.shares.to(step).unsqueeze(1))

    def _plane(self, view: View, at_first: Tensor, at_second: Tensor) -> Tensor:
        assert view.step is not None
        along, across, _ = landscape.orthonormal(view.first, view.step)
        points = torch.cartesian_prod(at_first, at_second).to(along)
        return landscape.losses_at(self.risk, [along, across], points).view(len(at_first), len(at_second))

    def in_words(self, view: View, sparsity: float, name: str, done: bool) -> str:
        """Return a view's numbers in words, as far as they are known."""
        said = [f"{100 * sparsity:.0f} % pruned. Loss {view.first_line[0].item():.2f} at θ"]
        said += [self._line("MP", view.first, view.first_line) + _nothing_left(self.emptied_by_mp[sparsity])]
        if view.step is None or view.line is None:
            said.append(f"{name}: {len(view.path)} done so far")
        else:
            said += [self._line(name, view.step, view.line) + _nothing_left(view.emptied), _angle(view)]
        if done and view.plane is not None:
            said.append(f"loss on their plane from {view.plane.min():.2f} to {view.plane.max():.2f}")
        return "; ".join(said) + "."

    def _line(self, name: str, step: Tensor, line: Tensor) -> str:
        length = step.norm().item()
        return f"{name}: step of length {length:.1f} ({length / self.size:.0%} of θ), loss {line[-1]:.2f} at its end"


def _name(direction: str, stages: int) -> str:
    if direction in _FREE:
        return f"{direction} direction"
    return f"{direction.upper()}, {counted(stages, 'stage')}"


def _angle(view: View) -> str:
    return "computing the plane" if math.isnan(view.angle) else f"both steps, {view.angle:.0f}° apart"


def _emptied(mask: Mask) -> tuple[str, ...]:
    return tuple(layer for layer, density in mask.density().items() if density == 0)


def _nothing_left(layers: tuple[str, ...]) -> str:
    return f" (nothing is left of {', '.join(layers)})" if layers else ""
