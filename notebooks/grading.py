"""A course for nbgrader: python notebooks/grading.py [FOLDER]

Every source with exercises becomes an assignment, FOLDER/source/NAME/NAME.ipynb. In it an exercise's stub is a cell to
write in, with the solution behind it between BEGIN SOLUTION and END SOLUTION, which `nbgrader generate_assignment`
takes out; its check is a graded cell that raises unless the answer is right. Bonus exercises are for the quick: their
checks say what is wrong as ever, and give no points.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import build
import jupytext
import nbformat
from nbformat import NotebookNode

FOLDER = build.HERE.parent / "artefacts" / "nbgrader"
POINTS = 1  # of an exercise
SECONDS_A_CELL = 300  # while grading, when several students' notebooks may share the machine
CHECK = re.compile(r"^exercises\.check\(\"([^\"]+)\", (\w+)\)$", re.M)
GRADED = r'display(exercises.check("\1", \2, strict=True))'  # nbgrader reads a cell's own result as points
REGION = "{stub}\n\n\n### BEGIN SOLUTION\n{solution}\n### END SOLUTION"
CONFIG = f"""\
import os

c = get_config()
c.CourseDirectory.course_id = "lossprune"
c.ClearSolutions.code_stub = {{"python": ""}}  # the stub stands before the solution, and stays
c.ExecutePreprocessor.timeout = {SECONDS_A_CELL}
os.environ["LOSSPRUNE_PROGRESS"] = "off"  # grading is nobody's progress
"""


def assignment(source: Path) -> NotebookNode:
    """Return a source as nbgrader wants it: with solutions and points, without outputs."""
    notebook = build.read(source)
    written = jupytext.read(source, fmt="py:percent").cells
    solutions = iter([cell.source for cell in written if "solution" in build.tags_of(cell)])
    notebook.cells = [cell for cell in notebook.cells if "solution" not in build.tags_of(cell)]  # which are folded up
    # The badge leads to the notebook that is not graded.
    notebook.cells[0].source = re.sub(r"\n\[!\[Open in Colab\].*\n", "", notebook.cells[0].source)
    is_bonus, stub = False, None
    for cell in notebook.cells:
        if "stub" in build.tags_of(cell):
            _refuse(stub, source)
            cell.source = REGION.format(stub=cell.source.rstrip(), solution=next(solutions).rstrip())
            is_bonus, stub = "bonus" in build.tags_of(cell), cell
        check = CHECK.search(cell.source) if cell.cell_type == "code" else None
        if check and stub is not None:
            name = re.sub(r"\W+", "-", check[1])
            stub.metadata["nbgrader"] = _nbgrader(f"{name}-answer", solution=True)
            if not is_bonus:
                cell.source = CHECK.sub(GRADED, cell.source)
                cell.metadata["nbgrader"] = _nbgrader(f"{name}-check", grade=True, locked=True, points=POINTS)
            stub = None
    _refuse(stub, source)
    return notebook


def _refuse(stub: NotebookNode | None, source: Path) -> None:
    """Raise ValueError if there is a stub that has not met its check."""
    if stub is not None:
        raise ValueError(f"{source.name}: each stub needs its check before the next stub.")


def _nbgrader(name: str, **given: bool | int) -> dict[str, object]:
    return {
        "schema_version": 3,
        "grade_id": name,
        "grade": False,
        "solution": False,
        "locked": False,
        "task": False,
    } | given


def make(folder: Path = FOLDER) -> list[Path]:
    """Write the course's configuration and its assignments; return the paths of these."""
    written = []
    for source in filter(build.has_exercises, build.sources()):
        path = folder / "source" / source.stem / f"{source.stem}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(assignment(source), path)
        written.append(path)
    (folder / "nbgrader_config.py").write_text(CONFIG)
    return written


if __name__ == "__main__":
    into = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    for path in make(into):
        print(path)
    print(f"Go on in {into}: nbgrader generate_assignment NAME, and when all have handed in, nbgrader autograde NAME.")
