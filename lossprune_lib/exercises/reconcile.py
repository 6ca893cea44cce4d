"""A guess beside what was measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lossprune_lib import checks

if TYPE_CHECKING:
    import pandas as pd


def reconcile(what: str, guess: float, measured: float) -> pd.DataFrame:
    """Return a table with one row: the guess, what was measured, and how far apart they are.

    Raises
    ------
    TypeError, ValueError
        if the guess is no finite number.
    """
    import pandas as pd

    guess = checks.real(guess, "Your guess", least=float("-inf"))
    row = {"your guess": guess, "measured": measured, "difference": guess - measured}
    return pd.DataFrame([row], index=[what]).round(3)
