"""The sliders: thin, with no science in them, each drawing with plots.py.

A slider shows one picture and redraws it in place: an ``<img>`` with alternative text in an HTML widget. Output widgets are
not used: they hang programs that run notebooks, and hide errors.
"""

from __future__ import annotations

import base64
import html
import io
import traceback
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import ipywidgets
import numpy as np
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from torch import nn

from lossprune_lib import plots
from lossprune_lib.data import Task
from lossprune_lib.pruning import one_shot
from lossprune_lib.weights import WeightSpace

if TYPE_CHECKING:
    import pandas as pd

_DOTS_PER_INCH = 100


class Picture:
    """One matplotlib figure in an HTML widget, redrawn in place.

    What never moves is drawn once and kept as an image; a change draws the moving artists alone on top of it, which
    takes a few milliseconds where a whole figure takes a hundred.
    """

    def __init__(self, figure: Figure, moving: Sequence[Artist]) -> None:
        self.moving = moving
        self.html = ipywidgets.HTML()
        self.png = b""
        self.alt = ""
        for artist in moving:
            artist.set_animated(True)
        figure.set_dpi(_DOTS_PER_INCH)
        self.canvas = FigureCanvasAgg(figure)
        self.settle()

    def settle(self) -> None:
        """Draw afresh what does not move, after it was changed."""
        self.canvas.draw()
        self.still = self.canvas.copy_from_bbox(self.canvas.figure.bbox)

    def show(self, alt: str) -> None:
        """Draw the moving artists as they are now; `alt` says in words what the picture shows."""
        self.canvas.restore_region(self.still)
        for artist in self.moving:
            artist.draw(self.canvas.get_renderer())
        buffer = io.BytesIO()
        Image.fromarray(np.asarray(self.canvas.buffer_rgba())).convert("RGB").save(buffer, "png", compress_level=3)
        self.png, self.alt = buffer.getvalue(), alt
        width, height = self.canvas.get_width_height()
        source = base64.b64encode(self.png).decode()
        self.html.value = (
            f'<img src="data:image/png;base64,{source}" alt="{html.escape(alt)}" width="{width}" height="{height}" '
            'style="max-width: 100%; height: auto">'
        )


class Sliders(ipywidgets.VBox):
    """Sliders above a picture. Where no kernel runs, a saved notebook shows the picture alone.

    Parameters
    ----------
    controls : the sliders, whose values `redraw` takes as keyword arguments, by name
    picture : what is shown
    redraw : changes the figure and returns its alternative text
    table : what was measured for the picture, to go on with
    """

    def __init__(
        self,
        controls: dict[str, ipywidgets.ValueWidget],
        picture: Picture,
        redraw: Callable[..., str],
        table: pd.DataFrame | None = None,
    ) -> None:
        self.controls, self.picture, self.redraw = controls, picture, redraw
        self.table = table
        self.message = ipywidgets.HTML()
        super().__init__([*controls.values(), picture.html, self.message])
        for control in controls.values():
            control.observe(self._moved, names="value")
        self._draw()

    def _draw(self) -> None:
        self.picture.show(self.redraw(**{name: control.value for name, control in self.controls.items()}))

    def _moved(self, _: object = None) -> None:
        # An exception in a callback would vanish: it is shown below the picture instead.
        try:
            self._draw()
            self.message.value = ""
        except Exception as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            self.message.value = (
                f"<b>{html.escape(type(error).__name__)}</b>: {html.escape(str(error))} "
                f"({html.escape(last.name)}, line {last.lineno}). Run the cells above again, then this one."
            )

    def _ipython_display_(self, **_: object) -> None:
        from IPython.display import display

        bundle: dict[str, Any] = {
            "application/vnd.jupyter.widget-view+json": {
                "version_major": 2,
                "version_minor": 0,
                "model_id": self.model_id,
            },
            "image/png": base64.b64encode(self.picture.png).decode(),
            "text/plain": self.picture.alt,
        }
        display(bundle, raw=True)


SPARSITIES = (*(i / 50 for i in range(45)), *(0.9 + i / 200 for i in range(20)), 0.9975)


def sparsity_slider(net: nn.Module, task: Task, criterion: str = "mp", start: float = 0.5) -> Sliders:
    """Prune a network in one go under a slider: accuracy, loss, and the kept weights of its first layer.

    Accuracy and loss are measured on the validation examples, at every sparsity of the slider before it appears.

    Parameters
    ----------
    net : whose first prunable layer is Linear
    start : the sparsity that is shown first
    """
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
