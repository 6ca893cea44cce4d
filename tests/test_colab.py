"""Installing on Colab changes no package that is there: resolved against the package list that COLAB_FREEZE names.

The list belongs to others and is not part of the project: `make colab-check` fetches today's.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).parents[1]
FOR_AUTHORS = {"jupyterlab", "jupytext", "nbval"}  # they open, build and test notebooks, and no notebook imports them
FREEZE = os.environ.get("COLAB_FREEZE")
PYTHONS = ["3.12", "3.13"]  # of Colab's present image and the one before


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def packages(freeze: str) -> dict[str, str]:
    """The packages of a list with a line NAME==VERSION, or NAME @ ADDRESS, for each."""
    found = {}
    for line in freeze.splitlines():
        if "==" in line and not line.startswith("#"):
            name, version = line.split("==", 1)
        elif " @ " in line:
            name, place = line.split(" @ ", 1)
            wheel = re.search(r"/[^/]+?-([0-9][^-/]*)-[^/]*\.whl", unquote(place))
            version = wheel[1] if wheel else "0"
        else:
            continue
        found[normal(name.strip())] = version.strip()
    return found


def test_lists_are_read() -> None:
    torch_line = "torch @ https://example.org/whl/cpu/torch-2.11.0%2Bcpu-cp313-linux.whl"
    text = f"numpy==2.1.3\n{torch_line}\nmy_tool @ file:///x\n# a==1\n"
    assert packages(text) == {"numpy": "2.1.3", "torch": "2.11.0+cpu", "my-tool": "0"}


def pretend(installed: dict[str, str], folder: Path) -> Path:
    """An environment in which these packages seem to be installed; returns its Python."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / "bin" / "python"
    # Older ones cannot resolve for another Python.
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "pip>=25"]
    subprocess.run(install, check=True)
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = Path(subprocess.run([python, "-c", where], check=True, capture_output=True, text=True).stdout.strip())
    for name, version in installed.items():
        if name in ("pip", "setuptools"):
            continue
        info = site / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (info / "INSTALLER").write_text("pip\n")
        (info / "RECORD").write_text("")
    return python


def would_install(python: Path, requirements: str, version: str, folder: Path) -> dict[str, str]:
    """What pip would install for these requirements."""
    wanted = folder / "requirements.txt"
    wanted.write_text(requirements)
    command = [str(python), "-m", "pip", "install", "--dry-run", "--quiet"]
    command += ["--disable-pip-version-check", "--only-binary=:all:", "--python-version", version]
    command += ["--report", str(folder / "report.json"), "-r", str(wanted)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    report = json.loads((folder / "report.json").read_text())
    return {normal(item["metadata"]["name"]): item["metadata"]["version"] for item in report["install"]}


@pytest.fixture(scope="module")
def colab(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    if FREEZE is None:
        pytest.skip("COLAB_FREEZE names no package list of Colab: make colab-check fetches one")
    there = packages(Path(FREEZE).read_text())
    assert len(there) > 100
    return pretend(there, tmp_path_factory.mktemp("colab") / "env"), there


@pytest.mark.parametrize("version", PYTHONS)
def test_installing_changes_nothing_there(colab: tuple[Path, dict[str, str]], version: str, tmp_path: Path) -> None:
    python, there = colab
    new = would_install(python, (ROOT / "requirements.txt").read_text(), version, tmp_path)
    print("\n".join(["", f"Python {version} would get:", *(f"{name}=={number}" for name, number in new.items())]))
    assert not set(new) & set(there), "these are there and would be changed"


def test_what_the_setup_cell_leaves_out_is_there(colab: tuple[Path, dict[str, str]]) -> None:
    """It installs the library without the extra [course], which would bring JupyterLab along."""
    _, there = colab
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    course = {re.match(r"[\w-]+", line)[0] for line in extras["course"]}
    assert course - FOR_AUTHORS <= set(there)


def test_a_requirement_that_changes_something_is_found(colab: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    python, there = colab
    new = would_install(python, "ipywidgets>=8\n", PYTHONS[0], tmp_path)
    assert "ipywidgets" in set(new) & set(there)
