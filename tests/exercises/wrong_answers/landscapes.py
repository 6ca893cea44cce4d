"""Wrong answers to the exercises of notebook 01, as learners give them; and what the check must say (a part of it, in any case)."""

from __future__ import annotations

import torch
from torch.nn import functional as F


# --- 1.1: the loss on a line ---
def line_sum(space, rest, x, y, direction, at):
    theta = space.read()
    return torch.stack([F.cross_entropy(space.call(theta + t * direction, rest, x), y, reduction="sum") for t in at])


def line_from_zero(space, rest, x, y, direction, at):
    return torch.stack([F.cross_entropy(space.call(t * direction, rest, x), y) for t in at])


def line_minus(space, rest, x, y, direction, at):
    theta = space.read()
    return torch.stack([F.cross_entropy(space.call(theta - t * direction, rest, x), y) for t in at])


def line_interpolated(space, rest, x, y, direction, at):
    theta = space.read()
    return torch.stack([F.cross_entropy(space.call((1 - t) * theta + t * direction, rest, x), y) for t in at])


def line_softmax_twice(space, rest, x, y, direction, at):
    theta = space.read()
    return torch.stack([F.cross_entropy(space.call(theta + t * direction, rest, x).softmax(dim=1), y) for t in at])


def line_accumulates(space, rest, x, y, direction, at):
    point, losses = space.read(), []
    for t in at:
        point += t * direction
        losses.append(F.cross_entropy(space.call(point, rest, x), y))
    return torch.stack(losses)


def line_unit_direction(space, rest, x, y, direction, at):
    theta, unit = space.read(), direction / direction.norm()
    return torch.stack([F.cross_entropy(space.call(theta + t * unit, rest, x), y) for t in at])


def line_no_mean(space, rest, x, y, direction, at):
    theta = space.read()
    return torch.stack([F.cross_entropy(space.call(theta + t * direction, rest, x), y, reduction="none") for t in at])


def line_own_grid(space, rest, x, y, direction, at):
    theta = space.read()
    return torch.stack(
        [F.cross_entropy(space.call(theta + t * direction, rest, x), y) for t in torch.linspace(0, 1, len(at))]
    )


def line_rise(space, rest, x, y, direction, at):
    theta = space.read()
    start = F.cross_entropy(space.call(theta, rest, x), y)
    return torch.stack([F.cross_entropy(space.call(theta + t * direction, rest, x), y) - start for t in at])


def line_mean_over_at(space, rest, x, y, direction, at):
    theta = space.read()
    return torch.stack([F.cross_entropy(space.call(theta + t * direction, rest, x), y) for t in at]).mean()


def line_writes(space, rest, x, y, direction, at):
    theta, losses = space.read(), []
    for t in at:
        space.write_(theta + t * direction)
        losses.append(F.cross_entropy(space.net(x), y).detach())
    return torch.stack(losses)


def line_return_in_loop(space, rest, x, y, direction, at):
    theta = space.read()
    for t in at:
        return F.cross_entropy(space.call(theta + t * direction, rest, x), y)
    return None


def line_stands_still(space, rest, x, y, direction, at):
    return torch.stack([F.cross_entropy(space.net(x), y).detach() for _ in at])


def line_column(space, rest, x, y, direction, at):
    theta = space.read()
    return torch.stack([F.cross_entropy(space.call(theta + t * direction, rest, x), y).reshape(1) for t in at])


def line_accuracy(space, rest, x, y, direction, at):
    theta = space.read()
    return torch.stack([(space.call(theta + t * direction, rest, x).argmax(dim=1) != y).float().mean() for t in at])


def line_no_biases(space, rest, x, y, direction, at):
    theta = space.read()
    zeros = {name: torch.zeros_like(tensor) for name, tensor in rest.items()}
    return torch.stack([F.cross_entropy(space.call(theta + t * direction, zeros, x), y) for t in at])


def line_in_bits(space, rest, x, y, direction, at):
    theta = space.read()
    return (
        torch.stack([F.cross_entropy(space.call(theta + t * direction, rest, x), y) for t in at])
        / torch.tensor(2.0).log()
    )


def line_mean_probability(space, rest, x, y, direction, at):
    theta, losses = space.read(), []
    for t in at:
        chance = space.call(theta + t * direction, rest, x).softmax(dim=1)
        losses.append(-chance.gather(1, y[:, None]).mean().log())
    return torch.stack(losses)


# --- 1.2: the length of a step ---
def length_of_kept(weights, kept):
    length = (weights * kept).norm()
    return length, length / weights.norm()


def length_squared(weights, kept):
    step = weights * kept - weights
    return (step**2).sum(), (step**2).sum() / (weights**2).sum()


def length_l1(weights, kept):
    step = weights * kept - weights
    return step.abs().sum(), step.abs().sum() / weights.abs().sum()


def length_signed_sum(weights, kept):
    step = weights * kept - weights
    return step.sum(), step.sum() / weights.norm()


def length_squared_share(weights, kept):
    step = weights * kept - weights
    return step.norm(), step.norm() ** 2 / weights.norm() ** 2


def length_over_kept(weights, kept):
    step = weights * kept - weights
    return step.norm(), step.norm() / (weights * kept).norm()


def length_only(weights, kept):
    return (weights * kept - weights).norm()


def length_swapped_order(weights, kept):
    length = (weights * kept - weights).norm()
    return length / weights.norm(), length


def length_counts(weights, kept):
    length = (weights * kept - weights).norm()
    return length, (~kept).float().mean()


def length_in_place(weights, kept):
    whole = weights.norm()
    pruned = weights[~kept].norm()
    weights[~kept] = 0
    return pruned, pruned / whole


def length_difference(weights, kept):
    length = weights.norm() - (weights * kept).norm()
    return length, length / weights.norm()


def length_rms(weights, kept):
    length = (weights[~kept] ** 2).mean().sqrt()
    return length, length / (weights**2).mean().sqrt()


def length_of_all(weights, kept):
    return (weights * kept - weights).norm(), weights.norm()


def length_number_of_pruned(weights, kept):
    return (~kept).sum(), (~kept).float().mean()


def length_inverse_share(weights, kept):
    length = (weights * kept - weights).norm()
    return length, weights.norm() / length


def length_largest(weights, kept):
    step = weights * kept - weights
    return step.abs().max(), step.abs().max() / weights.abs().max()


def length_percent(weights, kept):
    length = (weights * kept - weights).norm()
    return length, 100 * length / weights.norm()


# --- 1.3: filter normalisation ---
def normal_unit_only(direction, weight):
    lengths = direction.flatten(1).norm(dim=1, keepdim=True)
    return (direction.flatten(1) / lengths).reshape(weight.shape)


def normal_whole_layer(direction, weight):
    return direction * weight.norm() / direction.norm()


def normal_columns(direction, weight):
    return direction * weight.norm(dim=1, keepdim=True) / direction.norm(dim=1, keepdim=True)


def normal_dim_0(direction, weight):
    d, w = direction.flatten(1), weight.flatten(1)
    return (d * w.norm(dim=0) / d.norm(dim=0)).reshape(weight.shape)


def normal_inverse(direction, weight):
    d, w = direction.flatten(1), weight.flatten(1)
    factor = d.norm(dim=1, keepdim=True) / w.norm(dim=1, keepdim=True).clamp(min=1e-12)
    return (d * factor).reshape(weight.shape)


def normal_no_division(direction, weight):
    d, w = direction.flatten(1), weight.flatten(1)
    return (d * w.norm(dim=1, keepdim=True)).reshape(weight.shape)


def normal_flat(direction, weight):
    d, w = direction.flatten(1), weight.flatten(1)
    return d * (w.norm(dim=1, keepdim=True) / d.norm(dim=1, keepdim=True))


def normal_in_place(direction, weight):
    d, w = direction.flatten(1), weight.flatten(1)
    factor = w.norm(dim=1) / d.norm(dim=1)
    for unit in range(len(direction)):
        direction[unit] *= factor[unit]
    return direction


def normal_roles_swapped(direction, weight):
    d, w = direction.flatten(1), weight.flatten(1)
    return (w * d.norm(dim=1, keepdim=True) / w.norm(dim=1, keepdim=True).clamp(min=1e-12)).reshape(weight.shape)


def normal_squared(direction, weight):
    d, w = direction.flatten(1), weight.flatten(1)
    factor = w.square().sum(dim=1, keepdim=True) / d.square().sum(dim=1, keepdim=True)
    return (d * factor).reshape(weight.shape)


def normal_l1(direction, weight):
    d, w = direction.flatten(1), weight.flatten(1)
    factor = w.abs().sum(dim=1, keepdim=True) / d.abs().sum(dim=1, keepdim=True)
    return (d * factor).reshape(weight.shape)


def normal_keeps_dead(direction, weight):
    d, w = direction.flatten(1).clone(), weight.flatten(1)
    for unit in range(len(d)):
        if w[unit].any():
            d[unit] *= w[unit].norm() / d[unit].norm()
    return d.reshape(weight.shape)


def normal_nan(direction, weight):
    d, w = direction.flatten(1), weight.flatten(1)
    return (d / (d.norm(dim=1, keepdim=True) / w.norm(dim=1, keepdim=True) * w.any(dim=1, keepdim=True))).reshape(
        weight.shape
    )


def normal_linear_only(direction, weight):
    return direction * (weight.norm(dim=1) / direction.norm(dim=1))[:, None]


def normal_added(direction, weight):
    d, w = direction.flatten(1), weight.flatten(1)
    return weight + (d * w.norm(dim=1, keepdim=True) / d.norm(dim=1, keepdim=True)).reshape(weight.shape)


def normal_factor_only(direction, weight):
    d, w = direction.flatten(1), weight.flatten(1)
    return w.norm(dim=1) / d.norm(dim=1)


def normal_last_dim(direction, weight):
    return direction * weight.norm(dim=-1, keepdim=True) / direction.norm(dim=-1, keepdim=True)


def normal_times_weight(direction, weight):
    return direction * weight.abs() / direction.abs()


# --- 1.5: where in the plane ---
def plane_dots(step, first, second):
    a, b = step @ first, step @ second
    return a, b, (step - a * first - b * second).norm()


def plane_separate(step, first, second):
    a, b = step @ first / (first @ first), step @ second / (second @ second)
    return a, b, (step - a * first - b * second).norm()


def plane_over_length(step, first, second):
    a, b = step @ first / first.norm(), step @ second / second.norm()
    return a, b, (step - a * first - b * second).norm()


def plane_one_after_the_other(step, first, second):
    a = step @ first / (first @ first)
    rest = step - a * first
    b = rest @ second / (second @ second)
    return a, b, (rest - b * second).norm()


def plane_swapped(step, first, second):
    b, a = torch.linalg.lstsq(torch.stack([first, second], 1), step[:, None]).solution.flatten()
    return a, b, (step - b * first - a * second).norm()


def plane_squared_distance(step, first, second):
    a, b = torch.linalg.lstsq(torch.stack([first, second], 1), step[:, None]).solution.flatten()
    return a, b, (step - a * first - b * second).square().sum()


def plane_distance_from_origin(step, first, second):
    a, b = torch.linalg.lstsq(torch.stack([first, second], 1), step[:, None]).solution.flatten()
    return a, b, (a * first + b * second).norm()


def plane_length_of_step(step, first, second):
    a, b = torch.linalg.lstsq(torch.stack([first, second], 1), step[:, None]).solution.flatten()
    return a, b, step.norm()


def plane_orthonormal(step, first, second):
    q, _ = torch.linalg.qr(torch.stack([first, second], 1))
    a, b = q.T @ step
    return a, b, (step - a * q[:, 0] - b * q[:, 1]).norm()


def plane_gram_schmidt(step, first, second):
    u = second - (second @ first) / (first @ first) * first
    a, b = step @ first / (first @ first), step @ u / (u @ u)
    return a, b, (step - a * first - b * u).norm()


def plane_cosines(step, first, second):
    a, b = F.cosine_similarity(step, first, dim=0), F.cosine_similarity(step, second, dim=0)
    return a, b, (step - a * first - b * second).norm()


def plane_two_only(step, first, second):
    a, b = torch.linalg.lstsq(torch.stack([first, second], 1), step[:, None]).solution.flatten()
    return a, b


def plane_difference_of_lengths(step, first, second):
    a, b = torch.linalg.lstsq(torch.stack([first, second], 1), step[:, None]).solution.flatten()
    return a, b, step.norm() - (a * first + b * second).norm()


def plane_rows(step, first, second):
    a, b = torch.linalg.lstsq(torch.stack([first, second]), step[:, None]).solution.flatten()
    return a, b, (step - a * first - b * second).norm()


def plane_negative(step, first, second):
    a, b = torch.linalg.lstsq(torch.stack([first, second], 1), -step[:, None]).solution.flatten()
    return a, b, (step - a * first - b * second).norm()


def plane_l1_distance(step, first, second):
    a, b = torch.linalg.lstsq(torch.stack([first, second], 1), step[:, None]).solution.flatten()
    return a, b, (step - a * first - b * second).abs().sum()


def plane_in_place(step, first, second):
    a, b = torch.linalg.lstsq(torch.stack([first, second], 1), step[:, None]).solution.flatten()
    step -= a * first
    step -= b * second
    return a, b, step.norm()


def plane_mean_distance(step, first, second):
    a, b = torch.linalg.lstsq(torch.stack([first, second], 1), step[:, None]).solution.flatten()
    return a, b, (step - a * first - b * second).square().mean().sqrt()


def plane_columns_of_solution(step, first, second):
    a, b = torch.linalg.lstsq(torch.stack([first, second], 1), step[:, None]).solution
    return a * first, b * second, (step - a * first - b * second).norm()


def plane_shares(step, first, second):
    a, b = torch.linalg.lstsq(torch.stack([first, second], 1), step[:, None]).solution.flatten()
    total = a + b
    return a / total, b / total, (step - a * first - b * second).norm()


WRONG = {
    "loss on a line": {
        "sums over the batch": (line_sum, "is their mean"),
        "walks from zero, not from theta": (line_from_zero, "You start at zero"),
        "walks the other way": (line_minus, "You walk backwards"),
        "takes the direction for the end point": (line_interpolated, "It is a direction"),
        "applies the softmax twice": (line_softmax_twice, "softmax twice"),
        "adds each step to the last point": (line_accumulates, "walk on from the last point"),
        "normalises the direction": (line_unit_direction, "You shorten the direction"),
        "no mean over the examples": (line_no_mean, "has the shape [3, 7]"),
        "takes its own positions from 0 to 1": (line_own_grid, "positions of your own"),
        "returns the rise above theta": (line_rise, "You subtract the loss at"),
        "averages over the positions": (line_mean_over_at, "has the shape [], but"),
        "writes into the network": (line_writes, "leaves the network changed"),
        "returns inside the loop": (line_return_in_loop, "has the shape [], but"),
        "does not move at all": (line_stands_still, "Your loss does not move"),
        "a column, not a vector": (line_column, "has the shape [3, 1]"),
        "counts errors": (line_accuracy, "This is the error along"),
        "leaves out the biases": (line_no_biases, "without its biases"),
        "bits, not nats": (line_in_bits, "Your loss is in bits"),
        "log of the mean probability": (line_mean_probability, "the logarithm for each example first"),
    },
    "step length": {
        "length of what stays": (length_of_kept, "length of the weights that are kept"),
        "squared lengths": (length_squared, "Your length is squared"),
        "sums of sizes": (length_l1, "Your length adds the sizes"),
        "sum with signs": (length_signed_sum, "weights with their signs"),
        "share squared": (length_squared_share, "Your share is squared"),
        "share of the kept weights": (length_over_kept, "the length of what is left"),
        "length without the share": (length_only, "must return 2 numbers"),
        "share first, then length": (length_swapped_order, "Your first number is the share"),
        "share of the number of weights": (length_counts, "Your share is the sparsity"),
        "changes the weights": (length_in_place, "changes its input in place"),
        "difference of two lengths": (length_difference, "do not subtract"),
        "mean of the squares": (length_rms, "This is a root mean square"),
        "length of the weights for the share": (length_of_all, "Your second number is |θ| itself"),
        "numbers of weights": (length_number_of_pruned, "counts the pruned weights"),
        "share upside down": (length_inverse_share, "Your share is upside down"),
        "largest entry": (length_largest, "largest single move"),
        "share in per cent": (length_percent, "Your share is in per cent"),
    },
    "filter normalisation": {
        "length 1": (normal_unit_only, "Your rows have length 1"),
        "whole layer at once": (normal_whole_layer, "the layer as a whole"),
        "dimension 1 of a convolution": (normal_columns, "all three others, not over one"),
        "columns, not rows": (normal_dim_0, "You normalise columns"),
        "factor upside down": (normal_inverse, "The factor is upside down"),
        "no division": (normal_no_division, "do not divide by the direction"),
        "stays flat": (normal_flat, "has the shape [6, 27]"),
        "changes the direction": (normal_in_place, "changes its input in place"),
        "stretches the weights": (normal_roles_swapped, "You stretch the weight"),
        "no root": (normal_squared, "roots are missing"),
        "sums of sizes": (normal_l1, "You add sizes"),
        "leaves a dead unit as it was": (normal_keeps_dead, "all zero keeps its direction"),
        "nan for a unit of zeros": (normal_nan, "NaN where all weights of a unit"),
        "works for linear layers only": (normal_linear_only, "With a convolution's weight"),
        "adds the weight": (normal_added, "You add the weight"),
        "returns the factors": (normal_factor_only, "has the shape [2], but"),
        "last dimension": (normal_last_dim, "not over the last"),
        "entry by entry": (normal_times_weight, "Each entry gets the size"),
    },
    "read a slice": {
        "flat around theta": ("a", "one direction out of very many"),
        "blames the normalisation": ("b", "any other step can be compared"),
        "small gradient": ("d", "the loss starts level"),
        "no such letter": ("e", "must be one of a, b, c, d"),
        "an option in words": ("Not shown.", "must be one of a, b, c, d"),
    },
    "in the plane": {
        "plain dot products": (plane_dots, "bare products of the steps"),
        "each step by itself": (plane_separate, "You project on each step alone"),
        "divided by the length once": (plane_over_length, "lengths of projections"),
        "one after the other": (plane_one_after_the_other, "then what is left on `second`"),
        "a and b swapped": (plane_swapped, "a and b are swapped"),
        "squared distance": (plane_squared_distance, "Your distance is squared"),
        "distance of the point from theta": (plane_distance_from_origin, "how far the nearest point is from"),
        "length of the step as distance": (plane_length_of_step, "This is the length of the step"),
        "coordinates of an orthonormal basis": (plane_orthonormal, "two axes at right angles"),
        "coordinates of Gram-Schmidt": (plane_gram_schmidt, "b is right, but a is"),
        "cosines": (plane_cosines, "These are cosines of angles"),
        "no distance": (plane_two_only, "must return 3 numbers"),
        "difference of lengths": (plane_difference_of_lengths, "Lengths of vectors do not subtract"),
        "steps as rows of the matrix": (plane_rows, "input.size(-2) should match"),
        "the opposite step": (plane_negative, "coordinates have the wrong sign"),
        "sum of sizes as distance": (plane_l1_distance, "You add up the sizes of what is left"),
        "changes the step": (plane_in_place, "changes its input in place"),
        "root of the mean square": (plane_mean_distance, "This is a root mean square"),
        "vectors, not coordinates": (plane_columns_of_solution, "must be a number, not tensor"),
        "coordinates that add up to 1": (plane_shares, "scaled to add up to 1"),
    },
}
