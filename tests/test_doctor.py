"""The check of this machine: a table of OK and FAIL, each FAIL with its remedy; the command line."""

from __future__ import annotations

import subprocess
import sys
import types
from importlib import metadata

import ipywidgets
import nbclient
import nbformat
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


def installed(versions: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Pretend that exactly these packages are installed, in these versions."""

    def version(name: str) -> str:
        if name not in versions:
            raise metadata.PackageNotFoundError(name)
        return versions[name]

    monkeypatch.setattr(ipywidgets, "__version__", versions["ipywidgets"])
    monkeypatch.setattr(doctor.metadata, "version", version)


@pytest.mark.parametrize(
    ("widgets", "drawn_by", "remedy"),
    [
        ("8.1.9", "3.0.17", ""),
        ("7.7.1", "1.1.11", ""),
        ("8.1.9", None, "jupyterlab_widgets==3.*"),
        ("8.1.9", "1.1.11", "jupyterlab_widgets==3.*"),
        ("7.7.1", "3.0.17", "jupyterlab_widgets==1.*"),
        ("7.6.0", "1.1.11", "install ipywidgets 7.7 or newer"),
        ("9.0.0", "3.0.17", "older than 9"),
    ],
)
def test_both_halves_of_the_sliders_must_fit(
    widgets: str, drawn_by: str | None, remedy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = {"ipywidgets": widgets} | ({"jupyterlab_widgets": drawn_by} if drawn_by else {})
    installed(versions, monkeypatch)
    row = doctor.check().loc["sliders"]
    assert row["status"] == ("FAIL" if remedy else "OK")
    assert remedy in row["remedy"]
    assert widgets in row["found"]


@pytest.mark.parametrize("place", ["Colab", "VS Code", "Jupyter", "another front end", "no notebook open"])
def test_the_front_end_is_named_and_only_what_it_needs_is_asked_for(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("JPY_SESSION_NAME", "VSCODE_PID"):
        monkeypatch.delenv(name, raising=False)
    kernel = types.ModuleType("ipykernel.kernelapp")
    running = place != "no notebook open"
    kernel.IPKernelApp = types.SimpleNamespace(initialized=lambda: running)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "ipykernel.kernelapp", kernel)
    monkeypatch.delitem(sys.modules, "google.colab", raising=False)
    if place == "Colab":
        monkeypatch.setitem(sys.modules, "google.colab", types.ModuleType("google.colab"))
    if place == "Jupyter":
        monkeypatch.setenv("JPY_SESSION_NAME", "00_start_here.ipynb")
    if place in ("VS Code", "no notebook open"):
        monkeypatch.setenv("VSCODE_PID", "1")
    installed({"ipywidgets": "8.1.9"}, monkeypatch)
    row = doctor.check().loc["sliders"]
    assert place in row["found"]
    assert (row["status"] == "OK") == (place in ("Colab", "VS Code"))  # they include their own renderer


def test_a_kernel_of_a_notebook_is_recognised() -> None:
    notebook = nbformat.v4.new_notebook()
    code = "from lossprune_lib import doctor; print(doctor.check().loc['sliders', 'found'])"
    notebook.cells = [nbformat.v4.new_code_cell(code)]
    (cell,) = nbclient.execute(notebook, timeout=60).cells
    assert "another front end" in cell.outputs[0].text


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


@pytest.mark.parametrize(
    ("arguments", "command", "kept"),
    [
        (["doctor"], "doctor.check", False),
        (["study", "status", "a plan"], "__main__._study", False),
        (["study", "run", "a plan"], "__main__._study", True),
    ],
)
def test_only_where_runs_are_kept_is_an_interruption_told_so(
    arguments: list[str],
    command: str,
    kept: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(f"lossprune_lib.{command}", interrupted)
    assert __main__.main(arguments) == 130
    told = capsys.readouterr().err
    assert told.startswith("Interrupted.")
    assert ("runs are kept" in told) == kept
