"""Bonus 6.4: several weights of a row, one at a time, each paid back. A row is [F], its Hessian [F, F]."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from lossprune_lib.exercises.checking import Exercise, fresh, register
from lossprune_lib.exercises.language_models.remove_one import made_up_row

Case = tuple[Tensor, Tensor, int]
Costs = Callable[[Tensor, Tensor, Tensor], Tensor]  # of weights, their Hessian and its inverse -> of each weight


def _least(row: Tensor, hessian: Tensor, inverse: Tensor) -> Tensor:
    return row.square() / inverse.diagonal()


def _pruned(
    row: Tensor, hessian: Tensor, number: int, costs: Costs = _least, pays_back: bool = True, moved: bool = True
) -> Tensor:
    """Return the row after a number of weights went, each time the one of the least cost among those that are left.

    Costs are those of the weights as they have moved, or as they were at first.
    """
    first, row, left = row, row.clone(), torch.arange(len(row))
    for _ in range(number):
        own = hessian[left][:, left]
        inverse = torch.linalg.inv(own)
        k = int(costs((row if moved else first)[left], own, inverse).argmin())
        if pays_back:
            row[left] -= row[left[k]] / inverse[k, k] * inverse[:, k]
        row[left[k]] = 0
        left = torch.cat([left[:k], left[k + 1 :]])
    return row


def _right(row: Tensor, hessian: Tensor, number: int) -> Tensor:
    return _pruned(row, hessian, number)


def _mended(row: Tensor, hessian: Tensor, gone: Tensor) -> Tensor:
    """Return the best row without these weights."""
    left = torch.tensor([k for k in range(len(row)) if k not in gone.tolist()])
    new = torch.zeros_like(row)
    new[left] = torch.linalg.solve(hessian[left][:, left], hessian[left] @ row)
    return new


def _stale(row: Tensor, hessian: Tensor, number: int) -> Tensor:
    """Return the row when the inverse of the whole Hessian serves each time."""
    row, inverse, gone = row.clone(), torch.linalg.inv(hessian), torch.zeros(len(row), dtype=torch.bool)
    for _ in range(number):
        k = int((row.square() / inverse.diagonal()).masked_fill(gone, torch.inf).argmin())
        row = row - row[k] / inverse[k, k] * inverse[:, k]
        gone[k] = True
    return row


def _cases() -> list[Case]:
    """Return rows; on the last of them, every mistake gives another one than the right one."""
    source = fresh()
    cases = [(*made_up_row(features, source), number) for features, number in ((4, 2), (9, 4))]
    while True:
        case = *_row_with_twins(source), 4
        rows = torch.stack([_right(*case), *_wrong(*case).values()])
        if torch.pdist(rows).min() > 1e-2:
            return [*cases, case]


def _row_with_twins(source: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return a row, and the Hessian of inputs that come in two pairs of twins, which are large, and four others."""
    inputs = torch.randn(40, 8, generator=source, dtype=torch.float64)
    inputs[:, 4:6] = 3 * inputs[:, 6:] + 0.5 * inputs[:, 4:6]
    inputs[:, 6:] *= 3
    inputs[:, :4] *= 0.5 + torch.rand(4, generator=source, dtype=torch.float64)
    row = 0.5 + torch.rand(8, generator=source, dtype=torch.float64)
    order = torch.randperm(8, generator=source)
    return row[order], (inputs.T @ inputs / 10)[order][:, order]


_WORDS = """
    right: That is Optimal Brain Surgeon: each removal is exact for this row, though which weights go is chosen one at a
        time. SparseGPT does it column by column for all rows at once, so that they can share one inverse; that is what
        makes it fit networks with billions of weights.
    hint: In a loop: the inverse of the Hessian of the weights that are left, the cheapest of them, the step, and one
        weight fewer is left.
    not-paid-back: The weights that stay are unchanged: after each removal they must move.
    at-once: You chose all weights by the first costs. Each removal changes the weights and the inverse: choose afresh.
    first-inverse: You use the inverse of the whole Hessian each time, so weights that have gone come back. Invert the
        Hessian of those that are left.
    by-size: You take the smallest weight each time: take the one of the smallest increase.
    by-wanda: You take the weight of the smallest own error, as Wanda does: take the smallest increase, which knows that
        the others pay back.
    dearest: You take the most expensive weight each time: take the cheapest.
    not-squared: Your price is the weight over the inverse's diagonal, or that squared: square the weight alone.
    root-of-diagonal: Your price divides by the root of the inverse's diagonal: divide by the diagonal as it is.
    first-weights: Your prices are those of the weights as they were at first. What stays has moved: take it as it is.
    one-more: One weight too many has gone.
    one-fewer: One weight too few has gone.
    one: You remove one weight only: one that is zero already has the least price, so a loop takes it again. Leave it
        out.
"""


def _wrong(row: Tensor, hessian: Tensor, number: int) -> dict[str, Tensor]:
    costs = row.square() / torch.linalg.inv(hessian).diagonal()
    first, stale = costs.argsort()[:number], _stale(row, hessian, number)
    return {
        "not-paid-back": _pruned(row, hessian, number, pays_back=False),
        "at-once": _mended(row, hessian, first),
        "first-inverse": stale,
        "by-size": _pruned(row, hessian, number, lambda w, h, inverse: w.abs()),
        "by-wanda": _pruned(row, hessian, number, lambda w, h, inverse: w.square() * h.diagonal()),
        "dearest": _pruned(row, hessian, number, lambda w, h, inverse: -_least(w, h, inverse)),
        "not-squared": _pruned(row, hessian, number, lambda w, h, inverse: w.abs() / inverse.diagonal()),
        "root-of-diagonal": _pruned(row, hessian, number, lambda w, h, inverse: w.square() / inverse.diagonal().sqrt()),
        "first-weights": _pruned(row, hessian, number, moved=False),
        "one-more": _right(row, hessian, number + 1),
        "one-fewer": _right(row, hessian, number - 1),
        "one": _right(row, hessian, 1),
    }


register("prune a row", Exercise(_right, _cases, _wrong, _WORDS, ("the row",)))
