"""Draw the concept map of the course: python notebooks/concept_map.py

A row for each turn of the argument, and its words once more as text: teaching/concept_map.svg and concept_map.md.
"""

from __future__ import annotations

import html
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "teaching"
WIDTH, ROW, TOP = 1240, 176, 96
LEFT, BOX, HEIGHT, GAP = 110, 262, 84, 148
CARD, INK, MUTED, PAPER, PINK = "#F3EFE6", "#1F1D1A", "#5C574E", "#FFFDF8", "#A3246F"
SVG = "http" + "://www.w3.org/2000/svg"  # the namespace's name: nothing is fetched from there
EMPHASIS = {"": (PAPER, MUTED, 1.4), "!": ("#F7E3EE", PINK, 2.4)}


@dataclass(frozen=True)
class Turn:
    """A row: where it is told, three ideas of two lines each, what joins them, and what leads to the next row."""

    where: str
    ideas: tuple[tuple[str, str], tuple[str, str], tuple[str, str]]
    joins: tuple[str, str]
    onward: str = ""


TURNS = (
    Turn(
        "00, 01",
        (
            ("Magnitude", "how large is the weight?"),
            ("!The loss", "how much does it change?"),
            ("A pruned network", "is a point, far away"),
        ),
        ("is a hint at", "on the way to"),
        "so model the loss …",
    ),
    Turn(
        "02",
        (
            ("The expansion", "right in small stages"),
            ("A sum over weights", "LM, QM, OBD"),
            ("!Is fooled", "by its own choices"),
        ),
        ("is cut down to", "chooses, and"),
        "and yet it chooses well …",
    ),
    Turn(
        "03",
        (
            ("Small stages", "a fresh model at each"),
            ("!The choice", "low losses, other masks"),
            ("The prediction", "far too low"),
        ),
        ("improve", "and leave"),
        "was it the single weights at all?",
    ),
    Turn(
        "04",
        (
            ("A mask", "which weights, how many"),
            ("Controls", "change one thing only"),
            ("!The layers' budget", "most of MP's lag on digits"),
        ),
        ("is taken apart by", "reveal"),
        "and elsewhere?",
    ),
    Turn(
        "05",
        (
            ("Tables", "with paired intervals"),
            ("Your own network", "90 % of what?"),
            ("!In this order", "MP, cheap shares, a model"),
        ),
        ("and then", "try things"),
        "and where nobody can train again?",
    ),
    Turn(
        "06",
        (
            ("A layer's error", "its diagonal is Wanda"),
            ("The update", "SparseGPT: pairs pay back"),
            ("!A model's shares", "the loss knows the layers"),
        ),
        ("is lowered by", "which is best at"),
    ),
)


def text(x: float, y: float, words: str, size: int = 17, colour: str = INK, extra: str = "") -> str:
    return f'<text x="{x:g}" y="{y:g}" font-size="{size}" fill="{colour}" {extra}>{html.escape(words)}</text>'


def arrow(path: str) -> str:
    return f'<path d="{path}" fill="none" stroke="{MUTED}" stroke-width="1.8" marker-end="url(#head)"/>'


def row(turn: Turn, number: int) -> list[str]:
    """Return one turn as SVG."""
    top = TOP + number * ROW
    middle = top + HEIGHT / 2
    drawn = [
        f'<circle cx="56" cy="{middle - 10:g}" r="21" fill="{PINK}"/>',
        text(56, middle - 4, str(number + 1), 19, "#fff", 'font-weight="700"'),
        text(56, middle + 34, turn.where, 16, MUTED),
    ]
    for place, (name, below) in enumerate(turn.ideas):
        x = LEFT + place * (BOX + GAP)
        fill, edge, line = EMPHASIS["!" if name.startswith("!") else ""]
        drawn += [
            f'<rect x="{x}" y="{top}" width="{BOX}" height="{HEIGHT}" rx="12" fill="{fill}" stroke="{edge}" '
            f'stroke-width="{line}"/>',
            text(x + BOX / 2, top + 36, name.lstrip("!"), 20, INK, 'font-weight="700"'),
            text(x + BOX / 2, top + 62, below),
        ]
    for place, words in enumerate(turn.joins):
        x = LEFT + BOX + place * (BOX + GAP)
        drawn += [arrow(f"M{x + 4},{middle + 4:g} H{x + GAP - 6}"), text(x + GAP / 2, middle - 8, words, 15, MUTED)]
    if turn.onward:
        x, y = LEFT + 2 * (BOX + GAP) + BOX / 2, top + HEIGHT
        half = (ROW - HEIGHT) / 2
        drawn.append(
            arrow(f"M{x:g},{y + 4} v{half - 14:g} q0,10 -10,10 H{LEFT + BOX / 2 + 10:g} q-10,0 -10,10 v{half - 16:g}")
        )
        drawn.append(text(WIDTH / 2, y + half - 8, turn.onward, 17, PINK, 'font-weight="700"'))
    return drawn


def words() -> str:
    """Return what the map says, as a list."""
    lines = []
    for turn in TURNS:
        said = [f"{name.lstrip('!')} ({below})" for name, below in turn.ideas]
        first, second, third = said[0], *(part[0].lower() + part[1:] for part in said[1:])
        line = f"1. ({turn.where}) {first} *{turn.joins[0]}* {second}, *{turn.joins[1]}* {third}."
        lines.append(f"{line} **{turn.onward.capitalize()}**" if turn.onward else line)
    return "\n".join(lines)


def drawing() -> str:
    """Return the map as an SVG: a card of its own tone, the same on light and dark pages."""
    height = TOP + len(TURNS) * ROW - (ROW - HEIGHT) + 40
    said = html.escape(words().replace("*", ""))
    parts = [
        f'<svg xmlns="{SVG}" viewBox="0 0 {WIDTH} {height}" role="img" '
        'aria-labelledby="title said" font-family="system-ui, DejaVu Sans, sans-serif" text-anchor="middle">',
        '<title id="title">Concept map of the course</title>',
        f'<desc id="said">{said}</desc>',
        f'<defs><marker id="head" viewBox="0 0 10 10" refX="8" refY="5" markerWidth="7" markerHeight="7" orient="auto">'
        f'<path d="M0,0 L10,5 L0,10 z" fill="{MUTED}"/></marker></defs>',
        f'<rect width="{WIDTH}" height="{height}" rx="18" fill="{CARD}"/>',
        text(WIDTH / 2, 54, "One argument, notebook by notebook", 28, INK, 'font-weight="700"'),
        *(line for number, turn in enumerate(TURNS) for line in row(turn, number)),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def page() -> str:
    """Return the page of the map, with its words below."""
    return f"""# Concept map

One row for each turn of the argument, with its notebooks at the left. Draw it with the room rather than for it: give
the boxes, ask for the words on the arrows.

![Concept map of the course; the list below has all of its words.](concept_map.svg)

In words:

{words()}
"""


if __name__ == "__main__":
    (FOLDER / "concept_map.svg").write_text(drawing(), "utf-8")
    (FOLDER / "concept_map.md").write_text(page(), "utf-8")
    print(FOLDER / "concept_map.svg")
