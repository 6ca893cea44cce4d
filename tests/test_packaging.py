"""What a wheel holds and requires: every module, every file of data/ that the library reads, and few packages."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from lossprune_lib import __version__, doctor, results
from lossprune_lib.installation import DATA, FROM_WHEEL, extra, study_plans

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT, SETUPTOOLS = PYPROJECT["project"], PYPROJECT["tool"]["setuptools"]


def test_every_folder_with_modules_is_a_package() -> None:
    folders = {path.parent.relative_to(ROOT) for path in (ROOT / "lossprune_lib").rglob("*.py")}
    assert set(SETUPTOOLS["packages"]) == {".".join(folder.parts) for folder in folders} | {"lossprune_lib.shipped"}


def test_the_wheel_holds_every_file_that_the_library_reads() -> None:
    assert ROOT / SETUPTOOLS["package-dir"]["lossprune_lib.shipped"] == DATA
    inside = {path for glob in SETUPTOOLS["package-data"]["lossprune_lib.shipped"] for path in DATA.glob(glob)}
    left_out = {path.suffix for path in set(DATA.rglob("*.*")) - inside}
    assert left_out <= {".py", ".pyc", ".sqlite"}, "of a new kind: does the library read it?"
    read = {DATA / "results" / f"{name}.csv" for name in results.names()} | set(study_plans().values())
    read |= set((DATA / "checkpoints").glob("*.safetensors")) | set((DATA / "paper").glob("*.csv"))
    assert len(read) > 15
    assert read <= inside


def test_the_requirements_are_the_librarys_and_the_courses() -> None:
    lines = [line for line in (ROOT / "requirements.txt").read_text().splitlines() if not line.startswith("#")]
    assert sorted(lines) == sorted(PROJECT["dependencies"] + PROJECT["optional-dependencies"]["course"])


def test_the_version_is_one_and_is_told() -> None:
    run = subprocess.run([sys.executable, "-m", "lossprune_lib", "--version"], capture_output=True, text=True)
    assert (run.returncode, run.stdout) == (0, f"lossprune {__version__}\n")
    section = "Unreleased" if ".dev" in __version__ else __version__
    assert f"\n## [{section}]" in (ROOT / "CHANGELOG.md").read_text()
    assert f"\nversion: {__version__}\n" in (ROOT / "CITATION.cff").read_text()


def test_the_command_line_starts_without_torch() -> None:
    code = "import sys; sys.modules['torch'] = None; from lossprune_lib import __main__; __main__.main(['doctor'])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "FAIL  torch" in run.stdout, run.stderr
    assert f"lossprune {__version__}" in run.stdout


# Everything that only the course needs.
COURSE = [re.match(r"[\w-]+", line)[0] for line in PROJECT["optional-dependencies"]["course"]]


def without_the_course(code: str) -> str:
    """Run code where the packages of the extra [course] are missing; return what it prints."""
    missing = "import sys; sys.modules.update(dict.fromkeys({!r}))\n".format([*COURSE, "IPython", "PIL"])
    run = subprocess.run([sys.executable, "-c", missing + code], capture_output=True, text=True, cwd=ROOT)
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_figures_and_sliders_name_the_extra_that_they_need_and_everything_else_does_without() -> None:
    code = (
        "import importlib, pkgutil, lossprune_lib\n"
        "for name in ('plots', 'widgets.sliders'):\n"
        "    try: importlib.import_module(f'lossprune_lib.{name}')\n"
        "    except ImportError as error: print(error)\n"
        "for module in pkgutil.walk_packages(lossprune_lib.__path__, 'lossprune_lib.', onerror=lambda name: None):\n"
        "    if not module.name.startswith(('lossprune_lib.plots', 'lossprune_lib.widgets')):\n"
        "        importlib.import_module(module.name)\n"
        "from lossprune_lib import exercises, results\n"
        "print(len(results.load('digits')) > 0)\n"
    )
    missing = r'\w+ is not installed: pip install "lossprune\[course\]" .*\n'
    assert re.fullmatch(f"{missing}{missing}True\n", without_the_course(code))


def test_an_error_of_our_own_is_no_missing_extra() -> None:
    with pytest.raises(ModuleNotFoundError, match="nothing_there"), extra("course"):
        importlib.import_module("lossprune_lib.nothing_there")


def test_sliders_are_missed_in_a_checkout_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    assert not FROM_WHEEL
    assert "lossprune[course]" in doctor.check().loc["sliders", "remedy"]
    monkeypatch.setattr(doctor, "FROM_WHEEL", True)
    row = doctor.check().loc["sliders"]
    assert row["status"] == "OK"
    assert "lossprune[course]" in row["found"]


def test_missing_networks_are_a_finding(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(doctor, "DATA", tmp_path)
    row = doctor.check().loc["trained networks"]
    assert row["status"] == "FAIL"
    assert str(tmp_path) in row["remedy"]
