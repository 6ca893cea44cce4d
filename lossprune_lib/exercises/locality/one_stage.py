"""Exercise 3.2: one stage of pruning."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from lossprune_lib.exercises.answers import near
from lossprune_lib.exercises.checking import Exercise, fresh, register
from lossprune_lib.networks import selection


def _right(saliency: Tensor, kept: Tensor, sparsity: float) -> Tensor:
    return ~selection.smallest(saliency.where(kept, -torch.inf), selection.count(len(kept), sparsity))


def _cases() -> list[tuple[Tensor, Tensor, float]]:
    source = fresh()
    draw = torch.rand(10, generator=source, dtype=torch.float64) + 0.1
    layers = torch.rand(200, generator=source, dtype=torch.float64) + 0.01
    layers[120:] *= 50  # a layer of another scale
    some = torch.randperm(200, generator=source) < 140
    after = layers.where(some, 0.0)  # here the saliency of pruned weights is 0; in `layers`, only the mask can tell
    zeros = after.clone()
    zeros[:110] = 0  # as behind dead inputs: more zeros than go, pruned and kept
    ties, alive = torch.randint(0, 3, (60,), generator=source).double(), torch.rand(60, generator=source) > 0.25
    nothing_more = (int((~some).sum()) + 0.3) / 200

    def whole(size: int) -> Tensor:
        return torch.ones(size, dtype=torch.bool)

    return [
        (draw, whole(10), 0.4),
        (after, some, 0.6),
        (layers, some, 0.6),
        (layers, some, nothing_more),
        (torch.cat([draw, draw + 2])[:17], whole(17), 0.5),  # 8.5: to the even number, 8
        (layers, some, 0.578),
        (zeros, some, 0.5),
        (ties, whole(60), 0.5),
        (ties.where(alive, 0.0), alive, 0.62),
        (torch.zeros(12, dtype=torch.float64), whole(12), 0.5),
        (draw, whole(10), 0.0),  # last: what stops here has shown before how it treats ties
    ]


_WORDS = """
    right: Exactly round(D κ) weights are zero after each stage, whatever ties there are, and none comes back. All
        layers are ranked together, so a layer with small saliencies loses more.
    hint: Exactly round(D κ) entries are False: first those pruned already, then the smallest saliencies.
    indices: You return indices. Return a mask: a bool tensor [D], True where the weight is kept.
    saliencies: You return saliencies. Return a mask: a bool tensor [D], True where the weight is kept.
    pruned-marked: You mark what is pruned. What is asked for is what is kept: the opposite.
    newly-pruned-marked: You mark only the weights that this stage prunes. Return what is kept after it.
    largest: You prune the weights with the largest saliency. They matter most: the smallest go first.
    argsort-as-ranks: You compare the result of argsort with k. Its entries are not ranks, but the places of the
        smallest, the next, and so on: use the first k of them as indices.
    share-kept: You keep round(D κ) weights. The sparsity is the share that is zero, not the share that is kept.
    kept-first: Your ranking puts the weights that are kept first. It is those pruned already that must come first.
    quantile: torch.quantile lies between two saliencies, so it does not cut at round(D κ). Choose by position in a
        sorted list.
    ties-go: Several weights tie at the border, and in your mask all of them go. A threshold cannot separate equal
        values: choose by position in a sorted list.
    threshold-at-zero: At a sparsity of 0 your mask should keep everything. If you compare with a threshold, what is it
        when no weight goes?
    ties-stay: Several weights tie at the border, and in your mask all of them stay. A threshold cannot separate equal
        values: choose by position in a sorted list.
    zero-for-pruned: Weights that were pruned before are kept again. One that is kept may have the saliency 0 too, so 0
        is not low enough for those that are pruned.
    union: You rank all weights, including those pruned already, and then prune these as well, so the number is wrong.
        Let what is pruned come first in the ranking.
    revived: Weights that were pruned before are kept again. A pruned weight has a saliency too: how could it always be
        the first to go?
    pruned-again: You prune round(D κ) weights on top of those pruned already. The sparsity is what is reached after the
        stage, with those pruned before counted in.
    places-among-kept: You rank the kept weights only, which is fine, but then use their places in that shorter list as
        places among all D. kept.nonzero() translates them.
    share-of-left: You take the sparsity as a share of the weights that are left. It is a share of all D weights.
    rounding: D κ must be rounded to the nearest whole number, not always down or up: Python's round() does it.
    threshold: A threshold decides what goes, such as that of kthvalue, and the number of zeros is not round(D κ). It
        cannot separate equal values, and there is none when no weight goes: choose by position in a sorted list.
    part-by-part: You rank the first and the second part of the weights separately. Rank all D together.
"""


def _ranked(saliency: Tensor, kept: Tensor, sparsity: float) -> tuple[Tensor, Tensor, int]:
    scores = saliency.where(kept, -torch.inf)
    return scores, scores.sort().values, selection.count(len(kept), sparsity)


def _wrong(saliency: Tensor, kept: Tensor, sparsity: float) -> dict[str, Tensor | None]:
    scores, in_order, k = _ranked(saliency, kept, sparsity)
    right, filled = ~selection.smallest(scores, k), saliency.where(kept, -1.0)
    among_kept = kept.clone()
    among_kept[saliency[kept].argsort(stable=True)[: max(0, k - int((~kept).sum()))]] = False
    parts = [selection.smallest(part, selection.count(len(part), sparsity)) for part in scores.chunk(2)]
    tied = len(saliency[kept].unique()) < int(kept.sum())
    return {
        "pruned-marked": ~right,
        "newly-pruned-marked": right ^ kept,
        "largest": kept & ~selection.smallest((-saliency).where(kept, -torch.inf), k),
        "argsort-as-ranks": scores.argsort() >= k,
        "share-kept": ~selection.smallest(scores, round(len(kept) * (1 - sparsity))),
        "kept-first": ~selection.smallest(saliency.where(~kept, -torch.inf), k),
        "quantile": filled > torch.quantile(filled, sparsity),
        "threshold-at-zero": scores > in_order[k - 1],
        "ties-go": kept & (scores > in_order[k - 1]) if k else kept,
        "ties-stay": kept & (scores >= in_order[k]),
        "union": kept & ~selection.smallest(saliency, k),
        "places-among-kept": None if tied else among_kept,  # where saliencies tie, it depends on how they are sorted
        "part-by-part": None if len(kept) % 2 else ~torch.cat(parts),
    }


def _signs(found: list[Tensor], saliency: Tensor, kept: Tensor, sparsity: float) -> dict[str, bool]:
    mask, (_, _, k) = found[0], _ranked(saliency, kept, sparsity)
    if mask.dtype != torch.bool or mask.shape != kept.shape:
        return {
            "indices": mask.dtype == torch.int64 and mask.ndim == 1 and len(mask) != len(kept),
            "saliencies": mask.is_floating_point() and (near(mask, saliency * kept) or near(mask, saliency)),
        }
    zeros, gone, exact = int((~mask).sum()), int((~kept).sum()), len(kept) * sparsity
    as_zero = saliency * kept
    return {
        "zero-for-pruned": as_zero[~mask].sort().values.equal(as_zero.sort().values[:k]),
        "revived": bool((mask & ~kept).any()),
        "pruned-again": gone > 0 and zeros == min(len(kept), gone + k),
        "share-of-left": zeros - gone in {f(int(kept.sum()) * sparsity) for f in (round, int)} and gone > 0,
        "threshold": zeros != k
        and any(_is_cut(x, mask) for x in (saliency, as_zero, saliency.where(kept, -torch.inf))),
        "rounding": zeros in {math.floor(exact), math.ceil(exact)} - {k},
    }


def _is_cut(scores: Tensor, mask: Tensor) -> bool:
    """Return whether all that goes scores lower than all that stays."""
    if mask.all() or not mask.any():
        return len(scores.unique()) == 1  # nothing else could separate them
    return bool(scores[~mask].max() < scores[mask].min())


def _same(found: Tensor, wanted: Any, saliency: Tensor, kept: Tensor, sparsity: float) -> bool:
    """Return whether two masks agree but for weights of equal saliency, of which any may go."""
    if found.shape != wanted.shape or found.dtype != torch.bool:
        return False
    return all(
        saliency[part & ~found].sort().values.equal(saliency[part & ~wanted].sort().values) for part in (kept, ~kept)
    )


register("one stage", Exercise(_right, _cases, _wrong, _WORDS, ("the mask",), signs=_signs, same=_same))
