"""Formulas in MathML, which browsers draw natively and screen readers speak: no script, no fonts to load.

They are put into the Markdown before Sphinx reads it, because a formula may also stand in HTML, such as a folded hint.
"""

from __future__ import annotations

import re

from latex2mathml.converter import convert

CODE_OR_FORMULA = re.compile(
    r"(?P<code>```.*?```|`[^`]+`)|(?P<before>\(?)(?P<dollars>\$\$?)(?P<formula>.+?)(?P=dollars)(?P<after>[).,;:?]*)",
    re.S,
)


def drawn(markdown: str) -> str:
    """Return Markdown with its formulas in MathML; what stands in `code` is left alone."""
    return CODE_OR_FORMULA.sub(_mathml, markdown)


def _mathml(found: re.Match[str]) -> str:
    if found["code"]:
        return found["code"]
    if found["dollars"] == "$$":  # a long one can be scrolled, by keys too
        formula = convert(found["formula"].strip(), display="block")
        return f'{found["before"]}<span class="formula" tabindex="0">{formula}</span>{found["after"]}'
    # No line ends between a formula and its brackets or its full stop.
    whole = found["before"] + convert(found["formula"].strip()) + found["after"]
    return f'<span class="joined">{whole}</span>' if found["before"] or found["after"] else whole
