"""Up to where a prediction holds."""

from __future__ import annotations

import math

import pytest

from lossprune_lib import results

ACTUAL = {0.0: 0.0, 0.2: 1.0, 0.4: 2.0, 0.6: 4.0}


def test_where_a_prediction_leaves_the_band() -> None:
    assert results.first_off(ACTUAL, {0.0: 0.0, 0.2: 1.0, 0.4: 1.6, 0.6: 4.0}) == pytest.approx(0.3)
    assert results.first_off({0.0: 0.0, 0.1: 0.0}, {0.0: 0.0, 0.1: 1.0}) == 0.0


def test_a_prediction_that_never_leaves_the_band() -> None:
    assert math.isnan(results.first_off(ACTUAL, {0.0: 0.0, 0.2: 1.05, 0.4: 1.9, 0.6: 4.0}))
    assert math.isnan(results.first_off(ACTUAL, {0.0: 0.0}))


def test_a_wider_tolerance_holds_longer() -> None:
    predicted = {0.0: 0.0, 0.2: 1.0, 0.4: 1.6, 0.6: 2.0}
    at = [results.first_off(ACTUAL, predicted, tolerance) for tolerance in (0.05, 0.1, 0.3)]
    assert at == sorted(at)
    assert len(set(at)) == 3
