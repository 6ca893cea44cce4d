"""Direct labels: each at the end of its line, in its colour, and none over another."""

from __future__ import annotations

import itertools

import matplotlib
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from lossprune_lib import plots
from lossprune_lib.plots.style import _apart, in_style, signed


@pytest.mark.parametrize("ends", [[1.0, 1.0, 1.0], [0.1, 0.5, 0.9], [0.0, 0.02, 0.9, 0.91]])
def test_labels_keep_apart_in_the_order_of_their_lines(ends: list[float]) -> None:
    ax = Figure(figsize=(5, 3)).add_subplot()
    for i, end in enumerate(ends):
        ax.plot([0, 1], [0.5, end], label=f"line {i}", color=f"C{i}")
    ax.set_ylim(0, 1)
    plots.label_lines(ax)
    canvas = FigureCanvasAgg(ax.figure)
    canvas.draw()
    boxes = [text.get_window_extent(canvas.get_renderer()) for text in ax.texts]
    assert [text.get_text() for text in ax.texts] == [f"line {i}" for i in range(len(ends))]
    assert all(above.y0 >= below.y1 - 1 for below, above in itertools.pairwise(boxes))
    assert all(box.x0 > ax.get_window_extent().x1 for box in boxes)
    assert [text.get_color() for text in ax.texts] == [plots.ink(f"C{i}") for i in range(len(ends))]


def test_no_label_reaches_below_the_axes() -> None:
    ax = Figure(figsize=(5, 3)).add_subplot()
    ends = [0.0, 0.01, 0.02, 0.7]
    for i, end in enumerate(ends):
        ax.plot([0, 1], [0.5, end], label=f"line {i}")
    ax.set_ylim(0, 1)
    plots.label_lines(ax)
    canvas = FigureCanvasAgg(ax.figure)
    canvas.draw()
    boxes = [text.get_window_extent(canvas.get_renderer()) for text in ax.texts]
    assert all(box.y0 >= ax.get_window_extent().y0 for box in boxes)
    assert all(above.y0 >= below.y1 - 1 for below, above in itertools.pairwise(boxes))
    assert ax.texts[-1].xy == pytest.approx((1, 0.7))


def test_a_label_that_is_alone_stands_at_the_end_of_its_line() -> None:
    ax = Figure().add_subplot()
    (line,) = ax.plot([1, 10, 100], [3, 30, 300])
    ax.set(xscale="log", yscale="log", ylim=(1, 10_000))
    plots.label_lines(ax, {line: "three hundred"})
    assert ax.texts[0].xy == pytest.approx((1, np.log10(300) / 4))
    plots.label_lines(ax, {ax.axhline(100): "a level"})
    assert ax.texts[1].xy == pytest.approx((1, 0.5))


def test_no_labels_are_none_and_not_those_of_all_lines() -> None:
    ax = Figure().add_subplot()
    ax.plot([0, 1], [0, 1], label="a line")
    assert not plots.label_lines(ax, {}).texts
    assert len(plots.label_lines(ax).texts) == 1


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_labels_follow_when_axes_get_other_limits(scale: str) -> None:
    """Of themselves, or from those that share them: the first has its labels before the second is drawn."""
    figure = Figure(figsize=(6, 3))
    axes = figure.subplots(1, 2, sharey=True)
    for ax, top in zip(axes, (20.0, 300.0), strict=True):
        lines = [ax.plot([1, 2, 3], [1, end / 2, end])[0] for end in (top / 15, top)]
        ax.set_yscale(scale)
        plots.label_lines(ax, dict.fromkeys(lines, "a label"))
    FigureCanvasAgg(figure).draw()
    for ax in axes:
        ends = [ax.transData.transform(line.get_xydata()[-1]) for line in ax.lines]
        assert [text.xy[1] for text in ax.texts][1] == pytest.approx(
            ax.transAxes.inverted().transform(ends[1])[1], abs=0.04
        )


def test_labels_move_as_little_as_may_be() -> None:
    assert _apart([0.1, 0.5], 0.2) == [0.1, 0.5]
    assert _apart([0.5, 0.5], 0.2) == pytest.approx([0.4, 0.6])
    assert _apart([0.1, 0.5, 0.5, 0.9], 0.2) == pytest.approx([0.1, 0.4, 0.6, 0.9])
    assert _apart([], 0.2) == []


def test_only_who_asks_for_it_draws_cards() -> None:
    before = matplotlib.rcParams["figure.facecolor"]
    with in_style():
        assert Figure().get_facecolor() == matplotlib.colors.to_rgba(plots.CARD)
    assert matplotlib.rcParams["figure.facecolor"] == before
    with matplotlib.rc_context():
        plots.use_style()
        assert Figure().get_facecolor() == matplotlib.colors.to_rgba(plots.CARD)


def test_numbers_have_signs_and_zero_is_never_below_zero() -> None:
    assert [signed(value) for value in (1.234, -0.5, -0.001)] == ["+1.23", "\N{MINUS SIGN}0.50", "+0.00"]
