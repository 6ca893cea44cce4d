"""Progress bars, for what may take over two seconds."""

from __future__ import annotations

from typing import Any


def progress_bar(show: bool, **options: Any) -> Any:
    """Return a tqdm bar.

    Parameters
    ----------
    show : False for none; True leaves it to the environment, where TQDM_DISABLE=1 means none either
    options : for tqdm
    """
    from tqdm.auto import tqdm

    # `disable=False` would overrule the environment, so it is said only where it is True.
    return tqdm(**options) if show else tqdm(**options, disable=True)
