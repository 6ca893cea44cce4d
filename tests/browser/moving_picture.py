"""The moving picture of the README, from a real browser: `make picture`

Drags the sparsity slider of JupyterLab from the whole network to the broken one, and writes .github/slider.webp.
"""

from __future__ import annotations

import io
import os
import tempfile
from pathlib import Path

import chromium
from lab_page import ROOT, open_notebook, run_all, widget_cells
from PIL import Image
from playwright.sync_api import Page, expect
from servers import jupyter

TARGET = ROOT / ".github" / "slider.webp"
WIDTH = 760
EACH, LAST = 110, 2500  # milliseconds


def frames(page: Page) -> list[Image.Image]:
    """Return the sparsity slider at every other of its places."""
    _, cell = next(widget_cells(page))
    widget, handle = cell.locator(".lossprune-sliders"), cell.locator(".noUi-handle")
    handle.focus()
    page.keyboard.press("Home")
    pictures, number = [], int(float(handle.get_attribute("aria-valuemax"))) + 1
    for place in range(number):
        if place:
            before = cell.locator("img").get_attribute("alt")
            page.keyboard.press("ArrowRight")
            expect(cell.locator("img")).not_to_have_attribute("alt", before)
        if place % 2 == 0 or place == number - 1:
            page.wait_for_timeout(80)
            pictures.append(Image.open(io.BytesIO(widget.screenshot())).convert("RGB"))
    return pictures


def main() -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        chromium.started(os.environ["CHROMIUM"]) as browser,
        jupyter(Path(folder), "jupyterlab", "--LabApp.expose_app_in_browser=True") as server,
    ):
        page = browser.new_page(viewport={"width": 1060, "height": 1000}, device_scale_factor=1)
        open_notebook(page, server, "weights.ipynb")
        run_all(page)
        pictures = frames(page)
    size = WIDTH, round(WIDTH / pictures[0].width * pictures[0].height)
    first, *others = [picture.resize(size, Image.Resampling.LANCZOS) for picture in pictures]
    durations = [4 * EACH, *[EACH] * (len(others) - 1), LAST]
    first.save(TARGET, save_all=True, append_images=others, duration=durations, loop=0, quality=60, method=3)
    print(f"{TARGET}: {len(pictures)} frames, {TARGET.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
