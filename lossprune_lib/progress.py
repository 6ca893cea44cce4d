"""Progress bars, for work that may take more than two seconds."""

from __future__ import annotations

import os
from typing import Any


def progress_bar(show: bool, **options: Any) -> Any:
    """Return a tqdm bar.

    Parameters
    ----------
    show : False for none; True leaves it to the environment, where TQDM_DISABLE=1 turns bars off
    options : for tqdm
    """
    from tqdm.auto import tqdm

    # In notebooks tqdm overrides its own variable, so it is read here.
    off = os.environ.get("TQDM_DISABLE", "0") not in ("", "0")
    return tqdm(**options, disable=off or not show)
