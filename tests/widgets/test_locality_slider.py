"""The locality slider: what is drawn and said is what pruning measures, at once or stage by stage."""

from __future__ import annotations

import asyncio
import itertools

import numpy as np
import pytest

from lossprune_lib import LocalPruner, plots, widgets
from lossprune_lib.plots.style import INK
from lossprune_lib.widgets import locality


@pytest.fixture(scope="module")
def slider(trained, digits) -> widgets.Sliders:
    return widgets.locality_slider(trained, digits, stages=5)


def place(slider: widgets.Sliders, **values: object) -> None:
    for name, value in values.items():
        slider.controls[name].value = value
    assert not slider.message.value


def lines(slider: widgets.Sliders) -> list[np.ndarray]:
    """Return the actual changes, the predicted ones and the errors that are drawn."""
    _, _, actual, predicted, errors, *_ = slider.picture.moving  # after an axis and its zero
    return [np.array(line.get_ydata(), float) for line in (actual, predicted, errors)]


def test_it_starts_where_it_is_told(slider: widgets.Sliders) -> None:
    assert slider.picture.alt.startswith("QM, λ = 0.001, 90 % pruned, stage 5 of 5: the loss changed by +")
    assert slider.picture.png.startswith(b"\x89PNG")
    assert set(slider.controls) == {"sparsity", "stages", "step_penalty", "criterion"}
    assert len(slider.table) == 5


@pytest.mark.parametrize(
    ("criterion", "sparsity", "stages", "penalty"),
    [("lm", 0.8, 3, 0.0), ("qm", 0.95, 8, 0.01), ("obd", 0.5, 1, 100.0)],
)
def test_the_lines_and_words_are_what_pruning_measures(
    slider, trained, digits, criterion: str, sparsity: float, stages: int, penalty: float
) -> None:
    place(slider, criterion=criterion, sparsity=sparsity, stages=stages, step_penalty=penalty)
    run = LocalPruner(criterion, sparsity=sparsity, stages=stages, step_penalty=penalty).prune(trained, digits)
    actual, predicted, errors = lines(slider)
    assert actual[1:] == pytest.approx(run.trace["true_change"].cumsum())
    assert predicted[1:] == pytest.approx(run.trace["predicted_change"].cumsum())
    gap = (run.trace["true_change"] - run.trace["predicted_change"]).abs()
    assert errors == pytest.approx(gap.clip(lower=1e-5))
    assert f"{100 * sparsity:.0f} % pruned, stage {stages} of {stages}" in slider.picture.alt
    assert f"changed by {actual[-1]:+.2f} nats, the models predicted {predicted[-1]:+.2f}" in slider.picture.alt


def test_magnitude_changes_the_loss_and_predicts_nothing(slider, trained, digits) -> None:
    place(slider, criterion="mp", sparsity=0.9, stages=3)
    actual, predicted, _ = lines(slider)
    run = LocalPruner("mp", sparsity=0.9, stages=1).prune(trained, digits)
    assert actual[-1] == pytest.approx(run.true_change, abs=1e-5)
    assert not len(predicted)
    assert "no prediction" in slider.picture.alt
    before = slider.picture.png
    place(slider, step_penalty=10.0)
    assert slider.picture.png == before


def test_the_legend_names_what_is_drawn(slider) -> None:
    legend = slider.picture.canvas.figure.axes[0].get_legend()
    for criterion, predicts in (("qm", True), ("mp", False), ("lm", True)):
        place(slider, criterion=criterion, sparsity=0.9, stages=3)
        drawn = slider.picture.moving[2:4]
        assert [line.get_color() for line in drawn] == [INK, plots.style(criterion)["color"]]
        for said, line in zip(legend.legend_handles, drawn, strict=True):
            assert (said.get_color(), said.get_marker()) == (line.get_color(), line.get_marker())
        assert [text.get_visible() for text in legend.get_texts()] == [True, predicts]


def test_an_emptied_layer_is_said_not_warned_of(slider) -> None:
    place(slider, criterion="lm", sparsity=0.99, stages=1, step_penalty=100.0)
    assert "Nothing is left of fc2." in slider.picture.alt


def test_stages_are_drawn_as_they_come_and_taken_up_again(trained, digits) -> None:
    slider = widgets.locality_slider(trained, digits, stages=1)
    settings = {"sparsity": 0.9, "stages": 25, "step_penalty": 0.0, "criterion": "qm"}
    parts = slider.redraw(**settings)
    first = next(parts)
    seen = len(lines(slider)[2])
    assert 1 <= seen < 25
    assert f"stage {seen} of 25" in first
    assert f"{100 * (1 - 0.1 ** (seen / 25)):.0f} % pruned" in first  # so far, not in the end
    parts.close()  # as a move of a slider does
    said = list(slider.redraw(**settings))
    assert f"stage {len(lines(slider)[2])} of 25" in said[-1]
    assert len(said) <= 25
    assert len(list(slider.redraw(**settings))) == 1  # kept
    run = LocalPruner("qm", sparsity=0.9, stages=25).prune(trained, digits)
    assert lines(slider)[0][1:] == pytest.approx(run.trace["true_change"].cumsum())


def test_with_a_kernel_the_last_move_wins(trained, digits) -> None:
    slider = widgets.locality_slider(trained, digits, stages=1)

    async def moves() -> None:
        slider.controls["stages"].value = 140
        await asyncio.sleep(0.01)
        assert "of 140" in slider.picture.alt
        slider.controls["stages"].value = 8
        assert "of 8" in slider.picture.alt  # at once
        assert slider.drawing is not None
        await slider.drawing

    asyncio.run(moves())
    assert "stage 8 of 8" in slider.picture.alt


def test_moves_leave_one_figure(slider: widgets.Sliders) -> None:
    figure = slider.picture.canvas.figure
    counts = [len(ax.lines) for ax in figure.axes]
    for criterion, sparsity, stages in itertools.product(("qm", "mp"), (0.5, 0.9), (1, 3)):
        place(slider, criterion=criterion, sparsity=sparsity, stages=stages)
    assert slider.picture.canvas.figure is figure
    assert [len(ax.lines) for ax in figure.axes] == counts
    assert slider.picture.html.value.count("<img") == 1


def test_what_would_leave_the_axes_widens_them(slider, monkeypatch: pytest.MonkeyPatch) -> None:
    left = slider.picture.canvas.figure.axes[0]
    left.set_ylim(top=0.1)
    place(slider, criterion="lm", sparsity=0.95, stages=2)
    assert left.get_ylim()[1] > lines(slider)[0].max()


def test_every_setting_is_near_a_place_of_its_slider(trained, digits) -> None:
    slider = widgets.locality_slider(trained, digits, sparsity=0.91, stages=4, step_penalty=0.02, criterion="lm")
    values = {name: control.value for name, control in slider.controls.items()}
    assert values == {"sparsity": 0.92, "stages": 3, "step_penalty": 0.01, "criterion": "lm"} | {
        "sparsity": min(locality.SPARSITIES, key=lambda value: abs(value - 0.91))
    }
