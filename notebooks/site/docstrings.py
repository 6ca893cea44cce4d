"""Docstrings are read as they are written: names lead to what they name, and a star in a shape is a star.

Sphinx looks a type up by any ending of its name, so that "shape" would lead to some attribute of that name. Here a
plain word leads within its own class or module alone; a class, or a name with a dot, to the only one in the library.
"""

from __future__ import annotations

import re

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.nodes import make_refnode

STAR = re.compile(r"(?<=[\[( ])\*(?=\w[\w .]*[\],)])")


def escape_stars(app: Sphinx, what: str, name: str, given: object, options: object, lines: list[str]) -> None:
    """Escape the star of [N, *inputs], which would begin emphasis."""
    lines[:] = [line if line.lstrip().startswith(">>>") else STAR.sub(r"\\*", line) for line in lines]


def take_names_whole(app: Sphinx, doctree: nodes.document) -> None:
    """Look names up as they are, not by the endings of longer ones."""
    for reference in doctree.findall(pending_xref):
        reference.attributes.pop("refspecific", None)


def by_last_name(
    app: Sphinx, env: BuildEnvironment, reference: pending_xref, shown: nodes.Element
) -> nodes.Element | None:
    """Return a link to the only object whose full name ends as the reference does."""
    target = reference["reftarget"]
    if reference.get("refdomain") != "py" or not (target[:1].isupper() or "." in target):
        return None
    found = [(name, known) for name, known in env.domains["py"].objects.items() if name.endswith(f".{target}")]
    if len(found) != 1:
        return None
    name, known = found[0]
    return make_refnode(app.builder, reference["refdoc"], known.docname, known.node_id, shown, name)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register what is done to docstrings and to the names in them."""
    app.connect("autodoc-process-docstring", escape_stars)
    app.connect("doctree-read", take_names_whole)
    app.connect("missing-reference", by_last_name)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
