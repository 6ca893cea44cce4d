"""How the library is installed: where its files lie, which extra brings a missing package, and how a checkout is used.

The notebooks' setup cell imports this file, maybe where nothing is installed: it needs Python alone.
"""

from __future__ import annotations

import contextlib
import importlib
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
# A wheel carries the project's data folder inside the package; in a checkout the two lie side by side.
FROM_WHEEL = (PACKAGE / "shipped").is_dir()
DATA = PACKAGE / "shipped" if FROM_WHEEL else PACKAGE.parent / "data"


def study_plans() -> dict[str, Path]:
    """Return the plans of studies that come with the project, by name."""
    return {path.stem: path for path in sorted((DATA / "results").rglob("*.toml"))}


@contextlib.contextmanager
def extra(name: str) -> Iterator[None]:
    """Say of a package that cannot be imported which extra of this project brings it."""
    try:
        yield
    except ModuleNotFoundError as error:
        package, _, _ = (error.name or "lossprune_lib").partition(".")
        if package == "lossprune_lib":
            raise
        raise ImportError(f'{package} is not installed: pip install "lossprune[{name}]" brings it.') from None


# They open, build and test notebooks: a kernel does without them.
_NOT_FOR_A_KERNEL = {"jupyterlab", "jupytext", "nbval"}


def make_ready() -> None:
    """Install the packages that this checkout's notebooks need and this kernel lacks, and no others.

    Called twice it does nothing more: a notebook's first cell may be run again at any time.

    Raises
    ------
    RuntimeError
        where Python is too old, or packages are missing and cannot be installed; it says what to do.
    """
    new_enough = sys.version_info >= (3, 11)
    if not new_enough:
        raise RuntimeError(
            f"Python 3.11 or newer is needed, and this kernel has {sys.version.split()[0]}: choose another."
        )
    lacking = missing(PACKAGE.parent)
    if not lacking:
        return
    print(f"Installing {', '.join(lacking)} ...")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *lacking]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    importlib.invalidate_caches()
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise RuntimeError(
            f"{', '.join(lacking)} could not be installed ({said[-1] if said else 'pip said nothing'}): "
            "connect to the network, then run this cell again."
        )


def missing(checkout: Path) -> list[str]:
    """Return what the notebooks require, with the versions, and this Python does not have."""
    import tomllib  # since Python 3.11

    from packaging.requirements import Requirement  # which the kernel itself brings

    project = tomllib.loads((checkout / "pyproject.toml").read_text("utf-8"))["project"]
    lacking = []
    for line in project["dependencies"] + project["optional-dependencies"]["course"]:
        wanted = Requirement(line)
        try:
            fits = wanted.specifier.contains(metadata.version(wanted.name), prereleases=True)
        except metadata.PackageNotFoundError:
            fits = False
        if not fits and wanted.name not in _NOT_FOR_A_KERNEL:
            lacking.append(line)
    return lacking
