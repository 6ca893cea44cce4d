"""Make web pages of the course: python notebooks/pages.py [FOLDER]

The built notebooks, their solutions and the teaching plan become pages with an index, which open from the disk: no
server, no network, no script. Formulas become MathML, which browsers draw natively. FOLDER: artefacts/html by default.
"""

from __future__ import annotations

import html
import re
import sys
from pathlib import Path

import nbformat
from latex2mathml.converter import convert
from nbconvert import HTMLExporter
from nbformat import NotebookNode
from pygments.formatters import HtmlFormatter

HERE = Path(__file__).parent
TARGET = HERE.parent / "artefacts" / "html"
CODE_OR_FORMULA = re.compile(
    r"(?P<code>```.*?```|`[^`]+`)|(?P<before>\(?)(?P<dollars>\$\$?)(?P<formula>.+?)(?P=dollars)(?P<after>[).,;:?]*)",
    re.S,
)
BADGE = re.compile(r"\[!\[([^]]*)\]\([^)]*\)\](\([^)]*\))")
LINK = re.compile(r'(<a [^>]*href="(?![a-z]+:)[^"#]*)\.(?:ipynb|md)(?=["#])')
STYLE = f"""\
:root {{ color-scheme: light }}
body {{ max-width: 61rem; margin: 0 auto; padding: 1rem; background: #fff; color: #1a1a1a;
  font: 17px/1.55 system-ui, sans-serif }}
p, li, math[display="block"] {{ max-width: 48rem }}
a {{ color: #0b57a4 }}
img {{ max-width: 100%; height: auto }}
pre, code {{ font: .88em/1.5 ui-monospace, "DejaVu Sans Mono", monospace }}
pre {{ font-size: 13px; margin: 0; padding: .6rem .8rem; overflow-x: auto }}
.highlight {{ margin: .8rem 0 .4rem; background: #f4f5f7; border-left: 3px solid #b9c0cc }}
.output_wrapper {{ margin: .4rem 0 1.2rem; overflow-x: auto }}
table {{ border: 0; border-collapse: collapse; margin: .6rem 0 }}
th, td {{ padding: .25rem .6rem; border: solid #ccd2da; border-width: 0 0 1px; text-align: left; vertical-align: top }}
.dataframe td {{ text-align: right; font-variant-numeric: tabular-nums }}
details {{ margin: .4rem 0; padding: .3rem .8rem; border: 1px solid #ccd2da }}
summary {{ cursor: pointer; font-weight: 600 }}
math {{ font-size: 1.1em }}
.joined {{ white-space: nowrap }}
math[display="block"] {{ margin: .8rem 0 }}
munder > munder > :first-child {{ border-bottom: 1.5px solid }}  /* for the brace, which grows in few fonts */
munder > munder > :last-child {{ display: none }}
@media print {{ pre {{ white-space: pre-wrap }} }}
{HtmlFormatter(style="default", nobackground=True).get_style_defs(".highlight")}"""
PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
{style}
</style>
</head>
<body>
{top}<main>
{body}
</main>
</body>
</html>
"""


def markdown(text: str) -> str:
    """Return markdown with its formulas in MathML, and pictures that are links (the badge) as words that are links."""

    def mathml(found: re.Match[str]) -> str:
        if found["code"]:
            return found["code"]
        drawn = convert(found["formula"].strip(), display="block" if found["dollars"] == "$$" else "inline")
        # No line ends between a formula and its brackets or its full stop.
        around = found["before"] + drawn + found["after"]
        return around if around == drawn else f'<span class="joined">{around}</span>'

    return CODE_OR_FORMULA.sub(mathml, BADGE.sub(r"[\1]\2", text))


def page(notebook: NotebookNode, home: str = "") -> str:
    """Return a notebook as a page, with the address of the index in `home`."""
    notebook = nbformat.from_dict(notebook)  # a copy
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = markdown(cell.source)
    title = notebook.cells[0].source.partition("\n")[0].lstrip("# ")
    exporter = HTMLExporter(
        template_name="basic", exclude_anchor_links=True, exclude_input_prompt=True, exclude_output_prompt=True
    )
    body, _ = exporter.from_notebook_node(notebook)
    top = f'<nav><a href="{home}">The whole course</a></nav>\n' if home else ""
    return PAGE.format(title=html.escape(title), style=STYLE, top=top, body=LINK.sub(r"\1.html", body))


def text_page(text: str, home: str = "") -> str:
    """Return a page of markdown alone."""
    return page(nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(text)]), home)


def index(readme: str) -> str:
    """Return the index: the README's title and table of notebooks, in which the solved ones are linked too."""
    title = readme.partition("\n")[0]
    rows = []
    for number, name, stem, afterwards in re.findall(
        r"^\| (\d\d) \| \[(.+?)\]\(notebooks/(\w+)\.ipynb\) \| (.+?) \|$", readme, re.M
    ):
        solved = f"[solved](solutions/{stem}.html)" if (HERE / "solutions" / f"{stem}.ipynb").exists() else ""
        rows.append(f"| {number} | [{name}]({stem}.html) | {afterwards} | {solved} |")
    return f"""{title}

The whole course to read, with every figure and every output. Nothing runs here: where the text mentions a slider, you
see a picture of it. `make lab` opens the notebooks that run.

| | title | afterwards you can | |
|---|---|---|---|
{chr(10).join(rows)}

**Teachers**: [a plan](TEACHING.html) for 90 minutes and for three hours.
"""


def main(folder: Path = TARGET) -> None:
    """Write all pages."""
    (folder / "solutions").mkdir(parents=True, exist_ok=True)
    (folder / "index.html").write_text(text_page(index((HERE.parent / "README.md").read_text("utf-8"))), "utf-8")
    (folder / "TEACHING.html").write_text(text_page((HERE / "TEACHING.md").read_text("utf-8"), "index.html"), "utf-8")
    for path in [*sorted(HERE.glob("*.ipynb")), *sorted(HERE.glob("solutions/*.ipynb"))]:
        name = path.relative_to(HERE)
        home = "../" * (len(name.parts) - 1) + "index.html"
        (folder / name).with_suffix(".html").write_text(page(nbformat.read(path, 4), home), "utf-8")
    print(folder / "index.html")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
