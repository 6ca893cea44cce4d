"""Exercise 4.1: a step of SGD that respects the mask."""

from __future__ import annotations

import torch
from torch import Tensor

from lossprune_lib.exercises.answers import near
from lossprune_lib.exercises.checking import Exercise, fresh, register

Pair = tuple[Tensor, Tensor]
_RATE, _MOMENTUM, _DECAY = 0.1, 0.9, 0.05


def _step(weights: Tensor, velocity: Tensor, gradient: Tensor, lr: float, momentum: float, weight_decay: float) -> Pair:
    """Return weights and velocity after a step of plain SGD, as torch.optim.SGD takes it."""
    velocity = momentum * velocity + gradient + weight_decay * weights
    return weights - lr * velocity, velocity


def _right(
    weights: Tensor,
    velocity: Tensor,
    gradient: Tensor,
    kept: Tensor,
    lr: float = _RATE,
    momentum: float = _MOMENTUM,
    weight_decay: float = _DECAY,
) -> Pair:
    weights, velocity = _step(weights * kept, velocity * kept, gradient, lr, momentum, weight_decay)
    return weights * kept, velocity * kept


def _cases() -> list[tuple[Tensor, Tensor, Tensor, Tensor, float, float, float]]:
    source, cases = fresh(), []
    for size, share in ((5, 0.6), (12, 0.5), (9, 0.3), (7, 1.0), (6, 0.0)):
        weights, velocity, gradient = torch.randn(3, size, generator=source, dtype=torch.float64)
        kept = (torch.arange(size) < round(share * size))[torch.randperm(size, generator=source)]
        weights[int(kept.int().argmax())] = 0  # a kept weight, if there is one, that happens to be zero
        cases.append((weights, velocity, gradient, kept, _RATE, _MOMENTUM, _DECAY))
    return cases


_WORDS = """
    right: Pruned weights stay at zero, and so does their velocity. A mask on the gradient alone would have let momentum
        bring them back.
    hint: Follow one kept weight by hand: first its velocity, then its step.
    no-mask: Nothing is masked, so pruned weights move like all others. Multiply by kept where they must be zero.
    gradient-alone: Only the gradient is masked. Old momentum and weight decay still push: mask what comes out as well.
    momentum-trap: Gradient and weights are masked on their way in, but the old velocity is not: that is the momentum
        trap. It moves pruned weights although their gradient is zero.
    velocity-not-masked: The weights are right, but the velocity of pruned weights is not zero, and will push them again
        at the next step: mask both things that you return.
    velocity-keeps-momentum: The weights are right, but the velocity of pruned weights still holds the old momentum:
        mask both things that you return.
    weights-not-masked: The velocity is masked, but the weights are not: what a pruned weight was before stays there.
    mask-inverted: The mask is inverted: the weights that should be kept are zero. kept is True for what stays.
    no-decay: Weight decay is missing: weight_decay * weights is added to the gradient.
    decay-sign: Weight decay has the wrong sign: it is added to the gradient, so that the step makes weights smaller.
    decay-apart: Weight decay is subtracted from the weights directly. Here it is part of the gradient and the velocity.
    decay-afterwards: Weight decay is a second step, after the first. Here it is part of the gradient and the velocity.
    mask-from-zeros: You took the mask from the weights that are zero. A kept weight may be zero for a moment, and a
        pruned one may come in that is not: use kept.
    no-momentum: The old velocity is missing: the new one is momentum times the old one plus the gradient.
    momentum-one: The old velocity is taken whole: multiply it by momentum.
    damped: Your velocity is a moving average: momentum and 1 - momentum add up to one. The rule here takes the gradient
        whole.
    uphill: The step goes uphill: subtract lr times the velocity.
    no-rate: The learning rate is missing in the step: subtract lr times the velocity.
    rate-in-velocity: The learning rate is inside the velocity. Here it comes in with the step, lr times the velocity.
    old-velocity: The step is taken with the old velocity: renew it first.
    gradient-step: The step ignores the velocity: the weights move along the gradient alone.
    order: The two results are in the wrong order: return the weights first, then the velocity.
    nesterov: That is Nesterov's step. Here the step is lr times the new velocity, no more.
    pruned-not-zero: Weights or velocities are not zero where kept is False: mask both things that you return.
"""


def _wrong(
    weights: Tensor, velocity: Tensor, gradient: Tensor, kept: Tensor, lr: float, momentum: float, weight_decay: float
) -> dict[str, Pair]:
    given = (weights, velocity, gradient, kept)
    numbers = (lr, momentum, weight_decay)
    new, v = _step(weights, velocity, gradient, *numbers)
    trapped = _step(weights * kept, velocity, gradient * kept, *numbers)
    alive = weights != 0
    return {
        "no-mask": (new, v),
        "gradient-alone": _step(weights, velocity, gradient * kept, *numbers),
        "momentum-trap": trapped,
        "velocity-not-masked": (new * kept, v),
        "velocity-keeps-momentum": (trapped[0] * kept, trapped[1]),
        "weights-not-masked": (weights - lr * v * kept, v * kept),
        "mask-inverted": _right(weights, velocity, gradient, ~kept, *numbers),
        "no-decay": _right(*given, weight_decay=0),
        "decay-sign": _right(*given, weight_decay=-weight_decay),
        "mask-from-zeros": (new * alive, v * alive),
        "no-momentum": _right(*given, momentum=0),
        "momentum-one": _right(*given, momentum=1),
        "uphill": _right(*given, lr=-lr),
        "no-rate": _right(*given, lr=1),
        "order": _right(*given)[::-1],
    }


def _other_rules(
    weights: Tensor, velocity: Tensor, gradient: Tensor, lr: float, momentum: float, weight_decay: float
) -> list[tuple[str, Pair]]:
    """Return what other rules do to kept weights, with their mistakes; some are written in several ways."""
    push, old = gradient + weight_decay * weights, momentum * velocity
    plain, damped, v = old + gradient, old + (1 - momentum) * push, old + push
    half_damped = old + (1 - momentum) * gradient + weight_decay * weights
    turned = (1 - momentum) * velocity + momentum * push
    rated = old - lr * push  # the velocity of a step that is added
    return [
        ("decay-apart", (weights - lr * plain - lr * weight_decay * weights, plain)),
        ("decay-afterwards", ((weights - lr * plain) * (1 - lr * weight_decay), plain)),
        *(("damped", (weights - lr * mean, mean)) for mean in (damped, half_damped, turned)),
        ("rate-in-velocity", (weights - old - lr * push, old + lr * push)),
        ("rate-in-velocity", (weights + rated, rated)),
        ("old-velocity", (weights - lr * velocity, v)),
        ("gradient-step", (weights - lr * push, v)),
        ("nesterov", (weights - lr * (push + momentum * v), v)),
        ("nesterov", (weights - old + (1 + momentum) * rated, rated)),
        ("nesterov", (weights + momentum * rated - lr * push, rated)),
    ]


def _signs(
    found: list[Tensor],
    weights: Tensor,
    velocity: Tensor,
    gradient: Tensor,
    kept: Tensor,
    lr: float,
    momentum: float,
    weight_decay: float,
) -> dict[str, bool]:
    if any(x.shape != kept.shape for x in found):
        return {}
    # What a rule does is read off the kept weights, so that it is named even if the mask is missing too.
    seen: dict[str, bool] = {}
    for mistake, results in _other_rules(weights, velocity, gradient, lr, momentum, weight_decay):
        fits = all(near(x[kept], y[kept]) for x, y in zip(found, results, strict=True))
        seen[mistake] = seen.get(mistake, False) or fits
    return {**seen, "pruned-not-zero": any(bool(x[~kept].any()) for x in found)}


register(
    "masked step",
    Exercise(_right, _cases, _wrong, _WORDS, ("the tensor of new weights", "the new velocity"), signs=_signs),
)
