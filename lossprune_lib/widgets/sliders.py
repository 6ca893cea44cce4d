"""Sliders above a picture: moving one redraws the picture in place, at once or step by step."""

from __future__ import annotations

import asyncio
import base64
import html
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import ipywidgets

from lossprune_lib.checks import check_choice
from lossprune_lib.plots.style import in_style
from lossprune_lib.widgets.last_picture import LastPicture
from lossprune_lib.widgets.picture import Picture, Stills

if TYPE_CHECKING:
    import pandas as pd


DRAWING = "lossprune-drawing"  # the CSS class of sliders whose picture is not finished yet
_CLASS = "lossprune-sliders"
# ipywidgets gives noUiSlider neither a name nor the label of a place, so that a screen reader would say "slider, 41";
# and it makes the readout editable, a second tab stop where nothing can be done. Notebook takes the arrow keys for its
# cells, unless it is asked not to. An HTML widget does not run script elements, but it does run the load event of a
# style sheet, for every view that comes into the page.
_NAMES = f"""
const box = this.closest('.{_CLASS}');
if (!box) return;
this.onload = null;  // once: cells that scroll out of sight leave the page, and come back
const set = (element, name, value) => {{
  if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
}};
const name = () => box.querySelectorAll('.noUi-handle').forEach(handle => {{
  const slider = handle.closest('.widget-hslider'), readout = slider.querySelector('.widget-readout');
  set(handle, 'data-lm-suppress-shortcuts', 'true');
  set(handle, 'aria-label', slider.querySelector('.widget-label').textContent);
  set(handle, 'aria-valuetext', readout.textContent);
  set(readout, 'contenteditable', 'false');
}});
const press = () => box.querySelectorAll('.widget-toggle-buttons').forEach(group => {{
  set(group, 'role', 'group');
  set(group, 'aria-label', group.querySelector('.widget-label').textContent);
  group.querySelectorAll('button').forEach(button => set(button, 'aria-pressed', button.matches('.mod-active')));
}});
const tell = () => {{ name(); press(); }};
tell();
new MutationObserver(tell).observe(
  box, {{subtree: true, childList: true, attributeFilter: ['aria-valuetext', 'contenteditable', 'class']}});
"""
# By itself a handle is white on white, and one that the keyboard moves looks nearly like the others.
_LOOKS = f"""<style onload="{html.escape(_NAMES)}">
.{_CLASS} .noUi-handle {{ background: #0072B2 }}
.{_CLASS} .noUi-handle:focus-visible {{ outline: 3px solid currentColor !important; outline-offset: 2px }}
.{_CLASS} .widget-toggle-button {{ margin: 1px 4px 3px 0; padding: 0 12px; border-radius: 4px }}
.{_CLASS} .widget-toggle-button.mod-active {{ background: #00609A; color: #FFFFFF; box-shadow: none }}
.{_CLASS} .widget-toggle-button:focus-visible {{ outline: 3px solid currentColor; outline-offset: 1px }}
</style>"""


def control(
    name: str, options: Sequence[tuple[str, Any]], start: object, *, readout: bool = True
) -> ipywidgets.ValueWidget:
    """Return what chooses one of several labelled values: buttons for names, a slider for numbers.

    A slider needs two places: of a single number there is a drop-down list.

    Parameters
    ----------
    name : what it is called, on the screen and by a screen reader
    options : label and value of each place; a screen reader says the label
    start : the value that is shown first; of numbers, the nearest
    readout : whether the label is shown beside the slider

    Raises
    ------
    ValueError
        if `start` is a name and there is no such place.
    """
    values = [value for _, value in options]
    looks = {"width": "560px", "max_width": "95%"}
    if isinstance(start, str):
        check_choice(start, values, name)
        return ipywidgets.ToggleButtons(
            description=name, options=list(options), value=start, layout=looks, style={"button_width": "auto"}
        )
    first = start if start in values else min(values, key=lambda value: abs(value - start))
    kind = ipywidgets.SelectionSlider if len(values) > 1 else ipywidgets.Dropdown
    made = kind(description=name, options=list(options), value=first, layout=looks)
    if kind is ipywidgets.SelectionSlider:
        made.readout = readout
    return made


def name_handles(box: ipywidgets.Box) -> ipywidgets.Box:
    """Give the sliders in a box their names and looks; return the box."""
    box.add_class(_CLASS)
    box.children = (*box.children, ipywidgets.HTML(_LOOKS, layout={"display": "none"}))
    return box


class Sliders(ipywidgets.VBox):
    """Sliders above a picture. Where no kernel runs, a saved notebook shows the picture alone.

    A redraw that computes for long is a generator: after each part of the figure it yields the alternative text, and
    the picture is shown as it is. The first part is drawn at once, the others while the kernel is idle, and a new move
    of a slider ends them: the last move wins.

    Parameters
    ----------
    controls : the sliders, whose values `redraw` takes as keyword arguments, by name
    picture : what is shown
    redraw : changes the figure and returns its alternative text, or yields it after each part
    table : what was measured for the picture, to go on with
    link : moves the other controls after one, whose name it takes, was moved; the picture is drawn once, after that
    """

    def __init__(
        self,
        controls: dict[str, ipywidgets.ValueWidget],
        picture: Picture,
        redraw: Callable[..., str | Iterator[str]],
        table: pd.DataFrame | None = None,
        link: Callable[[str], None] | None = None,
    ) -> None:
        self.controls, self.picture, self.redraw = controls, picture, redraw
        self.start = {name: control.value for name, control in controls.items()}
        self.table, self.link, self.linking = table, link, False
        self.message = ipywidgets.HTML()
        self.drawing: asyncio.Task[None] | None = None
        self.several = False
        super().__init__([*controls.values(), picture.html, self.message])
        self.last_picture = LastPicture(picture, self.model_id)
        name_handles(self)
        for control in controls.values():
            control.observe(self._moved, names="value")
        for _ in self._parts(seen=False):
            pass

    def _parts(self, seen: bool) -> Iterator[None]:
        """Draw part by part; or, where nobody sees what is not whole, once."""
        alt = ""
        for alt in self._words():
            if seen:
                self._show(alt)
                yield
        if not seen:
            self._show(alt)
            yield

    def _show(self, alt: str) -> None:
        with in_style():
            self.picture.show(alt)

    def _words(self) -> Iterator[str]:
        """Set the figure part by part, and yield what it shows in words."""
        with in_style():
            drawn = self.redraw(**{name: control.value for name, control in self.controls.items()})
        self.several = not isinstance(drawn, str)
        parts = iter([drawn] if isinstance(drawn, str) else drawn)
        while True:
            with in_style():  # for each part, not across a yield: other cells may draw in between
                alt = next(parts, None)
            if alt is None:
                return
            yield alt

    def stills(self, *settings: Mapping[str, Any]) -> Stills:
        """Return the picture at some settings, below one another; the sliders and what they show stay as they are.

        Parameters
        ----------
        settings : a value for some of the controls, by their names in `controls`
            The others are as they were at the start, so that the pictures do not depend on what was moved since.
        """
        now, pictures = {name: control.value for name, control in self.controls.items()}, []
        for setting in (*settings, now):  # the last puts back what was drawn
            for name in setting:
                check_choice(name, now, "control")
            with in_style():
                drawn = self.redraw(**(self.start | dict(setting)))
                words = drawn if isinstance(drawn, str) else [*drawn][-1]
                pictures.append((self.picture.draw(), words))
        return Stills(pictures[:-1])

    def _linked(self, moved: object, seen: bool) -> Iterator[None]:
        """Move the controls that depend on the one that was moved, then draw."""
        if self.link is not None:
            self.linking = True
            try:
                self.link(next(name for name, control in self.controls.items() if control is moved))
            finally:
                self.linking = False
        yield from self._parts(seen)

    def _moved(self, change: dict[str, Any]) -> None:
        if self.linking:
            return
        if self.drawing is not None:
            self.drawing.cancel()
            self.drawing = None
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # no kernel, so nothing goes on afterwards
            loop = None
        parts = self._in_words(self._linked(change["owner"], seen=loop is not None))
        next(parts, None)  # at least the first part, at once
        if loop is None or not self.several:
            for _ in parts:
                pass
            return
        self.add_class(DRAWING)
        self.drawing = loop.create_task(self._go_on(parts))

    async def _go_on(self, parts: Iterator[None]) -> None:
        await asyncio.sleep(0)
        for _ in parts:
            await asyncio.sleep(0)  # lets a move of a slider in, which ends this
        self.remove_class(DRAWING)

    def _in_words(self, parts: Iterator[None]) -> Iterator[None]:
        # An exception in a callback would vanish: it is shown below the picture instead.
        try:
            yield from parts
            self.message.value = ""
            self.last_picture.keep()
        except Exception as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            self.message.value = (
                f"<b>{html.escape(type(error).__name__)}</b>: {html.escape(str(error))} "
                f"({html.escape(last.name)}, line {last.lineno}). Run the cells above again, then this one."
            )

    def _ipython_display_(self, **_: object) -> None:
        from IPython.display import display

        bundle: dict[str, Any] = {
            "application/vnd.jupyter.widget-view+json": {
                "version_major": 2,
                "version_minor": 0,
                "model_id": self.model_id,
            },
            "image/png": base64.b64encode(self.picture.png).decode(),
            "text/plain": self.picture.alt,
        }
        display(bundle, raw=True)
        self.last_picture.show()
