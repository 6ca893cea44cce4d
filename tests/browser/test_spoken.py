"""What a screen reader is told of a slider: its name, the label of its place, and that there is one thing to focus."""

from __future__ import annotations

import pytest

sync_api = pytest.importorskip("playwright.sync_api")

from lab_page import open_notebook, run_all, widget_cells  # noqa: E402

NAME = "spoken.ipynb"
FOCUS_IS_WITHIN = "slider => slider.contains(document.activeElement)"


def test_sliders_are_named_and_their_places_spoken(server: str, browser: sync_api.Browser) -> None:
    page = browser.new_page(viewport={"width": 1300, "height": 1400})
    open_notebook(page, server, NAME)
    run_all(page)
    ((_, cell),) = widget_cells(page)
    slider = cell.locator(".widget-hslider")
    handle, readout = slider.locator(".noUi-handle"), slider.locator(".widget-readout")
    sync_api.expect(handle).to_have_attribute("aria-label", "sparsity")
    sync_api.expect(handle).to_have_attribute("aria-valuetext", readout.inner_text())
    handle.focus()
    for key, said in (("Home", "0.0 %"), ("ArrowRight", "2.0 %"), ("End", "99.7 %")):
        page.keyboard.press(key)
        sync_api.expect(handle).to_have_attribute("aria-valuetext", said)
    page.keyboard.press("Tab")
    assert not slider.evaluate(FOCUS_IS_WITHIN)
    page.close()
