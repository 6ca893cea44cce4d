"""Predicted beside actual changes, stage by stage, and the causes of error: what is drawn is what the tables say."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure

from lossprune_lib import results
from lossprune_lib.plots import by_stage, choosing, landscape, locality, taylor
from lossprune_lib.plots.style import INK, style
from lossprune_lib.pruning import schedules
from lossprune_lib.pruning.by_stage import CAUSES


def test_each_run_has_a_panel_with_sums_over_its_stages() -> None:
    one = pd.DataFrame({"sparsity": [0.5, 0.8], "true_change": [1, 3], "diagonal": [0.5, 0.5], "hessian": [1, 2.8]})
    other = one.assign(true_change=[0.5, 0.5])
    axes = Figure(figsize=(9, 3)).subplots(1, 2)
    by_stage.stage_by_stage(axes, {"MP": one, "QM": other})
    assert [ax.get_title() for ax in axes] == ["MP", "QM"]
    assert axes[0].get_ylim() == axes[1].get_ylim()
    _, actual, diagonal, hessian = axes[0].lines
    assert actual.get_xydata().tolist() == [[0, 0], [0.5, 1], [0.8, 4]]
    assert diagonal.get_ydata().tolist() == [0, 0.5, 1]
    assert diagonal.get_color() == taylor.order_style("diagonal")["color"]
    assert hessian.get_ydata()[-1] == pytest.approx(3.8)
    assert {text.get_text() for text in axes[0].texts} == {"actual 4.00", "diagonal GGN 25 %", "full Hessian 95 %"}


def test_causes_are_drawn_by_their_size() -> None:
    table = pd.DataFrame([[1.0, -0.1, 0.2], [0.1, 0.3, -0.2]], index=[1, 14], columns=list(CAUSES))
    ax = by_stage.causes_by_stages(Figure().add_subplot(), table)
    assert [line.get_ydata().tolist() for line in ax.lines] == [[1, 0.1], [0.1, 0.3], [0.2, 0.2]]
    assert {text.get_text() for text in ax.texts} == set(CAUSES)
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["1", "14"]


def test_errors_of_networks_are_drawn_with_their_intervals_on_one_scale() -> None:
    found = results.errors_by_stages()
    networks = {str(name): part for name, part in found.groupby("network", sort=False)}
    axes = Figure().subplots(1, len(networks))
    by_stage.errors_by_stages(axes, networks)
    (limits,) = {ax.get_ylim() for ax in axes}
    assert limits == pytest.approx((0, 1.05 * found["high"].max()))
    assert [ax.get_title() for ax in axes] == list(networks)
    for ax, part in zip(axes, networks.values(), strict=True):
        assert ax.get_legend_handles_labels()[1] == list(CAUSES)
        for (_, of), drawn in zip(part.groupby("cause", sort=False), ax.containers, strict=True):
            line, _, (bars,) = drawn.lines
            assert line.get_ydata().tolist() == of["mean"].tolist()
            ends = [segment[:, 1].tolist() for segment in bars.get_segments()]
            assert ends == [pytest.approx(pair) for pair in of[["low", "high"]].to_numpy().tolist()]


def test_errors_of_few_networks_have_no_bars() -> None:
    table = pd.read_csv(Path(__file__).parents[2] / "data" / "results" / "predictions" / "predictions.csv")
    found = results.errors_by_stages(table[table["seed"] < 1113].query("network == 'digits'"))
    assert found["low"].isna().all()
    ax = Figure().add_subplot()
    by_stage.errors_by_stages([ax], {"digits": found})
    assert ax.get_ylim() == pytest.approx((0, 1.05 * found["mean"].max()))
    assert all(line.get_xydata().shape == (6, 2) for line in ax.lines[::3])


@pytest.mark.parametrize(("built", "chosen"), [(0.0, 0.8), (0.89, 0.9), (0.5, 0.6), (0.985, 0.99)])
def test_a_short_last_stage_is_enlarged(built: float, chosen: float) -> None:
    low, high = taylor.window(built, chosen)
    assert 0 <= low <= built < chosen <= high <= 1
    assert (chosen - built) / (high - low) > 0.35


def test_slices_are_labelled_at_their_ends() -> None:
    ax = landscape.frame(Figure().add_subplot(), 1, 2)
    at = torch.linspace(0, 1, 3)
    landscape.slices_by_sparsity(ax, at, {0.5: at, 0.9: 1.5 * at}, "mp")
    assert [text.get_text() for text in ax.texts] == ["50 %", "90 %"]
    ax = landscape.slices(landscape.frame(Figure().add_subplot(), 1, 2), at, {"qm": at, "gradient": 9 * at})
    leaving, ending = ax.texts  # the gradient's end is out of sight: its label is where it leaves
    assert (leaving.get_text(), ending.get_text()) == ("gradient, uphill", "QM, quadratic model")
    across, height = leaving.xy
    assert height == pytest.approx(1.9)
    assert across == pytest.approx(1.9 / 9)
    ax = landscape.slices(landscape.frame(Figure().add_subplot(), 1, 2), at, {"qm": 5 * at, "gradient": 9 * at})
    assert [text.get_text() for text in ax.texts] == ["QM, quadratic model", "gradient, uphill"]


def test_shares_by_chooser_are_the_tables() -> None:
    found = results.predictions()
    found = found[found["network"] == "digits"]
    ax = choosing.shares_by_chooser(Figure().add_subplot(), found)
    diagonal, hessian = (container.lines[0].get_xdata() for container in ax.containers)
    of = found.set_index("what")["mean"]
    for row, chooser in enumerate(("random", "MP", "OBD", "LM", "QM")):
        assert diagonal[row] == pytest.approx(100 * of[f"share by the diagonal, {chooser} in 14 stages"])
        assert hessian[row] == pytest.approx(100 * of[f"share by the full Hessian, {chooser} in 14 stages"])
    assert ax.get_yticklabels()[0].get_text().lower().startswith("random")
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # the first chooser is at the top


def test_shares_above_one_stay_in_sight_on_axes_that_share_theirs() -> None:
    found = dict(iter(results.predictions().groupby("network")))
    axes = Figure().subplots(1, 2, sharex=True)
    for ax, name in zip(axes, ("cifar10_vgg_100_epochs", "digits"), strict=True):
        choosing.shares_by_chooser(ax, found[name])
    of = found["cifar10_vgg_100_epochs"]
    highest = 100 * of.loc[of["what"].str.endswith("in 14 stages") & of["what"].str.startswith("share"), "high"].max()
    assert axes[1].get_xlim()[1] > highest > 112


def test_schedules_that_end_at_one_point_are_named_by_a_legend_there() -> None:
    axes = Figure(figsize=(9, 3)).subplots(1, 2)
    locality.schedule_curves(axes, 1000, 0.9, stages=5)
    assert {text.get_text() for text in axes[0].get_legend().get_texts()} == set(schedules.SCHEDULES)
    assert not axes[0].texts
    assert {text.get_text() for text in axes[1].texts} == set(schedules.SCHEDULES)


@pytest.mark.parametrize("criterion", ["qm", "obd", "lm"])
def test_what_happens_is_black_and_what_is_predicted_has_the_criterions_colour(criterion: str) -> None:
    trace = pd.DataFrame({"sparsity": [0.5, 0.9], "true_change": [0.1, 0.4], "predicted_change": [0.1, 0.0]})
    actual, predicted = locality.predicted_and_actual(Figure().add_subplot(), trace, criterion)
    assert actual.get_color() == INK
    assert predicted.get_color() == style(criterion)["color"]
    assert predicted.get_linewidth() < actual.get_linewidth()
