"""The notebooks for nbgrader: solutions where it takes them out, graded checks, points; from every source."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import jupytext
import pytest

ALL = sorted((Path(__file__).parents[1] / "notebooks" / "source").glob("[0-9]*.py"))
SOURCES = [path for path in ALL if 'tags=["stub"' in path.read_text()]
REGION = re.compile(r"^### BEGIN SOLUTION\n.*?^### END SOLUTION$", re.M | re.S)


@pytest.fixture(scope="module")
def grading(script: Callable[[str], ModuleType]) -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(SOURCES[0].parents[1])  # it imports the scripts beside it
        return script("grading")


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_each_exercise_is_an_answer_with_its_solution_and_a_graded_check(grading: ModuleType, source: Path) -> None:
    notebook = grading.assignment(source)
    by_tag = {"stub": [], "bonus": [], "solution": []}
    for cell in jupytext.read(source, fmt="py:percent").cells:
        for tag in cell.metadata.get("tags", []):
            by_tag.get(tag, []).append(cell)
    marked = [cell for cell in notebook.cells if "nbgrader" in cell.metadata]
    answers = [cell for cell in marked if cell.metadata.nbgrader["solution"]]
    checks = [cell for cell in marked if cell.metadata.nbgrader["grade"]]
    assert len(answers) == len(by_tag["stub"])
    assert len(checks) == sum("bonus" not in cell.metadata["tags"] for cell in by_tag["stub"])
    for answer, stub, solution in zip(answers, by_tag["stub"], by_tag["solution"], strict=True):
        assert stub.source.rstrip() in answer.source
        assert solution.source.strip() in REGION.search(answer.source)[0]
        assert REGION.sub("", answer.source).strip().endswith(stub.source.strip())
    for check in checks:
        assert check.source.splitlines()[-1].startswith("display(exercises.check(")
        assert check.source.endswith(", strict=True))")
        assert check.metadata.nbgrader["locked"]
        assert check.metadata.nbgrader["points"] == 1
    names = [cell.metadata.nbgrader["grade_id"] for cell in marked]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[\w-]+", name) for name in names)
    assert {cell.metadata.nbgrader["schema_version"] for cell in marked} == {3}
    others = [cell for cell in notebook.cells if cell not in answers]
    assert not any("SOLUTION" in cell.source or "<summary>Solution" in cell.source for cell in others)
    assert not any(cell.get("outputs") for cell in notebook.cells)


def test_a_check_without_its_stub_is_refused(grading: ModuleType, tmp_path: Path) -> None:
    text = next(source for source in SOURCES if source.stem.startswith("01")).read_text()
    without = re.sub(r'^exercises\.check\("shortest step".*$', "1", text, flags=re.M)
    (tmp_path / "01.py").write_text(without)
    with pytest.raises(ValueError, match="each stub needs its check"):
        grading.assignment(tmp_path / "01.py")
