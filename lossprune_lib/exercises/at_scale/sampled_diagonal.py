"""Exercise 5.1: the GGN's diagonal of a last layer from drawn labels. Inputs [N, F], logits [N, C], labels [S, N]."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from lossprune_lib.exercises.answers import near
from lossprune_lib.exercises.checking import Exercise, fresh, register


def columns(logits: Tensor, drawn: Tensor) -> Tensor:
    """Return p less the drawn label's unit vector, for each draw and example [S, N, C]."""
    return logits.softmax(1) - F.one_hot(drawn, logits.shape[1])


def right(x: Tensor, logits: Tensor, drawn: Tensor) -> Tensor:
    """Return the estimate [C, F]."""
    return columns(logits, drawn).square().mean(0).T @ x.square() / len(x)


def _cases() -> list[tuple[Tensor, Tensor, Tensor]]:
    """Return cases whose draws all hold the last class; in the first it is never drawn."""
    source, cases = fresh(), []
    x, logits = torch.randn(2, 3, 2, generator=source, dtype=torch.float64)
    cases.append((x, logits, torch.zeros(2, 3, dtype=torch.int64)))
    for examples, inputs, classes, draws in ((2, 2, 3, 2), (12, 4, 5, 3), (20, 3, 4, 2), (9, 5, 6, 4)):
        x = torch.randn(examples, inputs, generator=source, dtype=torch.float64)
        logits = 2 * torch.randn(examples, classes, generator=source, dtype=torch.float64)
        drawn = torch.multinomial(logits.softmax(1), draws, replacement=True, generator=source).T.contiguous()
        drawn[:, 0] = classes - 1
        while bool((drawn == drawn[0]).all()):  # else one draw is as good as all of them
            drawn[:, 1:] = torch.randint(classes, (draws, examples - 1), generator=source)
        cases.append((x, logits, drawn))
    return cases


_WORDS = """
    right: In the mean over draws it is the exact diagonal, and it costs one backward pass per draw, however many
        classes there are.
    hint: For each draw and example a column p - e; its square, times the squared inputs; then means.
    draws-before-squares: You averaged the columns over the draws and squared the mean, which tends to zero with many
        draws. Square each draw, then average.
    examples-before-squares: You summed over examples before you squared: that is the square of a batch's gradient. The
        diagonal is a mean of each example's squares.
    draws-summed: You summed over the draws: take their mean, or more draws would make more curvature.
    examples-summed: You summed over the examples: the loss is their mean.
    exact: That is the exact diagonal. Estimate it from the labels in `drawn`.
    logits: You took the logits themselves: put them through a softmax first.
    wrong-axis: Your softmax runs over the examples: probabilities sum to 1 over the classes.
    labels-alone: You took the unit vectors of the drawn labels, without the probabilities.
    probabilities-alone: You took the probabilities, without the drawn labels.
    added: You added the unit vector of the label: subtract it from the probabilities.
    inputs-not-squared: The inputs must be squared too.
    not-squared: The columns must be squared, entry by entry.
    classes: Give one_hot the number of classes as its second argument: not every class is drawn.
    first-draw: You used the first draw alone: take the mean over all of them.
"""


def _wrong(x: Tensor, logits: Tensor, drawn: Tensor) -> dict[str, Any]:
    p, e = logits.softmax(1), F.one_hot(drawn, logits.shape[1]).double()
    n, squares = len(x), x.square()

    def of(column: Tensor) -> Tensor:
        return column.square().mean(0).T @ squares / n

    return {
        "draws-before-squares": of((p - e).mean(0, keepdim=True)),
        "examples-before-squares": (torch.einsum("snc,nf->scf", p - e, x) / n).square().mean(0),
        "draws-summed": len(drawn) * of(p - e),
        "examples-summed": n * of(p - e),
        "exact": (p - p.square()).T @ squares / n,
        "logits": of(logits - e),
        "wrong-axis": of(logits.softmax(0) - e),
        "labels-alone": of(e),
        "probabilities-alone": of(p[None]),
        "added": of(p + e),
        "inputs-not-squared": (p - e).square().mean(0).T @ x / n,
        "not-squared": (p - e).mean(0).T @ squares / n,
        "classes": of(p - F.one_hot(drawn)),
        "first-draw": of((p - e)[:1]),
    }


def _signs(found: list[Tensor], x: Tensor, logits: Tensor, drawn: Tensor) -> dict[str, bool]:
    batch = torch.einsum("snc,nf->scf", columns(logits, drawn), x).square().mean(0)
    return {"examples-before-squares": any(near(found[0], batch / scale) for scale in (1, len(x)))}


register("sampled diagonal", Exercise(right, _cases, _wrong, _WORDS, ("the diagonal",), signs=_signs))
