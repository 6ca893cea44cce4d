"""Wrong answers to the exercises of notebook 03, as learners give them, and the mistake that the check must name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from lossprune_lib import criteria
from lossprune_lib.networks.masks import smallest

Answer = Callable[..., Any]
INF = torch.inf


def each_stage(of: Callable[..., float], first: int = 1, beyond: int = 1) -> Answer:
    """Return a schedule: of(sparsity, i, stages) for i from `first` to stages, or to others if `beyond` is not 1."""
    return lambda k, n: [of(k, i, n) for i in range(first, n + beyond)]


def right(k: float, i: int, n: int) -> float:
    return 1 - (1 - k) ** (i / n)


def pruned_first(saliency: Tensor, kept: Tensor) -> Tensor:
    return torch.where(kept, saliency, -INF)


def stage(scores: Answer = pruned_first, count: Callable[[float], int] = round) -> Answer:
    """Return a stage that ranks by other scores of (saliency, kept), or rounds D κ in another way."""
    return lambda s, kept, k: ~smallest(scores(s, kept), count(len(s) * k))


def without(ranking: Tensor, kept: Tensor, k: int) -> Tensor:
    """Return a mask without the first k of a ranking."""
    found = torch.ones_like(kept)
    found[ranking[:k]] = False
    return found


def among_kept(s: Tensor, kept: Tensor, k: float) -> Tensor:
    found = kept.clone()
    found[s[kept].argsort()[: round(len(s) * k) - int((~kept).sum())]] = False
    return found


def kept_in_place(s: Tensor, kept: Tensor, k: float) -> Tensor:
    kept[pruned_first(s, kept).argsort()[: round(len(s) * k)]] = False
    return kept


def saliency_in_place(s: Tensor, kept: Tensor, k: float) -> Tensor:
    s[~kept] = -INF
    return without(s.argsort(), kept, round(len(s) * k))


def in_parts(s: Tensor, kept: Tensor, k: float) -> Tensor:
    return torch.cat([stage()(a, b, k) for a, b in zip(s.chunk(2), kept.chunk(2), strict=True)])


def up(exact: float) -> int:
    return -int(-exact // 1)


def loop(
    rule: Answer = lambda model, given: criteria.saliency(model, *given),
    scores: Answer = lambda s, kept: s.masked_fill(~kept, -INF),
    count: Answer = lambda kept, k: round(len(kept) * k),
    point: Answer = lambda dense, kept: dense * kept,
    number: Callable[[int, float], Any] = lambda i, k: i,
    once: bool = False,
) -> Answer:
    """Return a loop with another saliency, ranking, count, point of the model or number of the stage; or with one model."""

    def answer(dense: Tensor, model_at: Answer, kappas: list[float], *given: Any) -> Tensor:
        kept, first = torch.ones_like(dense, dtype=torch.bool), None
        for i, kappa in enumerate(kappas, start=1):
            model = first if once and first else model_at(point(dense, kept), number(i, kappa))
            first = first or model
            kept = ~smallest(scores(rule(model, given), kept), min(len(dense), count(kept, kappa)))
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


def sees_every_model_twice(dense: Tensor, model_at: Answer, kappas: list[float], *given: Any) -> Tensor:
    return ~loop()(dense, lambda w, i: model_at(w, i) and model_at(w, i), kappas, *given).roll(1)


def dense_ranking(dense: Tensor, model_at: Answer, kappas: list[float], *given: Any) -> Tensor:
    def elsewhere(weights: Tensor, i: int) -> Any:
        model_at(weights, i)
        return model_at(dense, i)

    return loop()(dense, elsewhere, kappas, *given)


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
    "exponential schedule": [
        ("linear", each_stage(lambda k, i, n: k * i / n)),
        ("cubic", each_stage(lambda k, i, n: k * (1 - (1 - i / n) ** 3))),
        ("one-behind", each_stage(right, first=0, beyond=0)),
        ("one-too-many", each_stage(right, first=0)),
        ("one-too-few", each_stage(right, beyond=0)),
        ("length", lambda k, n: [right(k, i, 5) for i in range(1, 6)]),
        ("kept-share", each_stage(lambda k, i, n: (1 - k) ** (i / n))),
        ("power-of-sparsity", each_stage(lambda k, i, n: k ** (n / i))),
        ("root-of-sparsity", each_stage(lambda k, i, n: k ** (i / n))),
        ("one-minus-root-of-sparsity", each_stage(lambda k, i, n: 1 - k ** (i / n))),
        ("sparsity-divided", each_stage(lambda k, i, n: 1 - (1 - k / n) ** i)),
        ("kept-divided", each_stage(lambda k, i, n: 1 - (1 - k) / n * i)),
        ("whole-sparsity", each_stage(lambda k, i, n: 1 - (1 - k) ** i)),
        ("cut-of-each-stage", each_stage(lambda k, i, n: right(k, i, n) - right(k, i - 1, n))),
        ("share-of-each-stage", each_stage(lambda k, i, n: right(k, 1, n))),
        ("shares-added", each_stage(lambda k, i, n: i * right(k, 1, n))),
        ("reversed", lambda k, n: [right(k, i, n) for i in range(n, 0, -1)]),
        ("small-steps-first", each_stage(lambda k, i, n: (1 - k) ** ((n - i) / n) - (1 - k))),
        ("all-at-once", lambda k, n: [k] * n),
        ("all-at-the-end", each_stage(lambda k, i, n: 1 - (1 - k) ** (i // n))),
        ("rounded", each_stage(lambda k, i, n: round(right(k, i, n), 2))),
        ("per-cent", each_stage(lambda k, i, n: 100 * right(k, i, n))),
        ("wrong-end", each_stage(lambda k, i, n: 0.9 * right(k, i, n))),
        ("last-alone", lambda k, n: right(k, n, n)),
        ("last-alone", lambda k, n: right(k, 1, n)),
        ("type", lambda k, n: "0.5, 0.75"),
        ("no-function", 0.5),
        ("other", each_stage(lambda k, i, n: k / (1 + n - i) ** 2)),
    ],
    "one stage": [
        ("revived", stage(lambda s, kept: s)),
        ("revived", stage(lambda s, kept: pruned_first(s, kept).abs())),
        ("revived", stage(lambda s, kept: torch.where(kept, s, INF))),
        ("threshold-at-zero", lambda s, kept, k: (z := pruned_first(s, kept)) > z.sort().values[round(len(s) * k) - 1]),
        (
            "ties-go",
            lambda s, kept, k: (
                kept & (s > pruned_first(s, kept).sort().values[round(len(s) * k) - 1]) | (kept * (not k))
            ),
        ),
        ("ties-stay", lambda s, kept, k: (z := pruned_first(s, kept)) >= z.sort().values[round(len(s) * k)]),
        ("quantile", lambda s, kept, k: (z := torch.where(kept, s, -1.0)) > torch.quantile(z, k)),
        (
            "largest",
            lambda s, kept, k: without(torch.where(kept, s, INF).argsort(descending=True), kept, round(len(s) * k)),
        ),
        ("largest", stage(lambda s, kept: torch.where(kept, -s, -INF))),
        ("largest-of-all", stage(lambda s, kept: -s)),
        (
            "share-of-left",
            lambda s, kept, k: ~smallest(pruned_first(s, kept), int((~kept).sum()) + round(int(kept.sum()) * k)),
        ),
        ("pruned-again", lambda s, kept, k: kept & stage(lambda s, kept: torch.where(kept, s, INF))(s, kept, k)),
        ("zero-for-pruned", stage(lambda s, kept: s * kept)),
        (
            "zero-for-pruned",
            lambda s, kept, k: without((s * kept).argsort(descending=True).flip(0), kept, round(len(s) * k)),
        ),
        ("pruned-marked", lambda s, kept, k: smallest(pruned_first(s, kept), round(len(s) * k))),
        ("newly-pruned-marked", lambda s, kept, k: stage()(s, kept, k) ^ kept),
        ("rounding", stage(count=int)),
        ("rounding", stage(count=up)),
        ("share-kept", lambda s, kept, k: stage()(s, kept, 1 - k) if k else ~torch.ones_like(kept)),
        ("kept-first", stage(lambda s, kept: torch.where(kept, -INF, s))),
        ("argsort-as-ranks", lambda s, kept, k: pruned_first(s, kept).argsort() >= round(len(s) * k)),
        ("union", lambda s, kept, k: kept & stage(lambda s, kept: s)(s, kept, k)),
        ("places-among-kept", among_kept),
        ("part-by-part", in_parts),
        ("indices", lambda s, kept, k: pruned_first(s, kept).argsort()[: round(len(s) * k)]),
        ("saliencies", lambda s, kept, k: s * kept),
        ("dtype", lambda s, kept, k: stage()(s, kept, k).float()),
        ("dtype", lambda s, kept, k: stage()(s, kept, k).int().numpy()),
        ("shape", lambda s, kept, k: ~smallest(s[kept], round(len(s) * k) - int((~kept).sum()))),
        ("shape", lambda s, kept, k: stage()(s, kept, k)[:-1]),
        ("in-place", kept_in_place),
        ("in-place", saliency_in_place),
        ("in-place", lambda s, kept, k: kept.logical_and_(s > k)),
        ("other", lambda s, kept, k: without(pruned_first(s, kept).argsort(), kept, round(len(s) * k) + 1)),
        ("other", lambda s, kept, k: kept),
    ],
    "stage loop": [
        ("dense-weights", loop(point=lambda dense, kept: dense)),
        ("one-model", loop(once=True)),
        ("one-model", lambda dense, model_at, kappas, *given: loop()(dense, model_at, kappas[-1:], *given)),
        ("counted-from-zero", loop(number=lambda i, k: i - 1)),
        ("same-batch", loop(number=lambda i, k: 1)),
        ("stage-number", loop(number=lambda i, k: k)),
        ("weights-first", lambda dense, model_at, kappas, *given: model_at(1, dense)),
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
        ("pruned-marked", lambda *given: ~loop()(*given)),
        ("share-of-left", loop(count=lambda kept, k: int((~kept).sum()) + round(int(kept.sum()) * k))),
        ("pruned-again", loop(count=lambda kept, k: int((~kept).sum()) + round(len(kept) * k))),
        ("pruned-again", counts_new_only),
        ("rounded-down", loop(count=lambda kept, k: int(len(kept) * k))),
        ("rounded-up", loop(count=lambda kept, k: up(len(kept) * k))),
        ("threshold", threshold),
        ("first-model", first_model_used),
        ("dense-ranking", dense_ranking),
        ("stage-left-out", last_left_out),
        ("no-model", lambda dense, model_at, kappas, *given: ~smallest(dense.abs(), round(len(dense) * kappas[-1]))),
        ("no-model", lambda dense, *given: dense.abs() > dense.abs().median()),
        ("revived", revives_one),
        ("too-many-models", sees_every_model_twice),
        ("dtype", lambda dense, *given: dense * loop()(dense, *given)),
        ("shape", lambda dense, *given: loop()(dense, *given)[:3]),
        ("in-place", in_place),
    ],
    "promise and truth": [
        ("fewer-weights", "a"),
        ("batch-noise", "c"),
        ("adaptation", "d"),
        *(("no-option", answer) for answer in ("abcd", "shorter steps", "e", 2)),
    ],
    "limit of the penalty": [
        ("forbids-steps", "a"),
        ("stages-always-help", "b"),
        ("scale", "d"),
        *(("no-option", answer) for answer in ("same as MP", "e", 2)),
    ],
}
