"""What the hub page promises: pulls merge without conflicts, and every notebook is measured."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import nbformat
import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "notebooks" / "teaching" / "hub.md").read_text("utf-8")


def test_every_notebook_is_measured() -> None:
    rows = re.findall(r"^\| (\d\d_\w+) \| (\d+) \| (\d+) \|$", PAGE, re.M)
    assert {name for name, _, _ in rows} == {path.stem for path in (ROOT / "notebooks").glob("[0-9]*.ipynb")}
    assert max(int(memory) for _, memory, _ in rows) < 1000, "the limit that the page gives is too low"


def git(folder: Path, *command: str) -> str:
    identity = ["-c", "user.name=test", "-c", "user.email=test@localhost", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", "-C", folder, *identity, *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_pull_keeps_answers_and_brings_changes(script: Callable[[str], ModuleType], tmp_path: Path) -> None:
    """As nbgitpuller does it: commit what the student has, merge, hers where both changed a line."""
    copies, teacher, student = script("copies"), tmp_path / "class", tmp_path / "student"
    (options,) = re.findall(r"^python notebooks/copies\.py (.*) class$", PAGE, re.M)
    copies.main([*options.split(), str(teacher)])
    assert not any("<summary>Solution" in path.read_text("utf-8") for path in teacher.glob("*.ipynb"))
    git(teacher, "init", "--quiet", "--initial-branch=main")
    git(teacher, "add", ".")
    git(teacher, "commit", "--quiet", "-m", "The course")
    git(tmp_path, "clone", "--quiet", str(teacher), str(student))

    built = nbformat.read(ROOT / "notebooks" / "01_loss_landscapes.ipynb", 4)  # she ran it all
    built.cells = [cell for cell in built.cells if "solution" not in cell.metadata.get("tags", [])]
    stub = next(cell for cell in built.cells if "stub" in cell.metadata.get("tags", []))
    stub.source = "her = 'answer'"
    nbformat.write(built, student / "01_loss_landscapes.ipynb")
    changed = nbformat.read(teacher / "01_loss_landscapes.ipynb", 4)
    text, code = (next(cell for cell in changed.cells[3:] if cell.cell_type == kind) for kind in ("markdown", "code"))
    text.source, code.source = "The teacher's new words.", code.source + "\n# a remark"
    nbformat.write(changed, teacher / "01_loss_landscapes.ipynb")
    git(teacher, "commit", "--quiet", "--all", "-m", "Better words")

    git(student, "commit", "--quiet", "--all", "-m", "Hers")
    git(student, "fetch", "--quiet")
    git(student, "merge", "--quiet", "-Xours", "origin/main")
    merged = nbformat.read(student / "01_loss_landscapes.ipynb", 4)
    nbformat.validate(merged)
    sources = [cell.source for cell in merged.cells]
    assert stub.source in sources
    assert text.source in sources
    assert any(source.endswith("# a remark") for source in sources)
    assert any(cell.get("outputs") for cell in merged.cells)


@pytest.mark.parametrize("command", re.findall(r"python (\S+\.py)", PAGE))
def test_its_scripts_exist(command: str) -> None:
    assert (ROOT / command).exists()
