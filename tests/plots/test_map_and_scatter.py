"""The map of methods since 1990, and the scatter of a fine-tuned study."""

from __future__ import annotations

import itertools

import pytest
from matplotlib.figure import Figure

from lossprune_lib import results
from lossprune_lib.plots import family, fine_tuning
from lossprune_lib.plots.style import in_style


def test_the_map_has_every_method_and_no_two_boxes_overlap() -> None:
    with in_style():
        figure = Figure(figsize=(8.8, 4.4), layout="constrained")
        ax = family.family(figure.add_subplot())
        figure.canvas.draw()
    names = {f"{method.name} {method.source.split()[-1]}" for method in family.METHODS}
    boxes = [text.get_window_extent().padded(3) for text in ax.texts if text.get_text() in names]
    assert len(boxes) == len(family.METHODS)
    assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))
    assert all(ax.get_window_extent().containsx(box.x0) for box in boxes)


def test_each_method_is_described_by_the_words_of_the_map() -> None:
    table = family.table()
    assert set(table["models"]) <= set(family.MODELS)
    assert set(table["curvature"]) <= {"none", "diagonal", "pairs"}
    assert {"OBC", "SynFlow"} <= set(table.index)
    years = [int(source.split()[-1]) for source in table["source"]]
    assert years == sorted(years)
    assert set(table.index[table["others"] == "changed"]) == {"OBS", "WoodFisher", "OBC", "SparseGPT"}
    assert (table["matrix"] == "").equals(table["curvature"] == "none")


@pytest.mark.parametrize("chosen", ["qm", "mp"])
def test_the_few_runs_of_magnitude_lie_on_top_of_the_others(chosen: str) -> None:
    table = results.load("digits")
    lines = fine_tuning.frame(Figure().subplots(1, 2), table)
    fine_tuning.place(lines, results.views(table)[0.95, 14], chosen)
    runs = {name: line for name, line in lines.items() if name.endswith(" runs")}
    top = max(runs, key=lambda name: runs[name].get_zorder())
    assert top == "mp runs"
    assert runs[top].get_markerfacecolor() == runs[top].get_color()
    assert len(runs[top].get_xdata()) == table["seed"].nunique()
