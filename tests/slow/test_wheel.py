"""The library without its clone: built as a source distribution and a wheel, and used from an empty folder."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from lossprune_lib import __version__

ROOT = Path(__file__).parents[2]
NEEDED = ["pyproject.toml", "README.md", "LICENSE", "lossprune_lib", "data"]  # to build: no tests, no notebooks
BUILD = "import sys; from setuptools import build_meta; getattr(build_meta, sys.argv[1])(sys.argv[2])"
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "LOSSPRUNE"))}
PAGES = (ROOT / "README.md", ROOT / "notebooks" / "LIBRARY.md")
EXAMPLES = [example for page in PAGES for example in re.findall(r"```python\n(.*?)```", page.read_text(), re.S)]

pytestmark = pytest.mark.slow


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=CLEAN, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The wheel of the source distribution, and the wheel of the project's folder."""
    folder = tmp_path_factory.mktemp("wheel")
    project, packed = folder / "project", folder / "packed"
    packed.mkdir()
    project.mkdir()
    for name in NEEDED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, project / name, ignore=shutil.ignore_patterns("*.pyc", "*.sqlite"))
        else:
            shutil.copy(ROOT / name, project)
    run(sys.executable, "-c", BUILD, "build_sdist", packed, cwd=project)
    (source,) = packed.glob("*.tar.gz")
    offline = ["--no-build-isolation", "--no-deps", "--no-index", "--no-cache-dir", "--disable-pip-version-check"]
    for origin, into in ((source, "of-source"), (project, "of-project")):
        run(sys.executable, "-m", "pip", "wheel", *offline, "--wheel-dir", folder / into, origin, cwd=packed)
    of_source, of_project = (next((folder / into).glob("*.whl")) for into in ("of-source", "of-project"))
    return of_source, of_project


@pytest.fixture(scope="module")
def python(wheels: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment that has the wheel, and whatever else is installed here."""
    folder = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder)
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip())
    (site / "here.pth").write_text("\n".join(path for path in sys.path if Path(path).name == "site-packages"))
    install = ["install", "--no-deps", "--no-index", "--disable-pip-version-check", wheels[0]]
    run(sys.executable, "-m", "pip", "--python", python, *install, cwd=folder)
    return python


def contents(wheel: Path) -> dict[str, int]:
    """Return the files of a wheel and their checksums."""
    with zipfile.ZipFile(wheel) as opened:
        return {file.filename: file.CRC for file in opened.infolist() if not file.filename.endswith("RECORD")}


def test_the_source_distribution_is_complete(wheels: tuple[Path, Path]) -> None:
    of_source, of_project = map(contents, wheels)
    assert of_source == of_project
    for file in (ROOT / "lossprune_lib").rglob("*.py"):
        assert file.relative_to(ROOT).as_posix() in of_source
    licence, typed = f"lossprune-{__version__}.dist-info/licenses/LICENSE", "lossprune_lib/py.typed"
    assert {licence, typed, "lossprune_lib/shipped/paper/table1.csv"} <= of_source.keys()


def test_what_comes_with_the_project_is_found(python: Path, tmp_path: Path) -> None:
    code = """
from lossprune_lib import Study, data, installation, models, results
assert installation.FROM_WHEEL
print(installation.PACKAGE)
models.pretrained("mlp_300_100", "digits")
table = results.load("digits")
print(len(table), len(results.beside_paper(table, 1)), len(Study.read(data.shipped("results/digits.toml")).runs))
"""
    package, numbers = run(python, "-c", code, cwd=tmp_path).splitlines()
    assert python.parents[1] in Path(package).parents
    assert all(int(number) > 1 for number in numbers.split())


def test_the_command_line_works(python: Path, tmp_path: Path) -> None:
    command = [python, "-m", "lossprune_lib"]
    assert run(*command, "--version", cwd=tmp_path) == f"lossprune {__version__}\n"
    found = run(*command, "doctor", cwd=tmp_path)
    assert f"lossprune {__version__}, installed in {python.parents[1]}" in found
    assert "trained networks  4 shipped" in found
    assert "cifar10_vgg11_140" in " ".join(run(*command, "study", "--help", cwd=tmp_path).split())
    plan = 'criteria = ["mp"]\nsparsities = [0.5]\nseeds = [0]\n[training]\nepochs = 1\n'
    (tmp_path / "plan.toml").write_text(plan)
    run(*command, "study", "run", "plan.toml", cwd=tmp_path)
    assert " runs finished" in run(*command, "study", "status", "digits", cwd=tmp_path)


@pytest.mark.parametrize("example", EXAMPLES, ids=["library", "study"])
def test_the_examples_of_the_pages_run(example: str, python: Path, tmp_path: Path) -> None:
    quick = example.replace("training=50", "training=1").replace("tuning=20", "tuning=1")
    run(python, "-c", quick, cwd=tmp_path)
