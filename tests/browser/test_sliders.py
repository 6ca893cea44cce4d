"""A real browser: each notebook is opened in JupyterLab and run, and each of its sliders is moved from the keyboard.

Needs Chromium, named by the variable CHROMIUM (`make browser` finds it). Screenshots are left in artefacts/.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

sync_api = pytest.importorskip("playwright.sync_api")

ROOT = Path(__file__).parents[2]
ARTEFACTS = ROOT / "artefacts"
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
TOKEN = "browser-test"
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
KERNEL_IS_IDLE = "window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"
ALL_CELLS_RAN = """() => {
  const cells = jupyterapp.shell.currentWidget.content.widgets.filter(cell => cell.model.type === 'code');
  return cells.every(cell => cell.model.executionCount !== null && cell.model.executionState !== 'running');
}"""
FORGET_RUNS = "void jupyterapp.commands.execute('notebook:clear-all-cell-outputs')"
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
PRESSES = 15


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """JupyterLab on copies of the notebooks; yields its address."""
    folder = tmp_path_factory.mktemp("notebooks")
    for notebook in NOTEBOOKS:
        shutil.copy(notebook, folder)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ARTEFACTS.mkdir(exist_ok=True)
    command = [
        sys.executable,
        "-m",
        "jupyter",
        "lab",
        "--no-browser",
        f"--port={port}",
        f"--IdentityProvider.token={TOKEN}",
    ]
    command += ["--LabApp.expose_app_in_browser=True", f"--ServerApp.root_dir={folder}"]
    command += ["--allow-root"] if os.getuid() == 0 else []
    with open(ARTEFACTS / "jupyter.log", "wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            address = f"http://127.0.0.1:{port}"
            for _ in range(200):
                try:
                    urllib.request.urlopen(f"{address}/api?token={TOKEN}", timeout=5).close()
                    break
                except OSError:
                    assert process.poll() is None, (ARTEFACTS / "jupyter.log").read_text()
                    time.sleep(0.2)
            yield address
        finally:
            process.terminate()
            process.wait(30)


@pytest.fixture(scope="module")
def browser() -> Iterator[sync_api.Browser]:
    executable = os.environ.get("CHROMIUM")
    if not executable:
        pytest.skip("CHROMIUM does not name a browser: run make browser")
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=executable, args=CHROMIUM_FLAGS)
        yield started
        started.close()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_slider_redraws_its_one_picture(path: Path, server: str, browser: sync_api.Browser) -> None:
    page = browser.new_page(viewport={"width": 1300, "height": 1400})
    page.goto(f"{server}/lab/tree/{path.name}?token={TOKEN}&reset", timeout=60_000)
    page.wait_for_function(KERNEL_IS_IDLE, timeout=60_000)
    page.evaluate(FORGET_RUNS)
    page.evaluate("void jupyterapp.commands.execute('notebook:run-all-cells')")
    page.wait_for_function(ALL_CELLS_RAN, timeout=120_000)
    page.wait_for_function(KERNEL_IS_IDLE, timeout=120_000)
    errors = page.evaluate(
        "jupyterapp.shell.currentWidget.content.widgets.flatMap(cell => cell.model.outputs "
        "? cell.model.outputs.toJSON().filter(output => output.output_type === 'error') : [])"
    )
    assert errors == []

    # Only what is on the screen is rendered, so each cell with a live widget is brought there first.
    live = page.evaluate(
        "jupyterapp.shell.currentWidget.content.widgets.map((cell, i) => [cell, i]).filter(([cell]) => cell.model.outputs "
        "&& JSON.stringify(cell.model.outputs.toJSON()).includes('widget-view')).map(([, i]) => i)"
    )
    sliders = 0
    for index in live:
        page.evaluate(f"void jupyterapp.shell.currentWidget.content.scrollToItem({index}, 'center')")
        cell = page.locator(f".jp-Notebook-cell[data-windowed-list-index='{index}']")
        page.wait_for_timeout(1000)
        handles = cell.locator(".noUi-handle")
        if not handles.count():
            continue  # a progress bar that is done
        page.screenshot(path=ARTEFACTS / f"{path.stem}-{index}-before.png")
        cell.locator(".jp-OutputArea-output").first.screenshot(path=ARTEFACTS / f"{path.stem}-{index}-widget.png")
        assert cell.locator("img").count() == 1
        for i in range(handles.count()):
            sliders += 1
            handle, element = handles.nth(i), cell.element_handle()
            handle.focus()
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
            middle, slow = statistics.median(latencies), sorted(latencies)[-1 - PRESSES // 20]
            name = cell.locator(".widget-label").nth(i).inner_text()
            print(f"\n{path.stem}, cell {index}, {name}: median {middle:.0f} ms, 95th percentile {slow:.0f} ms", end="")

            # A burst there and back: the last move wins.
            before = cell.locator("img").get_attribute("alt")
            at_end = handle.get_attribute("aria-valuenow") == handle.get_attribute("aria-valuemax")
            for move in ("ArrowLeft", "ArrowRight") if at_end else ("ArrowRight", "ArrowLeft"):
                page.keyboard.press(move)
            page.evaluate(SETTLED, element)
            assert cell.locator("img").count() == 1
            assert cell.locator("img").get_attribute("alt") == before
        assert "Error" not in cell.locator(".jp-OutputArea").inner_text()
        page.screenshot(path=ARTEFACTS / f"{path.stem}-{index}-after.png")
    assert sliders, "this notebook has no slider"
    page.close()


def test_the_artefacts_are_not_committed() -> None:
    assert re.search(r"^artefacts/$", (ROOT / ".gitignore").read_text(), re.M)
