"""The check of the stage loop, in notebook locality: it is run on a small loss with known derivatives, and watched."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from lossprune_lib.exercises.checking import Answer, Mistake, call, close, exercise, fresh, tensor
from lossprune_lib.loss_modelling.model import LossModel
from lossprune_lib.networks import masks
from lossprune_lib.pruning import criteria, schedules

_STAGES_SEEN = 4


@exercise("stage loop")
def stage_loop(answer: Answer) -> str:
    """Check a function (dense [D], model_at, sparsities, criterion, step_penalty) -> kept [D] after the last stage."""
    cases = [
        ("qm", 0.3, 0.398, 3),
        ("lm", 0.0, 0.402, 3),
        ("obd", 0.0, 0.7, 4),
        ("qm", 0.0, 0.9, 4),
        ("lm", 1e6, 0.6, 1),
    ]
    for criterion, penalty, sparsity, stages in cases:
        kappas = schedules.sparsities("exponential", sparsity, stages)
        _judge_loop(answer, _Landscape(), kappas, criterion, penalty)
    _judge_loop(answer, _Landscape(dark=120), schedules.sparsities("exponential", 0.5, 2), "lm", 0.0)
    return (
        "This is the paper's algorithm: a fresh model at the weights that are left, a ranking, a mask, and again. "
        "A criterion is one argument of it, the schedule another."
    )


class _Landscape:
    """A small loss with known derivatives, another one at each stage, as on fresh batches; it keeps who asked for what.

    In the batch of stage 2 the first `dark` weights see no input, so their saliency is zero there, as that of pruned ones is.
    """

    def __init__(self, size: int = 200, dark: int = 0) -> None:
        random = fresh()
        self.dense = torch.randn(size, generator=random, dtype=torch.float64)
        root = torch.randn(_STAGES_SEEN + 2, size, size, generator=random, dtype=torch.float64) / math.sqrt(size)
        root[1:] = root[0] + 0.5 * root[1:]
        root[:, -6:] = 0  # some weights that change nothing, as behind dead inputs: their saliencies tie at zero
        root[2, :dark] = 0
        self.idle = torch.zeros(size, dtype=torch.bool)
        self.idle[:dark] = self.idle[-6:] = True
        self.dark = dark
        self.hessians = root @ root.mT
        self.target = self.dense + 0.5 * torch.randn(size, generator=random, dtype=torch.float64)
        self.asked: list[tuple[Tensor, int]] = []

    def model(self, weights: Tensor, stage: int) -> LossModel:
        hessian = self.hessians[min(max(stage, 0), _STAGES_SEEN + 1)]
        away = weights - self.target
        gradient = hessian @ away
        return LossModel(weights, float(away @ gradient / 2), gradient, hessian.diagonal().clone())

    def model_at(self, weights: Any, stage: Any) -> LossModel:
        if not isinstance(weights, Tensor) or weights.shape != self.dense.shape:
            shape = list(weights.shape) if isinstance(weights, Tensor) else type(weights).__name__
            raise Mistake(f"model_at takes weights [D] first, here [{len(self.dense)}], but it was given {shape}.")
        if isinstance(stage, float) and not isinstance(stage, bool):
            raise Mistake("model_at takes the number of the stage second (1, 2, ...), not its sparsity.")
        self.asked.append((weights.detach().double().clone(), int(stage)))
        return self.model(weights.double(), int(stage))


def _loop(
    place: _Landscape, kappas: list[float], criterion: str, penalty: float, *, renew: bool = True, masked: bool = True,
    keep: bool = True, relative: bool = False, first: int = 1, rule: Callable[..., Tensor] = criteria.saliency,
    rounding: Callable[[float], int] = round,
) -> Tensor:  # fmt: skip
    """Return what the loop keeps, right or with one of the mistakes."""
    dense = place.dense
    kept = torch.ones_like(dense, dtype=torch.bool)
    model = place.model(dense, first)
    for stage, kappa in enumerate(kappas, start=first):
        if renew:
            model = place.model(dense * kept if masked else dense, stage)
        scores = rule(model, criterion, penalty)
        if keep:
            scores = scores.masked_fill(~kept, -torch.inf)
        k = rounding(len(dense) * kappa)
        if relative:
            k = min(len(dense), int((~kept).sum()) + round(int(kept.sum()) * kappa))
        kept = ~masks.smallest(scores, k)
    return kept


def _signed(model: LossModel, criterion: str, penalty: float) -> Tensor:
    return criteria.modelled_change(model, criterion) + 0.5 * penalty * model.weights.square()


def _judge_loop(answer: Answer, place: _Landscape, kappas: list[float], criterion: str, penalty: float) -> None:
    dense, stages = place.dense, len(kappas)
    result = call(answer, dense, place.model_at, list(kappas), criterion, penalty)
    what = f"{criterion.upper()}, λ = {penalty:g}, {stages} {'stage' if stages == 1 else 'stages'}"
    found = as_mask(result, torch.ones_like(dense, dtype=torch.bool), place.model(dense, 1).weights, kappas[-1])
    right = _loop(place, kappas, criterion, penalty)
    asked, numbers = place.asked, [stage for _, stage in place.asked]
    if torch.equal(found, ~right) and int(right.sum()) * 2 != len(right):
        raise Mistake(f"{what}: you return what is pruned. Asked for is what is kept.")
    if not asked:
        raise Mistake("Your function never calls model_at, so it ranks without a model of the loss.")
    if stages > 1 and len(asked) == 1 and int((~found).sum()) == masks.count(len(dense), kappas[0]):
        raise Mistake(f"{what}: your function ends after the first stage. Does the return stand inside the loop?")
    if stages > 1 and len(asked) == 1:
        raise Mistake(
            f"{what}: model_at is called once. The model is made for the weights at one point; each stage moves on, "
            "so each needs a model of its own. Look at what stands inside the loop."
        )
    if stages > 1 and len(asked) > 1 and all(torch.equal(weights, dense) for weights, _ in asked):
        raise Mistake(
            f"{what}: every model is made at the dense weights. From the second stage on, the point is where the "
            "pruned weights are zero."
        )
    if stages > 1 and len(set(numbers)) == 1:
        raise Mistake(f"{what}: every stage gets the number {numbers[0]}, so all use the same batch. Count the stages.")
    if min(numbers) < 1:
        raise Mistake(
            f"{what}: the stages are counted 1, 2, ..., but the first number that model_at gets is {min(numbers)}."
        )
    if len(asked) < stages:
        raise Mistake(
            f"{what}: there are {len(asked)} models for {stages} stages. Is the last stage (or the first) left out?"
        )
    zeros, wanted = int((~found).sum()), masks.count(len(dense), kappas[-1])
    if torch.equal(found, _loop(place, kappas, criterion, penalty, relative=True)) and zeros != wanted:
        raise Mistake(
            f"{what}: {zeros} of {len(dense)} weights are zero, not {wanted}. The sparsities are shares of all D weights, not of those left."
        )
    added = sum(masks.count(len(dense), kappa) for kappa in kappas)
    if zeros == min(len(dense), added) and zeros != wanted:
        raise Mistake(
            f"{what}: {zeros} of {len(dense)} weights are zero, not {wanted}. Each stage's sparsity counts the weights pruned before it too."
        )
    if abs(zeros - wanted) == 1:
        raise Mistake(
            f"{what}: {zeros} weights are zero, not {wanted}. D κ is rounded to the nearest whole number, neither cut down nor rounded up."
        )
    if zeros != wanted and place.dark:
        raise Mistake(
            f"{what}: {zeros} of {len(dense)} weights are zero, not {wanted}. Here many weights tie at a saliency of 0, and a threshold "
            "cannot cut between them: smallest() can."
        )
    if zeros != wanted:
        raise Mistake(
            f"{what}: {zeros} of {len(dense)} weights are zero, but after the last stage it must be {wanted}."
        )
    wrongs: list[tuple[dict[str, Any], str]] = [
        ({"penalty": 0.0}, "the step penalty has no effect. Does it reach the saliency?"),
        ({"keep": False}, "pruned weights come back where others tie with them at zero. "
         "Set the saliency of what is pruned to minus infinity, so that it goes first."),
        ({"rule": _signed}, "the sign of the modelled change is left in: a weight that promises a lower loss goes before one that "
         "promises none. The saliency is its size."),
        ({"rule": lambda m, c, p: criteria.saliency(m, "mp")}, "this is what magnitude alone would keep. Rank by the saliency of the criterion."),
        ({"rule": lambda m, c, p: -criteria.saliency(m, c, p)}, "the largest saliencies are pruned. The smallest go first."),
        ({"rule": lambda m, c, p: -criteria.saliency(m, c, p), "keep": False}, "the largest saliencies are pruned. The smallest go first."),
        ({"rounding": int}, "the number of zeros is cut down to a whole number in the stages before the last. Round it to the nearest."),
        ({"rounding": math.ceil}, "the number of zeros is rounded up in the stages before the last. Round it to the nearest."),
        ({"renew": False}, "the models are made, but the ranking uses the first one only."),
        ({"masked": False}, "the ranking is that of models at the dense weights."),
    ]  # fmt: skip
    wrongs += [({"criterion": other}, f"this is what {other.upper()} would keep. Use the criterion that is given.")
               for other in ("qm", "lm", "obd") if other != criterion]  # fmt: skip
    if torch.equal(found, right):
        return
    settings: dict[str, Any] = {"criterion": criterion, "penalty": penalty}
    for changes, words in wrongs:
        if torch.equal(found, _loop(place, kappas, **settings | changes)):
            raise Mistake(f"{what}: {words}")
    points = [weights for weights, _ in asked] + [dense * found]
    back = any(((a == 0) & (b != 0)).any() for a, b in itertools.pairwise(points))
    if back:
        raise Mistake(
            f"{what}: weights that were pruned at one stage are there again at a later one. What is pruned must go first."
        )
    if len(asked) > stages:
        raise Mistake(f"{what}: there are {len(asked)} models for {stages} stages: one each is enough.")
    if _same_but_for_ties(found, right, place.idle):
        return
    raise Mistake(
        f"{what}: {int((found != right).sum())} of {len(dense)} weights are not as they should be. In each stage: a model at the masked "
        "weights, the saliency, what is pruned already first, then exactly round(D κ) zeros."
    )  # fmt: skip


def _same_but_for_ties(found: Tensor, right: Tensor, idle: Tensor) -> bool:
    """Whether only weights that change nothing were chosen otherwise: they tie, and may be."""
    return not bool(((found != right) & ~idle).any()) and int(found.sum()) == int(right.sum())


def as_mask(result: Any, kept: Tensor, saliency: Tensor, sparsity: float) -> Tensor:
    """Return an answer as a mask, bool [D]; raise Mistake if it is none."""
    size = len(kept)
    found = torch.as_tensor(result) if not isinstance(result, str | tuple | dict) else result
    if isinstance(found, Tensor) and found.ndim == 1 and found.dtype == torch.int64 and len(found) != size:
        raise Mistake("You return indices. Asked for is a mask: a bool tensor [D], True where the weight is kept.")
    found = tensor(found, (size,), "The mask")
    if not ((found == 0) | (found == 1)).all():
        if close(found, saliency * kept) or close(found, saliency):
            raise Mistake("You return the saliencies. Asked for is a mask: True where the weight is kept.")
        raise Mistake("The mask must be bool: True where the weight is kept, False where it is zero.")
    return found.bool()
