"""The site as it is built: whole, without a warning, without a network, and without barriers.

Axe-core is what `make test-slow` fetches with npm. Pages count as narrow at 390 pixels, a phone, and at 640, which is a
laptop's window at 200 %.
"""

from __future__ import annotations

import functools
import http.server
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
AXE = ROOT / "artefacts" / "axe-core" / "package" / "axe.min.js"
NOTEBOOKS = sorted((ROOT / "notebooks").rglob("[0-9]*.ipynb"))
# What was folded fades in, and is faint until then.
OPEN_ALL = """async () => {
  document.querySelectorAll('details').forEach(details => details.open = true);
  await new Promise(requestAnimationFrame);
  await Promise.all(document.getAnimations().map(animation => animation.finished));
}"""
VIOLATIONS = """options => axe.run(document, {resultTypes: ['violations'], ...options}).then(
  found => found.violations.flatMap(rule => rule.nodes.map(
    node => `${rule.id}: ${node.html.slice(0, 120)} ${node.failureSummary.slice(0, 200)}`)))"""
SEARCHED = "() => /found/.test(document.querySelector('#search-results .search-summary')?.innerText)"
TOO_WIDE = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"

pytest.importorskip("myst_nb", reason='The site\'s packages are missing: pip install -c constraints.txt -e ".[site]"')
sync_api = pytest.importorskip("playwright.sync_api")
pytestmark = pytest.mark.slow


class Read(HTMLParser):
    """What a page has: its anchors, its links, what it loads, its formulas and what is folded."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.classes: list[str] = []
        self.folded: list[bool] = []
        self.inside = False  # the article, not what is around it
        self.text = path.read_text("utf-8")
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.anchors |= {str(given[name]) for name in ("id", "name") if given.get(name)}
        self.classes += (given.get("class") or "").split()
        if tag == "a" and given.get("href"):
            self.links.append(str(given["href"]))
        if tag == "link" and given.get("rel") in ("stylesheet", "icon", "preload"):
            self.loaded.append(str(given["href"]))
        if given.get("src"):
            self.loaded.append(str(given["src"]))
        self.inside = self.inside or tag == "article"
        if tag == "details" and self.inside:
            self.folded.append("open" not in given)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built") / "site"
    command = [sys.executable, str(ROOT / "notebooks" / "site" / "build.py"), str(folder)]
    run = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert run.returncode == 0, run.stderr
    assert "WARNING" not in run.stdout + run.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[str, Read]:
    return {
        path.relative_to(site).as_posix(): Read(path)
        for path in sorted(site.rglob("*.html"))
        if path.parts[-2] != "_static"
    }


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    """Serve the site; yield its address."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def of(notebook: Path) -> str:
    """Return the name of a notebook's page."""
    return notebook.relative_to(ROOT).with_suffix(".html").as_posix()


def test_every_page_is_there(pages: dict[str, Read]) -> None:
    packages = {path.parent.name for path in (ROOT / "lossprune_lib").glob("*/__init__.py")}
    assert {of(notebook) for notebook in NOTEBOOKS} <= pages.keys()
    assert {f"api/lossprune_lib.{package}.html" for package in packages} <= pages.keys()
    texts = {f"notebooks/{name}" for name in ("TEACHING", "GLOSSARY", "RECIPES")}
    texts |= {f"data/results/{name}" for name in ("SUMMARY", "FINDINGS", "JUDGING", "README")}
    assert {f"{name}.html" for name in {"index", "CHANGELOG", *texts}} <= pages.keys()


def test_every_link_leads_somewhere(pages: dict[str, Read], site: Path) -> None:
    broken = []
    for name, page in pages.items():
        for link in page.links:
            path, _, anchor = link.partition("#")
            if re.match(r"[a-z]+:", link):
                continue
            target = (site / name).parent / unquote(path) if path else site / name
            key = target.resolve().relative_to(site.resolve()).as_posix()
            anchors = pages[key].anchors if key in pages else set()
            if not target.is_file() or (anchor and unquote(anchor) not in anchors):
                broken.append(f"{name}: {link}")
    assert broken == []


def test_nothing_is_loaded_from_elsewhere(pages: dict[str, Read], site: Path) -> None:
    elsewhere = [
        f"{name}: {source}"
        for name, page in pages.items()
        for source in page.loaded
        if not source.startswith("data:") and not ((site / name).parent / source.partition("?")[0]).is_file()
    ]
    assert elsewhere == []
    styles = [path.read_text("utf-8") for path in site.rglob("*.css")]
    assert not [found for style in styles for found in re.findall(r"(?:url\(|@import)\s*['\"]?(?:https?:)?//", style)]


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=of)
def test_a_notebook_is_shown_as_it_was_built(notebook: Path, pages: dict[str, Read]) -> None:
    page, read = pages[of(notebook)], nbformat.read(notebook, 4)
    prose = "\n".join(cell.source for cell in read.cells if cell.cell_type == "markdown")
    outputs = [output for cell in read.cells for output in cell.get("outputs", [])]
    shown = [output.get("data", {}) for output in outputs]
    assert page.text.count("<math") == len(re.findall(r"\$\$?[^$]+\$\$?", prose)) - prose.count("`$")
    assert page.classes.count("sphinx-codeautolink-a") > 10
    hidden = sum(bool({"setup", "hide-input"} & set(cell.metadata.get("tags", []))) for cell in read.cells)
    html = "".join(data.get("text/html", "") for data in shown)
    assert page.folded == [True] * (hidden + prose.count("<details") + html.count("<details"))
    alts = [output.metadata["image/png"]["alt"] for output in outputs if "image/png" in output.get("data", {})]
    pictures = [a or b for a, b in re.findall(r"""<img [^>]*?alt=(?:"([^"]*)"|'([^']*)')""", page.text)]
    assert len(pictures) == len(alts) + html.count("<img ")
    assert all(pictures)


def test_formulas_are_drawn_without_what_is_unknown(pages: dict[str, Read]) -> None:
    formulas = "".join(found for page in pages.values() for found in re.findall(r"<math.*?</math>", page.text, re.S))
    assert formulas.count("<math") > 200
    assert not re.search(r"[\\$]", formulas)


def test_no_page_sends_a_request(browser: sync_api.Browser, pages: dict[str, Read], site: Path) -> None:
    sent, said = [], []
    page = browser.new_page()
    page.on("request", lambda request: request.url.startswith(("file:", "data:")) or sent.append(request.url))
    page.on("console", lambda message: message.type == "error" and said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    for name in pages:
        page.goto((site / name).as_uri())
    page.close()
    assert sent == []
    assert said == []


@pytest.mark.parametrize("served", [False, True], ids=["from the disk", "from a server"])
def test_search_finds_a_word(
    served: bool, browser: sync_api.Browser, site: Path, request: pytest.FixtureRequest
) -> None:
    root = request.getfixturevalue("address") if served else site.as_uri()
    page = browser.new_page()
    for word, expected in (("saliency", "/02_taylor_approximations"), ("CoverageWarning", "/lossprune_lib.pruning")):
        page.goto(f"{root}/search.html?q={word}")
        page.wait_for_function(SEARCHED, timeout=20_000)
        found = page.eval_on_selector_all("#search-results ul.search li a", "links => links.map(link => link.href)")
        assert any(expected in link for link in found), found
    page.close()


@pytest.mark.parametrize("width", [390, 640])
def test_narrow_pages_scroll_in_one_direction(
    width: int, browser: sync_api.Browser, pages: dict[str, Read], site: Path
) -> None:
    page = browser.new_page(viewport={"width": width, "height": 800})
    too_wide = {}
    for name in pages:
        page.goto((site / name).as_uri())
        page.evaluate(OPEN_ALL)
        if over := page.evaluate(TOO_WIDE):
            too_wide[name] = over
    page.close()
    assert too_wide == {}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(scheme: str, browser: sync_api.Browser, pages: dict[str, Read], site: Path) -> None:
    if not AXE.exists():
        pytest.skip("axe-core is not there: `make test-slow` fetches it where npm is installed.")
    page = browser.new_page(color_scheme=scheme, viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    rules = {} if scheme == "light" else {"runOnly": ["color-contrast"]}  # all else is the same in both
    found = {}
    for name in pages:
        page.goto((site / name).as_uri())
        page.evaluate(OPEN_ALL)
        page.evaluate(AXE.read_text("utf-8"))
        if violations := page.evaluate(VIOLATIONS, rules):
            found[name] = violations
    page.close()
    assert found == {}
