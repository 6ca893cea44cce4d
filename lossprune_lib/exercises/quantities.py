"""Numbers as people write them: "88", "0.88", "88 %" and "88%" are one share, and are written "88 %"."""

from __future__ import annotations

import math
import re

_SPACE = "\u00a0"  # a number and its unit stay on one line
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+(\.\d*)?")


def read(text: str, unit: str = "") -> float:
    """Return the number that a text means.

    Parameters
    ----------
    unit : in which the number is asked for, and which the text may repeat. With "%" the number is a share: "88" and
        "0.88" are both 0.88; "1" is one per cent, "1.0" the whole, and "0.5 %" half a per cent.

    Raises
    ------
    ValueError
        if the text is no finite number.
    """
    words = "".join(text.split()).replace("\u2212", "-").casefold()  # a minus sign copied from a page is none to Python
    said = bool(unit) and words.endswith("".join(unit.split()).casefold())
    digits = words[: len(words) - len("".join(unit.split()))] if said else words
    digits = digits.replace(",", "" if _THOUSANDS.fullmatch(digits) else ".")
    try:
        number = float(digits)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(
            f"{text.strip()!r} is not a number: write, for example, {write(0.3 if unit == '%' else 3, unit)}."
        )
    if unit != "%" or (not said and "." in digits and abs(number) <= 1):
        return number
    return number / 100


def write(number: float, unit: str = "") -> str:
    """Return a number with three digits and its unit, two if it is less than one; with "%" the number is a share."""
    shown = 100 * number if unit == "%" else number
    digits = f"{shown:,.0f}" if abs(shown) >= 999.5 else f"{shown:.{3 if abs(shown) >= 1 else 2}g}"
    one = unit.removesuffix("s") if digits in ("1", "-1") else unit
    return f"{digits}{_SPACE}{one}" if unit else digits
