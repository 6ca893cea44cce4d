"""Figures of the walk from a trained network to a pruned one: how far it leads, and how high the loss is on the way."""

from __future__ import annotations

from matplotlib.axes import Axes
from torch import Tensor

from lossprune_lib.loss_modelling import landscape as directions
from lossprune_lib.plots import landscape
from lossprune_lib.plots.style import CARD, GUIDE, HIGHLIGHT, MUTED, style

_QM = style("qm")["color"]


def seen_from_above(ax: Axes, first: Tensor, second: Tensor, at: Tensor, losses: Tensor) -> Axes:
    """Draw the plane of MP's step and of QM's in true angles and lengths.

    Parameters
    ----------
    first, second : [D], steps of MP and of QM
    at, losses : [A] lengths along MP's step and at right angles to it, and the loss there [A, A]
    """
    landscape.plane(landscape.lengths_frame(ax, at[0].item(), at[-1].item()), at, at, losses)
    ends = {"mp": (first.norm().item(), 0.0), "qm": directions.orthonormal(first, second)[2]}
    landscape.steps(ax, ends)
    landscape.mark(ax, {"θ": (0, 0)}, below=True)
    landscape.mark(ax, {"MP": ends["mp"], "QM": ends["qm"]})
    return ax


def reach(ax: Axes, shares: Tensor, lengths: Tensor, training: float, size: float) -> Axes:
    """Draw the length of the shortest step against the sparsity [P], beside how far training has come."""
    ax.plot(shares.tolist(), lengths.tolist(), **style("mp", marker=""))
    ax.axhline(training, color=HIGHLIGHT, linewidth=1.2)
    ax.axhline(size, color=GUIDE, linewidth=1.2, linestyle=":")
    for height, text in ((training, "all of the training"), (size, "‖θ‖: no weight left")):
        ax.annotate(text, (0.01, height), (0, 3), textcoords="offset points", color=MUTED)
    ax.xaxis.set_major_formatter(lambda share, _: f"{100 * share:.0f} %")
    ax.set(xlim=(0, 1), ylim=(0, 1.12 * size), xlabel="sparsity", ylabel="length of the shortest step")
    ax.grid()
    return ax


def corners(axes: tuple[Axes, Axes], steps: Tensor, after: Tensor, on_line: Tensor) -> None:
    """Draw how far stages lead from the start, and the loss after each beside that on the straight line, equally far.

    Parameters
    ----------
    steps : [stages], length of each stage's step; they are at right angles to each other
    after, on_line : [stages], losses
    """
    left, right = axes
    walked, away = steps.cumsum(0), steps.square().cumsum(0).sqrt()
    longest = walked[-1].item()
    left.plot([0, longest], [0, longest], color=GUIDE, linewidth=1, linestyle=":")
    left.annotate(
        "if all went the same way", (0.35 * longest, 0.35 * longest), (6, -4), textcoords="offset points", color=MUTED
    )
    left.plot([0, *walked.tolist()], [0, *away.tolist()], "-o", color=_QM, markerfacecolor=CARD)
    left.set(xlim=(0, 1.03 * longest), ylim=(0, 0.5 * longest), xlabel="length walked", ylabel="distance from θ")
    right.plot(away.tolist(), on_line.tolist(), **style("qm", marker="", label="on the straight line"))
    right.plot(away.tolist(), after.tolist(), "o", color=_QM, markerfacecolor=CARD, label="after each stage")
    right.set(xlim=(0, None), ylim=(0, None), xlabel="distance from θ", ylabel="loss (nats)")
    right.legend(loc="upper left")
    for ax in axes:
        ax.grid()
