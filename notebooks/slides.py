"""Make a deck of slides for each notebook: python notebooks/slides.py [FOLDER]

A text cell tagged "slide" in source/NAME.py is a slide, and is in no notebook; a code cell tagged "on-slide" below it
adds what it shows in the built notebook: a figure, a table, the question of a guess, or an outcome with its answer. The
speaker sees (key S) the instructor's notes of the section, from teaching/NAME.md, and what the figure shows.

The notebooks are run for their decks, with figures whose text is larger: a few minutes. The decks need no network:
reveal.js lies beside them (make slides fetches it once), formulas are MathML. FOLDER: artefacts/slides by default.
"""

from __future__ import annotations

import html
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import build
import jupytext
import nbformat
from build import HERE, ON_SLIDE, SLIDE, tags_of
from latex2mathml.converter import convert
from nbconvert import SlidesExporter
from nbformat import NotebookNode

TARGET = HERE.parent / "artefacts" / "slides"
REVEAL = HERE.parent / "artefacts" / "reveal" / "package"  # the npm package, as make slides unpacks it
LOCAL = ("dist/reveal.js", "dist/reveal.css", "dist/reset.css", "dist/plugin/notes.js", "LICENSE")
SECTION = re.compile(r"^## (\d+)\. .*$|^## (Quiz|What we saw)$", re.M)
FORMULA = re.compile(r"(\$\$?)(.+?)\1", re.S)
OUTCOME = re.compile(r"<details><summary>.*?</summary>\n(.*)\n</details>", re.S)
PART = re.compile(r"<(p|pre|table)\b.*?</\1>", re.S)
MISTAKE = "<p>If you guessed"
LARGE = """\
# Drawn on a smaller sheet and shown as large as ever: what stands in a figure can then be read from the last row.
import matplotlib.figure as _drawn
def _smaller(self, figsize=None, *args, _begin=_drawn.Figure.__init__, **settings):
    _begin(self, [0.82 * inches for inches in figsize or (6.4, 4.8)], *args, **settings | {"dpi": 200})
def _apart(self, *args, gridspec_kw=None, _begin=_drawn.Figure.subplots, **settings):
    room = {name: 1.35 * share if name == "wspace" else share for name, share in (gridspec_kw or {}).items()}
    return _begin(self, *args, gridspec_kw=room, **settings)
_drawn.Figure.__init__, _drawn.Figure.subplots = _smaller, _apart
_drawn.mpl.rcParams["savefig.bbox"] = "tight"
"""


@dataclass
class Slide:
    """Its text in Markdown, what it shows as HTML, and what the speaker sees."""

    section: str
    text: str
    shown: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def picture(data: str, alt: str) -> str:
    return f'<img src="data:image/png;base64,{data.strip()}" alt="{html.escape(alt)}">'


def add(slide: Slide, output: NotebookNode, asks: bool) -> None:
    """Put one output on a slide: its picture if it has one, else its table or text; explanations go to the notes."""
    data = output.get("data", {})
    page = "".join(data.get("text/html", ""))
    if "image/png" in data:
        alt = output.metadata.get("image/png", {}).get("alt", "")
        slide.shown.append(picture(data["image/png"], alt))
        slide.notes.append(f"The figure: {alt}")
    elif outcome := OUTCOME.fullmatch(page.strip()):
        add_outcome(slide, outcome[1])
    elif page.startswith("<p><b>"):
        slide.shown.append(question(page))
    elif table := re.search(r"<table.*</table>", page, re.S):
        slide.shown.append(table[0])
    else:
        text = output.get("text", data.get("text/plain", "")).strip("\n")
        if asks:  # what is printed beside a question is for the speaker
            slide.notes.append(text)
        else:
            slide.shown.append(f"<pre>{html.escape(text)}</pre>")


def add_outcome(slide: Slide, outcome: str) -> None:
    parts = [found[0] for found in PART.finditer(outcome)]
    drawn = re.search(r'<img src="data:image/png;base64,([^"]+)" alt="([^"]*)"', outcome)
    if drawn:
        slide.shown.append(picture(drawn[1], html.unescape(drawn[2])))
        slide.notes.append(f"The figure: {html.unescape(drawn[2])}")
    for part in parts:
        if "<img" in part:
            continue
        if part.startswith("<p>Answer: "):
            slide.shown.append(part.replace("<p>", '<p class="answer">'))
        elif drawn or part.startswith(MISTAKE) or any("<table" in shown for shown in slide.shown):
            slide.notes.append(html.unescape(re.sub(r"<[^>]+>", " ", part)).strip())
        else:
            slide.shown.append(part)


def question(page: str) -> str:
    """Return a guess as it stands on a slide: the question, and its choices or its unit below."""
    asked, *rest = re.findall(r"<p>(.*?)</p>", page, re.S)
    below = "".join(f"<span>{choice}</span>" for line in rest if " · " in line for choice in line.split(" · "))
    below = f'<div class="choices">{below}</div>' if below else f"<p>{' '.join(rest)}</p>"
    return f'<div class="asked">{asked}{below}</div>'


def run(source: Path) -> NotebookNode:
    """Return a notebook that was run with figures for slides."""
    notebook = build.read(source)
    notebook.cells.insert(1, nbformat.v4.new_code_cell(LARGE))
    return build.execute(notebook)


def slides(source: Path, notebook: NotebookNode) -> list[Slide]:
    """Return the slides of a source, with what its executed notebook shows.

    Raises
    ------
    ValueError
        if a code cell tagged "on-slide" stands above the first slide, or shows nothing.
    """
    outputs = iter([cell.outputs for cell in notebook.cells if ON_SLIDE in tags_of(cell)])
    found: list[Slide] = []
    section = ""
    for cell in jupytext.read(source, fmt="py:percent").cells:
        if SLIDE in tags_of(cell):
            found.append(Slide(section, cell.source))
        elif ON_SLIDE in tags_of(cell):
            shown = next(outputs)
            if not found or not shown:
                raise ValueError(f"{source.name}: a cell that is {ON_SLIDE!r} needs a slide above it and an output.")
            for output in shown:
                add(found[-1], output, "exercises.guess(" in cell.source)
        elif cell.cell_type == "markdown":
            section = ([section, *(number or name for number, name in SECTION.findall(cell.source))])[-1]
    instructor = notes(source.stem)
    for slide in found:
        slide.notes.insert(0, instructor.get(slide.section, ""))
    return found


def notes(name: str) -> dict[str, str]:
    """Return the instructor's notes of a notebook by section: "" for the turn of its argument, "1", "2", ..."""
    path = HERE / "teaching" / f"{name}.md"
    if not path.exists():
        return {}
    text = path.read_text("utf-8")
    by_section = re.findall(r"^### (?:(\d+)\.|(Quiz|What we saw)).*\n((?:(?!^#).*\n)*)", text, re.M)
    turn = re.search(r"^\*\*The turn\.\*\* (.*(?:\n.+)*)", text, re.M)
    return {number or title: body.strip() for number, title, body in by_section} | {"": turn[1] if turn else ""}


def mathml(text: str) -> str:
    """Return Markdown with its formulas as MathML, and no line end between a number and its per cent."""
    text = re.sub(r"(\d) %", "\\1\N{NO-BREAK SPACE}%", text)
    return FORMULA.sub(lambda f: convert(f[2].strip(), display="block" if f[1] == "$$" else "inline"), text)


def deck(source: Path, notebook: NotebookNode) -> str:
    """Return the page of a deck, from a source and its executed notebook."""
    cells = []
    for slide in slides(source, notebook):
        body = mathml(slide.text)
        if slide.shown:
            body += '\n\n<div class="shown">' + "\n".join(slide.shown) + "</div>"
        for text, kind in ((body, "slide"), ("\n\n".join(slide.notes), "notes")):
            cells.append(nbformat.v4.new_markdown_cell(text, metadata={"slideshow": {"slide_type": kind}}))
    title = re.search(r"^# # (.*)$", source.read_text("utf-8"), re.M)
    shown = nbformat.v4.new_notebook(cells=cells, metadata={"title": title[1] if title else source.stem})
    exporter = SlidesExporter(template_name="slides", extra_template_basedirs=[str(HERE)], exclude_anchor_links=True)
    return str(exporter.from_notebook_node(shown)[0])


def index(names: dict[str, str]) -> str:
    """Return the page that lists the decks."""
    rows = "\n".join(f'<li><a href="{name}.html">{html.escape(title)}</a></li>' for name, title in names.items())
    return f"""<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>Slides of the course</title><link rel="stylesheet" href="deck.css"></head>
<body><main class="index">
<h1>Slides of the course</h1>
<ul>
{rows}
</ul>
<p>Arrow keys turn the slides. S opens the speaker's notes in a window of their own, F fills the screen, O shows all
slides. Add <code>?print-pdf</code> to a deck's address to print it.</p>
</main></body>
</html>
"""


def main(folder: Path = TARGET, notebook_of: Callable[[Path], NotebookNode] = run) -> None:
    """Write all decks, an index, and the files of reveal.js."""
    if not REVEAL.exists():
        sys.exit("reveal.js is not here yet: run make slides, which fetches it once.")
    (folder / "reveal.js").mkdir(parents=True, exist_ok=True)
    for name in LOCAL:
        shutil.copy(REVEAL / name, folder / "reveal.js")
    shutil.copy(HERE / "slides" / "deck.css", folder)
    titles = {}
    for source in build.sources():
        page = deck(source, notebook_of(source))
        titles[source.stem] = html.unescape(page.partition("<title>")[2].partition("</title>")[0])
        (folder / f"{source.stem}.html").write_text(page, "utf-8")
    (folder / "index.html").write_text(index(titles), "utf-8")
    print(folder / "index.html")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
