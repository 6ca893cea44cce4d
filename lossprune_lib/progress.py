"""Progress bars, for work that may take more than two seconds."""

from __future__ import annotations

from typing import Any


def progress_bar(show: bool, **options: Any) -> Any:
    """Return a tqdm bar.

    Parameters
    ----------
    show : False for none; True leaves it to the environment, where TQDM_DISABLE=1 turns bars off
    options : for tqdm
    """
    from tqdm.auto import tqdm

    # `disable=False` would override the environment, so the option is given only if it is True.
    return tqdm(**options) if show else tqdm(**options, disable=True)
