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


def smallest(w: Tensor, sparsity: float) -> Tensor:
    return w[w.abs().argsort()][: round(sparsity * len(w))]


def norm_of(length: Answer) -> Answer:
    """Return an answer with another length, made of all weights and those that go, and the right share."""
    return lambda w, sparsity: (length(w, smallest(w, sparsity)), smallest(w, sparsity).norm() / w.norm())


def chosen_by(choice: Answer) -> Answer:
    """Return an answer in which other weights go."""
    return lambda w, sparsity: (choice(w, sparsity).norm(), choice(w, sparsity).norm() / w.norm())


def share_of(share: Answer) -> Answer:
    """Return an answer with the right length, and a share that is made of it and of the arguments."""

    def answer(w: Tensor, sparsity: float) -> tuple[Any, Any]:
        length = smallest(w, sparsity).norm()
        return length, share(length, w, sparsity)

    return answer


def rest_of(w: Tensor, sparsity: float) -> Tensor:
    return w[w.abs().argsort()][round(sparsity * len(w)) :]


def pruned_in_place(w: Tensor, sparsity: float) -> tuple[Tensor, Tensor]:
    whole, length = w.norm(), smallest(w, sparsity).norm()
    w[w.abs().argsort()[: round(sparsity * len(w))]] = 0
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
    "shortest step": [
        ("squared", norm_of(lambda w, gone: gone.square().sum())),
        ("sum-of-sizes", norm_of(lambda w, gone: gone.abs().sum())),
        ("signed-sum", norm_of(lambda w, gone: -gone.sum())),
        ("kept-weights", chosen_by(rest_of)),
        ("with-signs", chosen_by(lambda w, sparsity: w.sort().values[: round(sparsity * len(w))])),
        (
            "largest-first",
            chosen_by(lambda w, sparsity: w[w.abs().argsort(descending=True)][: round(sparsity * len(w))]),
        ),
        ("as-they-stand", chosen_by(lambda w, sparsity: w[: round(sparsity * len(w))])),
        ("kept-count", chosen_by(lambda w, sparsity: w[w.abs().argsort()][: len(w) - round(sparsity * len(w))])),
        ("rounded-down", chosen_by(lambda w, sparsity: w[w.abs().argsort()][: int(sparsity * len(w))])),
        ("rounded-up", chosen_by(lambda w, sparsity: w[w.abs().argsort()][: math.ceil(sparsity * len(w))])),
        ("difference-of-lengths", lambda w, s: (w.norm() - rest_of(w, s).norm(), 1 - rest_of(w, s).norm() / w.norm())),
        ("all-weights", norm_of(lambda w, gone: w.norm())),
        ("mean-square", norm_of(lambda w, gone: gone.norm() / max(len(gone), 1) ** 0.5)),
        ("mean-square-of-all", norm_of(lambda w, gone: gone.norm() / len(w) ** 0.5)),
        ("count", lambda w, sparsity: (len(smallest(w, sparsity)), sparsity)),
        ("largest", norm_of(lambda w, gone: gone.abs().max() if len(gone) else w.new_zeros(()))),
        ("share-first", lambda w, s: (smallest(w, s).norm() / w.norm(), smallest(w, s).norm())),
        ("parts", lambda w, sparsity: smallest(w, sparsity).norm()),
        ("parts", lambda w, sparsity: torch.zeros(3)),
        ("share-squared", share_of(lambda length, w, sparsity: length**2 / w.norm() ** 2)),
        ("share-of-kept", share_of(lambda length, w, sparsity: length / rest_of(w, sparsity).norm())),
        ("kept-share", share_of(lambda length, w, sparsity: rest_of(w, sparsity).norm() / w.norm())),
        ("sparsity", share_of(lambda length, w, sparsity: round(sparsity * len(w)) / len(w))),
        ("share-is-length", share_of(lambda length, w, sparsity: w.norm())),
        ("share-inverted", share_of(lambda length, w, sparsity: w.norm() / length.clamp_min(1e-9))),
        ("per-cent", share_of(lambda length, w, sparsity: 100 * length / w.norm())),
        ("share-of-sizes", share_of(lambda length, w, sparsity: length / w.abs().sum())),
        ("in-place", pruned_in_place),
        ("other", lambda w, sparsity: (7.7, 0.5)),
    ],
    "read a slice": [
        ("one-direction", "a"),
        ("normalisation", "b"),
        ("small-gradient", "D"),
        *(("no-option", answer) for answer in ("e", 3, "Not shown.")),
    ],
}
