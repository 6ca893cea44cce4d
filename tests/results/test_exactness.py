"""Sampled curvature beside the exact one, on tables that are made so that the answer is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from study_tables import table

from lossprune_lib import results

OF_SEED = [1.0, 2.0, 3.0, 4.0, 5.0]


def runs(sampled: float, noise: float = 0.0) -> pd.DataFrame:
    """Return QM at two penalties, exact at a mean change of 3 at the better one, and sampled with 1 column."""
    exact = table({("qm", 14, 0.0): OF_SEED, ("qm", 14, 1.0): [9.0] * 5})
    wiggle = [noise, -noise, 0, noise, -noise]
    changes = [change + sampled + each for change, each in zip(OF_SEED, wiggle, strict=True)]
    other = table({("qm", 14, 0.0): [9.5] * 5, ("qm", 14, 1.0): changes})
    return pd.concat([exact.assign(curvature_columns=0), other.assign(curvature_columns=1)], ignore_index=True)


@pytest.mark.parametrize(
    ("sampled", "noise", "verdict"),
    [
        (0.0, 0.01, "as well"),
        (0.25, 0.01, "as well"),  # more, but by less than a tenth
        (0.5, 0.01, "worse"),
        (-0.5, 0.01, "better"),
        (0.0, 2.0, "undecided"),
    ],
)
def test_the_verdict(sampled: float, noise: float, verdict: str) -> None:
    (row,) = results.exactness(runs(sampled, noise)).itertuples()
    assert row.verdict == verdict
    assert (row.curvature_columns, row.exact, row.seeds) == (1, 3, 5)
    assert (row.exact_penalty, row.step_penalty) == (0, 1)  # each at its best
    assert row.mean == pytest.approx(sampled)
    assert (len(row.values), np.mean(row.values)) == (5, pytest.approx(sampled))


def test_one_penalty_alone() -> None:
    both = runs(0.5)
    same = results.exactness(both[both["step_penalty"] == 0])
    assert same["mean"].tolist() == pytest.approx([9.5 - 3])


@pytest.mark.parametrize(
    ("error", "noise", "verdict"),
    [(0.2, 0.01, "worse"), (0.0, 0.5, "as good as"), (0.0, 3.0, "undecided"), (-2.0, 0.01, "better")],
)
def test_errors_after_fine_tuning_are_compared_at_the_penalties_of_the_best_loss_changes(
    error: float, noise: float, verdict: str
) -> None:
    wiggle = np.array([noise, -noise, 0, noise, -noise])
    both = runs(0.5).assign(tuned_valid_error=0.3)
    at = (both["step_penalty"] == 1) & (both["curvature_columns"] == 1)  # the best, where the curvature is sampled
    both.loc[at, "tuned_test_error"] = 0.53 + (error + wiggle) / 100
    both.loc[~at, "tuned_test_error"] = np.where(both.loc[~at, "step_penalty"] == 0, 0.53, 0.9)
    (row,) = results.exactness(both, tuned=True).itertuples()
    assert (row.exact_penalty, row.step_penalty, row.seeds, row.verdict) == (0, 1, 5, verdict)
    assert row.exact == pytest.approx(3)  # the gap
    assert row.values == pytest.approx(tuple(error + wiggle))
    with pytest.raises(ValueError, match="were not fine-tuned"):
        results.exactness(runs(0.5), tuned=True)


def test_a_table_without_both_kinds_is_refused() -> None:
    both = runs(0)
    for one in (both[both["curvature_columns"] == 0], both[both["curvature_columns"] == 1]):
        with pytest.raises(ValueError, match="both kinds"):
            results.exactness(one)
