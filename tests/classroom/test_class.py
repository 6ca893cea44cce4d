"""Thirty files become one table: by reports and by notebooks, whatever lies among them."""

from __future__ import annotations

import csv
import json
import stat
from pathlib import Path
from typing import Any

import ipywidgets
import nbformat
import pytest
from IPython.core.formatters import DisplayFormatter
from nbformat.v4 import new_code_cell, new_notebook, new_output

from lossprune_lib import __main__, exercises
from lossprune_lib.classroom import collect, collected, notebooks
from lossprune_lib.exercises import course, records
from lossprune_lib.exercises.guesses import Guess
from lossprune_lib.exercises.verdict import MIME

NAME = "01_loss_landscapes"
CHECK = 'exercises.check("read a slice", my_reading)'
GUESS = 'asked = exercises.guess("highest at length 3", "Which?", ["mp", "qm"])'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LOSSPRUNE_PROGRESS", str(tmp_path / "progress.json"))
    monkeypatch.setattr(records, "_said", set())
    (tmp_path / "handed in").mkdir()
    return tmp_path / "handed in"


def report(folder: Path, who: str, letters: str, guess: float | None = None, name: str = "") -> Path:
    """Write the report of a learner who answered exercise 1.4 so."""
    records.path().unlink(missing_ok=True)
    for letter in letters:
        exercises.check("read a slice", letter)
    if guess is not None:
        records.note_guess("half wrong", guess, guess > 0.75)
    path = exercises.report(who, folder / f"{name or who}.json")
    assert path is not None
    return path


def notebook(path: Path, letter: str | None, guess: str | None = None, source: str = CHECK) -> Path:
    """Write the notebook of a learner who answered exercise 1.4 so, with the outputs that Jupyter stores."""
    data, _ = DisplayFormatter().format(exercises.check("read a slice", letter))
    cells = [new_code_cell(GUESS), new_code_cell(source, outputs=[new_output("execute_result", data)])]
    found = new_notebook(cells=cells)
    if guess is not None:
        asked = Guess("highest at length 3", "Which?", {"mp": "MP", "qm": "QM"}, "", None)
        asked.make(guess)
        asked.reveal("QM.", answer="qm", because={})
        state = ipywidgets.Widget.get_manager_state(widgets=[*asked.widget.children])
        found.metadata["widgets"] = {"application/vnd.jupyter.widget-state+json": state}
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(found, path)
    return path


def rows(folder: Path, **options: bool) -> dict[str, dict[str, Any]]:
    """Return each learner's row of exercise 1.4."""
    table = collect(folder, **options).table
    return {row["who"]: row for row in table[table["name"] == "read a slice"].to_dict("records")}


def test_three_reports_are_one_table(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report(folder, "Ada", "ac", 0.8)
    report(folder, "Ben", "ba", 0.5)
    report(folder, "Cleo", "")
    capsys.readouterr()
    assert __main__.main(["class", str(folder), "--csv", str(tmp_path / "class.csv")]) == 0
    said, wrong = capsys.readouterr()
    assert wrong == ""
    asked = sum(ask.kind == "exercise" for ask in course.asked())
    assert f"Ada   1 of {asked}  1.4         -                      2  1 of 1\n" in said
    assert f"Ben   0 of {asked}  -           1.4 one-direction      2  0 of 1\n" in said
    assert f"Cleo  0 of {asked}  -           -                      0  0 of 0\n" in said
    assert "1.4 read a slice      1      2          3  one-direction (2)\n" in said
    assert "00 half wrong     2      1  0.5 to 0.8, median 0.65\n" in said
    assert "1.4 read a slice: 2 learners, one-direction. The figure shows one direction" in said
    with (tmp_path / "class.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 3 * len(course.asked())
    (ben,) = (line for line in lines if line["who"] == "Ben" and line["number"] == "1.4")
    assert [ben[key] for key in ("right", "mistake", "mistakes", "tries")] == [
        "False", "one-direction", "normalisation; one-direction", "2",
    ]  # fmt: skip
    assert ben["when"].startswith("20")


def test_notebooks_give_the_same_without_being_run(folder: Path, tmp_path: Path) -> None:
    notebook(folder / "Ada" / f"{NAME}.ipynb", "c", "qm")
    notebook(folder / "Ben" / "work" / "any name.ipynb", "a", "mp")
    notebook(folder / f"Cleo_{NAME} (1).ipynb", None)
    notebook(folder / "Dan_12345_assignsubmission_file_" / f"{NAME}.ipynb", "b", None, f"{CHECK}\n1 / 0")
    found = rows(folder)
    assert {who: row["right"] for who, row in found.items() if row["right"] in (True, False)} == {
        "Ada": True, "Ben": False, "Dan": False,
    }  # fmt: skip
    assert set(found) == {"Ada", "Ben", "Cleo", "Dan"}
    assert (found["Ben"]["mistake"], found["Dan"]["mistake"]) == ("one-direction", "normalisation")
    table = collect(folder).table
    guesses = table[table["name"] == "highest at length 3"].set_index("who")
    assert guesses["guess"].dropna().to_dict() == {"Ada": "qm", "Ben": "mp"}
    assert guesses["right"].dropna().to_dict() == {"Ada": True, "Ben": False}


@pytest.mark.parametrize(
    "output",
    [
        new_output("execute_result", {"text/plain": "Not yet: Look at the table."}),
        new_output("error", ename="AssertionError", evalue="Not yet: Look. [one-direction]", traceback=[]),
    ],
)
def test_a_verdict_in_words_is_read_too(folder: Path, output: Any) -> None:
    cell = new_code_cell('display(exercises.check("read a slice", my_reading, strict=True))', outputs=[output])
    (folder / "Ada").mkdir()
    nbformat.write(new_notebook(cells=[cell]), folder / "Ada" / "a.ipynb")
    row = rows(folder)["Ada"]
    assert not row["right"]
    assert row["mistake"] == ("one-direction" if output.output_type == "error" else "")


def test_the_solved_and_the_unsolved_notebook_of_the_course_differ(folder: Path) -> None:
    for who, place in (("solved", "solutions/"), ("not", "")):
        (folder / who).mkdir()
        path = course.NOTEBOOKS / f"{place}{NAME}.ipynb"
        (folder / who / path.name).write_bytes(path.read_bytes())
    table = collect(folder).table
    of_exercises = table[table["kind"] == "exercise"].groupby("who")["right"]
    assert of_exercises.sum().to_dict() == {"not": 0, "solved": 5}
    assert of_exercises.count().to_dict() == {"not": 0, "solved": 5}


def test_bad_files_are_named_in_a_sentence_each(folder: Path) -> None:
    good = json.loads(report(folder, "Ada", "c").read_text())
    deep = "[" * 100_000
    for name, text in {
        "half.json": "{", "deep.json": deep, "list.json": "[]", "bytes.json": "\udcff",
        "later.json": json.dumps({**good, "version": 2}),
        "nobody.json": json.dumps({**good, "name": " "}),
        "number.json": json.dumps({**good, "name": 7}),
        "entries.json": json.dumps({**good, "exercises": [3]}),
        "passed.json": json.dumps({**good, "exercises": [{"name": "read a slice", "passed": "yes"}]}),
        "guess.json": json.dumps({**good, "guesses": [{"name": "half wrong", "guess": [1]}]}),
            "huge.json": json.dumps({**good, "guesses": [{"name": "half wrong", "guess": 10**400}]}),
            "nan.json": json.dumps({**good, "guesses": [{"name": "half wrong", "guess": float("nan")}]}),
            "tries.json": json.dumps({**good, "exercises": [{"name": "read a slice", "attempts": 10**20}]}),
        "progress.json": records.path().read_text(),
        "B_old.ipynb": '{"nbformat": 3, "worksheets": []}',
        "B_empty.ipynb": '{"nbformat": 4, "cells": [null, {"cell_type": "code", "outputs": 3}]}',
        f"{NAME}.ipynb": "{}",
        "photo.jpg": "",
    }.items():  # fmt: skip
        (folder / name).write_bytes(text.encode(errors="surrogateescape"))
    (folder / ".ipynb_checkpoints").mkdir()
    (folder / ".ipynb_checkpoints" / "x.json").write_text("{")
    found = collect(folder)
    assert set(found.table["who"]) == {"Ada"}
    named = {remark.split(" ")[0]: remark for remark in found.remarks}
    assert set(named) == {path.name for path in folder.iterdir() if path.is_file()} - {"Ada.json"}
    assert len(found.remarks) == len(named)
    assert "names nobody" in named["progress.json"]
    assert "version 2" in named["later.json"]
    assert "does not say whose it is" in named[f"{NAME}.ipynb"]
    assert all(len(remark) < 200 and remark.endswith(".") for remark in found.remarks)


def test_a_file_that_is_too_large_or_may_not_be_read_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report(folder, "Ada", "c")
    monkeypatch.setattr(collected, "MOST_BYTES", 10)
    with pytest.raises(ValueError, match=r"Ada\.json is larger than"):
        collect(folder)


def test_two_files_by_one_learner_count_once_and_are_said(folder: Path) -> None:
    right = report(folder, "Ada Lovelace", "c", name="first")
    earlier = json.loads(right.read_text()) | {"written": "2020-01-01T00:00:00+00:00"}
    right.write_text(json.dumps(earlier))
    report(folder, "ada  lovelace", "a", name="second")
    found = collect(folder)
    assert len(found.table) == len(course.asked())
    (row,) = rows(folder).values()
    assert row["right"]
    assert row["file"] == "first.json"
    (remark,) = found.remarks
    assert "more than once (first.json, second.json)" in remark


def test_two_notebooks_of_one_learner_are_no_remark(folder: Path) -> None:
    notebook(folder / "Ada" / f"{NAME}.ipynb", "c")
    cell = new_code_cell('exercises.check("masked step", masked_step)')
    nbformat.write(new_notebook(cells=[cell]), folder / "Ada" / "04.ipynb")
    assert collect(folder).remarks == []


def test_what_the_course_does_not_ask_and_other_versions_are_said(folder: Path) -> None:
    path = report(folder, "Ada", "c")
    found = json.loads(path.read_text())
    found["exercises"].append({"name": "squaring the\x1b[31m circle", "passed": True})
    path.write_text(json.dumps(found | {"lossprune": "9.9"}))
    remarks = collect(folder).remarks
    assert remarks[0] == "Ada.json names what this course does not ask: 'squaring the [31m circle'; it is left out."
    assert "version 9.9" in remarks[1]


def test_spreadsheets_run_nothing(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report(folder, "=HYPERLINK(1)", "c", name="Eve")
    __main__.main(["class", str(folder), "--csv", str(tmp_path / "class.csv")])
    assert "\n'=HYPERLINK(1)," in (tmp_path / "class.csv").read_text()


def test_nothing_is_run_unless_one_asks(folder: Path, tmp_path: Path) -> None:
    mark = tmp_path / "was run"
    shown = {MIME: {"exercise": "read a slice", "passed": True, "mistake": None}}
    # As a check shows it, for a kernel that need not load torch.
    source = f'open({str(mark)!r}, "w"); """\n{CHECK}\n"""; display({shown}, raw=True)'
    (folder / "Ada").mkdir()
    path = folder / "Ada" / "a.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell(source), new_code_cell("1 / 0")]), path)
    assert rows(folder)["Ada"]["right"] not in (True, False)
    assert not mark.exists()
    before = path.read_bytes()
    assert rows(folder, execute=True)["Ada"]["right"]
    assert mark.exists()
    assert path.read_bytes() == before


def test_code_that_kills_its_kernel_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notebooks, "SECONDS_A_CELL", 1)
    (folder / "Ada").mkdir()
    cell = new_code_cell(f"import time; time.sleep(60)\n{CHECK}")
    nbformat.write(new_notebook(cells=[cell]), folder / "Ada" / "a.ipynb")
    with pytest.raises(ValueError, match=r"a\.ipynb cannot be run to its end \(CellTimeoutError"):
        collect(folder, execute=True)


def test_without_files_or_course_a_sentence_says_so(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert __main__.main(["class", str(folder / "nowhere")]) == 1
    assert "There is no folder" in capsys.readouterr().err
    assert __main__.main(["class", str(folder)]) == 1
    assert "Nothing can be read" in capsys.readouterr().err
    monkeypatch.setattr(course, "NOTEBOOKS", folder)
    with pytest.raises(ValueError, match="notebooks of the course are not here"):
        collect(folder)


def test_the_csv_is_complete_or_as_before(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report(folder, "Ada", "c")
    (tmp_path / "a file").touch()
    assert __main__.main(["class", str(folder), "--csv", str(tmp_path / "a file" / "class.csv")]) == 1
    assert "cannot be written" in capsys.readouterr().err
    assert stat.S_ISREG((tmp_path / "a file").stat().st_mode)
