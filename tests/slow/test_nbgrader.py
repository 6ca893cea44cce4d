"""From the course's sources to marks: nbgrader makes the assignment, and grades a right, a wrong and an empty one."""

from __future__ import annotations

import copy
import csv
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode

from lossprune_lib.classroom import collect

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("nbgrader") is None, reason="nbgrader is not installed: make test-slow installs it"
    ),
]

ROOT = Path(__file__).parents[2]
NAME = "01_loss_landscapes"
WRONG = {
    "loss-on-a-line": "def loss_on_line(space, rest, x, y, direction, at):\n    return at",
    "read-a-slice": 'my_reading = "a"',
}


def run(folder: Path, *command: str) -> None:
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),  # nbgrader runs alembic
        **dict.fromkeys(("HOME", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR"), str(folder / "home")),
    }
    done = subprocess.run([sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def answers(notebook: NotebookNode) -> dict[str, NotebookNode]:
    """Return the cells to write in, by their exercises."""
    marked = [cell for cell in notebook.cells if cell.metadata.get("nbgrader", {}).get("solution")]
    return {cell.metadata.nbgrader.grade_id.removesuffix("-answer"): cell for cell in marked}


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A course in which three students have handed in notebook 01, and in which it is graded."""
    folder = tmp_path_factory.mktemp("nbgrader")
    (folder / "home").mkdir()
    run(folder, str(ROOT / "notebooks" / "grading.py"), str(folder))
    run(folder, "-m", "nbgrader", "generate_assignment", NAME)
    solved = answers(nbformat.read(folder / "source" / NAME / f"{NAME}.ipynb", 4))
    released = nbformat.read(folder / "release" / NAME / f"{NAME}.ipynb", 4)
    for who in ("right", "wrong", "empty"):
        handed_in = copy.deepcopy(released)
        for exercise, cell in answers(handed_in).items():
            if who == "right":
                cell.source = solved[exercise].source
            if who == "wrong":
                # Two mistakes, one exercise not attempted, and one that is right, though it warns.
                cell.source = WRONG.get(exercise, cell.source)
                if exercise == "shortest-step":
                    cell.source = solved[exercise].source.replace(
                        "    sizes =", '    __import__("warnings").warn("careful")\n    sizes ='
                    )
                    assert "careful" in cell.source
        path = folder / "submitted" / who / NAME / f"{NAME}.ipynb"
        path.parent.mkdir(parents=True)
        nbformat.write(handed_in, path)
    run(folder, "-m", "nbgrader", "autograde", NAME)
    run(folder, "-m", "nbgrader", "export", "--to", "grades.csv")
    return folder


def test_no_solution_is_released(course: Path) -> None:
    released = (course / "release" / NAME / f"{NAME}.ipynb").read_text()
    assert "SOLUTION" not in released
    assert "<summary>Solution" not in released
    solved = answers(nbformat.read(course / "source" / NAME / f"{NAME}.ipynb", 4))
    cells = [cell.source for cell in nbformat.reads(released, 4).cells]
    for cell in solved.values():
        solution = cell.source.partition("### BEGIN SOLUTION\n")[2].partition("\n### END SOLUTION")[0]
        assert solution
        assert not any(solution in source for source in cells)


def test_marks_are_full_partial_and_zero(course: Path) -> None:
    with (course / "grades.csv").open() as file:
        marks = {row["student_id"]: (float(row["score"]), float(row["max_score"])) for row in csv.DictReader(file)}
    assert marks == {"right": (4, 4), "wrong": (1, 4), "empty": (0, 4)}


def test_the_class_s_table_says_the_same_and_names_the_mistakes(course: Path) -> None:
    table = collect(course / "autograded").table
    graded = table[(table["kind"] == "exercise") & (table["number"] != "1.5")]
    assert graded.groupby("who")["right"].sum().to_dict() == {"right": 4, "wrong": 1, "empty": 0}
    of_wrong = graded[graded["who"] == "wrong"].set_index("name")
    assert of_wrong.loc["read a slice", "mistake"] == "one-direction"
    assert of_wrong["right"].isna().to_dict()["filter normalisation"]
    assert not list(course.rglob("progress.json"))
