"""Figures of a network: its examples, the weights that it keeps, its accuracy and loss along the way."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from lossprune_lib.plots.style import here, style

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

_UNITS = 64
_BETWEEN = 1e6  # more than any weight: drawn white. Infinity would be drawn as if pruned.
_PRUNED_COLOUR = "#D4D4D4"


def kept_weights(ax: Axes, weight: Tensor, kept: Tensor, shape: tuple[int, ...]) -> Axes:
    """Draw the incoming weights of a layer's first 64 units, each as an image of its inputs; pruned weights are grey.

    Parameters
    ----------
    weight, kept : [units, inputs]
        The weights, and which of them are kept.
    shape : (1, height, width)
        Of the inputs; other inputs are drawn as one row.
    """
    limit = weight.abs().quantile(0.995).item() or 1.0
    picture = kept_weights_image(weight, kept, shape)
    ax.imshow(picture, cmap=_weight_colours(), vmin=-limit, vmax=limit, interpolation="nearest")
    ax.set_xticks([])
    ax.set_yticks([])
    rows, columns = _grid(len(weight))
    ax.set_xlabel(f"weights into {rows * columns} units: blue < 0 < red, grey pruned", fontsize=9)
    for side in ax.spines.values():
        side.set_visible(False)
    return ax


def kept_weights_image(weight: Tensor, kept: Tensor, shape: tuple[int, ...]) -> np.ndarray:
    """Return the picture that `kept_weights` shows, to redraw it: NaN where pruned, a huge number between units."""
    height, width = shape[-2:] if len(shape) == 3 and shape[0] == 1 else (1, weight[0].numel())
    rows, columns = _grid(len(weight))
    shown = torch.where(kept, weight, torch.nan)[: rows * columns].detach().cpu().float()
    framed = torch.nn.functional.pad(shown.reshape(rows, columns, height, width), (0, 1, 0, 1), value=_BETWEEN)
    return framed.permute(0, 2, 1, 3).reshape(rows * (height + 1), -1)[:-1, :-1].numpy()


def _grid(units: int) -> tuple[int, int]:
    shown = min(_UNITS, units)
    columns = math.isqrt(shown)
    return shown // columns, columns


def _weight_colours() -> Any:
    import matplotlib

    return matplotlib.colormaps["RdBu_r"].with_extremes(bad=_PRUNED_COLOUR, over="#FFFFFF")


def pruning_curve(ax: Axes, table: pd.DataFrame, column: str, criterion: str = "mp") -> Axes:
    """Draw accuracy or loss against sparsity.

    Parameters
    ----------
    table : with the columns sparsity and `column`
    column : "accuracy" or "loss"
    """
    ax.plot(table["sparsity"], table[column], **style(criterion, marker=None))
    ax.set_xlabel("sparsity (share of weights that is zero)")
    ax.xaxis.set_major_formatter(PercentFormatter(1, symbol=" %", decimals=0))
    ax.set_xlim(0, 1)
    if column == "accuracy":
        ax.set_ylabel("accuracy")
        ax.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %", decimals=0))
        ax.set_ylim(0, 1.03)
    else:
        ax.set_ylabel("loss (nats)")
        ax.set_ylim(bottom=0)
    ax.grid(alpha=0.3)
    return ax


def examples(axes: np.ndarray, x: Tensor, titles: list[str]) -> np.ndarray:
    """Draw input images [N, 1, H, W], one on each of the Axes, with a title each."""
    for ax, image, title in zip(axes.flat, x, titles, strict=False):
        ax.imshow(image[0].cpu().numpy(), cmap="gray_r", interpolation="nearest")
        ax.set_title(title, fontsize=9)
        ax.set_axis_off()
    return axes


def bars(ax: Axes, values: pd.Series, label: str) -> Axes:
    """Draw shares between 0 and 1 as labelled horizontal bars, the first on top."""
    drawn = ax.barh(list(values.index), list(values), color="#0072B2")
    ax.bar_label(drawn, labels=[f" {100 * value:.0f} %" for value in values])
    ax.invert_yaxis()
    ax.set_xlim(0, 1.1)
    ax.xaxis.set_major_formatter(PercentFormatter(1, symbol=" %", decimals=0))
    ax.set_xlabel(label)
    return ax


class PrunedNetwork:
    """Kept weights of one layer on the left, accuracy and loss over sparsity on the right; for a slider to move.

    Parameters
    ----------
    table : with the columns sparsity, accuracy and loss
    weight : [units, inputs], of the layer
    shape : (1, height, width), of its inputs
    """

    def __init__(
        self, figure: Figure, table: pd.DataFrame, criterion: str, weight: Tensor, shape: tuple[int, ...]
    ) -> None:
        self.figure, self.weight, self.shape = figure, weight, shape
        grid = figure.add_gridspec(
            2, 2, width_ratios=(1, 1.15), left=0.01, right=0.975, bottom=0.115, top=0.925, wspace=0.2, hspace=0.13
        )
        layer, accuracy, loss = (figure.add_subplot(grid[part]) for part in ((slice(None), 0), (0, 1), (1, 1)))
        kept_weights(layer, weight, torch.ones_like(weight, dtype=torch.bool), shape)
        self.image, self.titles = layer.images[0], (layer.title, accuracy.title)
        for title in self.titles:
            title.set_fontsize(10)
        self.marks = {}
        for ax, column in ((accuracy, "accuracy"), (loss, "loss")):
            pruning_curve(ax, table, column, criterion)
            self.marks[column] = here(ax)
        accuracy.tick_params(labelbottom=False)
        accuracy.set_xlabel("")
        self.moving: list[Artist] = [self.image, *self.titles, *self.marks["accuracy"], *self.marks["loss"]]

    def show(self, row: pd.Series, kept: Tensor, *titles: str) -> None:
        """Move everything to a row of the table; `kept` [units, inputs] says which weights are left."""
        self.image.set_data(kept_weights_image(self.weight, kept, self.shape))
        for column, (line, dot) in self.marks.items():
            line.set_xdata([row["sparsity"]])
            dot.set_data([row["sparsity"]], [row[column]])
        for title, text in zip(self.titles, titles, strict=True):
            title.set_text(text)
