"""The notebooks' setup cell, wherever a notebook lies: in a checkout, beside one, alone, without git or a network."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from lossprune_lib import installation

ROOT = Path(__file__).parents[1]
SAY_WHERE = "\nimport lossprune_lib; print('from', lossprune_lib.__file__)"
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "LOSSPRUNE", "PIP"))}


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with every package that is here, but without the library."""
    folder = tmp_path_factory.mktemp("kernel")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    python = folder / "bin" / "python"
    where = [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    site = subprocess.run(where, check=True, capture_output=True, text=True).stdout.strip()
    # A folder that is named here has none of its own .pth files read, so that the library's is not.
    Path(site, "here.pth").write_text("\n".join(path for path in sys.path if Path(path).name == "site-packages"))
    return python


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What a student unpacked: the project under another name, without git."""
    folder = tmp_path / "unpacked"
    folder.mkdir()
    shutil.copy(ROOT / "pyproject.toml", folder)
    shutil.copytree(ROOT / "lossprune_lib", folder / "lossprune_lib", ignore=shutil.ignore_patterns("*.pyc"))
    return folder


@pytest.fixture
def setup(script: Callable[[str], ModuleType], checkout: Path) -> str:
    """The cell, which fetches a branch of a repository in this folder."""
    origin = checkout.parent / "origin"
    shutil.copytree(checkout, origin)
    git = ["git", "-C", origin, "-c", "user.name=test", "-c", "user.email=test@localhost"]
    for command in (
        ["init", "--quiet", "--initial-branch=last-term"],
        ["add", "."],
        ["commit", "--quiet", "-m", "all"],
    ):
        subprocess.run([*git, *command], check=True)
    return script("build").SETUP.format(ref="last-term", repository=origin)


def run(python: Path, cell: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    folder.mkdir(parents=True, exist_ok=True)
    command = [python, "-c", cell + SAY_WHERE]
    return subprocess.run(command, cwd=folder, env=CLEAN | environment, capture_output=True, text=True, check=False)


def taken_from(done: subprocess.CompletedProcess[str]) -> Path:
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.split("from ")[-1].strip()).parents[1]


@pytest.mark.parametrize("folder", ["notebooks", "notebooks/solutions", "my-notebooks", "any/where/in it"])
def test_the_checkout_around_a_notebook_is_taken(bare: Path, setup: str, checkout: Path, folder: str) -> None:
    assert taken_from(run(bare, setup, checkout / folder, PATH="")) == checkout


def test_the_checkout_around_goes_before_what_is_installed(setup: str, checkout: Path) -> None:
    assert taken_from(run(Path(sys.executable), setup, checkout / "notebooks", PATH="")) == checkout


def test_what_is_installed_is_taken_outside_a_checkout(setup: str, tmp_path: Path) -> None:
    done = run(Path(sys.executable), setup, tmp_path / "alone", PATH="", PYTHONPATH=str(ROOT))
    assert taken_from(done) == ROOT


def test_a_notebook_alone_fetches_what_it_was_built_from_once(bare: Path, setup: str, tmp_path: Path) -> None:
    alone = tmp_path / "alone"
    assert taken_from(run(bare, setup, alone)) == alone / "lossprune"
    assert taken_from(run(bare, setup, alone, PATH="")) == alone / "lossprune"
    assert not (alone / ".lossprune-part").exists()


def test_what_was_fetched_in_part_is_fetched_again(bare: Path, setup: str, tmp_path: Path) -> None:
    (tmp_path / "alone" / ".lossprune-part" / ".git").mkdir(parents=True)
    assert taken_from(run(bare, setup, tmp_path / "alone")) == tmp_path / "alone" / "lossprune"


def test_missing_git_and_network_are_said_in_a_sentence(bare: Path, setup: str, tmp_path: Path) -> None:
    done = run(bare, setup, tmp_path / "alone", PATH="")
    assert done.stderr.splitlines()[-1].startswith("RuntimeError: git is missing: install it")
    shutil.move(tmp_path / "origin", tmp_path / "cut off")
    done = run(bare, setup, tmp_path / "alone")
    assert "cannot be reached: connect to the network" in done.stderr.splitlines()[-1]
    shutil.move(tmp_path / "cut off", tmp_path / "origin")  # and the same cell again:
    assert taken_from(run(bare, setup, tmp_path / "alone")) == tmp_path / "alone" / "lossprune"


def test_missing_packages_are_installed_and_no_others(bare: Path, setup: str, checkout: Path, tmp_path: Path) -> None:
    project = checkout / "pyproject.toml"
    project.write_text(project.read_text().replace('"numpy>=1.26"', '"numpy>=1.26", "lacking-here>=2"'))
    done = run(bare, setup, checkout, PIP_NO_INDEX="1")
    assert "lacking-here>=2 could not be installed" in done.stderr.splitlines()[-1]
    with zipfile.ZipFile(tmp_path / "lacking_here-2.1-py3-none-any.whl", "w") as wheel:
        wheel.writestr("lacking_here.py", "")
        info = "lacking_here-2.1.dist-info"
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: lacking-here\nVersion: 2.1\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    offline = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path)}
    done = run(bare, setup + "\nimport lacking_here", checkout, **offline)
    assert "Installing lacking-here>=2 ..." in done.stdout
    assert taken_from(done) == checkout
    assert "Installing" not in run(bare, setup, checkout, **offline).stdout


def test_an_old_python_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 2))
    with pytest.raises(RuntimeError, match=r"Python 3\.11 or newer"):
        installation.make_ready()


def test_a_version_that_does_not_fit_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert installation.missing(ROOT) == []
    monkeypatch.setattr(installation.metadata, "version", lambda name: "7.0" if name == "ipywidgets" else "99")
    lacking = installation.missing(ROOT)
    assert "ipywidgets>=7.7.1,<9" in lacking
    assert not any(line.startswith(("numpy", "jupyterlab")) for line in lacking)
