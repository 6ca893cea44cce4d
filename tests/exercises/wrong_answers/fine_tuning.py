"""Wrong answers to the exercises of notebook 04, and the mistake that the check must name."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

Answer = Callable[..., Any]


def plain(w: Tensor, v: Tensor, g: Tensor, lr: float, m: float, wd: float) -> tuple[Tensor, Tensor]:
    v = m * v + g + wd * w
    return w - lr * v, v


def masked(step: Answer = plain) -> Answer:
    """Return an answer that masks both results of a step."""

    def answer(w: Tensor, v: Tensor, g: Tensor, k: Tensor, *numbers: float) -> tuple[Tensor, Tensor]:
        w, v = step(w, v, g, *numbers)
        return w * k, v * k

    return answer


def through(how: Callable[..., Any]) -> Answer:
    """Return an answer made of the unmasked step (new weights, new velocity) and the arguments."""
    return lambda w, v, g, k, *numbers: how(*plain(w, v, g, *numbers), w, v, g, k, *numbers)


def with_velocity(new: Callable[..., Tensor]) -> Answer:
    """Return a masked step with another velocity, made of (w, v, g, lr, m, wd)."""

    def step(w: Tensor, v: Tensor, g: Tensor, lr: float, m: float, wd: float) -> tuple[Tensor, Tensor]:
        velocity = new(w, v, g, lr, m, wd)
        return w - lr * velocity, velocity

    return masked(step)


def with_step(new: Callable[..., Tensor]) -> Answer:
    """Return a masked step with other weights, made of the new velocity and (w, v, g, lr, m, wd)."""

    def step(w: Tensor, v: Tensor, g: Tensor, lr: float, m: float, wd: float) -> tuple[Tensor, Tensor]:
        velocity = m * v + g + wd * w
        return new(velocity, w, v, g, lr, m, wd), velocity

    return masked(step)


def decay_afterwards(w: Tensor, v: Tensor, g: Tensor, lr: float, m: float, wd: float) -> tuple[Tensor, Tensor]:
    v = m * v + g
    w = w - lr * v
    return w - lr * wd * w, v


def decay_apart(w: Tensor, v: Tensor, g: Tensor, lr: float, m: float, wd: float) -> tuple[Tensor, Tensor]:
    v = m * v + g
    return w - lr * v - lr * wd * w, v


def moving_average(w: Tensor, v: Tensor, g: Tensor, lr: float, m: float, wd: float) -> tuple[Tensor, Tensor]:
    v = m * v + (1 - m) * (g + wd * w)
    return w - lr * v, v


def nesterov(w: Tensor, v: Tensor, g: Tensor, lr: float, m: float, wd: float) -> tuple[Tensor, Tensor]:
    v = m * v + g + wd * w
    return w - lr * (g + wd * w + m * v), v


def look_ahead(w: Tensor, v: Tensor, g: Tensor, lr: float, m: float, wd: float) -> tuple[Tensor, Tensor]:
    ahead = m * v - lr * (g + wd * w)
    return w - m * v + (1 + m) * ahead, ahead


def inputs_in_place(w: Tensor, v: Tensor, g: Tensor, k: Tensor, *numbers: float) -> tuple[Tensor, Tensor]:
    for x in (w, v, g):
        x[~k] = 0
    return plain(w, v, g, *numbers)


def momentum_in_place(w: Tensor, v: Tensor, g: Tensor, k: Tensor, lr: float, m: float, wd: float) -> Any:
    v.mul_(m).add_(g).add_(wd * w)
    w.sub_(lr * v)
    return w * k, v * k


def choose(row: Answer) -> Answer:
    """Return an answer that chooses another row, and reports its mean test error and spread."""

    def answer(valid: Tensor, test: Tensor) -> tuple[int, Tensor, Tensor]:
        found = int(row(valid, test))
        return found, test[found].mean(), test[found].std()

    return answer


def report(mean: Answer = torch.mean, spread: Answer = torch.std) -> Answer:
    """Return an answer with the right row, and another mean or spread of its test errors."""

    def answer(valid: Tensor, test: Tensor) -> tuple[Tensor, Any, Any]:
        row = valid.mean(1).argmin()
        return row, mean(test[row]), spread(test[row])

    return answer


def report_all(
    mean: Answer = lambda v, t, row: t[row].mean(), spread: Answer = lambda v, t, row: t[row].std()
) -> Answer:
    """Return an answer with the right row, and a mean or spread of all errors."""

    def answer(valid: Tensor, test: Tensor) -> tuple[Tensor, Any, Any]:
        row = valid.mean(1).argmin()
        return row, mean(valid, test, row), spread(valid, test, row)

    return answer


def row_per_seed(valid: Tensor, test: Tensor) -> tuple[int, Tensor, Tensor]:
    rows = valid.argmin(0)
    errors = test[rows, torch.arange(test.shape[1])]
    return int(rows.mode().values), errors.mean(), errors.std()


def last_of_equals(valid: Tensor, test: Tensor) -> Tensor:
    return (valid.mean(1) == valid.mean(1).min()).nonzero()[-1]


def counted_from_one(valid: Tensor, test: Tensor) -> tuple[int, Tensor, Tensor]:
    row, mean, spread = choose(lambda v, t: v.mean(1).argmin())(valid, test)
    return row + 1, mean, spread


def in_layers(scores: Answer = torch.abs, number: Answer = lambda part: int(part.sum())) -> Answer:
    """Return a mask of the highest scores of each layer, as many as a number says of what is kept there."""

    def answer(weights: Tensor, kept: Tensor, sizes: list[int]) -> Tensor:
        found = []
        for part, of_layer in zip(scores(weights).split(sizes), kept.split(sizes), strict=True):
            mask = torch.zeros(len(part), dtype=torch.bool)
            mask[part.topk(number(of_layer)).indices] = True
            found.append(mask)
        return torch.cat(found)

    return answer


def cut_at(rule: Answer) -> Answer:
    """Return a mask that a rule of each layer's sizes and its number of weights to keep decides."""

    def answer(weights: Tensor, kept: Tensor, sizes: list[int]) -> Tensor:
        parts = zip(weights.abs().split(sizes), kept.split(sizes), strict=True)
        return torch.cat([rule(size, int(of_layer.sum())) for size, of_layer in parts])

    return answer


def over_all_layers(weights: Tensor, kept: Tensor, sizes: list[int]) -> Tensor:
    return in_layers()(weights, kept, [len(weights)])


def equal_shares(weights: Tensor, kept: Tensor, sizes: list[int]) -> Tensor:
    share = kept.sum().item() / len(kept)
    return in_layers(number=lambda part: round(len(part) * share))(weights, kept, sizes)


def reach(how: Callable[[Tensor, int, float], Any], of: Answer = torch.sub) -> Answer:
    """Return an interval around the mean difference that reaches as far as `how` says of (differences, n, t)."""

    def answer(a: Tensor, b: Tensor, t: float) -> tuple[Any, Any, Any]:
        mean, r = (a - b).mean(), how(of(a, b), len(a), t)
        return mean, mean - r, mean + r

    return answer


student = reach(lambda d, n, t: t * d.std() / math.sqrt(n))


def unpaired(a: Tensor, b: Tensor, t: float) -> tuple[Tensor, Tensor, Tensor]:
    error = (a.var() / len(a) + b.var() / len(b)).sqrt()
    return (a.mean() - b.mean()), (a.mean() - b.mean()) - t * error, (a.mean() - b.mean()) + t * error


def sorted_less(a: Tensor, b: Tensor) -> Tensor:
    return a.sort()[0] - b.sort()[0]


def without_signs(a: Tensor, b: Tensor, t: float) -> tuple[Tensor, Tensor, Tensor]:
    d = (a - b).abs()
    r = t * d.std() / math.sqrt(len(d))
    return d.mean(), d.mean() - r, d.mean() + r


WRONG: dict[str, list[tuple[str, Any]]] = {
    "masked step": [
        ("no-mask", lambda w, v, g, k, *r: plain(w, v, g, *r)),
        ("gradient-alone", lambda w, v, g, k, *r: plain(w, v, g * k, *r)),
        ("momentum-trap", lambda w, v, g, k, *r: plain(w * k, v, g * k, *r)),
        ("velocity-not-masked", through(lambda new, velocity, w, v, g, k, *r: (new * k, velocity))),
        ("velocity-keeps-momentum", lambda w, v, g, k, *r: (plain(w, v, g, *r)[0] * k, plain(w * k, v, g * k, *r)[1])),
        ("weights-not-masked", through(lambda new, u, w, v, g, k, lr, *r: (w - lr * u * k, u * k))),
        ("mask-inverted", lambda w, v, g, k, *r: masked()(w, v, g, ~k, *r)),
        ("mask-from-zeros", lambda w, v, g, k, *r: masked()(w, v, g, w != 0, *r)),
        ("pruned-not-zero", lambda w, v, g, k, *r: [x + 0.5 * ~k for x in masked()(w, v, g, k, *r)]),
        ("no-decay", with_velocity(lambda w, v, g, lr, m, wd: m * v + g)),
        ("decay-sign", with_velocity(lambda w, v, g, lr, m, wd: m * v + g - wd * w)),
        ("decay-afterwards", masked(decay_afterwards)),
        ("decay-apart", masked(decay_apart)),
        ("no-momentum", with_velocity(lambda w, v, g, lr, m, wd: g + wd * w)),
        ("momentum-one", with_velocity(lambda w, v, g, lr, m, wd: v + g + wd * w)),
        ("damped", with_velocity(lambda w, v, g, lr, m, wd: m * v + (1 - m) * (g + wd * w))),
        ("damped", with_velocity(lambda w, v, g, lr, m, wd: m * v + (1 - m) * g + wd * w)),
        ("damped", with_velocity(lambda w, v, g, lr, m, wd: (1 - m) * v + m * (g + wd * w))),
        ("damped", lambda w, v, g, k, *r: moving_average(w, v, g, *r)),
        ("damped", lambda w, v, g, k, *r: (moving_average(w, v, g, *r)[0] * k, moving_average(w, v, g, *r)[1])),
        ("nesterov", lambda w, v, g, k, *r: nesterov(w, v, g, *r)),
        ("nesterov", lambda w, v, g, k, *r: (nesterov(w, v, g, *r)[0] * k, nesterov(w, v, g, *r)[1])),
        ("nesterov", masked(look_ahead)),
        ("rate-in-velocity", masked(lambda w, v, g, lr, m, wd: (w + (u := m * v - lr * (g + wd * w)), u))),
        ("rate-in-velocity", masked(lambda w, v, g, lr, m, wd: (w - (u := m * v + lr * (g + wd * w)), u))),
        ("uphill", with_step(lambda u, w, v, g, lr, m, wd: w + lr * u)),
        ("no-rate", with_step(lambda u, w, v, g, lr, m, wd: w - u)),
        ("old-velocity", with_step(lambda u, w, v, g, lr, m, wd: w - lr * v)),
        ("gradient-step", with_step(lambda u, w, v, g, lr, m, wd: w - lr * (g + wd * w))),
        ("nesterov", with_step(lambda u, w, v, g, lr, m, wd: w - lr * (g + wd * w + m * u))),
        ("order", lambda *given: masked()(*given)[::-1]),
        ("parts", lambda *given: masked()(*given)[0]),
        ("shape", through(lambda new, velocity, w, v, g, k, *r: (new[k], velocity[k]))),
        ("in-place", inputs_in_place),
        ("in-place", momentum_in_place),
        ("other", lambda *given: (masked()(*given)[0] * 2, masked()(*given)[1])),
    ],
    "fair choice": [
        ("by-test", choose(lambda v, t: t.mean(1).argmin())),
        ("by-both", choose(lambda v, t: (v + t).mean(1).argmin())),
        ("single-entry", choose(lambda v, t: v.argmin() // v.shape[1])),
        ("single-entry", choose(lambda v, t: v.amin(1).argmin())),
        ("first-seed", choose(lambda v, t: v[:, 0].argmin())),
        ("largest", choose(lambda v, t: v.mean(1).argmax())),
        ("wrong-axis", choose(lambda v, t: v.mean(0).argmin())),
        ("mean-plus-spread", choose(lambda v, t: (v.mean(1) + v.std(1)).argmin())),
        ("median", choose(lambda v, t: v.median(1).values.argmin())),
        ("worst-seed", choose(lambda v, t: v.amax(1).argmin())),
        ("last-of-equals", choose(last_of_equals)),
        ("last-of-equals", choose(lambda v, t: (len(v) - 1) - v.mean(1).flip(0).argmin())),
        ("row-per-seed", row_per_seed),
        ("row-not-index", lambda v, t: (v.mean(1).min(), 0.1, 0.1)),
        ("counted-from-one", counted_from_one),
        ("validation-reported", report_all(lambda v, t, row: v[row].mean(), lambda v, t, row: v[row].std())),
        ("lowest-test-reported", report_all(lambda v, t, row: t.mean(1).min())),
        ("best-seed-reported", report(torch.min)),
        ("median-reported", report(torch.median)),
        ("first-seed-reported", report(lambda t: t[0])),
        ("per-cent", report(lambda t: 100 * t.mean(), lambda t: 100 * t.std())),
        ("spread-per-cent", report(spread=lambda t: 100 * t.std())),
        ("divided-by-n", report(spread=lambda t: t.std(correction=0))),
        ("standard-error", report(spread=lambda t: t.std() / len(t) ** 0.5)),
        ("variance", report(spread=torch.var)),
        ("range", report(spread=lambda t: t.max() - t.min())),
        ("spread-of-all", report_all(spread=lambda v, t, row: t.std())),
        ("spread-over-rows", report_all(spread=lambda v, t, row: t.mean(1).std())),
        ("spread-of-validation", report_all(spread=lambda v, t, row: v[row].std())),
        ("shape", report(lambda t: t)),
        ("parts", lambda v, t: t[v.mean(1).argmin()].mean()),
        ("other", report(spread=lambda t: 0.7)),
    ],
    "same shares": [
        ("unchanged", lambda w, k, sizes: k),
        ("over-all-layers", over_all_layers),
        ("equal-shares", equal_shares),
        ("signed", in_layers(lambda w: w)),
        ("smallest", in_layers(lambda w: -w.square())),
        ("inverted", lambda *given: ~in_layers()(*given)),
        ("pruned-for-kept", in_layers(number=lambda part: int((~part).sum()))),
        ("threshold", cut_at(lambda size, k: size >= size.topk(k).values.min())),
        ("threshold", cut_at(lambda size, k: size >= size.sort(descending=True).values[k - 1])),
        ("threshold", cut_at(lambda size, k: size > (size.kthvalue(len(size) - k).values if k < len(size) else -1))),
        ("counts", in_layers(number=lambda part: min(len(part), int(part.sum()) + 1))),
        ("dtype", lambda *given: in_layers()(*given).float()),
        ("shape", lambda w, k, sizes: in_layers()(w, k, sizes)[: sizes[0]]),
        ("other", in_layers(lambda w: -(w - 0.3).abs())),
    ],
    "paired interval": [
        ("sign", lambda a, b, t: student(b, a, t)),
        ("turned-round", lambda *given: [student(*given)[i] for i in (0, 2, 1)]),
        ("unpaired", unpaired),
        ("pairs-broken", reach(lambda d, n, t: t * d.std() / math.sqrt(n), sorted_less)),
        ("not-of-the-mean", reach(lambda d, n, t: t * d.std())),
        ("divided-by-n", reach(lambda d, n, t: t * d.std() / n)),
        ("n-in-the-spread", reach(lambda d, n, t: t * np.std(d.numpy()) / math.sqrt(n))),
        ("normal", reach(lambda d, n, t: 1.96 * d.std() / math.sqrt(n))),
        ("one-error", reach(lambda d, n, t: d.std() / math.sqrt(n))),
        ("variance", reach(lambda d, n, t: t * d.var() / math.sqrt(n))),
        ("range", lambda a, b, t: ((a - b).mean(), (a - b).min(), (a - b).max())),
        ("percentiles", lambda a, b, t: ((a - b).mean(), *np.percentile((a - b).numpy(), [2.5, 97.5]))),
        ("first-alone", reach(lambda d, n, t: t * d.std() / math.sqrt(n), lambda a, b: a)),
        ("reach-alone", lambda *given: [x - (i > 0) * student(*given)[0] for i, x in enumerate(student(*given))]),
        ("without-signs", without_signs),
        ("median", lambda a, b, t: (np.median((a - b).numpy()), *student(a, b, t)[1:])),
        ("parts", lambda *given: student(*given)[1:]),
        ("shape", lambda a, b, t: (a - b, a, b)),
        ("other", lambda a, b, t: (a.mean() - b.mean(), -7, 9)),
    ],
    "finding three": [
        ("shares-alone", "a"),
        ("best-run", "B"),
        ("proved-zero", "d"),
        *(("no-option", answer) for answer in ("e", 3, "c and d", "Keeping the loss does not matter.")),
    ],
}
