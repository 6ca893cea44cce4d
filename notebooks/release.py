"""What students get: python notebooks/release.py [FOLDER] writes lossprune-course-VERSION.zip, artefacts by default.

It holds what opens and runs the whole course without a network once its packages are installed: the notebooks without
outputs and without solutions, the library and its data. The same course gives the same file.
"""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import build
import copies
import nbformat

from lossprune_lib.version import __version__

ROOT = build.HERE.parent
NAME = f"lossprune-course-{__version__}"
SINGLE = ("LICENSE", "CITATION.cff", "Makefile", "pyproject.toml", "requirements.txt", "constraints.txt")
BESIDE_NOTEBOOKS = (*copies.PAGES, "copies.py")
DATA = (".safetensors", ".csv", ".toml", ".md", ".txt", ".xz")
LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip can hold
README = """\
# A course on pruning

You need Python 3.11 or newer. On Linux and macOS, in this folder:

    make lab

It installs what the course needs, for a few minutes, and opens the notebooks in JupyterLab; later it opens them at
once. You work on copies in `my-notebooks`. On Windows, or without `make`:

    python -m venv .venv
    .venv\\Scripts\\pip install -c constraints.txt -e ".[course]"
    .venv\\Scripts\\python notebooks\\copies.py my-notebooks
    .venv\\Scripts\\jupyter lab my-notebooks

(Linux and macOS: `.venv/bin/` for `.venv\\Scripts\\`.) Begin with `00_start_here.ipynb`. After the installation
no network is needed.

To hand in what you have done, run this in any notebook, and give your teacher the file that it names:

    exercises.report("your name")
"""


def contents() -> Iterator[tuple[str, bytes]]:
    """Give the path and the bytes of each file, in the order of their paths."""
    yield from sorted([("README.md", README.encode()), *_files(), *_notebooks()])


def _files() -> Iterator[tuple[str, bytes]]:
    paths = [ROOT / name for name in SINGLE] + [build.HERE / name for name in BESIDE_NOTEBOOKS]
    paths += [*(ROOT / "lossprune_lib").rglob("*.py"), ROOT / "lossprune_lib" / "py.typed"]
    paths += [path for path in (ROOT / "data").rglob("*") if path.suffix in DATA]
    for path in paths:
        yield path.relative_to(ROOT).as_posix(), path.read_bytes()


def _notebooks() -> Iterator[tuple[str, bytes]]:
    for path in copies.course():
        yield f"notebooks/{path.name}", nbformat.writes(copies.fresh(path, solutions=False)).encode()


def make(folder: Path) -> Path:
    """Write the zip into a folder; return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{NAME}.zip"
    temporary = path.with_suffix(".tmp")
    with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in contents():
            file = zipfile.ZipInfo(f"{NAME}/{name}", LONG_AGO)
            file.external_attr = 0o644 << 16  # else nobody may read it but who unpacks it
            packed.writestr(file, data, zipfile.ZIP_DEFLATED)
    return temporary.replace(path)


if __name__ == "__main__":
    print(make(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "artefacts"))
