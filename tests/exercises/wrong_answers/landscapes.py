"""Wrong answers to the exercises of notebook 01, and the mistake that the check must name."""

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


def solved(step: Tensor, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    a, b = torch.linalg.lstsq(torch.stack([first, second], 1), step[:, None]).solution.flatten()
    return a, b, (step - a * first - b * second).norm()


def changed(of: Answer) -> Answer:
    """Return an answer that makes other coordinates of the right ones."""
    return lambda s, f, g: (*of(*solved(s, f, g)[:2], f, g), solved(s, f, g)[2])


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
        ("per-cent", share_of(lambda length, w, kept: 100 * length / w.norm())),
        ("share-of-sizes", share_of(lambda length, w, kept: length / w.abs().sum())),
        ("in-place", pruned_in_place),
        ("other", lambda w, kept: (7.7, 0.5)),
    ],
    "read a slice": [
        ("one-direction", "a"),
        ("normalisation", "b"),
        ("small-gradient", "D"),
        *(("no-option", answer) for answer in ("e", 3, "Not shown.")),
    ],
}
