"""Cells run out of order: the sentence names the cell."""

from __future__ import annotations

import subprocess
import sys

import pytest

from lossprune_lib.exercises import order

OF_01 = [
    'task = data.load("digits")\nnet = models.pretrained("mlp_300_100", task)',
    "space = WeightSpace(net)\ntheta = space.read()\n",
]


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("net", "task = data.load("),
        ("theta", "space = WeightSpace(net)"),
        ("plt", "import "),
        ("step_to", "def step_to("),
    ],
)
def test_the_cell_that_makes_a_name_is_named(name: str, start: str) -> None:
    text = order.advice(name, OF_01)
    assert f"{name!r} is made in a cell further up" in text
    assert f"It starts with:  {start}" in text
    assert "Run All Above" in text


def test_the_notebook_is_told_by_the_cells_that_were_run() -> None:
    assert order.advice("pruners", OF_01) == "'pruners' is made in no cell of this notebook: look at its spelling."
    text = order.advice(
        "pruners", ["space = WeightSpace(net)\nfor layer, size in zip(space.layers, space.sizes, strict=True):"]
    )
    assert "'pruners' is made" in text


def test_without_notebooks_nothing_breaks(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setattr(order, "NOTEBOOKS", tmp_path)
    assert "look at its spelling" in order.advice("net", OF_01)


def test_a_kernel_shows_the_error_and_then_the_sentence() -> None:
    code = (
        "from IPython.core.interactiveshell import InteractiveShell; shell = InteractiveShell.instance(); "
        "shell.run_cell('from lossprune_lib import exercises'); result = shell.run_cell('space.size'); "
        "shell.run_cell('1 / 0'); print(type(result.error_in_exec).__name__)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "NameError" in run.stdout
    assert "name 'space' is not defined" in run.stdout
    assert "ZeroDivisionError" in run.stdout
    assert "'space' is made in a cell further up" in run.stderr


def test_a_handler_of_the_user_s_own_stays() -> None:
    code = (
        "from IPython.core.interactiveshell import InteractiveShell; shell = InteractiveShell.instance(); "
        "shell.set_custom_exc((ValueError,), lambda *a, **k: None); "
        "shell.run_cell('from lossprune_lib import exercises'); "
        "print(shell.custom_exceptions)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "ValueError" in run.stdout
    assert "NameError" not in run.stdout
