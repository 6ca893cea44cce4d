"""How the library is installed: where the files that come with it lie, and which extra brings a missing package."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
# A wheel carries the project's data folder inside the package; in a checkout the two lie side by side.
FROM_WHEEL = (PACKAGE / "shipped").is_dir()
DATA = PACKAGE / "shipped" if FROM_WHEEL else PACKAGE.parent / "data"


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
