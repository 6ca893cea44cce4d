"""Figures of a network: its examples, the weights that it keeps, its accuracy and loss along the way."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lossprune_lib.plots.style import CARD, GUIDE, PRUNED, here, percent, style

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

_UNITS = 64
_BETWEEN = 1e6  # more than any weight: drawn as the card. Infinity would be drawn as if pruned.


def kept_weights(ax: Axes, weight: Tensor, kept: Tensor, shape: tuple[int, ...]) -> Axes:
    """Draw the incoming weights of a layer's first 64 units, each as an image of its inputs.

    Pruned weights have a colour that no weight has.

    Parameters
    ----------
    weight, kept : [units, inputs]
        The weights, and which of them are kept.
    shape : (1, height, width)
        Of the inputs; other inputs are drawn as one row.
    """
    limit = _limit(weight)
    picture = kept_weights_image(weight, kept, shape)
    ax.imshow(picture, cmap=_weight_colours(), vmin=-limit, vmax=limit, interpolation="nearest")
    ax.set_xticks([])
    ax.set_yticks([])
    rows, columns = _grid(len(weight))
    ax.set_xlabel(f"weights into {rows * columns} units: blue < 0 < red; grey: pruned", fontsize=9)
    for side in ax.spines.values():
        side.set_visible(False)
    return ax


def kept_weights_image(weight: Tensor, kept: Tensor, shape: tuple[int, ...]) -> np.ndarray:
    """Return the picture [rows, columns] that `kept_weights` shows, to redraw it.

    It is NaN where weights are pruned and has a huge number between units; the parameters are those of `kept_weights`.
    """
    height, width = shape[-2:] if len(shape) == 3 and shape[0] == 1 else (1, weight[0].numel())
    rows, columns = _grid(len(weight))
    limit = _limit(weight)
    shown = torch.where(kept, weight.clamp(-limit, limit), torch.nan)[: rows * columns].detach().cpu().float()
    framed = torch.nn.functional.pad(shown.reshape(rows, columns, height, width), (0, 1, 0, 1), value=_BETWEEN)
    return framed.permute(0, 2, 1, 3).reshape(rows * (height + 1), -1)[:-1, :-1].numpy()


def _limit(weight: Tensor) -> float:
    """Return the size from which on weights have the darkest colour."""
    return weight.detach().abs().quantile(0.995).item() or 1.0


def _grid(units: int) -> tuple[int, int]:
    shown = min(_UNITS, units)
    columns = math.isqrt(shown)
    return shown // columns, columns


def _weight_colours() -> Any:
    import matplotlib

    return matplotlib.colormaps["RdBu_r"].with_extremes(bad=PRUNED, over=CARD)


def pruning_curve(ax: Axes, table: pd.DataFrame, column: str, criterion: str = "mp") -> Axes:
    """Draw accuracy or loss against sparsity.

    Parameters
    ----------
    table : with the columns sparsity and `column`
    column : "accuracy" or "loss"
    """
    ax.plot(table["sparsity"], table[column], **style(criterion, marker=None))
    ax.set_xlabel("sparsity (share of weights that is zero)")
    ax.xaxis.set_major_formatter(percent())
    ax.set_xlim(0, 1)
    if column == "accuracy":
        ax.set_ylabel("accuracy")
        ax.yaxis.set_major_formatter(percent())
        ax.set_ylim(0, 1.03)
    else:
        ax.set_ylabel("loss (nats)")
        ax.set_ylim(bottom=0)
    ax.grid()
    return ax


def examples(axes: np.ndarray, x: Tensor, titles: list[str]) -> np.ndarray:
    """Draw input images [N, 1, H, W], one on each of the Axes, with a title each."""
    for ax, image, title in zip(axes.flat, x, titles, strict=False):
        ax.imshow(image[0].cpu().numpy(), cmap="gray_r", interpolation="nearest")
        ax.set_title(title, fontsize=9, fontweight="normal", loc="center", pad=4)
        ax.set_axis_off()
    return axes


def bars(ax: Axes, values: pd.Series, label: str, criteria: Sequence[str] = ()) -> Axes:
    """Draw shares between 0 and 1 as labelled horizontal bars, the first on top.

    Parameters
    ----------
    criteria : of each bar, whose colour it gets; without them all bars are of one neutral colour

    Raises
    ------
    ValueError
        if there are some criteria, but not one for each bar.
    """
    if len(criteria) not in (0, len(values)):
        raise ValueError(f"There are {len(values)} bars and {len(criteria)} criteria: give one for each bar, or none.")
    # No markers: at a bar's end they would make it longer than its value.
    colours = [style(criterion)["color"] for criterion in criteria] or GUIDE
    drawn = ax.barh(list(values.index), list(values), height=0.45 if criteria else 0.8, color=colours)
    ax.bar_label(drawn, labels=[f" {100 * value:.0f} %" for value in values])
    ax.invert_yaxis()
    ax.set_xlim(0, 1.1)
    ax.xaxis.set_major_formatter(percent())
    ax.set_xlabel(label)
    return ax


class PrunedNetwork:
    """The kept weights of one layer, the accuracy so far, and the first images that go wrong; for a slider to move.

    Parameters
    ----------
    table : with the columns sparsity and accuracy
    weight : [units, inputs], of the layer
    shape : (1, height, width), of its inputs
    images : how many there is room for
    """

    def __init__(
        self, figure: Figure, table: pd.DataFrame, criterion: str, weight: Tensor, shape: tuple[int, ...], images: int
    ) -> None:
        self.figure, self.table, self.weight, self.shape = figure, table, weight, shape
        grid = figure.add_gridspec(
            2, 2, width_ratios=(1, 1.2), height_ratios=(2.6, 1), left=0.015, right=0.97, bottom=0.05, top=0.93,
            wspace=0.25, hspace=0.78,
        )  # fmt: skip
        layer, accuracy = figure.add_subplot(grid[:, 0]), figure.add_subplot(grid[0, 1])
        kept_weights(layer, weight, torch.ones_like(weight, dtype=torch.bool), shape)
        pruning_curve(accuracy, table.iloc[:0], "accuracy", criterion)
        accuracy.set_ylabel("")
        self.image, self.curve, self.here = layer.images[0], accuracy.lines[0], here(accuracy)
        self.titles = layer.set_title(" "), accuracy.set_title(" ")
        below = grid[1, 1].subgridspec(1, images, wspace=0.15).subplots(squeeze=False)[0]
        self.wrong = [_image_to_be(ax, shape) for ax in below]
        box = below[0].get_position()
        self.heading = figure.text(box.x0, box.y1 + 0.085, "", ha="left", va="bottom", fontweight="bold", fontsize=10)
        self.moving: list[Artist] = [self.image, *self.titles, self.curve, *self.here, self.heading]
        self.moving += [artist for pair in self.wrong for artist in pair]

    def show(
        self, place: int, furthest: int, kept: Tensor, wrong: Sequence[tuple[np.ndarray, str]], *titles: str
    ) -> None:
        """Move everything to a row of the table.

        Parameters
        ----------
        furthest : the row up to which the curve is drawn
        kept : [units, inputs], which weights are left
        wrong : the first images that go wrong, [height, width], each with what stands above it
        titles : of the layer, of the accuracy and of the images
        """
        row, so_far = self.table.iloc[place], self.table.iloc[: furthest + 1]
        self.image.set_data(kept_weights_image(self.weight, kept, self.shape))
        self.curve.set_data(so_far["sparsity"], so_far["accuracy"])
        line, dot = self.here
        line.set_xdata([row["sparsity"]])
        dot.set_data([row["sparsity"]], [row["accuracy"]])
        for i, (image, title) in enumerate(self.wrong):
            image.set_visible(i < len(wrong))
            title.set_text(wrong[i][1] if i < len(wrong) else "")
            if i < len(wrong):
                image.set_data(wrong[i][0])
        for text, words in zip((*self.titles, self.heading), titles, strict=True):
            text.set_text(words)


def _image_to_be(ax: Axes, shape: tuple[int, ...]) -> tuple[Any, Any]:
    """Prepare Axes for an image of inputs between 0 and 1, and return the image and its title."""
    image = ax.imshow(np.zeros(shape[-2:]), cmap="gray_r", vmin=0, vmax=1, interpolation="nearest")
    ax.set_axis_off()
    return image, ax.set_title("", fontsize=9, fontweight="normal", loc="center", pad=3)
