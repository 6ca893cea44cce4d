"""Wrong answers to the exercises of notebook 02, as learners give them; and what the check must say (a part of it, in any case)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

# LM saliency


def lm_signed(weights: Tensor, gradient: Tensor) -> Tensor:
    return -gradient * weights


def lm_product(weights: Tensor, gradient: Tensor) -> Tensor:
    return weights * gradient


def lm_gradient_only(weights: Tensor, gradient: Tensor) -> Tensor:
    return gradient.abs()


def lm_magnitude(weights: Tensor, gradient: Tensor) -> Tensor:
    return weights.abs()


def lm_half_abs(weights: Tensor, gradient: Tensor) -> Tensor:
    return gradient.abs() * weights


def lm_abs_of_weights_only(weights: Tensor, gradient: Tensor) -> Tensor:
    return weights.abs() * gradient


def lm_squared(weights: Tensor, gradient: Tensor) -> Tensor:
    return (weights * gradient) ** 2


def lm_half(weights: Tensor, gradient: Tensor) -> Tensor:
    return 0.5 * (weights * gradient).abs()


def lm_sum(weights: Tensor, gradient: Tensor) -> Tensor:
    return (weights * gradient).abs().sum()


def lm_dot(weights: Tensor, gradient: Tensor) -> Tensor:
    return torch.dot(weights, gradient).abs()


def lm_clamped(weights: Tensor, gradient: Tensor) -> Tensor:
    return (-weights * gradient).clamp(min=0)


def lm_weight_squared(weights: Tensor, gradient: Tensor) -> Tensor:
    return gradient.abs() * weights**2


def lm_ranks(weights: Tensor, gradient: Tensor) -> Tensor:
    return (weights * gradient).abs().argsort()


def lm_normalised(weights: Tensor, gradient: Tensor) -> Tensor:
    saliency = (weights * gradient).abs()
    return saliency / saliency.sum()


def lm_sorted(weights: Tensor, gradient: Tensor) -> Tensor:
    return (weights * gradient).abs().sort().values


def lm_outer(weights: Tensor, gradient: Tensor) -> Tensor:
    return torch.outer(weights, gradient).abs()


def lm_in_place(weights: Tensor, gradient: Tensor) -> Tensor:
    weights *= gradient
    return weights.abs()


def lm_negative(weights: Tensor, gradient: Tensor) -> Tensor:
    return -(weights * gradient).abs()


# QM saliency


def qm_penalty_inside(weights: Tensor, gradient: Tensor, curvature: Tensor, step_penalty: float) -> Tensor:
    return (-gradient * weights + 0.5 * (curvature + step_penalty) * weights**2).abs()


def qm_wrong_sign(weights: Tensor, gradient: Tensor, curvature: Tensor, step_penalty: float) -> Tensor:
    return (gradient * weights + 0.5 * curvature * weights**2).abs() + 0.5 * step_penalty * weights**2


def qm_both_minus(weights: Tensor, gradient: Tensor, curvature: Tensor, step_penalty: float) -> Tensor:
    return (-gradient * weights - 0.5 * curvature * weights**2).abs() + 0.5 * step_penalty * weights**2


def qm_no_half_curvature(weights: Tensor, gradient: Tensor, curvature: Tensor, step_penalty: float) -> Tensor:
    return (-gradient * weights + curvature * weights**2).abs() + 0.5 * step_penalty * weights**2


def qm_no_half_penalty(weights: Tensor, gradient: Tensor, curvature: Tensor, step_penalty: float) -> Tensor:
    return (-gradient * weights + 0.5 * curvature * weights**2).abs() + step_penalty * weights**2


def qm_no_halves(weights: Tensor, gradient: Tensor, curvature: Tensor, step_penalty: float) -> Tensor:
    return (-gradient * weights + curvature * weights**2).abs() + step_penalty * weights**2


def qm_no_abs(weights: Tensor, gradient: Tensor, curvature: Tensor, step_penalty: float) -> Tensor:
    return -gradient * weights + 0.5 * curvature * weights**2 + 0.5 * step_penalty * weights**2


def qm_no_penalty(weights: Tensor, gradient: Tensor, curvature: Tensor, step_penalty: float) -> Tensor:
    return (-gradient * weights + 0.5 * curvature * weights**2).abs()


def qm_abs_each(weights: Tensor, gradient: Tensor, curvature: Tensor, step_penalty: float) -> Tensor:
    return (gradient * weights).abs() + 0.5 * curvature * weights**2 + 0.5 * step_penalty * weights**2


def qm_penalty_linear(weights: Tensor, gradient: Tensor, curvature: Tensor, step_penalty: float) -> Tensor:
    return (-gradient * weights + 0.5 * curvature * weights**2).abs() + 0.5 * step_penalty * weights.abs()


def qm_penalty_constant(weights: Tensor, gradient: Tensor, curvature: Tensor, step_penalty: float) -> Tensor:
    return (-gradient * weights + 0.5 * curvature * weights**2).abs() + 0.5 * step_penalty


def qm_penalty_summed(weights: Tensor, gradient: Tensor, curvature: Tensor, step_penalty: float) -> Tensor:
    return (-gradient * weights + 0.5 * curvature * weights**2).abs() + 0.5 * step_penalty * (weights**2).sum()


def qm_penalty_subtracted(weights: Tensor, gradient: Tensor, curvature: Tensor, step_penalty: float) -> Tensor:
    return (-gradient * weights + 0.5 * curvature * weights**2).abs() - 0.5 * step_penalty * weights**2


def qm_half_of_all(weights: Tensor, gradient: Tensor, curvature: Tensor, step_penalty: float) -> Tensor:
    return 0.5 * ((-gradient * weights + curvature * weights**2).abs() + step_penalty * weights**2)


def qm_not_squared(weights: Tensor, gradient: Tensor, curvature: Tensor, step_penalty: float) -> Tensor:
    return (-gradient * weights + 0.5 * curvature * weights).abs() + 0.5 * step_penalty * weights**2


def qm_square_of_all(weights: Tensor, gradient: Tensor, curvature: Tensor, step_penalty: float) -> Tensor:
    return (-gradient * weights + 0.5 * (curvature * weights) ** 2).abs() + 0.5 * step_penalty * weights**2


def qm_obd(weights: Tensor, gradient: Tensor, curvature: Tensor, step_penalty: float) -> Tensor:
    return 0.5 * (curvature + step_penalty) * weights**2


def qm_lm(weights: Tensor, gradient: Tensor, curvature: Tensor, step_penalty: float) -> Tensor:
    return (gradient * weights).abs() + 0.5 * step_penalty * weights**2


def qm_swapped(weights: Tensor, gradient: Tensor, curvature: Tensor, step_penalty: float) -> Tensor:
    return (-curvature * weights + 0.5 * gradient * weights**2).abs() + 0.5 * step_penalty * weights**2


def qm_gradient_without_weights(weights: Tensor, gradient: Tensor, curvature: Tensor, step_penalty: float) -> Tensor:
    return (-gradient + 0.5 * curvature * weights**2).abs() + 0.5 * step_penalty * weights**2


def qm_sum(weights: Tensor, gradient: Tensor, curvature: Tensor, step_penalty: float) -> Tensor:
    return ((-gradient * weights + 0.5 * curvature * weights**2).abs() + 0.5 * step_penalty * weights**2).sum()


def qm_in_place(weights: Tensor, gradient: Tensor, curvature: Tensor, step_penalty: float) -> Tensor:
    signed = -gradient * weights
    weights *= weights
    return (signed + 0.5 * curvature * weights).abs() + 0.5 * step_penalty * weights


def qm_clamped(weights: Tensor, gradient: Tensor, curvature: Tensor, step_penalty: float) -> Tensor:
    return (-gradient * weights + 0.5 * curvature * weights**2).clamp(min=0) + 0.5 * step_penalty * weights**2


def qm_penalty_squared(weights: Tensor, gradient: Tensor, curvature: Tensor, step_penalty: float) -> Tensor:
    return (-gradient * weights + 0.5 * curvature * weights**2).abs() + 0.5 * (step_penalty * weights) ** 2


# predicted change


def change_of_kept(weights: Tensor, gradient: Tensor, curvature: Tensor, kept: Tensor) -> Tensor:
    step = torch.where(kept, -weights, torch.zeros_like(weights))
    return (gradient * step + 0.5 * curvature * step**2).sum()


def change_absolute(weights: Tensor, gradient: Tensor, curvature: Tensor, kept: Tensor) -> Tensor:
    step = torch.where(kept, torch.zeros_like(weights), -weights)
    return (gradient * step + 0.5 * curvature * step**2).abs().sum()


def change_absolute_terms(weights: Tensor, gradient: Tensor, curvature: Tensor, kept: Tensor) -> Tensor:
    step = torch.where(kept, torch.zeros_like(weights), -weights)
    return ((gradient * step).abs() + 0.5 * curvature * step**2).sum()


def change_abs_of_total(weights: Tensor, gradient: Tensor, curvature: Tensor, kept: Tensor) -> Tensor:
    step = torch.where(kept, torch.zeros_like(weights), -weights)
    return (gradient * step + 0.5 * curvature * step**2).sum().abs()


def change_wrong_sign(weights: Tensor, gradient: Tensor, curvature: Tensor, kept: Tensor) -> Tensor:
    gone = weights[~kept]
    return (gradient[~kept] * gone + 0.5 * curvature[~kept] * gone**2).sum()


def change_negated(weights: Tensor, gradient: Tensor, curvature: Tensor, kept: Tensor) -> Tensor:
    gone = weights[~kept]
    return -(gradient[~kept] * gone + 0.5 * curvature[~kept] * gone**2).sum()


def change_no_half(weights: Tensor, gradient: Tensor, curvature: Tensor, kept: Tensor) -> Tensor:
    step = torch.where(kept, torch.zeros_like(weights), -weights)
    return (gradient * step + curvature * step**2).sum()


def change_half_of_all(weights: Tensor, gradient: Tensor, curvature: Tensor, kept: Tensor) -> Tensor:
    step = torch.where(kept, torch.zeros_like(weights), -weights)
    return 0.5 * (gradient * step + curvature * step**2).sum()


def change_of_all(weights: Tensor, gradient: Tensor, curvature: Tensor, kept: Tensor) -> Tensor:
    return (-gradient * weights + 0.5 * curvature * weights**2).sum()


def change_per_weight(weights: Tensor, gradient: Tensor, curvature: Tensor, kept: Tensor) -> Tensor:
    step = torch.where(kept, torch.zeros_like(weights), -weights)
    return gradient * step + 0.5 * curvature * step**2


def change_mean(weights: Tensor, gradient: Tensor, curvature: Tensor, kept: Tensor) -> Tensor:
    step = torch.where(kept, torch.zeros_like(weights), -weights)
    return (gradient * step + 0.5 * curvature * step**2).mean()


def change_mean_of_pruned(weights: Tensor, gradient: Tensor, curvature: Tensor, kept: Tensor) -> Tensor:
    return (-gradient * weights + 0.5 * curvature * weights**2)[~kept].mean()


def change_first_order(weights: Tensor, gradient: Tensor, curvature: Tensor, kept: Tensor) -> Tensor:
    return -(gradient * weights)[~kept].sum()


def change_second_order(weights: Tensor, gradient: Tensor, curvature: Tensor, kept: Tensor) -> Tensor:
    return 0.5 * (curvature * weights**2)[~kept].sum()


def change_pruned_weights_as_step(weights: Tensor, gradient: Tensor, curvature: Tensor, kept: Tensor) -> Tensor:
    step = weights * kept  # the weights after pruning, not the step to them
    return (gradient * step + 0.5 * curvature * step**2).sum()


def change_not_squared(weights: Tensor, gradient: Tensor, curvature: Tensor, kept: Tensor) -> Tensor:
    step = torch.where(kept, torch.zeros_like(weights), -weights)
    return (gradient * step + 0.5 * curvature * step).sum()


def change_square_of_curvature(weights: Tensor, gradient: Tensor, curvature: Tensor, kept: Tensor) -> Tensor:
    step = torch.where(kept, torch.zeros_like(weights), -weights)
    return (gradient * step + 0.5 * (curvature * step) ** 2).sum()


def change_square_of_sum(weights: Tensor, gradient: Tensor, curvature: Tensor, kept: Tensor) -> Tensor:
    step = torch.where(kept, torch.zeros_like(weights), -weights)
    return (gradient * step).sum() + 0.5 * (curvature.sqrt() * step).sum() ** 2


def change_swapped(weights: Tensor, gradient: Tensor, curvature: Tensor, kept: Tensor) -> Tensor:
    step = torch.where(kept, torch.zeros_like(weights), -weights)
    return (curvature * step + 0.5 * gradient * step**2).sum()


def change_in_place(weights: Tensor, gradient: Tensor, curvature: Tensor, kept: Tensor) -> Tensor:
    weights[kept] = 0
    return (-gradient * weights + 0.5 * curvature * weights**2).sum()


def change_bool_minus(weights: Tensor, gradient: Tensor, curvature: Tensor, kept: Tensor) -> Tensor:
    step = -weights * (1 - kept)  # torch refuses it
    return (gradient * step + 0.5 * curvature * step**2).sum()


# diagonal of the last layer


def diagonal_p_only(inputs: Tensor, logits: Tensor) -> Tensor:
    p = logits.softmax(1)
    return p.T @ inputs.square() / len(inputs)


def diagonal_inputs_not_squared(inputs: Tensor, logits: Tensor) -> Tensor:
    p = logits.softmax(1)
    return (p * (1 - p)).T @ inputs / len(inputs)


def diagonal_sum(inputs: Tensor, logits: Tensor) -> Tensor:
    p = logits.softmax(1)
    return (p * (1 - p)).T @ inputs.square()


def diagonal_no_softmax(inputs: Tensor, logits: Tensor) -> Tensor:
    return (logits * (1 - logits)).T @ inputs.square() / len(inputs)


def diagonal_softmax_over_examples(inputs: Tensor, logits: Tensor) -> Tensor:
    p = logits.softmax(0)
    return (p * (1 - p)).T @ inputs.square() / len(inputs)


def diagonal_sigmoid(inputs: Tensor, logits: Tensor) -> Tensor:
    p = logits.sigmoid()
    return (p * (1 - p)).T @ inputs.square() / len(inputs)


def diagonal_log_softmax(inputs: Tensor, logits: Tensor) -> Tensor:
    p = logits.log_softmax(1)
    return (p * (1 - p)).T @ inputs.square() / len(inputs)


def diagonal_transposed(inputs: Tensor, logits: Tensor) -> Tensor:
    p = logits.softmax(1)
    return inputs.square().T @ (p * (1 - p)) / len(inputs)


def diagonal_p_squared(inputs: Tensor, logits: Tensor) -> Tensor:
    p = logits.softmax(1)
    return p.square().T @ inputs.square() / len(inputs)


def diagonal_squared_twice(inputs: Tensor, logits: Tensor) -> Tensor:
    p = logits.softmax(1)
    return (p * (1 - p)).square().T @ inputs.square() / len(inputs)


def diagonal_wrong_sign(inputs: Tensor, logits: Tensor) -> Tensor:
    p = logits.softmax(1)
    return (p * (p - 1)).T @ inputs.square() / len(inputs)


def diagonal_one_minus_p(inputs: Tensor, logits: Tensor) -> Tensor:
    p = logits.softmax(1)
    return (1 - p).T @ inputs.square() / len(inputs)


def diagonal_squared_gradients(inputs: Tensor, logits: Tensor) -> Tensor:
    p = logits.softmax(1)
    errors = p - torch.nn.functional.one_hot(p.argmax(1), p.shape[1])
    return errors.square().T @ inputs.square() / len(inputs)


def diagonal_product_of_means(inputs: Tensor, logits: Tensor) -> Tensor:
    p = logits.softmax(1)
    return torch.outer((p * (1 - p)).mean(0), inputs.square().mean(0))


def diagonal_square_of_the_mean(inputs: Tensor, logits: Tensor) -> Tensor:
    p = logits.softmax(1)
    return ((p * (1 - p)).T @ inputs / len(inputs)).square()


def diagonal_of_mean_p(inputs: Tensor, logits: Tensor) -> Tensor:
    p = logits.softmax(1).mean(0)
    return torch.outer(p * (1 - p), inputs.square().mean(0))


def diagonal_of_mean_inputs(inputs: Tensor, logits: Tensor) -> Tensor:
    p = logits.softmax(1)
    return torch.outer((p * (1 - p)).mean(0), inputs.mean(0).square())


def diagonal_each_example(inputs: Tensor, logits: Tensor) -> Tensor:
    p = logits.softmax(1)
    return (p * (1 - p)).unsqueeze(2) * inputs.square().unsqueeze(1)


def diagonal_half(inputs: Tensor, logits: Tensor) -> Tensor:
    p = logits.softmax(1)
    return 0.5 * (p * (1 - p)).T @ inputs.square() / len(inputs)


def diagonal_over_classes(inputs: Tensor, logits: Tensor) -> Tensor:
    p = logits.softmax(1)
    return (p * (1 - p)).T @ inputs.square() / logits.numel()


def diagonal_divided_by_classes(inputs: Tensor, logits: Tensor) -> Tensor:
    p = logits.softmax(1)
    return (p * (1 - p)).T @ inputs.square() / logits.shape[1]


def diagonal_divided_by_n_minus_one(inputs: Tensor, logits: Tensor) -> Tensor:
    p = logits.softmax(1)
    return (p * (1 - p)).T @ inputs.square() / (len(inputs) - 1)


def diagonal_thousand(inputs: Tensor, logits: Tensor) -> Tensor:
    p = logits.softmax(1)
    return (p * (1 - p)).T @ inputs.square() / 1000


def diagonal_last_example_missed(inputs: Tensor, logits: Tensor) -> Tensor:
    p = logits.softmax(1)
    total = torch.zeros(logits.shape[1], inputs.shape[1], dtype=inputs.dtype)
    for n in range(len(inputs) - 1):
        total += torch.outer(p[n] * (1 - p[n]), inputs[n] ** 2)
    return total / len(inputs)


def diagonal_softmax_not_normalised_by_row(inputs: Tensor, logits: Tensor) -> Tensor:
    p = (logits - logits.max()).exp()
    p = p / p.sum()
    return (p * (1 - p)).T @ inputs.square() / len(inputs)


def diagonal_in_place(inputs: Tensor, logits: Tensor) -> Tensor:
    p = logits.softmax(1)
    inputs.square_()
    return (p * (1 - p)).T @ inputs / len(inputs)


def diagonal_wrong_product(inputs: Tensor, logits: Tensor) -> Tensor:
    p = logits.softmax(1)
    return (p * (1 - p)) @ inputs.square() / len(inputs)  # torch refuses it


WRONG: dict[str, dict[str, tuple[Any, str]]] = {
    "LM saliency": {
        "signed change": (lm_signed, "gets a negative saliency, and goes first"),
        "product without absolute value": (lm_product, "the change is -g theta"),
        "gradient only": (lm_gradient_only, "size of the gradient alone"),
        "magnitude": (lm_magnitude, "size of the weight alone"),
        "size of the gradient alone": (lm_half_abs, "the weight's sign is still there"),
        "size of the weight alone": (lm_abs_of_weights_only, "the gradient's sign is still there"),
        "squared": (lm_squared, "squared the product"),
        "half": (lm_half, "no 1/2 in the first-order term"),
        "sum": (lm_sum, "do not sum over the weights"),
        "dot product": (lm_dot, "do not sum over the weights"),
        "clamped at zero": (lm_clamped, "clipped away at zero"),
        "weight squared": (lm_weight_squared, "linear in the step"),
        "ranks": (lm_ranks, "order of the weights (argsort)"),
        "normalised": (lm_normalised, "sum to one"),
        "sorted": (lm_sorted, "at the place of its weight"),
        "outer product": (lm_outer, "shape [4, 4]"),
        "changes its input": (lm_in_place, "changes its input in place"),
        "negative": (lm_negative, "never below zero"),
    },
    "QM saliency": {
        "penalty inside the absolute value": (qm_penalty_inside, "before the step penalty is added"),
        "sign of the gradient": (qm_wrong_sign, "sign of the gradient term is wrong"),
        "sign of the curvature": (qm_both_minus, "the quadratic term has a plus"),
        "no half at the curvature": (qm_no_half_curvature, "1/2 of the quadratic term is missing"),
        "no half at the penalty": (qm_no_half_penalty, "1/2 of the step penalty is missing"),
        "no half at all": (qm_no_halves, "Both halves are missing"),
        "no absolute value": (qm_no_abs, "absolute value is missing"),
        "no penalty": (qm_no_penalty, "step penalty is ignored"),
        "size of each term": (qm_abs_each, "absolute value of each term"),
        "penalty on the weight, not its square": (qm_penalty_linear, "not squared in the step penalty"),
        "penalty the same for all": (qm_penalty_constant, "the same for every weight"),
        "penalty of the whole step": (qm_penalty_summed, "all weights together"),
        "penalty subtracted": (qm_penalty_subtracted, "penalty is subtracted"),
        "penalty squared": (qm_penalty_squared, "penalty is squared"),
        "half of everything": (qm_half_of_all, "before the gradient term too"),
        "weight not squared": (qm_not_squared, "not squared in the quadratic term"),
        "curvature squared too": (qm_square_of_all, "curvature is squared"),
        "OBD": (qm_obd, "that is OBD"),
        "LM": (qm_lm, "that is LM"),
        "gradient and curvature swapped": (qm_swapped, "Gradient and curvature are swapped"),
        "gradient not times the weight": (qm_gradient_without_weights, "not multiplied by the step"),
        "sum": (qm_sum, "do not sum over the weights"),
        "changes its input": (qm_in_place, "changes its input in place"),
        "clamped at zero": (qm_clamped, "clipped away at zero"),
    },
    "predicted change": {
        "kept weights go": (change_of_kept, "Kept and pruned are swapped: `kept`"),
        "sum of saliencies": (change_absolute, "that is the sum of saliencies"),
        "size of each term": (change_absolute_terms, "absolute value of the gradient terms"),
        "size of the total": (change_abs_of_total, "absolute value at the end"),
        "sign of the step": (change_wrong_sign, "each weight by minus itself"),
        "sign of everything": (change_negated, "sign of the quadratic term is wrong"),
        "no half": (change_no_half, "1/2 of the quadratic term"),
        "half of everything": (change_half_of_all, "before the gradient term too"),
        "all weights": (change_of_all, "mask is ignored"),
        "one number a weight": (change_per_weight, "one number: sum over the weights"),
        "mean": (change_mean, "divided by the number of weights"),
        "mean of the pruned": (change_mean_of_pruned, "nan where no weight is pruned"),
        "first order only": (change_first_order, "quadratic term is missing"),
        "second order only": (change_second_order, "that is OBD's prediction"),
        "pruned weights for the step": (change_pruned_weights_as_step, "swapped, and the sign of the step"),
        "step not squared": (change_not_squared, "step is not squared"),
        "curvature squared too": (change_square_of_curvature, "curvature is squared"),
        "square of the sum": (change_square_of_sum, "squared the sum over the weights"),
        "gradient and curvature swapped": (change_swapped, "Gradient and curvature are swapped"),
        "changes its input": (change_in_place, "changes its input in place"),
        "one minus a mask": (change_bool_minus, "stops with RuntimeError: Subtraction"),
    },
    "diagonal of the last layer": {
        "p alone": (diagonal_p_only, "not subtracted"),
        "one minus p alone": (diagonal_one_minus_p, "a factor p is missing"),
        "inputs not squared": (diagonal_inputs_not_squared, "inputs are not squared"),
        "sum for mean": (diagonal_sum, "summed over the examples"),
        "no softmax": (diagonal_no_softmax, "as if they were probabilities"),
        "softmax over the examples": (diagonal_softmax_over_examples, "over the examples (dim=0)"),
        "softmax over everything": (diagonal_softmax_not_normalised_by_row, "examples and classes together"),
        "sigmoid": (diagonal_sigmoid, "those of a sigmoid"),
        "log softmax": (diagonal_log_softmax, "not log_softmax"),
        "transposed": (diagonal_transposed, "is [classes, inputs] = [3, 2]"),
        "p squared": (diagonal_p_squared, "Only p p^T is there"),
        "p (1 - p) squared": (diagonal_squared_twice, "squares of p (1 - p)"),
        "wrong sign": (diagonal_wrong_sign, "not the other way round"),
        "squared gradients": (diagonal_squared_gradients, "the GGN needs no labels"),
        "product of means": (diagonal_product_of_means, "each by itself"),
        "square of the mean": (diagonal_square_of_the_mean, "squared after the mean"),
        "mean p": (diagonal_of_mean_p, "averaged the probabilities"),
        "mean inputs": (diagonal_of_mean_inputs, "squared the mean of the inputs"),
        "no mean at all": (diagonal_each_example, "a row for each example"),
        "half": (diagonal_half, "1/2 too much"),
        "mean over classes too": (diagonal_over_classes, "averaged over the classes too"),
        "divided by the classes": (diagonal_divided_by_classes, "divided by the number of classes"),
        "divided by N - 1": (diagonal_divided_by_n_minus_one, "not by N - 1"),
        "divided by the notebook's batch": (diagonal_thousand, "divided by 1000"),
        "last example missed": (diagonal_last_example_missed, "last example is missing"),
        "changes its input": (diagonal_in_place, "changes its input in place"),
        "no transpose": (diagonal_wrong_product, "shapes cannot be multiplied"),
    },
    "when the gradient is zero": {
        "a": ("a", "nothing about the size of g theta"),
        "c": ("c", "for a single one nothing cancels"),
        "d": ("d", "low is not flat"),
        "two letters": ("b, c", "one of a, b, c, d"),
        "a number": (2, "one of"),
        "no letter of the list": ("e", "one of a, b, c, d"),
    },
    "reading the split": {
        "A": ("A", "A's largest part comes from the diagonal"),
        "C": ("C", "largest part is batch noise"),
        "two letters": ("A and B", "one of A, B, C"),
        "the cause, not the network": ("beyond the 2nd order", "one of A, B, C"),
        "a number": (2, "one of"),
        "no network of the figure": ("D", "one of A, B, C"),
    },
}
