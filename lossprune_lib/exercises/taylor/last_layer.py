"""Exercise 2.4: the diagonal of the last layer's generalised Gauss-Newton matrix."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from lossprune_lib.exercises.checking import Exercise, fresh, register


def right(inputs: Tensor, logits: Tensor) -> Tensor:
    """Return the diagonal [C, F] for inputs [N, F] and logits [N, C]; a test compares it with `LossModel`."""
    p = logits.softmax(1)
    return (p * (1 - p)).T @ inputs.square() / len(inputs)


def _cases() -> list[tuple[Tensor, Tensor]]:
    source, cases = fresh(), []
    for examples, features, classes, scale in ((1, 2, 3, 1.0), (7, 4, 3, 1.0), (20, 3, 5, 6.0), (40, 2, 2, 1.0)):
        inputs = torch.randn(examples, features, dtype=torch.float64, generator=source)
        inputs[:, 0] += 2  # a mean that is not zero tells squares of means from means of squares
        weight = scale * torch.randn(classes, features, dtype=torch.float64, generator=source)
        cases.append((inputs, inputs @ weight.T + torch.randn(classes, dtype=torch.float64, generator=source)))
    return cases


_WORDS = """
    right: Each weight's curvature is the mean, over the examples, of p (1 - p) of its class times its squared input.
        The library finds the same numbers, and by passing curvature backwards those of all other layers too.
    hint: Take the first example alone: row by row, p (1 - p) of the class times the squares of its inputs.
    transposed: Your diagonal is [inputs, classes], but a Linear layer's weight is [classes, inputs]: transpose it.
    each-example: Your result still has a matrix for each example: average over the examples, as the loss does.
    summed: You added up the examples, but the loss is their mean, and so is its curvature.
    n-minus-one: You divide by N - 1, which fails for a single example: divide by the number of examples N.
    not-squared: The inputs are not squared.
    sizes: You use the size of the inputs instead of their square.
    p-alone: The diagonal of p pᵀ is not subtracted: diag(p) - p pᵀ has p (1 - p) on its diagonal, not p.
    one-minus-p: This is 1 - p alone: the diagonal of diag(p) - p pᵀ is p - p², so a factor p is missing.
    p-squared: This is p pᵀ alone, without diag(p).
    sign: The sign is wrong: it is diag(p) - p pᵀ, not the other way round. A GGN's diagonal is never negative.
    spread-squared: You squared p (1 - p), but the diagonal entry is used as it is; only its root is squared.
    root: This is the root of p (1 - p): square it before you multiply by the squared inputs.
    product-of-means: You averaged p (1 - p) and the squared inputs separately: multiply for each example, then average.
    square-of-mean: You squared after taking the mean over the examples: square each example's inputs first.
    mean-p: You averaged the probabilities over the examples first, but p (1 - p) is needed for each example.
    squared-gradients: These are squared gradients for the likeliest label: the GGN needs no labels, only p (1 - p).
    mean-inputs: You squared the mean of the inputs: square each example's first.
    sigmoid: The probabilities are those of a sigmoid: cross-entropy over classes takes the softmax.
    over-examples: The softmax runs over the examples (dim=0): it must run over the classes (dim=1).
    over-everything: The softmax runs over examples and classes together: each example has its own (dim=1).
    log-softmax: These are logarithms of probabilities: take softmax, not log_softmax.
    no-softmax: The logits are used as if they were probabilities: take their softmax.
    half: There is a 1/2 too many: it belongs to the Taylor expansion, not to the matrix.
    mean-over-classes: You averaged over the classes too: divide by the number of examples only.
    divided-by-classes: You divided by the number of classes: divide by the number of examples, len(inputs).
    thousand: You divided by 1000, but the number of examples is len(inputs), whatever the batch.
    last-example: The last example is missing: let the loop run over all of them.
"""


def _wrong(inputs: Tensor, logits: Tensor) -> dict[str, Tensor]:
    examples, classes = logits.shape
    p, squares = logits.softmax(1), inputs.square()
    sigmoid, across, logs = logits.sigmoid(), logits.softmax(0), logits.log_softmax(1)
    everywhere = logits.flatten().softmax(0).view_as(logits)
    errors = p - F.one_hot(p.argmax(1), classes)
    spread, diagonal = p * (1 - p), right(inputs, logits)

    def mean(outer: Tensor, inner: Tensor = squares) -> Tensor:
        return outer.T @ inner / examples

    return {
        "transposed": diagonal.T,
        "summed": diagonal * examples,
        "n-minus-one": diagonal * examples / torch.tensor(examples - 1.0),
        "not-squared": mean(spread, inputs),
        "sizes": mean(spread, inputs.abs()),
        "p-alone": mean(p),
        "one-minus-p": mean(1 - p),
        "p-squared": mean(p.square()),
        "sign": -diagonal,
        "spread-squared": mean(spread.square()),
        "root": mean(spread.sqrt()),
        "product-of-means": torch.outer(spread.mean(0), squares.mean(0)),
        "square-of-mean": mean(spread, inputs).square(),
        "mean-p": torch.outer(p.mean(0) * (1 - p.mean(0)), squares.mean(0)),
        "squared-gradients": mean(errors.square()),
        "mean-inputs": torch.outer(spread.mean(0), inputs.mean(0).square()),
        "sigmoid": mean(sigmoid * (1 - sigmoid)),
        "over-examples": mean(across * (1 - across)),
        "over-everything": mean(everywhere * (1 - everywhere)),
        "log-softmax": mean(logs * (1 - logs)),
        "no-softmax": mean(logits * (1 - logits)),
        "half": diagonal / 2,
        "mean-over-classes": diagonal / classes,
        "divided-by-classes": diagonal * examples / classes,
        "thousand": diagonal * examples / 1000,
        "last-example": mean(spread[:-1], squares[:-1]),
    }


register(
    "diagonal of the last layer",
    Exercise(
        right,
        _cases,
        _wrong,
        _WORDS,
        ("the diagonal",),
        signs=lambda found, inputs, logits: {"each-example": found[0].ndim == 3},
    ),
)
