"""Up to where predictions hold: the sparsity from which a model is off by more than a tolerance."""

from __future__ import annotations

import math
from collections.abc import Mapping


def first_off(actual: Mapping[float, float], predicted: Mapping[float, float], tolerance: float = 0.1) -> float:
    """Return the sparsity at which a prediction leaves the band around the actual change; NaN if it never does.

    Parameters
    ----------
    actual, predicted : sparsity -> change of the loss; only places where both are known count, and between two of them
        the relative error is interpolated linearly
    """
    places = sorted(set(actual.keys()) & set(predicted.keys()))
    errors = [_relative_error(actual[kappa], predicted[kappa]) for kappa in places]
    for i, error in enumerate(errors):
        if error > tolerance:
            before = errors[i - 1] if i else 0.0
            share = (tolerance - before) / (error - before) if math.isfinite(error) else 0.0
            return places[max(0, i - 1)] + share * (places[i] - places[max(0, i - 1)])
    return math.nan


def _relative_error(actual: float, predicted: float) -> float:
    error = abs(predicted - actual)
    if actual:
        return error / abs(actual)
    return math.inf if error else 0.0
