"""Build the site: python notebooks/site/build.py [FOLDER]

The built notebooks, the pages in Markdown and the docstrings of the library become one static site. Nothing is run, and
nothing that the site shows is loaded from anywhere else: it opens from the disk and from a server. FOLDER:
artefacts/site by default. A warning is an error.

What Sphinx reads is put together beside it first (sources.py), laid out as in the repository, so that links between
files lead to the same pages on GitHub and here.
"""

from __future__ import annotations

import sys
from pathlib import Path

import sources
from sphinx.cmd.build import build_main

HERE = Path(__file__).parent
TARGET = sources.ROOT / "artefacts" / "site"


def main(folder: Path = TARGET) -> int:
    """Build the site; return Sphinx's exit status."""
    # Names in recipes that are another package's are not looked up, so that the site is the same where it is installed.
    sys.modules["transformers"] = None  # type: ignore[assignment]
    gathered, read = (folder.with_name(f"{folder.name}-{kind}") for kind in ("sources", "doctrees"))
    sources.gather(gathered)
    options = ["-b", "html", "-W", "--keep-going", "-q", "-c", str(HERE), "-d", str(read)]
    status = build_main([*options, str(gathered), str(folder)])
    print(folder / "index.html")
    return status


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:2])))
