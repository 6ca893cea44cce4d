"""Figures of a network that breaks: counts, probabilities and changes are those that were given."""

from __future__ import annotations

import pytest
import torch
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from lossprune_lib.plots import breaking
from lossprune_lib.plots.style import HIGHLIGHT


def test_confusion_counts_each_pair_and_leaves_empty_cells_blank() -> None:
    labels, answers = torch.tensor([0, 0, 0, 1, 2, 2]), torch.tensor([0, 0, 2, 1, 0, 2])
    ax = breaking.confusion(Figure().add_subplot(), labels, answers, 3)
    assert ax.images[0].get_array().tolist() == [[2, 0, 1], [0, 1, 0], [1, 0, 1]]
    written = {text.get_position(): text.get_text() for text in ax.texts}
    assert written == {(0, 0): "2", (2, 0): "1", (1, 1): "1", (0, 2): "1", (2, 2): "1"}
    assert "network" in ax.get_xlabel()


def test_the_right_class_stands_out_among_the_probabilities() -> None:
    ax = breaking.probabilities(Figure().add_subplot(), torch.tensor([0.1, 0.7, 0.2]), 1)
    assert [bar.get_height() for bar in ax.patches] == pytest.approx([0.1, 0.7, 0.2])
    colours = [bar.get_facecolor() for bar in ax.patches]
    assert colours[0] == colours[2] != colours[1]
    assert colours[1] == to_rgba(HIGHLIGHT)


@pytest.mark.parametrize(
    ("answer", "classes", "side"),
    [(0, 10, "left"), (4, 10, "center"), (9, 10, "right"), (1, 3, "left"), (2, 3, "right")],
)
def test_the_answer_is_written_over_its_bar_and_within_the_axes(answer: int, classes: int, side: str) -> None:
    shares = torch.full((classes,), 0.1)
    shares[answer] += 1e-3
    (said,) = breaking.probabilities(Figure().add_subplot(), shares, 1).texts
    assert said.get_text() == f"says {answer}"
    assert said.xy == pytest.approx((answer, 0.101))
    assert said.get_horizontalalignment() == side


def test_removals_are_drawn_in_thousandths_on_their_side_of_zero() -> None:
    sizes, changes = torch.tensor([0.1, 0.2, 0.3]), torch.tensor([0.002, -0.001, 0.004])
    ax = breaking.removals(Figure().add_subplot(), sizes, changes)
    up, down = ax.lines[:2]
    assert up.get_ydata().tolist() == pytest.approx([2, 4])
    assert up.get_xdata().tolist() == pytest.approx([0.1, 0.3])
    assert down.get_ydata().tolist() == pytest.approx([-1])
    assert up.get_marker() != down.get_marker()
    assert "thousandths of a nat" in ax.get_ylabel()
