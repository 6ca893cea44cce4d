"""The results browser: its numbers are those of the table, every position draws, what was not run is said."""

from __future__ import annotations

import itertools
import re

import ipywidgets
import pytest
from study_tables import LARGE, SMALL

from lossprune_lib import widgets
from lossprune_lib.widgets import results_browser


@pytest.fixture
def browser() -> widgets.Sliders:
    return results_browser.browse({"large": LARGE, "small <one>": SMALL})


def alt(browser: widgets.Sliders, **values: object) -> str:
    for name, value in values.items():
        browser.controls[name].value = value
    assert not browser.message.value, browser.message.value
    return browser.picture.alt


def test_it_starts_at_the_best_of_the_most_stages(browser: widgets.Sliders) -> None:
    assert browser.picture.alt == (
        "large, 90 % pruned. QM, 14 stages, λ = 1e-3: loss change 1.25 ± 0.35 nats, "
        "validation gap after fine-tuning -0.50 ± 0.71 percentage points (2 seeds)."
    )
    assert browser.picture.png.startswith(b"\x89PNG")
    assert 'width="880"' in browser.picture.html.value


@pytest.mark.slow
def test_every_position_draws_into_one_figure_and_errs_nowhere(browser: widgets.Sliders) -> None:
    drawn, children = browser.picture.canvas.figure, browser.children
    names = list(browser.controls)
    for values in itertools.product(*([value for _, value in browser.controls[name].options] for name in names)):
        assert alt(browser, **dict(zip(names, values, strict=True)))
        assert all(len(ax.lines) <= 12 for ax in drawn.axes)
    assert browser.picture.canvas.figure is drawn
    assert browser.children is children
    assert browser.picture.html.value.count("<img") == 1


def test_each_move_changes_the_picture_and_moving_back_brings_it_back(browser: widgets.Sliders) -> None:
    for control in browser.controls.values():
        before, index = browser.picture.png, control.index
        control.index = (index + 1) % len(control.options)
        assert browser.picture.png != before
        control.index = index
        assert browser.picture.png == before


def test_what_was_not_run_is_said(browser: widgets.Sliders) -> None:
    text = alt(browser, stages=7)
    assert text.endswith("QM, 7 stages, λ = 1e-3: not run here. What was run: stages 1, 14; λ 0, 1e-3.")
    assert "not run here" in browser.children[-1].value
    text = alt(browser, study="small <one>, 50 %")
    assert text.endswith("not run here. What was run: stages none; λ none.")


def test_a_study_without_fine_tuning_is_shown(browser: widgets.Sliders) -> None:
    text = alt(browser, study="small <one>, 50 %", criterion="lm", stages=7, step_penalty=0.5)
    assert text == "small <one>, 50 % pruned. LM, 7 stages, λ = 0.5: loss change 0.25 nats (1 seed)."
    assert "not fine-tuned" in {text.get_text() for text in browser.picture.canvas.figure.axes[1].texts}
    assert "small &lt;one&gt;" in browser.children[-1].value
    assert "<one>" not in browser.children[-1].value
    assert "<one>" not in browser.picture.html.value


def test_magnitude_depends_on_nothing(browser: widgets.Sliders) -> None:
    for stages, penalty in ((1, 0), (14, 1e-3), (7, 0.5)):
        text = alt(browser, criterion="mp", stages=stages, step_penalty=penalty)
        assert "(it depends on neither): loss change 3.00 ± 1.41 nats, validation gap after" in text


def test_the_line_below_has_the_numbers(browser: widgets.Sliders) -> None:
    below = re.findall(r"<t[hd] .*?>(.*?)</t[hd]>", browser.children[-1].value)
    assert dict(zip(below[: len(below) // 2], below[len(below) // 2 :], strict=True)) == {
        "study": "large, 90 %",
        "network": "mlp_300_100",
        "criterion": "QM",
        "stages": "14",
        "λ": "1e-3",
        "loss change (nats)": "1.25 ± 0.35",
        "validation gap (points)": "-0.50 ± 0.71",
        "test gap (points)": "0.50 ± 0.71",
        "seeds": "2",
    }


def test_the_table_has_the_cells_of_all_studies(browser: widgets.Sliders) -> None:
    assert browser.table is not None
    assert len(browser.table) == 8
    assert set(browser.table["study"]) == {"large", "small <one>"}


def test_the_chosen_point_is_marked(browser: widgets.Sliders) -> None:
    alt(browser, stages=1, step_penalty=0)
    marked = browser.picture.canvas.figure.axes[0].lines[-1]
    assert list(marked.get_xdata()) == [0]
    assert list(marked.get_ydata()) == [4]


def test_a_single_choice_is_no_slider() -> None:
    # noUiSlider, which draws them in the browser, refuses a range of one place.
    browser = results_browser.browse({"alone": LARGE[LARGE["criterion"] == "qm"]})
    kinds = {name: type(control) for name, control in browser.controls.items()}
    assert kinds["study"] is kinds["criterion"] is ipywidgets.ToggleButtons
    assert kinds["stages"] is kinds["step_penalty"] is ipywidgets.SelectionSlider


def test_nothing_to_browse_is_refused() -> None:
    with pytest.raises(ValueError, match="no table to browse"):
        results_browser.browse({})
