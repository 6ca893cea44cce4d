"""Guesses in a real browser: Run All spoils nothing, and a guess or a click opens an outcome."""

from __future__ import annotations

import pytest

sync_api = pytest.importorskip("playwright.sync_api")

from lab_page import ARTEFACTS, FAINT_TEXTS, bring, choose_theme, open_notebook, run_all  # noqa: E402

NAME = "00_start_here.ipynb"
PLACE = """text => jupyterapp.shell.currentWidget.content.widgets.findIndex(
  cell => cell.model.sharedModel.source.includes(text))"""


def cell_with(page: sync_api.Page, text: str) -> sync_api.Locator:
    """Bring the first cell with a text to the screen."""
    return bring(page, page.evaluate(PLACE, text), "start")


def test_outcomes_stay_folded_until_a_guess_or_a_click(server: str, browser: sync_api.Browser) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    open_notebook(page, server, NAME)
    run_all(page)
    outcome = cell_with(page, "best.reveal(")
    sync_api.expect(outcome.locator("details")).not_to_have_attribute("open", "")
    sync_api.expect(outcome.locator("img")).not_to_be_visible()
    outcome.locator("summary").click()
    sync_api.expect(outcome.locator("img")).to_be_visible()
    outcome.locator("summary").click()

    asked = cell_with(page, 'exercises.guess("best of three"')
    asked.get_by_role("button", name="QM, in one go").click()
    sync_api.expect(asked).to_contain_text("Your guess: QM, in one go")
    outcome = cell_with(page, "best.reveal(")
    sync_api.expect(outcome.get_by_role("status")).to_contain_text("You guessed QM, in one go.")
    sync_api.expect(outcome.locator("img")).to_be_visible()

    asked = cell_with(page, 'exercises.guess("half wrong"')
    field = asked.get_by_role("textbox").last
    field.fill("half")
    field.press("Enter")
    sync_api.expect(asked).to_contain_text("is not a number")
    field.fill("70%")
    field.press("Enter")
    sync_api.expect(asked).to_contain_text("Your guess: 70")
    outcome = cell_with(page, "broken.reveal(")
    sync_api.expect(outcome.get_by_role("status")).to_contain_text("too low")
    for dark in (True, False):
        choose_theme(page, dark)
        page.screenshot(path=ARTEFACTS / f"guess-{'dark' if dark else 'light'}.png")
        assert page.evaluate(FAINT_TEXTS)[1] == []
    page.close()
