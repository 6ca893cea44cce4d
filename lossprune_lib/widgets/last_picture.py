"""What a reopened notebook shows of widgets whose kernel is gone: a last picture or words, not "model not found"."""

from __future__ import annotations

import asyncio
import base64
import re

from lossprune_lib.widgets.picture import Picture

_CLASS = "lossprune-last-picture"
_QUIET = 0.5  # seconds without a move before the picture is kept: a drag keeps its last one alone
_DEAD = (  # in JupyterLab and Notebook 7, and in the classic notebook
    ":is(.jp-OutputArea-child, .output_area):has(+ * .{name}-{key}) "
    ":is(.jupyter-widgets.jp-OutputArea-output, .jupyter-widgets-view):not(:has(.widget-html))"
)
_LOOKS = f"""<style class="{{name}} {{name}}-{{key}}">
:is(.jp-OutputArea-child, .output_area):has(.{{name}}) {{{{ display: none }}}}
{_DEAD} {{{{ font-size: 0 }}}}
{_DEAD} > * {{{{ display: none }}}}
{_DEAD}::before {{{{ font-size: var(--jp-content-font-size1, 14px); content: {{content}} }}}}
</style>"""


def instead(key: str, words: str, png: bytes = b"") -> dict[str, str]:
    """Return an output that stands in for the one before it, where the widget of that one is gone.

    JupyterLab and Notebook choose one MIME type of an output before they know whether its widget lives, and then say so
    in the output's place; this style puts something else there. Where it is not understood it shows nothing.

    Parameters
    ----------
    key : a name for it in the page
    words : what is read there, or the alternative text of the picture
    png : the picture, if there is one
    """
    quoted = re.sub(r"[^\w .,:;%?()-]", lambda found: f"\\{ord(found[0]):x} ", words)
    picture = f'url("data:image/png;base64,{base64.b64encode(png).decode()}") / ' if png else ""
    page = _LOOKS.format(name=_CLASS, key=key, content=f'{picture}"{quoted}"')
    return {"text/html": page, "text/plain": ""}


class LastPicture:
    """Keeps a picture, as it was last, in the notebook's file.

    Parameters
    ----------
    key : a name for it in the page, the same as long as the kernel runs
    """

    def __init__(self, picture: Picture, key: str) -> None:
        self.picture, self.key = picture, key
        self.shown = False
        self._soon: asyncio.TimerHandle | None = None

    def show(self) -> None:
        """Put it behind the output that shows the sliders."""
        self.shown = True
        self._display(update=False)

    def keep(self) -> None:
        """Replace it by the picture of now, once the sliders rest."""
        if self._soon is not None:
            self._soon.cancel()
        try:
            self._soon = asyncio.get_running_loop().call_later(_QUIET, self._display)
        except RuntimeError:  # no kernel, so no notebook
            self._soon = None

    def _display(self, update: bool = True) -> None:
        from IPython.display import display

        if self.shown:
            bundle = instead(self.key, self.picture.alt, self.picture.png)
            display(bundle, raw=True, display_id=self.key, update=update)
