"""Bonus 4.4: a fair choice of the step penalty. Errors are [L, S], one row for each penalty."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from lossprune_lib.exercises.checking import Exercise, fresh, register

Errors = tuple[Tensor, Tensor]
_BY_HAND = (
    [[0.05, 0.02, 0.06], [0.04, 0.05, 0.03], [0.06, 0.05, 0.07]],
    [[0.05, 0.04, 0.06], [0.05, 0.07, 0.04], [0.03, 0.05, 0.02]],
)


def _right(valid_error: Tensor, test_error: Tensor) -> tuple[int, Tensor, Tensor]:
    row = int(valid_error.mean(1).argmin())
    return row, test_error[row].mean(), test_error[row].std()


def _cases() -> list[Errors]:
    """Return many cases, as two mistakes often choose the same row, and one with equal rows."""
    source = fresh()
    cases = [_errors(*shape, source) for shape in [(5, 4)] + 10 * [(9, 5), (9, 3), (6, 4)]]
    valid_error, _ = tied = _errors(5, 4, source)
    valid_error[3] = valid_error[1] = valid_error.min() - 0.01  # equal ones: the first, whose penalty is smaller
    return [(torch.tensor(_BY_HAND[0]).double(), torch.tensor(_BY_HAND[1]).double()), *cases, tied]


def _errors(rows: int, seeds: int, source: torch.Generator) -> Errors:
    """Return errors in which each mistake chooses another row than the right one."""
    while True:
        valid_error, test_error = 0.02 + 0.06 * torch.rand(2, rows, seeds, generator=source, dtype=torch.float64)
        row = int(valid_error.mean(1).argmin())
        if all(int(other(valid_error, test_error)) != row for other in _OTHER_ROWS.values()):
            return valid_error, test_error


_WORDS = """
    right: Validation chooses, the mean over seeds decides, and the test set is only read. What you report is an honest
        estimate, with its spread.
    hint: The mean validation error over seeds chooses the row; the test errors of that row are reported.
    row-per-seed: Each seed chose a row of its own, so no single step penalty is reported: choose one for all seeds.
    row-not-index: The row is not a whole number from 0: return its index, not its error.
    counted-from-one: The row is one too high: count rows from 0.
    by-test: You chose by the test error, so the test error that you report is too good: choose by valid_error, and only
        look up test_error.
    mean-plus-spread: You chose by the mean plus the spread, but the rule here is the mean alone.
    single-entry: You took the row with the single lowest entry: one lucky seed. Take the lowest mean over seeds.
    first-seed: You chose by the first seed alone: take the mean over all seeds.
    largest: You chose the row with the largest error: errors should be small.
    by-both: Your choice looks at test errors as well as validation errors. The test set must choose nothing.
    median: You chose by the median over seeds, but the rule here is the mean.
    wrong-axis: You took the mean over the wrong axis: rows are step penalties, columns are seeds.
    worst-seed: You chose by the worst seed of each row, but the rule here is the mean.
    last-of-equals: Two rows have the same mean validation error, and you took the later one: of equals, take the first.
    validation-reported: The row is right, but you report its validation error, which chose it and is too good. Report
        the test error.
    best-seed-reported: The row is right, but you report the test error of its best seed. Report the mean over seeds.
    lowest-test-reported: The row is right, but you report the lowest mean test error, which belongs to another row.
    median-reported: The row is right, but you report the median over seeds: report the mean.
    per-cent: The error is in per cent, but here errors are fractions, as they came in.
    first-seed-reported: The row is right, but you report the test error of the first seed alone.
    divided-by-n: The spread is divided by n, which makes it too small for a few seeds. Divide by n - 1.
    variance: That is the variance: take its square root.
    standard-error: That is the standard error of the mean. The spread is the standard deviation over seeds itself.
    range: That is the largest minus the smallest, but the spread here is the standard deviation over seeds.
    spread-of-validation: That is the spread of the validation errors: return that of the test errors that you report.
    spread-over-rows: That is the spread over rows, not over seeds.
    spread-of-all: That is the spread of all test errors: return that of the row that you chose.
    spread-per-cent: The spread is in per cent, but here errors are fractions.
"""


# Which row each mistake chooses, those first that choose the right one most often: cases are drawn until none does.
_OTHER_ROWS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "by-both": lambda valid, test: (valid + test).mean(1).argmin(),
    "median": lambda valid, test: valid.median(1).values.argmin(),
    "mean-plus-spread": lambda valid, test: (valid.mean(1) + valid.std(1)).argmin(),
    "worst-seed": lambda valid, test: valid.amax(1).argmin(),
    "single-entry": lambda valid, test: valid.argmin() // valid.shape[1],
    "first-seed": lambda valid, test: valid[:, 0].argmin(),
    "by-test": lambda valid, test: test.mean(1).argmin(),
    "wrong-axis": lambda valid, test: valid.mean(0).argmin(),
    "largest": lambda valid, test: valid.mean(1).argmax(),
}


def _wrong(valid_error: Tensor, test_error: Tensor) -> dict[str, Any]:
    row, mean, spread = _right(valid_error, test_error)
    lowest = valid_error.mean(1)
    valid, test = valid_error[row], test_error[row]
    means = {
        "validation-reported": valid.mean(),
        "best-seed-reported": test.min(),
        "lowest-test-reported": test_error.mean(1).min(),
        "median-reported": test.median(),
        "per-cent": 100 * mean,
        "first-seed-reported": test[0],
    }
    spreads = {
        "divided-by-n": test.std(correction=0),
        "variance": test.var(),
        "standard-error": spread / len(test) ** 0.5,
        "range": test.max() - test.min(),
        "spread-of-validation": valid.std(),
        "spread-over-rows": test_error.mean(1).std(),
        "spread-of-all": test_error.std(),
        "spread-per-cent": 100 * spread,
    }
    return {
        "row-per-seed": (None, test_error.gather(0, valid_error.argmin(0)[None]).mean(), None),
        "counted-from-one": (row + 1, mean, None),
        "last-of-equals": (int((lowest == lowest.min()).nonzero()[-1]), None, None),
        **{name: (int(other(valid_error, test_error)), None, None) for name, other in _OTHER_ROWS.items()},
        **{name: (row, value, None) for name, value in means.items()},
        **{name: (row, mean, value) for name, value in spreads.items()},
    }


register(
    "fair choice",
    Exercise(
        _right,
        _cases,
        _wrong,
        _WORDS,
        ("the row", "the mean test error", "the spread over seeds"),
        signs=lambda found, *errors: {"row-not-index": found[0].numel() == 1 and float(found[0]) % 1 > 0},
    ),
)
