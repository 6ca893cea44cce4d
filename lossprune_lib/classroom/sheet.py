"""The table as a CSV file that spreadsheets open without running anything in it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from lossprune_lib import files

if TYPE_CHECKING:
    import pandas as pd


def to_csv(table: pd.DataFrame, path: str | Path) -> Path:
    """Write a class's table, atomically; a text that a spreadsheet would take for a formula gets an apostrophe.

    Raises
    ------
    OSError
        if the file cannot be written.
    """
    text = table.apply(lambda column: column.map(_plain)).to_csv(index=False, lineterminator="\n")
    return files.replace(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def _plain(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@")) else value
