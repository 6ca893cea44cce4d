"""Wrong answers to the exercises of notebook 04, as learners give them, and the mistake that the check must name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from scipy.stats import kendalltau, pearsonr, rankdata, spearmanr
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


def pearson(a: Any, b: Any) -> float:
    return float(np.corrcoef(np.asarray(a), np.asarray(b))[0, 1])


def ranked(rank: Answer, other: Answer | None = None) -> Answer:
    """Return Pearson's correlation of other ranks; of `other` ranks of the second argument."""
    return lambda a, b: pearson(rank(a), (other or rank)(b))


def products(of: Answer) -> Answer:
    """Return an answer made of the ranks less their means."""
    return lambda a, b: float(of(*(rankdata(z) - (len(z) + 1) / 2 for z in (a, b))))


def short_formula(method: str) -> Answer:
    def answer(a: Tensor, b: Tensor) -> float:
        d, n = rankdata(a, method) - rankdata(b, method), len(a)
        return float(1 - 6 * (d**2).sum() / (n * (n**2 - 1)))

    return answer


def itself_not_counted(x: Tensor) -> Tensor:
    others = (x[:, None] == x[None, :]).sum(1) - 1
    return (x[:, None] > x[None, :]).sum(1) + torch.where(others > 0, others / 2, torch.ones(len(x)))


def each(change: Any, gap: Any, of: Answer = spearmanr) -> np.ndarray:
    return np.array([of(x, y).statistic for x, y in zip(change, gap, strict=True)])


def ends(values: Any, low: float = 2.5, high: float = 97.5) -> tuple[float, float]:
    found = np.percentile(np.asarray(values), [low, high])
    return float(found[0]), float(found[1])


def of_draws(how: Answer = ends, mean: Answer = lambda x: x.mean(1), correlations: Answer = each) -> Answer:
    """Return an interval read off otherwise, from another summary of each draw, or from other correlations."""
    return lambda change, gap, drawn: how(mean(correlations(change, gap)[drawn.numpy()]))


def around(values: np.ndarray, width: float) -> tuple[float, float]:
    return float(values.mean() - width), float(values.mean() + width)


def of_each_draw(of: Answer) -> Answer:
    """Return an interval of one number for each draw, made of (change, gap, the seeds of the draw)."""
    return lambda change, gap, drawn: ends([of(change, gap, draw) for draw in drawn])


def runs_drawn_afresh(change: Tensor, gap: Tensor, drawn: Tensor) -> tuple[float, float]:
    means = []
    for _ in range(150):
        runs = torch.randint(change.shape[1], (change.shape[1],))
        means.append(each(change[:, runs], gap[:, runs]).mean())
    return ends(means)


def own_draws(change: Tensor, gap: Tensor, drawn: Tensor) -> tuple[float, float]:
    own = np.random.default_rng(0).integers(0, len(change), (5000, len(change)))
    return ends(each(change, gap)[own].mean(1))


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
        ("least-spread", choose(lambda v, t: v.std(1).argmin())),
        ("worst-seed", choose(lambda v, t: v.amax(1).argmin())),
        ("last-of-equals", choose(last_of_equals)),
        ("last-of-equals", choose(lambda v, t: (len(v) - 1) - v.mean(1).flip(0).argmin())),
        ("row-per-seed", row_per_seed),
        ("row-not-index", lambda v, t: (v.mean(1).min(), 0.1, 0.1)),
        ("counted-from-one", counted_from_one),
        ("validation-reported", report_all(lambda v, t, row: v[row].mean(), lambda v, t, row: v[row].std())),
        ("lowest-test-reported", report_all(lambda v, t, row: t.mean(1).min())),
        ("all-rows-reported", report_all(lambda v, t, row: t.mean())),
        ("difference-reported", report_all(lambda v, t, row: (t[row] - v[row]).mean())),
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
    "rank correlation": [
        ("no-ranks", pearson),
        ("argsort-once", ranked(lambda z: z.argsort())),
        ("ties-in-order", ranked(lambda z: z.argsort(stable=True).argsort())),
        ("ties-in-order", ranked(lambda z: rankdata(z, "ordinal"))),
        ("ties-lowest", ranked(lambda z: (z[:, None] > z[None, :]).sum(1))),
        ("ties-highest", ranked(lambda z: (z[:, None] >= z[None, :]).sum(1))),
        ("ties-dense", ranked(lambda z: torch.unique(z, return_inverse=True)[1])),
        ("ties", ranked(itself_not_counted)),
        ("short-formula", short_formula("average")),
        ("ties-in-order", short_formula("ordinal")),
        ("kendall", lambda a, b: kendalltau(a, b).statistic),
        ("sign", ranked(rankdata, lambda z: rankdata(-z))),
        ("no-sign", lambda a, b: abs(spearmanr(a, b).statistic)),
        ("squared", lambda a, b: spearmanr(a, b).statistic ** 2),
        ("not-divided", products(lambda x, y: (x * y).sum())),
        ("covariance", products(lambda x, y: (x * y).mean())),
        ("covariance-n-minus-one", lambda a, b: np.cov(rankdata(a), rankdata(b))[0, 1]),
        ("n-over-n-minus-one", products(lambda x, y: (x * y).mean() / (x.std(ddof=1) * y.std(ddof=1)))),
        ("n-minus-one-over-n", products(lambda x, y: (x * y).sum() / (len(x) - 1) / (x.std() * y.std()))),
        ("no-root", products(lambda x, y: (x * y).sum() / ((x**2).sum() * (y**2).sum()))),
        ("not-centred", lambda a, b: (x := rankdata(a)) @ (y := rankdata(b)) / np.sqrt((x @ x) * (y @ y))),
        ("second-not-ranked", ranked(rankdata, np.asarray)),
        ("first-not-ranked", ranked(np.asarray, rankdata)),
        ("shape", spearmanr),
        ("type", lambda a, b: (torch.from_numpy(rankdata(a)), spearmanr)),
        ("other", lambda a, b: 0.123),
    ],
    "interval over seeds": [
        ("ninety-per-cent", of_draws(lambda m: ends(m, 5, 95))),
        ("upper-end-only", of_draws(lambda m: ends(m, 0, 95))),
        ("lower-end-only", of_draws(lambda m: ends(m, 5, 100))),
        ("quartiles", of_draws(lambda m: ends(m, 25, 75))),
        ("ninety-nine-per-cent", of_draws(lambda m: ends(m, 0.5, 99.5))),
        ("quantile-for-percentile", of_draws(lambda m: ends(m, 0.025, 0.975))),
        ("extremes", of_draws(lambda m: (m.min(), m.max()))),
        ("turned-round", of_draws(lambda m: ends(m)[::-1])),
        ("normal-of-draws", of_draws(lambda m: around(m, 1.96 * m.std()))),
        ("normal-of-seeds", lambda c, g, d: around(r := each(c, g), 1.96 * r.std(ddof=1) / len(r) ** 0.5)),
        ("spread-of-seeds", lambda c, g, d: around(r := each(c, g), r.std(ddof=1))),
        ("of-seeds", lambda c, g, d: ends(each(c, g))),
        ("no-mean", of_draws(mean=lambda x: x)),
        ("wrong-axis", of_draws(mean=lambda x: x.mean(0))),
        ("median", of_draws(mean=lambda x: np.median(x, 1))),
        ("sum", of_draws(mean=lambda x: x.sum(1))),
        ("each-seed-once", lambda c, g, d: ends([each(c, g)[np.unique(draw)].mean() for draw in d])),
        ("pearson", of_draws(correlations=lambda c, g: each(c, g, pearsonr))),
        ("across-seeds", of_draws(correlations=lambda c, g: each(c.T, g.T))),
        ("across-seeds", of_each_draw(lambda c, g, d: spearmanr(c.mean(1)[d], g.mean(1)[d]).statistic)),
        ("pooled", of_each_draw(lambda c, g, d: spearmanr(c[d].flatten(), g[d].flatten()).statistic)),
        ("drawn-as-runs", of_each_draw(lambda c, g, d: each(c[:, d], g[:, d]).mean())),
        ("undefined", lambda c, g, d: (np.nan, 0.5)),
        ("runs-drawn", runs_drawn_afresh),
        ("own-draws", own_draws),
        ("parts", lambda c, g, d: float(each(c, g).mean())),
        ("parts", of_draws(lambda m: tuple(np.percentile(m, [2.5, 50, 97.5])))),
        ("parts", of_draws(lambda m: m)),
        ("other", lambda c, g, d: (-5, 5)),
    ],
    "finding three": [
        ("no-relation", "a"),
        ("best-run", "B"),
        ("proved-zero", "d"),
        *(("no-option", answer) for answer in ("e", 3, "c and d", "Keeping the loss does not matter.")),
    ],
}
