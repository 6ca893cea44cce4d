"""What the browser tests do in JupyterLab: open a notebook, run it, bring its widgets to the screen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import nbformat
from playwright.sync_api import Locator, Page

ROOT = Path(__file__).parents[2]
ARTEFACTS = ROOT / "artefacts"
TOKEN = "browser-test"
# Small notebooks: all widgets, on two pages, and one slider alone.
PAGES = {
    "weights.ipynb": (
        "sparsity_slider(net, task)",
        "one_weight_slider(net, task, examples=100)",
        "two_weights_slider(net, task, examples=100)",
        "shares_slider(net, task, stages=2)",
        "browse({'digits': results.load('digits')})",
    ),
    "stages.ipynb": (
        "landscape_slider(net, task, stages=2, examples=100)",
        "taylor_slider(net, task, batch_size=100)",
        "locality_slider(net, task, stages=2)",
        "fine_tuning_slider(results.load('digits'))",
    ),
    "spoken.ipynb": ("sparsity_slider(net, task)",),
    "reopened.ipynb": ("sparsity_slider(net, task)",),
}
KERNEL_IS_IDLE = "window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"
ALL_CELLS_RAN = """() => {
  const cells = jupyterapp.shell.currentWidget.content.widgets.filter(cell => cell.model.type === 'code');
  return cells.every(cell => cell.model.executionCount !== null && cell.model.executionState !== 'running');
}"""
FORGET_RUNS = "void jupyterapp.commands.execute('notebook:clear-all-cell-outputs')"
WIDGET_CELLS = """() => jupyterapp.shell.currentWidget.content.widgets.map((cell, i) => [cell, i]).filter(([cell]) =>
  (cell.model.outputs?.toJSON() ?? []).some(({data}) =>
    data && 'application/vnd.jupyter.widget-view+json' in data && 'image/png' in data)).map(([, i]) => i)"""
ERRORS = """() => jupyterapp.shell.currentWidget.content.widgets.flatMap(cell => cell.model.outputs
  ? cell.model.outputs.toJSON().filter(output => output.output_type === 'error') : [])"""
# A cell is on the screen once it stands still and its pictures are there.
IS_THERE = """index => new Promise(resolve => {
  const cell = () => document.querySelector(
    `.jp-NotebookPanel:not(.lm-mod-hidden) .jp-Notebook-cell[data-windowed-list-index='${index}']`);
  let before = '', still = 0;
  const timer = setInterval(() => {
    const box = cell()?.getBoundingClientRect(), place = box && box.height ? `${box.top} ${box.height}` : '';
    const drawn = place && [...cell().querySelectorAll('img')].every(picture => picture.complete);
    still = drawn && place === before ? still + 1 : 0;
    before = place;
    if (still > 5) { clearInterval(timer); resolve(); }
  }, 50);
})"""
# Contrast as in WCAG 2 of whatever text is on the screen; the colours of code are those of JupyterLab.
FAINT_TEXTS = """() => {
  const numbers = text => { const found = text.match(/[\\d.]+/g).map(Number); return [...found, 1].slice(0, 4); };
  const over = (top, below) => [0, 1, 2].map(i => top[i] * top[3] + below[i] * (1 - top[3]));
  const behind = element => {
    const layers = [];
    for (let e = element; e; e = e.parentElement) layers.push(numbers(getComputedStyle(e).backgroundColor));
    return layers.reverse().reduce((below, layer) => over(layer, below), [255, 255, 255]);
  };
  const luminance = colour => {
    const [r, g, b] = colour.map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const faint = [];
  let texts = 0;
  for (const part of document.querySelectorAll('.jp-OutputArea-output, .jp-MarkdownOutput')) {
    const walker = document.createTreeWalker(part, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const text = walker.currentNode.data.trim(), element = walker.currentNode.parentElement;
      if (!text || !element.getClientRects().length || element.closest('pre code, mjx-assistive-mml, style')) continue;
      const back = behind(element), ink = over(numbers(getComputedStyle(element).color), back);
      const [light, dark] = [luminance(ink), luminance(back)].sort((a, b) => b - a);
      texts += 1;
      if ((light + 0.05) / (dark + 0.05) < 4.5) faint.push(`${text.slice(0, 60)}: ${ink} on ${back}`);
    }
  }
  return [texts, faint];
}"""


def widgets_notebook(name: str) -> nbformat.NotebookNode:
    """Make one of the pages."""
    setup = (
        "from lossprune_lib import data, models, results, widgets\n"
        "task = data.load('digits')\n"
        "net = models.pretrained('mlp_300_100', task)"
    )
    cells = [setup, *(f"widgets.{call}" for call in PAGES[name])]
    kernel = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}  # or it asks for one
    made_cells = [nbformat.v4.new_code_cell(cell) for cell in cells]
    return nbformat.v4.new_notebook(cells=made_cells, metadata={"kernelspec": kernel})


def open_notebook(page: Page, server: str, name: str) -> None:
    """Open a notebook and wait for its kernel."""
    page.goto(f"{server}/lab/tree/{name}?token={TOKEN}&reset", timeout=60_000)
    page.wait_for_function(KERNEL_IS_IDLE, timeout=60_000)


def run_all(page: Page) -> None:
    """Run all cells of the open notebook; none may fail."""
    page.evaluate(FORGET_RUNS)
    page.evaluate("void jupyterapp.commands.execute('notebook:run-all-cells')")
    page.wait_for_function(ALL_CELLS_RAN, timeout=300_000)
    page.wait_for_function(KERNEL_IS_IDLE, timeout=300_000)
    assert page.evaluate(ERRORS) == []


def widget_cells(page: Page) -> Iterator[tuple[int, Locator]]:
    """Yield each cell with a live picture, on the screen: only what is there is rendered."""
    for index in page.evaluate(WIDGET_CELLS):
        yield index, bring(page, index, "center")


def bring(page: Page, index: int, where: str) -> Locator:
    """Bring a cell to the screen, its "start" or its "center"."""
    page.evaluate(f"void jupyterapp.shell.currentWidget.content.scrollToItem({index}, '{where}')")
    page.evaluate(IS_THERE, index)
    return page.locator(f".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Notebook-cell[data-windowed-list-index='{index}']")


def choose_theme(page: Page, dark: bool) -> None:
    """Change the theme of JupyterLab, and wait until it is there."""
    theme = "JupyterLab Dark" if dark else "JupyterLab Light"
    page.evaluate("theme => void jupyterapp.commands.execute('apputils:change-theme', {theme})", theme)
    page.wait_for_function("name => document.body.dataset.jpThemeName === name", arg=theme)
    page.wait_for_timeout(500)
