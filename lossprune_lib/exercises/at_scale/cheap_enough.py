"""Bonus 5.3: the cheapest setting that is as good as the best. Changes are [S, K]: a row for each seed."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lossprune_lib.exercises.checking import Exercise, fresh, register

Case = tuple[Tensor, Tensor, float, float]
_SETTINGS = 16


def _bounds(change: Tensor, t: float) -> tuple[Tensor, Tensor, Tensor]:
    """Return mean, lower and upper end of each setting's difference from the best, paired by seed."""
    difference = change - change[:, change.mean(0).argmin(), None]
    reach = t * difference.std(0) / len(change) ** 0.5
    return difference.mean(0), difference.mean(0) - reach, difference.mean(0) + reach


def _cheapest(seconds: Tensor, good: Tensor) -> int:
    return int(seconds.masked_fill(~good, torch.inf).argmin())


def _right(change: Tensor, seconds: Tensor, t: float, margin: float) -> int:
    return _cheapest(seconds, _bounds(change, t)[2] <= margin * change.mean(0).min())


def _case(seeds: int, t: float, source: torch.Generator) -> Case:
    """Return a study in which every mistake takes another setting than the right one."""
    while True:
        worse, noise = torch.rand(2, _SETTINGS, generator=source, dtype=torch.float64)
        level = 2 + 0.08 * torch.randn(seeds, 1, generator=source, dtype=torch.float64)
        noise = 0.12 * noise * torch.randn(seeds, _SETTINGS, generator=source, dtype=torch.float64)
        seconds = torch.randperm(_SETTINGS, generator=source).double() + 1
        case = level + 0.5 * worse + noise, seconds, t, 0.1
        if _right(*case) not in _wrong(*case).values():
            return case


def _cases() -> list[Case]:
    """Return cases which, together, tell every mistake from every other."""
    source = fresh()
    while True:
        cases = [_case(seeds, t, source) for seeds, t in 2 * ((5, 2.7764), (8, 2.3646), (6, 2.5706))]
        taken = [_wrong(*case) for case in cases]
        if len({tuple(of_case[mistake] for of_case in taken) for mistake in taken[0]}) == len(taken[0]):
            return cases


_WORDS = """
    right: You gave up nothing that the seeds can show to be more than the margin, and you know what you saved.
    hint: Take differences from the best setting within each seed, the upper ends of their intervals, those within the
        margin, and of these the cheapest.
    best: That is the setting of the smallest mean, whatever it costs: of those that are as good, take the cheapest.
    cheapest-of-all: That is the cheapest of all, however bad: it must be as good as the best one.
    mean-alone: You compared means alone. With few seeds a mean within the margin may be luck: the whole interval must
        lie there.
    lower-end: You let the lower end of the interval decide. That only says that it may be as good: take the upper one.
    unpaired: You compared intervals as if the settings had different seeds. Take differences within seeds first.
    margin-in-nats: The margin is a share of the best setting's mean, not a number of nats.
    first-good: You took the first setting that is as good: take the one of the fewest seconds.
    dearest: You took the dearest of those that are as good.
"""


def _wrong(change: Tensor, seconds: Tensor, t: float, margin: float) -> dict[str, Any]:
    mean, low, high = _bounds(change, t)
    least = change.mean(0).min()
    of_all, best = change.var(0) / len(change), change.mean(0).argmin()
    unpaired = mean + t * (of_all + of_all[best]).sqrt()
    unpaired[best] = 0
    good = high <= margin * least
    return {
        "best": int(best),
        "cheapest-of-all": int(seconds.argmin()),
        "mean-alone": _cheapest(seconds, mean <= margin * least),
        "lower-end": _cheapest(seconds, low <= margin * least),
        "unpaired": _cheapest(seconds, unpaired <= margin * least),
        "margin-in-nats": _cheapest(seconds, high <= margin),
        "first-good": int(good.double().argmax()),
        "dearest": int(seconds.masked_fill(~good, -torch.inf).argmax()),
    }


register("cheap enough", Exercise(_right, _cases, _wrong, _WORDS, ("the setting",)))
