"""The language model under its slider: moved, and given a prompt, it writes something else."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest

sync_api = pytest.importorskip("playwright.sync_api")

from lab_page import ARTEFACTS, open_notebook, run_all, widget_cells  # noqa: E402

NAME = "writing.ipynb"
CODE = """from lossprune_lib import data, models, widgets
task = data.load("python_reference")
widgets.writing_slider(models.pretrained("tiny_gpt", task), task, start=(0.5, "mp"))"""
# From the press of a key to the first picture that comes after it, by the page's own clock.
WATCH = """cell => {
  const before = cell.querySelector('img').alt, started = performance.now();
  window.written = new Promise(resolve => new MutationObserver(() => {
    const now = cell.querySelector('img');
    if (now && now.alt !== before) resolve([performance.now() - started, now.alt]);
  }).observe(cell, {subtree: true, childList: true, attributes: true}));
}"""


def test_a_move_and_a_prompt_change_the_text(server: str, browser: sync_api.Browser, notebooks_folder: Path) -> None:
    kernel = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CODE)], metadata={"kernelspec": kernel})
    nbformat.write(notebook, notebooks_folder / NAME)
    page = browser.new_page(viewport={"width": 1300, "height": 1100})
    open_notebook(page, server, NAME)
    run_all(page)
    ((_, cell),) = widget_cells(page)
    picture, finished = cell.locator("img"), "not in the reference"

    def settled(words: str) -> str:
        page.wait_for_function(
            "([cell, words]) => cell.querySelector('img').alt.includes(words)", arg=[cell.element_handle(), words]
        )
        return picture.get_attribute("alt")

    first = settled(finished)
    cell.locator(".noUi-handle").focus()
    for _ in range(2):
        page.evaluate(WATCH, cell.element_handle())
        page.keyboard.press("ArrowRight")
        milliseconds, _ = page.evaluate("written")
        print(f"\nwriting: first words after {milliseconds:.0f} ms", end="")
    second = settled(finished)
    assert second.split("loss")[1] != first.split("loss")[1]
    # A burst: the last letter wins.
    prompt = cell.locator("input[type=text]").last
    prompt.fill("")
    prompt.press_sequentially("If an exception ")
    third = settled("reference. It writes “If an exception")
    assert third.startswith("MP, global, 60")
    prompt.press_sequentially("é")
    sync_api.expect(cell.locator(".jp-OutputArea")).to_contain_text("no 'é'")
    page.screenshot(path=ARTEFACTS / "writing.png")
    page.close()
