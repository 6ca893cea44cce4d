"""The library's type hints fit a script that uses the library: mypy finds nothing in it, and it runs."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPT = Path(__file__).with_name("users_script.py")


def test_mypy_finds_what_is_wrong_in_a_users_script_and_nothing_else(tmp_path: Path) -> None:
    """With the project's own settings, so that what `make lint` has seen of torch need not be read again."""
    wrong = SCRIPT.read_text("utf-8").replace('LocalPruner("mp", sparsity=0.5,', 'LocalPruner("mp", sparsity="half",')
    (tmp_path / "wrong.py").write_text(wrong, "utf-8")
    mypy = [sys.executable, "-m", "mypy", "--disallow-untyped-defs", str(SCRIPT), str(tmp_path / "wrong.py")]
    environment = os.environ | {"MYPYPATH": str(ROOT)}
    run = subprocess.run(mypy, capture_output=True, text=True, cwd=ROOT, env=environment)
    errors = [line for line in run.stdout.splitlines() if ": error: " in line]
    assert len(errors) == 1, run.stdout + run.stderr
    assert "wrong.py" in errors[0]
    assert 'Argument "sparsity" to "LocalPruner"' in errors[0]


def test_the_script_runs(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(SCRIPT), run_name="__main__")
    assert len(capsys.readouterr().out.splitlines()) == 12
