"""The classic notebook 6.5.7 with Colab's ipywidgets 7.7.1: every slider and button of the notebooks.

CLASSIC names an environment that holds them (`make test-slow` makes it).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from functools import partial

import pytest

sync_api = pytest.importorskip("playwright.sync_api")

from lab_page import ARTEFACTS, ROOT, TOKEN  # noqa: E402
from servers import jupyter  # noqa: E402

NOTEBOOKS = [path.stem for path in sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))]
IS_THERE = """() => window.Jupyter?.notebook?.kernel?.info_reply?.implementation
  && Jupyter.notebook._fully_loaded && Jupyter.notebook.get_cells().length > 1
  && Jupyter.notebook.kernel.widget_manager"""
# At first the front end asks the kernel for its widgets. Cells that run meanwhile keep the answer back, and then their
# own widgets may never be shown. The kernel answers in turn: once it has answered this, it has answered that.
KNOWS_ITS_WIDGETS = """async () => {
  for (let turn = 0; turn < 5; turn++) {
    await new Promise(done => Jupyter.notebook.kernel.comm_info('jupyter.widget', done));
  }
}"""
RUN_ALL = """() => {
  Jupyter.notebook.get_cells().forEach(cell => { if (cell.cell_type === 'code') cell.input_prompt_number = null; });
  Jupyter.notebook.clear_all_output();
  Jupyter.notebook.execute_all_cells();
}"""
HAVE_RUN = """() => Jupyter.notebook.get_cells().every(
  cell => cell.cell_type !== 'code' || !cell.get_text().trim() || Number.isInteger(cell.input_prompt_number))"""
ERRORS = """() => Jupyter.notebook.get_cells().flatMap(cell => cell.output_area?.outputs ?? []).filter(
  output => output.output_type === 'error').map(output => output.evalue)"""
SLIDERS = ".lossprune-sliders:has(img)"
WITHOUT_MODEL = ".jupyter-widgets-view:not(:has(.lossprune-sliders))"
# Opened before its kernel is gone, a notebook would wait for the one that is dying.
SHUT_DOWN = "() => new Promise((gone, failed) => Jupyter.notebook.session.delete(gone, failed))"
INSTEAD = "view => getComputedStyle(view, '::before').content"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def classic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = os.environ.get("CLASSIC")
    if not folder:
        pytest.skip("CLASSIC does not name an environment with Colab's widgets: run make test-slow")
    with jupyter(tmp_path_factory.mktemp("classic"), "notebook", python=f"{folder}/bin/python") as address:
        yield address


def tried(widget: sync_api.Locator, *acts: Callable[[], None]) -> None:
    """Do several things to a widget; it answers by other pictures, and has one at a time."""
    picture = widget.locator("img")
    pictures = {picture.get_attribute("src")}
    for act in acts:
        before = picture.get_attribute("src")
        act()
        with contextlib.suppress(AssertionError):  # what was chosen already changes nothing
            sync_api.expect(picture).not_to_have_attribute("src", before, timeout=1500)
        assert picture.count() == 1
        pictures.add(picture.get_attribute("src"))
    assert len(pictures) > 1


def try_everything(page: sync_api.Page, widget: sync_api.Locator) -> int:
    """Move each slider by keys and mouse, and press each button; return how many there were."""
    sliders = widget.locator(".widget-hslider").all()
    for slider in sliders:
        handle, box = slider.locator(".ui-slider-handle"), slider.locator(".ui-slider").bounding_box()
        places = [(box["x"] + part * box["width"], box["y"] + box["height"] / 2) for part in (0.02, 0.5, 0.98)]
        tried(widget, *(lambda place=place: page.mouse.click(*place) for place in places))
        tried(widget, *(partial(handle.press, key) for key in ("Home", "ArrowRight", "End")))
    buttons = widget.locator(".widget-toggle-buttons button").all()
    if buttons:
        tried(widget, *(button.click for button in buttons))
    return len(sliders) + len(buttons)


def opened(browser: sync_api.Browser, address: str, name: str) -> sync_api.Page:
    """Open a notebook and wait for its kernel and its widgets."""
    page = browser.new_page(viewport={"width": 1300, "height": 1400})
    page.goto(f"{address}/notebooks/{name}.ipynb?token={TOKEN}", timeout=120_000)
    page.wait_for_function(IS_THERE, timeout=120_000)
    page.evaluate(KNOWS_ITS_WIDGETS)
    return page


def run_all(page: sync_api.Page) -> None:
    """Run all cells; none may fail."""
    page.evaluate(RUN_ALL)
    page.wait_for_function(HAVE_RUN, timeout=300_000)
    assert page.evaluate(ERRORS) == []
    page.locator(SLIDERS).first.wait_for(timeout=30_000)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_sliders_and_buttons_work(name: str, classic: str, browser: sync_api.Browser) -> None:
    page = opened(browser, classic, name)
    run_all(page)
    number = 0
    for widget in page.locator(SLIDERS).all():
        widget.scroll_into_view_if_needed()
        number += try_everything(page, widget)
        assert "Error" not in widget.inner_text()
    assert number, "this notebook has no slider"
    page.screenshot(path=ARTEFACTS / f"classic-{name}.png")
    page.close()


def test_a_notebook_opened_again_shows_its_last_picture(classic: str, browser: sync_api.Browser) -> None:
    page = opened(browser, classic, "reopened")
    run_all(page)
    page.locator(f"{SLIDERS} .ui-slider-handle").first.press("End")
    page.wait_for_timeout(1500)
    shown = page.locator(f"{SLIDERS} img").get_attribute("alt")
    page.evaluate("Jupyter.notebook.save_notebook()")
    page.evaluate(SHUT_DOWN)
    page.close()
    page = opened(browser, classic, "reopened")
    content = page.locator(WITHOUT_MODEL).evaluate(INSTEAD)
    assert content.startswith('url("data:image/png;base64,')
    assert shown.replace("\n", " ") in content
    page.close()
