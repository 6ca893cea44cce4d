"""The checks of notebook 01: right answers in other styles pass, and each mistake is named."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from lossprune_lib import exercises
from lossprune_lib.exercises.checking import Verdict


def refused(name: str, answer: Any, words: str) -> None:
    verdict: Verdict = exercises.check(name, answer)
    assert verdict.passed is False, verdict
    assert words in verdict.text, verdict.text


def length_and_share(length: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda w, kept: (length(w, kept), (w * ~kept).norm() / w.norm())


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (length_and_share(lambda w, kept: (w * ~kept).square().sum()), "squared"),
        (length_and_share(lambda w, kept: (w * ~kept).abs().sum()), "adds the sizes"),
        (length_and_share(lambda w, kept: (w * kept - w).sum()), "with their signs"),
        (length_and_share(lambda w, kept: (w * kept).norm()), "weights that are kept"),
        (length_and_share(lambda w, kept: w.norm() - (w * kept).norm()), "do not subtract"),
        (length_and_share(lambda w, kept: w.norm()), "the mask plays no part"),
        (length_and_share(lambda w, kept: (w * kept - w).square().mean().sqrt()), "root mean square"),
        (length_and_share(lambda w, kept: w[~kept].square().mean().sqrt()), "root mean square"),
        (length_and_share(lambda w, kept: (~kept).sum()), "counts the pruned weights"),
        (length_and_share(lambda w, kept: (w * ~kept).abs().max()), "largest single move"),
        (lambda w, kept: (w * ~kept).norm(), "must return 2 numbers"),
        (lambda w, kept: ((w * ~kept).norm() / w.norm(), (w * ~kept).norm()), "the length comes first"),
        (lambda w, kept: ((w * ~kept).norm(), (~kept).double().mean()), "is the sparsity"),
        (lambda w, kept: ((w * ~kept).norm(), 100 * (w * ~kept).norm() / w.norm()), "per cent"),
        (lambda w, kept: ((w * ~kept).norm(), w.norm() / (w * ~kept).norm().clamp_min(1e-9)), "upside down"),
        (lambda w, kept: ((w * ~kept).norm(), (w * ~kept).square().sum() / w.square().sum()), "share is squared"),
        (lambda w, kept: ((w * ~kept).norm(), (w * ~kept).norm() / (w * kept).norm()), "what is left"),
        (lambda w, kept: (7.7, 0.5), "What does each coordinate"),
        (lambda w, kept: w * kept - w, "must return 2 numbers"),
    ],
)
def test_a_wrong_step_length_is_named(answer: Any, words: str) -> None:
    refused("step length", answer, words)


def test_other_ways_to_write_a_step_length_pass() -> None:
    def in_a_loop(weights: torch.Tensor, kept: torch.Tensor) -> list[float]:
        squares = [float(w) ** 2 for w, stays in zip(weights, kept, strict=True) if not stays]
        return [math.sqrt(sum(squares)), math.sqrt(sum(squares)) / math.sqrt(sum(float(w) ** 2 for w in weights))]

    def in_numpy(weights: torch.Tensor, kept: torch.Tensor) -> tuple[Any, Any]:
        import numpy as np

        gone = weights.numpy()[~kept.numpy()]
        return np.linalg.norm(gone), np.linalg.norm(gone) / np.linalg.norm(weights.numpy())

    def in_single(weights: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
        gone = weights.float()[~kept].norm()
        return torch.stack([gone, gone / weights.float().norm()])

    for answer in (in_a_loop, in_numpy, in_single):
        assert exercises.check("step length", answer).passed


def walk(point: Callable[..., Any], loss: Callable[..., Any] = F.cross_entropy) -> Callable[..., Any]:
    def answer(space: Any, rest: Any, x: Any, y: Any, direction: Any, at: Any) -> Any:
        return torch.stack([loss(space.call(point(space.read(), t, direction), rest, x), y) for t in at])

    return answer


def leaves_it_changed(space: Any, rest: Any, x: Any, y: Any, direction: Any, at: Any) -> Any:
    start, losses = space.read(), []
    for t in at:
        space.write_(start + t * direction)
        losses.append(F.cross_entropy(space.net(x), y).item())
    return losses


def walks_on(space: Any, rest: Any, x: Any, y: Any, direction: Any, at: Any) -> Any:
    point, losses = space.read(), []
    for t in at:
        point = point + t * direction
        losses.append(F.cross_entropy(space.call(point, rest, x), y))
    return losses


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (walk(lambda w, t, d: w + t * d, lambda z, y: F.cross_entropy(z, y, reduction="sum")), "is their mean"),
        (walk(lambda w, t, d: w - t * d), "backwards"),
        (walk(lambda w, t, d: t * d), "start at zero"),
        (walk(lambda w, t, d: (1 - t) * w + t * d), "It is a direction"),
        (walk(lambda w, t, d: w + t * d / d.norm()), "shorten the direction"),
        (walk(lambda w, t, d: w), "does not move"),
        (walk(lambda w, t, d: w + d), "far end"),
        (walk(lambda w, t, d: w + t * d, lambda z, y: F.cross_entropy(z.softmax(1), y)), "softmax twice"),
        (walk(lambda w, t, d: w + t * d, lambda z, y: (z.argmax(1) == y).double().mean()), "accuracy"),
        (walk(lambda w, t, d: w + t * d, lambda z, y: (z.argmax(1) != y).double().mean()), "error along"),
        (walk(lambda w, t, d: w + t * d, lambda z, y: -F.cross_entropy(z, y)), "wrong sign"),
        (walk(lambda w, t, d: w + t**2 * d), "Check the point first"),
        (leaves_it_changed, "leaves the network changed"),
        (walks_on, "walk on from the last point"),
        (lambda space, rest, x, y, d, at: F.cross_entropy(space.call(space.read() + d, rest, x), y), "must have [3]"),
        (lambda space, rest, x, y, d, at: space.call(space.read() + at * d, rest, x), "RuntimeError"),
        (lambda space, rest, x, y, d, at: [space.call(space.read() + t * d, rest, x) for t in at], "For a position"),
    ],
)
def test_a_wrong_line_is_named(answer: Any, words: str) -> None:
    refused("loss on a line", answer, words)


def test_other_ways_to_write_a_line_pass() -> None:
    def at_once(space: Any, rest: Any, x: Any, y: Any, direction: Any, at: Any) -> Any:
        points = space.read() + at.unsqueeze(1) * direction
        return torch.stack([F.cross_entropy(logits, y) for logits in space.call(points, rest, x)])

    def single(space: Any, rest: Any, x: Any, y: Any, direction: Any, at: Any) -> Any:
        return [F.cross_entropy(space.call(space.read() + t * direction, rest, x), y).item() for t in at.tolist()]

    for answer in (at_once, single):
        assert exercises.check("loss on a line", answer).passed


def rows(x: torch.Tensor) -> torch.Tensor:
    return x.flatten(1).norm(dim=1).view(-1, *[1] * (x.ndim - 1))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda d, w: d, "comes back as it was"),
        (lambda d, w: w, "weight itself"),
        (lambda d, w: d / rows(d), "have length 1"),
        (lambda d, w: d * rows(w), "do not divide"),
        (lambda d, w: d / d.norm() * w.norm(), "layer as a whole"),
        (lambda d, w: d / d.norm(dim=0) * w.norm(dim=0), "columns"),
        (lambda d, w: d / rows(d) ** 2 * rows(w) ** 2, "roots are missing"),
        (lambda d, w: d / rows(d) ** 2 * rows(w), "root is missing"),
        (lambda d, w: w / rows(w).clamp_min(1e-9) * rows(d), "other way round"),
        (lambda d, w: d.sign() * w.abs(), "size of its weight"),
        (lambda d, w: d / d.norm(dim=1, keepdim=True) * w.norm(dim=1, keepdim=True), "all three others"),
        (lambda d, w: d / d.norm(dim=1) * w.norm(dim=1), "RuntimeError"),
        (lambda d, w: (d / rows(d) * rows(w)).flatten(1)[:1], "has the shape"),
        (lambda d, w: -d / rows(d) * rows(w), "turned around"),
        (lambda d, w: 3 * d / rows(d) * rows(w), "of your direction has length"),
    ],
)
def test_a_wrong_normalisation_is_named(answer: Any, words: str) -> None:
    refused("filter normalisation", answer, words)


@pytest.mark.parametrize(
    ("letter", "words"), [("a", "one direction"), ("b", "length"), ("D", "gradient"), (3, "one of")]
)
def test_a_wrong_reading_is_answered(letter: Any, words: str) -> None:
    refused("read a slice", letter, words)


def solved(step: torch.Tensor, first: torch.Tensor, second: torch.Tensor) -> tuple[float, float, float]:
    columns = torch.stack([first, second], 1)
    a, b = torch.linalg.lstsq(columns, step.unsqueeze(1)).solution.flatten().tolist()
    return a, b, (step - a * first - b * second).norm().item()


def alone(step: torch.Tensor, one: torch.Tensor) -> torch.Tensor:
    return step @ one / (one @ one)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda s, f, g: (solved(s, f, g)[1], solved(s, f, g)[0], solved(s, f, g)[2]), "swapped"),
        (lambda s, f, g: (alone(s, f), alone(s, g), 0.0), "each step alone"),
        (lambda s, f, g: (s @ f, s @ g, 0.0), "bare products"),
        (lambda s, f, g: (solved(s, f, g)[0] * f.norm(), solved(s, f, g)[1] * g.norm(), 0), "are lengths"),
        (lambda s, f, g: (alone(s, f), solved(s, f, g)[1], 0), "b is right"),
        (lambda s, f, g: (1.0, 1.0, 0.0), "(1, 1)"),
        (lambda s, f, g: (*solved(s, f, g)[:2], solved(s, f, g)[2] ** 2), "squared"),
        (lambda s, f, g: (*solved(s, f, g)[:2], s.norm()), "length of the step"),
        (lambda s, f, g: (*solved(s, f, g)[:2], 0.0), "lies in the plane"),
        (lambda s, f, g: (*solved(s, f, g)[:2], math.hypot(*solved(s, f, g)[:2])), "length of (a, b)"),
        (lambda s, f, g: solved(s, f, g)[:2], "must return 3 numbers"),
        (lambda s, f, g: (9.0, 9.0, 9.0), "at right angles to both"),
        (lambda s, f, g: (*solved(s, f, g)[:2], 9.0), "yours is 9"),
        (lambda s, f, g: (*solved(s, f, g)[:2], math.nan), "rounding can make that negative"),
        (lambda s, f, g: (math.inf, 0.0, 0.0), "must be finite."),
    ],
)
def test_a_wrong_place_in_the_plane_is_named(answer: Any, words: str) -> None:
    refused("in the plane", answer, words)


def test_least_squares_passes() -> None:
    assert exercises.check("in the plane", solved).passed
