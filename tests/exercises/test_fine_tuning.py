"""The checks of notebook 04: right answers in other styles pass, and each mistake is named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import kendalltau, rankdata, spearmanr
from test_solutions import answers
from torch import Tensor

from lossprune_lib import exercises


def step(w: Tensor, v: Tensor, g: Tensor, k: Tensor, lr: float, m: float, wd: float) -> tuple[Tensor, Tensor]:
    v = m * v + g + wd * w
    return w - lr * v, v


def only_weights(*arguments: Any) -> tuple[Tensor, Tensor]:
    w, v = step(*arguments)
    return w * arguments[3], v


def only_gradient(w: Tensor, v: Tensor, g: Tensor, k: Tensor, *rest: float) -> tuple[Tensor, Tensor]:
    return step(w, v, g * k, k, *rest)


def old_velocity(w: Tensor, v: Tensor, g: Tensor, k: Tensor, *rest: float) -> tuple[Tensor, Tensor]:
    return step(w * k, v, g * k, k, *rest)


def masked(*arguments: Any) -> tuple[Tensor, Tensor]:
    w, v = step(*arguments)
    return w * arguments[3], v * arguments[3]


def by(how: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor], tuple[int, float, float]]:
    def choose(valid: Tensor, test: Tensor) -> tuple[int, float, float]:
        row = int(how(valid, test))
        return row, float(test[row].mean()), float(test[row].std())

    return choose


def right_row(valid: Tensor, test: Tensor) -> Tensor:
    return test[valid.mean(1).argmin()]


def reporting(
    value: Callable[[Tensor], Any], spread: Callable[[Tensor], Any] = torch.std
) -> Callable[[Tensor, Tensor], Any]:
    return lambda v, t: (v.mean(1).argmin(), value(right_row(v, t)), spread(right_row(v, t)))


def pearson(a: Any, b: Any) -> float:
    return float(np.corrcoef(a, b)[0, 1])


def short_formula(a: Tensor, b: Tensor) -> float:
    n = len(a)
    return float(1 - 6 * ((rankdata(a) - rankdata(b)) ** 2).sum() / (n**3 - n))


def of_seeds(change: Tensor, gap: Tensor) -> np.ndarray:
    return np.array([spearmanr(a, b).statistic for a, b in zip(change, gap, strict=True)])


def ends(values: Any, low: float = 2.5, high: float = 97.5) -> tuple[float, float]:
    found = np.percentile(values, [low, high])
    return float(found[0]), float(found[1])


def runs_drawn(change: Tensor, gap: Tensor, drawn: Tensor) -> tuple[float, float]:
    """Draw each seed's runs again, afresh."""
    means = []
    for _ in range(150):
        runs = torch.randint(change.shape[1], (change.shape[1],))
        means.append(of_seeds(change[:, runs], gap[:, runs]).mean())
    return ends(means)


def pooled(change: Tensor, gap: Tensor, drawn: Tensor) -> tuple[float, float]:
    return ends([spearmanr(change[seeds].flatten(), gap[seeds].flatten()).statistic for seeds in drawn])


def own_draws(change: Tensor, gap: Tensor, drawn: Tensor) -> tuple[float, float]:
    each = torch.from_numpy(of_seeds(change, gap))
    return ends(each[torch.randint(len(each), (5000, len(each)))].mean(1))


WRONG: list[tuple[str, Any, str]] = [
    ("masked step", step, "Nothing is masked"),
    ("masked step", only_weights, "the velocity of pruned weights is not zero"),
    ("masked step", only_gradient, "Only the gradient is masked"),
    ("masked step", old_velocity, "momentum trap"),
    ("masked step", lambda w, v, g, k, *r: masked(w, v, g, ~k, *r), "turned round"),
    ("masked step", lambda w, v, g, k, lr, m, wd: masked(w, v, g, k, lr, m, 0), "Weight decay is missing"),
    ("masked step", lambda w, v, g, k, lr, m, wd: masked(w, v, g, k, lr, 0, wd), "old velocity is missing"),
    ("masked step", lambda w, v, g, k, lr, m, wd: masked(w, v, g, k, -lr, m, wd), "uphill"),
    ("masked step", lambda w, v, g, k, lr, m, wd: masked(w, v, g, k, 1, m, wd), "learning rate is missing"),
    ("masked step", lambda *a: masked(*a)[::-1], "wrong order"),
    ("masked step", lambda *a: masked(*a)[0], "two things"),
    ("masked step", lambda w, v, *rest: masked(w.mul_(1.5), v, *rest), "in place"),
    ("masked step", lambda *a: (masked(*a)[0][:2], masked(*a)[1]), "has the shape"),
    ("masked step", lambda *a: (masked(*a)[0] * 2, masked(*a)[1]), "of a kept weight is wrong"),
    ("fair choice", by(lambda v, t: t.mean(1).argmin()), "chose by the test error"),
    ("fair choice", by(lambda v, t: v.amin(1).argmin()), "lucky seed"),
    ("fair choice", by(lambda v, t: v[:, 0].argmin()), "first seed alone"),
    ("fair choice", by(lambda v, t: v.mean(1).argmax()), "largest error"),
    ("fair choice", by(lambda v, t: (len(v) - 1) - v.mean(1).flip(0).argmin()), "take the first"),
    ("fair choice", reporting(lambda t: t.min()), "best seed"),
    ("fair choice", reporting(torch.mean, lambda t: t.std(correction=0)), "n - 1"),
    ("fair choice", reporting(torch.mean, lambda t: t.std() / len(t) ** 0.5), "standard error"),
    ("fair choice", reporting(lambda t: 100 * t.mean()), "per cent"),
    ("fair choice", lambda v, t: (v.mean(1).argmin(), v.mean(1).min(), right_row(v, t).std()), "its validation error"),
    ("fair choice", lambda v, t: (v.argmin(0)[0], t.gather(0, v.argmin(0)[None]).mean(), 0), "row of its own"),
    ("fair choice", lambda v, t: right_row(v, t).mean(), "three numbers"),
    ("fair choice", lambda v, t: (v.mean(1).min(), 0.1, 0.1), "whole number"),
    ("rank correlation", pearson, "Pearson's correlation of the numbers"),
    ("rank correlation", lambda a, b: pearson(a.argsort(), b.argsort()), "argsort"),
    ("rank correlation", lambda a, b: pearson(rankdata(a, "ordinal"), rankdata(b, "ordinal")), "where they stand"),
    ("rank correlation", lambda a, b: pearson(rankdata(a, "min"), rankdata(b, "min")), "lowest of their ranks"),
    ("rank correlation", lambda a, b: pearson(rankdata(a, "dense"), rankdata(b, "dense")), "without gaps"),
    ("rank correlation", lambda a, b: pearson(a.argsort().argsort(), b.argsort().argsort()), "qual numbers"),
    ("rank correlation", short_formula, "short formula"),
    ("rank correlation", lambda a, b: kendalltau(a, b).statistic, "Kendall"),
    ("rank correlation", lambda a, b: -spearmanr(a, b).statistic, "sign"),
    ("rank correlation", lambda a, b: spearmanr(a, b).statistic ** 2, "squared"),
    ("rank correlation", lambda a, b: np.cov(rankdata(a), rankdata(b))[0, 1], "covariance"),
    ("rank correlation", lambda a, b: 0.123, "it should be"),
    ("interval over seeds", lambda c, g, d: ends(of_seeds(c, g)[d].mean(1), 5, 95), "90 %"),
    ("interval over seeds", lambda c, g, d: ends(of_seeds(c, g)[d].mean(1))[::-1], "turned round"),
    ("interval over seeds", lambda c, g, d: ends(of_seeds(c, g)), "correlations themselves"),
    ("interval over seeds", lambda c, g, d: ends(of_seeds(c, g)[d]), "not averaged"),
    ("interval over seeds", lambda c, g, d: ends(np.median(of_seeds(c, g)[d], 1)), "median"),
    ("interval over seeds", lambda c, g, d: ends(of_seeds(c, g)[d].mean(1), 0.025, 0.975), "np.quantile"),
    ("interval over seeds", runs_drawn, "runs had been drawn"),
    ("interval over seeds", pooled, "thrown together"),
    ("interval over seeds", own_draws, "given draws"),
    ("interval over seeds", lambda c, g, d: float(of_seeds(c, g).mean()), "two numbers"),
    ("interval over seeds", lambda c, g, d: (-5, 5), "seeds' correlations are"),
    ("finding three", "a", "all runs"),
    ("finding three", "B", "among the good ones"),
    ("finding three", "d", "no proof"),
    ("finding three", "e", "one of"),
]


def words(value: object) -> str | None:
    """What a case is called: functions are numbered, for their addresses differ from process to process."""
    return value[:30] if isinstance(value, str) else None


@pytest.mark.parametrize(("name", "answer", "diagnosis"), WRONG, ids=words)
def test_mistakes_are_named(name: str, answer: Any, diagnosis: str) -> None:
    for _ in range(3):
        verdict = exercises.check(name, answer)
        assert verdict.passed is False
        assert diagnosis in verdict.text, verdict


RIGHT: list[tuple[str, Any]] = [
    ("masked step", lambda w, v, g, k, *rest: [x.numpy() for x in masked(w, v, g, k, *rest)]),
    ("masked step", lambda w, v, g, k, *r: tuple(x.float() for x in masked(w * k, v * k, g, k, *r))),
    ("fair choice", lambda v, t: np.array([float(x) for x in by(lambda v, t: v.mean(1).argmin())(v, t)])),
    ("rank correlation", lambda a, b: torch.tensor(spearmanr(a, b).statistic)),
    ("rank correlation", lambda a, b: pearson(rankdata(a.float()), rankdata(b.float()))),
    ("interval over seeds", lambda c, g, d: torch.tensor(ends(of_seeds(c, g)[d].mean(1)))),
    (
        "interval over seeds",
        lambda c, g, d: tuple(np.quantile(of_seeds(c, g)[d.numpy()].mean(1), [0.025, 0.975], method="nearest")),
    ),
    ("finding three", " C "),
]


@pytest.mark.parametrize(("name", "answer"), RIGHT, ids=words)
def test_other_ways_to_write_it_pass(name: str, answer: Any) -> None:
    for _ in range(3):
        verdict = exercises.check(name, answer)
        assert verdict.passed, verdict


def test_the_right_step_is_that_of_torch() -> None:
    weight = torch.nn.Parameter(torch.randn(6, dtype=torch.float64))
    optimizer = torch.optim.SGD([weight], lr=0.1, momentum=0.9, weight_decay=0.05)
    kept, velocity = torch.tensor([True, False, True, True, False, True]), torch.zeros(6, dtype=torch.float64)
    ours = weight.detach() * kept
    solved = answers("04_fine_tuning", "solution")["masked_step"]
    for _ in range(3):
        weight.grad = torch.randn(6, dtype=torch.float64)
        ours, velocity = solved(ours, velocity, weight.grad, kept, 0.1, 0.9, 0.05)
        optimizer.step()
    assert torch.allclose(ours[kept], weight.detach()[kept])
    assert (ours[~kept] == 0).all()
