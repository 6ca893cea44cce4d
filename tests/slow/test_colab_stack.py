"""Every notebook runs with the versions of Colab's widgets and kernel, after nothing but its own setup cell."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
NOT_OURS = [
    ".git",
    ".venv*",
    "local",
    "artefacts",
    "my-notebooks",
    "*cache*",
    "*.egg-info",
    ".hypothesis",
    ".coverage*",
]
STACK = [
    "ipywidgets==7.7.1",
    "jupyterlab-widgets<2",
    "ipython==7.34.0",
    "ipykernel==6.17.1",
    "traitlets==5.7.1",
    "torch==2.13.0",
    "matplotlib==3.10.0",  # the setup cell brings the library alone: Colab has what draws
    "nbval<1",  # this test's own tool
]


@pytest.mark.slow
def test_notebooks_set_themselves_up_and_run(tmp_path: Path) -> None:
    python = tmp_path / "env" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "env"], check=True)
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*install, *STACK], check=True)
    frozen = [python, "-m", "pip", "freeze"]
    before = set(subprocess.run(frozen, check=True, capture_output=True, text=True).stdout.splitlines())

    # What a branch on the web would hold.
    clone, ref = tmp_path / "origin", "what-learners-get"
    shutil.copytree(ROOT, clone, ignore=shutil.ignore_patterns(*NOT_OURS))
    git = ["git", "-C", clone, "-c", "user.name=test", "-c", "user.email=test@localhost"]
    for command in (
        ["init", "--quiet", f"--initial-branch={ref}"],
        ["add", "--all"],
        ["commit", "--quiet", "-m", "all"],
    ):
        subprocess.run([*git, *command], check=True)
    work = tmp_path / "content"
    work.mkdir()
    notebooks = sorted((clone / "notebooks").glob("*.ipynb"))
    setups = {next(c.source for c in nbformat.read(path, 4).cells if c.cell_type == "code") for path in notebooks}
    assert len(setups) == 1, "the setup cell is the same in all"
    (setup,) = setups
    here = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["lossprune"]
    local = setup.replace(here["repository"], str(clone)).replace(f"--branch={here['ref']}", f"--branch={ref}")
    code = local + "\nimport lossprune_lib\nprint(lossprune_lib.__file__)"
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "LOSSPRUNE"))}
    run = subprocess.run([python, "-c", code], check=True, capture_output=True, text=True, cwd=work, env=clean)
    assert run.stdout.splitlines()[-1] == str(work / "lossprune" / "lossprune_lib" / "__init__.py")
    after = set(subprocess.run(frozen, check=True, capture_output=True, text=True).stdout.splitlines())
    assert before <= after, f"changed or removed: {before - after}"

    for path in notebooks:
        shutil.copy(path, work)
    command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--nbval-lax", "--nbval-current-env"]
    command += ["--nbval-cell-timeout=300", *(path.name for path in notebooks)]
    # One thread: several that wait for one another on a busy machine take many times as long.
    quiet = clean | {"OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1"}
    run = subprocess.run(command, capture_output=True, text=True, cwd=work, env=quiet, check=False)
    assert run.returncode == 0, run.stdout[-6000:]
