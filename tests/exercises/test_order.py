"""Cells run out of order: the sentence names the cell."""

from __future__ import annotations

import ast
import itertools
import subprocess
import sys
from pathlib import Path

import pytest

from lossprune_lib.exercises import course, order

OF_01 = [
    'task = data.load("digits")\nnet = models.pretrained("mlp_300_100", task)',
    "space = WeightSpace(net)\ntheta = space.read()\n",
]


@pytest.mark.parametrize(
    ("name", "place", "start"),
    [
        ("net", "before the first section", "task = data.load("),
        ("theta", "in section 1. A network is a point", "space = WeightSpace(net)"),
        ("plt", "before the first section", "import "),
        ("step_to", "in section 1. A network is a point", "def step_to("),
    ],
)
def test_the_section_that_makes_a_name_is_named(name: str, place: str, start: str) -> None:
    text = order.advice(name, OF_01)
    assert f"{name!r} is made {place}, by the cell that starts with:  {start}" in text
    assert "Run All Above" in text


def test_the_notebook_is_told_by_the_cells_that_were_run() -> None:
    assert order.advice("pruners", OF_01) == "'pruners' is made in no cell of this notebook: check its spelling."
    text = order.advice(
        "pruners", ["space = WeightSpace(net)\nfor layer, size in zip(space.layers, space.sizes, strict=True):"]
    )
    assert "'pruners' is made" in text


@pytest.mark.parametrize("letter", ["a", "b", "c", "D"])
def test_a_letter_without_quotes_is_told_so(letter: str) -> None:
    cells = course.cells(course.NOTEBOOKS / "03_locality.ipynb")
    text = order.advice(letter, [cell.source for cell in cells])
    assert text == f'If {letter!r} is your answer, put it in quotes: "{letter}".'


def test_names_inside_functions_and_comprehensions_are_not_made() -> None:
    source = (
        "x = [y for y in z]\ndef f(a):\n    b = a\nfor i in range(3):\n    j = {k: 0 for k in x}\nwith g() as h: pass"
    )
    assert order._names(source) == {"x", "f", "i", "j", "h"}


def test_without_notebooks_nothing_breaks(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setattr(course, "NOTEBOOKS", tmp_path)
    assert "check its spelling" in order.advice("net", OF_01)


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
    assert "'space' is made in section" in run.stderr


def test_a_cell_is_known_by_its_id_whatever_the_learner_wrote_in_it() -> None:
    cells = course.cells(course.NOTEBOOKS / "01_loss_landscapes.ipynb")
    changed = next(cell for cell in cells if cell.source.startswith("def loss_on_line"))
    assert "is made in section 1." in order.advice("step_to", ["what = 'the learner wrote'"], changed.id)


@pytest.mark.parametrize("path", course.notebooks(), ids=lambda path: path.stem)
def test_after_a_restart_every_section_begins_with_the_line_that_explains(path: Path) -> None:
    seen = {""}
    for cell in course.cells(path):
        if cell.section not in seen:
            seen.add(cell.section)
            assert cell.source.startswith("import lossprune_lib.exercises.order"), cell.section
    assert len(seen) > 5


@pytest.mark.parametrize("path", course.notebooks(), ids=lambda path: path.stem)
def test_after_a_restart_whatever_a_section_lacks_is_told_with_the_section_that_makes_it(path: Path) -> None:
    made: dict[str, str] = {}
    told = 0
    for section, cells in itertools.groupby(course.cells(path), key=lambda cell: cell.section):
        sources = [cell.source for cell in cells]
        used = {node.id for source in sources for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)}
        for name in sorted(used & made.keys()):
            place = f"section {made[name]}" if made[name] else "before the first section"
            assert place in order.advice(name, sources[:1])
            told += 1
        for source in sources:
            made |= {name: section for name in order._names(source) if name not in made}
    assert told > 5


def test_after_a_restart_a_kernel_tells_the_notebook_by_the_cell_that_fails() -> None:
    cells = [cell for cell in course.cells(course.NOTEBOOKS / "01_loss_landscapes.ipynb") if cell.section[:2] == "5."]
    code = (
        "from IPython.core.interactiveshell import InteractiveShell; shell = InteractiveShell.instance(); "
        f"[shell.run_cell(source, store_history=True) for source in {[cell.source for cell in cells[:2]]!r}]"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "NameError" in run.stdout
    assert "'to_mp' is made in section 2. Walk to a pruned network, by the cell that starts with:  t = " in run.stderr


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
