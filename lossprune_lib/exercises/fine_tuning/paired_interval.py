"""Exercise 4.3: the interval of a paired difference. Errors are [S], one for each seed; t is Student's quantile."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lossprune_lib.exercises.checking import Exercise, fresh, register

Found = tuple[float, float, float]


def _around(mean: Tensor, reach: Any) -> Found:
    return float(mean), float(mean - reach), float(mean + reach)


def _right(first: Tensor, second: Tensor, t: float) -> Found:
    difference = first - second
    return _around(difference.mean(), t * difference.std() / len(difference) ** 0.5)


def _cases() -> list[tuple[Tensor, Tensor, float]]:
    """Return seeds that move both errors together, so that pairs are worth something; differences of both signs."""
    source, cases = fresh(), []
    for seeds, t in ((5, 2.7764), (4, 3.1824), (8, 2.3646), (6, 2.5706)):
        level, noise = torch.randn(2, seeds, generator=source, dtype=torch.float64)
        difference = 0.4 + 0.6 * noise
        difference[0] = -0.1 - difference[0].abs()
        cases.append((6 + 2 * level + difference, 6 + 2 * level, t))
    return [(torch.tensor([5.0, 7, 5, 10]).double(), torch.tensor([4.0, 5, 6, 8]).double(), 3.1824), *cases]


_WORDS = """
    right: Each seed is its own comparison, so what moves both errors together is gone before anything is averaged.
    hint: First a difference for each seed. Then its mean, its deviation with n - 1, and how far t standard errors
        reach.
    sign: Your sign is the wrong way round: take first minus second.
    turned-round: The ends are turned round: the lower one comes first.
    unpaired: You put the spreads of both columns together, as if they came from different seeds. The networks are the
        same: take differences within seeds first.
    pairs-broken: You sorted the columns, so that errors of different seeds stand beside each other: leave the order.
    not-of-the-mean: That is t times the spread of single seeds. The mean of n seeds is surer: divide by the root of n.
    divided-by-n: You divided by n, not by its root: the standard error falls with the root of n.
    n-in-the-spread: Your deviation divides by n, which is too small for a few seeds: divide by n - 1.
    normal: You took 1.96 standard errors, which is right for very many seeds. A few need the wider `t` that is given.
    one-error: That is one standard error to each side: take t of them.
    variance: You took the variance: take its root, the deviation.
    range: Those are the smallest and the largest difference of a seed, not an interval of the mean.
    percentiles: Those are percentiles of the seeds' differences. They say where single seeds fall, not where the mean
        does.
    first-alone: The width is that of the first column alone: take the spread of the differences.
    reach-alone: Your ends lie around zero. They should lie around the mean: mean minus reach, and mean plus reach.
    without-signs: You took the differences without their signs, which makes a difference out of mere noise.
    median: You took the median, but the mean is asked for.
"""


def _wrong(first: Tensor, second: Tensor, t: float) -> dict[str, Any]:
    d, n = first - second, len(first)
    mean, error = d.mean(), d.std() / n**0.5
    broken = first.sort().values - second.sort().values
    low, high = _right(first, second, t)[1:]
    ends = torch.quantile(d, torch.tensor([0.025, 0.975], dtype=d.dtype)).tolist()
    return {
        "sign": _right(second, first, t),
        "turned-round": (mean, high, low),
        "unpaired": _around(mean, t * ((first.var() + second.var()) / n) ** 0.5),
        "pairs-broken": _around(mean, t * broken.std() / n**0.5),
        "not-of-the-mean": _around(mean, t * d.std()),
        "divided-by-n": _around(mean, t * d.std() / n),
        "n-in-the-spread": _around(mean, t * d.std(correction=0) / n**0.5),
        "normal": _around(mean, 1.96 * error),
        "one-error": _around(mean, error),
        "variance": _around(mean, t * d.var() / n**0.5),
        "range": (mean, d.min(), d.max()),
        "percentiles": (mean, *ends),
        "first-alone": _around(mean, t * first.std() / n**0.5),
        "reach-alone": (mean, -t * error, t * error),
        "without-signs": _right(d.abs(), torch.zeros_like(d), t),
        "median": (d.quantile(0.5), None, None),
    }


register("paired interval", Exercise(_right, _cases, _wrong, _WORDS, ("the mean", "the lower end", "the upper end")))
