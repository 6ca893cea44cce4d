"""The slider of notebook 02."""

from __future__ import annotations

import asyncio

import pytest

from lossprune_lib import widgets
from lossprune_lib.pruning import ranking
from lossprune_lib.seeds import generator
from lossprune_lib.widgets.taylor import GRID, STAGES


@pytest.fixture(scope="module")
def batch(digits):
    return digits.sample(1000, generator(0, "batch", 1))


@pytest.fixture(scope="module")
def slider(trained, digits) -> widgets.Sliders:
    return widgets.taylor_slider(trained, digits)


def move(slider: widgets.Sliders, **values: object) -> str:
    for name, value in values.items():
        slider.controls[name].value = value
    assert not slider.message.value
    return slider.picture.alt


def lines(slider: widgets.Sliders) -> dict[str, tuple[list[float], list[float]]]:
    drawn = slider.picture.canvas.figure.axes[0].lines
    return {line.get_label(): (list(line.get_xdata()), list(line.get_ydata())) for line in drawn}


# --- the slider ---------------------------------------------------------------------------------------------------


def test_it_says_and_draws_what_is_measured(slider, trained, digits, batch) -> None:
    alt = move(slider, order="diagonal", stages=1, sparsity=0.8)
    path = ranking.path(trained, digits, batch)
    assert f"The loss changes by {path.true_change(0.8):+.3g} nats" in alt
    for name, order in (("1st order", "first"), ("2nd, diagonal", "diagonal"), ("2nd, full Hessian", "hessian")):
        assert f"{name} {path.predicted_change(0.8, order):+.3g}" in alt
    assert f"sum of saliencies {path.saliency_sum(0.8):.3g}" in alt
    across, values = lines(slider)["actual change"]
    assert across == pytest.approx([0.0, *GRID])
    assert values[across.index(0.8)] == pytest.approx(path.true_change(0.8), rel=1e-3)
    across, values = lines(slider)["2nd order, diagonal GGN"]
    assert values[across.index(0.9)] == pytest.approx(path.predicted_change(0.9, "diagonal"), rel=1e-3)


def test_another_order_draws_another_line(slider) -> None:
    move(slider, stages=1, sparsity=0.8, order="first")
    assert len(lines(slider)["1st order"][0]) > 10
    assert not lines(slider)["2nd order, full Hessian"][0]
    alt = move(slider, order="hessian")
    assert not lines(slider)["1st order"][0]
    across, values = lines(slider)["2nd order, full Hessian"]
    assert 0.8 in across
    assert f"full Hessian {values[across.index(0.8)]:+.3g}" in alt


def test_more_stages_build_the_model_nearer(slider, trained, digits, batch) -> None:
    off = {}
    for stages in (1, 5, 14):
        alt = move(slider, sparsity=0.9, stages=stages, order="hessian")
        path = ranking.path(trained, digits, batch, "mp", sparsity=0.9, stages=stages)
        assert f"prunes from {100 * path.state.mask.sparsity:.1f} % to 90.0 %" in alt
        assert f"The loss changes by {path.true_change(0.9):+.3g} nats" in alt
        off[stages] = abs(path.predicted_change(0.9, "hessian") / path.true_change(0.9) - 1)
    assert off[14] < off[5] < off[1]


def test_moving_back_gives_the_same_picture_and_there_is_one_figure(slider) -> None:
    move(slider, sparsity=0.5, stages=2, order="diagonal")
    before, drawn = slider.picture.html.value, slider.picture.canvas.figure
    artists = [len(ax.get_children()) for ax in drawn.axes]
    for i in range(0, len(GRID), 7):  # what one move left behind, nine would
        move(slider, sparsity=GRID[i])
    move(slider, sparsity=0.5)
    assert slider.picture.html.value == before
    assert slider.picture.canvas.figure is drawn
    assert [len(ax.get_children()) for ax in drawn.axes] == artists
    assert before.count("<img") == 1


@pytest.mark.slow
def test_every_place_of_every_slider_can_be_drawn(slider) -> None:
    for stages in STAGES:
        for kappa in (GRID[0], GRID[-1]):
            alt = move(slider, stages=stages, sparsity=kappa, order="first")
            assert "More is being computed" not in alt


def test_a_criterion_with_a_model_is_pruned_stage_by_stage(trained, digits, batch) -> None:
    slider = widgets.taylor_slider(trained, digits, "qm", start=0.9, stages=3)
    path = ranking.path(trained, digits, batch, "qm", sparsity=0.9, stages=3)
    assert slider.picture.alt.startswith("QM prunes from 78.5 % to 90.0 % in the last stage")
    assert f"The loss changes by {path.true_change(0.9):+.3g} nats" in slider.picture.alt


def test_the_last_move_wins_while_the_kernel_draws(trained, digits) -> None:
    slider = widgets.taylor_slider(trained, digits, "qm", start=0.9)

    async def drag() -> list[str]:
        seen = []
        slider.controls["stages"].value = 28
        seen.append(slider.picture.alt)
        for kappa in (0.5, 0.6, 0.7):
            slider.controls["sparsity"].value = kappa
            seen.append(slider.picture.alt)
        slider.controls["stages"].value = 1
        assert slider.drawing is not None or "More" not in slider.picture.alt
        if slider.drawing is not None:
            await slider.drawing
        return seen

    seen = asyncio.run(drag())
    assert seen[0].startswith("Pruning, stage")
    assert not slider.message.value
    assert slider.picture.alt.startswith("QM prunes from 0.0 % to 70.0 %")
    assert "More is being computed" not in slider.picture.alt


def test_the_table_behind_the_picture(slider, trained, digits, batch) -> None:
    path = ranking.path(trained, digits, batch)
    row = slider.table.set_index("sparsity").loc[0.9]
    assert row["true_change"] == pytest.approx(path.true_change(0.9), rel=1e-4)
    assert row["diagonal"] == pytest.approx(path.predicted_change(0.9, "diagonal"), rel=1e-4)


def test_a_criterion_that_there_is_not_is_refused(trained, digits) -> None:
    with pytest.raises(ValueError, match="Did you mean 'mp'"):
        widgets.taylor_slider(trained, digits, "mpp")
