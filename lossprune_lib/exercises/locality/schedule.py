"""Exercise 3.1: the exponential schedule."""

from __future__ import annotations

import torch
from torch import Tensor

from lossprune_lib.exercises.answers import near
from lossprune_lib.exercises.checking import Exercise, fresh, register
from lossprune_lib.pruning import schedules


def _right(sparsity: float, stages: int) -> Tensor:
    return torch.tensor(schedules.sparsities("exponential", sparsity, stages), dtype=torch.float64)


def _cases() -> list[tuple[float, int]]:
    drawn = round(0.55 + 0.4 * torch.rand((), generator=fresh()).item(), 2)
    return [(0.84, 2), (0.9, 5), (0.5, 1), (0.98, 14), (0.0, 3), (drawn, 4)]


_WORDS = """
    right: Each stage keeps the same share of what is left, so the first stage removes the most weights and the last the
        fewest. Fewer weights are not a shorter step: those that go last may be larger.
    hint: The share kept must shrink by the same factor at each stage.
    last-alone: You return a single number: return the sparsity after every stage.
    one-too-many: Your list has one number too many: it begins after stage 1, not with the sparsity before it.
    one-too-few: Your list has one number too few. Python's range(1, n) ends at n - 1.
    length: Your list does not have the right length: one number is needed for each stage, whatever their number.
    kept-share: These are the shares that are kept. The sparsity is the share that is zero.
    per-cent: These are per cent. In code, a sparsity is a fraction between 0 and 1.
    one-behind: This is one stage behind: it begins at 0 and ends too early. Where does your counting start?
    reversed: The order is reversed: stage 1 comes first, and the sparsity rises.
    linear: This is the linear schedule, which removes the same number each time. Keep the same share of what is left.
    cubic: This is the cubic schedule. Here each stage should keep the same share of the weights that are left.
    root-of-sparsity: You took the root of the sparsity, so your list falls, and stage 1 prunes more than there is to
        prune in all. What shrinks by the same factor at each stage is the share that is kept, 1 - sparsity.
    one-minus-root: You took one minus a root of the sparsity, but what shrinks by the same factor at each stage is the
        share that is kept, 1 - sparsity.
    power-of-sparsity: You took a power of the sparsity, but what shrinks by the same factor at each stage is the share
        that is kept, 1 - sparsity.
    sparsity-divided: You divide the sparsity by the number of stages and take that share of what is left each time,
        which removes too little. The shares kept are multiplied, so it takes a root, not a quotient.
    kept-divided: You divide the share kept by the number of stages. Shares are multiplied, so it takes a root.
    all-at-once: Every entry is the final sparsity: then all is removed in stage 1.
    all-at-the-end: All is removed in the last stage. The exponent is a fraction: / divides, // also rounds down.
    cut-of-each-stage: This is what each stage adds. Return the sparsity after it, with all earlier stages counted.
    share-of-each-stage: This is the share of what is left that each stage removes. Return the sparsity after each
        stage.
    shares-added: You add the same share at each stage, but it is a share of what is left: multiply the shares kept.
    whole-sparsity: The exponent should be the part of the stages that is done: after the last stage it must be 1.
    rounded: The numbers are rounded. Return them as they are: round only what you print.
    wrong-end: Your list does not end with the final sparsity, which the last stage must reach.
"""


def _wrong(sparsity: float, stages: int) -> dict[str, Tensor]:
    i, kept, right = torch.arange(1, stages + 1, dtype=torch.float64), 1 - sparsity, _right(sparsity, stages)
    each = torch.full((stages,), 1 - kept ** (1 / stages), dtype=torch.float64)
    return {
        "kept-share": 1 - right,
        "per-cent": 100 * right,
        "one-behind": 1 - kept ** ((i - 1) / stages),
        "reversed": right.flip(0),
        "linear": sparsity * i / stages,
        "cubic": sparsity * (1 - (1 - i / stages) ** 3),
        "root-of-sparsity": sparsity ** (i / stages),
        "one-minus-root": 1 - sparsity ** (i / stages),
        "power-of-sparsity": sparsity ** (stages / i),
        "sparsity-divided": 1 - (1 - sparsity / stages) ** i,
        "kept-divided": 1 - kept / stages * i,
        "all-at-once": torch.full((stages,), sparsity, dtype=torch.float64),
        "all-at-the-end": sparsity * (i == stages),
        "cut-of-each-stage": torch.diff(right, prepend=torch.zeros(1)),
        "share-of-each-stage": each,
        "shares-added": each * i,
        "whole-sparsity": 1 - kept**i,
    }


def _signs(found: list[Tensor], sparsity: float, stages: int) -> dict[str, bool]:
    values, right = found[0].double(), _right(sparsity, stages)
    length = len(values) if values.ndim == 1 else stages
    signs = {
        "last-alone": not values.ndim,
        "one-too-many": length == stages + 1,
        "one-too-few": length == stages - 1,
        "length": length != stages,
    }
    if values.shape != right.shape:
        return signs
    rounded = any(near(values, right.round(decimals=digits), 1e-9) for digits in (1, 2, 3, 4))
    return {**signs, "rounded": rounded, "wrong-end": bool((values[-1] - sparsity).abs() > 1e-5)}


register(
    "exponential schedule",
    Exercise(
        _right,
        _cases,
        _wrong,
        _WORDS,
        ("the list of sparsities",),
        signs=_signs,
        same=lambda found, wanted, *arguments: near(found, wanted, 1e-5),
    ),
)
