"""The slides of each notebook, from the figures of the built notebooks: how many, in which order, with which notes."""

from __future__ import annotations

import functools
import importlib
import re
from pathlib import Path
from types import ModuleType

import nbformat
import pytest

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
SOURCES = sorted((NOTEBOOKS / "source").glob("[0-9]*.py"))


@pytest.fixture
def slides(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(NOTEBOOKS))
    return importlib.import_module("slides")


def stem(path: Path) -> str:
    return path.stem


@functools.cache
def built(source: Path) -> nbformat.NotebookNode:
    return nbformat.read(NOTEBOOKS / f"{source.stem}.ipynb", 4)


@pytest.mark.parametrize("source", SOURCES, ids=stem)
def test_a_deck_has_ten_to_fifteen_slides_of_one_figure_each(slides: ModuleType, source: Path) -> None:
    deck = slides.slides(source, built(source))
    assert 10 <= len(deck) <= 15
    assert deck[0].text.startswith("# ")
    assert all(slide.text.startswith("## ") for slide in deck[1:])
    for slide in deck:
        assert sum("<img" in shown for shown in slide.shown) <= 1
        assert len(re.sub(r"\$.*?\$", "", slide.text, flags=re.S).split()) <= 75, slide.text
    assert sum("<img" in shown for slide in deck for shown in slide.shown) >= 4


@pytest.mark.parametrize("source", SOURCES, ids=stem)
def test_a_guess_is_followed_by_its_outcome_which_it_does_not_betray(slides: ModuleType, source: Path) -> None:
    deck = slides.slides(source, built(source))
    asked = [i for i, slide in enumerate(deck) if any('class="asked"' in shown for shown in slide.shown)]
    answered = [i for i, slide in enumerate(deck) if any('class="answer"' in shown for shown in slide.shown)]
    assert [i + 1 for i in asked] == answered
    assert len(asked) >= 3
    for i in asked:
        assert len(deck[i].shown) == 1
        assert deck[i].text.startswith("## Guess")
    # What to say to a wrong guess is in the notes and not on the slide.
    for i in answered:
        assert any(note.startswith("If you guessed") for note in deck[i].notes)
        assert not any("If you guessed" in shown for shown in deck[i].shown)


@pytest.mark.parametrize("source", SOURCES, ids=stem)
def test_each_slide_has_the_notes_of_its_section(slides: ModuleType, source: Path) -> None:
    notes = slides.notes(source.stem)
    deck = slides.slides(source, built(source))
    for slide in deck:
        assert slide.notes[0] == notes[slide.section] != ""
    assert deck[0].section == ""
    assert len({slide.section for slide in deck}) >= 4


def test_slides_are_in_no_notebook(slides: ModuleType) -> None:
    for source in SOURCES:
        titles = [slide.text.partition("\n")[0] for slide in slides.slides(source, built(source))]
        own = {line for cell in built(source).cells for line in cell.source.splitlines()}
        assert own.isdisjoint(title for title in titles if title.startswith("## Guess"))


def test_formulas_become_mathml_and_numbers_keep_their_unit(slides: ModuleType) -> None:
    assert "<math" in slides.mathml("costs $x^2$")
    assert 'display="block"' in slides.mathml("$$x$$")
    assert "90\N{NO-BREAK SPACE}%" in slides.mathml("at 90 % of it")
    for source in SOURCES:
        for slide in slides.slides(source, built(source)):
            assert not re.search(r"[$\\]", re.sub(r"<(math)\b.*?</\1>", "", slides.mathml(slide.text), flags=re.S))


def test_a_figure_without_a_slide_is_refused(slides: ModuleType, tmp_path: Path) -> None:
    source = tmp_path / "00_wrong.py"
    source.write_text('# %% [markdown]\n# # Title\n\n# %% tags=["on-slide"]\n1 + 1\n')
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell("1 + 1", metadata={"tags": ["on-slide"]}, outputs=[])]
    )
    with pytest.raises(ValueError, match="needs a slide above"):
        slides.slides(source, notebook)
