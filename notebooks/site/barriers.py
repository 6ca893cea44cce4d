"""What Sphinx and its theme write that a screen reader stumbles over is put right in the finished pages."""

from __future__ import annotations

import re
from pathlib import Path

from sphinx.application import Sphinx

RIGHT = (
    # A name that hides what is to be read: "Show the code", and the keys of the search.
    (r'<summary aria-label="Toggle hidden content">', "<summary>"),
    (r'(<button[^>]*\bsearch-button-field\b[^>]*?)\s+aria-label="[^"]*"', r"\1"),
    # A button without a name, beside a page that has pages below it.
    (r'<summary>(?=<span class="toctree-toggle")', '<summary aria-label="Pages below">'),
    # The empty corner of a table heads nothing.
    (r'<th class="head">(<p></p>)?</th>', "<td></td>"),
)


def put_right(app: Sphinx, failure: Exception | None) -> None:
    """Change the pages, in place."""
    for path in Path(app.outdir).rglob("*.html"):
        written = path.read_text("utf-8")
        text = written
        for wrong, right in RIGHT:
            text = re.sub(wrong, right, text)
        if text != written:
            path.write_text(text, "utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Do it when the pages are there."""
    app.connect("build-finished", put_right)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
