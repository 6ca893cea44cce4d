"""The check of the fair choice in the notebook on fine-tuning."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from lossprune_lib.exercises.checking import Answer, Mistake, call, close, exercise, fresh, name_mistake, number

Pair = tuple[Tensor, Tensor]


def _fair(valid: Tensor, test: Tensor) -> tuple[float, float, float]:
    row = int(valid.mean(1).argmin())
    return row, float(test[row].mean()), float(test[row].std())


def _chosen_otherwise(valid: Tensor, test: Tensor) -> dict[str, int]:
    """Return which row each plausible mistake chooses."""
    return {
        "You chose by the test error. Then the test set is used up, and the error that it shows there is too good: choose by "
        "valid_error, and only look up test_error.": int(test.mean(1).argmin()),
        "You chose by the mean plus the spread: the rule here is the mean alone.": int(
            (valid.mean(1) + valid.std(1)).argmin()
        ),
        "You took the row with the single lowest entry: one lucky seed. Take the mean over seeds first, then the lowest "
        "mean.": int(valid.argmin()) // valid.shape[1],
        "You chose by the first seed alone: take the mean over all seeds.": int(valid[:, 0].argmin()),
        "You chose the row with the largest error: errors should be small.": int(valid.mean(1).argmax()),
        "Your choice looks at test errors as well: validation and test are added up or averaged. The test set chooses "
        "nothing.": int((valid + test).mean(1).argmin()),
        "You chose by the median over seeds: the rule here is the mean.": int(valid.median(1).values.argmin()),
        "You took the mean over the wrong axis: there is a row for each step penalty and a column for each seed.": int(
            valid.mean(0).argmin()
        ),
        "You chose the row that varies least over seeds, not the one with the lowest mean.": int(valid.std(1).argmin()),
        "You chose by the worst seed of each row: the rule here is the mean.": int(valid.amax(1).argmin()),
    }


@exercise("fair choice")
def fair_choice(answer: Answer) -> str:
    source = fresh()
    for rows, seeds in ((9, 5), (9, 3), (6, 4)):
        valid, test = _errors(rows, seeds, source)
        _check_choice(answer, valid, test)
    valid, test = _errors(5, 4, source)
    valid[3] = valid[1] = valid.min() - 0.01  # equal ones: the first, whose penalty is smaller
    found = _three(call(answer, valid.clone(), test.clone()))
    if found[0] == 3:
        raise Mistake(
            "Two rows have the same mean validation error, and you took the later one: of equal ones, take the first."
        )
    _check_choice(answer, valid, test)
    return (
        "Validation chooses, the mean over seeds decides, and the test set is only read. What you report is an honest "
        "estimate, with its spread."
    )


def _errors(rows: int, seeds: int, source: torch.Generator) -> Pair:
    """Return errors in which each mistake chooses another row than the right one."""
    while True:
        valid, test = 0.02 + 0.06 * torch.rand(2, rows, seeds, generator=source, dtype=torch.float64)
        right = _fair(valid, test)[0]
        others = list(_chosen_otherwise(valid, test).values())
        if right not in others:
            return valid, test


def _three(found: Any) -> tuple[int, float, float]:
    if isinstance(found, (Tensor, np.ndarray)):
        found = found.tolist()
    if not isinstance(found, (tuple, list)) or len(found) != 3:
        raise Mistake("Return three numbers: the row that you chose, its mean test error, and the spread.")
    row, mean, spread = (
        number(value, what) for value, what in zip(found, ("The row", "The mean", "The spread"), strict=True)
    )
    if row != int(row):
        raise Mistake(f"The row is a whole number from 0, not {row:g}: return its index, not its error.")
    return int(row), mean, spread


def _check_choice(answer: Answer, valid: Tensor, test: Tensor) -> None:
    row, mean, spread = _three(call(answer, valid, test))
    right, wanted, spread_wanted = _fair(valid, test)
    own = valid.argmin(0)  # for each seed, its own row
    mixed = test.gather(0, own[None]).mean()
    if close(mean, mixed, tolerance=1e-7) and not close(mean, wanted):
        raise Mistake(
            "Each seed chose a row of its own. Then no single step penalty is reported: choose one for all seeds."
        )
    if row == right + 1 and close(mean, wanted):
        raise Mistake("The row is one too high: count rows from 0.")
    if row != right:
        cases = [(row, _chosen_otherwise(valid, test))]
        for _ in range(30):  # two mistakes often choose the same row
            more = _errors(len(valid), valid.shape[1], fresh())
            cases.append((_three(call(answer, *more))[0], _chosen_otherwise(*more)))
        name_mistake(cases, int.__eq__)
        raise Mistake(
            f"You chose row {row}. The mean validation errors are {[round(x, 4) for x in valid.mean(1).tolist()]}, "
            f"so it should be row {right}."
        )
    means: dict[str, Tensor | float] = {
        "The row is right, but you report its validation error. That one chose the row, so it is too good: report the test "
        "error.": valid[row].mean(),
        "The row is right, but you report the test error of its best seed. Report the mean over seeds.": test[
            row
        ].min(),
        "The row is right, but you report the lowest mean test error of all rows, which belongs to another row.": (
            test.mean(1).min()
        ),
        "The row is right, but you report the mean test error of all rows.": test.mean(),
        "The row is right, but you report the median over seeds: report the mean.": test[row].median(),
        "The error is in per cent; here errors are fractions, as they came in.": 100 * wanted,
        "The row is right, but you report the test error of the first seed alone.": test[row, 0],
        "The row is right, but you report the difference of test and validation error: report the test error itself.": (
            (test[row] - valid[row]).mean()
        ),
    }
    for message, value in means.items():
        if close(mean, value) and not close(mean, wanted):
            raise Mistake(message)
    if not close(mean, wanted):
        raise Mistake(f"The mean test error of row {row} is {wanted:.4f}, but you return {mean:.4f}.")
    errors, count = test[row], test.shape[1]
    for message, value in {
        "The spread is divided by n: that is too small for a few seeds. Divide by n - 1.": errors.std(correction=0),
        "That is the variance: take its root.": errors.var(),
        "That is the standard error of the mean. The spread asked for is the standard deviation over seeds, not divided by "
        "the root of their number.": errors.std() / count**0.5,
        "That is largest less smallest: the spread here is the standard deviation over seeds.": errors.max()
        - errors.min(),
        "That is the spread of the validation errors: give that of the test errors that you report.": valid[row].std(),
        "That is the spread over rows, not over seeds.": test.mean(1).std(),
        "That is the spread of all test errors: give that of the row that you chose.": test.std(),
        "The spread is in per cent; here errors are fractions.": 100 * errors.std(),
    }.items():
        if close(spread, value) and not close(spread, spread_wanted):
            raise Mistake(message)
    if not close(spread, spread_wanted):
        raise Mistake(f"The standard deviation (n - 1) of {errors.tolist()} is {spread_wanted:.4f}, not {spread:.4f}.")
