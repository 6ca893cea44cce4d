"""Wrong answers to the exercises of notebook 05, and the mistake that the check must name."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

Answer = Callable[..., Any]


def column(logits: Tensor, labels: Tensor) -> Tensor:
    return torch.softmax(logits, dim=-1) - F.one_hot(labels, logits.shape[-1])


def diagonal(of: Answer = column, inputs: Answer = torch.square, entries: Answer = torch.square) -> Answer:
    """Return an estimate from another column, from other powers of the inputs, or of the column's entries."""
    return lambda x, z, drawn: sum(entries(of(z, y)).T @ inputs(x) for y in drawn) / drawn.numel()


def draws_before_squares(x: Tensor, z: Tensor, drawn: Tensor) -> Tensor:
    return sum(column(z, y) for y in drawn).div(len(drawn)).square().T @ x.square() / len(x)


def of_the_batch(scale: Answer) -> Answer:
    return lambda x, z, drawn: sum((column(z, y).T @ x).square() for y in drawn) / len(drawn) / scale(len(x))


def all_draws_at_once(x: Tensor, z: Tensor, drawn: Tensor) -> Tensor:
    return (z.softmax(1) - F.one_hot(drawn)).square().mean(0).T @ x.square() / len(x)


def exact(x: Tensor, z: Tensor, drawn: Tensor) -> Tensor:
    p = z.softmax(1)
    return (p * (1 - p)).T @ x.square() / len(x)


def stages(of: Answer) -> Answer:
    """Return both numbers of stages from the passes that an example takes with (classes, columns)."""
    return lambda passes, n, c, k: [passes // (n * each) for each in of(c, k)]


def rounded_by(how: Answer) -> Answer:
    return lambda passes, n, c, k: (how(passes / (n * c)), how(passes / (n * (k + 1))))


def covered(sizes: Tensor, can: Tensor, others: int) -> float:
    return (sizes * can).sum().item() / (sizes.sum().item() + others)


def with_coverage(of: Answer) -> Answer:
    return lambda share, *network: (min(1, share / of(*network)), of(*network))


def settings(change: Tensor, t: float) -> tuple[Tensor, Tensor]:
    """Return means and reaches of the paired differences from the best setting."""
    d = change - change[:, [int(change.mean(0).argmin())]]
    return d.mean(0), t * d.std(0) / math.sqrt(len(d))


def cheapest(good: Answer = lambda mean, reach, limit: mean + reach <= limit) -> Answer:
    """Return the cheapest setting of those that a rule (mean, reach, margin in nats) calls good."""

    def answer(change: Tensor, seconds: Tensor, t: float, margin: float) -> int:
        fits = good(*settings(change, t), margin * change.mean(0).min())
        return min(fits.nonzero().flatten().tolist(), key=lambda k: float(seconds[k]))

    return answer


def without_sign(change: Tensor, seconds: Tensor, t: float, margin: float) -> int:
    means = change.mean(0)
    apart = (change - change[:, [int(means.argmin())]]).abs()
    good = apart.mean(0) + t * apart.std(0) / len(change) ** 0.5 <= margin * means.min()
    return int(seconds.masked_fill(~good, torch.inf).argmin())


def unpaired(change: Tensor, seconds: Tensor, t: float, margin: float) -> int:
    best = int(change.mean(0).argmin())
    error = (change.var(0) / len(change) + change[:, best].var() / len(change)).sqrt()
    above = change.mean(0) - change[:, best].mean() + t * error
    fits = [k for k in range(len(seconds)) if k == best or above[k] <= margin * change[:, best].mean()]
    return min(fits, key=lambda k: float(seconds[k]))


def spread_by(factor: Answer) -> Answer:
    """Return an answer whose intervals are as many times too long as (seeds, t) say."""
    return lambda c, s, t, margin: cheapest()(c, s, t * factor(len(c), t), margin)


def best_by_the_wrong_axis(change: Tensor, seconds: Tensor, t: float, margin: float) -> Tensor:
    best = change.mean(1).argmin()
    d = change - change[:, [best]]
    good = d.mean(0) + t * d.std(0) / len(d) ** 0.5 <= margin * change[:, best].mean()
    return seconds.masked_fill(~good, torch.inf).argmin()


def good_ones(change: Tensor, t: float, margin: float) -> list[int]:
    mean, reach = settings(change, t)
    return (mean + reach <= margin * change.mean(0).min()).nonzero().flatten().tolist()


WRONG: dict[str, list[tuple[str, Any]]] = {
    "sampled diagonal": [
        ("draws-before-squares", draws_before_squares),
        ("examples-before-squares", of_the_batch(lambda n: n**2)),
        ("examples-before-squares", of_the_batch(lambda n: n)),
        ("examples-before-squares", of_the_batch(lambda n: 1)),
        ("draws-summed", lambda x, z, drawn: diagonal()(x, z, drawn) * len(drawn)),
        ("examples-summed", lambda x, z, drawn: diagonal()(x, z, drawn) * len(x)),
        ("exact", exact),
        ("logits", diagonal(lambda z, y: z - F.one_hot(y, z.shape[1]))),
        ("wrong-axis", diagonal(lambda z, y: z.softmax(0) - F.one_hot(y, z.shape[1]))),
        ("labels-alone", diagonal(lambda z, y: F.one_hot(y, z.shape[1]).double())),
        ("probabilities-alone", diagonal(lambda z, y: z.softmax(1))),
        ("added", diagonal(lambda z, y: z.softmax(1) + F.one_hot(y, z.shape[1]))),
        ("inputs-not-squared", diagonal(inputs=lambda x: x)),
        ("not-squared", diagonal(entries=lambda c: c)),
        ("classes", diagonal(lambda z, y: z.softmax(1) - F.one_hot(y))),
        ("classes", all_draws_at_once),
        ("first-draw", lambda x, z, drawn: diagonal()(x, z, drawn[:1])),
        ("shape", lambda *given: diagonal()(*given).flatten()),
        ("shape", lambda x, z, drawn: diagonal()(x, z, drawn)[:1]),
        ("other", lambda *given: diagonal()(*given) ** 0.5),
    ],
    "stages within a budget": [
        ("order", stages(lambda c, k: (1 + k, c))),
        ("no-gradient", stages(lambda c, k: (c - 1, k))),
        ("a-column-too-many", stages(lambda c, k: (1 + c, 1 + k))),
        ("classes-in-both", stages(lambda c, k: (c, 1 + k * (c - 1)))),
        ("columns-in-both", stages(lambda c, k: (1 + k * (c - 1), 1 + k))),
        ("gradient-alone", stages(lambda c, k: (1, 1))),
        ("one-example", lambda passes, n, c, k: (passes // c, passes // (1 + k))),
        ("rounded-up", rounded_by(math.ceil)),
        ("rounded", rounded_by(round)),
        ("not-whole", rounded_by(float)),
        ("parts", lambda passes, n, c, k: passes // (n * c)),
        ("other", lambda passes, n, c, k: (1, 2)),
    ],
    "the whole network": [
        ("unchanged", lambda share, *network: (share, covered(*network))),
        ("wrong-way", lambda share, *network: (share * covered(*network), covered(*network))),
        ("others-forgotten", with_coverage(lambda sizes, can, others: covered(sizes, can, 0))),
        ("left-out-forgotten", with_coverage(lambda s, can, others: s[can].sum().item() / (s[can].sum() + others))),
        ("layers-counted", with_coverage(lambda sizes, can, others: can.sum() / len(can))),
        ("not-capped", lambda share, *network: (share / covered(*network), covered(*network))),
        ("complement", lambda share, *network: (1 - min(1, share / covered(*network)), covered(*network))),
        ("left-out-share", lambda share, *network: (min(1, share / covered(*network)), 1 - covered(*network))),
        ("order", lambda share, *network: (covered(*network), min(1, share / covered(*network)))),
        ("parts", lambda share, *network: share / covered(*network)),
        ("other", lambda share, *network: (0.123, covered(*network))),
    ],
    "cheap enough": [
        ("best", lambda change, *others: change.mean(0).argmin()),
        ("cheapest-of-all", lambda change, seconds, *others: seconds.argmin()),
        ("mean-alone", cheapest(lambda mean, reach, limit: mean <= limit)),
        ("lower-end", cheapest(lambda mean, reach, limit: mean - reach <= limit)),
        ("unpaired", unpaired),
        ("n-in-the-spread", spread_by(lambda n, t: math.sqrt((n - 1) / n))),
        ("n-minus-one-in-the-root", spread_by(lambda n, t: math.sqrt(n / (n - 1)))),
        ("no-sign", without_sign),
        ("normal", spread_by(lambda n, t: 1.96 / t)),
        ("no-root", spread_by(lambda n, t: math.sqrt(n))),
        ("wrong-axis", best_by_the_wrong_axis),
        ("margin-of-all", lambda c, s, t, m: cheapest()(c, s, t, m * c.mean() / c.mean(0).min())),
        ("place-among-good", lambda c, s, t, m: s[good_ones(c, t, m)].argmin()),
        ("seconds", lambda c, s, t, m: s[good_ones(c, t, m)].min()),
        (
            "margin-in-nats",
            lambda c, s, t, margin: cheapest(lambda m, r, limit: m + r <= limit)(c, s, t, margin / c.mean(0).min()),
        ),
        ("first-good", lambda c, s, t, margin: good_ones(c, t, margin)[0]),
        ("dearest", lambda c, s, t, margin: max(good_ones(c, t, margin), key=lambda k: float(s[k]))),
        ("shape", lambda change, *others: change.mean(0)),
        ("other", lambda change, *others: 99),
    ],
}
