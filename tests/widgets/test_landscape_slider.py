"""The landscape sliders: what is drawn and said agrees with landscapes measured apart."""

from __future__ import annotations

import asyncio

import pytest
import torch

from lossprune_lib import LocalPruner, WeightSpace, data, landscape, widgets
from lossprune_lib.plots import landscape as landscape_plots
from lossprune_lib.widgets.landscape import DIRECTIONS, SPARSITIES, STAGES


@pytest.fixture(scope="module")
def slider(trained, digits: data.Task) -> widgets.Sliders:
    return widgets.landscape_slider(trained, digits, start=0.8, stages=2)


def set_to(slider: widgets.Sliders, **values: object) -> None:
    for name, value in values.items():
        slider.controls[name].value = value


def test_it_starts_where_it_is_told(slider: widgets.Sliders) -> None:
    assert slider.picture.alt.startswith("80 % pruned.")
    assert "QM, 2 stages" in slider.picture.alt
    assert slider.picture.png.startswith(b"\x89PNG")


@pytest.mark.parametrize(("sparsity", "stages", "direction"), [(0.7, 1, "qm"), (0.9, 3, "lm"), (0.95, 2, "obd")])
def test_the_words_are_what_pruning_and_the_landscape_say(
    slider: widgets.Sliders, trained, digits: data.Task, sparsity: float, stages: int, direction: str
) -> None:
    set_to(slider, sparsity=sparsity, stages=stages, direction=direction)
    theta, batch = WeightSpace(trained).read(), (digits.x_train[:500], digits.y_train[:500])
    for name, pruner in (
        ("MP", LocalPruner("mp", sparsity=sparsity, stages=1)),
        (direction.upper(), LocalPruner(direction, sparsity=sparsity, stages=stages)),
    ):
        run = pruner.prune(trained, digits)
        step = theta * run.mask.kept - theta
        loss = landscape.line(trained, batch, step, [1.0]).item()
        assert (
            f"step of length {step.norm():.1f} ({step.norm() / theta.norm():.0%} of θ), loss {loss:.2f}"
            in slider.picture.alt
        )
        assert f"; {name}" in slider.picture.alt
    circles = next(line for line in slider.picture.canvas.figure.axes[0].lines if line.get_markerfacecolor() == "none")
    assert len(circles.get_xdata()) == stages
    assert circles.get_xdata()[-1] == pytest.approx(step.norm().item(), rel=1e-4)
    assert circles.get_ydata()[-1] == pytest.approx(loss, rel=1e-3)


def test_the_legend_names_both_steps_and_the_stops_that_are_drawn(slider: widgets.Sliders) -> None:
    legend = slider.picture.canvas.figure.axes[0].get_legend()
    for settings, name, stops in (
        ({"stages": 1, "direction": "qm"}, "QM, 1 stage", False),
        ({"stages": 3, "direction": "obd"}, "OBD, 3 stages", True),
        ({"stages": 3, "direction": "random"}, "random direction", False),
    ):
        set_to(slider, sparsity=0.7, **settings)
        assert [text.get_text() for text in legend.get_texts()][:2] == ["MP, in one go", name]
        look = landscape_plots.direction_style(str(settings["direction"]))
        _, second, each = legend.legend_handles
        assert (second.get_color(), second.get_marker()) == (look["color"], look["marker"])
        assert each.get_visible() is stops
        assert each.get_color() == look["color"]
        assert legend in slider.picture.moving
        circles = [line for line in slider.picture.moving if getattr(line, "get_markerfacecolor", str)() == "none"]
        assert len(circles) == stops


def test_the_second_line_ends_at_its_mask(slider: widgets.Sliders) -> None:
    set_to(slider, sparsity=0.7, stages=1, direction="qm")
    lines = {line.get_color(): line for line in slider.picture.canvas.figure.axes[0].lines if len(line.get_xdata()) > 2}
    mp, qm = lines["#000000"], lines["#D55E00"]
    row = slider.table.query("sparsity == 0.7").iloc[0]
    assert mp.get_xdata()[-1] == pytest.approx(row["step_length"])
    assert mp.get_ydata()[-1] == pytest.approx(row["loss"])
    assert qm.get_xdata()[-1] > mp.get_xdata()[-1]  # no mask has a shorter step than MP's


def test_random_and_gradient_take_a_step_as_long_as_that_of_mp(slider: widgets.Sliders) -> None:
    for direction in ("random", "gradient"):
        set_to(slider, sparsity=0.9, direction=direction)
        length = f"step of length {slider.table.query('sparsity == 0.9')['step_length'].item():.1f}"
        assert slider.picture.alt.count(length) == 2
        before = slider.picture.alt
        set_to(slider, stages=STAGES[-1])  # means nothing here, so nothing is computed
        assert slider.picture.alt == before
        set_to(slider, stages=1)


def test_a_layer_that_is_gone_is_said(slider: widgets.Sliders) -> None:
    set_to(slider, sparsity=0.99, direction="random")
    assert "MP: step" in slider.picture.alt
    assert "(nothing is left of fc2)" in slider.picture.alt


def test_a_dozen_moves_leave_one_figure(slider: widgets.Sliders) -> None:
    figure, children = slider.picture.canvas.figure, slider.children
    set_to(slider, stages=1, direction="random")
    for i in range(12):
        set_to(slider, sparsity=SPARSITIES[i % 3])
    assert slider.picture.canvas.figure is figure
    assert slider.children is children
    assert slider.picture.html.value.count("<img") == 1
    lines, field = figure.axes[0], figure.axes[1]
    assert len(field.collections) == 1
    assert len(lines.lines) == len(DIRECTIONS) + 4
    assert not slider.message.value


def test_the_kernel_gets_parts_and_the_last_move_wins(slider: widgets.Sliders) -> None:
    async def moves() -> list[str]:
        set_to(slider, sparsity=0.6, stages=7, direction="qm")
        first = slider.picture.alt
        set_to(slider, sparsity=0.5, stages=1)
        assert slider.drawing is not None
        await slider.drawing
        return [first, slider.picture.alt]

    first, last = asyncio.run(moves())
    assert "0 done so far" in first
    assert last.startswith("50 % pruned.")
    assert "loss on their plane from" in last


def test_what_was_computed_is_drawn_at_once(slider: widgets.Sliders) -> None:
    set_to(slider, sparsity=0.8, stages=2, direction="qm")
    parts = list(slider.redraw(sparsity=0.8, stages=2, direction="qm"))
    assert len(parts) == 1
    assert "loss on their plane from" in parts[0]
    parts = list(slider.redraw(sparsity=0.8, stages=3, direction="obd"))
    assert len(parts) > 1
    assert "0 done so far" in parts[0]


def test_the_plane_is_that_of_both_steps(slider: widgets.Sliders, trained, digits: data.Task) -> None:
    set_to(slider, sparsity=0.9, stages=1, direction="random")
    theta, batch = WeightSpace(trained).read(), (digits.x_train[:500], digits.y_train[:500])
    first = theta * LocalPruner("mp", sparsity=0.9, stages=1).prune(trained, digits).mask.kept - theta
    second = landscape.random_direction(trained, 0)
    second = second * first.norm() / second.norm()
    # Gram and Schmidt in float64: lengths along the first step, and at right angles to it.
    one, other = first.double(), second.double()
    along = one / one.norm()
    rest = other - (along @ other) * along
    across = rest / rest.norm()
    at = theta.norm() * torch.linspace(-0.15, 1.1, 13)
    losses = landscape.plane(trained, batch, along.float(), across.float(), at, at)
    assert f"loss on their plane from {losses.min():.2f} to {losses.max():.2f}" in slider.picture.alt
    field = slider.picture.canvas.figure.axes[1]
    assert field.get_aspect() == 1
    ends = [line.get_xydata()[-1] for line in field.lines if line.get_marker() == "o"]
    assert ends[1] == pytest.approx([one.norm().item(), 0])
    assert ends[2] == pytest.approx([(along @ other).item(), rest.norm().item()], rel=1e-4)
    cosine = float(ends[1] @ ends[2] / (one.norm() * other.norm()))
    assert cosine == pytest.approx(float(one @ other / (one.norm() * other.norm())), abs=1e-4)
