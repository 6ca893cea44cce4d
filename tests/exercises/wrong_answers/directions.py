"""Wrong answers to exercises 1.3 and 1.5, on directions and planes, and the mistake that the check must name."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

Answer = Callable[..., Any]


def rows(x: Tensor) -> Tensor:
    return x.flatten(1).norm(dim=1).view(-1, *[1] * (x.ndim - 1))


def columns(direction: Tensor, weight: Tensor) -> Tensor:
    d, w = direction.flatten(1), weight.flatten(1)
    return (d * w.norm(dim=0) / d.norm(dim=0)).reshape(weight.shape)


def sizes(x: Tensor) -> Tensor:
    return x.flatten(1).abs().sum(1).view(-1, *[1] * (x.ndim - 1))


def dead_units_keep(direction: Tensor, weight: Tensor) -> Tensor:
    found = direction.clone()
    for unit in range(len(found)):
        if weight[unit].any():
            found[unit] *= weight[unit].norm() / found[unit].norm()
    return found


def scaled_in_place(direction: Tensor, weight: Tensor) -> Tensor:
    for unit in range(len(direction)):
        direction[unit] *= weight[unit].norm() / direction[unit].norm()
    return direction


def solved(step: Tensor, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    a, b = torch.linalg.lstsq(torch.stack([first, second], 1), step[:, None]).solution.flatten()
    return a, b, (step - a * first - b * second).norm()


def pair(of: Answer) -> Answer:
    """Return an answer with other coordinates, and the distance from the point that they lead to."""

    def answer(step: Tensor, first: Tensor, second: Tensor) -> Any:
        a, b = of(step, first, second)
        return a, b, (step - a * first - b * second).norm()

    return answer


def changed(of: Answer) -> Answer:
    """Return an answer that makes other coordinates of the right ones."""
    return lambda s, f, g: (*of(*solved(s, f, g)[:2], f, g), solved(s, f, g)[2])


def away(of: Answer) -> Answer:
    """Return an answer with the right coordinates, and a distance that is made of the step and the nearest point."""

    def answer(step: Tensor, first: Tensor, second: Tensor) -> Any:
        a, b, _ = solved(step, first, second)
        return a, b, of(step, a * first + b * second)

    return answer


def alone(step: Tensor, one: Tensor) -> Tensor:
    return step @ one / (one @ one)


def gram_schmidt(step: Tensor, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    return alone(step, first), alone(step, second - alone(second, first) * first)


def orthonormal(step: Tensor, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    q, _ = torch.linalg.qr(torch.stack([first, second], 1))
    a, b = q.T @ step
    return a, b, (step - a * q[:, 0] - b * q[:, 1]).norm()


def step_in_place(step: Tensor, first: Tensor, second: Tensor) -> Any:
    a, b, _ = solved(step, first, second)
    step -= a * first + b * second
    return a, b, step.norm()


def with_residuals(step: Tensor, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    found = torch.linalg.lstsq(torch.stack([first, second], 1), step[:, None])
    return found.solution[0], found.solution[1], found.residuals


WRONG: dict[str, list[tuple[str, Any]]] = {
    "filter normalisation": [
        ("unchanged", lambda d, w: d),
        ("weight", lambda d, w: w),
        ("unit-length", lambda d, w: d / rows(d)),
        ("whole-layer", lambda d, w: d * w.norm() / d.norm()),
        ("direction-as-a-whole", lambda d, w: d * rows(w) / d.norm()),
        ("weight-as-a-whole", lambda d, w: d * w.norm() / rows(d)),
        ("one-dimension", lambda d, w: d * w.norm(dim=1, keepdim=True) / d.norm(dim=1, keepdim=True)),
        ("one-dimension", lambda d, w: d * (w.norm(dim=1) / d.norm(dim=1))[:, None]),
        ("last-dimension", lambda d, w: d * w.norm(dim=-1, keepdim=True) / d.norm(dim=-1, keepdim=True)),
        ("columns", columns),
        ("columns", lambda d, w: d / d.norm(dim=0) * w.norm(dim=0)),
        ("upside-down", lambda d, w: d * rows(d) / rows(w).clamp(min=1e-12)),
        ("not-divided", lambda d, w: d * rows(w)),
        ("divided-by-weight", lambda d, w: d / rows(w).clamp(min=1e-12)),
        ("weight-stretched", lambda d, w: w * rows(d) / rows(w).clamp(min=1e-12)),
        ("both-squared", lambda d, w: d * rows(w) ** 2 / rows(d) ** 2),
        ("divisor-squared", lambda d, w: d / rows(d) ** 2 * rows(w)),
        ("sum-of-sizes", lambda d, w: d * sizes(w) / sizes(d)),
        ("zeros-keep", dead_units_keep),
        ("nan", lambda d, w: d / (rows(d) / rows(w) * (rows(w) != 0))),
        ("weight-added", lambda d, w: w + d * rows(w) / rows(d)),
        ("entry-by-entry", lambda d, w: d * w.abs()),
        ("sizes-of-weights", lambda d, w: d.sign() * w.abs()),
        ("turned", lambda d, w: -d / rows(d) * rows(w)),
        ("other-direction", lambda d, w: d.flip(0) / rows(d).flip(0) * rows(w)),
        ("in-place", scaled_in_place),
        ("shape", lambda d, w: (d / rows(d) * rows(w)).flatten(1)),
        ("shape", lambda d, w: rows(w).flatten() / rows(d).flatten()),
        ("exception", lambda d, w: d / d.norm(dim=1) * w.norm(dim=1)),
        ("other", lambda d, w: 3 * d / rows(d) * rows(w)),
    ],
    "in the plane": [
        ("products", pair(lambda s, f, g: (s @ f, s @ g))),
        ("each-alone", pair(lambda s, f, g: (alone(s, f), alone(s, g)))),
        ("lengths-alone", pair(lambda s, f, g: (s @ f / f.norm(), s @ g / g.norm()))),
        ("cosines", pair(lambda s, f, g: (F.cosine_similarity(s, f, dim=0), F.cosine_similarity(s, g, dim=0)))),
        ("in-turn", pair(lambda s, f, g: (alone(s, f), alone(s - alone(s, f) * f, g)))),
        ("stepwise", pair(gram_schmidt)),
        ("right-angles", orthonormal),
        ("swapped", changed(lambda a, b, f, g: (b, a))),
        ("lengths", changed(lambda a, b, f, g: (a * f.norm(), b * g.norm()))),
        ("sign", changed(lambda a, b, f, g: (-a, -b))),
        ("sum-to-one", changed(lambda a, b, f, g: (a / (a + b), b / (a + b)))),
        ("corner", lambda s, f, g: (1.0, 1.0, 0.0)),
        ("distance-squared", away(lambda s, p: (s - p).square().sum())),
        ("distance-of-point", away(lambda s, p: p.norm())),
        ("distance-from-origin", away(lambda s, p: s.norm())),
        ("difference-of-lengths", away(lambda s, p: s.norm() - p.norm())),
        ("sum-of-sizes", away(lambda s, p: (s - p).abs().sum())),
        ("mean-square", away(lambda s, p: (s - p).square().mean().sqrt())),
        ("share", away(lambda s, p: (s - p).norm() / s.norm())),
        ("zero", away(lambda s, p: 0.0)),
        ("nan", away(lambda s, p: math.nan)),
        ("residuals", with_residuals),
        ("residuals", lambda s, f, g: [x.sqrt() if i == 2 else x for i, x in enumerate(with_residuals(s, f, g))]),
        ("distance-squared", lambda s, f, g: (*solved(s, f, g)[:2], np.linalg.lstsq(np.stack([f, g], 1), s)[1])),
        ("length-of-a-b", lambda s, f, g: (*solved(s, f, g)[:2], math.hypot(*solved(s, f, g)[:2]))),
        ("parts", lambda s, f, g: solved(s, f, g)[:2]),
        ("shape", changed(lambda a, b, f, g: (a * f, b * g))),
        ("not-finite", lambda s, f, g: (math.inf, 0.0, 0.0)),
        ("exception", lambda s, f, g: torch.linalg.lstsq(torch.stack([f, g]), s[:, None]).solution),
        ("in-place", step_in_place),
        ("other", lambda s, f, g: (9.0, 9.0, 9.0)),
        ("other", away(lambda s, p: 9.0)),
    ],
}
