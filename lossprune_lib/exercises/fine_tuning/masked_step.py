"""The check of the masked step in the notebook on fine-tuning."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from lossprune_lib.exercises.checking import Answer, Mistake, call, close, exercise, fresh, name_mistake, tensor

Pair = tuple[Tensor, Tensor]
_RATE, _MOMENTUM, _DECAY = 0.1, 0.9, 0.05


def _step(
    w: Tensor, v: Tensor, g: Tensor, rate: float = _RATE, momentum: float = _MOMENTUM, decay: float = _DECAY
) -> Pair:
    """Return weights and velocity after a step of plain SGD, as torch.optim.SGD takes it."""
    v = momentum * v + g + decay * w
    return w - rate * v, v


def _masked_step(w: Tensor, v: Tensor, g: Tensor, kept: Tensor, **changed: float) -> Pair:
    w, v = _step(w * kept, v * kept, g, **changed)
    return w * kept, v * kept


_STEP_MISTAKES: dict[str, Callable[[Tensor, Tensor, Tensor, Tensor], Pair]] = {
    "Nothing is masked: the pruned weights move like all others. Multiply by kept where a pruned weight must be zero.": (
        lambda w, v, g, k: _step(w, v, g)
    ),
    "Only the gradient is masked. The momentum that a pruned weight still has, and weight decay, push on: mask what "
    "comes out, not only what comes in.": lambda w, v, g, k: _step(w, v, g * k),
    "Gradient and weights are masked on their way in, but the old velocity is not: that is the momentum trap. It moves "
    "pruned weights although their gradient is zero.": lambda w, v, g, k: _step(w * k, v, g * k),
    "The weights are right, but the velocity of pruned weights is not zero. It is saved for the next step, and there it "
    "pushes them again: mask what you return twice.": lambda w, v, g, k: (_step(w, v, g)[0] * k, _step(w, v, g)[1]),
    "The weights are right, but the velocity of pruned weights still holds the old momentum: mask both things that you "
    "return.": lambda w, v, g, k: (_step(w * k, v, g * k)[0] * k, _step(w * k, v, g * k)[1]),
    "The velocity is masked, but the weights are not: what a pruned weight was before stays there.": (
        lambda w, v, g, k: (w - _RATE * _step(w, v, g)[1] * k, _step(w, v, g)[1] * k)
    ),
    "The mask is turned round: the weights that should be kept are zero. kept is True for what stays.": (
        lambda w, v, g, k: _masked_step(w, v, g, ~k)
    ),
    "Weight decay is missing: weight_decay * weights is added to the gradient.": (
        lambda w, v, g, k: _masked_step(w, v, g, k, decay=0)
    ),
    "Weight decay has the wrong sign: it is added to the gradient, so that the step makes weights smaller.": (
        lambda w, v, g, k: _masked_step(w, v, g, k, decay=-_DECAY)
    ),
    "Weight decay is taken from the weights directly. Here it is part of the gradient, so the velocity has it too.": (
        lambda w, v, g, k: ((w - _RATE * (_MOMENTUM * v + g) - _RATE * _DECAY * w) * k, (_MOMENTUM * v + g) * k)
    ),
    "Weight decay is a second step, after the first. Here it is part of the gradient, so the velocity has it too.": (
        lambda w, v, g, k: ((w - _RATE * (_MOMENTUM * v + g)) * (1 - _RATE * _DECAY) * k, (_MOMENTUM * v + g) * k)
    ),
    "You took the mask from the weights that are zero. A kept weight may be zero for a moment and must learn, and a pruned "
    "one may come in that is not zero: use kept.": (
        lambda w, v, g, k: (_step(w, v, g)[0] * (w != 0), _step(w, v, g)[1] * (w != 0))
    ),
    "The old velocity is missing: the new one is momentum times the old one plus the gradient.": (
        lambda w, v, g, k: _masked_step(w, v, g, k, momentum=0)
    ),
    "The old velocity is taken whole: multiply it by momentum.": lambda w, v, g, k: _masked_step(
        w, v, g, k, momentum=1
    ),
    "The gradient is multiplied by 1 - momentum. The rule here takes it whole.": (
        lambda w, v, g, k: (
            (w - _RATE * (_MOMENTUM * v + (1 - _MOMENTUM) * (g + _DECAY * w))) * k,
            (_MOMENTUM * v + (1 - _MOMENTUM) * (g + _DECAY * w)) * k,
        )
    ),
    "The step goes uphill: subtract lr times the velocity.": lambda w, v, g, k: _masked_step(w, v, g, k, rate=-_RATE),
    "The learning rate is missing in the step: subtract lr times the velocity.": (
        lambda w, v, g, k: _masked_step(w, v, g, k, rate=1)
    ),
    "The learning rate is inside the velocity. Here the velocity is without it, and the step is lr times the velocity.": (
        lambda w, v, g, k: (
            (w - _MOMENTUM * v - _RATE * (g + _DECAY * w)) * k,
            (_MOMENTUM * v + _RATE * (g + _DECAY * w)) * k,
        )
    ),
    "The step is taken with the old velocity: renew it first.": lambda w, v, g, k: (
        (w - _RATE * v) * k,
        _step(w, v, g)[1] * k,
    ),
    "The step ignores the velocity: the weights move along the gradient alone.": (
        lambda w, v, g, k: ((w - _RATE * (g + _DECAY * w)) * k, _step(w, v, g)[1] * k)
    ),
    "The two results are in the wrong order: return the weights first, then the velocity.": (
        lambda w, v, g, k: _masked_step(w, v, g, k)[::-1]
    ),
    "That is Nesterov's step. Here the step is lr times the new velocity, no more.": (
        lambda w, v, g, k: ((w - _RATE * (g + _DECAY * w + _MOMENTUM * _step(w, v, g)[1])) * k, _step(w, v, g)[1] * k)
    ),
}


@exercise("masked step")
def masked_step(answer: Answer) -> str:
    source = fresh()
    cases: list[tuple[Pair, dict[str, Pair]]] = []
    for size, share in ((12, 0.5), (9, 0.3), (7, 1.0), (5, 0.0)):
        w, v, g = torch.randn(3, size, generator=source, dtype=torch.float64)
        kept = (torch.arange(size) < round(share * size))[torch.randperm(size, generator=source)]
        w[int(kept.int().argmax())] = 0  # a kept weight, if there is one, that happens to be zero
        found = call(answer, w, v, g, kept, _RATE, _MOMENTUM, _DECAY)
        if not isinstance(found, (tuple, list)) or len(found) != 2:
            raise Mistake("Return two things: the new weights and the new velocity.")
        pair = tensor(found[0], (size,), "The tensor of weights"), tensor(found[1], (size,), "The velocity")
        right = _masked_step(w, v, g, kept)
        cases.append((pair, {message: wrong(w, v, g, kept) for message, wrong in _STEP_MISTAKES.items()}))
        if not _same(pair, right):
            name_mistake(cases, _same)
            _explain_step(pair, right, (w, v, g), kept)
    return (
        "Pruned weights stay at zero, and so does their velocity. A mask on the gradient alone would have let momentum "
        "bring them back."
    )


def _explain_step(pair: Pair, right: Pair, given: tuple[Tensor, Tensor, Tensor], kept: Tensor) -> None:
    w, v, g = given
    for what, one, wanted in zip(("new value", "new velocity"), pair, right, strict=True):
        if bool((one[~kept] != 0).any()):
            raise Mistake(f"The {what} of {int((one[~kept] != 0).sum())} pruned weights is not zero.")
        if not close(one, wanted):
            i = int((one - wanted).abs().argmax())
            raise Mistake(
                f"The {what} of a kept weight is wrong: weight {w[i]:.3f}, velocity {v[i]:.3f} and gradient {g[i]:.3f} with "
                f"lr {_RATE}, momentum {_MOMENTUM} and weight_decay {_DECAY} should give {wanted[i]:.4f}, not {one[i]:.4f}."
            )


def _same(pair: Pair, other: Pair) -> bool:
    return all(bool((a - b).abs().max() <= 1e-5 * (1 + b.abs().max())) for a, b in zip(pair, other, strict=True))
