"""Notebook 7, and JupyterLab without our settings: sliders follow keys and mouse; reopened, their picture is there."""

from __future__ import annotations

import re

import pytest

sync_api = pytest.importorskip("playwright.sync_api")

from lab_page import ARTEFACTS, KERNEL_IS_IDLE, TOKEN, run_all  # noqa: E402

pytestmark = pytest.mark.slow
NAME = "00_start_here.ipynb"
SAVE = "jupyterapp.commands.execute('docmanager:save')"
SHUT_DOWN = "jupyterapp.shell.currentWidget.sessionContext.shutdown()"
PICTURE = """() => [...document.querySelectorAll('.jupyter-widgets.jp-OutputArea-output')].map(
  output => getComputedStyle(output, '::before').content).find(content => content.startsWith('url'))"""
# It is said behind the scenes of each, and to be read on none of them.
NO_ERROR_IS_READ = """() => [...document.querySelectorAll('.jupyter-widgets.jp-OutputArea-output')].filter(
  output => output.getClientRects().length && output.textContent.includes('model not found')
).every(output => getComputedStyle(output).fontSize === '0px'
  && /^(url|"\\w)/.test(getComputedStyle(output, '::before').content))"""
HIDDEN = "() => [...document.querySelectorAll('.lossprune-last-picture')].every(e => !e.getClientRects().length)"


def open_in(page: sync_api.Page, address: str) -> None:
    page.goto(f"{address}/{NAME}?token={TOKEN}", timeout=60_000)
    page.wait_for_function(KERNEL_IS_IDLE, timeout=60_000)


def test_keys_and_mouse_move_a_slider_whose_last_picture_stays(anyones: str, browser: sync_api.Browser) -> None:
    page = browser.new_page(viewport={"width": 1300, "height": 1400})
    open_in(page, f"{anyones}/notebooks")
    run_all(page)
    cell = page.locator(".jp-Notebook-cell:has(.lossprune-sliders .noUi-handle)").first
    cell.scroll_into_view_if_needed()
    handle, said = cell.locator(".noUi-handle"), "aria-valuetext"
    handle.focus()
    for key, place in [
        ("Home", "0.0 %"),
        ("ArrowRight", "2.0 %"),
        ("ArrowUp", "4.0 %"),
        ("ArrowLeft", "2.0 %"),
        ("ArrowDown", "0.0 %"),
        ("End", "99.7 %"),
    ]:
        page.keyboard.press(key)
        sync_api.expect(handle).to_have_attribute(said, place)
    for key in ("PageDown", "PageUp"):
        before = handle.get_attribute(said)
        page.keyboard.press(key)
        sync_api.expect(handle).not_to_have_attribute(said, before)
    rail = cell.locator(".noUi-target").bounding_box()
    page.mouse.click(rail["x"] + rail["width"] / 2, rail["y"] + rail["height"] / 2)
    sync_api.expect(cell.locator("img")).to_have_attribute("alt", re.compile(r"^(?!99).*pruned"))
    shown = cell.locator("img")
    page.screenshot(path=ARTEFACTS / "notebook7.png")
    assert page.evaluate(HIDDEN)
    page.wait_for_timeout(1500)  # a picture is kept once its slider rests
    alt, png = shown.get_attribute("alt"), shown.get_attribute("src").partition("base64,")[2]
    page.evaluate(SAVE)
    page.evaluate(SHUT_DOWN)
    page.close()

    for front_end in ("notebooks", "lab/tree"):
        page = browser.new_page(viewport={"width": 1300, "height": 1400})
        open_in(page, f"{anyones}/{front_end}")
        page.wait_for_function(f"({PICTURE})()", timeout=20_000)
        content = page.evaluate(PICTURE)
        assert png in content
        assert alt[:30] in content
        page.wait_for_function(NO_ERROR_IS_READ)
        page.screenshot(path=ARTEFACTS / f"reopened-{front_end.split('/')[0]}.png")
        page.evaluate(SHUT_DOWN)
        page.close()
