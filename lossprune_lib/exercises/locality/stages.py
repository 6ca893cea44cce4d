"""The checks of the exercises in notebook locality."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from lossprune_lib.exercises.checking import Answer, Mistake, call, choice, close, exercise, fresh, tensor
from lossprune_lib.exercises.locality.stage_loop import as_mask
from lossprune_lib.networks import masks
from lossprune_lib.pruning import schedules


@exercise("exponential schedule")
def exponential_schedule(answer: Answer) -> str:
    """Check a function (sparsity, stages) -> the sparsity after each stage."""
    cases = [(0.84, 2), (0.9, 5), (0.5, 1), (0.98, 14), (0.0, 3), (0.6, 4)]
    for sparsity, stages in cases:
        found = _numbers(call(answer, sparsity, stages), sparsity, stages)
        wanted = torch.tensor(schedules.sparsities("exponential", sparsity, stages), dtype=torch.float64)
        if not close(found, wanted, 1e-5) and (found - wanted).abs().max() > 1e-6:
            raise Mistake(_schedule_mistake(found, wanted, sparsity, stages))
    return (
        "Each stage keeps the same share of what is left, so the first stage removes the most weights and the last the fewest: "
        "small steps where the network is sensitive."
    )


def _numbers(result: Any, sparsity: float, stages: int) -> Tensor:
    if isinstance(result, int | float) or (isinstance(result, Tensor) and result.ndim == 0):
        raise Mistake(f"For {stages} stages the answer must be {stages} numbers, one a stage, not a single one.")
    if not isinstance(result, Tensor):
        try:
            result = torch.tensor([float(value) for value in result], dtype=torch.float64)
        except (TypeError, ValueError):
            raise Mistake(f"The sparsities must be a list of {stages} numbers, not {type(result).__name__}.") from None
    if result.ndim == 1 and len(result) == stages + 1:
        raise Mistake(
            f"There are {stages + 1} numbers for {stages} stages: the sparsity before the first stage is not asked for, "
            "the list begins with the one after it."
        )
    if result.ndim == 1 and len(result) == stages - 1:
        raise Mistake(f"Your list has length {stages - 1}, for {stages} stages. Python's range(1, n) ends at n - 1.")
    if result.ndim == 1 and len(result) != stages:
        raise Mistake(f"Your list has length {len(result)}, for {stages} stages: one number is needed for each stage.")
    return tensor(result, (stages,), f"The schedule for a sparsity of {sparsity:g} in {stages} stages")


def _schedule_mistake(found: Tensor, wanted: Tensor, sparsity: float, stages: int) -> str:
    i = torch.arange(1, stages + 1, dtype=torch.float64)
    kept = 1 - sparsity
    each = 1 - kept ** (1 / stages)
    removed = torch.diff(torch.cat([torch.zeros(1), wanted]))
    said = [
        (1 - wanted, "These are the shares that are kept. The sparsity is the share that is zero."),
        (100 * wanted, "These are per cent. In code a sparsity is a fraction between 0 and 1."),
        (1 - kept ** ((i - 1) / stages), "This is one stage behind: it begins at 0 and ends before the final sparsity. "
         "The first entry is the sparsity after stage 1; look at where your counting starts."),
        (wanted.flip(0), "The order is reversed: stage 1 comes first, and the sparsity rises."),
        (sparsity * i / stages, "This is the linear schedule: each stage removes the same number of weights. "
         "Here each should keep the same share of those that are left."),
        (sparsity * (1 - (1 - i / stages) ** 3), "This is the cubic schedule. Here each stage should keep the same share of the "
         "weights that are left."),
        (sparsity ** (i / stages), "You took the power of the sparsity: then stage 1 would be the largest step by far. What shrinks by the "
         "same factor at each stage is the share that is kept."),
        (1 - sparsity ** (i / stages), "You took the power of the sparsity, but what shrinks by the same factor at each stage is the "
         "share that is kept, 1 - sparsity."),
        (sparsity ** (stages / i), "You took the power of the sparsity, but what shrinks by the same factor at each stage is the share that is "
         "kept, 1 - sparsity."),
        (1 - (1 - sparsity / stages) ** i, "You divide the sparsity by the number of stages, and take that share of what is left each time. Then too "
         "little goes. The shares kept are multiplied, so it takes a root, not a quotient."),
        (1 - kept / stages * i, "You divide the share kept by the number of stages. The shares are multiplied from stage to stage, not added, so it "
         "takes a root, not a quotient."),
        (torch.full((stages,), sparsity, dtype=torch.float64), "Every entry is the final sparsity: then all is removed in stage 1."),
        (sparsity * (i == stages), "All is removed in the last stage. The exponent is a fraction: / divides, // cuts down to a whole number."),
        (kept ** ((stages - i) / stages) - kept, "This has the small steps first: the exponent counts the stages that are still to come, "
         "not those that are done."),
        (removed, "This is what each stage adds. Asked for is the sparsity after it, with all earlier stages counted."),
        (each.expand(stages) if isinstance(each, Tensor) else torch.full((stages,), each, dtype=torch.float64),
         "This is the share that each stage removes of what is left, the same at each. Asked for is the sparsity after each stage."),
        (each * i, "You add the same share at each stage, but it is a share of what is left, and less is left each time: multiply the "
         "shares kept."),
        (1 - kept**i, "The exponent should be the part of the stages that is done: after the last one it must be 1."),
    ]  # fmt: skip
    # One stage tells few of these apart, so what differs from the right answer is what counts.
    for guess, words in said:
        if (found - guess).abs().max() <= 1e-5 and (guess - wanted).abs().max() > 1e-5:
            return words
    for digits in (1, 2, 3, 4):
        if torch.equal(found, torch.tensor([round(value, digits) for value in wanted.tolist()], dtype=torch.float64)):
            return f"The numbers are rounded to {digits} decimals. Return them as they are: round only what you print."
    if abs(float(found[-1]) - sparsity) > 1e-5:
        return f"The last stage must reach the sparsity {sparsity:g}, but your list ends with {float(found[-1]):.4g}."
    return (
        f"For a sparsity of {sparsity:g} in {stages} stages: expected {_list(wanted)}, found {_list(found)}. "
        "The share kept must shrink by the same factor at each stage."
    )


@exercise("one stage")
def one_stage(answer: Answer) -> str:
    """Check a function (saliency [D], kept [D], sparsity) -> kept [D] after the stage."""
    random = fresh()
    for saliency, kept, sparsity in _stages(random):
        result = call(answer, saliency, kept, sparsity)
        _judge_stage(as_mask(result, kept, saliency, sparsity), saliency, kept, sparsity)
    return (
        "Exactly round(D κ) weights are zero after each stage, whatever ties there are, and none comes back. The ranking is over "
        "all layers together, so a layer with small saliencies loses more."
    )


def _stages(random: torch.Generator) -> list[tuple[Tensor, Tensor, float]]:
    """Return saliencies, what is kept, and the sparsity to reach: plain cases first, so that these name the mistake."""
    draw = _told_apart(random)
    everything = torch.ones(10, dtype=torch.bool)
    layers = torch.rand(200, generator=random, dtype=torch.float64) + 0.01
    layers[120:] *= 50  # a layer of another scale
    some = torch.randperm(200, generator=random) < 140
    # Pruned weights of every saliency: zero as the model gives it, and large, so that only the mask can tell.
    after = layers.where(some, 0.0)
    ties = torch.randint(0, 3, (60,), generator=random).double()
    dead = torch.rand(60, generator=random) > 0.25
    zeros = after.clone()
    zeros[:110] = 0  # as behind dead inputs: more zeros than go, pruned and kept
    return [
        (draw, everything, 0.4),
        (draw, everything, 0.0),
        (after, some, 0.6),
        (layers, some, 0.6),
        (layers, some, (int((~some).sum()) + 0.3) / 200),  # nothing more to prune
        (torch.cat([draw, draw + 2])[:17], torch.ones(17, dtype=torch.bool), 0.5),  # 8.5: to the even one, 8
        (layers, some, 0.578),
        (zeros, some, 0.5),
        (ties, torch.ones(60, dtype=torch.bool), 0.5),
        (ties.where(dead, 0.0), dead, 0.62),
        (torch.zeros(12, dtype=torch.float64), torch.ones(12, dtype=torch.bool), 0.5),
    ]


def _told_apart(random: torch.Generator) -> Tensor:
    """Return ten saliencies for which argsort taken for ranks, at a sparsity of 0.4, is not also what another mistake gives."""
    while True:
        draw = torch.rand(10, generator=random, dtype=torch.float64) + 0.1
        mistaken = draw.argsort() >= 4
        if not any(torch.equal(mistaken, ~masks.smallest(scores, 4)) for scores in (draw, -draw)):
            return draw


def _judge_stage(found: Tensor, saliency: Tensor, kept: Tensor, sparsity: float) -> None:
    size, gone = len(kept), int((~kept).sum())
    wanted = masks.count(size, sparsity)
    right = kept & ~masks.smallest(saliency.where(kept, -torch.inf), wanted)
    zeros = int((~found).sum())
    if torch.equal(found, right):
        return
    if not wanted:
        raise Mistake(
            f"At a sparsity of 0 nothing goes, but in your mask {zeros} of {size} weights are zero. If you compare with a threshold: what is it "
            "when no weight goes?"
        )
    if torch.equal(found, ~right) and size != 2 * wanted:
        raise Mistake("You mark what is pruned. Asked for is what is kept: the opposite.")
    if torch.equal(found, right ^ kept) and gone:
        raise Mistake("You mark only the weights that this stage prunes. Asked for is what is kept after it.")
    revived = int((found & ~kept).sum())
    largest = kept & ~masks.smallest((-saliency).where(kept, -torch.inf), wanted)
    if torch.equal(found, largest) or torch.equal(found, ~masks.smallest(-saliency, wanted)):
        raise Mistake("You prune the weights with the largest saliency. They matter most: the smallest go first.")
    if torch.equal(found, saliency.where(kept, -torch.inf).argsort() >= wanted):
        raise Mistake(
            "You compare the result of argsort with k. Its entries are not ranks: they are the places of the smallest, the next, and so on. "
            "Use the first k of them as indices."
        )
    nearly = {math.floor(size * sparsity), math.ceil(size * sparsity)}
    if zeros == size - wanted and zeros not in nearly:
        raise Mistake(
            f"You keep {wanted} of {size} weights and prune {zeros}. The sparsity {sparsity:g} is the share that is zero, not the share kept."
        )
    if torch.equal(found, ~masks.smallest(saliency.where(~kept, -torch.inf), wanted)):
        raise Mistake(
            "Your ranking puts the weights that are kept first, before all others, whatever their saliency. It is those that are pruned "
            "already that must come first."
        )
    tied = _tie(saliency, kept, wanted)
    if revived and tied and zeros == wanted and not saliency[kept & ~found].any():
        raise Mistake(
            f"{revived} weights that were pruned before are kept again: weights that are kept may have the saliency 0 too, so 0 is not low enough "
            "for those that are pruned. They must come before all others."
        )
    if revived and (zeros == wanted or torch.equal(found, ~masks.smallest(saliency, wanted))):
        raise Mistake(
            f"{revived} weights that were pruned before are kept again. A pruned weight has a saliency too, but must stay pruned: "
            "how could it always be the first to go?"
        )
    if revived:
        raise Mistake(f"{revived} weights that were pruned before are kept again. Start from what is kept already.")
    if gone and torch.equal(found, kept & ~masks.smallest(saliency, wanted)):
        raise Mistake(
            f"{zeros} of {size} weights are zero, not {wanted}: your ranking chooses among all weights, those that are pruned already too, "
            "and then keeps these pruned as well. Let what is pruned come first in the ranking."
        )
    if gone and zeros == min(size, gone + wanted):
        raise Mistake(
            f"{gone} of {size} weights were pruned already, and you prune {wanted} more. The sparsity {sparsity:g} is what is reached "
            "after the stage, with those pruned before counted in."
        )
    mixed = kept.clone()
    mixed[saliency[kept].argsort(stable=True)[: max(0, wanted - gone)]] = False
    if gone and torch.equal(found, mixed):
        raise Mistake(
            "You rank the kept weights only, which is fine, but then use their places in that shorter list as places among all D. "
            "kept.nonzero() translates them."
        )
    remaining = int(kept.sum())
    if gone and zeros in {gone + round(remaining * sparsity), gone + int(remaining * sparsity)}:
        raise Mistake("You take the sparsity of the weights that are left. It is a share of all D weights.")
    if zeros != wanted and tied:
        many = "all of them go" if zeros > wanted else "all of them stay"
        raise Mistake(
            f"Several weights have the same saliency at the border, and in your mask {many}: {zeros} are zero where {wanted} should be. "
            "A threshold cannot cut between equal values; choose by position in a sorted list."
        )
    if zeros in nearly and zeros != wanted:
        raise Mistake(
            f"D κ = {size * sparsity:.4g} is rounded to the nearest whole number, {wanted}, but you prune {zeros}. "
            "Python's round() does it."
        )
    if zeros != wanted:
        raise Mistake(f"{zeros} of {size} weights are zero, but at a sparsity of {sparsity:g} it must be {wanted}.")
    if tied and saliency[kept & ~found].sort().values.equal(saliency[kept & ~right].sort().values):
        return  # another choice among equal ones
    half = [
        masks.smallest(part.where(k, -torch.inf), masks.count(len(part), sparsity))
        for part, k in _halves(saliency, kept)
    ]
    if torch.equal(~found, torch.cat(half)):
        raise Mistake(
            "You rank the first and the second part of the weights apart. The ranking is global: all D together."
        )
    where = int((found != right).nonzero()[0])
    raise Mistake(
        f"The number of zeros is right, the choice is not. For example weight {where}, with saliency {float(saliency[where]):.3g}, should be "
        f"{'kept' if right[where] else 'pruned'}: the smallest of those still kept go."
    )  # fmt: skip


def _halves(saliency: Tensor, kept: Tensor) -> list[tuple[Tensor, Tensor]]:
    middle = len(kept) // 2
    return [(saliency[:middle], kept[:middle]), (saliency[middle:], kept[middle:])]


def _tie(saliency: Tensor, kept: Tensor, wanted: int) -> bool:
    """Whether the last pruned and the first kept weight have the same saliency."""
    values = saliency.where(kept, -torch.inf).sort().values
    return 0 < wanted < len(values) and bool(values[wanted - 1] == values[wanted])


@exercise("promise and truth")
def predicted_and_actual(answer: Answer) -> str:
    """Check the reading of the figure: why the gap is so much smaller with 140 stages."""
    said = choice(answer, ["a", "b", "c", "d"])
    if said == "b":
        return (
            "Each model is used over a shorter step, so each is off by less, and the sum is smaller too: splitting a step into ten makes each "
            "part's error smaller than a tenth. That is locality. It is not perfect: the promise stays below the truth in all three panels."
        )
    raise Mistake(
        {
            "a": "Count the weights at the right end of the three panels: the sparsity is the same, so equally many are pruned.",
            "c": "Promise and truth are measured on one and the same batch at each stage, so noise of the batch is in both. Look at what a stage "
            "changes instead: how far it goes.",
            "d": "Nothing is trained between stages. The weights that are kept have the same values in all three panels.",
        }[said]
    )


@exercise("limit of the penalty")
def limit_of_the_penalty(answer: Answer) -> str:
    """Check what LM with a huge step penalty gives in 140 stages."""
    said = choice(answer, ["a", "b", "c", "d"])
    if said == "c":
        return (
            "With λ large the ranking is that of θ², the same at every stage and on every batch. The mask at a given sparsity is then the same in one "
            "stage or in 140: many stages help only a criterion that asks the model."
        )
    raise Mistake(
        {
            "a": "The penalty does not forbid steps: the schedule fixes how many weights go. It only changes the order in which they go.",
            "b": "Small stages help because the model is renewed. But what does the model still contribute to the ranking when the other term is a "
            "thousand times as large?",
            "d": "Two values of the saliency are compared, not their scale. Divide every saliency by λ: does the order of the weights change? And which "
            "term is left?",
        }[said]
    )


def _list(values: Tensor) -> str:
    return "[" + ", ".join(f"{float(value):.4g}" for value in values[:5]) + (", ...]" if len(values) > 5 else "]")
