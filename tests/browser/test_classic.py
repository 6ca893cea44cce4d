"""The classic notebook 6.5.7 with Colab's ipywidgets 7.7.1: every slider, button and guess of every notebook.

CLASSIC names an environment that holds them (`make test-slow` makes it).
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

sync_api = pytest.importorskip("playwright.sync_api")

from lab_page import ARTEFACTS, ROOT, TOKEN  # noqa: E402
from servers import jupyter  # noqa: E402

NOTEBOOKS = sorted(path.stem for path in (ROOT / "notebooks").glob("[0-9]*.ipynb"))
IS_THERE = "() => window.Jupyter?.notebook?.kernel?.is_connected() && Jupyter.notebook._fully_loaded"
RUN_ALL = "() => { Jupyter.notebook.clear_all_output(); Jupyter.notebook.execute_all_cells(); }"
HAVE_RUN = """() => Jupyter.notebook.get_cells().every(
  cell => cell.cell_type !== 'code' || !cell.get_text().trim() || Number.isInteger(cell.input_prompt_number))"""
ERRORS = """() => Jupyter.notebook.get_cells().flatMap(cell => cell.output_area?.outputs ?? []).filter(
  output => output.output_type === 'error').map(output => output.evalue)"""
SLIDERS = ".lossprune-sliders:has(img)"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def classic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = os.environ.get("CLASSIC")
    if not folder:
        pytest.skip("CLASSIC does not name an environment with Colab's widgets: run make test-slow")
    with jupyter(tmp_path_factory.mktemp("classic"), "notebook", python=f"{folder}/bin/python") as address:
        yield address


def moved(widget: sync_api.Locator, act: object) -> None:
    """Do something, after which the one picture must be another."""
    before = widget.locator("img").get_attribute("src")
    act()
    sync_api.expect(widget.locator("img")).not_to_have_attribute("src", before, timeout=20_000)
    assert widget.locator("img").count() == 1


def try_sliders(page: sync_api.Page, widget: sync_api.Locator) -> int:
    """Move each slider by keys and mouse, and press each button; return how many there were."""
    tried = 0
    for slider in widget.locator(".widget-hslider").all():
        handle, rail, tried = slider.locator(".ui-slider-handle"), slider.locator(".ui-slider"), tried + 1
        box = rail.bounding_box()
        for end in (0.02, 0.98):
            page.mouse.click(box["x"] + end * box["width"], box["y"] + box["height"] / 2)
        page.wait_for_timeout(1500)
        moved(widget, lambda handle=handle: handle.press("Home"))
        moved(widget, lambda handle=handle: handle.press("ArrowRight"))
        moved(widget, lambda handle=handle: handle.press("End"))
        middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        moved(widget, lambda middle=middle: page.mouse.click(*middle))
    for button in widget.locator(".widget-toggle-buttons button:not(.mod-active)").all():
        tried += 1
        moved(widget, button.click)
    return tried


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_sliders_buttons_and_guesses_work(name: str, classic: str, browser: sync_api.Browser) -> None:
    page = browser.new_page(viewport={"width": 1300, "height": 1400})
    page.goto(f"{classic}/notebooks/{name}.ipynb?token={TOKEN}", timeout=120_000)
    page.wait_for_function(IS_THERE, timeout=120_000)
    page.evaluate(RUN_ALL)
    page.wait_for_function(HAVE_RUN, timeout=300_000)
    assert page.evaluate(ERRORS) == []
    page.screenshot(path=ARTEFACTS / f"classic-{name}.png")
    page.locator(SLIDERS).first.wait_for(timeout=30_000)
    tried = 0
    for widget in page.locator(SLIDERS).all():
        widget.scroll_into_view_if_needed()
        tried += try_sliders(page, widget)
        assert "Error" not in widget.inner_text()
    assert tried, "this notebook has no slider"
    page.screenshot(path=ARTEFACTS / f"classic-{name}.png")
    page.close()


def test_a_reopened_notebook_shows_its_picture(classic: str, browser: sync_api.Browser) -> None:
    page = browser.new_page(viewport={"width": 1300, "height": 1400})
    for again in (False, True):
        page.goto(f"{classic}/notebooks/00_start_here.ipynb?token={TOKEN}", timeout=120_000)
        page.wait_for_function(IS_THERE, timeout=120_000)
        if not again:
            page.evaluate(RUN_ALL)
            page.wait_for_function(HAVE_RUN, timeout=300_000)
            page.evaluate("() => Jupyter.notebook.save_notebook()")
            page.evaluate("() => Jupyter.notebook.session.delete()")
    source = "sparsity_slider("
    place = page.evaluate("text => Jupyter.notebook.get_cells().findIndex(c => c.get_text().includes(text))", source)
    output = page.locator("#notebook-container > .cell").nth(place).locator(".output_wrapper")
    output.scroll_into_view_if_needed()
    output.screenshot(path=ARTEFACTS / "classic-reopened.png")
    sync_api.expect(output.locator("img").first).to_be_visible()
    page.close()
