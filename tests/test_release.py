"""The students' zip: complete, without outputs, without the text of a solution; and it runs where it is unpacked."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import jupytext
import nbformat
import pytest

from lossprune_lib import __version__
from lossprune_lib.exercises import course

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "notebooks" / "source").glob("[0-9]*.py"))


@pytest.fixture(scope="module")
def release(script: Callable[[str], ModuleType]) -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "notebooks")  # it imports the scripts beside it
        return script("release")


@pytest.fixture(scope="module")
def unpacked(release: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("release")
    path = release.make(folder)
    assert path.name == f"lossprune-course-{__version__}.zip"
    assert [file.name for file in folder.iterdir()] == [path.name]
    with zipfile.ZipFile(path) as packed:
        packed.extractall(folder)
    return folder / path.stem


def sources(name: str) -> list[str]:
    """Return the code of a built notebook."""
    return [cell.source for cell in nbformat.read(ROOT / "notebooks" / name, 4).cells if cell.cell_type == "code"]


def test_it_holds_the_course_and_nothing_of_the_teacher_s(unpacked: Path) -> None:
    packed = {path.relative_to(unpacked).as_posix() for path in unpacked.rglob("*") if path.is_file()}
    assert {f"notebooks/{path.name}" for path in course.notebooks()} <= packed
    assert {path.relative_to(ROOT).as_posix() for path in (ROOT / "lossprune_lib").rglob("*.py")} <= packed
    assert {"README.md", "LICENSE", "Makefile", "pyproject.toml", "constraints.txt", "notebooks/copies.py"} <= packed
    data = {path for path in (ROOT / "data").rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")}
    assert {path.relative_to(ROOT).as_posix() for path in data} <= packed  # a text or table less, and a notebook stops
    folders = {name.rpartition("/")[0] for name in packed if name.startswith("notebooks/")}
    assert folders == {"notebooks"}  # neither sources nor solutions
    assert not [name for name in packed if name.endswith((".pyc", ".sqlite", "progress.json")) or "TEACHING" in name]


def test_its_notebooks_have_neither_outputs_nor_solutions(unpacked: Path) -> None:
    for path in sorted((unpacked / "notebooks").glob("*.ipynb")):
        notebook = nbformat.read(path, 4)
        nbformat.validate(notebook)
        assert not any(cell.get("outputs") for cell in notebook.cells)
        assert not any("<summary>Solution" in cell.source for cell in notebook.cells)
        built = nbformat.read(ROOT / "notebooks" / path.name, 4).cells
        assert len([c for c in built if c.cell_type == "code"]) == len(
            [c for c in notebook.cells if c.cell_type == "code"]
        )


def test_no_file_in_it_has_the_text_of_a_solution(unpacked: Path) -> None:
    texts = [
        path.read_text(errors="replace")
        for path in unpacked.rglob("*")
        if path.suffix != ".safetensors" and path.is_file()
    ]
    everything = re.sub(r"\\n|\s+", " ", "\n".join(texts).replace('\\"', '"'))
    solutions = [
        cell.source
        for source in SOURCES
        for cell in jupytext.read(source, fmt="py:percent").cells
        if "solution" in cell.metadata.get("tags", [])
    ]
    assert len(solutions) > 20
    for solution in solutions:
        lines = [line.strip() for line in solution.splitlines() if "#" in line]  # told from the checks by its comments
        for text in [solution, *lines]:
            assert " ".join(text.split()) not in everything, text


def test_the_same_course_gives_the_same_file(release: ModuleType, unpacked: Path, tmp_path: Path) -> None:
    assert release.make(tmp_path).read_bytes() == next(unpacked.parent.glob("*.zip")).read_bytes()


def test_its_lines_without_make_are_those_of_the_course_and_make_the_copies(unpacked: Path, tmp_path: Path) -> None:
    lines = re.findall(
        r"^\.venv\\.*(?:copies|jupyter).*$", (ROOT / "notebooks" / "INSTALL.md").read_text("utf-8"), re.M
    )
    assert len(lines) == 2
    assert "    " + "\n    ".join(lines) + "\n" in (unpacked / "README.md").read_text()
    subprocess.run([sys.executable, "notebooks/copies.py", str(tmp_path)], cwd=unpacked, check=True)
    assert {path.name for path in course.notebooks()} <= {path.name for path in tmp_path.iterdir()}


@pytest.mark.slow
def test_the_first_cells_run_from_it(unpacked: Path) -> None:
    cells = [
        cell.source
        for cell in nbformat.read(unpacked / "notebooks" / "00_start_here.ipynb", 4).cells
        if cell.cell_type == "code"
    ]
    assert "doctor.check()" in cells[2]
    code = (
        "from IPython.core.interactiveshell import InteractiveShell; shell = InteractiveShell.instance()\n"
        f"for source in {cells[:3]!r}: assert shell.run_cell(source).success\n"
        "import lossprune_lib; print(lossprune_lib.__file__)"
    )
    # The library of the zip, whatever else is installed here.
    environment = {"PATH": "", "HOME": str(unpacked), "LOSSPRUNE_PROGRESS": "off"}
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=unpacked / "notebooks", env=environment, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.splitlines()[-1] == str(unpacked / "lossprune_lib" / "__init__.py")
