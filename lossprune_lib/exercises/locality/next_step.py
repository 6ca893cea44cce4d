"""Bonus 3.6: the rule of a trust region, from how far a prediction was off to the next step."""

from __future__ import annotations

import torch
from torch import Tensor

from lossprune_lib.exercises.checking import Exercise, fresh, register

_SHORTER, _LONGER, _EASY = 0.5, 2.0, 0.5


def _right(share: float, predicted: float, actual: float, tolerance: float) -> tuple[bool, float]:
    """Return whether the step is accepted, and the share of the weights that the next one takes."""
    error = abs(actual - predicted)
    factor = _SHORTER if error > tolerance else _LONGER if error < _EASY * tolerance else 1.0
    return error <= tolerance, factor * share


def _cases() -> list[tuple[float, float, float, float]]:
    draw = torch.rand(8, generator=fresh(), dtype=torch.float64).tolist()
    cases = [(0.2, 1.0, 1.03, 0.1)]  # a large change that the model has predicted
    cases += [(0.2, 1.0, 1.5, 0.5), (0.2, 1.0, 1.25, 0.5)]  # at the edges
    for i, times in enumerate((0.1, 0.3, 0.7, 0.9, 1.3, 4.0)):
        share, tolerance = 0.01 + 0.2 * draw[i], 0.02 + 0.2 * draw[i + 1]
        predicted = (draw[i + 2] - 0.5) * tolerance
        cases += [(share, predicted, predicted + sign * times * tolerance, tolerance) for sign in (1.0, -1.0)]
    return cases


_WORDS = """
    right: The rule needs no quotient of the two changes: QM's predictions are near zero, and a quotient would be noise.
    hint: The error is how far the two changes are apart. Compare it with the tolerance, and with half of it.
    relative: You compare the relative error with the tolerance. The tolerance is in nats: compare the difference.
    signed: A prediction that is too high by more than the tolerance is refused as well: take the size of the error.
    actual-alone: You compare the actual change with the tolerance. It may be large, if the model said so.
    always-accepted: Every step is accepted. One that is off by more than the tolerance is refused.
    swapped: Accepted and refused are swapped.
    never-longer: The step never grows. Where the error is below half of the tolerance, the next one is twice as long.
    always-longer: Every accepted step doubles the next one. Between half of the tolerance and all of it, it stays.
    never-shorter: A refused step must be tried again with half of its share.
    edge-refused: An error of exactly the tolerance is accepted: "at most" is <=.
    edge-halved: After an error of exactly the tolerance the step is accepted, and stays as long: "at most" is <=.
    edge-longer: After an error of exactly half of the tolerance the step stays as long: "below" is <.
    wrong-way: The shares go the wrong way: a large error makes the next one smaller, a small one larger.
"""


def _wrong(share: float, predicted: float, actual: float, tolerance: float) -> dict[str, tuple[bool, float]]:
    error = abs(actual - predicted)
    accepted, following = _right(share, predicted, actual, tolerance)
    return {
        "relative": _right(share, 0.0, error / max(abs(actual), 1e-12), tolerance),
        "signed": _right(share, 0.0, max(actual - predicted, 0.0), tolerance),
        "actual-alone": _right(share, 0.0, actual, tolerance),
        "always-accepted": (True, following),
        "swapped": (not accepted, following),
        "never-longer": (accepted, min(share, following)),
        "always-longer": (accepted, 2 * share if accepted else following),
        "never-shorter": (accepted, max(share, following)),
        "edge-refused": (error < tolerance, following),
        "edge-halved": (error < tolerance, following if error < tolerance else _SHORTER * share),
        "edge-longer": (accepted, _LONGER * share if error <= _EASY * tolerance else following),
        "wrong-way": (accepted, share**2 / following),
    }


def _same(found: Tensor, wanted: Tensor | float, *arguments: float) -> bool:
    right = torch.as_tensor(wanted, dtype=torch.float64)
    return not found.ndim and bool(torch.isclose(found.double(), right, rtol=1e-6))


register(
    "next step",
    Exercise(_right, _cases, _wrong, _WORDS, ("whether it is accepted", "the next share"), same=_same),
)
