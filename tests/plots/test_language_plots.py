"""Figures of the language model: what is asked for can be read off, and what a line means is said."""

from __future__ import annotations

import pytest
import torch
from matplotlib.figure import Figure

from lossprune_lib import results
from lossprune_lib.plots import language


def test_the_largest_input_is_marked_and_kinds_are_told_apart_by_lines() -> None:
    norms = {"a.query": torch.tensor([0.5, 1.0, 2.0]), "a.down": torch.tensor([0.2, 1.0, 4.42])}
    ax = language.input_sizes(Figure().add_subplot(), norms)
    assert [text.get_text() for text in ax.texts] == ["largest: 4.4"]
    assert ax.texts[0].xy == pytest.approx((1, 4.42))
    dot = ax.lines[-1]
    assert dot.get_xydata().tolist() == [[1, pytest.approx(4.42)]]
    assert ax.get_xlim()[1] > 1
    said = dict(
        zip([text.get_text() for text in ax.get_legend().get_texts()], ax.get_legend().get_lines(), strict=True)
    )
    assert {name: line.get_color() for name, line in said.items()} == {
        "query, key, value": language._KINDS["query"][0],
        "down": language._KINDS["down"][0],
    }


def test_losses_stand_beside_the_network_that_was_pruned_and_say_where_they_begin() -> None:
    table = results.losses(results.language_model())
    plain = table[(table["shares"] == "") & (table["scope"] != "2:4")]
    ax = language.losses(Figure().add_subplot(), plain, dense=1.21)
    assert list(ax.lines[0].get_ydata()) == [1.21, 1.21]
    assert "nothing pruned" in [text.get_text() for text in ax.texts]
    assert ax.get_ylim()[0] == 1
    assert ax.get_ylabel().endswith("from 1 up")
