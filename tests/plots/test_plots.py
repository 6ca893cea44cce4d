"""Figures: labelled axes, units, and a look of its own for every criterion."""

from __future__ import annotations

import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from lossprune_lib import data, plots
from lossprune_lib.plots import landscape as landscape_plots
from lossprune_lib.pruning.criteria import CRITERIA
from lossprune_lib.pruning.layerwise import SPARSEGPT, WANDA


def test_every_criterion_has_its_own_colour_line_and_marker() -> None:
    assert set(plots.STYLES) == {*CRITERIA, WANDA.name, SPARSEGPT.name}
    for part in ("color", "linestyle", "marker", "label"):
        assert len({str(style[part]) for style in plots.STYLES.values()}) == len(plots.STYLES)


def test_an_unknown_criterion_is_drawn_under_its_own_name() -> None:
    assert plots.style("mine")["label"] == "mine"
    assert plots.style("qm", marker=None)["marker"] is None


@pytest.mark.parametrize(("column", "label"), [("accuracy", "accuracy"), ("loss", "loss (nats)")])
def test_pruning_curve_draws_the_table(column: str, label: str) -> None:
    table = pd.DataFrame({"sparsity": [0, 0.5, 0.9], "accuracy": [1, 0.9, 0.2], "loss": [0.1, 0.3, 2]})
    ax = plots.pruning_curve(Figure().add_subplot(), table, column)
    assert ax.get_ylabel() == label
    assert "sparsity" in ax.get_xlabel()
    assert ax.lines[0].get_ydata().tolist() == table[column].tolist()
    line, point = plots.here(ax)
    assert len(ax.lines) == 3
    point.set_data([0.5], [0.9])
    line.set_xdata([0.5])


def test_examples_and_bars(digits: data.Task) -> None:
    axes = plots.examples(Figure().subplots(1, 3), digits.x_test[:3], ["a", "b", "c"])
    assert [ax.get_title() for ax in axes] == ["a", "b", "c"]
    assert axes[1].images[0].get_array().shape == (8, 8)
    ax = plots.bars(Figure().add_subplot(), pd.Series({"one": 0.25, "two": 0.5}), "share")
    assert [bar.get_width() for bar in ax.patches] == [0.25, 0.5]
    assert ax.get_xlabel() == "share"
    assert not ax.lines


def test_bars_of_criteria_have_their_colours_and_end_at_their_values() -> None:
    ax = plots.bars(Figure().add_subplot(), pd.Series({"one": 0.25, "two": 0.5}), "share", ["mp", "qm"])
    for bar, criterion in zip(ax.patches, ("mp", "qm"), strict=True):
        assert to_hex(bar.get_facecolor()) == plots.style(criterion)["color"].lower()
    assert [bar.get_width() for bar in ax.patches] == [0.25, 0.5]
    assert not ax.lines  # a marker at the end would lengthen the bar
    with pytest.raises(ValueError, match="one for each bar"):
        plots.bars(Figure().add_subplot(), pd.Series({"one": 0.25, "two": 0.5}), "share", ["mp"])


def test_lengths_of_criteria_have_their_looks_and_others_none_of_these() -> None:
    values = pd.Series({"training": 4.6, "MP, 50 %": 6.3})
    training, mp = landscape_plots.lengths(Figure().add_subplot(), values, {"MP, 50 %": "mp"}).lines
    assert (mp.get_color(), mp.get_marker()) == (plots.style("mp")["color"], plots.style("mp")["marker"])
    looks = [plots.style(name) for name in CRITERIA]
    assert training.get_color() not in [look["color"] for look in looks]
    assert training.get_marker() not in [look["marker"] for look in looks]


def test_layers_without_images_are_drawn_as_rows(trained, digits: data.Task) -> None:
    weight = trained.fc2.weight.detach()
    ax = plots.kept_weights(Figure().add_subplot(), weight, weight > 0, (300,))
    assert ax.images[0].get_array().shape == (8 * 2 - 1, 8 * 301 - 1)
