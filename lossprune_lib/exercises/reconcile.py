"""A guess beside what was measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lossprune_lib.checks import check_float

if TYPE_CHECKING:
    import pandas as pd


def reconcile(what: str, guess: float | str | None, measured: float | str) -> pd.DataFrame:
    """Return a table with one row: the guess, what was measured, and how they compare.

    Parameters
    ----------
    guess : a number or, where a name was measured, a name; None is "not attempted"

    Raises
    ------
    TypeError, ValueError
        if a number was measured and the guess is no finite number.
    """
    import pandas as pd

    if not isinstance(measured, str):
        measured = round(measured, 3)
    if guess is None:
        row: dict[str, object] = {"your guess": "not attempted", "measured": measured, "so": "guess, then run again"}
    elif isinstance(measured, str):
        row = {"your guess": guess, "measured": measured, "so": "right" if guess == measured else "not this time"}
    else:
        number = check_float(guess, "Your guess", least=float("-inf"))
        row = {"your guess": number, "measured": measured, "so": f"you are {number - measured:+.2f} away"}
    return pd.DataFrame([row], index=[what])
