"""What plausible mistakes would give in the exercises of notebook taylor, each under the words that name it.

The weights w, gradient g and curvature c are [D].
"""

from __future__ import annotations

import torch
from torch import Tensor


def wrong_lm(w: Tensor, g: Tensor) -> dict[str, Tensor]:
    """Return what mistakes would give as saliencies of LM."""
    return {
        "The absolute value is missing: a weight that would lower the loss gets a negative saliency, and goes first.": -g
        * w,
        "The absolute value is missing. (And the step is minus the weight, so the change is -g theta.)": g * w,
        "This is the size of the gradient alone: how far does the step go? Multiply by the weight.": g.abs(),
        "This is the size of the weight alone, as in magnitude pruning: the gradient is missing.": w.abs(),
        "This is magnitude pruning, theta squared: the linear model needs the gradient.": w.square(),
        "You squared the product. That ranks alike, but it is no change of the loss in nats: take the absolute value.": (
            g * w
        ).square(),
        "There is no 1/2 in the first-order term of the Taylor expansion.": (g * w).abs() / 2,
        "Only the gradient has its absolute value taken: the weight's sign is still there.": g.abs() * w,
        "Only the weight has its absolute value taken: the gradient's sign is still there.": g * w.abs(),
        "The weight is squared: the first-order term is linear in the step.": (g * w.square()).abs(),
        "You divided by the number of weights, or by the sum: the saliency is each weight's change of the loss as it is.": (
            (g * w).abs() / len(w)
        ),
        "You scaled the saliencies so that they sum to one: leave them as changes of the loss.": (
            (g * w).abs() / (g * w).abs().sum()
        ),
        "This is the signed change with its sign clipped away at zero: take the absolute value.": (-g * w).clamp_min(0),
        "The sign is wrong: a saliency is a size, so it is never below zero.": -(g * w).abs(),
        "This is an order of the weights (argsort), not their saliencies: return the sizes themselves.": (
            (g * w).abs().argsort()
        ),
        "The sizes are right, but sorted: leave each at the place of its weight.": (g * w).abs().sort().values,
    }


def wrong_qm(w: Tensor, g: Tensor, c: Tensor, penalty: float) -> dict[str, Tensor]:
    """Return what mistakes would give as saliencies of QM."""
    linear, bend, extra = -g * w, 0.5 * c * w.square(), 0.5 * penalty * w.square()
    right = (linear + bend).abs()
    return {
        "The sign of the gradient term is wrong beside the other one: the step is minus the weight, so it is -g theta, and "
        "the quadratic term has a plus.": (-linear + bend).abs() + extra,
        "The 1/2 of the quadratic term is missing.": (linear + 2 * bend).abs() + extra,
        "The sign of the gradient term is wrong, and the 1/2 of the quadratic term is missing.": (
            (-linear + 2 * bend).abs() + extra
        ),
        "The sign of the gradient term is wrong, and the absolute value is missing.": -linear + bend + extra,
        "The 1/2 of the step penalty is missing.": right + 2 * extra,
        "Both halves are missing: the quadratic term has a 1/2, and so has the step penalty.": (
            (linear + 2 * bend).abs() + 2 * extra
        ),
        "The absolute value is missing.": linear + bend + extra,
        "The absolute value must be taken before the step penalty is added: a long step must never be cheaper for it.": (
            (linear + bend + extra).abs()
        ),
        "You took the absolute value of each term. Within one weight the two may cancel: take it of their sum.": (
            linear.abs() + bend.abs() + extra
        ),
        "The weight is not squared in the quadratic term.": (linear + 0.5 * c * w).abs() + extra,
        "The curvature is squared: only the step is.": (linear + 0.5 * (c * w).square()).abs() + extra,
        "The weight is not squared in the step penalty.": right + 0.5 * penalty * w,
        "The weight is not squared in the step penalty (its size is there instead).": right + 0.5 * penalty * w.abs(),
        "The step penalty is the same for every weight: it must grow with the weight, as 1/2 lambda theta^2.": (
            right + 0.5 * penalty
        ),
        "The step penalty is that of all weights together: each weight pays for its own square only.": right
        + extra.sum(),
        "The step penalty is squared: only the weight is.": right + 0.5 * (penalty * w).square(),
        "The step penalty is subtracted: it should make long steps dearer.": right - extra,
        "The step penalty is ignored.": right,
        "The gradient is ignored: that is OBD.": bend + extra,
        "The curvature is ignored: that is LM.": linear.abs() + extra,
        "The gradient is not multiplied by the step.": (-g + bend).abs() + extra,
        "You squared the change instead of taking its absolute value.": right.square() + extra,
        "The 1/2 stands before the gradient term too: it belongs to the two squares only.": (
            (linear / 2 + bend).abs() + extra
        ),
        "Gradient and curvature are swapped: the gradient goes with the weight, the curvature with its square.": (
            (-c * w + 0.5 * g * w.square()).abs() + extra
        ),
        "Negative changes are clipped away at zero: take the absolute value.": (linear + bend).clamp_min(0) + extra,
    }


def wrong_predictions(w: Tensor, g: Tensor, c: Tensor, kept: Tensor) -> dict[str, Tensor]:
    """Return what mistakes would give as predicted changes."""

    def at(step: Tensor) -> tuple[Tensor, Tensor]:
        return step @ g, step.square() @ c / 2

    step = torch.where(kept, torch.zeros_like(w), -w)
    (linear, bend), (other_linear, other_bend), (all_linear, all_bend) = at(step), at(-w * kept), at(-w)
    each = step * g + step.square() * c / 2
    pruned = max(1, int((~kept).sum()))
    return {
        "The sign of the step is wrong: pruning moves each weight by minus itself.": -linear + bend,
        "Kept and pruned are swapped: `kept` is True where the weight stays, and there the step is zero.": other_linear
        + other_bend,
        "Kept and pruned are swapped, and the sign of the step is wrong.": -other_linear + other_bend,
        "The mask is ignored: kept weights do not move.": all_linear + all_bend,
        "The 1/2 of the quadratic term is missing.": linear + 2 * bend,
        "The sign of the step is wrong, and the 1/2 is missing.": -linear + 2 * bend,
        "The quadratic term is missing: this is the first-order prediction.": linear,
        "The gradient is ignored: that is OBD's prediction.": bend,
        "The step is not squared in the quadratic term.": linear + (step * c).sum() / 2,
        "You summed absolute values: that is the sum of saliencies, a bound. A prediction keeps its signs.": each.abs().sum(),
        "You took the absolute value of the gradient terms: a prediction keeps their signs.": (step * g).abs().sum()
        + bend,
        "You took the absolute value at the end: a prediction keeps its sign.": (linear + bend).abs(),
        "You divided by the number of weights: the changes of single weights add up.": each.mean(),
        "You divided by the number of pruned weights: the changes of single weights add up.": each.sum() / pruned,
        "The whole has the wrong sign: loss after minus loss before.": -(linear + bend),
        "The sign of the quadratic term is wrong: a positive curvature raises the loss, whichever way the step goes.": (
            linear - bend
        ),
        "The 1/2 stands before the gradient term too: it belongs to the quadratic term only.": linear / 2 + bend,
        "The curvature is squared: only the step is.": linear + (step * c).square().sum() / 2,
        "You squared the sum over the weights: square each weight's step first, then sum.": (
            linear + (step * c.sqrt()).sum().square() / 2
        ),
        "Gradient and curvature are swapped: the gradient goes with the step, the curvature with its square.": (
            step @ c + step.square() @ g / 2
        ),
    }


def wrong_diagonals(x: Tensor, logits: Tensor) -> dict[str, Tensor]:
    """Return what mistakes would give as diagonals of the last layer, from its inputs and the logits."""
    p, examples = logits.softmax(1), len(x)
    spread, squares = p * (1 - p), x.square()

    def mean(outer: Tensor, inner: Tensor) -> Tensor:
        return outer.T @ inner / examples

    sigmoid, across, logs = logits.sigmoid(), logits.softmax(0), logits.log_softmax(1)
    everywhere = logits.flatten().softmax(0).view_as(logits)
    errors = p - torch.nn.functional.one_hot(p.argmax(1), p.shape[1])
    return {
        "You summed over the examples: the loss is their mean, and so is its curvature.": mean(spread, squares)
        * examples,
        "The inputs are not squared.": mean(spread, x),
        "The size of the inputs is there, but not their square.": mean(spread, x.abs()),
        "The diagonal of p p^T is not subtracted: diag(p) - p p^T has p (1 - p) on its diagonal, not p.": mean(
            p, squares
        ),
        "Only 1 - p is there: the diagonal of diag(p) - p p^T is p - p^2, so a factor p is missing.": mean(
            1 - p, squares
        ),
        "Only p p^T is there, without diag(p).": mean(p.square(), squares),
        "The sign is wrong: diag(p) - p p^T, not the other way round. A GGN is never negative.": mean(-spread, squares),
        "The squares of p (1 - p) are there: the matrix diag(p) - p p^T is used as it is, its root is squared.": (
            mean(spread.square(), squares)
        ),
        "The root of p (1 - p) is there: square it before you multiply by the squared inputs.": mean(
            spread.sqrt(), squares
        ),
        "You averaged p (1 - p) and the squared inputs each by itself: multiply example by example, then average.": torch.outer(
            spread.mean(0), squares.mean(0)
        ),
        "You squared after averaging over the examples: square each example first.": mean(spread.sqrt(), x).square(),
        "You squared after the mean over the examples: square each example's inputs first.": mean(spread, x).square(),
        "You averaged the probabilities over the examples first: p (1 - p) is needed for each example.": torch.outer(
            p.mean(0) * (1 - p.mean(0)), squares.mean(0)
        ),
        "These are squared gradients for the likeliest label: the GGN needs no labels, only p (1 - p).": mean(
            errors.square(), squares
        ),
        "You squared the mean of the inputs: square each example's first.": torch.outer(
            spread.mean(0), x.mean(0).square()
        ),
        "The probabilities are those of a sigmoid: cross-entropy over classes takes the softmax.": (
            mean(sigmoid * (1 - sigmoid), squares)
        ),
        "The softmax runs over the examples (dim=0): it must run over the classes (dim=1).": mean(
            across * (1 - across), squares
        ),
        "The softmax runs over examples and classes together: each example has its own, over the classes (dim=1).": mean(
            everywhere * (1 - everywhere), squares
        ),
        "These are logarithms of probabilities: take softmax, not log_softmax.": mean(logs * (1 - logs), squares),
        "The logits were used as if they were probabilities: take their softmax.": mean(logits * (1 - logits), squares),
        "There is a 1/2 too much: it belongs to the Taylor expansion, not to the matrix.": mean(spread, squares) / 2,
        "You averaged over the classes too: divide by the number of examples only.": mean(spread, squares)
        / logits.shape[1],
        "You divided by the number of classes: divide by the number of examples, len(inputs).": mean(spread, squares)
        * examples
        / logits.shape[1],
        "You divided by 1000: the number of examples is len(inputs), whatever the batch.": mean(spread, squares)
        * examples
        / 1000,
        "The last example is missing: let the loop run over all of them.": mean(spread[:-1], squares[:-1]),
    }
