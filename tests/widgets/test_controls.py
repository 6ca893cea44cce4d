"""What all widgets have in common: their controls, what they display, and computations that are taken up again."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import ipywidgets
import pytest
import torch
from matplotlib.figure import Figure
from test_memory import MAKERS

from lossprune_lib import data
from lossprune_lib.pruning.stage import EmptyLayerWarning
from lossprune_lib.widgets import sliders
from lossprune_lib.widgets.picture import Picture
from lossprune_lib.widgets.resumable import Resumable

PLACES = [("50 %", 0.5), ("80 %", 0.8), ("90 %", 0.9)]


@pytest.mark.parametrize(("start", "chosen"), [(0.8, 0.8), (0.84, 0.8), (0.99, 0.9), (0, 0.5)])
def test_a_control_starts_at_the_nearest_place(start: float, chosen: float) -> None:
    made = sliders.control("sparsity", PLACES, start)
    assert isinstance(made, ipywidgets.SelectionSlider)
    assert (made.description, made.value) == ("sparsity", chosen)


def test_a_name_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match="criterion called 'qn'"):
        sliders.control("criterion", [("QM", "qm"), ("LM", "lm")], "qn")


def test_names_are_buttons() -> None:
    made = sliders.control("criterion", [("QM", "qm"), ("LM", "lm")], "lm")
    assert isinstance(made, ipywidgets.ToggleButtons)
    assert (made.description, made.value) == ("criterion", "lm")
    assert isinstance(sliders.control("order", [("only", "one")], "one"), ipywidgets.ToggleButtons)


def test_a_control_moves_others_and_the_picture_is_drawn_once() -> None:
    controls = {name: ipywidgets.IntSlider(value=2, min=0, max=9) for name in ("first", "second")}
    drawn = []

    def redraw(first: int, second: int) -> str:
        drawn.append((first, second))
        return f"{first} and {second}"

    def link(moved: str) -> None:
        if controls[moved].value == 9:
            raise ValueError("nine is too many")
        other = "second" if moved == "first" else "first"
        controls[other].value = 4 - controls[moved].value

    made = sliders.Sliders(controls, Picture(Figure(), []), redraw, link=link)
    controls["first"].value = 3
    controls["second"].value = 0
    assert drawn == [(2, 2), (3, 1), (4, 0)]
    assert made.picture.alt == "4 and 0"
    controls["first"].value = 9
    assert "nine is too many" in made.message.value
    controls["first"].value = 1
    assert not made.message.value
    assert drawn[-1] == (1, 3)


def test_a_single_place_is_a_list() -> None:
    made = sliders.control("stages", [("1", 1)], 14)
    assert isinstance(made, ipywidgets.Dropdown)
    assert made.value == 1


@pytest.mark.parametrize("name", MAKERS)
def test_every_widget_shows_its_picture_and_says_its_controls(
    name: str, trained: torch.nn.Module, digits: data.Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = MAKERS[name](trained, digits)
    for control in made.controls.values():
        assert control.description
        assert all(isinstance(label, str) and label for label, _ in control.options)
        assert control.layout.width == "560px"
    (looks,) = [child for child in made.children if isinstance(child, ipywidgets.HTML) and "<style" in child.value]
    assert "aria-label" in looks.value
    assert "aria-valuetext" in looks.value
    assert "aria-pressed" in looks.value
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda bundle, **_: shown.append(bundle))
    made._ipython_display_()
    assert [set(bundle) for bundle in shown] == [
        {"application/vnd.jupyter.widget-view+json", "image/png", "text/plain"},
        {"text/html", "text/plain"},
    ]
    assert shown[0]["text/plain"] == made.picture.alt


def test_a_computation_is_left_and_taken_up_again() -> None:
    computed = []

    def parts() -> Iterator[int]:
        for i in range(4):
            computed.append(i)
            yield i

    work = Resumable(parts, 4)
    assert work.go_on(0) == 0
    assert computed == [0]
    assert not work.done
    assert work.go_on() == work.go_on() == 3
    assert work.done
    assert computed == [0, 1, 2, 3]


def test_after_an_interrupt_it_starts_again() -> None:
    began = []

    def parts() -> Iterator[int]:
        began.append(True)
        yield 0
        if len(began) == 1:
            raise KeyboardInterrupt
        yield 1

    work = Resumable(parts, 2)
    with pytest.raises(KeyboardInterrupt):
        work.go_on()
    assert work.number == 0
    assert work.go_on() == 1
    assert work.done


def test_an_emptied_layer_is_left_to_the_words() -> None:
    def parts() -> Iterator[int]:
        warnings.warn("nothing is left", EmptyLayerWarning, stacklevel=1)
        yield 0
        warnings.warn("another", UserWarning, stacklevel=1)
        yield 1

    with pytest.warns(UserWarning, match="another") as caught:
        Resumable(parts, 2).go_on()
    assert len(caught) == 1
