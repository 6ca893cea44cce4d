"""Sliders: what is drawn follows them, errors are shown in words, a saved notebook keeps the picture."""

from __future__ import annotations

import asyncio
import base64
import copy
from collections.abc import Callable, Iterator
from types import ModuleType

import ipywidgets
import numpy as np
import pytest
from matplotlib.figure import Figure

from lossprune_lib import LocalPruner, WeightSpace, data, models, plots, training, widgets
from lossprune_lib.plots import networks
from lossprune_lib.widgets import last_picture
from lossprune_lib.widgets.sliders import DRAWING


@pytest.fixture(scope="module")
def slider(trained, digits) -> widgets.Sliders:
    return widgets.sparsity_slider(trained, digits, start=0.8)


def test_it_starts_where_it_is_told(slider: widgets.Sliders) -> None:
    assert slider.picture.alt.startswith("80.0 % pruned: 10,040 of 50,200 weights left")
    assert slider.picture.png.startswith(b"\x89PNG")
    assert not slider.message.value


def test_moving_redraws_one_picture_in_place(slider: widgets.Sliders) -> None:
    control, before = slider.controls["point"], slider.picture.html.value
    children = slider.children
    control.value = len(widgets.SPARSITIES) - 1
    after = slider.picture.html.value
    assert after != before
    assert after.count("<img") == 1
    assert slider.children is children
    assert 'alt="99.7 % pruned: 126 of' in after
    furthest = slider.picture.html.value
    control.value = 40
    assert slider.picture.alt.startswith("80.0 % pruned")
    control.value = len(widgets.SPARSITIES) - 1
    assert slider.picture.html.value == furthest


def test_the_curve_is_drawn_as_far_as_the_slider_was_moved(trained, digits: data.Task) -> None:
    slider = widgets.sparsity_slider(trained, digits)
    curve = slider.picture.canvas.figure.axes[1].lines[0]
    assert list(curve.get_xdata()) == [0.0]
    for point, furthest in ((30, 30), (12, 30), (45, 45)):
        slider.controls["point"].value = point
        seen = slider.table.iloc[: furthest + 1]
        assert list(curve.get_xdata()) == list(seen["sparsity"])
        assert list(curve.get_ydata()) == list(seen["accuracy"])


def test_the_first_images_that_go_wrong_are_shown(trained, digits: data.Task) -> None:
    slider = widgets.sparsity_slider(trained, digits)
    answers = {}
    for point in range(46):
        mask = LocalPruner("mp", sparsity=widgets.SPARSITIES[point], stages=1).prune(trained, digits).mask
        network = copy.deepcopy(trained)
        mask.apply_(network)
        answers[point] = network(digits.x_valid).argmax(1)
    wrong = {point: set((answer != digits.y_valid).nonzero()[:, 0].tolist()) for point, answer in answers.items()}
    new = wrong[45] - wrong[0]
    since = {i: next(p for p in range(46) if all(i in wrong[q] for q in range(p, 46))) for i in new}
    first = sorted(new, key=lambda i: (since[i], i))[:6]
    slider.controls["point"].value = 45
    said = [f"a {digits.y_valid[i]} read as {answers[45][i]}" for i in first]
    assert slider.picture.alt.endswith(f"The first that go wrong: {', '.join(said)}.")
    shown = [ax.images[0] for ax in slider.picture.canvas.figure.axes[2:]]
    assert all(image.get_visible() for image in shown)
    pixels = digits.x_valid[first[0], 0]
    scaled = (pixels - pixels.min()) / (pixels.max() - pixels.min())
    np.testing.assert_allclose(shown[0].get_array(), scaled, atol=1e-6)
    titles = [ax.get_title() for ax in slider.picture.canvas.figure.axes[2:]]
    assert titles[0] == f"{digits.y_valid[first[0]]} → {answers[45][first[0]]}"
    slider.controls["point"].value = 0
    assert not any(image.get_visible() for image in shown)
    assert slider.picture.alt.endswith("None lost to pruning so far.")


def test_the_words_are_what_pruning_measures(slider: widgets.Sliders, trained, digits: data.Task) -> None:
    slider.controls["point"].value = point = 45
    run = LocalPruner("mp", sparsity=widgets.SPARSITIES[point], stages=1).prune(trained, digits)
    score = training.evaluate(run.network(), digits)
    assert f"accuracy {100 * score.accuracy:.1f} %, loss {score.loss:.2f}" in slider.picture.alt
    assert f"{int(run.mask.kept.sum()):,} of 50,200" in slider.picture.alt


def test_a_dozen_moves_leave_one_figure(slider: widgets.Sliders) -> None:
    drawn = slider.picture.canvas.figure
    for i in range(12):
        slider.controls["point"].value = i % len(widgets.SPARSITIES)
    assert slider.picture.canvas.figure is drawn
    assert all(len(ax.lines) <= 3 and len(ax.images) <= 1 for ax in drawn.axes)


def test_an_error_is_shown_in_words_and_goes_away() -> None:
    figure = Figure()
    control = ipywidgets.IntSlider(value=1, min=0, max=3)

    def redraw(number: int) -> str:
        if number == 2:
            raise ValueError("<two> is too many")
        return f"number {number}"

    sliders = widgets.Sliders({"number": control}, widgets.Picture(figure, []), redraw)
    control.value = 2
    assert "&lt;two&gt; is too many" in sliders.message.value
    assert "ValueError" in sliders.message.value
    assert sliders.picture.alt == "number 1"
    control.value = 3
    assert not sliders.message.value
    assert sliders.picture.alt == "number 3"


def test_an_error_at_the_first_drawing_is_raised_at_once() -> None:
    def broken(number: int) -> str:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        widgets.Sliders({"number": ipywidgets.IntSlider()}, widgets.Picture(Figure(), []), broken)


def test_a_network_that_starts_with_a_convolution_is_refused(digits: data.Task) -> None:
    with pytest.raises(ValueError, match=r"'conv1', is a convolution.*such as mlp_300_100"):
        widgets.sparsity_slider(models.pretrained("small_vgg", digits), digits)


def test_the_table_behind_the_picture_is_kept(slider: widgets.Sliders) -> None:
    assert slider.table.columns.tolist() == ["sparsity", "loss", "accuracy"]
    assert len(slider.table) == len(widgets.SPARSITIES)


def test_a_saved_notebook_shows_the_picture(
    slider: widgets.Sliders, script: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda bundle, **how: shown.append((bundle, how)))
    slider._ipython_display_()
    (bundle, how), (behind, _) = shown
    assert how["raw"]
    assert bundle["application/vnd.jupyter.widget-view+json"]["model_id"] == slider.model_id
    assert bundle["text/plain"] == slider.picture.alt
    assert len(bundle["image/png"]) > 1000
    assert bundle["image/png"] in behind["text/html"]
    assert script("build").LAST_PICTURE in behind["text/html"], "what is built would keep it"
    assert not behind["text/plain"], "or GitHub shows it"


def test_the_last_picture_is_kept_once_the_slider_rests(
    slider: widgets.Sliders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(last_picture, "_QUIET", 0.01)
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda bundle, **how: shown.append((bundle, how)))

    async def move() -> None:
        for step in (1, 2, 3):
            slider.controls["point"].value += step
        await asyncio.sleep(0.05)

    slider.last_picture.shown = False
    asyncio.run(move())
    assert not shown, "no notebook shows it"
    slider._ipython_display_()
    asyncio.run(move())
    _, (first, told), (kept, how) = shown  # three moves, and one picture of them
    assert how["update"]
    assert how["display_id"] == told["display_id"] == slider.model_id
    assert base64.b64encode(slider.picture.png).decode() in kept["text/html"]
    assert kept != first


def test_kept_weights_are_drawn_where_they_are(trained, digits: data.Task) -> None:
    space = WeightSpace(trained)
    weight = space.split(space.read())[0]
    kept = weight.abs() > 0.1
    limit = weight.abs().quantile(0.995).item()
    image = plots.kept_weights_image(weight, kept, digits.shape)
    assert image.shape == (8 * 9 - 1, 8 * 9 - 1)
    for unit, pixel in ((0, 0), (9, 20), (63, 63)):
        row, column = unit // 8 * 9 + pixel // 8, unit % 8 * 9 + pixel % 8
        value = image[row, column]
        assert (
            np.isnan(value)
            if not kept[unit, pixel]
            else value == pytest.approx(max(-limit, min(limit, weight[unit, pixel].item())))
        )
    assert np.nanmax(np.abs(image[image != networks._BETWEEN])) <= limit  # more would be drawn like what lies between
    assert (image[8] == networks._BETWEEN).all()
    assert (image[:, 8] == networks._BETWEEN).all()


@pytest.fixture
def counting() -> widgets.Sliders:
    """Sliders that draw in five parts."""

    def redraw(number: int) -> Iterator[str]:
        for part in range(5):
            if number == 9 and part == 3:
                raise ValueError("nine breaks")
            yield f"number {number}, part {part}"

    control = ipywidgets.IntSlider(value=1, min=0, max=9)
    return widgets.Sliders({"number": control}, widgets.Picture(Figure(), []), redraw)


def test_without_a_kernel_all_parts_are_drawn_at_once(counting: widgets.Sliders) -> None:
    assert counting.picture.alt == "number 1, part 4"
    counting.controls["number"].value = 2
    assert counting.picture.alt == "number 2, part 4"


def test_parts_come_while_the_kernel_is_idle_and_a_new_move_ends_them(counting: widgets.Sliders) -> None:
    async def kernel() -> list[str]:
        seen = []
        counting.controls["number"].value = 3
        seen.append(counting.picture.alt)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert DRAWING in counting._dom_classes
        counting.controls["number"].value = 4
        seen.append(counting.picture.alt)
        for _ in range(20):
            await asyncio.sleep(0)
            seen.append(counting.picture.alt)
        return seen

    seen = asyncio.run(kernel())
    assert seen[:2] == ["number 3, part 0", "number 4, part 0"]
    assert seen[-1] == "number 4, part 4"
    assert not any("number 3" in alt for alt in seen[1:])
    assert DRAWING not in counting._dom_classes


def test_an_error_in_a_later_part_is_shown_in_words(counting: widgets.Sliders) -> None:
    async def kernel() -> None:
        counting.controls["number"].value = 9
        assert not counting.message.value
        for _ in range(20):
            await asyncio.sleep(0)

    asyncio.run(kernel())
    assert "nine breaks" in counting.message.value
    assert counting.picture.alt == "number 9, part 2"
    assert DRAWING not in counting._dom_classes
