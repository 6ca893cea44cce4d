"""Figures of walks: true lengths and angles, and losses where they were measured."""

from __future__ import annotations

import pytest
import torch
from matplotlib.figure import Figure

from lossprune_lib.plots import walks

FIRST, SECOND = torch.tensor([3.0, 0.0, 0.0]), torch.tensor([3.0, 4.0, 0.0])
AT, LOSSES = torch.tensor([-1.0, 2.0, 5.0]), torch.rand(3, 3, generator=torch.Generator().manual_seed(0))


def ends(ax: object) -> list[tuple[float, float]]:
    """Where the dots of theta, MP and QM lie."""
    dots = [line for line in ax.lines if len(line.get_xdata()) == 1]  # type: ignore[attr-defined]
    return [(float(dot.get_xdata()[0]), float(dot.get_ydata()[0])) for dot in dots]


def test_steps_are_seen_from_above_in_true_lengths_and_angles() -> None:
    ax = walks.seen_from_above(Figure().add_subplot(), FIRST, SECOND, AT, LOSSES)
    assert ends(ax) == [pytest.approx(place) for place in ((0, 0), (3, 0), (3, 4))]
    assert ax.get_aspect() == 1
    assert ax.get_xlim() == ax.get_ylim() == (-1, 5)


def test_reach_compares_the_shortest_steps_with_training() -> None:
    ax = walks.reach(Figure().add_subplot(), torch.tensor([0.0, 1.0]), torch.tensor([0.0, 9.0]), 4.0, 9.0)
    assert [line.get_ydata()[0] for line in ax.lines] == [0, 4, 9]
    assert {text.get_text() for text in ax.texts} == {"all of the training", "‖θ‖: no weight left"}


def test_corners_add_up_as_the_sides_of_a_box() -> None:
    left, right = Figure().subplots(1, 2)
    walks.corners((left, right), torch.tensor([3.0, 4.0, 12.0]), torch.tensor([0.1, 0.2, 0.3]), torch.ones(3))
    assert left.lines[1].get_xdata().tolist() == [0, 3, 7, 19]
    assert left.lines[1].get_ydata().tolist() == pytest.approx([0, 3, 5, 13])
    assert [line.get_xdata().tolist() for line in right.lines] == [pytest.approx([3, 5, 13])] * 2
    assert right.lines[1].get_ydata().tolist() == pytest.approx([0.1, 0.2, 0.3])
