"""The checks of the exercises in notebook fine_tuning; those on rank correlations are in fine_tuning_ranks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lossprune_lib.exercises.checking import Answer, Mistake, call, choice, close, exercise, number, tensor
from lossprune_lib.exercises.fine_tuning_ranks import fresh, name_mistake

Pair = tuple[Tensor, Tensor]
_RATE, _MOMENTUM, _DECAY = 0.1, 0.9, 0.05


# ---- Exercise 4.1: masked step


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
    return all(bool((a - b).abs().max() <= 1e-4 * (1 + b.abs().max())) for a, b in zip(pair, other, strict=True))


# ---- Exercise 4.2: fair choice


def _fair(valid: Tensor, test: Tensor) -> tuple[float, float, float]:
    row = int(valid.mean(1).argmin())
    return row, float(test[row].mean()), float(test[row].std())


def _chosen_otherwise(valid: Tensor, test: Tensor) -> dict[str, int]:
    """Return which row each plausible mistake chooses."""
    return {
        "You chose by the test error. Then the test set is used up, and the error that it shows there is too good: choose by "
        "valid_error, and only look up test_error.": int(test.mean(1).argmin()),
        "You chose by the mean plus the spread: the rule here is the mean alone.": int(
            (valid.mean(1) + valid.std(1)).argmin()
        ),
        "You took the row with the single lowest entry: one lucky seed. Take the mean over seeds first, then the lowest "
        "mean.": int(valid.argmin()) // valid.shape[1],
        "You chose by the first seed alone: take the mean over all seeds.": int(valid[:, 0].argmin()),
        "You chose the row with the largest error: errors should be small.": int(valid.mean(1).argmax()),
        "Your choice looks at test errors as well: validation and test are added up or averaged. The test set chooses "
        "nothing.": int((valid + test).mean(1).argmin()),
        "You chose by the median over seeds: the rule here is the mean.": int(valid.median(1).values.argmin()),
        "You took the mean over the wrong axis: there is a row for each step penalty and a column for each seed.": int(
            valid.mean(0).argmin()
        ),
        "You chose the row that varies least over seeds, not the one with the lowest mean.": int(valid.std(1).argmin()),
        "You chose by the worst seed of each row: the rule here is the mean.": int(valid.amax(1).argmin()),
    }


@exercise("fair choice")
def fair_choice(answer: Answer) -> str:
    source = fresh()
    for rows, seeds in ((9, 5), (9, 3), (6, 4)):
        valid, test = _errors(rows, seeds, source)
        _check_choice(answer, valid, test)
    valid, test = _errors(5, 4, source)
    valid[3] = valid[1] = valid.min() - 0.01  # equal ones: the first, whose penalty is smaller
    found = _three(call(answer, valid.clone(), test.clone()))
    if found[0] == 3:
        raise Mistake(
            "Two rows have the same mean validation error, and you took the later one: of equal ones, take the first."
        )
    _check_choice(answer, valid, test)
    return (
        "Validation chooses, the mean over seeds decides, and the test set is only read. What you report is an honest "
        "estimate, with its spread."
    )


def _errors(rows: int, seeds: int, source: torch.Generator) -> Pair:
    """Return errors in which each mistake chooses another row than the right one."""
    while True:
        valid, test = 0.02 + 0.06 * torch.rand(2, rows, seeds, generator=source, dtype=torch.float64)
        right = _fair(valid, test)[0]
        others = list(_chosen_otherwise(valid, test).values())
        if right not in others:
            return valid, test


def _three(found: Any) -> tuple[int, float, float]:
    if isinstance(found, (Tensor, np.ndarray)):
        found = found.tolist()
    if not isinstance(found, (tuple, list)) or len(found) != 3:
        raise Mistake("Return three numbers: the row that you chose, its mean test error, and the spread.")
    row, mean, spread = (
        number(value, what) for value, what in zip(found, ("The row", "The mean", "The spread"), strict=True)
    )
    if row != int(row):
        raise Mistake(f"The row is a whole number from 0, not {row:g}: return its index, not its error.")
    return int(row), mean, spread


def _check_choice(answer: Answer, valid: Tensor, test: Tensor) -> None:
    row, mean, spread = _three(call(answer, valid, test))
    right, wanted, spread_wanted = _fair(valid, test)
    own = valid.argmin(0)  # for each seed, its own row
    mixed = test.gather(0, own[None]).mean()
    if close(mean, mixed) and not close(mean, wanted):
        raise Mistake(
            "Each seed chose a row of its own. Then no single step penalty is reported: choose one for all seeds."
        )
    if row == right + 1 and close(mean, wanted):
        raise Mistake("The row is one too high: count rows from 0.")
    if row != right:
        cases = [(row, _chosen_otherwise(valid, test))]
        for _ in range(5):  # one case alone may fit several mistakes by chance
            more = _errors(len(valid), valid.shape[1], fresh())
            cases.append((_three(call(answer, *more))[0], _chosen_otherwise(*more)))
        name_mistake(cases, int.__eq__)
        raise Mistake(
            f"You chose row {row}. The mean validation errors are {[round(x, 4) for x in valid.mean(1).tolist()]}, "
            f"so it should be row {right}."
        )
    means: dict[str, Tensor | float] = {
        "The row is right, but you report its validation error. That one chose the row, so it is too good: report the test "
        "error.": valid[row].mean(),
        "The row is right, but you report the test error of its best seed. Report the mean over seeds.": test[
            row
        ].min(),
        "The row is right, but you report the lowest mean test error of all rows, which belongs to another row.": (
            test.mean(1).min()
        ),
        "The row is right, but you report the mean test error of all rows.": test.mean(),
        "The row is right, but you report the median over seeds: report the mean.": test[row].median(),
        "The error is in per cent; here errors are fractions, as they came in.": 100 * wanted,
        "The row is right, but you report the test error of the first seed alone.": test[row, 0],
        "The row is right, but you report the difference of test and validation error: report the test error itself.": (
            (test[row] - valid[row]).mean()
        ),
    }
    for message, value in means.items():
        if close(mean, value) and not close(mean, wanted):
            raise Mistake(message)
    if not close(mean, wanted):
        raise Mistake(f"The mean test error of row {row} is {wanted:.4f}, but you return {mean:.4f}.")
    errors, count = test[row], test.shape[1]
    for message, value in {
        "The spread is divided by n: that is too small for a few seeds. Divide by n - 1.": errors.std(correction=0),
        "That is the variance: take its root.": errors.var(),
        "That is the standard error of the mean. The spread asked for is the standard deviation over seeds, not divided by "
        "the root of their number.": errors.std() / count**0.5,
        "That is largest less smallest: the spread here is the standard deviation over seeds.": errors.max()
        - errors.min(),
        "That is the spread of the validation errors: give that of the test errors that you report.": valid[row].std(),
        "That is the spread over rows, not over seeds.": test.mean(1).std(),
        "That is the spread of all test errors: give that of the row that you chose.": test.std(),
        "The spread is in per cent; here errors are fractions.": 100 * errors.std(),
    }.items():
        if close(spread, value) and not close(spread, spread_wanted):
            raise Mistake(message)
    if not close(spread, spread_wanted):
        raise Mistake(f"The standard deviation (n - 1) of {errors.tolist()} is {spread_wanted:.4f}, not {spread:.4f}.")


# ---- Exercise 4.5: finding three


@exercise("finding three")
def finding_three(answer: Answer) -> str:
    chosen = choice(answer, "abcd")
    wrong = {
        "a": "Over all runs the correlation is high, so the loss change does tell something: it sorts out the prunings that went "
        "badly. Look at the rows of all runs (share 100 %).",
        "b": "The rows of all runs hold for good and bad prunings together. Whoever prunes chooses among the good ones: look at "
        "the rows of the best quarter (share 25 %).",
        "d": "A correlation near zero is no proof that there is nothing. The ceiling in section 7 is low here too, so the data "
        "could hardly have shown a relation; and nothing says that one more stage would harm.",
    }
    if chosen in wrong:
        raise Mistake(wrong[chosen])
    return (
        "The numbers carry this and no more: the loss change separates bad prunings from good ones, and says little about which "
        "of the good ones will be best after fine-tuning."
    )
