"""Wrong answers to the exercises of notebook 01, as learners give them, and the mistake that the check must name."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

Answer = Callable[..., Any]


def walk(
    point: Answer = lambda w, t, d: w + t * d, loss: Answer = F.cross_entropy, summary: Answer = torch.stack
) -> Answer:
    """Return an answer that goes to other points, takes another loss, or returns something else of the losses."""

    def answer(space: Any, rest: Any, x: Tensor, y: Tensor, direction: Tensor, at: Tensor) -> Any:
        theta = space.read()
        return summary([loss(space.call(point(theta, t, direction), rest, x), y) for t in at])

    return answer


def walks_on(space: Any, rest: Any, x: Tensor, y: Tensor, direction: Tensor, at: Tensor) -> Tensor:
    point, losses = space.read(), []
    for t in at:
        point += t * direction
        losses.append(F.cross_entropy(space.call(point, rest, x), y))
    return torch.stack(losses)


def writes(space: Any, rest: Any, x: Tensor, y: Tensor, direction: Tensor, at: Tensor) -> list[float]:
    theta, losses = space.read(), []
    for t in at:
        space.write_(theta + t * direction)
        losses.append(F.cross_entropy(space.net(x), y).item())
    return losses


def with_other(change: Callable[..., dict[str, Any]]) -> Answer:
    """Return an answer that changes an argument first: rest, direction or at."""

    def changed(space: Any, rest: Any, x: Tensor, y: Tensor, direction: Tensor, at: Tensor) -> Any:
        given = {"rest": rest, "direction": direction, "at": at} | change(rest, direction, at)
        return walk()(space, given["rest"], x, y, given["direction"], given["at"])

    return changed


def rise(space: Any, rest: Any, x: Tensor, y: Tensor, direction: Tensor, at: Tensor) -> Tensor:
    return walk()(space, rest, x, y, direction, at) - F.cross_entropy(space.call(space.read(), rest, x), y)


def norm_of(length: Answer) -> Answer:
    """Return an answer with another length, and the right share."""
    return lambda w, kept: (length(w, kept), (w * ~kept).norm() / w.norm())


def share_of(share: Answer) -> Answer:
    """Return an answer with the right length, and a share that is made of it and of the arguments."""
    return lambda w, kept: ((w * ~kept).norm(), share((w * ~kept).norm(), w, kept))


def pruned_in_place(w: Tensor, kept: Tensor) -> tuple[Tensor, Tensor]:
    whole, length = w.norm(), w[~kept].norm()
    w[~kept] = 0
    return length, length / whole


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


WRONG: dict[str, list[tuple[str, Any]]] = {
    "loss on a line": [
        ("summed", walk(loss=lambda z, y: F.cross_entropy(z, y, reduction="sum"))),
        ("from-zero", walk(lambda w, t, d: t * d)),
        ("backwards", walk(lambda w, t, d: w - t * d)),
        ("end-point", walk(lambda w, t, d: (1 - t) * w + t * d)),
        ("unit-length", walk(lambda w, t, d: w + t * d / d.norm())),
        ("stands-still", walk(lambda w, t, d: w)),
        ("stands-still", lambda s, rest, x, y, d, at: [F.cross_entropy(s.net(x), y).item() for _ in at]),
        ("far-end", walk(lambda w, t, d: w + d)),
        ("softmax-twice", walk(loss=lambda z, y: F.cross_entropy(z.softmax(1), y))),
        ("mean-probability", walk(loss=lambda z, y: F.nll_loss(z.softmax(1), y))),
        ("mean-logit", walk(loss=F.nll_loss)),
        ("log-of-mean", walk(loss=lambda z, y: -z.softmax(1).gather(1, y[:, None]).mean().log())),
        ("accuracy", walk(loss=lambda z, y: (z.argmax(1) == y).double().mean())),
        ("error", walk(loss=lambda z, y: (z.argmax(1) != y).float().mean())),
        ("sign", walk(loss=lambda z, y: -F.cross_entropy(z, y))),
        ("bits", walk(loss=lambda z, y: F.cross_entropy(z, y) / math.log(2))),
        ("walks-on", walks_on),
        ("not-averaged", walk(loss=lambda z, y: F.cross_entropy(z, y, reduction="none"))),
        ("own-positions", with_other(lambda rest, d, at: {"at": torch.linspace(0, 1, len(at))})),
        ("counted-positions", with_other(lambda rest, d, at: {"at": torch.arange(len(at))})),
        ("no-biases", with_other(lambda rest, d, at: {"rest": {k: 0 * v for k, v in rest.items()}})),
        ("reversed", with_other(lambda rest, d, at: {"at": at.flip(0)})),
        ("sorted", walk(summary=lambda losses: torch.stack(losses).sort().values)),
        ("rise", rise),
        ("one-loss", walk(summary=lambda losses: torch.stack(losses).mean())),
        ("one-loss", walk(summary=lambda losses: losses[0])),  # a return inside the loop
        ("shape", walk(loss=lambda z, y: F.cross_entropy(z, y).reshape(1))),
        ("logits", walk(loss=lambda z, y: z, summary=list)),
        ("network-changed", writes),
        ("exception", lambda s, rest, x, y, d, at: s.call(s.read() + at * d, rest, x)),
        ("other", walk(lambda w, t, d: w + t**2 * d)),
    ],
    "step length": [
        ("squared", norm_of(lambda w, kept: (w * ~kept).square().sum())),
        ("sum-of-sizes", norm_of(lambda w, kept: (w * ~kept).abs().sum())),
        ("signed-sum", norm_of(lambda w, kept: (w * kept - w).sum())),
        ("signed-sum", lambda w, kept: ((w * ~kept).sum(), (w * ~kept).sum() / w.norm())),
        ("kept-weights", lambda w, kept: ((w * kept).norm(), (w * kept).norm() / w.norm())),
        ("kept-squared", norm_of(lambda w, kept: (w * kept).square().sum())),
        ("difference-of-lengths", norm_of(lambda w, kept: w.norm() - (w * kept).norm())),
        ("all-weights", norm_of(lambda w, kept: w.norm())),
        ("mean-square", norm_of(lambda w, kept: w[~kept].square().mean().sqrt())),
        ("mean-square-of-all", norm_of(lambda w, kept: (w * kept - w).square().mean().sqrt())),
        ("count", lambda w, kept: ((~kept).sum(), (~kept).float().mean())),
        ("largest", norm_of(lambda w, kept: (w * ~kept).abs().max())),
        ("share-first", lambda w, kept: ((w * ~kept).norm() / w.norm(), (w * ~kept).norm())),
        ("parts", lambda w, kept: (w * ~kept).norm()),
        ("parts", lambda w, kept: torch.zeros(3)),
        ("share-squared", share_of(lambda length, w, kept: length**2 / w.norm() ** 2)),
        ("share-of-kept", share_of(lambda length, w, kept: length / (w * kept).norm())),
        ("kept-share", share_of(lambda length, w, kept: (w * kept).norm() / w.norm())),
        ("sparsity", share_of(lambda length, w, kept: (~kept).float().mean())),
        ("share-is-length", share_of(lambda length, w, kept: w.norm())),
        ("share-inverted", share_of(lambda length, w, kept: w.norm() / length.clamp_min(1e-9))),
        ("one-minus-share", share_of(lambda length, w, kept: 1 - length / w.norm())),
        ("per-cent", share_of(lambda length, w, kept: 100 * length / w.norm())),
        ("share-of-count", share_of(lambda length, w, kept: length / len(w))),
        ("share-of-sizes", share_of(lambda length, w, kept: length / w.abs().sum())),
        ("share-of-squares", share_of(lambda length, w, kept: length / w.square().sum())),
        ("in-place", pruned_in_place),
        ("other", lambda w, kept: (7.7, 0.5)),
    ],
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
        ("factor-squared", lambda d, w: d / rows(d) * rows(w) ** 2),
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
    "read a slice": [
        ("one-direction", "a"),
        ("normalisation", "b"),
        ("small-gradient", "D"),
        *(("no-option", answer) for answer in ("e", 3, "Not shown.")),
    ],
    "in the plane": [
        ("products", pair(lambda s, f, g: (s @ f, s @ g))),
        ("each-alone", pair(lambda s, f, g: (alone(s, f), alone(s, g)))),
        ("each-alone-swapped", pair(lambda s, f, g: (alone(s, g), alone(s, f)))),
        ("lengths-alone", pair(lambda s, f, g: (s @ f / f.norm(), s @ g / g.norm()))),
        ("cosines", pair(lambda s, f, g: (F.cosine_similarity(s, f, dim=0), F.cosine_similarity(s, g, dim=0)))),
        ("in-turn", pair(lambda s, f, g: (alone(s, f), alone(s - alone(s, f) * f, g)))),
        ("stepwise", pair(gram_schmidt)),
        ("right-angles", orthonormal),
        ("swapped", changed(lambda a, b, f, g: (b, a))),
        ("lengths", changed(lambda a, b, f, g: (a * f.norm(), b * g.norm()))),
        ("sign", changed(lambda a, b, f, g: (-a, -b))),
        ("sum-to-one", changed(lambda a, b, f, g: (a / (a + b), b / (a + b)))),
        ("from-first", pair(lambda s, f, g: solved(s - f, f, g)[:2])),
        ("corner", lambda s, f, g: (1.0, 1.0, 0.0)),
        ("middle", pair(lambda s, f, g: (0.5, 0.5))),
        ("distance-squared", away(lambda s, p: (s - p).square().sum())),
        ("distance-of-point", away(lambda s, p: p.norm())),
        ("distance-from-origin", away(lambda s, p: s.norm())),
        ("difference-of-lengths", away(lambda s, p: s.norm() - p.norm())),
        ("sum-of-sizes", away(lambda s, p: (s - p).abs().sum())),
        ("signed-sum", away(lambda s, p: (s - p).sum())),
        ("mean-square", away(lambda s, p: (s - p).square().mean().sqrt())),
        ("share", away(lambda s, p: (s - p).norm() / s.norm())),
        ("zero", away(lambda s, p: 0.0)),
        ("nan", away(lambda s, p: math.nan)),
        ("length-of-a-b", lambda s, f, g: (*solved(s, f, g)[:2], math.hypot(*solved(s, f, g)[:2]))),
        ("distance-from-corner", lambda s, f, g: (*solved(s, f, g)[:2], (s - f - g).norm())),
        ("distance-from-ends", lambda s, f, g: (*solved(s, f, g)[:2], min((s - f).norm(), (s - g).norm()))),
        ("parts", lambda s, f, g: solved(s, f, g)[:2]),
        ("shape", changed(lambda a, b, f, g: (a * f, b * g))),
        ("not-finite", lambda s, f, g: (math.inf, 0.0, 0.0)),
        ("exception", lambda s, f, g: torch.linalg.lstsq(torch.stack([f, g]), s[:, None]).solution),
        ("in-place", step_in_place),
        ("other", lambda s, f, g: (9.0, 9.0, 9.0)),
        ("other", away(lambda s, p: 9.0)),
    ],
}
