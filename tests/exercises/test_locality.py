"""The checks of notebook 03: right answers in other styles pass, and each mistake is named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lossprune_lib import criteria, exercises
from lossprune_lib.networks.masks import smallest

INF = torch.inf


def refused(name: str, answer: Any) -> str:
    """Return what a wrong answer is told, the same whatever the fresh cases are."""
    verdicts = [exercises.check(name, answer) for _ in range(5)]
    assert all(verdict.passed is False for verdict in verdicts), verdicts
    return verdicts[0].text


def test_schedules_in_other_styles_pass() -> None:
    def multiplied(sparsity: float, stages: int) -> list[float]:
        left, found = 1.0, []
        for _ in range(stages):
            left *= (1 - sparsity) ** (1 / stages)
            found.append(1 - left)
        return found

    for answer in (
        multiplied,
        lambda k, n: 1 - (1 - k) ** (np.arange(1, n + 1) / n),
        lambda k, n: 1 - (1 - k) ** (torch.arange(1, n + 1) / n),
        lambda k, n: tuple(multiplied(k, n)),
    ):
        assert exercises.check("exponential schedule", answer).passed


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda k, n: [k * i / n for i in range(1, n + 1)], "linear"),
        (lambda k, n: [k * (1 - (1 - i / n) ** 3) for i in range(1, n + 1)], "cubic"),
        (lambda k, n: [(1 - k) ** (i / n) for i in range(1, n + 1)], "shares that are kept"),
        (lambda k, n: [1 - (1 - k) ** (i / n) for i in range(n)], "one stage behind"),
        (lambda k, n: [1 - (1 - k) ** (i / n) for i in range(n + 1)], "before the first stage"),
        (lambda k, n: [100 - 100 * (1 - k) ** (i / n) for i in range(1, n + 1)], "per cent"),
        (lambda k, n: [k ** (i / n) for i in range(1, n + 1)], "power of the sparsity"),
        (lambda k, n: [1 - k ** (i / n) for i in range(1, n + 1)], "power of the sparsity, but"),
        (lambda k, n: [1 - (1 - k) ** (i / n) for i in range(n, 0, -1)], "reversed"),
        (lambda k, n: [1 - (1 - k) ** (1 / n)] * n, "share that each stage removes"),
        (lambda k, n: [i * (1 - (1 - k) ** (1 / n)) for i in range(1, n + 1)], "add the same share"),
        (lambda k, n: [1 - (1 - k) ** i for i in range(1, n + 1)], "exponent"),
        (lambda k, n: 1 - (1 - k) ** (1 / n), "2 numbers, one a stage"),
        (lambda k, n: "0.5, 0.75", "list of 2 numbers"),
        (lambda k, n: [0.9 * (1 - (1 - k) ** (i / n)) for i in range(1, n + 1)], "last stage must reach"),
        (lambda k, n: [k / (1 + n - i) ** 2 for i in range(1, n + 1)], "expected"),
        (0.5, "must be a function"),
    ],
)
def test_wrong_schedules_are_told_why(answer: Callable[..., Any], words: str) -> None:
    assert words in refused("exponential schedule", answer)


def stage(ranked: Tensor, k: int) -> Tensor:
    """Return a mask without the first k of a ranking."""
    return torch.ones(len(ranked), dtype=torch.bool).index_fill(0, ranked.argsort(stable=True)[:k], False)


def test_stages_in_other_styles_pass() -> None:
    def looped(saliency: Tensor, kept: Tensor, sparsity: float) -> Tensor:
        found = kept.clone()
        order = [i for i in saliency.argsort().tolist() if kept[i]]
        for i in order[: max(0, round(len(kept) * sparsity) - int((~kept).sum()))]:
            found[i] = False
        return found

    def floats(saliency: Tensor, kept: Tensor, sparsity: float) -> Any:
        order = np.where(kept.numpy(), saliency.numpy(), -np.inf).argsort()
        found = np.ones(len(order))
        found[order[: round(len(order) * sparsity)]] = 0
        return found

    def last_of_ties(saliency: Tensor, kept: Tensor, sparsity: float) -> Tensor:
        return stage(saliency.masked_fill(~kept, -INF).flip(0), round(len(kept) * sparsity)).flip(0)

    for answer in (looped, floats, last_of_ties):
        for _ in range(5):
            assert exercises.check("one stage", answer).passed


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda s, kept, k: ~stage(s.masked_fill(~kept, -INF), round(len(s) * k)), "mark what is pruned"),
        (lambda s, kept, k: stage(-s.masked_fill(~kept, INF), round(len(s) * k)), "largest saliency"),
        (lambda s, kept, k: stage(s, round(len(s) * k)), "pruned before are kept again"),
        (lambda s, kept, k: stage(s.masked_fill(~kept, INF), round(len(s) * k)), "pruned before are kept again"),
        (
            lambda s, kept, k: kept & stage(s.masked_fill(~kept, INF), round(len(s) * k)),
            "were pruned already, and you prune",
        ),
        (
            lambda s, kept, k: (
                kept & stage(s.masked_fill(~kept, -INF), int((~kept).sum()) + round(int(kept.sum()) * k))
            ),
            "of the weights that are left",
        ),
        (lambda s, kept, k: stage(s.masked_fill(~kept, -INF), int(len(s) * k)), "nearest whole number"),
        (lambda s, kept, k: stage(s.masked_fill(~kept, -INF), round(len(s) * (1 - k))), "share that is zero"),
        (lambda s, kept, k: stage(s.masked_fill(~kept, -INF), -int(-len(s) * k // 1)), "nearest whole number"),
        (lambda s, kept, k: stage(s.masked_fill(kept, -INF), round(len(s) * k)), "are kept first"),
        (lambda s, kept, k: kept & stage(s, round(len(s) * k)), "chooses among all weights"),
        (
            lambda s, kept, k: (
                kept & (s > s.masked_fill(~kept, -INF).sort().values[max(0, round(len(s) * k) - 1)]) if k else kept
            ),
            "all of them go",
        ),
        (
            lambda s, kept, k: kept & (s >= s.masked_fill(~kept, -INF).sort().values[round(len(s) * k)]),
            "all of them stay",
        ),
        (lambda s, kept, k: s.masked_fill(~kept, -INF).argsort()[: round(len(s) * k)], "indices"),
        (lambda s, kept, k: s * kept, "saliencies"),
        (lambda s, kept, k: kept, "must be 4"),
        (lambda s, kept, k: kept.logical_and_(s > k), "must be|changes its input"),
        (lambda s, kept, k: stage(s.masked_fill(~kept, -INF), round(len(s) * k))[:-1], "shape"),
        (
            lambda s, kept, k: torch.cat(
                [
                    stage(a.masked_fill(~b, -INF), round(len(a) * k))
                    for a, b in zip(s.chunk(2), kept.chunk(2), strict=True)
                ]
            ),
            "global",
        ),
    ],
)
def test_wrong_stages_are_told_why(answer: Callable[..., Any], words: str) -> None:
    text = refused("one stage", answer)
    assert any(part in text for part in words.split("|")), text


def loop(
    dense: Tensor, model_at: Any, kappas: list[float], criterion: str, penalty: float, /, **changes: Any
) -> Tensor:
    """Return what the loop keeps, with a mistake for each change."""
    kept = torch.ones_like(dense, dtype=torch.bool)
    once = model_at(dense, 1) if changes.get("once") else None
    for i, kappa in enumerate(kappas, start=changes.get("first", 1)):
        point = dense if changes.get("dense") else dense * kept
        model = once or model_at(point, changes.get("number", i))
        if "model" in changes:
            changes.setdefault("seen", model)
            model = changes["seen"]
        scores = changes.get("rule", criteria.saliency)(
            model, changes.get("criterion", criterion), changes.get("penalty", penalty)
        )
        if not changes.get("revive"):
            scores = scores.masked_fill(~kept, -INF)
        k = changes.get("rounding", round)(len(dense) * kappa)
        k = min(len(dense), k + int((~kept).sum())) if changes.get("added") else k
        k = int((~kept).sum()) + round(int(kept.sum()) * kappa) if changes.get("left") else k
        kept = ~smallest(scores, k)
    return kept


def wrong(**changes: Any) -> Callable[..., Tensor]:
    return lambda *arguments: loop(*arguments, **changes)


def signed(model: Any, criterion: str, penalty: float) -> Tensor:
    return criteria.modelled_change(model, criterion) + 0.5 * penalty * model.weights.square()


def test_loops_in_other_styles_pass() -> None:
    def by_hand(dense: Tensor, model_at: Any, kappas: list[float], criterion: str, penalty: float) -> Tensor:
        weights = dense.clone()
        gone: set[int] = set()
        for i, kappa in enumerate(kappas):
            saliency = criteria.saliency(model_at(weights, i + 1), criterion, penalty)
            order = [k for k in saliency.argsort(stable=True).tolist() if k not in gone]
            gone |= set(order[: round(len(dense) * kappa) - len(gone)])
            weights = weights.index_fill(0, torch.tensor(sorted(gone)), 0.0)
        return torch.tensor([k not in gone for k in range(len(dense))])

    def twice(dense: Tensor, model_at: Any, kappas: list[float], criterion: str, penalty: float) -> Tensor:
        return loop(dense, lambda w, i: model_at(w, i) and model_at(w, i), kappas, criterion, penalty)

    for answer in (by_hand, twice, wrong()):
        for _ in range(5):
            assert exercises.check("stage loop", answer).passed


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (wrong(once=True), "called once"),
        (wrong(dense=True), "made at the dense weights"),
        (wrong(number=1), "same batch"),
        (wrong(first=0), "counted 1, 2"),
        (wrong(penalty=0.0), "penalty has no effect"),
        (wrong(criterion="qm"), "this is what QM would keep"),
        (wrong(criterion="lm"), "this is what LM would keep"),
        (wrong(rule=signed), "sign of the modelled change"),
        (wrong(rule=lambda m, c, p: m.weights.square()), "magnitude alone"),
        (wrong(rule=lambda m, c, p: -criteria.saliency(m, c, p)), "largest saliencies|there again"),
        (wrong(model=True), "uses the first one only|not as they should be"),
        (wrong(rule=lambda m, c, p: -criteria.saliency(m, c, p), revive=True), "largest saliencies"),
        (wrong(rounding=int), "79 weights are zero, not 80"),
        (wrong(rounding=lambda x: -int(-x // 1)), "81 weights are zero, not 80|rounded up"),
        (wrong(added=True), "counts the weights pruned before"),
        (wrong(left=True), "not of those left"),
        (lambda dense, *rest: ~loop(dense, *rest), "what is pruned"),
        (lambda dense, *rest: loop(dense, rest[0], rest[1][:-1] or [0.1], *rest[2:]), "last stage"),
        (lambda dense, *rest: loop(dense, rest[0], rest[1][-1:], *rest[2:]), "called once"),
        (lambda dense, model_at, kappas, c, p: dense.abs() > dense.abs().median(), "never calls model_at"),
        (lambda dense, model_at, kappas, c, p: model_at(dense, kappas[0]), "not its sparsity"),
        (lambda dense, model_at, kappas, c, p: model_at(1, dense), "takes weights"),
        (lambda dense, model_at, kappas, c, p: dense[:3] > 0, "shape"),
    ],
)
def test_wrong_loops_are_told_why(answer: Callable[..., Any], words: str) -> None:
    text = refused("stage loop", answer)
    assert any(part in text for part in words.split("|")), text


@pytest.mark.parametrize(("name", "right"), [("promise and truth", "b"), ("limit of the penalty", "c")])
def test_each_wrong_letter_has_its_own_explanation(name: str, right: str) -> None:
    told = {refused(name, letter) for letter in "abcd" if letter != right}
    assert len(told) == 3
    assert exercises.check(name, f" {right.upper()} ").passed
    assert "must be one of" in refused(name, "e")
    assert "must be one of" in refused(name, 2)
