"""What the site is made from: notebooks as one reads them, links that lead on, a page for each package."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import nbformat
import pytest

ROOT = Path(__file__).parents[1]
NAME = "notebooks/solutions/01_loss_landscapes.ipynb"


@pytest.fixture(scope="module")
def sources(script: Callable[[str], ModuleType]) -> ModuleType:
    return script("site/sources")


@pytest.fixture
def shown(sources: ModuleType) -> list[nbformat.NotebookNode]:
    """A small notebook, as the site shows it."""
    code = nbformat.v4.new_code_cell
    picture = nbformat.v4.new_output("display_data", {"image/png": "AAAA"}, metadata={"image/png": {"alt": "A map"}})
    table = nbformat.v4.new_output("display_data", {"text/html": "<table><th></th><th>a</th></table>"})
    cells = [
        nbformat.v4.new_markdown_cell("# T\n\n[![Open](https://x.org/a.svg)](https://y.org) [g](GLOSSARY.md)"),
        code("setup", metadata={"tags": ["setup"]}),
        code(f"{sources.ORDER}  # says\nx = 1", outputs=[picture]),
        code("table", outputs=[table]),
    ]
    return sources.notebook(nbformat.v4.new_notebook(cells=cells), NAME, {"notebooks/GLOSSARY.md"}).cells


def test_the_badge_is_a_link_and_no_picture_from_elsewhere(shown: list[nbformat.NotebookNode]) -> None:
    assert "[Open](https://y.org)" in shown[0].source
    assert "svg" not in shown[0].source


def test_a_solved_notebook_leads_to_the_pages_of_the_folder_above(shown: list[nbformat.NotebookNode]) -> None:
    assert "[g](../GLOSSARY.md)" in shown[0].source


def test_setup_is_folded_and_what_does_nothing_here_is_left_out(shown: list[nbformat.NotebookNode]) -> None:
    assert "hide-input" in shown[1].metadata["tags"]
    assert shown[2].source == "x = 1"


def test_figures_keep_their_alternative_texts(shown: list[nbformat.NotebookNode]) -> None:
    assert shown[2].metadata["mystnb"] == {"image": {"alt": "A map"}}


def test_an_empty_corner_of_a_table_heads_nothing(shown: list[nbformat.NotebookNode]) -> None:
    assert shown[3].outputs[0].data["text/html"] == "<table><td></td><th>a</th></table>"


def test_links_to_files_that_are_no_pages_lead_to_the_repository(sources: ModuleType) -> None:
    text = "[a](FINDINGS.md#x) [b](mnist.toml) [c](speed) [d](#here) [e](https://z.org)"
    elsewhere = f"{sources.repository()}/%s/{sources.ref()}/data/results/"
    assert sources.links(text, "data/results/README.md", {"data/results/FINDINGS.md"}) == (
        f"[a](FINDINGS.md#x) [b]({elsewhere % 'blob'}mnist.toml) [c]({elsewhere % 'tree'}speed) [d](#here) "
        "[e](https://z.org)"
    )
    with pytest.raises(FileNotFoundError, match=r"nothing\.md"):
        sources.links("[f](nothing.md)", "data/results/README.md", set())


def test_every_notebook_is_in_the_contents_with_what_it_is_for(sources: ModuleType) -> None:
    parts = sources.contents().split("### ")[1:]
    assert len(parts) == len(list((ROOT / "notebooks").glob("[0-9]*.ipynb")))
    assert all("\n- " in part for part in parts)


def test_every_package_has_a_page_with_all_its_modules(sources: ModuleType) -> None:
    folders = {path.parent.name for path in (ROOT / "lossprune_lib").glob("*/__init__.py")}
    assert {f"lossprune_lib.{folder}" for folder in folders} == set(sources.PACKAGES) - {"lossprune_lib"}
    page = sources.reference("lossprune_lib.pruning")
    for path in (ROOT / "lossprune_lib" / "pruning").glob("[a-z]*.py"):
        assert f".. automodule:: lossprune_lib.pruning.{path.stem}\n" in page
    assert "`LocalPruner <lossprune_lib.pruning.local.LocalPruner>`" in page


def test_every_formula_of_the_course_converts(sources: ModuleType) -> None:
    texts = [
        cell.source
        for path in sorted((ROOT / "notebooks").rglob("[0-9]*.ipynb"))
        for cell in nbformat.read(path, 4).cells
        if cell.cell_type == "markdown"
    ]
    formulas = "\n".join(
        found for text in texts for found in re.findall(r"<math.*?</math>", sources.formulas.drawn(text), re.S)
    )
    assert formulas.count("<math") > 100
    assert not re.search(r"[\\$]", formulas)


def test_code_is_no_formula(sources: ModuleType) -> None:
    drawn = sources.formulas.drawn
    assert drawn("costs `$5` and $x$").startswith("costs `$5` and <math")
    assert drawn("```sh\necho $HOME $PATH\n```") == "```sh\necho $HOME $PATH\n```"
    assert drawn("of two ($x$).").startswith('of two <span class="joined">(<math')
    assert 'display="block"' in drawn("$$\\tfrac12\n+ 1$$")
