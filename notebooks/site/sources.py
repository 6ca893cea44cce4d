"""What the site is made from: the notebooks as they are read, pages in Markdown, one page for each package.

A notebook keeps its outputs. Its setup cells and those whose input is hidden are folded, the badge becomes a link
(its picture lies on another server), and the line that explains missing names is left out, as nothing runs here.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import formulas
import nbformat
from nbformat import NotebookNode

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "notebooks" / "site" / "pages"
NOTEBOOKS = ("notebooks/[0-9]*.ipynb", "notebooks/solutions/[0-9]*.ipynb")
TEXTS = (
    "CHANGELOG.md",
    "notebooks/*.md",
    "notebooks/teaching/**/*.md",
    "notebooks/teaching/*.svg",
    "data/results/*.md",
    "data/results/chaos/*.md",
    "data/results/speed/*.md",
)
PICTURES = (".github/slider.webp",)
FOLDED = {"setup", "hide-input"}
VERDICT = "application/vnd.lossprune.verdict+json"
ORDER = "import lossprune_lib.exercises.order"
BADGE = re.compile(r"\[!\[([^]]*)\]\([^)]*\)\](\([^)]*\))")
LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)(?P<path>[^)#\s]+)(?P<anchor>#[^)\s]*)?(?=\))")
LIBRARY = "lossprune_lib"
FLOORS = ("data", "networks", "loss_modelling", "training", "pruning", "results", "studies", "plots", "widgets")
PACKAGES = (LIBRARY, *(f"{LIBRARY}.{name}" for name in (*FLOORS, "exercises", "classroom")))


def gather(folder: Path) -> None:
    """Write all that Sphinx reads into a folder, and remove from it what is no longer there."""
    written = dict(files())
    for old in folder.rglob("*"):
        if old.is_file() and old.relative_to(folder).as_posix() not in written:
            old.unlink()
    for name, content in written.items():
        path = folder / name
        if not path.exists() or path.read_bytes() != content:  # Sphinx reads again what is newer
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def files() -> Iterator[tuple[str, bytes]]:
    """Yield the name and the content of each file of the site's source."""
    names = {name for pattern in (*NOTEBOOKS, *TEXTS) for name in matching(pattern)}
    for name in sorted(names):
        path = ROOT / name
        if path.suffix == ".svg":
            text = path.read_text("utf-8")
        elif path.suffix == ".ipynb":
            text = nbformat.writes(notebook(nbformat.read(path, 4), name, names))
        else:
            text = page(path.read_text("utf-8"), name, names)
        yield name, text.encode()
    for path in sorted(PAGES.glob("*.md")):
        text = path.read_text("utf-8").replace("<!-- contents -->", contents())
        yield path.name, text.encode()
    for package in PACKAGES:
        yield f"api/{package}.rst", reference(package).encode()
    for name in PICTURES:
        yield f"pictures/{Path(name).name}", (ROOT / name).read_bytes()


def matching(pattern: str) -> Iterator[str]:
    """Yield the names of the repository's files that match a pattern."""
    return (path.relative_to(ROOT).as_posix() for path in sorted(ROOT.glob(pattern)))


def notebook(read: NotebookNode, name: str, names: set[str]) -> NotebookNode:
    """Return a notebook as the site shows it."""
    for cell in read.cells:
        tags = set(cell.metadata.get("tags", []))
        if tags & FOLDED:
            cell.metadata["tags"] = sorted({*tags, "hide-input"})
        if cell.cell_type == "markdown":
            cell.source = page(BADGE.sub(r"[\1]\2", cell.source), name, names)
            continue
        cell.source = "\n".join(line for line in cell.source.splitlines() if not line.startswith(ORDER))
        for output in cell.get("outputs", []):
            output.get("data", {}).pop(VERDICT, None)  # what a check says to the table of a class
            if table := output.get("data", {}).get("text/html"):
                output.data["text/html"] = table.replace("<th></th>", "<td></td>")  # the corner heads nothing
            if alt := output.get("metadata", {}).get("image/png", {}).get("alt"):
                cell.metadata["mystnb"] = {"image": {"alt": " ".join(alt.split())}}
    return read


def page(text: str, name: str, names: set[str]) -> str:
    """Return Markdown as the site shows it."""
    return formulas.drawn(links(text, name, names))


def links(text: str, name: str, names: set[str]) -> str:
    """Return Markdown whose links to files that are no page of the site lead to the repository."""

    def elsewhere(link: re.Match[str]) -> str:
        here = (ROOT / name).parent
        path = here / link["path"]
        if not path.exists():  # solved notebooks have their text, and its links, from the folder above
            path = here.parent / link["path"]
        if not path.exists():
            raise FileNotFoundError(f"{name} links to {link['path']}, which does not exist.")
        target = path.resolve().relative_to(ROOT.resolve()).as_posix()
        if target in names:
            return os.path.relpath(path, here).replace(os.sep, "/") + (link["anchor"] or "")
        return f"{repository()}/{'tree' if path.is_dir() else 'blob'}/{ref()}/{target}{link['anchor'] or ''}"

    return LINK.sub(elsewhere, text)


def repository() -> str:
    """Return the repository's address on the web."""
    return project()["repository"]


def ref() -> str:
    """Return the branch or tag that learners get."""
    return project()["ref"]


def project() -> dict[str, str]:
    """Return what pyproject.toml says of the course."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["lossprune"]


def contents() -> str:
    """Return the list of the notebooks: the title of each and what one can do afterwards."""
    parts = []
    for name in matching(NOTEBOOKS[0]):
        title, _, opening = nbformat.read(ROOT / name, 4).cells[0].source.partition("\n")
        goals = re.search(r"\*\*After this notebook you can\*\*\n+((?:- .*\n(?:  .*\n)*)+)", f"{opening}\n")
        parts.append(f"### [{title.lstrip('# ')}]({name})\n\n{goals[1] if goals else ''}")
    return "\n".join(parts)


def reference(package: str) -> str:
    """Return the page of a package: its public names, then its modules."""
    opened = importlib.import_module(package)
    lines = [package, "=" * len(package), "", f".. automodule:: {package}", "   :no-members:", ""]
    public = [line for name in getattr(opened, "__all__", []) if (line := public_name(opened, name))]
    lines += ["**Names to import from here**", "", *public, ""] if public else []
    modules = [*modules_of(opened)]
    for module in modules:
        title = module.removeprefix(f"{package}.")
        lines += [title, "-" * len(title), "", f".. automodule:: {module}", "   :members:", ""]
    return "\n".join(lines)


def public_name(package: ModuleType, name: str) -> str:
    """Return a line on what a package exports, or nothing where it is no class, function or module."""
    given = getattr(package, name)
    says = (given.__doc__ or "").strip().partition("\n")[0].replace("*", r"\*")
    if isinstance(given, ModuleType):
        return f"- :py:mod:`{name} <{given.__name__}>`: {says}"
    named = given if hasattr(given, "__qualname__") else type(given)  # an instance leads to its class
    if not named.__module__.startswith(LIBRARY):
        return ""
    return f"- :py:obj:`{name} <{named.__module__}.{named.__qualname__}>`: {says}"


def modules_of(package: ModuleType) -> Iterator[str]:
    """Yield the modules of a package, and of the packages in it that have no page of their own."""
    for found in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        if found.name in PACKAGES or found.name.endswith("__main__"):
            continue
        yield found.name
        if found.ispkg:
            yield from modules_of(importlib.import_module(found.name))
