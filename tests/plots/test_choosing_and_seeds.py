"""Figures of who is fooled by a model, of groups of weights in order, and of what several seeds say."""

from __future__ import annotations

import math

import pandas as pd
from matplotlib.figure import Figure

from lossprune_lib import results
from lossprune_lib.plots import choosing, seeds


def test_the_actual_change_is_a_bar_and_predictions_are_marks_on_it() -> None:
    table = pd.DataFrame({"true_change": [2.0, 0.5], "diagonal": [1.5, 0.01], "hessian": [1.9, 0.45]}, ["mp", "qm"])
    ax = choosing.predicted_by_chooser(Figure().add_subplot(), table)
    assert [bar.get_width() for bar in ax.patches] == [2.0, 0.5]
    assert [line.get_xdata().tolist() for line in ax.lines] == [[1.5, 0.01], [1.9, 0.45]]
    assert [text.get_text().strip() for text in ax.texts] == ["diagonal predicts 75 %", "diagonal predicts 2 %"]
    assert "nats" in ax.get_xlabel()


def test_groups_that_lower_the_loss_are_left_out_of_a_logarithmic_scale() -> None:
    costs = pd.DataFrame({"actual": [-0.1, 0.2, 2.0], "predicted": [0.01, -0.1, 1.0]}, [1, 2, 3])
    ax = choosing.groups_in_order(Figure().add_subplot(), costs)
    actual, predicted = (line.get_ydata().tolist() for line in ax.lines)
    assert math.isnan(actual[0])
    assert actual[1:] == [0.2, 2.0]
    assert math.isnan(predicted[1])
    assert ax.get_yscale() == "log"


def test_differences_show_each_seed_and_an_interval_only_with_enough_of_them() -> None:
    four, three = (
        results.paired(pd.Series(values), pd.Series(0.0, range(len(values))))
        for values in ([-1.0, -2.0, -3.0, -2.0], [1.0, 2.0, 0.0])
    )
    ax = seeds.differences(Figure().add_subplot(), {"many": four, "few": three})
    drawn = [line.get_xdata() for line in ax.lines[1:]]
    assert [len(values) for values in drawn] == [4, 2, 1, 3, 1]
    assert list(drawn[1]) == [four.low, four.high]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["many", "few"]


def test_masks_and_losses_stand_side_by_side() -> None:
    rows = {"criterion": ["qm", "obd"], "step_penalty": [0.0, 0.01], "overlap": [0.2, 0.9], "move": [0.1, 0.02]}
    ends = {f"{name}_{end}": [0.1, 0.2] for name in ("overlap", "move") for end in ("low", "high")}
    left, right = Figure().subplots(1, 2)
    seeds.masks_and_losses((left, right), pd.DataFrame({**rows, **ends, "distance": [0.4, 0.5]}))
    assert [label.get_text() for label in left.get_yticklabels()] == ["QM, λ = 0", "OBD, λ = 0.01"]
    assert [line.get_xdata()[0] for line in right.lines if line.get_marker() == "|"] == [0.4, 0.5]
