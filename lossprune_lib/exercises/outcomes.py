"""An outcome, folded: figures, tables and text in a ``<details>`` that opens for a guess or a click."""

from __future__ import annotations

import base64
import html
import io
import sys
from collections.abc import Sequence
from typing import Any

from lossprune_lib.installation import extra

_DOTS_PER_INCH = 160  # sharp on today's screens; the picture is shown at 100
_SHOWN_PER_INCH = 100


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
