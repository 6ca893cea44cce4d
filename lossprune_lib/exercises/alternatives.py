"""Figures that speak: what is drawn while a notebook runs carries alternative text, as in the built notebooks.

Front ends show a PNG without its words. So beside it goes the same picture as a page, which they prefer, with the words
that the course's notebook has for this cell, or else with what stands on the figure's axes.
"""

from __future__ import annotations

import functools
import html
import os
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from lossprune_lib.exercises import course

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def speak() -> None:
    """In a notebook, where the course's notebooks are at hand, give figures their words from now on."""
    shell, backend = course.shell(), os.environ.get("MPLBACKEND", "")
    if shell is None or not course.notebooks() or "inline" not in backend or find_spec("matplotlib") is None:
        return
    from matplotlib import pyplot
    from matplotlib.figure import Figure

    pyplot.switch_backend(backend)  # to what it is: IPython chooses how figures are shown only when it is first used
    formatters = shell.display_formatter.formatters
    pages, pictures = formatters["text/html"], formatters["image/png"]
    draw = pictures.type_printers.get(Figure)
    if draw is None or Figure in pages.type_printers:  # the user chose no PNG, or this was done already
        return
    drawn: dict[Figure, Any] = {}  # by the page, which comes first: the picture need not be drawn again

    def page(figure: Figure) -> str | None:
        picture = draw(figure)
        if picture is None:  # an empty figure
            return None
        drawn[figure] = picture
        source, size = picture if isinstance(picture, tuple) else (picture, {})  # "retina" gives a size too
        shown = "".join(f' {side}="{pixels}"' for side, pixels in size.items())
        alt = html.escape(_of_cell(shell) or words(figure))
        return f'<img src="data:image/png;base64,{source}"{shown} alt="{alt}">'

    pages.for_type(Figure, page)
    pictures.for_type(Figure, lambda figure: drawn.pop(figure, None) or draw(figure))


def words(figure: Figure) -> str:
    """Return what stands on a figure's axes."""
    found = []
    for ax in figure.axes:
        title, x, y = ax.get_title("left") or ax.get_title(), ax.get_xlabel(), ax.get_ylabel()
        labels = " against ".join(label for label in (y, x) if label)
        found.append(": ".join(part for part in (title, labels) if part))
    return f"A figure. {'; '.join(part for part in found if part)}".replace("\n", " ").strip()


def _of_cell(shell: Any) -> str:
    """Return the words that the course has for the figure of the cell that is running.

    A cell that a learner has changed may draw something else, and gets none of them.
    """
    parent = shell.get_parent() if hasattr(shell, "get_parent") else {}
    return _alternatives().get(parent.get("content", {}).get("code", "").strip(), "")


@functools.cache
def _alternatives() -> dict[str, str]:
    """Return the words by the source of their cell."""
    cells = (cell for path in course.notebooks() for cell in course.cells(path))
    return {cell.source.strip(): cell.alt for cell in cells if cell.alt}
