"""The look at this machine: a table of OK and FAIL, each FAIL with its remedy; the command line."""

from __future__ import annotations

import subprocess
import sys

import pytest

from lossprune_lib import __main__, doctor


def test_all_is_well_here() -> None:
    table = doctor.check()
    assert (table["status"] == "OK").all(), table.to_string()
    assert {"Python", "torch", "device", "sliders", "trained networks", "data sets", "disk"} == set(table.index)
    assert "digits" in table.loc["data sets", "found"]


def test_a_check_that_breaks_is_a_finding(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def broken() -> tuple[str, str]:
        raise RuntimeError("gone")

    monkeypatch.setitem(doctor._LOOKS, "disk", broken)
    table = doctor.check()
    assert table.loc["disk", "status"] == "FAIL"
    assert "RuntimeError: gone" in table.loc["disk", "found"]
    assert table.loc["disk", "remedy"]
    assert __main__.main(["doctor"]) == 1
    assert "FAIL" in capsys.readouterr().out


def test_a_wrong_data_folder_is_answered_with_the_librarys_own_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOSSPRUNE_DATA", "nowhere")
    row = doctor.check().loc["data sets"]
    assert row["status"] == "FAIL"
    assert "LOSSPRUNE_DATA names the folder nowhere" in row["remedy"]


def test_it_works_where_torch_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        "import sys; sys.modules['torch'] = None; from lossprune_lib import doctor; print(doctor.check().loc['torch'])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "FAIL" in run.stdout
    assert "install again" in run.stdout


def test_too_little_disk_has_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 10})())
    assert "free" in doctor.check().loc["disk", "remedy"]


def test_the_command_line_says_what_it_can() -> None:
    run = subprocess.run([sys.executable, "-m", "lossprune_lib", "--help"], capture_output=True, text=True, check=True)
    assert "doctor" in run.stdout
    assert subprocess.run([sys.executable, "-m", "lossprune_lib"], capture_output=True).returncode == 2


def test_the_table_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert __main__.main(["doctor"]) == 0
    assert capsys.readouterr().out.count("OK") == len(doctor._LOOKS)
