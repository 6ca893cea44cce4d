"""What is done is kept in a small file, whatever happens to it, and read as a table and as a report."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest

from lossprune_lib import __version__, exercises
from lossprune_lib.exercises import course, records


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LOSSPRUNE_PROGRESS", str(tmp_path / "progress.json"))
    monkeypatch.setattr(records, "_said", set())
    return tmp_path / "progress.json"


def a_letter(name: str, *answers: str) -> None:
    for answer in answers:
        exercises.check(name, answer)


def test_attempts_are_counted_until_the_right_one(file: Path) -> None:
    exercises.check("read a slice", None)
    assert not file.exists()
    a_letter("read a slice", "a", "b", "a", "c", "c", "a")
    (entry,) = json.loads(file.read_text())["exercises"].values()
    assert datetime.fromisoformat(entry.pop("when")).tzinfo is not None
    assert entry == {
        "passed": True,
        "attempts": 4,
        "mistake": None,
        "mistakes": {"one-direction": 2, "normalisation": 1},
    }


def test_progress_has_a_row_for_each_notebook(file: Path) -> None:
    before = exercises.progress()
    assert list(before.index) == [path.stem for path in course.notebooks()]
    assert before.loc["00_start_here", "guesses"] == "0 of 3"
    a_letter("read a slice", "a", "c")
    records.note_guess("half wrong", 0.5, None)
    row = exercises.progress().loc["01_loss_landscapes"]
    assert row["exercises"] == "1 of 5"
    assert row["still open"] == "1.1, 1.2, 1.3, 1.5"
    assert row["attempts"] == 2
    assert row["mistakes named"] == "1.4 one-direction"
    assert exercises.progress().loc["00_start_here", "guesses"] == "1 of 3"


def test_a_report_names_everything_that_is_asked(file: Path, tmp_path: Path) -> None:
    a_letter("read a slice", "b")
    records.note_guess("half wrong", 0.5, False)
    path = exercises.report("Ada Lovelace", tmp_path / "report.json")
    assert path is not None
    found = json.loads(path.read_text())
    assert (found["format"], found["version"], found["name"]) == ("lossprune report", 1, "Ada Lovelace")
    assert found["lossprune"] == __version__
    entries = {entry["name"]: entry for entry in found["exercises"] + found["guesses"]}
    assert entries["read a slice"].pop("when") <= found["written"]
    assert entries["read a slice"] == {
        "notebook": "01_loss_landscapes",
        "number": "1.4",
        "name": "read a slice",
        "passed": False,
        "attempts": 1,
        "mistake": "normalisation",
        "mistakes": {"normalisation": 1},
    }
    assert entries["shortest step"]["passed"] is None
    assert entries["half wrong"]["guess"] == 0.5
    assert entries["half wrong"]["right"] is False
    assert entries["best of three"]["guess"] is None
    assert len(entries) == len(course.asked())


def test_a_report_needs_a_name_and_says_where_it_cannot_be_written(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ValueError, match="Give your name"):
        exercises.report(" ")
    (tmp_path / "a file").touch()
    assert exercises.report("Ada", tmp_path / "a file" / "report.json") is None
    assert "Name another place" in capsys.readouterr().out


def test_what_cannot_be_written_is_said_once_and_stops_nothing(
    tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a file").touch()
    monkeypatch.setenv("LOSSPRUNE_PROGRESS", str(tmp_path / "a file" / "progress.json"))
    for _ in range(3):
        assert exercises.check("read a slice", "c").passed
    assert capsys.readouterr().out.count("Your progress is not recorded") == 1


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"exercises": 3, "guesses": {}}', '{"exercises": {"a": 1}, "guesses": {}}']
)
def test_a_damaged_file_is_kept_aside(file: Path, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(text)
    a_letter("read a slice", "c")
    assert json.loads(file.read_text())["exercises"]["read a slice"]["passed"]
    assert (file.parent / "progress.json.damaged").read_text() == text
    assert "begins anew" in capsys.readouterr().out


def test_nothing_is_recorded_outside_notebooks_or_if_it_is_off(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOSSPRUNE_PROGRESS", "off")
    assert records.path() is None
    a_letter("read a slice", "c")
    monkeypatch.delenv("LOSSPRUNE_PROGRESS")
    assert records.path() is None
    a_letter("read a slice", "c")
    assert list(tmp_path.iterdir()) == []


def test_a_kernel_records_in_its_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOSSPRUNE_PROGRESS", raising=False)
    code = (
        "from IPython.core.interactiveshell import InteractiveShell; shell = InteractiveShell.instance(); "
        "shell.run_cell('from lossprune_lib import exercises; import os; os.chdir(\"/\")'); "
        'shell.run_cell(\'exercises.check("read a slice", "c")\')'
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True)
    assert "read a slice" in (tmp_path / "progress.json").read_text()


def test_names_are_unique_in_the_course() -> None:
    names = [(ask.kind, ask.name) for ask in course.asked()]
    assert len(set(names)) == len(names)
    assert all(ask.number for ask in course.asked() if ask.kind == "exercise")
