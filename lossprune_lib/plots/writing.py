"""What a pruned language model writes, beside its loss and what each layer lost."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MultipleLocator

from lossprune_lib.plots.style import HIGHLIGHT, INK, MUTED, PRUNED, ink, percent, style
from lossprune_lib.pruning.language import Measured

COLUMNS, LINES = 92, 4  # of the text
_NO_WORD = "#D55E00"
_SIZE = 10.5  # of the letters, in points
_STEP = 0.06  # from line to line, of the figure's height
_HIGHEST = 4.6  # nats; above, the loss is drawn there


def strange_words(text: str, known: Collection[str]) -> list[tuple[int, int]]:
    """Return from where to where each word stands that is not known; the last may not be finished and is left out."""
    words = re.finditer(r"[A-Za-z]{2,}(?=[^A-Za-z])", text)
    return [word.span() for word in words if word.group().lower() not in known]


def layers(ax: Axes, names: Sequence[str]) -> Axes:
    """Lay out a column for each layer; names are BLOCK.LAYER, and a gap separates blocks."""
    blocks = [name.split(".")[0] for name in names]
    places = _places(names)
    ax.set(xlim=(places[0] - 0.8, places[-1] + 0.8), ylim=(0, 1))
    ax.yaxis.set_major_locator(MultipleLocator(0.25))
    ax.yaxis.set_major_formatter(percent())
    ax.set_xticks(places, [name.split(".")[-1] for name in names], rotation=90, fontsize=8)
    ax.tick_params(axis="x", length=0)
    ax.grid(axis="y")
    for block in dict.fromkeys(blocks):
        of_block = [place for place, name in zip(places, blocks, strict=True) if name == block]
        middle, said = sum(of_block) / len(of_block), re.sub(r"(\d)", r" \1", block)
        ax.annotate(said, (middle, 1), (0, 2), ("data", "axes fraction"), "offset points", ha="center", color=MUTED)
    return ax


def _places(names: Sequence[str]) -> list[float]:
    blocks = [name.split(".")[0] for name in names]
    order = list(dict.fromkeys(blocks))
    return [i + 0.8 * order.index(block) for i, block in enumerate(blocks)]


class WritingView:
    """The loss as far as it was looked at, what each layer lost, and the text; for a slider to move."""

    def __init__(
        self, figure: Figure, names: Sequence[str], methods: Mapping[str, str], known: Collection[str]
    ) -> None:
        self.figure, self.names, self.known = figure, names, known
        self.left, self.right = figure.add_axes((0.06, 0.52, 0.27, 0.38)), figure.add_axes((0.57, 0.52, 0.42, 0.36))
        self.left.set(xlim=(-0.02, 0.92), ylim=(0.9, _HIGHEST), xlabel="share of the weights pruned")
        self.left.xaxis.set_major_formatter(percent())
        self.left.grid()
        self.lines = {name: self.left.plot([], [], **style(name))[0] for name in methods}
        (self.here,) = self.left.plot([], [], "o", markersize=11, color=HIGHLIGHT, fillstyle="none", markeredgewidth=2)
        self._label(methods)
        layers(self.right, names)
        places = _places(names)
        self.bars = self.right.bar(places, [0.0] * len(names), width=0.72, color=PRUNED)
        (self.ticks,) = self.right.plot(places, [0.0] * len(names), "_", color=INK, markersize=11, markeredgewidth=2)
        self.titles = (self.left.set_title(" "),)
        figure.text(0.565, 0.95, "lost of a layer's output (bar), weights (line)", fontweight="bold", fontsize=11)
        self.heading = figure.text(0.02, 0.285, " ", color=INK, fontweight="bold", fontsize=11)
        looks: dict[str, Any] = {"family": "DejaVu Sans Mono", "fontsize": _SIZE, "parse_math": False}
        kinds: Sequence[dict[str, Any]] = (
            {"color": MUTED, "fontweight": "bold"},
            {"color": INK},
            {"color": ink(_NO_WORD), "fontweight": "bold"},
        )
        self.text = [
            [figure.text(0.02, 0.215 - _STEP * line, "", **looks, **kind) for line in range(LINES)] for kind in kinds
        ]
        rows = [artist for row in self.text for artist in row]
        self.moving: list[Artist] = [*self.lines.values(), self.here, *self.bars, self.ticks, *self.titles]
        self.moving += [self.heading, *rows]

    def _label(self, methods: Mapping[str, str]) -> None:
        """Name the lines beside the axes, as they are not all drawn from the start."""
        for i, (name, label) in enumerate(methods.items()):
            looks = style(name)
            height = 0.88 - 0.07 * i
            self.figure.add_artist(
                Line2D([0.34, 0.365], [height] * 2, **{**looks, "label": ""}, transform=self.figure.transFigure)
            )
            self.figure.text(0.373, height, label, va="center", color=ink(looks["color"]), fontsize=9)

    def measured(self, seen: Mapping[tuple[str, float], Measured], method: str, sparsity: float) -> None:
        """Draw the losses of all that was seen, and what each layer lost in one of them, if it was measured yet."""
        for name, line in self.lines.items():
            points = sorted((at, found.loss) for (of, at), found in seen.items() if of == name)
            line.set_data([at for at, _ in points], [min(loss, _HIGHEST) for _, loss in points])
        found = seen.get((method, sparsity))
        self.here.set_data([] if found is None else [sparsity], [] if found is None else [min(found.loss, _HIGHEST)])
        self.titles[0].set_text("loss" if found is None else f"loss {found.loss:.2f} nats a character")
        lost, pruned = ([0.0] * len(self.names),) * 2 if found is None else (found.lost, found.pruned)
        for bar, share in zip(self.bars, lost, strict=True):
            bar.set_height(min(share, 1.0))
        self.ticks.set_ydata(pruned)

    def write(self, prompt: str, written: str) -> list[str]:
        """Show the text so far; return the words in it that the reference does not have."""
        prompt = prompt.replace("\n", " ")
        text = prompt + _flowing(written)
        strange = [(start, end) for start, end in strange_words(text, self.known) if end > len(prompt)]
        mark = ["0" if i < len(prompt) else "1" for i in range(len(text))]
        for start, end in strange:
            mark[start:end] = "2" * (end - start)
        rows = _rows(text)[:LINES]
        for kind, artists in enumerate(self.text):
            for artist, row in zip(artists, [*rows, *[(0, 0)] * (LINES - len(rows))], strict=True):
                artist.set_text("".join(text[i] if mark[i] == str(kind) else " " for i in range(*row)).rstrip())
        return [text[start:end] for start, end in strange]


def _flowing(text: str) -> str:
    """Return a text whose lines flow on: only an empty line begins a new one."""
    paragraphs = re.split(r"\n[ \n]*\n *", text)
    return "\n".join(re.sub(r"[ \n]+", " ", paragraph) for paragraph in paragraphs)


def _rows(text: str) -> list[tuple[int, int]]:
    """Return from where to where each line goes: broken where the text says so, and where it is too long."""
    rows, start = list[tuple[int, int]](), 0
    for line in text.split("\n"):
        pieces = textwrap.wrap(line, COLUMNS, drop_whitespace=False, replace_whitespace=False, expand_tabs=False) or [
            ""
        ]
        for piece in pieces:
            rows.append((start, start + len(piece)))
            start += len(piece)
        start += 1
    return rows
