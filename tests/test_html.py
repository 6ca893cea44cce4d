"""The web pages of `make html` show what the notebooks show, and load nothing from anywhere."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType

import nbformat
import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = {"00": "00_start_here", "02, solved": "solutions/02_taylor_approximations"}  # a plain one, one of formulas
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}


class Page(HTMLParser):
    """The elements and texts of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: dict[str, str] = {"title": "", "style": "", "prose": ""}
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert tag in self.open, f"</{tag}> closes nothing"
            while self.open.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        inside = self.open[-1] if self.open else ""
        if inside in ("title", "style"):
            self.texts[inside] += data
        elif not {"pre", "code"} & set(self.open):
            self.texts["prose"] += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """Return the attributes of all elements of one kind."""
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def pages(script: Callable[[str], ModuleType]) -> ModuleType:
    return script("pages")


@pytest.fixture(scope="module", params=NOTEBOOKS)
def both(request: pytest.FixtureRequest, pages: ModuleType) -> tuple[nbformat.NotebookNode, Page]:
    notebook = nbformat.read(ROOT / "notebooks" / f"{NOTEBOOKS[request.param]}.ipynb", 4)
    return notebook, Page(pages.page(notebook, "index.html"))


def outputs(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    """Return what the cells show that is drawn or laid out."""
    shown = [output for cell in notebook.cells for output in cell.get("outputs", []) if "data" in output]
    return [output for output in shown if output.data.keys() & {"image/png", "text/html"}]


def loaded(page: Page) -> list[str]:
    """Return the addresses that a browser would fetch to show a page, and anything that could make it fetch more."""
    found = [tag for tag, _ in page.tags if tag in ("script", "link", "iframe", "object", "embed", "base")]
    for tag, attributes in page.tags:
        for name, value in attributes.items():
            if name in ("src", "srcset", "poster", "data", "background") and not (value or "").startswith("data:"):
                found.append(f"{tag} {name}={value}")
            if name == "style" and "url(" in (value or ""):
                found.append(f"{tag} style={value}")
            if name.startswith("on"):
                found.append(f"{tag} {name}")
    return found + re.findall(r"@import|url\([^)]*\)", page.texts["style"])


def test_nothing_is_loaded(both: tuple[nbformat.NotebookNode, Page]) -> None:
    assert loaded(both[1]) == []


@pytest.mark.parametrize(
    "text",
    [
        '<script src="https://x.org/a.js"></script>',
        '<link rel="stylesheet" href="https://x.org/a.css">',
        '<img src="//x.org/a.png">',
        "<style>@import 'https://x.org/a.css'</style>",
        "<style>p { background: url(https://x.org/a.png) }</style>",
        '<p style="background: url(a.png)">',
        '<p onclick="go()">',
    ],
)
def test_what_is_loaded_is_seen(text: str) -> None:
    assert loaded(Page(text))


def test_every_figure_is_there_with_its_alternative_text(both: tuple[nbformat.NotebookNode, Page]) -> None:
    notebook, page = both
    figures = []
    for output in outputs(notebook):
        if "image/png" in output.data:
            figures.append(output.metadata["image/png"]["alt"])
        else:  # in the outcome of a guess
            figures += [html.unescape(alt) for alt in re.findall(r'<img [^>]*alt="([^"]*)"', output.data["text/html"])]
    assert len(figures) > 3
    assert [image["alt"] for image in page.all("img")] == figures


def test_the_title_is_set_and_the_page_leads_back(both: tuple[nbformat.NotebookNode, Page]) -> None:
    notebook, page = both
    assert page.texts["title"] == notebook.cells[0].source.splitlines()[0].removeprefix("# ")
    assert page.all("html") == [{"lang": "en"}]
    assert page.all("a")[0] == {"href": "index.html"}


def test_formulas_are_drawn_by_the_browser(both: tuple[nbformat.NotebookNode, Page]) -> None:
    notebook, page = both
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    assert len(page.all("math")) == len(re.findall(r"\$\$?[^$]+\$\$?", text))
    assert "$" not in page.texts["prose"]
    assert not re.search(r"\\[a-zA-Z]+", page.texts["prose"])  # an invalid command


def test_what_is_folded_up_still_is(both: tuple[nbformat.NotebookNode, Page]) -> None:
    notebook, page = both
    texts = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    texts += [output.data.get("text/html", "") for output in outputs(notebook)]
    folded = sum(text.count("<details>") for text in texts)
    assert len(page.all("details")) == len(page.all("summary")) == folded > 0


def test_every_formula_of_the_course_converts(pages: ModuleType) -> None:
    texts = [
        cell.source
        for path in sorted((ROOT / "notebooks").glob("*.ipynb"))
        for cell in nbformat.read(path, 4).cells
        if cell.cell_type == "markdown"
    ]
    formulas = "\n".join(
        found for text in texts for found in re.findall(r"<math.*?</math>", pages.markdown(text), re.S)
    )
    assert formulas.count("<math") > 100
    assert not re.search(r"[\\$]", formulas)


def test_markdown(pages: ModuleType) -> None:
    assert pages.markdown("costs `$5` and $x$").startswith("costs `$5` and <math")
    assert pages.markdown("```sh\necho $HOME $PATH\n```") == "```sh\necho $HOME $PATH\n```"
    assert pages.markdown("of two ($x$).").startswith('of two <span class="joined">(<math')
    assert 'display="block"' in pages.markdown("$$\\tfrac12\n+ 1$$")
    assert pages.markdown("[![Go](https://x.org/a.svg)](https://y.org)") == "[Go](https://y.org)"


def test_the_index_leads_to_every_notebook_and_to_the_plan(pages: ModuleType) -> None:
    page = Page(pages.text_page(pages.index((ROOT / "README.md").read_text("utf-8"))))
    found = [str(link["href"]) for link in page.all("a")]
    paths = [*(ROOT / "notebooks").glob("*.ipynb"), *(ROOT / "notebooks").glob("solutions/*.ipynb")]
    expected = {str(path.relative_to(ROOT / "notebooks").with_suffix(".html")) for path in paths}
    assert set(found) == {*expected, "TEACHING.html"}
    assert page.texts["title"]
    assert loaded(page) == []
    plan = (ROOT / "notebooks" / "TEACHING.md").read_text("utf-8")
    assert loaded(Page(pages.text_page(plan))) == []
