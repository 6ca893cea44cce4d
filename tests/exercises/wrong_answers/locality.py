"""Wrong answers to the exercises of notebook 03, and the mistake that the check must name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from lossprune_lib.networks.selection import smallest

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


def trust(
    error: Answer = lambda predicted, actual: abs(actual - predicted),
    accept: Answer = lambda error, tolerance: error <= tolerance,
    factor: Answer = lambda error, tolerance: 0.5 if error > tolerance else 2 if error < tolerance / 2 else 1,
) -> Answer:
    """Return a trust region's rule with another error, another bound, or another next step."""
    return lambda share, p, a, t: (accept(error(p, a), t), share * factor(error(p, a), t))


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
        ("one-minus-root", each_stage(lambda k, i, n: 1 - k ** (i / n))),
        ("sparsity-divided", each_stage(lambda k, i, n: 1 - (1 - k / n) ** i)),
        ("kept-divided", each_stage(lambda k, i, n: 1 - (1 - k) / n * i)),
        ("whole-sparsity", each_stage(lambda k, i, n: 1 - (1 - k) ** i)),
        ("cut-of-each-stage", each_stage(lambda k, i, n: right(k, i, n) - right(k, i - 1, n))),
        ("share-of-each-stage", each_stage(lambda k, i, n: right(k, 1, n))),
        ("shares-added", each_stage(lambda k, i, n: i * right(k, 1, n))),
        ("reversed", lambda k, n: [right(k, i, n) for i in range(n, 0, -1)]),
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
        ("threshold", lambda s, kept, k: (z := pruned_first(s, kept)) > z.kthvalue(max(1, round(len(s) * k))).values),
        ("threshold", lambda s, kept, k: (s * kept) > (s * kept).kthvalue(max(1, round(len(s) * k))).values),
        ("ties-go", lambda s, kept, k: (z := pruned_first(s, kept)) > z.kthvalue(round(len(s) * k)).values),
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
        ("dtype", lambda s, kept, k: stage()(s, kept, k).double().tolist()),
        ("dtype", lambda s, kept, k: stage()(s, kept, k).int().numpy()),
        ("shape", lambda s, kept, k: ~smallest(s[kept], round(len(s) * k) - int((~kept).sum()))),
        ("shape", lambda s, kept, k: stage()(s, kept, k)[:-1]),
        ("in-place", kept_in_place),
        ("in-place", saliency_in_place),
        ("in-place", lambda s, kept, k: kept.logical_and_(s > k)),
        ("other", lambda s, kept, k: without(pruned_first(s, kept).argsort(), kept, round(len(s) * k) + 1)),
        ("other", lambda s, kept, k: kept),
    ],
    "next step": [
        ("relative", trust(error=lambda p, a: abs((a - p) / a))),
        ("signed", trust(error=lambda p, a: a - p)),
        ("actual-alone", trust(error=lambda p, a: abs(a))),
        ("always-accepted", trust(accept=lambda e, t: True)),
        ("swapped", trust(accept=lambda e, t: e > t)),
        ("never-longer", trust(factor=lambda e, t: 0.5 if e > t else 1)),
        ("always-longer", trust(factor=lambda e, t: 0.5 if e > t else 2)),
        ("never-shorter", trust(factor=lambda e, t: 2 if e < t / 2 else 1)),
        ("edge-refused", trust(accept=lambda e, t: e < t)),
        (
            "edge-halved",
            lambda share, p, a, t: (
                (True, share * (2 if abs(a - p) < t / 2 else 1)) if abs(a - p) < t else (False, share / 2)
            ),
        ),
        ("edge-longer", trust(factor=lambda e, t: 0.5 if e > t else 2 if e <= t / 2 else 1)),
        ("wrong-way", trust(factor=lambda e, t: 2 if e > t else 0.5 if e < t / 2 else 1)),
        ("parts", lambda share, p, a, t: share / 2),
        ("dtype", trust(accept=lambda e, t: int(e <= t))),
        ("type", trust(accept=lambda e, t: "yes" if e <= t else "no")),
        ("other", trust(factor=lambda e, t: 0.1 if e > t else 3 if e < t / 2 else 1)),
    ],
    "ranks and predicts": [
        ("any-order", "a"),
        ("more-stages", "b"),
        ("sum-of-saliencies", "d"),
        *(("no-option", answer) for answer in ("abcd", "the order", "e", 2)),
    ],
    "limit of the penalty": [
        ("forbids-steps", "a"),
        ("stages-always-help", "b"),
        ("scale", "d"),
        *(("no-option", answer) for answer in ("same as MP", "e", 2)),
    ],
}
