"""One picture that is redrawn in place: an ``<img>`` with alternative text in an HTML widget.

Output widgets are not used: they hang programs that run notebooks, and hide errors.
"""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import ipywidgets
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image

from lossprune_lib.plots.style import CARD

T = TypeVar("T")
_DOTS_PER_INCH = 100
_NEAR = 6  # of a palette's colour to the card, so that it is the card's


class Picture:
    """One matplotlib figure in an HTML widget, redrawn in place.

    What never moves is drawn once and kept as an image; a change draws the moving artists alone on top of it, which
    takes a few milliseconds where a whole figure takes a hundred.
    """

    def __init__(self, figure: Figure, moving: Sequence[Artist]) -> None:
        self.moving = moving
        self.html = ipywidgets.HTML()
        self.png = b""
        self.alt = ""
        for artist in moving:
            artist.set_animated(True)
        figure.set_dpi(_DOTS_PER_INCH)
        self.canvas = FigureCanvasAgg(figure)
        self.settle()

    def settle(self) -> None:
        """Draw afresh what does not move, after it was changed."""
        self.canvas.draw()
        self.still = self.canvas.copy_from_bbox(self.canvas.figure.bbox)

    def draw(self) -> bytes:
        """Draw the moving artists as they are now, and return the picture as PNG; what is shown stays."""
        self.canvas.restore_region(self.still)
        for artist in self.moving:
            artist.draw(self.canvas.get_renderer())
        return _png(np.asarray(self.canvas.buffer_rgba()))

    def show(self, alt: str) -> None:
        """Show the moving artists as they are now; `alt` says in words what the picture shows."""
        self.png, self.alt = self.draw(), alt
        width, height = self.canvas.get_width_height()
        source = base64.b64encode(self.png).decode()
        self.html.value = (
            f'<img src="data:image/png;base64,{source}" alt="{html.escape(alt)}" width="{width}" height="{height}" '
            'style="max-width: 100%; height: auto; border-radius: 6px">'
        )


class Stills:
    """Pictures below one another, for paper and for pages without a kernel, with their words as alternative text."""

    def __init__(self, pictures: Sequence[tuple[bytes, str]]) -> None:
        if not pictures:
            raise ValueError(
                "There are no pictures to show: give the settings of one, such as stills({}) for the start."
            )
        images = [Image.open(io.BytesIO(png)).convert("RGB") for png, _ in pictures]
        self.size = max(image.width for image in images), sum(image.height for image in images)
        sheet, top = Image.new("RGB", self.size), 0
        for image in images:
            sheet.paste(image, (0, top))
            top += image.height
        named = (f"Picture {i} of {len(pictures)}: {words}" for i, (_, words) in enumerate(pictures, 1))
        self.png, self.alt = _png(np.asarray(sheet)), " ".join(named)

    def _ipython_display_(self, **_: object) -> None:
        from IPython.display import display

        looks = {"alt": self.alt, "width": self.size[0], "height": self.size[1]}
        bundle = {"image/png": base64.b64encode(self.png).decode(), "text/plain": self.alt}
        display(bundle, raw=True, metadata={"image/png": looks})


class Frames:
    """What stays in place for each choice, drawn once: a whole figure takes longer than a move may.

    Parameters
    ----------
    axes : whose limits may differ between choices
    draw : draws what stays, and returns what is to be removed before the next choice is drawn
    """

    def __init__(
        self, picture: Picture, axes: Sequence[Axes], draw: Callable[[T], list[Artist]], choices: Mapping[str, T]
    ) -> None:
        self.picture, self.axes = picture, axes
        self.kept = {}
        for name, one in choices.items():
            drawn = draw(one)
            picture.settle()
            self.kept[name] = picture.still, [(ax.get_xlim(), ax.get_ylim()) for ax in axes]
            for artist in drawn:
                artist.remove()

    def __call__(self, name: str) -> None:
        """Put a choice's picture and limits in place."""
        self.picture.still, limits = self.kept[name]
        for ax, (across, upwards) in zip(self.axes, limits, strict=True):
            ax.set(xlim=across, ylim=upwards)


def _png(pixels: np.ndarray) -> bytes:
    # A palette halves the time of a move: there is less to compress, to send and to decode.
    picture = Image.fromarray(pixels).convert("RGB").quantize(256, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    colours = np.array(picture.getpalette()).reshape(-1, 3)
    card = np.array([round(255 * part) for part in to_rgb(CARD)])
    colours[(np.abs(colours - card) <= _NEAR).all(axis=1)] = card  # an average is never quite it
    picture.putpalette(colours.ravel().tolist())
    buffer = io.BytesIO()
    picture.save(buffer, "png", compress_level=3)
    return buffer.getvalue()
