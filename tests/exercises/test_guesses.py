"""Guesses: nothing is spoiled before, everything is computed, and each frequent wrong guess has its own sentence."""

from __future__ import annotations

import base64
import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import ipywidgets
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from PIL import Image

from lossprune_lib import exercises
from lossprune_lib.exercises import course, quantities
from lossprune_lib.exercises.answered import Answer
from lossprune_lib.exercises.because import BECAUSE
from lossprune_lib.exercises.guesses import Guess

SENTENCES = {"MP": "Small is not useless.", "LM": "It has only the gradient.", "right": "It looks at both."}


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LOSSPRUNE_PROGRESS", str(tmp_path / "progress.json"))
    return tmp_path / "progress.json"


def criterion() -> Guess:
    return exercises.guess("winner", "Which one wins?", choices=["MP", "LM", "QM"])


def button(guess: Guess, label: str) -> ipywidgets.Button:
    buttons = [w for w in guess.widget.children[1].children if isinstance(w, ipywidgets.Button)]
    return next(b for b in buttons if b.description == label)


def field(guess: Guess) -> ipywidgets.Text:
    return guess.widget.children[1].children[0]


@pytest.mark.parametrize("text", ["88", "0.88", "88 %", "88%", " 88\u00a0% ", ".88", "88.0", "88,0", "0,88"])
def test_a_share_is_read_however_it_is_written(text: str) -> None:
    assert quantities.read(text, "%") == pytest.approx(0.88)


@pytest.mark.parametrize(
    ("text", "unit", "number"),
    [
        ("1", "%", 0.01),
        ("1.0", "%", 1.0),
        ("0.5 %", "%", 0.005),
        ("-30", "%", -0.3),
        ("120", "%", 1.2),
        ("1,000", "", 1000),
        ("1,5", "", 1.5),
        ("1e-3", "", 0.001),
        ("2.5 nats", "nats", 2.5),
        ("3TIMES", "times", 3),
        ("\u22120.3", "", -0.3),
    ],
)
def test_numbers_and_units(text: str, unit: str, number: float) -> None:
    assert quantities.read(text, unit) == pytest.approx(number)
    assert quantities.read(quantities.write(number, unit), unit) == pytest.approx(number)


@pytest.mark.parametrize("text", ["half", "", "%", "nan", "inf", "8 8 x", "88 nats"])
def test_what_is_no_number_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="write, for example, 30"):
        quantities.read(text, "%")


def test_nothing_is_open_before_the_guess_and_everything_afterwards() -> None:
    guess = criterion()
    guess.reveal("QM, by far.", answer="QM", because=SENTENCES)
    guess.reveal(pd.Series({"QM": 0.9}, name="accuracy"), title="In numbers")
    first, second = guess.outcomes
    for outcome in (first, second):
        assert outcome.widget.value.startswith("<details><summary>")
        assert outcome.widget.value == outcome._repr_mimebundle_()["text/html"]
    button(guess, "MP").click()
    assert guess.value == "MP"
    assert "You guessed MP. It is QM. Small is not useless." in first.widget.value
    assert "<details open>" in first.widget.value
    assert "<details open>" in second.widget.value
    assert "You guessed" not in second.widget.value  # one answer, said once


def test_a_guess_that_comes_before_its_outcome_opens_it_at_once() -> None:
    guess = criterion()
    button(guess, "QM").click()
    assert "Run the cells below" in guess.widget.children[2].value
    guess.reveal("QM, by far.", answer="QM", because=SENTENCES)
    assert "Right: QM. It looks at both." in guess.outcomes[0].widget.value
    assert "open below" in guess.widget.children[2].value


def test_a_saved_notebook_keeps_the_outcome_folded() -> None:
    guess = criterion()
    button(guess, "MP").click()
    guess.reveal("QM, by far.", answer="QM", because=SENTENCES)
    bundle = guess.outcomes[0]._repr_mimebundle_()
    page = bundle["text/html"]
    assert "<details><summary>" in page
    assert " open>" not in page
    assert "You guessed" not in page
    assert "If you guessed MP: Small is not useless." in page
    assert "QM" not in bundle["text/plain"]
    assert "QM, by far." in page


@pytest.mark.parametrize(
    ("guess", "told"),
    [
        (0.5, "You guessed 50 %, and it is 88 %: too low. Half is half."),
        (0.2, "You guessed 20 %, and it is 88 %: too low. There are many weights."),
        (0.99, "You guessed 99 %, and it is 88 %: too high."),
        (0.9, "You guessed 90 %, and it is 88 %: near enough. Well seen."),
        (0.93, "You guessed 93 %, and it is 88 %: near enough. Well seen."),
    ],
)
def test_numbers_are_told_what_fits_them_first(guess: float, told: str) -> None:
    because = {(0.45, 0.55): "Half is half.", "low": "There are many weights.", "right": "Well seen."}
    answer = Answer(0.88, unit="%", because=because)
    assert answer.told(guess).replace("\u00a0", " ") == told


def test_other_numbers_may_be_a_tenth_off_or_what_is_said() -> None:
    assert Answer(2.0).is_right(2.2)
    assert not Answer(2.0).is_right(2.3)
    assert Answer(2.0, within=0.5).is_right(2.5)
    assert Answer(2.0, because={3: "Three."}).told(3.1).endswith("Three.")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"value": "OBD", "choices": {"MP": "MP", "QM": "QM"}}, "choice"),
        ({"value": "MP", "choices": {"MP": "MP", "QM": "QM"}, "because": {"OBD": "."}}, "choice"),
        ({"value": "0", "choices": {0: "a", 1: "b"}}, "no choice '0'"),
        ({"value": 0, "choices": {0: "a", 1: "b"}, "because": {"1": "."}}, "no choice '1'"),
        ({"value": 1.0, "because": {"lower": "."}}, "kind of guess"),
        ({"value": float("nan")}, "finite"),
        ({"value": "MP"}, "answer must be a number"),
    ],
)
def test_a_mistake_of_the_author_s_raises_in_her_cell(settings: dict[str, Any], message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        Answer(**settings)


def test_more_mistakes_of_the_author_s() -> None:
    guess = criterion()
    with pytest.raises(ValueError, match="need the answer"):
        guess.reveal("QM.", because=SENTENCES)
    with pytest.raises(ValueError, match="alt="):
        guess.reveal(Figure())
    with pytest.raises(TypeError, match="not int"):
        guess.reveal(3)
    with pytest.raises(ValueError, match="two or more choices"):
        exercises.guess("one", "Which?", choices=["this"])
    with pytest.raises(ValueError, match="smaller number"):
        exercises.guess("slider", "Where?", between=(1, 1))
    with pytest.raises(TypeError, match="labels"):
        exercises.guess("labels", "Which?", choices={"a": 1, "b": 2})


def test_a_field_takes_a_number_and_says_what_it_cannot_read() -> None:
    guess = exercises.guess("share", "How much?", unit="%")
    guess.reveal("It is so.", answer=0.88)
    field(guess).value = "most"
    assert "&#x27;most&#x27; is not a number" in guess.widget.children[2].value
    assert guess.value is None
    field(guess).value = "88%"
    assert guess.value == pytest.approx(0.88)
    assert "near enough" in guess.outcomes[0].widget.value


def test_a_slider_counts_when_its_button_is_pressed() -> None:
    guess = exercises.guess("share", "How much?", unit="%", between=(0, 1))
    slider = field(guess)
    assert (slider.min, slider.max) == (0, 100)
    slider.value = 30
    assert guess.value is None
    button(guess, "This is my guess").click()
    assert guess.value == pytest.approx(0.3)


def test_the_first_guess_is_recorded_and_found_again(file: Path) -> None:
    guess = criterion()
    guess.reveal("QM.", answer="QM")
    button(guess, "MP").click()
    button(guess, "QM").click()
    (entry,) = json.loads(file.read_text())["guesses"].values()
    assert (entry["guess"], entry["right"]) == ("MP", False)
    again = criterion()  # as after a restart
    again.reveal("QM.", answer="QM")
    assert again.value == "MP"
    assert "<details open>" in again.outcomes[0].widget.value
    assert " open>" not in again.outcomes[0]._repr_mimebundle_()["text/html"]


def test_a_figure_is_shown_once_with_its_text() -> None:
    guess = criterion()
    figure, ax = plt.subplots(figsize=(3, 2))
    ax.plot([0, 1])
    guess.reveal(figure, alt='A line that "rises" < 1.', answer="QM")
    assert not plt.get_fignums()  # else it would stand below, unfolded
    found = re.search(
        r'<img src="data:image/png;base64,([^"]+)" alt="([^"]+)" width="300" height="200"', guess.outcomes[0].page()
    )
    assert found is not None
    assert found[2] == "A line that &quot;rises&quot; &lt; 1."
    assert Image.open(io.BytesIO(base64.b64decode(found[1]))).size == (480, 320)


def test_a_transparent_figure_stays_transparent() -> None:
    guess = criterion()
    guess.reveal(Figure(figsize=(1, 1), facecolor="none"), alt="nothing at all", answer="QM")
    found = re.search(r"base64,([^\"]+)", guess.outcomes[0].page())
    assert found is not None
    assert Image.open(io.BytesIO(base64.b64decode(found[1]))).convert("RGBA").getpixel((5, 5))[3] == 0


def test_texts_and_tables_are_escaped_and_keep_their_lines() -> None:
    guess = criterion()
    guess.reveal("a < b", "one\ntwo", pd.DataFrame({"<x>": [1]}), answer="QM")
    page = guess.outcomes[0].page()
    assert "<p>a &lt; b</p>" in page
    assert "<pre>one\ntwo</pre>" in page
    assert "&lt;x&gt;" in page


def test_every_guess_of_the_course_has_a_sentence_and_every_sentence_a_guess() -> None:
    asked = {ask.name for ask in course.asked() if ask.kind == "guess"}
    assert set(BECAUSE) == asked
    sentences = [sentence for of_guess in BECAUSE.values() for sentence in of_guess.values()]
    assert all(len(sentence) > 20 and sentence.endswith(".") for sentence in sentences)


def test_a_guess_of_the_course_is_told_its_sentence() -> None:
    guess = exercises.guess("best of three", "Which?", choices=["MP, in one go", "QM, in one go", "QM, in 14 stages"])
    guess.reveal("QM.", answer="QM, in 14 stages")
    button(guess, "MP, in one go").click()
    assert BECAUSE["best of three"]["MP, in one go"] in guess.outcomes[0].widget.value


@pytest.mark.parametrize(
    ("name", "answer", "guess", "told"),
    [
        (
            "correlation of a quarter",
            Answer(-0.28, within=0.42),
            0.0,
            "near enough. The interval, -0.70 to 0.14, includes",
        ),
        ("rise at half the way", Answer(0.1, unit="%"), 0.02, "too low. Almost level is not level"),
    ],
)
def test_sound_guesses_are_told_why(name: str, answer: Answer, guess: float, told: str) -> None:
    assert told in replace(answer, because=BECAUSE[name]).told(guess)


def test_what_is_shown_without_a_kernel_is_the_question() -> None:
    bundle = criterion()._repr_mimebundle_()
    assert "Which one wins?" in bundle["text/html"]
    assert "MP · LM · QM" in bundle["text/html"]
    assert bundle["application/vnd.jupyter.widget-view+json"]["model_id"]


@pytest.mark.parametrize(
    ("number", "unit", "text"),
    [
        (1, "points", "1 point"),
        (-1.0, "points", "-1 point"),
        (1.2, "points", "1.2 points"),
        (0.000244, "%", "0.024 %"),
        (999.4, "", "999"),
        (999.5, "", "1,000"),
        (-999.6, "", "-1,000"),
    ],
)
def test_numbers_are_written_for_readers(number: float, unit: str, text: str) -> None:
    assert quantities.write(number, unit).replace("\u00a0", " ") == text
