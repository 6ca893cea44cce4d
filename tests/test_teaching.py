"""What teachers get: plans whose minutes add up, notes for each notebook, and sheets that agree with the notebooks."""

from __future__ import annotations

import importlib
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
SOURCES = sorted((NOTEBOOKS / "source").glob("[0-9]*.py"))
EXERCISE = re.compile(r"^# ### (Exercise|Bonus) (\d\.\d):.*?about (\d+) minutes", re.M | re.S)


@pytest.fixture
def teaching(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(NOTEBOOKS))
    return importlib.import_module("teaching")


def stem(path: Path) -> str:
    return path.stem


def sections(source: Path) -> set[str]:
    """The numbered sections of a notebook's text, without those of its slides."""
    cells = source.read_text("utf-8").split("# %%")
    text = "\n".join(cell for cell in cells if '"slide"' not in cell.partition("\n")[0])
    return set(re.findall(r"^# ## (\d+)\. ", text, re.M))


def how_long(source: Path) -> tuple[int, int]:
    """The minutes that a notebook's head promises: for reading, and for the exercises."""
    line = re.search(
        r"^# \*\*It takes\*\* about (\d+) minutes(?:, and (\d+) more for the exercises)?\.",
        source.read_text("utf-8"),
        re.M,
    )
    assert line, f"{source.name} does not say how long it takes"
    return int(line[1]), int(line[2] or 0)


def test_what_is_written_by_the_scripts_is_up_to_date(teaching: ModuleType) -> None:
    for path, text in teaching.written().items():
        assert path.read_text("utf-8") == text.rstrip("\n") + "\n", "run: python notebooks/teaching.py"
    concept_map = importlib.import_module("concept_map")
    folder = NOTEBOOKS / "teaching"
    for name, text in (("concept_map.svg", concept_map.drawing()), ("concept_map.md", concept_map.page())):
        assert (folder / name).read_text("utf-8") == text, "run: python notebooks/concept_map.py"


def test_the_table_of_minutes_names_every_section_and_exercise(teaching: ModuleType) -> None:
    table = teaching.minutes()
    assert list(table) == [source.stem for source in SOURCES]
    for source in SOURCES:
        entry = table[source.stem]
        assert set(entry["sections"]) == {*sections(source), "quiz"}, source.name
        said = {(kind, number): int(minutes) for kind, number, minutes in EXERCISE.findall(source.read_text("utf-8"))}
        kept = {("Exercise", number): minutes for number, minutes in entry.get("exercises", {}).items()}
        kept |= {("Bonus", number): minutes for number, minutes in entry.get("bonus", {}).items()}
        assert kept == said, source.name
        assert set(entry["measured"]) <= {*entry["sections"], *entry.get("exercises", {}), *entry.get("bonus", {})}


@pytest.mark.parametrize("source", SOURCES, ids=stem)
def test_each_notebook_says_how_long_it_takes_as_the_table_does(teaching: ModuleType, source: Path) -> None:
    entry = teaching.minutes()[source.stem]
    sums = sum(entry["sections"].values()), sum(entry.get("exercises", {}).values())
    assert how_long(source) == sums
    assert 30 <= sums[0] <= 45


def test_the_minutes_of_the_plans_add_up(teaching: ModuleType) -> None:
    table, plans = teaching.minutes(), teaching.plans()
    for plan in plans:
        assert sum(teaching.length(part, table) for part in plan["parts"]) == plan["length"], plan["name"]
        last = teaching.plan_table(plan, table).splitlines()[-1]
        assert re.match(rf"\| \d+-{plan['length']} \|", last)
    assert [plan["length"] for plan in plans[:2]] == [90, 180]
    assert len(plans) == 9


def test_the_seven_evenings_cover_the_course_once(teaching: ModuleType) -> None:
    taken: list[tuple[str, Any]] = []
    for plan in teaching.plans()[2:]:
        for part in plan["parts"]:
            names = [*part.get("sections", []), *part.get("exercises", [])]
            taken += [(part["notebook"], str(name)) for name in names]
    assert len(set(taken)) == len(taken)
    table = teaching.minutes()
    every = {(name[:2], section) for name, entry in table.items() for section in entry["sections"]}
    every |= {(name[:2], exercise) for name, entry in table.items() for exercise in entry.get("exercises", {})}
    # Whether everything runs is seen while people arrive.
    assert set(taken) == every - {("00", "1")}


def test_minutes_that_do_not_add_up_and_sections_that_are_not_there_are_found(teaching: ModuleType) -> None:
    table, plan = teaching.minutes(), teaching.plans()[0]
    table["00_start_here"]["sections"]["3"] += 1
    assert sum(teaching.length(part, table) for part in plan["parts"]) == plan["length"] + 1
    with pytest.raises(KeyError):
        teaching.length({"notebook": "00", "sections": [17]}, table)


def test_a_measured_minute_is_counted(teaching: ModuleType) -> None:
    table = teaching.minutes()
    before = teaching.status(table)
    table["00_start_here"]["measured"] = ["3"]
    assert teaching.status(table) != before
    assert "1 of " in teaching.status(table)


@pytest.mark.parametrize("source", SOURCES, ids=stem)
def test_the_notes_speak_of_every_section_and_exercise(source: Path) -> None:
    text = (NOTEBOOKS / "teaching" / f"{source.stem}.md").read_text("utf-8")
    assert re.search(r"^\*\*The turn\.\*\* \S.*\.$", text, re.M)
    assert set(re.findall(r"^### (\d+)\. ", text, re.M)) == sections(source)
    titles = dict(re.findall(r"^### (\d+)\. (.*)$", text, re.M))
    assert titles == dict(re.findall(r"^# ## (\d+)\. (.*)$", source.read_text("utf-8"), re.M))
    for heading in ("Exercises", "The usual misconception", "When they are stuck", "Short of time"):
        assert f"\n## {heading}\n" in text, heading
    rows = {
        number: (answer, trains)
        for number, answer, trains in re.findall(r"^\| (\d\.\d) .*? \| (.+?) \| (.+?) \|$", text, re.M)
    }
    assert set(rows) == {number for _, number, _ in EXERCISE.findall(source.read_text("utf-8"))}
    # The question that undoes the misconception is printed bold, and is a question.
    undone = text.partition("## The usual misconception")[2].partition("\n## ")[0]
    assert re.search(r"\*\*[^*]+\?\*\*", undone)


@pytest.mark.parametrize("source", SOURCES, ids=stem)
def test_each_question_of_a_quiz_has_one_right_answer(teaching: ModuleType, source: Path) -> None:
    questions = teaching.quiz(source)
    assert 4 <= len(questions) <= 6
    for question in questions:
        assert len(question.answers) >= 3
        assert sum(why.startswith("Right") for _, why in question.answers) == 1
    sheet, key = teaching.sheet(), teaching.key()
    for question in questions:
        answer, why = question.answers[question.right]
        assert f") {answer}\n" in sheet
        assert why not in sheet
        assert why.removeprefix("Right. ") in key


def test_the_right_answers_are_spread(teaching: ModuleType) -> None:
    places = [question.right for source in SOURCES for question in teaching.quiz(source)]
    assert all(places.count(place) >= len(places) / 6 for place in range(3))


def test_links_of_the_teachers_pages_lead_somewhere() -> None:
    for page in [NOTEBOOKS / "TEACHING.md", *(NOTEBOOKS / "teaching").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text("utf-8")):
            assert "://" in target or (page.parent / target).exists(), f"{page.name}: {target}"
    linked = (NOTEBOOKS / "TEACHING.md").read_text("utf-8")
    assert all(f"teaching/{path.name}" in linked for path in (NOTEBOOKS / "teaching").glob("*.md"))


def test_the_concept_map_can_be_heard() -> None:
    drawing = ET.parse(NOTEBOOKS / "teaching" / "concept_map.svg").getroot()
    names = drawing.attrib["aria-labelledby"].split()
    texts = {
        element.attrib["id"]: element.text or "" for element in drawing.iter() if element.attrib.get("id") in names
    }
    assert set(texts) == set(names)
    for element in drawing.iter("{http://www.w3.org/2000/svg}text"):
        word = (element.text or "").casefold()
        if element.attrib["font-size"] in ("20", "15"):  # a name, or what joins two
            assert word in texts["said"].casefold(), word
