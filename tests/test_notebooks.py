"""The built notebooks are those of their sources; outputs are compared, and nothing depends on this machine."""

from __future__ import annotations

import itertools
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import nbformat
import pytest

ROOT = Path(__file__).parents[1]
STUDENT = sorted((ROOT / "notebooks").glob("*.ipynb"))
SOLVED = sorted((ROOT / "notebooks" / "solutions").glob("*.ipynb"))
NOTEBOOKS = [*STUDENT, *SOLVED]


def name(path: Path) -> str:
    """The name of a notebook in the tests: 01_loss_landscapes, or solutions/01_loss_landscapes."""
    return f"{path.parent.name}/{path.stem}".removeprefix("notebooks/")


@pytest.fixture(scope="module")
def build(script: Callable[[str], ModuleType]) -> ModuleType:
    return script("build")


def stale(build: ModuleType, source: Path, notebook: nbformat.NotebookNode, solved: bool = False) -> str:
    """Return what differs between a built notebook and its source, or nothing."""
    fresh = build.read(source, solved)
    if fresh.metadata["source"] != notebook.metadata.get("source"):
        return "the hash of the source"
    cells = [[(c.id, c.cell_type, c.source, dict(c.metadata)) for c in n.cells] for n in (fresh, notebook)]
    return "" if cells[0] == cells[1] else "the cells"


def test_every_source_is_built_and_nothing_else(build: ModuleType) -> None:
    assert {source.stem for source in build.sources()} == {notebook.stem for notebook in STUDENT}
    assert {source.stem for source in build.sources() if build.has_exercises(source)} == {path.stem for path in SOLVED}
    assert len(STUDENT) == 7


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name)
def test_no_notebook_is_stale(build: ModuleType, path: Path) -> None:
    source = ROOT / "notebooks" / "source" / f"{path.stem}.py"
    assert not stale(build, source, nbformat.read(path, 4), path in SOLVED), "run: make notebooks"


def test_a_changed_source_and_a_changed_cell_are_found(build: ModuleType, tmp_path: Path) -> None:
    path = STUDENT[0]
    source = ROOT / "notebooks" / "source" / f"{path.stem}.py"
    changed = tmp_path / source.name
    changed.write_text(source.read_text() + "\n# %%\n1 + 1\n")
    notebook = nbformat.read(path, 4)
    assert stale(build, changed, notebook) == "the hash of the source"
    notebook.cells[1].source += "\n1 + 1"
    assert stale(build, source, notebook) == "the cells"


def test_cell_ids_are_stable_and_unique(build: ModuleType, tmp_path: Path) -> None:
    source = build.sources()[0]
    before = [cell.id for cell in build.read(source).cells]
    assert len(set(before)) == len(before)
    header, *cells = source.read_text().split("# %%")
    (tmp_path / source.name).write_text("# %%".join([header, cells[0], "\nadded = 1\n\n", *cells[1:]]))
    after = [cell.id for cell in build.read(tmp_path / source.name).cells]
    assert [name for name in after if name in before] == before
    assert len(after) == len(before) + 1


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name)
def test_outputs_are_there_and_at_least_three_are_compared(path: Path) -> None:
    cells = [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    compared = [cell for cell in cells if "nbval-check-output" in cell.metadata.get("tags", [])]
    assert len(compared) >= 3
    assert all(cell.outputs for cell in compared)
    assert any("image/png" in output.get("data", {}) for cell in cells for output in cell.outputs)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name)
def test_nothing_of_this_machine_is_left_in(build: ModuleType, path: Path) -> None:
    notebook = nbformat.read(path, 4)
    assert set(notebook.metadata) == {"kernelspec", "language_info", "source"}
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            assert output.output_type != "error"
            assert output.get("name") != "stderr", output.get("text")
            assert "widget-view" not in "".join(output.get("data", {}))
            assert build.LAST_PICTURE not in output.get("data", {}).get("text/html", "")
            text = str(output.get("text", "")) + str(output.get("data", {}).get("text/plain", ""))
            assert not re.search(r"/(home|root|tmp|work|Users)/| at 0x[0-9a-f]+", text), text


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name)
def test_cells_are_short_and_headings_in_order(path: Path) -> None:
    notebook = nbformat.read(path, 4)
    lines = sorted(len(cell.source.splitlines()) for cell in notebook.cells if cell.cell_type == "code")
    assert lines[len(lines) // 2] <= 6
    texts = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    prose = "\n".join(text for text in texts if "<summary>Solution" not in text)
    levels = [len(match) for match in re.findall(r"^(#+) ", prose, re.M)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    titles = re.findall(r"^#+ (.*)$", prose, re.M)
    assert len(set(titles)) == len(titles)


def test_only_known_tags_occur_and_others_are_refused(build: ModuleType, tmp_path: Path) -> None:
    for path in NOTEBOOKS:
        assert {tag for cell in nbformat.read(path, 4).cells for tag in cell.metadata.get("tags", [])} <= build.TAGS
    documented = build.__doc__ or ""
    assert all(tag in documented for tag in build.TAGS)
    wrong = tmp_path / "00_wrong.py"
    wrong.write_text('# %% [markdown]\n# # Title\n\n# %% tags=["hide_input"]\n1 + 1\n')
    with pytest.raises(ValueError, match="hide_input"):
        build.read(wrong)


def test_front_ends_are_told_what_tags_mean(build: ModuleType, tmp_path: Path) -> None:
    source = tmp_path / "00_tags.py"
    source.write_text('# %% [markdown]\n# # Title\n\n# %% tags=["hide-input"]\n1 + 1\n\n# %%\n2\n')
    setup, tagged, plain = build.read(source).cells[1:]
    assert setup.metadata.jupyter.source_hidden
    assert tagged.metadata.jupyter.source_hidden
    assert not plain.metadata


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name)
def test_no_outcome_of_a_guess_is_open(path: Path) -> None:
    """In a built notebook, and in one that someone runs from top to bottom, an outcome waits for a click."""
    asked = revealed = 0
    for cell in code_of(nbformat.read(path, 4)):
        asked += cell.source.count("exercises.guess(")
        for _ in range(cell.source.count(".reveal(")):
            revealed += 1
            pages = ["".join(output.get("data", {}).get("text/html", "")) for output in cell.outputs]
            assert any(page.startswith("<details><summary>") for page in pages), cell.source
            assert not any("image/png" in output.get("data", {}) for output in cell.outputs), cell.source
    assert revealed >= asked >= 2


def code_of(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name)
def test_every_picture_has_alternative_text(path: Path) -> None:
    for cell in code_of(nbformat.read(path, 4)):
        for output in cell.outputs:
            if "image/png" in output.get("data", {}):
                alt = output.metadata["image/png"].get("alt", "")
                assert len(alt) > 30, f"give this cell a text: # %% alt=...\n{cell.source}"


@pytest.mark.parametrize("path", STUDENT, ids=name)
def test_solutions_are_folded_up_and_nowhere_else(build: ModuleType, path: Path) -> None:
    source = ROOT / "notebooks" / "source" / f"{path.stem}.py"
    notebook = nbformat.read(path, 4)
    pairs = build._pairs(build.jupytext.read(source, fmt="py:percent"), source.name)
    in_the_open = [cell for cell in notebook.cells if "<summary>Solution" not in cell.source]
    everything = nbformat.writes(nbformat.from_dict({**notebook, "cells": in_the_open}))
    for stub, solution in pairs:
        own = set(solution.source.splitlines()) - set(stub.source.splitlines())
        lines = [line.strip() for line in own if len(line.strip()) > 25 and not line.strip().startswith("#")]
        for line in lines:
            assert line.replace('"', '\\"') not in everything, (
                f"this line of a solution is to be read elsewhere: {line}"
            )
    assert sum("<summary>Solution" in cell.source for cell in notebook.cells) == len(pairs)


@pytest.mark.parametrize("path", SOLVED, ids=name)
def test_solved_notebooks_pass_every_check_and_others_none(path: Path) -> None:
    student = nbformat.read(ROOT / "notebooks" / path.name, 4)
    for notebook, heading in ((student, "Not attempted:"), (nbformat.read(path, 4), "Right:")):
        checked = [cell for cell in code_of(notebook) if cell.source.lstrip().startswith("exercises.check(")]
        assert len(checked) >= 4
        for cell in checked:
            assert cell.outputs[-1].data["text/plain"].startswith(heading), cell.source


@pytest.mark.parametrize("path", STUDENT, ids=name)
def test_each_exercise_has_two_hints_and_a_time(path: Path) -> None:
    cells = nbformat.read(path, 4).cells
    stubs = [i for i, cell in enumerate(cells) if "stub" in cell.metadata.get("tags", [])]
    for i, end in itertools.pairwise([*stubs, len(cells)]):
        text = "\n".join(cell.source for cell in cells[i:end])
        assert (
            text.index("exercises.check(")
            < text.index("Hint 1")
            < text.index("Hint 2")
            < text.index("Solution</summary>")
        )
        assert re.search(r"(easy|medium|hard).*\d+ minutes", cells[i - 1].source, re.S), cells[i - 1].source


@pytest.mark.parametrize("path", STUDENT, ids=name)
def test_each_notebook_ends_with_a_quiz_of_four_questions_or_more(path: Path) -> None:
    quiz = nbformat.read(path, 4).cells[-1].source
    assert quiz.startswith("## Quiz")
    questions = re.split(r"^\*\*\d+\. ", quiz, flags=re.M)[1:]
    assert len(questions) >= 4
    for question in questions:
        options = re.findall(r"<details><summary>(.*?)</summary>(.*?)</details>", question, re.S)
        assert len(options) >= 3
        assert all(len(explained.split()) >= 4 for _, explained in options)
        assert sum(explained.lstrip().startswith("Right") for _, explained in options) == 1


def test_there_are_eighteen_exercises_and_half_of_them_are_code(build: ModuleType) -> None:
    stubs = [
        stub.source
        for source in build.sources()
        for stub, _ in build._pairs(build.jupytext.read(source, fmt="py:percent"), source.name)
    ]
    assert len(stubs) >= 18
    assert sum("def " in stub for stub in stubs) >= len(stubs) / 2


@pytest.mark.slow
def test_a_fork_is_one_command_away(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "notebooks", tmp_path / "notebooks")
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, tmp_path)
    command = [
        sys.executable,
        tmp_path / "notebooks" / "build.py",
        "--repository",
        "https://github.com/some-one/fork.x",
    ]
    subprocess.run([*command, "--ref", "v1.0"], check=True)
    assert 'repository = "https://github.com/some-one/fork.x"' in (tmp_path / "pyproject.toml").read_text()
    for path in NOTEBOOKS:
        moved, own = (nbformat.read(folder / path.relative_to(ROOT), 4) for folder in (tmp_path, ROOT))
        place = f"https://colab.research.google.com/github/some-one/fork.x/blob/v1.0/{path.relative_to(ROOT)}"
        assert place in moved.cells[0].source
        assert '"--branch=v1.0", "https://github.com/some-one/fork.x"' in moved.cells[1].source
        assert [cell.get("outputs") for cell in moved.cells] == [cell.get("outputs") for cell in own.cells]
    readme = (tmp_path / "README.md").read_text()
    assert "/gh/some-one/fork.x/v1.0?" in readme
    assert "some-one/fork.x/blob/v1.0/notebooks/00" in readme
    assert "https://github.com/some-one/fork.x/actions" in readme
    run = subprocess.run([*command[:-1], "https://elsewhere.org/x"], capture_output=True, text=True, check=False)
    assert run.returncode != 0
    assert "https://github.com/NAME/REPOSITORY" in run.stderr


def test_the_setup_cell_is_the_same_in_all(build: ModuleType) -> None:
    cells = [nbformat.read(path, 4).cells[1] for path in NOTEBOOKS]
    assert {cell.source for cell in cells} == {build.SETUP.format(**build.address())}
    assert all(cell.metadata["tags"] == ["setup"] and not cell.outputs for cell in cells)
