"""Formulas in MathML, which browsers draw natively and screen readers speak: no script, no fonts to load."""

from __future__ import annotations

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator

WORD_JOINER = "&#8288;"  # no line ends between a formula and its brackets or its full stop


def inline(translator: HTML5Translator, node: nodes.math) -> None:
    """Write a formula in a line of text."""
    neighbours = list(node.parent)
    place = neighbours.index(node)
    before = str(neighbours[place - 1].astext()) if place else ""
    after = str(neighbours[place + 1].astext()) if place + 1 < len(neighbours) else ""
    opening = WORD_JOINER if before and not before[-1].isspace() else ""
    closing = WORD_JOINER if after and not after[0].isspace() else ""
    translator.body.append(opening + convert(node.astext().strip()) + closing)
    raise nodes.SkipNode


def block(translator: HTML5Translator, node: nodes.math_block) -> None:
    """Write a formula that stands by itself; a long one can be scrolled, by keys too."""
    formula = convert(node.astext().strip(), display="block")
    translator.body.append(f'<div class="formula" tabindex="0">{formula}</div>')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the renderer, which the builder then takes for all formulas."""
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
