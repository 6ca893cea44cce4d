"""An outcome, folded: figures, tables and text in a ``<details>`` that opens for a guess or a click."""

from __future__ import annotations

import base64
import html
import io
import sys
from collections.abc import Sequence
from typing import Any

from lossprune_lib.exercises.answered import Answer
from lossprune_lib.installation import extra

_DOTS_PER_INCH = 160  # sharp on today's screens; the picture is shown at 100
_SHOWN_PER_INCH = 100
AS_TEXT = ("jp-RenderedHTMLCommon", "rendered_html")  # tables and text look as they do elsewhere in the notebook


class Outcome:
    """What one cell shows of an outcome, folded or not."""

    def __init__(self, title: str, parts: Sequence[str], answer: Answer | None) -> None:
        with extra("course"):
            import ipywidgets
        self.title, self.parts, self.answer = title, list(parts), answer
        self.widget = ipywidgets.HTML()
        for name in AS_TEXT:
            self.widget.add_class(name)
        self.update(None)

    def update(self, guessed: Any) -> None:
        """Fold while there is no guess (None), or open with what it is told."""
        if guessed is None:
            self.widget.value = self.page()
            return
        told = [] if self.answer is None else [_verdict(self.answer, guessed)]
        self.widget.value = "\n".join([*told, folded(self.title, self.parts, opened=True)])

    def page(self) -> str:
        """Return the outcome for those who have not guessed: folded, with the answer and all sentences in it."""
        lines = [] if self.answer is None else [f"<p>{html.escape(line)}</p>" for line in self.answer.lines()]
        return folded(f"{self.title} (guess first; a click opens it)", [*self.parts, *lines])

    def _repr_mimebundle_(self, **_: object) -> dict[str, Any]:
        return {**view(self.widget), "text/html": self.page(), "text/plain": f"{self.title}, folded"}


def _verdict(answer: Answer, value: Any) -> str:
    colour = "#009E73" if answer.is_right(value) else "#D55E00"  # the words say what the colour says
    told = html.escape(answer.told(value))
    looks = f"border-left: 4px solid {colour}; padding: 0.3em 0.8em; line-height: 1.5"
    return f'<div role="status" style="{looks}">{told}</div>'


def view(widget: Any) -> dict[str, Any]:
    """Return a widget as a part of what a cell shows."""
    shown = {"version_major": 2, "version_minor": 0, "model_id": widget.model_id}
    return {"application/vnd.jupyter.widget-view+json": shown}


def folded(title: str, parts: Sequence[str], *, opened: bool = False) -> str:
    """Return parts of a page in a ``<details>``."""
    state = " open" if opened else ""
    return f"<details{state}><summary>{html.escape(title)}</summary>\n{chr(10).join(parts)}\n</details>"


def to_html(part: Any, alt: str | None) -> str:
    """Return a figure, a table, a text or anything that notebooks show as HTML.

    Parameters
    ----------
    alt : what a figure shows, in words

    Raises
    ------
    ValueError
        if a figure has no alternative text.
    TypeError
        if there is no such form of `part`.
    """
    if hasattr(part, "savefig"):
        if not alt:
            raise ValueError('A figure needs a text for those who do not see it: reveal(figure, alt="...").')
        return _picture(part, alt)
    if isinstance(part, str):
        text = html.escape(part)
        return f"<pre>{text}</pre>" if "\n" in part.strip() else f"<p>{text}</p>"
    if hasattr(part, "to_frame"):
        part = part.to_frame()
    if hasattr(part, "to_html"):
        return part.to_html(border=0) if hasattr(part, "columns") and hasattr(part, "iloc") else part.to_html()
    if hasattr(part, "_repr_html_"):
        return str(part._repr_html_())
    raise TypeError(f"An outcome is a figure, a table or a text, not {type(part).__name__}: make a string of it.")


def _picture(figure: Any, alt: str) -> str:
    with extra("course"):
        from PIL import Image
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DOTS_PER_INCH, facecolor=figure.get_facecolor())
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None:
        pyplot.close(figure)  # else the notebook would show it a second time at the cell's end, unfolded
    picture = Image.open(buffer).convert("RGBA")
    width, height = (round(pixels * _SHOWN_PER_INCH / _DOTS_PER_INCH) for pixels in picture.size)
    # 256 colours: the eye sees no difference, and the file is a third as large.
    if picture.getchannel("A").getextrema() == (255, 255):
        picture = picture.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    else:
        picture = picture.quantize(256, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    buffer = io.BytesIO()
    picture.save(buffer, "png", optimize=True)
    source = base64.b64encode(buffer.getvalue()).decode()
    return (
        f'<p><img src="data:image/png;base64,{source}" alt="{html.escape(alt)}" width="{width}" height="{height}" '
        'style="max-width: 100%; height: auto; border-radius: 6px"></p>'
    )
