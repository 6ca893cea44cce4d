"""The sliders of notebook 04: what is drawn and said is what the table has, in one figure."""

from __future__ import annotations

import asyncio
import itertools

import ipywidgets
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from study_tables import table

from lossprune_lib import results, widgets
from lossprune_lib.plots import fine_tuning

SMALL = table(
    {("mp", 1, 0): [3.0, 4.0], ("qm", 1, 0): [2.0, 3.0], ("qm", 14, 0): [-1.0, 2.0], ("qm", 14, 1e-3): [1.5, 2.5]},
    {("mp", 1, 0): [9.0, 8.0], ("qm", 1, 0): [3.0, 4.0], ("qm", 14, 0): [2.0, 4.0], ("qm", 14, 1e-3): [1.0, 1.6]},
)


@pytest.fixture(scope="module")
def digits_table() -> pd.DataFrame:
    return results.load("digits")


@pytest.fixture(scope="module")
def slider(digits_table: pd.DataFrame) -> widgets.Sliders:
    return widgets.fine_tuning_slider(digits_table)


def move(slider: widgets.Sliders, **values: object) -> str:
    for name, value in values.items():
        slider.controls[name].value = value
    assert not slider.message.value, slider.message.value
    return slider.picture.alt


def lines(slider: widgets.Sliders, panel: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    drawn = slider.picture.canvas.figure.axes[panel].lines
    return {str(line.get_label()): (np.asarray(line.get_xdata()), np.asarray(line.get_ydata())) for line in drawn}


def test_it_starts_in_the_middle_with_most_stages(slider: widgets.Sliders) -> None:
    assert slider.picture.alt.startswith("95 % pruned in 140 stages, 140 runs. QM changes the loss")
    kinds = {name: type(control) for name, control in slider.controls.items()}
    assert kinds == {
        "sparsity": ipywidgets.SelectionSlider,
        "stages": ipywidgets.SelectionSlider,
        "criterion": ipywidgets.ToggleButtons,
    }


@pytest.mark.parametrize(("sparsity", "stages", "criterion"), [(0.9, 1, "obd"), (0.98, 14, "lm"), (0.95, 140, "mp")])
def test_what_is_drawn_and_said_is_in_the_table(
    slider: widgets.Sliders, digits_table: pd.DataFrame, sparsity: float, stages: int, criterion: str
) -> None:
    text = move(slider, sparsity=sparsity, stages=stages, criterion=criterion)
    of_one = digits_table[digits_table["sparsity"] == sparsity]
    shown = of_one[(of_one["stages"] == stages) | (of_one["criterion"] == "mp")]
    gaps = 100 * (shown["tuned_valid_error"] - shown["dense_valid_error"])
    shown = shown.assign(change=shown["true_change"].abs(), gap=gaps)
    assert f" {len(shown)} runs. " in text
    means = shown.groupby(["criterion", "step_penalty"])[["change", "gap", "density.fc2"]].mean()
    (name, penalty), best = means["gap"].idxmin(), means.loc[means["gap"].idxmin()]
    assert f"{name.upper()} has the smallest gap, at λ = {penalty:g}: {best['gap']:.1f} points" in text
    kept = means.loc[criterion].sort_values("change").iloc[0]
    assert f"by {kept['change']:.2f} nats, with a gap of {kept['gap']:.1f} percentage points" in text
    label = {"obd": "OBD", "lm": "LM, linear model", "mp": "MP, magnitude"}[criterion]
    mine = shown[shown["criterion"] == criterion]
    x, y = lines(slider, 0)[label]
    assert sorted(x) == pytest.approx(sorted(mine["change"]))
    assert sorted(y) == pytest.approx(sorted(mine["gap"]))
    assert lines(slider, 1)[label][1][1] == pytest.approx(kept["density.fc2"])


def test_the_chosen_criterion_is_filled_and_thick(slider: widgets.Sliders) -> None:
    for criterion in ("lm", "qm"):
        move(slider, criterion=criterion)
        points, kept = (slider.picture.canvas.figure.axes[i].lines for i in (0, 1))
        filled = [str(line.get_label())[:2].lower() for line in points if line.get_markerfacecolor() != "none"]
        thick = [str(line.get_label())[:2].lower() for line in kept if line.get_linewidth() > 2]
        assert criterion in filled
        assert thick == [criterion]


def test_everything_lies_within_the_axes(slider: widgets.Sliders) -> None:
    for sparsity, stages in itertools.product((0.9, 0.95, 0.98), (1, 14, 140)):
        move(slider, sparsity=sparsity, stages=stages)
        for ax in slider.picture.canvas.figure.axes:
            for line in ax.lines:
                y = np.asarray(line.get_ydata(), dtype=float)
                assert ((y >= ax.get_ylim()[0]) & (y <= ax.get_ylim()[1])).all()


def test_moves_leave_one_figure(slider: widgets.Sliders) -> None:
    figure = slider.picture.canvas.figure
    before = [len(ax.lines) for ax in figure.axes]
    for i in range(9):  # each place
        slider.controls["sparsity"].index, slider.controls["stages"].index = i % 3, i // 3 % 3
    assert slider.picture.canvas.figure is figure
    assert [len(ax.lines) for ax in figure.axes] == before
    assert slider.picture.html.value.count("<img") == 1


def test_with_a_kernel_the_last_move_is_shown() -> None:
    async def moves() -> str:
        slider = widgets.fine_tuning_slider(SMALL, start=(0.9, 1, "qm"))
        slider.controls["stages"].value = 14
        slider.controls["criterion"].value = "mp"
        await asyncio.sleep(0.01)
        assert not slider.message.value
        return slider.picture.alt

    assert asyncio.run(moves()).startswith("90 % pruned in 14 stages, 6 runs")


def test_numbers_by_hand() -> None:
    slider = widgets.fine_tuning_slider(SMALL)
    assert isinstance(slider.controls["sparsity"], ipywidgets.Dropdown)  # a slider needs two places
    assert slider.picture.alt == (
        "90 % pruned in 14 stages, 6 runs. "
        "QM changes the loss least at λ = 0: by 1.50 nats, with a gap of 3.0 percentage points; "
        "it keeps fc1 5 %, fc2 25 %. QM has the smallest gap, at λ = 0.001: 1.3 points, "
        "with a loss change of 2.00 nats."
    )


def test_what_was_not_run_is_said() -> None:
    other = table({("qm", 1, 0): [1.0, 2.0]}, {("qm", 1, 0): [1.0, 2.0]}, sparsity=0.5)
    slider = widgets.fine_tuning_slider(pd.concat([SMALL, other]), start=(0.5, 1, "qm"))
    assert move(slider, stages=14) == "50 % pruned in 14 stages: not run."
    assert move(slider, criterion="mp", stages=1).startswith("50 % pruned in 1 stage: MP was not run.")


def test_a_study_without_fine_tuning_is_refused() -> None:
    with pytest.raises(ValueError, match="not fine-tuned"):
        widgets.fine_tuning_slider(table({("qm", 1, 0): [1.0]}))


def test_the_static_drawing_is_the_same(slider: widgets.Sliders, digits_table: pd.DataFrame) -> None:
    move(slider, sparsity=0.95, stages=14, criterion="qm")
    axes = Figure().subplots(1, 2)
    titles = fine_tuning.place(fine_tuning.frame(axes, digits_table), results.views(digits_table)[0.95, 14], "qm")
    live = slider.picture.canvas.figure.axes
    assert titles == tuple(ax.get_title("left") for ax in live)
    for ax, other in zip(axes, live, strict=True):
        drawn, shown = ([list(line.get_ydata()) for line in each.lines] for each in (ax, other))
        assert drawn == shown
        assert ax.get_ylim() == other.get_ylim()


def test_the_star_is_named_and_thin_lines_lie_above_the_thick_one(slider: widgets.Sliders) -> None:
    text = move(slider, sparsity=0.95, stages=140, criterion="qm")
    right = slider.picture.canvas.figure.axes[1]
    star = right.get_title("left").splitlines()[-1]
    assert star == "star: OBD, λ = 0.0001"
    assert "OBD has the smallest gap, at λ = 0.0001" in text
    drawn = [line for line in slider.picture.moving if line in right.lines]
    widths = {str(line.get_label()): line.get_linewidth() for line in drawn}
    assert next(iter(widths)).startswith("QM")
    assert widths.pop(next(iter(widths))) > max(widths.values())
