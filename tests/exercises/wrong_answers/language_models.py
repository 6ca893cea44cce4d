"""Wrong answers to the exercises of notebook 06, and the mistake that the check must name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

Answer = Callable[..., Any]


def each_alone(weights: Tensor, inputs: Tensor) -> Tensor:
    """Return what each output of each example loses without each weight: [N, C, F]."""
    return weights[None] * inputs[:, None]


def squares(of: Tensor) -> Tensor:
    return of.pow(2).sum(0)


def two_largest(groups: Tensor, number: int = 2) -> Tensor:
    """Return which of the last dimension are among its largest, the first of those that tie."""
    return groups.argsort(dim=-1, descending=True, stable=True).argsort(dim=-1) < number


def of_four(scores: Tensor, kept: Answer) -> Tensor:
    """Return a mask from what is kept of groups in rising order, by a comparison with their values."""
    groups = scores.reshape(len(scores), -1, 4)
    return kept(groups, groups.sort(dim=-1).values).reshape(scores.shape)


def surgeon(
    column: Answer = lambda h, inverse, k: inverse[:, k],
    divisor: Answer = lambda h, inverse, k: inverse[k, k],
    increase: Answer = lambda w, h, inverse: w**2 / inverse / 2,
) -> Answer:
    """Return an update by another column, another divisor or another increase."""

    def answer(row: Tensor, hessian: Tensor, k: int) -> tuple[Tensor, Tensor]:
        inverse = hessian.inverse()
        new = row - row[k] * column(hessian, inverse, k) / divisor(hessian, inverse, k)
        return new, increase(row[k], hessian[k, k], inverse[k, k])

    return answer


def remaining(row: Tensor, hessian: Tensor, kept: Tensor) -> Tensor:
    """Return the best weights at the places that are kept, by least squares."""
    new = torch.zeros_like(row)
    new[kept] = row[kept] + torch.linalg.solve(hessian[kept][:, kept], hessian[kept][:, ~kept] @ row[~kept])
    return new


def one_by_one(choose: Answer, mend: bool = True, more: int = 0) -> Answer:
    """Return a row of which another weight is chosen each time by (weights, Hessian, inverse)."""

    def answer(row: Tensor, hessian: Tensor, number: int) -> Tensor:
        kept, new = torch.ones(len(row), dtype=torch.bool), row.clone()
        for _ in range(number + more):
            places = kept.nonzero().flatten()
            inside = hessian[kept][:, kept]
            kept[places[int(choose(new[kept], inside, inside.inverse()))]] = False
            new = remaining(row, hessian, kept) if mend else row * kept
        return new

    return answer


def cheapest(w: Tensor, h: Tensor, inverse: Tensor) -> Tensor:
    return (w**2 / inverse.diag()).argmin()


def by_first_weights(row: Tensor, hessian: Tensor, number: int) -> Tensor:
    kept = torch.ones(len(row), dtype=torch.bool)
    for _ in range(number):
        prices = row[kept] ** 2 / hessian[kept][:, kept].inverse().diag()
        kept[kept.nonzero().flatten()[int(prices.argmin())]] = False
    return remaining(row, hessian, kept)


def at_once(row: Tensor, hessian: Tensor, number: int) -> Tensor:
    kept = torch.ones(len(row), dtype=torch.bool)
    kept[(row**2 / hessian.inverse().diag()).argsort()[:number]] = False
    return remaining(row, hessian, kept)


def first_inverse(row: Tensor, hessian: Tensor, number: int) -> Tensor:
    inverse, gone = hessian.inverse(), list[int]()
    for _ in range(number):
        costs = row**2 / inverse.diag()
        k = min((k for k in range(len(row)) if k not in gone), key=lambda k: float(costs[k]))
        row = row - row[k] * inverse[k] / inverse[k, k]
        gone.append(k)
    return row


def taken_again(row: Tensor, hessian: Tensor, number: int) -> Tensor:
    inverse = hessian.inverse()
    for _ in range(number):
        k = cheapest(row, hessian, inverse)
        row = row - row[k] * inverse[k] / inverse[k, k]
        row[k] = 0
    return row


WRONG: dict[str, list[tuple[str, Any]]] = {
    "layer saliency": [
        ("each-example", lambda w, x: each_alone(w, x) ** 2),
        ("one-number", lambda w, x: squares(each_alone(w, x)).sum()),
        ("per-output", lambda w, x: squares(each_alone(w, x)).sum(dim=1)),
        ("transposed", lambda w, x: squares(each_alone(w, x)).T),
        ("half", lambda w, x: squares(each_alone(w, x)) / 2),
        ("root", lambda w, x: w.abs() * x.norm(dim=0)),
        ("mean", lambda w, x: squares(each_alone(w, x)) / len(x)),
        ("square-of-sum", lambda w, x: each_alone(w, x).sum(0) ** 2),
        ("spread", lambda w, x: w**2 * x.var(0, correction=0) * len(x)),
        ("inputs-not-squared", lambda w, x: w**2 * x.abs().sum(0)),
        ("norm-not-squared", lambda w, x: w**2 * x.norm(dim=0)),
        ("weights-not-squared", lambda w, x: w.abs() * (x**2).sum(0)),
        ("of-the-outputs", lambda w, x: w**2 * ((x @ w.T) ** 2).sum(0).unsqueeze(1)),
        ("all-inputs", lambda w, x: w**2 * (x**2).sum()),
        ("other", lambda w, x: w + squares(each_alone(w, x))),
    ],
    "two of four": [
        ("smallest", lambda s: ~two_largest(s.reshape(len(s), -1, 4)).reshape(s.shape)),
        ("along-outputs", lambda s: two_largest(s.T.reshape(s.shape[1], -1, 4)).reshape(s.T.shape).T),
        ("spread-out", lambda s: two_largest(s.reshape(len(s), 4, -1).mT).mT.reshape(s.shape)),
        ("half-of-row", lambda s: two_largest(s, s.shape[1] // 2)),
        ("half-of-all", lambda s: s > s.median()),
        ("one", lambda s: two_largest(s.reshape(len(s), -1, 4), 1).reshape(s.shape)),
        ("three", lambda s: two_largest(s.reshape(len(s), -1, 4), 3).reshape(s.shape)),
        ("sizes", lambda s: two_largest(s.abs().reshape(len(s), -1, 4)).reshape(s.shape)),
        ("sizes", lambda s: of_four(s.abs(), lambda g, rising: g >= rising[..., 2:3])),
        ("threshold", lambda s: of_four(s, lambda g, rising: g >= rising[..., 2:3])),
        ("threshold", lambda s: of_four(s, lambda g, rising: g > rising[..., 1:2])),
        ("smallest", lambda s: of_four(s, lambda g, rising: g <= rising[..., 1:2])),
        ("dtype", lambda s: two_largest(s.reshape(len(s), -1, 4)).reshape(s.shape).double()),
        ("shape", lambda s: two_largest(s.reshape(len(s), -1, 4))),
        ("other", lambda s: s > s.mean()),
    ],
    "remove one": [
        ("the-step", lambda w, h, k: (surgeon()(w, h, k)[0] - w, surgeon()(w, h, k)[1])),
        ("not-paid-back", surgeon(column=lambda h, inverse, k: inverse[k, k] * torch.eye(len(h), dtype=h.dtype)[k])),
        ("only-diagonal", surgeon(lambda h, i, k: i.diag().diag()[k], lambda h, i, k: 1)),
        ("sign", surgeon(divisor=lambda h, inverse, k: -inverse[k, k])),
        ("not-divided", surgeon(divisor=lambda h, inverse, k: 1)),
        ("divided-by-hessian", surgeon(divisor=lambda h, inverse, k: h[k, k])),
        ("no-inverse", surgeon(lambda h, inverse, k: h[:, k], lambda h, inverse, k: h[k, k])),
        ("entries-inverted", surgeon(lambda h, inverse, k: 1 / h[:, k], lambda h, inverse, k: 1 / h[k, k])),
        ("from-the-others", lambda w, h, k: (w - w * h.inverse()[k] / h.inverse()[k, k], 0.0)),
        ("no-half", surgeon(increase=lambda w, h, inverse: w**2 / inverse)),
        ("not-squared", surgeon(increase=lambda w, h, inverse: w.abs() / inverse / 2)),
        ("without-payment", surgeon(increase=lambda w, h, inverse: w**2 * h / 2)),
        ("times-inverse", surgeon(increase=lambda w, h, inverse: w**2 * inverse / 2)),
        ("parts", lambda w, h, k: surgeon()(w, h, k)[0]),
        ("other", surgeon(increase=lambda w, h, inverse: w**2 / inverse / 2 + 1)),
    ],
    "prune a row": [
        ("not-paid-back", one_by_one(cheapest, mend=False)),
        ("at-once", at_once),
        ("first-inverse", first_inverse),
        ("by-size", one_by_one(lambda w, h, inverse: w.abs().argmin())),
        ("by-wanda", one_by_one(lambda w, h, inverse: (w**2 * h.diag()).argmin())),
        ("not-squared", one_by_one(lambda w, h, inverse: (w.abs() / inverse.diag()).argmin())),
        ("root-of-diagonal", one_by_one(lambda w, h, inverse: (w**2 / inverse.diag() ** 0.5).argmin())),
        ("not-squared", one_by_one(lambda w, h, inverse: (w**2 / inverse.diag() ** 2).argmin())),
        ("first-weights", by_first_weights),
        ("dearest", one_by_one(lambda w, h, inverse: (w**2 / inverse.diag()).argmax())),
        ("one-more", one_by_one(cheapest, more=1)),
        ("one-fewer", one_by_one(cheapest, more=-1)),
        ("one", lambda w, h, number: one_by_one(cheapest)(w, h, 1)),
        ("one", taken_again),
        ("other", lambda w, h, number: 2 * one_by_one(cheapest)(w, h, number)),
    ],
    "another unit": [
        ("wanda-alone", "b"),
        ("both", "c"),
        ("neither", "d"),
        ("no-option", "e"),
    ],
}
