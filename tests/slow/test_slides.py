"""The decks in a browser without a network: nothing is asked for, nothing overflows, text is large, notes open."""

from __future__ import annotations

import importlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

sync_api = pytest.importorskip("playwright.sync_api")
ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "notebooks" / "source").glob("[0-9]*.py"))
EXECUTED = "00_start_here"  # with its figures drawn for slides; the others with those of the built notebooks
pytestmark = pytest.mark.slow

# What sticks out of the slide or of the place of its figure, and text that the last row cannot read.
MEASURE = """() => {
  const slide = Reveal.getCurrentSlide(), wrong = [];
  const outside = (element, around) => {
    const a = element.getBoundingClientRect(), b = around.getBoundingClientRect();
    return a.left < b.left - 1 || a.right > b.right + 1 || a.top < b.top - 1 || a.bottom > b.bottom + 1;
  };
  for (const element of slide.querySelectorAll("*")) {
    if (element.closest("aside")) continue;
    const name = element.tagName + ": " + element.textContent.slice(0, 40);
    if (outside(element, element.parentElement.closest(".shown") || slide)) wrong.push("sticks out, " + name);
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (own && !element.closest("math") && parseFloat(getComputedStyle(element).fontSize) < 24)
      wrong.push("small, " + name);
    if (element.tagName === "IMG") {
      const box = element.getBoundingClientRect();
      const zoom = Math.min(box.width / element.naturalWidth, box.height / element.naturalHeight);
      const width = Math.round(zoom * element.naturalWidth), height = Math.round(zoom * element.naturalHeight);
      if (!element.complete || !element.alt || !(width >= 1000 || height >= 350))
        wrong.push(`a figure of ${width} x ${height}, ` + element.alt);
    }
  }
  if (slide.scrollHeight > slide.clientHeight) wrong.push("has to be scrolled");
  return wrong;
}"""


@pytest.fixture(scope="module")
def decks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of all decks, made once."""
    if not (ROOT / "artefacts" / "reveal" / ".fetched").exists():
        if not shutil.which("npm"):
            pytest.skip("no npm on this machine, which fetches reveal.js")
        subprocess.run(["make", "artefacts/reveal/.fetched"], cwd=ROOT, check=True)
    folder = tmp_path_factory.mktemp("slides")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "notebooks"))
        slides = importlib.import_module("slides")
        slides.main(
            folder,
            lambda source: (
                slides.run(source)
                if source.stem == EXECUTED
                else nbformat.read(ROOT / "notebooks" / f"{source.stem}.ipynb", 4)
            ),
        )
    return folder


@pytest.fixture(scope="module")
def context(browser: sync_api.Browser) -> Iterator[sync_api.BrowserContext]:
    context = browser.new_context(viewport={"width": 1280, "height": 720}, offline=True)
    yield context
    context.close()


@pytest.fixture
def page(context: sync_api.BrowserContext) -> Iterator[sync_api.Page]:
    page = context.new_page()
    yield page
    page.close()


def opened(page: sync_api.Page, path: Path) -> list[str]:
    """Open a deck; return the list, which grows, of what it asks for outside its folder, and of its errors."""
    asked: list[str] = []
    inside = path.parent.as_uri()
    allowed = (inside, "data:", "blob:", "about:")
    page.on("request", lambda request: None if request.url.startswith(allowed) else asked.append(request.url))
    page.on("requestfailed", lambda request: asked.append(f"not there: {request.url[:200]}"))
    page.on("pageerror", lambda error: asked.append(str(error)))
    page.goto(path.as_uri())
    page.wait_for_function("window.Reveal && Reveal.isReady()")
    return asked


@pytest.mark.parametrize("name", [source.stem for source in SOURCES])
def test_every_slide_fits_is_legible_and_needs_no_network(decks: Path, page: sync_api.Page, name: str) -> None:
    asked = opened(page, decks / f"{name}.html")
    total = page.evaluate("Reveal.getTotalSlides()")
    assert 10 <= total <= 15
    for number in range(total):
        page.evaluate(f"Reveal.slide({number})")
        page.wait_for_function(f"Reveal.getIndices().h === {number}")
        assert page.evaluate(MEASURE) == [], f"{name}, slide {number + 1}"
        assert page.evaluate("Reveal.getCurrentSlide().querySelector('aside.notes').textContent.trim().length") > 40
    assert asked == []


def test_what_does_not_fit_is_found(decks: Path, page: sync_api.Page) -> None:
    opened(page, decks / f"{EXECUTED}.html")
    page.evaluate("Reveal.slide(2)")
    page.evaluate("Reveal.getCurrentSlide().querySelector('ul').style.fontSize = '20px'")
    assert any(wrong.startswith("small") for wrong in page.evaluate(MEASURE))
    page.evaluate("Reveal.getCurrentSlide().querySelector('ul').style.fontSize = '120px'")
    assert any(wrong.startswith("sticks out") for wrong in page.evaluate(MEASURE))


def test_keys_turn_the_slides_and_open_the_notes(decks: Path, page: sync_api.Page) -> None:
    asked = opened(page, decks / f"{EXECUTED}.html")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("Reveal.getIndices().h") == 2
    with page.expect_popup() as popup:
        page.keyboard.press("s")
    speaker = popup.value
    speaker.wait_for_function("document.querySelector('.speaker-controls-notes .value')?.textContent.length > 40")
    notes = speaker.text_content(".speaker-controls-notes .value") or ""
    speaker.close()
    assert notes.strip()[:40] in (page.evaluate("Reveal.getCurrentSlide().querySelector('aside').textContent") or "")
    assert asked == []


def test_the_index_leads_to_every_deck(decks: Path, page: sync_api.Page) -> None:
    page.goto((decks / "index.html").as_uri())
    links = page.eval_on_selector_all("a", "links => links.map(link => link.getAttribute('href'))")
    assert links == [f"{source.stem}.html" for source in SOURCES]
    assert all((decks / link).exists() for link in links)
