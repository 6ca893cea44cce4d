"""Figures of a network that breaks: what it says of its images, how sure it is, and what each weight costs alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap

from lossprune_lib.plots.style import CARD, GUIDE, HIGHLIGHT, INK, MUTED, THOUSANDTHS

if TYPE_CHECKING:
    from torch import Tensor

_BLUE, _ORANGE = "#0072B2", "#D55E00"


def confusion(ax: Axes, labels: Tensor, answers: Tensor, classes: int) -> Axes:
    """Draw how many images of each label get which answer; right answers lie on the diagonal.

    Parameters
    ----------
    labels, answers : [N]
    """
    pairs = (labels.long() * classes + answers.long()).cpu()
    counts = np.bincount(pairs.numpy(), minlength=classes**2).reshape(classes, classes)
    colours = LinearSegmentedColormap.from_list("counts", [CARD, _BLUE])
    ax.imshow(counts, cmap=colours, vmin=0, vmax=counts.sum(axis=1).max())
    for (row, column), count in np.ndenumerate(counts):
        if count:
            dark = count > 0.55 * counts.sum(axis=1).max()
            ax.text(column, row, str(count), ha="center", va="center", fontsize=8, color=CARD if dark else INK)
    ax.set_xticks(range(classes))
    ax.set_yticks(range(classes))
    ax.set(xlabel="what the network says", ylabel="what the image shows")
    ax.tick_params(length=0)
    return ax


def probabilities(ax: Axes, shares: Tensor, label: int) -> Axes:
    """Draw the probability [classes] that a network gives each class; the right one stands out, its answer is said."""
    drawn = ax.bar(range(len(shares)), shares.cpu().numpy(), color=GUIDE)
    drawn[label].set_color(HIGHLIGHT)
    answer = int(shares.argmax())
    # Bars of a lead by a hair end on the same row of pixels, so words say which is the longest.
    side = "left" if answer < 2 else "right" if answer > len(shares) - 3 else "center"  # within the axes
    ax.annotate(f"says {answer}", (answer, shares[answer].item()), (0, 3), textcoords="offset points", ha=side)
    ax.set_xticks(range(len(shares)))
    ax.set(ylim=(0, 1.15), xlabel="digit")
    ax.grid(axis="y")
    return ax


def removals(ax: Axes, sizes: Tensor, changes: Tensor) -> Axes:
    """Draw what removing each weight alone does to the loss, against the weight's size.

    Parameters
    ----------
    sizes, changes : [K], sizes of the weights and signed changes of the loss (nats)
    """
    shown = THOUSANDTHS * changes.cpu().numpy()
    for side, colour, marker in ((shown > 0, _ORANGE, "o"), (shown <= 0, _BLUE, "v")):
        ax.plot(sizes.cpu().numpy()[side], shown[side], marker, color=colour, markersize=4.5, alpha=0.75)
    ax.axhline(0, color=GUIDE, linewidth=0.9)
    for height, text in ((0.95, "removing it raises the loss"), (0.05, "removing it lowers the loss")):
        ax.text(0.015, height, text, transform=ax.transAxes, va="center", color=MUTED, fontsize=9)
    ax.set(xlabel="size of the weight", ylabel="change of the loss (thousandths of a nat)", xlim=(0, None))
    ax.grid()
    return ax
