"""Warnings that point at the user's own line, however deep in the library they arise."""

from __future__ import annotations

import sys
import warnings
from types import FrameType

_LIBRARY = __name__.partition(".")[0]


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the line that called the library, and not at one of the library's own."""
    here = sys._getframe(1)
    shown, frame = here, here
    while frame.f_back is not None:
        if _is_ours(frame):
            shown = frame.f_back
        frame = frame.f_back
    names = shown.f_globals
    registry = names.setdefault("__warningregistry__", {})
    line, module = shown.f_lineno, names.get("__name__", "<unknown>")
    warnings.warn_explicit(message, category, shown.f_code.co_filename, line, module, registry)


def _is_ours(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0] == _LIBRARY
