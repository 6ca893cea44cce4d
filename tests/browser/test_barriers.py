"""No barrier of ours in the notebooks: axe-core over all cells with outputs, and all widgets at a zoom of 200 %.

axe-core comes from npm, into artefacts/axe-core.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

sync_api = pytest.importorskip("playwright.sync_api")

from lab_page import ARTEFACTS, open_notebook, run_all, widget_cells  # noqa: E402

AXE = ARTEFACTS / "axe-core" / "package" / "axe.min.js"
NOTEBOOKS = ["weights.ipynb", "stages.ipynb", "00_start_here.ipynb"]
NUMBER_OF_CELLS = "() => jupyterapp.shell.currentWidget.content.widgets.length"
LOOK = """async () => {
  const found = await axe.run('.jp-NotebookPanel:not(.lm-mod-hidden) .jp-Notebook', {resultTypes: ['violations']});
  return found.violations.flatMap(({id, nodes}) => nodes.map(({target, html}) => {
    const element = document.querySelector(target.join(' '));
    const pandas = id === 'empty-table-header' && element?.closest('table.dataframe');  // its row of index names
    const shown = element?.closest('.jp-OutputArea-output, .jp-MarkdownOutput, .jp-RenderedMarkdown');
    return {id, html: html.slice(0, 200), target: target.join(' '), ours: !!shown && !pandas};
  }));
}"""
TOO_WIDE = """cell => [...cell.querySelectorAll('.jp-OutputArea-output, .lossprune-sliders')].filter(
  box => box.scrollWidth > box.clientWidth + 1
).map(box => `${box.className}: ${box.scrollWidth} > ${box.clientWidth}`)"""

pytestmark = pytest.mark.slow


def barriers(page: sync_api.Page) -> list[dict[str, Any]]:
    """Return what axe finds, a screen after the other: only what is near the screen is in the page."""
    page.evaluate(AXE.read_text("utf-8"))
    found = {}
    for place in range(0, page.evaluate(NUMBER_OF_CELLS), 4):
        page.evaluate(f"void jupyterapp.shell.currentWidget.content.scrollToItem({place}, 'start')")
        page.wait_for_timeout(500)
        found |= {(one["id"], one["html"]): one for one in page.evaluate(LOOK)}
    return list(found.values())


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_axe_finds_nothing_that_is_ours(name: str, server: str, browser: sync_api.Browser) -> None:
    if not AXE.exists():
        pytest.skip("axe-core is not there: make test-slow fetches it where there is npm")
    page = browser.new_page(viewport={"width": 1300, "height": 1400})
    open_notebook(page, server, name)
    run_all(page)
    found = barriers(page)
    ours = [one for one in found if one["ours"]]
    print(f"\n{Path(name).stem}: {len(ours)} of ours, {len(found) - len(ours)} of JupyterLab's and pandas'", end="")
    assert ours == []
    page.close()


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_widgets_fit_and_move_at_200_per_cent(name: str, server: str, browser: sync_api.Browser) -> None:
    """A browser that zooms to 200 % gives the page half as many pixels."""
    page = browser.new_page(viewport={"width": 720, "height": 700}, device_scale_factor=2)
    open_notebook(page, server, name)
    page.evaluate("void jupyterapp.commands.execute('application:toggle-left-area')")
    run_all(page)
    for index, cell in widget_cells(page):
        if not cell.locator(".noUi-handle").count():
            continue
        page.screenshot(path=ARTEFACTS / f"zoomed-{Path(name).stem}-{index}.png")
        assert cell.evaluate(TOO_WIDE) == []
        handle = cell.locator(".noUi-handle").first
        before = cell.locator("img").get_attribute("alt")
        handle.press("Home" if handle.get_attribute("aria-valuenow") != "0.0" else "End")
        sync_api.expect(cell.locator("img")).not_to_have_attribute("alt", before)
    page.close()
