"""A real browser: each widget is opened in JupyterLab, its sliders moved by keys and mouse, its buttons by keys.

The slow tests do the same in every notebook.

Needs Chromium, named by the variable CHROMIUM (`make browser` finds it). Screenshots are left in artefacts/.
"""

from __future__ import annotations

import re
import statistics

import pytest

sync_api = pytest.importorskip("playwright.sync_api")

from lab_page import (  # noqa: E402
    ARTEFACTS,
    FAINT_TEXTS,
    PAGES,
    ROOT,
    choose_theme,
    open_notebook,
    run_all,
    widget_cells,
)

NOTEBOOKS = sorted(path.name for path in (ROOT / "notebooks").glob("*.ipynb"))
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
# The kernel answers in order, and a slider that was moved again waits for the answer to its first move.
SETTLED = """async cell => {
  const kernel = jupyterapp.shell.currentWidget.sessionContext.session.kernel;
  for (let quiet = 0; quiet < 3;) {
    await kernel.requestKernelInfo();
    await new Promise(resolve => setTimeout(resolve, 100));
    quiet = cell.querySelector('.lossprune-drawing') ? 0 : quiet + 1;
  }
}"""
FOCUS_IS_SEEN = """handle => handle === document.activeElement && getComputedStyle(handle).outlineStyle !== 'none'
  && parseFloat(getComputedStyle(handle).outlineWidth) > 0"""
PRESSES = 4


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


def press_arrows(page: sync_api.Page, cell: sync_api.Locator, handle: sync_api.Locator, where: str) -> None:
    """Move a slider a few times from the keyboard: each move redraws, and focus is seen."""
    element, latencies, key = cell.element_handle(), [], "ArrowRight"
    page.keyboard.press("Shift")  # focus is shown to those who use the keyboard
    handle.focus()
    page.wait_for_function(FOCUS_IS_SEEN, arg=handle.element_handle())
    for _ in range(PRESSES):
        # There and back: a slider may have only a few places.
        at, low, high = (float(handle.get_attribute(f"aria-value{name}")) for name in ("now", "min", "max"))
        key = "ArrowRight" if at == low else "ArrowLeft" if at == high else key
        page.evaluate(WATCH, element)
        page.keyboard.press(key)
        latencies.append(page.evaluate("redrawn"))
    page.evaluate(SETTLED, element)
    name = handle.get_attribute("aria-label")
    assert name
    print(f"\n{where}, {name}: median {statistics.median(latencies):.0f} ms, slowest {max(latencies):.0f} ms", end="")


def click_rail(page: sync_api.Page, cell: sync_api.Locator, handle: sync_api.Locator) -> None:
    """Click a slider's rail at both ends: the slider follows, though not beyond its limits, and so does the picture."""
    box = handle.locator("xpath=ancestor::*[contains(@class, 'noUi-target')]").bounding_box()
    places, pictures = [], []
    for share in (0.99, 0.01):
        page.mouse.click(box["x"] + share * box["width"], box["y"] + box["height"] / 2)
        page.evaluate(SETTLED, cell.element_handle())
        assert cell.locator("img").count() == 1
        places.append(float(handle.get_attribute("aria-valuenow")))
        pictures.append(cell.locator("img").get_attribute("alt"))
    assert places[0] > places[1]
    assert pictures[0] != pictures[1]


@pytest.mark.parametrize("name", ["stages.ipynb", "weights.ipynb"])
def test_every_widget_redraws_its_one_picture(name: str, server: str, browser: sync_api.Browser) -> None:
    assert move_all(name, server, browser) == len(PAGES[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_every_slider_of_a_notebook_redraws_its_one_picture(name: str, server: str, browser: sync_api.Browser) -> None:
    assert move_all(name, server, browser), "this notebook has no slider"


def move_all(name: str, server: str, browser: sync_api.Browser) -> int:
    """Move all sliders of a notebook, in both themes their texts are legible; return the number of widgets."""
    page, stem, widgets = browser.new_page(viewport={"width": 1300, "height": 1400}), name.partition(".")[0], []
    open_notebook(page, server, name)
    run_all(page)
    for index, cell in widget_cells(page):
        handles = cell.locator(".noUi-handle")
        if not handles.count() and not cell.locator(".widget-toggle-buttons").count():
            continue  # a progress bar that is done
        widgets.append(index)
        page.screenshot(path=ARTEFACTS / f"{stem}-{index}-before.png")
        cell.locator(".jp-OutputArea-output").first.screenshot(path=ARTEFACTS / f"{stem}-{index}-widget.png")
        assert cell.locator("img").count() == 1
        for handle in handles.all():
            press_arrows(page, cell, handle, f"{stem}, cell {index}")
            burst(page, cell, handle)
        for handle in handles.all():
            click_rail(page, cell, handle)
        press_buttons(page, cell, f"{stem}, cell {index}")
        assert "Error" not in cell.locator(".jp-OutputArea").inner_text()
        page.screenshot(path=ARTEFACTS / f"{stem}-{index}-after.png")
    for dark in (True, False):
        choose_theme(page, dark)
        for index, _ in widget_cells(page):
            page.screenshot(path=ARTEFACTS / f"{stem}-{index}-{'dark' if dark else 'light'}.png")
            texts, faint = page.evaluate(FAINT_TEXTS)
            assert texts > 5
            assert faint == []
    page.close()
    return len(widgets)


def test_the_artefacts_are_not_committed() -> None:
    assert re.search(r"^artefacts/$", (ROOT / ".gitignore").read_text(), re.M)
