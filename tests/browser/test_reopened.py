"""A notebook that is closed and opened again: with its kernel sliders move on, without it the last picture is there."""

from __future__ import annotations

import pytest

sync_api = pytest.importorskip("playwright.sync_api")

from lab_page import KERNEL_IS_IDLE, open_notebook, run_all, widget_cells  # noqa: E402

NAME = "reopened.ipynb"
OPEN = "name => void jupyterapp.commands.execute('docmanager:open', {path: name})"
SAVE = "jupyterapp.commands.execute('docmanager:save')"
CLOSE = "void jupyterapp.shell.currentWidget.close()"
IS_CLOSED = "() => !document.querySelector('.jp-NotebookPanel')"
SHUT_DOWN = "jupyterapp.shell.currentWidget.sessionContext.shutdown()"


def press(page: sync_api.Page, cell: sync_api.Locator) -> str:
    """Move the slider by one place, and return what the new picture shows, in words."""
    before = cell.locator("img").get_attribute("alt")
    cell.locator(".noUi-handle").focus()
    page.keyboard.press("ArrowRight")
    sync_api.expect(cell.locator("img")).not_to_have_attribute("alt", before)
    return cell.locator("img").get_attribute("alt")


def test_a_notebook_closed_and_opened_again(server: str, browser: sync_api.Browser) -> None:
    page = browser.new_page(viewport={"width": 1300, "height": 1400})
    open_notebook(page, server, NAME)
    run_all(page)
    ((_, cell),) = widget_cells(page)
    shown = press(page, cell)

    page.evaluate(SAVE)
    page.evaluate(CLOSE)
    page.wait_for_function(IS_CLOSED)
    page.evaluate(OPEN, NAME)
    page.wait_for_function(KERNEL_IS_IDLE)
    ((_, cell),) = widget_cells(page)
    sync_api.expect(cell.locator("img")).to_have_attribute("alt", shown)
    shown = press(page, cell)

    page.evaluate(SAVE)
    page.evaluate(SHUT_DOWN)
    page.close()
    page = browser.new_page(viewport={"width": 1300, "height": 1400})
    open_notebook(page, server, NAME)
    ((_, cell),) = widget_cells(page)
    sync_api.expect(cell.locator("img")).to_have_attribute("alt", shown)
    assert "Error" not in cell.locator(".jp-OutputArea").inner_text()
    page.close()
