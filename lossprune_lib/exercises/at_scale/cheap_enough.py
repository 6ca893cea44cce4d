"""Bonus 5.3: the cheapest setting that is as good as the best. Changes are [S, K]: a row for each seed."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lossprune_lib.exercises.checking import Exercise, fresh, register

Case = tuple[Tensor, Tensor, float, float]
_SETTINGS = 32


def _bounds(change: Tensor, t: float, best: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
    """Return mean, lower and upper end of each setting's difference from the best, paired by seed."""
    best = change.mean(0).argmin() if best is None else best
    difference = change - change[:, best, None]
    reach = t * difference.std(0) / len(change) ** 0.5
    return difference.mean(0), difference.mean(0) - reach, difference.mean(0) + reach


def _cheapest(seconds: Tensor, good: Tensor) -> int:
    return int(seconds.masked_fill(~good, torch.inf).argmin())


def _right(change: Tensor, seconds: Tensor, t: float, margin: float) -> int:
    return _cheapest(seconds, _bounds(change, t)[2] <= margin * change.mean(0).min())


def _case(seeds: int, t: float, source: torch.Generator) -> Case:
    """Return a study in which every mistake takes another setting than the right one: most cheap settings are worse."""
    while True:
        worse, noise = torch.rand(2, _SETTINGS, generator=source, dtype=torch.float64)
        level = 2 + 0.08 * torch.randn(seeds, 1, generator=source, dtype=torch.float64)
        noise = 0.12 * noise * torch.randn(seeds, _SETTINGS, generator=source, dtype=torch.float64)
        change = level + 0.3 * worse + noise
        value = _bounds(change, t)[2] + 0.05 * torch.randn(_SETTINGS, generator=source, dtype=torch.float64)
        case = change, value.argsort(descending=True).argsort().double() + 1, t, 0.1
        if _right(*case) not in _wrong(*case).values():
            return case


def _cases() -> list[Case]:
    """Return a small case, and others which, together, tell every mistake from every other."""
    source = fresh()
    while True:
        cases = [_case(seeds, t, source) for seeds, t in 2 * ((5, 2.7764), (8, 2.3646), (6, 2.5706))]
        taken = [_wrong(*case) for case in cases]
        if len({tuple(of_case[mistake] for of_case in taken) for mistake in taken[0]}) == len(taken[0]):
            return [_by_hand(), *cases]


def _by_hand() -> Case:
    """Return a study of four settings: a bad one, the best, one of much noise, and one that is as good."""
    change = torch.tensor([[2.5, 2.0, 2.3, 2.09], [2.6, 2.1, 2.0, 2.21], [2.5, 1.9, 2.0, 2.0]]).double()
    return change, torch.tensor([1.0, 8.0, 2.0, 4.0]).double(), 4.3027, 0.1


_WORDS = """
    right: You gave up nothing that the seeds can show to be more than the margin, and you know what you saved.
    hint: Take differences from the best setting within each seed, the upper ends of their intervals, those within the
        margin, and of these the cheapest. If your rule lets every setting pass, look at the sign and the limit.
    best: That is the setting of the smallest mean, whatever it costs: of those that are as good, take the cheapest.
    cheapest-of-all: That is the cheapest of all, however bad: it must be as good as the best one.
    mean-alone: You compared means alone. With few seeds a mean within the margin may be luck: the whole interval must
        lie there.
    lower-end: You let the lower end of the interval decide. That only says that it may be as good: take the upper one.
    unpaired: You compared intervals as if the settings had different seeds. Take differences within seeds first.
    n-in-the-spread: Your deviation divides by n: use n - 1.
    normal: You took 1.96: take t.
    n-minus-one-in-the-root: You divide by the root of n - 1: the deviation has the n - 1, the root has n.
    no-sign: Your differences have lost their sign: in a seed where a setting is the better one, it counts as worse.
    no-root: Divide the deviation by the root of the number of seeds.
    wrong-axis: You took means over the settings to find the best: take them over the seeds, dim 0.
    margin-of-all: The margin is a share of the best setting's mean, not of the mean over all settings.
    margin-in-nats: The margin is a share of the best setting's mean, not a number of nats.
    first-good: You took the first setting that is as good: take the one of the fewest seconds.
    place-among-good: That is a place among those that are as good. Return the setting's own index.
    seconds: You return the seconds. Return the index.
    dearest: You took the dearest of those that are as good.
"""


def _wrong(change: Tensor, seconds: Tensor, t: float, margin: float) -> dict[str, Any]:
    mean, low, high = _bounds(change, t)
    means, seeds = change.mean(0), len(change)
    limit, reach = margin * means.min(), high - mean
    of_all, best = change.var(0) / seeds, means.argmin()
    apart = (change - change[:, best, None]).abs()
    unpaired = mean + t * (of_all + of_all[best]).sqrt()
    unpaired[best] = 0
    good = high <= limit
    seed = change.mean(1).argmin()  # taken for a setting
    return {
        "best": int(best),
        "cheapest-of-all": int(seconds.argmin()),
        "mean-alone": _cheapest(seconds, mean <= limit),
        "lower-end": _cheapest(seconds, low <= limit),
        "unpaired": _cheapest(seconds, unpaired <= limit),
        "n-in-the-spread": _cheapest(seconds, mean + reach * ((seeds - 1) / seeds) ** 0.5 <= limit),
        "n-minus-one-in-the-root": _cheapest(seconds, mean + reach * (seeds / (seeds - 1)) ** 0.5 <= limit),
        "no-sign": _cheapest(seconds, apart.mean(0) + t * apart.std(0) / seeds**0.5 <= limit),
        "normal": _cheapest(seconds, mean + reach * 1.96 / t <= limit),
        "no-root": _cheapest(seconds, mean + reach * seeds**0.5 <= limit),
        "wrong-axis": _cheapest(seconds, _bounds(change, t, seed)[2] <= margin * means[seed]),
        "margin-in-nats": _cheapest(seconds, high <= margin),
        "margin-of-all": _cheapest(seconds, high <= margin * change.mean()),
        "first-good": int(good.double().argmax()),
        "dearest": int(seconds.masked_fill(~good, -torch.inf).argmax()),
        "place-among-good": int(seconds[good].argmin()),
        "seconds": float(seconds[good].min()),
    }


register("cheap enough", Exercise(_right, _cases, _wrong, _WORDS, ("the setting",)))
