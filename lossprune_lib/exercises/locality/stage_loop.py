"""Exercise 3.3: the stage loop, run on a small loss that keeps what it was asked."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from lossprune_lib.exercises.answers import Refusal
from lossprune_lib.exercises.checking import Exercise, fresh, register
from lossprune_lib.loss_modelling.model import LossModel
from lossprune_lib.networks import selection
from lossprune_lib.pruning import criteria, schedules

_STAGES_SEEN = 4
_SIZE = 200  # weights


class _ModelAt:
    """A small loss with known derivatives, a different one at each stage, as on fresh batches.

    At stage 2 the first `dark` weights see no input: their saliency is zero there, like that of pruned weights.
    """

    def __init__(self, dark: int = 0) -> None:
        source = fresh()
        self.dense = torch.randn(_SIZE, generator=source, dtype=torch.float64)
        root = torch.randn(_STAGES_SEEN + 2, _SIZE, _SIZE, generator=source, dtype=torch.float64) / math.sqrt(_SIZE)
        root[1:] = root[0] + 0.5 * root[1:]
        root[:, -6:] = 0  # some weights that change nothing, as behind dead inputs: their saliencies tie at zero
        root[2, :dark] = 0
        self.idle = torch.zeros(_SIZE, dtype=torch.bool)
        self.idle[:dark] = self.idle[-6:] = True
        self.dark = dark
        self.hessians = root @ root.mT
        self.target = self.dense + 0.5 * torch.randn(_SIZE, generator=source, dtype=torch.float64)
        self.asked: list[tuple[Tensor, int]] = []

    def model(self, weights: Tensor, stage: int) -> LossModel:
        hessian = self.hessians[min(max(stage, 0), _STAGES_SEEN + 1)]
        away = weights - self.target
        gradient = hessian @ away
        return LossModel(weights, float(away @ gradient / 2), gradient, hessian.diagonal().clone())

    def __call__(self, weights: Any, stage: Any) -> LossModel:
        if not isinstance(weights, Tensor) or weights.shape != self.dense.shape:
            raise Refusal(
                "weights-first",
                "model_at takes all D weights, with zeros where they are pruned, and then the number of the stage.",
            )
        if isinstance(stage, float):
            raise Refusal("stage-number", "model_at takes the number of the stage (1, 2, ...), not its sparsity.")
        self.asked.append((weights.detach().double().clone(), int(stage)))
        return self.model(weights.double(), int(stage))


def _loop(
    dense: Tensor,
    model_at: _ModelAt,
    sparsities: list[float],
    criterion: str,
    step_penalty: float,
    *,
    rule: Callable[..., Tensor] = criteria.saliency,
    keep: bool = True,
    renew: bool = True,
    zeros: Callable[[Tensor, float], int] = lambda kept, sparsity: round(len(kept) * sparsity),
    swapped: bool = False,
) -> Tensor:
    """Return what the loop keeps, right or with one of the mistakes."""
    kept, first = torch.ones_like(dense, dtype=torch.bool), model_at.model(dense, 1)
    for stage, sparsity in enumerate(sparsities, start=1):
        model = model_at.model(dense * kept, stage) if renew else first
        scores = rule(model, criterion, step_penalty)
        gone = selection.smallest(scores.masked_fill(~kept, -torch.inf) if keep else scores, zeros(kept, sparsity))
        kept = gone if swapped else ~gone
    return kept


def _right(dense: Tensor, model_at: _ModelAt, sparsities: list[float], criterion: str, step_penalty: float) -> Tensor:
    return _loop(dense, model_at, sparsities, criterion, step_penalty)


def _cases() -> list[tuple[Tensor, _ModelAt, list[float], str, float]]:
    cases = []
    for criterion, penalty, sparsity, stages in (
        ("qm", 0.3, 0.398, 3),
        ("lm", 0.0, 0.402, 3),
        ("obd", 0.0, 0.7, 4),
        ("qm", 0.0, 0.9, 4),
        ("lm", 1e6, 0.6, 1),
        ("lm", 0.0, 0.5, 2),
    ):
        model_at = _ModelAt(dark=120 if stages == 2 else 0)
        sparsities = schedules.sparsities("exponential", sparsity, stages)
        cases.append((model_at.dense, model_at, sparsities, criterion, penalty))
    return cases


_WORDS = """
    right: This is the paper's algorithm: a fresh model at the weights that are left, a ranking, a mask, and again. A
        criterion is one argument of it, the schedule another.
    hint: In each stage: a model at the masked weights, the saliency, what is pruned already first, then round(D κ)
        zeros.
    smallest-kept: smallest() marks the weights that go. What is kept is the opposite: put ~ before it.
    pruned-marked: You return what is pruned. What is asked for is what is kept.
    no-model: Your function never calls model_at, so it ranks without a model of the loss.
    return-in-loop: Your function ends after the first stage. Is the return inside the loop?
    one-model: model_at is called once. A model is made for one point, and each stage moves on: each needs its own
        model.
    dense-weights: Every model is made at the dense weights. From stage 2 on, pruned weights are zero at that point.
    same-batch: Every stage gets the same number, so all use the same batch. Count the stages.
    counted-from-zero: The stages are counted 1, 2, ..., but model_at is called with a smaller number.
    stage-left-out: There are fewer models than stages. Is the last stage (or the first) left out?
    share-of-left: The number of zeros is wrong: the sparsities are shares of all D weights, not of those left.
    pruned-again: Too many weights are zero: each stage's sparsity counts the weights pruned before it too.
    threshold: The number of zeros is not round(D κ) where many weights tie at 0. A threshold cannot separate them.
        smallest() can, but what is pruned already must be among its k: give it minus infinity first.
    no-penalty: The step penalty has no effect. Does it reach the saliency?
    revived-ties: Pruned weights come back where others tie with them at zero. Set the saliency of what is pruned to
        minus infinity, so that it goes first.
    signed: The sign of the predicted change is left in, so a weight that would lower the loss goes before one that
        changes nothing. The saliency is the size of the change.
    magnitude: This is what magnitude alone would keep. Rank by the saliency of the criterion.
    largest: The largest saliencies are pruned. The smallest go first.
    largest-revived: The largest saliencies are pruned, and what is pruned comes back. What is pruned goes first, then
        the smallest.
    rounded-down: You round D κ down to a whole number. Round it to the nearest, as Python's round() does.
    rounded-up: D κ is rounded up to a whole number. Round it to the nearest, as Python's round() does.
    first-model: The models are made, but the ranking uses the first one only.
    always-qm: This is what QM would keep, whatever the criterion. Use the criterion that is given.
    always-lm: This is what LM would keep, whatever the criterion. Use the criterion that is given.
    always-obd: This is what OBD would keep, whatever the criterion. Use the criterion that is given.
    revived: Weights that were pruned at one stage are there again at a later one. What is pruned must go first.
"""


def _signed(model: LossModel, criterion: str, step_penalty: float) -> Tensor:
    return criteria.modelled_change(model, criterion) + 0.5 * step_penalty * model.weights.square()


def _largest(model: LossModel, criterion: str, step_penalty: float) -> Tensor:
    return -criteria.saliency(model, criterion, step_penalty)


def _always(criterion: str) -> Callable[..., Tensor]:
    return lambda model, _, step_penalty: criteria.saliency(model, criterion, step_penalty)


def _share_of_left(kept: Tensor, sparsity: float) -> int:
    return round(int(kept.sum()) * sparsity)


def _wrong(*given: Any) -> dict[str, Tensor]:
    return {
        "pruned-marked": ~_loop(*given),
        "smallest-kept": _loop(*given, swapped=True),
        "share-of-left": _loop(
            *given, zeros=lambda kept, sparsity: int((~kept).sum()) + _share_of_left(kept, sparsity)
        ),
        "no-penalty": _loop(*given, rule=lambda model, criterion, _: criteria.saliency(model, criterion)),
        "revived-ties": _loop(*given, keep=False),
        "signed": _loop(*given, rule=_signed),
        "magnitude": _loop(*given, rule=_always("mp")),
        "largest": _loop(*given, rule=_largest),
        "largest-revived": _loop(*given, rule=_largest, keep=False),
        "rounded-down": _loop(*given, zeros=lambda kept, sparsity: int(len(kept) * sparsity)),
        "rounded-up": _loop(*given, zeros=lambda kept, sparsity: math.ceil(len(kept) * sparsity)),
        "first-model": _loop(*given, renew=False),
        "always-qm": _loop(*given, rule=_always("qm")),
        "always-lm": _loop(*given, rule=_always("lm")),
        "always-obd": _loop(*given, rule=_always("obd")),
    }


def _signs(
    found: list[Tensor], dense: Tensor, model_at: _ModelAt, sparsities: list[float], *others: Any
) -> dict[str, bool]:
    asked, stages, size = model_at.asked, len(sparsities), len(dense)
    if found[0].shape != dense.shape or found[0].dtype != torch.bool:
        return {}
    numbers, zeros = {stage for _, stage in asked}, int((~found[0]).sum())
    counts = [selection.count(size, sparsity) for sparsity in sparsities]
    points = [weights for weights, _ in asked] + [dense * found[0]]
    given = dense, model_at, sparsities, *others
    once, often = stages > 1 and len(asked) == 1, stages > 1 and len(asked) > 1
    return {
        "smallest-kept": _same(found[0], _loop(*given, swapped=True, keep=False), *given),
        "share-of-left": _same(found[0], _loop(*given, zeros=_share_of_left), *given),
        "no-model": not asked,
        "return-in-loop": once and zeros == counts[0],
        "one-model": once,
        "dense-weights": often and all(torch.equal(weights, dense) for weights, _ in asked),
        "same-batch": often and len(numbers) == 1,
        "counted-from-zero": min(numbers, default=1) < 1,
        "stage-left-out": len(asked) < stages or stages == 1,  # with one stage, what is left out cannot be told
        "pruned-again": zeros == min(size, sum(counts)) != counts[-1],
        "threshold": model_at.dark > 0 and zeros != counts[-1],
        "revived": any(bool(((a == 0) & (b != 0)).any()) for a, b in itertools.pairwise(points)),
    }


def _same(found: Tensor, wanted: Any, dense: Tensor, model_at: _ModelAt, *others: Any) -> bool:
    """Return whether two masks agree but for weights that change nothing: they tie, and any of them may go."""
    if found.shape != wanted.shape or found.dtype != torch.bool:
        return False
    return not bool(((found != wanted) & ~model_at.idle).any()) and found.sum() == wanted.sum()


register("stage loop", Exercise(_right, _cases, _wrong, _WORDS, ("the mask",), signs=_signs, same=_same))
