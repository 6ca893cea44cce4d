"""A real browser: each notebook is opened in JupyterLab and run, and each of its sliders is moved from the keyboard.

Needs Chromium, named by the variable CHROMIUM (`make browser` finds it). Screenshots are left in artefacts/.
"""

from __future__ import annotations

import re
import statistics
from pathlib import Path

import pytest

sync_api = pytest.importorskip("playwright.sync_api")

from lab_page import (  # noqa: E402
    ARTEFACTS,
    FAINT_TEXTS,
    ROOT,
    WIDGETS,
    choose_theme,
    open_notebook,
    run_all,
    widget_cells,
)

NOTEBOOKS = [Path(WIDGETS), *sorted((ROOT / "notebooks").glob("*.ipynb"))]
# From the press of a key to the next picture, decoded and painted, by the page's own clock.
WATCH = """cell => {
  const started = new Promise(resolve => document.addEventListener(
    'keydown', () => resolve(performance.now()), {capture: true, once: true}));
  window.redrawn = new Promise(resolve => {
    const before = cell.querySelector('img').src;
    const observer = new MutationObserver(async () => {
      const picture = cell.querySelector('img');
      if (!picture || picture.src === before) return;
      observer.disconnect();
      await picture.decode();
      requestAnimationFrame(async () => resolve(performance.now() - await started));
    });
    observer.observe(cell, {subtree: true, childList: true, attributes: true, attributeFilter: ['src']});
  });
}"""
SETTLED = """cell => new Promise(resolve => {
  let quiet = 0;
  const timer = setInterval(() => {
    quiet = cell.querySelector('.lossprune-drawing') ? 0 : quiet + 1;
    if (quiet > 4) { clearInterval(timer); resolve(); }
  }, 100);
})"""
FOCUS_IS_SEEN = """handle => handle === document.activeElement && getComputedStyle(handle).outlineStyle !== 'none'
  && parseFloat(getComputedStyle(handle).outlineWidth) > 0"""
PRESSES = 7


def burst(page: sync_api.Page, cell: sync_api.Locator, handle: sync_api.Locator) -> None:
    """Move a slider there and back at once: the last move wins."""
    before = cell.locator("img").get_attribute("alt")
    at_end = handle.get_attribute("aria-valuenow") == handle.get_attribute("aria-valuemax")
    for move in ("ArrowLeft", "ArrowRight") if at_end else ("ArrowRight", "ArrowLeft"):
        page.keyboard.press(move)
    page.evaluate(SETTLED, cell.element_handle())
    assert cell.locator("img").count() == 1
    assert cell.locator("img").get_attribute("alt") == before


def press_buttons(page: sync_api.Page, cell: sync_api.Locator, where: str) -> None:
    """Press each button that is not pressed yet, from the keyboard; the last one stays."""
    for group in cell.locator(".widget-toggle-buttons").all():
        name, latencies = group.get_attribute("aria-label"), []
        assert name
        for button in group.locator("button").all():
            if button.get_attribute("aria-pressed") == "true":
                continue
            button.focus()
            page.evaluate(WATCH, cell.element_handle())
            page.keyboard.press("Enter")
            latencies.append(page.evaluate("redrawn"))
            page.evaluate(SETTLED, cell.element_handle())
            sync_api.expect(button).to_have_attribute("aria-pressed", "true")
            assert group.locator("[aria-pressed=true]").count() == 1
        print(
            f"\n{where}, {name}: median {statistics.median(latencies):.0f} ms, slowest {max(latencies):.0f} ms", end=""
        )


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_slider_redraws_its_one_picture(path: Path, server: str, browser: sync_api.Browser) -> None:
    page = browser.new_page(viewport={"width": 1300, "height": 1400})
    open_notebook(page, server, path.name)
    run_all(page)
    sliders = 0
    for index, cell in widget_cells(page):
        handles = cell.locator(".noUi-handle")
        if not handles.count():
            continue  # a progress bar that is done
        page.screenshot(path=ARTEFACTS / f"{path.stem}-{index}-before.png")
        cell.locator(".jp-OutputArea-output").first.screenshot(path=ARTEFACTS / f"{path.stem}-{index}-widget.png")
        assert cell.locator("img").count() == 1
        for i in range(handles.count()):
            sliders += 1
            handle, element = handles.nth(i), cell.element_handle()
            page.keyboard.press("Shift")  # focus is shown to those who use the keyboard
            handle.focus()
            page.wait_for_function(FOCUS_IS_SEEN, arg=handle.element_handle())
            latencies = []
            key = "ArrowRight"
            for _ in range(PRESSES):
                # There and back: a slider may have only a few places.
                at, low, high = (float(handle.get_attribute(f"aria-value{name}")) for name in ("now", "min", "max"))
                key = "ArrowRight" if at == low else "ArrowLeft" if at == high else key
                page.evaluate(WATCH, element)
                page.keyboard.press(key)
                latencies.append(page.evaluate("redrawn"))
            page.evaluate(SETTLED, element)
            middle, slow = statistics.median(latencies), max(latencies)
            name = handle.get_attribute("aria-label")
            assert name
            print(f"\n{path.stem}, cell {index}, {name}: median {middle:.0f} ms, slowest {slow:.0f} ms", end="")

            burst(page, cell, handle)
        press_buttons(page, cell, f"{path.stem}, cell {index}")
        assert "Error" not in cell.locator(".jp-OutputArea").inner_text()
        page.screenshot(path=ARTEFACTS / f"{path.stem}-{index}-after.png")
        for dark in (True, False):
            choose_theme(page, dark)
            page.screenshot(path=ARTEFACTS / f"{path.stem}-{index}-{'dark' if dark else 'light'}.png")
            texts, faint = page.evaluate(FAINT_TEXTS)
            assert texts > 5
            assert faint == []
    assert sliders, "this notebook has no slider"
    page.close()


def test_the_artefacts_are_not_committed() -> None:
    assert re.search(r"^artefacts/$", (ROOT / ".gitignore").read_text(), re.M)
