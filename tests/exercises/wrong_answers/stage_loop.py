"""Wrong answers to exercise 3.3, the stage loop, and the mistake that the check must name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from lossprune_lib import criteria
from lossprune_lib.networks.selection import smallest

Answer = Callable[..., Any]
INF = torch.inf


def up(exact: float) -> int:
    return -int(-exact // 1)


def loop(
    rule: Answer = lambda model, given: criteria.saliency(model, *given),
    scores: Answer = lambda s, kept: s.masked_fill(~kept, -INF),
    count: Answer = lambda kept, k: round(len(kept) * k),
    point: Answer = lambda dense, kept: dense * kept,
    number: Callable[[int, float], Any] = lambda i, k: i,
    mask: Answer = lambda gone, kept: ~gone,
    once: bool = False,
) -> Answer:
    """Return a loop with another saliency, ranking, count, point, number of the stage or mask; or with one model."""

    def answer(dense: Tensor, model_at: Answer, kappas: list[float], *given: Any) -> Tensor:
        kept, first = torch.ones_like(dense, dtype=torch.bool), None
        for i, kappa in enumerate(kappas, start=1):
            model = first if once and first else model_at(point(dense, kept), number(i, kappa))
            first = first or model
            gone = smallest(scores(rule(model, given), kept), min(len(dense), count(kept, kappa)))
            kept = mask(gone, kept)
        return kept

    return answer


def by(criterion: str) -> Answer:
    return loop(lambda model, given: criteria.saliency(model, criterion, given[1]))


def signed(model: Any, given: tuple[str, float]) -> Tensor:
    return criteria.modelled_change(model, given[0]) + 0.5 * given[1] * model.weights.square()


def largest(model: Any, given: tuple[str, float]) -> Tensor:
    return -criteria.saliency(model, *given)


def first_model_used(dense: Tensor, model_at: Answer, kappas: list[float], *given: Any) -> Tensor:
    models: list[Any] = []

    def remembered(weights: Tensor, i: int) -> Any:
        models.append(model_at(weights, i))
        return models[0]

    return loop()(dense, remembered, kappas, *given)


def in_place(dense: Tensor, model_at: Answer, kappas: list[float], *given: Any) -> Tensor:
    dense *= loop()(dense, model_at, kappas, *given)
    return dense != 0


def threshold(dense: Tensor, model_at: Answer, kappas: list[float], *given: Any) -> Tensor:
    kept = torch.ones_like(dense, dtype=torch.bool)
    for i, kappa in enumerate(kappas, start=1):
        saliency = criteria.saliency(model_at(dense * kept, i), *given) * kept
        kept = saliency > saliency.sort().values[round(len(dense) * kappa) - 1]
    return kept


def returns_early(dense: Tensor, model_at: Answer, kappas: list[float], *given: Any) -> Tensor:
    return loop()(dense, model_at, kappas[:1], *given)


def counts_new_only(dense: Tensor, model_at: Answer, kappas: list[float], *given: Any) -> Tensor:
    kept = torch.ones_like(dense, dtype=torch.bool)
    for i, kappa in enumerate(kappas, start=1):
        saliency = criteria.saliency(model_at(dense * kept, i), *given)
        kept = kept & ~smallest(saliency.masked_fill(~kept, INF), round(len(dense) * kappa))
    return kept


def last_left_out(dense: Tensor, model_at: Answer, kappas: list[float], *given: Any) -> Tensor:
    return loop()(dense, model_at, kappas[:-1], *given)


def revives_one(dense: Tensor, model_at: Answer, kappas: list[float], *given: Any) -> Tensor:
    """Let the last stage forget the weights that were pruned first."""
    kept, masks = torch.ones_like(dense, dtype=torch.bool), []
    for i, kappa in enumerate(kappas, start=1):
        saliency = criteria.saliency(model_at(dense * kept, i), *given)
        masks.append(kept)
        known = masks[-2] if len(masks) > 1 else kept
        kept = ~smallest(saliency.masked_fill(~known, -INF), round(len(dense) * kappa))
    return kept if len(kappas) == 1 else kept.roll(3)


WRONG: dict[str, list[tuple[str, Any]]] = {
    "stage loop": [
        ("dense-weights", loop(point=lambda dense, kept: dense)),
        ("one-model", loop(once=True)),
        ("one-model", lambda dense, model_at, kappas, *given: loop()(dense, model_at, kappas[-1:], *given)),
        ("counted-from-zero", loop(number=lambda i, k: i - 1)),
        ("same-batch", loop(number=lambda i, k: 1)),
        ("stage-number", loop(number=lambda i, k: k)),
        ("weights-first", lambda dense, model_at, kappas, *given: model_at(1, dense)),
        ("weights-first", loop(point=lambda dense, kept: dense[kept])),
        ("revived-ties", loop(scores=lambda s, kept: s)),
        ("no-penalty", loop(lambda model, given: criteria.saliency(model, given[0]))),
        ("always-qm", by("qm")),
        ("always-lm", by("lm")),
        ("always-obd", by("obd")),
        ("magnitude", loop(lambda model, given: model.weights.square())),
        ("signed", loop(signed)),
        ("largest", loop(largest)),
        ("largest", loop(largest, scores=lambda s, kept: s.masked_fill(~kept, -INF))),
        ("largest-revived", loop(largest, scores=lambda s, kept: s)),
        ("return-in-loop", returns_early),
        ("smallest-kept", loop(mask=lambda gone, kept: gone)),
        ("smallest-kept", loop(mask=lambda gone, kept: gone, scores=lambda s, kept: s)),
        ("pruned-marked", lambda *given: ~loop()(*given)),
        ("share-of-left", loop(count=lambda kept, k: int((~kept).sum()) + round(int(kept.sum()) * k))),
        ("share-of-left", loop(count=lambda kept, k: round(int(kept.sum()) * k))),
        ("pruned-again", loop(count=lambda kept, k: int((~kept).sum()) + round(len(kept) * k))),
        ("pruned-again", counts_new_only),
        ("rounded-down", loop(count=lambda kept, k: int(len(kept) * k))),
        ("rounded-up", loop(count=lambda kept, k: up(len(kept) * k))),
        ("threshold", threshold),
        ("threshold", loop(mask=lambda gone, kept: kept & ~gone, scores=lambda s, kept: s)),
        ("first-model", first_model_used),
        ("stage-left-out", last_left_out),
        ("no-model", lambda dense, model_at, kappas, *given: ~smallest(dense.abs(), round(len(dense) * kappas[-1]))),
        ("no-model", lambda dense, *given: dense.abs() > dense.abs().median()),
        ("revived", revives_one),
        ("dtype", lambda dense, *given: dense * loop()(dense, *given)),
        ("shape", lambda dense, *given: loop()(dense, *given)[:3]),
        ("in-place", in_place),
    ],
}
