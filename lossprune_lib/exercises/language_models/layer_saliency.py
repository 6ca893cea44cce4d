"""Exercise 6.1: what each weight does to its layer's outputs. Weights are [C, F], inputs [N, F]."""

from __future__ import annotations

import torch
from torch import Tensor

from lossprune_lib.exercises.checking import Exercise, fresh, register


def _right(weights: Tensor, inputs: Tensor) -> Tensor:
    return weights.square() * inputs.square().sum(0)


def _cases() -> list[tuple[Tensor, Tensor]]:
    source, cases = fresh(), []
    for outputs, features, examples in ((2, 3, 2), (5, 4, 9), (3, 6, 20), (4, 3, 1)):
        weights = torch.randn(outputs, features, generator=source, dtype=torch.float64)
        inputs = torch.randn(examples, features, generator=source, dtype=torch.float64)
        # A mean of their own, and a size: squares of sums are then no sums of squares.
        cases.append((weights, inputs * torch.arange(1, features + 1) + 1))
    return cases


_WORDS = """
    right: Only the inputs of the weight itself are in it: no labels, no other layer, no other weight. And nothing is
        approximated, because this error is a parabola.
    hint: Take one weight. Without it, its output loses weight times input in each example. Add up the squares of that.
    each-example: Your result still has a number for each example: add the examples up.
    one-number: Your result is one number, but every weight needs one of its own.
    per-output: You added up the weights of each output. Here each weight goes alone, so it has a number of its own.
    transposed: Your result is [F, C]: give it the shape of the weights.
    half: There is a half too many. It belongs to the second order of an expansion, and E itself is a sum of squares.
    root: That is the root of E. It orders the weights as E does, but give E itself.
    mean: You averaged over the examples. E is a sum over them.
    square-of-sum: You added up the inputs before you squared them, so that inputs of opposite sign cancel: square
        first.
    spread: You took away the mean of the inputs. What an output loses is weight times input, mean and all.
    inputs-not-squared: The inputs are not squared.
    norm-not-squared: You used the norm of the inputs, which is the root of the sum of their squares: leave out the
        root.
    weights-not-squared: The weights are not squared.
    of-the-outputs: You used the layer's outputs. One weight meets one input only.
    all-inputs: You used the squares of all inputs together. A weight [c, f] meets input f alone.
"""


def _wrong(weights: Tensor, inputs: Tensor) -> dict[str, Tensor]:
    right, squares = _right(weights, inputs), weights.square()
    outputs = inputs @ weights.T
    return {
        "one-number": right.sum(),
        "per-output": right.sum(1),
        "transposed": right.T,
        "half": right / 2,
        "root": right.sqrt(),
        "mean": right / len(inputs),
        "square-of-sum": squares * inputs.sum(0).square(),
        "spread": squares * (inputs - inputs.mean(0)).square().sum(0),
        "inputs-not-squared": squares * inputs.abs().sum(0),
        "norm-not-squared": squares * inputs.norm(dim=0),
        "weights-not-squared": weights.abs() * inputs.square().sum(0),
        "of-the-outputs": squares * outputs.square().sum(0)[:, None],
        "all-inputs": squares * inputs.square().sum(),
    }


def _signs(found: list[Tensor], weights: Tensor, inputs: Tensor) -> dict[str, bool]:
    return {"each-example": found[0].ndim == 3}


register("layer saliency", Exercise(_right, _cases, _wrong, _WORDS, ("the saliency",), signs=_signs))
