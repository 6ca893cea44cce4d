"""Copies to work on start without outputs, older ones are named, and renewing loses no answer."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import nbformat
import pytest

NAME = "01_loss_landscapes.ipynb"
ANSWER = "def loss_on_line(space, rest, x, y, direction, at):\n    return 'my own'"


@pytest.fixture(scope="module")
def copies(script: Callable[[str], ModuleType]) -> ModuleType:
    return script("copies")


@pytest.fixture
def folder(copies: ModuleType, tmp_path: Path) -> Path:
    copies.main([str(tmp_path / "mine")])
    return tmp_path / "mine"


def stub(notebook: nbformat.NotebookNode, start: str = "def loss_on_line") -> nbformat.NotebookNode:
    return next(c for c in notebook.cells if "stub" in c.metadata.get("tags", []) and start in c.source)


def change(path: Path, *, answer: str = ANSWER, older: bool = True) -> nbformat.NotebookNode:
    """Write in a copy as a learner does; return it."""
    notebook = nbformat.read(path, 4)
    cell = stub(notebook)
    cell.source = answer
    place = notebook.cells.index(cell)
    notebook.cells.insert(place + 1, nbformat.v4.new_markdown_cell("my thoughts"))
    notebook.cells.insert(place + 2, nbformat.v4.new_code_cell("mine = 1"))
    if older:
        notebook.metadata.source.sha256 = "0" * 64
    nbformat.write(notebook, path)
    return notebook


def test_copies_have_no_outputs_and_are_otherwise_the_course(copies: ModuleType, folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} == {*copies.PAGES, *(path.name for path in copies.course())}
    for path in copies.course():
        built, mine = nbformat.read(path, 4), nbformat.read(folder / path.name, 4)
        assert [cell.source for cell in mine.cells] == [cell.source for cell in built.cells]
        code = [cell for cell in mine.cells if cell.cell_type == "code"]
        assert all(not cell.outputs and cell.execution_count is None for cell in code)
        assert not any(copies.is_changed(cell) for cell in mine.cells)


def solutions(path: Path) -> int:
    return sum("<summary>Solution" in cell.source for cell in nbformat.read(path, 4).cells)


def test_copies_for_a_class_have_no_solutions_and_all_else(copies: ModuleType, folder: Path, tmp_path: Path) -> None:
    copies.main(["--without-solutions", str(tmp_path / "class")])
    for path in copies.course():
        mine, theirs = folder / path.name, tmp_path / "class" / path.name
        assert solutions(theirs) == 0
        kept = [cell.source for cell in nbformat.read(mine, 4).cells if "<summary>Solution" not in cell.source]
        assert [cell.source for cell in nbformat.read(theirs, 4).cells] == kept
    assert solutions(folder / NAME) >= 4


def test_solutions_that_shall_not_be_there_go_when_a_class_is_renewed(
    copies: ModuleType, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copies.main(["--without-solutions", str(folder)])
    assert NAME in capsys.readouterr().out
    copies.main(["--without-solutions", "--renew", str(folder)])
    assert solutions(folder / NAME) == 0
    copies.main(["--without-solutions", "--renew", str(folder)])
    assert "up to date" in capsys.readouterr().out


def test_every_link_leads_to_something_in_the_folder(copies: ModuleType, folder: Path) -> None:
    texts = {path.name: path.read_text("utf-8") for path in folder.glob("*.md")}
    for path in folder.glob("*.ipynb"):
        cells = nbformat.read(path, 4).cells
        texts[path.name] = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    links = [(name, link) for name, text in texts.items() for link in re.findall(r"\]\(([\w./#-]+)\)", text)]
    links = [(name, link) for name, link in links if re.search(r"#|\.(?:md|ipynb)$", link)]
    assert {("05_at_scale.ipynb", "RECIPES.md"), ("00_start_here.ipynb", "GLOSSARY.md")} <= set(links)
    for name, link in links:
        page, _, heading = link.partition("#")
        assert (folder / page).exists(), f"{name} links to {link}"
        headings = re.findall(r"^#+ (.*)$", texts[page or name], re.M)
        slugs = [re.sub(r"[^\w -]", "", line.lower()).replace(" ", "-") for line in headings]
        assert not heading or heading in slugs, f"{name} links to {link}"


def test_a_second_start_touches_nothing_and_names_what_is_older(
    copies: ModuleType, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copies.main([str(folder)])
    assert capsys.readouterr().out == ""
    change(folder / NAME)
    before = (folder / NAME).read_bytes()
    copies.main([str(folder)])
    said = capsys.readouterr().out
    assert f"Older than the course: {NAME}." in said
    assert "make renew" in said
    assert (folder / NAME).read_bytes() == before


def test_renewing_brings_answers_along_and_keeps_the_old_copy(
    copies: ModuleType, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = change(folder / NAME)
    copies.main(["--renew", str(folder)])
    assert "with 3 of your cells" in capsys.readouterr().out
    new = nbformat.read(folder / NAME, 4)
    assert new.metadata.source.sha256 != old.metadata.source.sha256
    assert [cell.source for cell in new.cells] == [cell.source for cell in old.cells]
    (kept,) = folder.glob("01_loss_landscapes-before-*.ipynb")
    assert nbformat.read(kept, 4) == old
    copies.main(["--renew", str(folder)])
    assert "up to date" in capsys.readouterr().out
    change(folder / NAME)
    copies.main(["--renew", str(folder)])
    assert len(list(folder.glob("01_loss_landscapes-before-*.ipynb"))) == 2


def test_an_answer_follows_its_function_into_a_stub_that_was_rewritten(copies: ModuleType, folder: Path) -> None:
    old, new = change(folder / NAME), copies.fresh(copies.course()[1])
    moved = stub(new)
    moved.source, moved.id = moved.source + "\n    # another comment", "0123456789ab"
    new.cells.insert(0, new.cells.pop(new.cells.index(moved)))
    result, came, lost = copies.renewed(old, new)
    assert stub(result).source == ANSWER
    assert [cell.source for cell in result.cells[:3]] == [ANSWER, "my thoughts", "mine = 1"]
    assert (came, lost) == (3, 0)


def test_what_has_no_place_any_more_is_counted(copies: ModuleType, folder: Path) -> None:
    old, new = change(folder / NAME), copies.fresh(copies.course()[1])
    new.cells.remove(stub(new))
    result, came, lost = copies.renewed(old, new)
    assert (came, lost) == (2, 1)
    assert "my thoughts" in [cell.source for cell in result.cells]


def test_an_unfinished_answer_follows_too(copies: ModuleType, folder: Path) -> None:
    half = "def loss_on_line(space, rest, x, y, direction, at):\n    return ("
    old, new = change(folder / NAME, answer=half), copies.fresh(copies.course()[1])
    stub(new).id = "0123456789ab"
    assert half in [cell.source for cell in copies.renewed(old, new)[0].cells]


def test_a_copy_that_cannot_be_read_stops_nothing(
    copies: ModuleType, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / NAME).write_text("{")
    copies.main(["--renew", str(folder)])
    assert "cannot be read" in capsys.readouterr().out
    assert (folder / NAME).read_text() == "{"


def test_nothing_that_is_renewed_is_the_old_object(copies: ModuleType, folder: Path) -> None:
    old, new = change(folder / NAME), copies.fresh(copies.course()[1])
    before = copy.deepcopy(new)
    copies.renewed(old, new)
    assert new == before
