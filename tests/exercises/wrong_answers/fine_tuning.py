"""Wrong answers to the exercises of notebook 04, as learners give them; and what the check must say (a part of it, in any case)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy.stats import pearsonr, rankdata, spearmanr


def _plain(weights, velocity, gradient, lr, momentum, weight_decay):
    velocity = momentum * velocity + gradient + weight_decay * weights
    return weights - lr * velocity, velocity


def no_mask(weights, velocity, gradient, kept, lr, momentum, weight_decay):
    return _plain(weights, velocity, gradient, lr, momentum, weight_decay)


def gradient_masked_only(weights, velocity, gradient, kept, lr, momentum, weight_decay):
    return _plain(weights, velocity, gradient * kept, lr, momentum, weight_decay)


def velocity_masked_only(weights, velocity, gradient, kept, lr, momentum, weight_decay):
    velocity = (momentum * velocity + gradient + weight_decay * weights) * kept
    return weights - lr * velocity, velocity


def weights_masked_only(weights, velocity, gradient, kept, lr, momentum, weight_decay):
    weights, velocity = _plain(weights, velocity, gradient, lr, momentum, weight_decay)
    return weights * kept, velocity


def mask_turned_round(weights, velocity, gradient, kept, lr, momentum, weight_decay):
    weights, velocity = _plain(weights, velocity, gradient, lr, momentum, weight_decay)
    return weights * ~kept, velocity * ~kept


def uphill(weights, velocity, gradient, kept, lr, momentum, weight_decay):
    velocity = momentum * velocity + gradient + weight_decay * weights
    return (weights + lr * velocity) * kept, velocity * kept


def old_velocity(weights, velocity, gradient, kept, lr, momentum, weight_decay):
    new = momentum * velocity + gradient + weight_decay * weights
    return (weights - lr * velocity) * kept, new * kept


def no_decay(weights, velocity, gradient, kept, lr, momentum, weight_decay):
    velocity = momentum * velocity + gradient
    return (weights - lr * velocity) * kept, velocity * kept


def decay_after_the_step(weights, velocity, gradient, kept, lr, momentum, weight_decay):
    velocity = momentum * velocity + gradient
    weights = weights - lr * velocity
    return (weights - lr * weight_decay * weights) * kept, velocity * kept


def decay_subtracted(weights, velocity, gradient, kept, lr, momentum, weight_decay):
    velocity = momentum * velocity + gradient - weight_decay * weights
    return (weights - lr * velocity) * kept, velocity * kept


def dampened(weights, velocity, gradient, kept, lr, momentum, weight_decay):
    velocity = momentum * velocity + (1 - momentum) * (gradient + weight_decay * weights)
    return (weights - lr * velocity) * kept, velocity * kept


def rate_inside_velocity(weights, velocity, gradient, kept, lr, momentum, weight_decay):
    velocity = momentum * velocity + lr * (gradient + weight_decay * weights)
    return (weights - velocity) * kept, velocity * kept


def no_momentum(weights, velocity, gradient, kept, lr, momentum, weight_decay):
    velocity = gradient + weight_decay * weights
    return (weights - lr * velocity) * kept, velocity * kept


def velocity_undamped(weights, velocity, gradient, kept, lr, momentum, weight_decay):
    velocity = velocity + gradient + weight_decay * weights
    return (weights - lr * velocity) * kept, velocity * kept


def rate_forgotten(weights, velocity, gradient, kept, lr, momentum, weight_decay):
    velocity = momentum * velocity + gradient + weight_decay * weights
    return (weights - velocity) * kept, velocity * kept


def step_in_place(weights, velocity, gradient, kept, lr, momentum, weight_decay):
    velocity.mul_(momentum).add_(gradient).add_(weight_decay * weights)
    weights.sub_(lr * velocity)
    weights[~kept] = 0
    velocity[~kept] = 0
    return weights, velocity


def mask_the_input_in_place(weights, velocity, gradient, kept, lr, momentum, weight_decay):
    gradient[~kept] = 0
    velocity[~kept] = 0
    weights[~kept] = 0
    return _plain(weights, velocity, gradient, lr, momentum, weight_decay)


def only_the_weights(weights, velocity, gradient, kept, lr, momentum, weight_decay):
    return _plain(weights, velocity, gradient, lr, momentum, weight_decay)[0] * kept


def velocity_first(weights, velocity, gradient, kept, lr, momentum, weight_decay):
    weights, velocity = _plain(weights, velocity, gradient, lr, momentum, weight_decay)
    return velocity * kept, weights * kept


def shortened(weights, velocity, gradient, kept, lr, momentum, weight_decay):
    weights, velocity = _plain(weights, velocity, gradient, lr, momentum, weight_decay)
    return weights[kept], velocity[kept]


def zeros_stay_zero(weights, velocity, gradient, kept, lr, momentum, weight_decay):
    new, velocity = _plain(weights, velocity, gradient, lr, momentum, weight_decay)
    alive = weights != 0
    return new * alive, velocity * alive


def chosen_by_test(valid_error, test_error):
    row = test_error.mean(dim=1).argmin()
    return int(row), float(test_error[row].mean()), float(test_error[row].std())


def validation_reported(valid_error, test_error):
    row = valid_error.mean(dim=1).argmin()
    return int(row), float(valid_error[row].mean()), float(valid_error[row].std())


def chosen_by_both(valid_error, test_error):
    row = (valid_error + test_error).mean(dim=1).argmin()
    return int(row), float(test_error[row].mean()), float(test_error[row].std())


def divided_by_n(valid_error, test_error):
    row = valid_error.mean(dim=1).argmin()
    return int(row), float(test_error[row].mean()), float(np.std(test_error[row].numpy()))


def standard_error(valid_error, test_error):
    row = valid_error.mean(dim=1).argmin()
    chosen = test_error[row]
    return int(row), float(chosen.mean()), float(chosen.std() / len(chosen) ** 0.5)


def variance(valid_error, test_error):
    row = valid_error.mean(dim=1).argmin()
    return int(row), float(test_error[row].mean()), float(test_error[row].var())


def lowest_single_error(valid_error, test_error):
    row = int(valid_error.argmin()) // valid_error.shape[1]
    return row, float(test_error[row].mean()), float(test_error[row].std())


def best_seed_of_each_row(valid_error, test_error):
    row = valid_error.min(dim=1).values.argmin()
    return int(row), float(test_error[row].mean()), float(test_error[row].std())


def largest(valid_error, test_error):
    row = valid_error.mean(dim=1).argmax()
    return int(row), float(test_error[row].mean()), float(test_error[row].std())


def wrong_axis(valid_error, test_error):
    column = valid_error.mean(dim=0).argmin()
    return int(column), float(test_error[:, column].mean()), float(test_error[:, column].std())


def one_per_seed(valid_error, test_error):
    rows = valid_error.argmin(dim=0)
    errors = test_error[rows, torch.arange(test_error.shape[1])]
    return int(rows.mode().values), float(errors.mean()), float(errors.std())


def last_of_equals(valid_error, test_error):
    mean = valid_error.mean(dim=1)
    row = int((mean == mean.min()).nonzero()[-1])
    return row, float(test_error[row].mean()), float(test_error[row].std())


def counted_from_one(valid_error, test_error):
    row = valid_error.mean(dim=1).argmin()
    return int(row) + 1, float(test_error[row].mean()), float(test_error[row].std())


def spread_of_all(valid_error, test_error):
    row = valid_error.mean(dim=1).argmin()
    return int(row), float(test_error[row].mean()), float(test_error.std())


def spread_over_lambda(valid_error, test_error):
    row = valid_error.mean(dim=1).argmin()
    return int(row), float(test_error[row].mean()), float(test_error.mean(dim=1).std())


def spread_of_validation(valid_error, test_error):
    row = valid_error.mean(dim=1).argmin()
    return int(row), float(test_error[row].mean()), float(valid_error[row].std())


def in_percent(valid_error, test_error):
    row = valid_error.mean(dim=1).argmin()
    return int(row), 100 * float(test_error[row].mean()), 100 * float(test_error[row].std())


def errors_of_the_seeds(valid_error, test_error):
    row = valid_error.mean(dim=1).argmin()
    return int(row), test_error[row], float(test_error[row].std())


def mean_only(valid_error, test_error):
    return float(test_error[valid_error.mean(dim=1).argmin()].mean())


def spread_decides_too(valid_error, test_error):
    row = (valid_error.mean(dim=1) + valid_error.std(dim=1)).argmin()
    return int(row), float(test_error[row].mean()), float(test_error[row].std())


def by_the_median(valid_error, test_error):
    row = valid_error.median(dim=1).values.argmin()
    return int(row), float(test_error[row].mean()), float(test_error[row].std())


def _pearson(a, b):
    a, b = a.double() - a.double().mean(), b.double() - b.double().mean()
    return float((a * b).sum() / ((a**2).sum() * (b**2).sum()).sqrt())


def no_ranks(a, b):
    return _pearson(a, b)


def ties_in_order(a, b):
    return _pearson(a.argsort(stable=True).argsort(), b.argsort(stable=True).argsort())


def argsort_once(a, b):
    return _pearson(a.argsort(), b.argsort())


def ties_lowest(a, b):
    return _pearson((a[:, None] > a[None, :]).sum(1), (b[:, None] > b[None, :]).sum(1))


def ties_highest(a, b):
    return _pearson((a[:, None] >= a[None, :]).sum(1), (b[:, None] >= b[None, :]).sum(1))


def ties_dense(a, b):
    return _pearson(torch.unique(a, return_inverse=True)[1], torch.unique(b, return_inverse=True)[1])


def short_formula(a, b):
    n = len(a)
    d = rankdata(a) - rankdata(b)
    return float(1 - 6 * (d**2).sum() / (n * (n**2 - 1)))


def not_divided(a, b):
    ranks = [torch.from_numpy(rankdata(x)) for x in (a, b)]
    x, y = (r - r.mean() for r in ranks)
    return float((x * y).sum())


def covariance(a, b):
    return float(np.cov(rankdata(a), rankdata(b))[0, 1])


def n_and_n_minus_one(a, b):
    x, y = (torch.from_numpy(rankdata(v)) for v in (a, b))
    return float(((x - x.mean()) * (y - y.mean())).mean() / (x.std() * y.std()))


def not_centred(a, b):
    x, y = (torch.from_numpy(rankdata(v)) for v in (a, b))
    return float((x * y).sum() / ((x**2).sum() * (y**2).sum()).sqrt())


def root_forgotten(a, b):
    x, y = (torch.from_numpy(rankdata(v) - (len(v) + 1) / 2) for v in (a, b))
    return float((x * y).sum() / ((x**2).sum() * (y**2).sum()))


def squared(a, b):
    return _pearson(torch.from_numpy(rankdata(a)), torch.from_numpy(rankdata(b))) ** 2


def kendall(a, b):
    up = torch.sign(a[:, None] - a[None, :]) * torch.sign(b[:, None] - b[None, :])
    return float(up.sum() / (len(a) * (len(a) - 1)))


def ranks_downwards(a, b):
    return _pearson(torch.from_numpy(rankdata(-a.numpy())), torch.from_numpy(rankdata(b)))


def itself_not_counted(a, b):
    def ranks(x):
        smaller = (x[:, None] > x[None, :]).sum(1)
        others = (x[:, None] == x[None, :]).sum(1) - 1
        return smaller + torch.where(others > 0, others / 2, torch.ones(len(x)))

    return _pearson(ranks(a), ranks(b))


def only_a_ranked(a, b):
    return _pearson(torch.from_numpy(rankdata(a)), b)


def scipys_pair(a, b):
    return spearmanr(a, b)


def absolute(a, b):
    return abs(_pearson(torch.from_numpy(rankdata(a)), torch.from_numpy(rankdata(b))))


def the_ranks(a, b):
    return torch.from_numpy(rankdata(a)), torch.from_numpy(rankdata(b))


def _each(change, gap):
    return np.array([spearmanr(c, g).statistic for c, g in zip(change, gap, strict=True)])


def runs_pooled(change, gap, drawn):
    means = [spearmanr(change[d].flatten(), gap[d].flatten()).statistic for d in drawn]
    return tuple(np.percentile(means, [2.5, 97.5]))


def of_seed_means(change, gap, drawn):
    c, g = change.mean(dim=1), gap.mean(dim=1)
    return tuple(np.percentile([spearmanr(c[d], g[d]).statistic for d in drawn], [2.5, 97.5]))


def no_percentiles(change, gap, drawn):
    means = _each(change, gap)[np.asarray(drawn)].mean(axis=1)
    return float(means.min()), float(means.max())


def five_and_ninety_five(change, gap, drawn):
    return tuple(np.percentile(_each(change, gap)[np.asarray(drawn)].mean(axis=1), [5, 95]))


def percent_as_fraction(change, gap, drawn):
    return tuple(np.percentile(_each(change, gap)[np.asarray(drawn)].mean(axis=1), [0.025, 0.975]))


def wrong_axis_of_draws(change, gap, drawn):
    return tuple(np.percentile(_each(change, gap)[np.asarray(drawn)].mean(axis=0), [2.5, 97.5]))


def no_mean(change, gap, drawn):
    return tuple(np.percentile(_each(change, gap)[np.asarray(drawn)], [2.5, 97.5]))


def of_the_seeds_themselves(change, gap, drawn):
    return tuple(np.percentile(_each(change, gap), [2.5, 97.5]))


def pearsons(change, gap, drawn):
    each = np.array([pearsonr(c, g).statistic for c, g in zip(change, gap, strict=True)])
    return tuple(np.percentile(each[np.asarray(drawn)].mean(axis=1), [2.5, 97.5]))


def turned_round(change, gap, drawn):
    return tuple(np.percentile(_each(change, gap)[np.asarray(drawn)].mean(axis=1), [97.5, 2.5]))


def own_draws(change, gap, drawn):
    source = np.random.default_rng(0)
    own = source.integers(0, len(change), tuple(drawn.shape))
    return tuple(np.percentile(_each(change, gap)[own].mean(axis=1), [2.5, 97.5]))


def two_standard_deviations(change, gap, drawn):
    means = _each(change, gap)[np.asarray(drawn)].mean(axis=1)
    return float(means.mean() - 1.96 * means.std()), float(means.mean() + 1.96 * means.std())


def each_seed_once(change, gap, drawn):
    each = _each(change, gap)
    means = [each[np.unique(d)].mean() for d in np.asarray(drawn)]
    return tuple(np.percentile(means, [2.5, 97.5]))


def runs_drawn(change, gap, drawn):
    means = [
        np.mean([spearmanr(c[d], g[d]).statistic for c, g in zip(change, gap, strict=True)])
        for d in drawn % change.shape[1]
    ]
    return tuple(np.percentile(means, [2.5, 97.5]))


def across_seeds(change, gap, drawn):
    each = np.array([spearmanr(c, g).statistic for c, g in zip(change.T, gap.T, strict=True)])
    return tuple(np.percentile(each[np.asarray(drawn)].mean(axis=1), [2.5, 97.5]))


def the_mean_too(change, gap, drawn):
    return tuple(np.percentile(_each(change, gap)[np.asarray(drawn)].mean(axis=1), [2.5, 50, 97.5]))


def median_of_each_draw(change, gap, drawn):
    return tuple(np.percentile(np.median(_each(change, gap)[np.asarray(drawn)], axis=1), [2.5, 97.5]))


def sum_of_each_draw(change, gap, drawn):
    return tuple(np.percentile(_each(change, gap)[np.asarray(drawn)].sum(axis=1), [2.5, 97.5]))


def only_the_width(change, gap, drawn):
    low, high = np.percentile(_each(change, gap)[np.asarray(drawn)].mean(axis=1), [2.5, 97.5])
    return float(high - low)


def the_means(change, gap, drawn):
    return _each(change, gap)[np.asarray(drawn)].mean(axis=1)


def two_and_a_half_off_one_end(change, gap, drawn):
    return tuple(np.percentile(_each(change, gap)[np.asarray(drawn)].mean(axis=1), [5, 100]))


WRONG: dict[str, dict[str, tuple[Any, str]]] = {
    "masked step": {
        "no mask at all": (no_mask, "Nothing is masked"),
        "only the gradient is masked": (gradient_masked_only, "Only the gradient is masked"),
        "only the velocity is masked": (velocity_masked_only, "but the weights are not: what a pruned"),
        "only the weights are masked": (weights_masked_only, "velocity of pruned weights is not zero"),
        "mask the wrong way round": (mask_turned_round, "mask is turned round"),
        "plus for minus": (uphill, "step goes uphill"),
        "moved by the old velocity": (old_velocity, "with the old velocity: renew it"),
        "weight decay forgotten": (no_decay, "Weight decay is missing"),
        "weight decay apart, after the step": (decay_after_the_step, "Weight decay is a second step"),
        "weight decay with a minus": (decay_subtracted, "Weight decay has the wrong sign"),
        "gradient times 1 - momentum": (dampened, "multiplied by 1 - momentum"),
        "learning rate in the velocity": (rate_inside_velocity, "learning rate is inside the velocity"),
        "momentum forgotten": (no_momentum, "The old velocity is missing"),
        "velocity not damped": (velocity_undamped, "multiply it by momentum"),
        "learning rate forgotten": (rate_forgotten, "learning rate is missing"),
        "in place": (step_in_place, "changes its input in place"),
        "input masked in place": (mask_the_input_in_place, "changes its input in place"),
        "weights only": (only_the_weights, "Return two things"),
        "velocity first": (velocity_first, "in the wrong order"),
        "pruned entries left out": (shortened, "weights has the shape [6]"),
        "kept is taken from the weights": (zeros_stay_zero, "mask from the weights that are zero"),
    },
    "fair choice": {
        "chosen by the test error": (chosen_by_test, "You chose by the test error"),
        "validation error reported": (validation_reported, "you report its validation error"),
        "chosen by the sum of both": (chosen_by_both, "looks at test errors as well"),
        "spread divided by n": (divided_by_n, "Divide by n - 1"),
        "standard error": (standard_error, "standard error of the mean"),
        "variance": (variance, "variance: take its root"),
        "row of the lowest single error": (lowest_single_error, "single lowest entry"),
        "row with the best seed": (best_seed_of_each_row, "single lowest entry"),
        "largest error": (largest, "row with the largest error"),
        "mean over the wrong axis": (wrong_axis, "mean over the wrong axis"),
        "a row for each seed": (one_per_seed, "Each seed chose a row of its own"),
        "last of equal rows": (last_of_equals, "of equal ones, take the first"),
        "counted from one": (counted_from_one, "count rows from 0"),
        "spread of all test errors": (spread_of_all, "spread of all test errors"),
        "spread over the rows": (spread_over_lambda, "spread over rows, not over seeds"),
        "spread of the validation error": (spread_of_validation, "spread of the validation errors"),
        "in per cent": (in_percent, "error is in per cent"),
        "a tensor for the mean": (errors_of_the_seeds, "mean must be a number"),
        "the mean only": (mean_only, "Return three numbers"),
        "mean plus spread chooses": (spread_decides_too, "mean plus the spread"),
        "median chooses": (by_the_median, "median over seeds"),
    },
    "rank correlation": {
        "no ranks": (no_ranks, "correlation of the numbers themselves"),
        "ties in the order they come": (ties_in_order, "by where they stand"),
        "argsort once": (argsort_once, "Sort the order once more"),
        "ties take the lowest rank": (ties_lowest, "lowest of their ranks"),
        "ties take the highest rank": (ties_highest, "highest of their ranks"),
        "ties take one rank": (ties_dense, "Ranks without gaps"),
        "short formula in spite of ties": (short_formula, "short formula"),
        "not divided": (not_divided, "sum of the products, not divided"),
        "covariance of the ranks": (covariance, "covariance of the ranks"),
        "n above, n - 1 below": (n_and_n_minus_one, "standard deviations by n - 1"),
        "mean not taken away": (not_centred, "mean rank is not taken away"),
        "root forgotten": (root_forgotten, "The root is missing"),
        "squared": (squared, "correlation is squared"),
        "Kendall's": (kendall, "Kendall's tau"),
        "one ranking downwards": (ranks_downwards, "only one of the two is ranked from"),
        "x itself not counted": (itself_not_counted, "Right without ties"),
        "only a is ranked": (only_a_ranked, "Only the first argument is ranked"),
        "all that scipy returns": (scipys_pair, "must be a number, not SignificanceResult"),
        "without the sign": (absolute, "correlation is without its sign"),
        "the ranks": (the_ranks, "must be a number, not (tensor"),
    },
    "interval over seeds": {
        "runs of all seeds in one": (runs_pooled, "runs were thrown together"),
        "correlation of the seeds' means": (of_seed_means, "across seeds, of their means"),
        "smallest and largest": (no_percentiles, "smallest and largest of the draws"),
        "5 and 95": (five_and_ninety_five, "between them lie 90 %"),
        "0.025 and 0.975 per cent": (percent_as_fraction, "counts from 0 to 100"),
        "mean over the draws": (wrong_axis_of_draws, "mean over the wrong axis"),
        "no mean": (no_mean, "correlations are not averaged"),
        "percentiles of the seeds": (of_the_seeds_themselves, "percentiles of the seeds' correlations"),
        "Pearson's": (pearsons, "(Pearson): take Spearman's"),
        "ends turned round": (turned_round, "interval turned round"),
        "own draws": (own_draws, "use the given draws"),
        "mean and two standard deviations": (two_standard_deviations, "1.96 standard deviations"),
        "each drawn seed once": (each_seed_once, "Each drawn seed counts once"),
        "runs drawn for seeds": (runs_drawn, "rows of change and gap"),
        "correlation across seeds": (across_seeds, "You correlated across seeds"),
        "the median too": (the_mean_too, "Return two numbers"),
        "median of each draw": (median_of_each_draw, "median of each draw"),
        "sum of each draw": (sum_of_each_draw, "sum of each draw: take the mean"),
        "the width": (only_the_width, "Return two numbers"),
        "the means": (the_means, "Return two numbers"),
        "5 per cent at one end": (two_and_a_half_off_one_end, "5 % at the lower end only"),
    },
    "finding three": {
        "a": ("a", "it sorts out the prunings"),
        "b": ("b", "chooses among the good ones"),
        "d": ("d", "is no proof that there is nothing"),
        "capital B": ("B", "chooses among the good ones"),
        "no letter of the four": ("e", "one of a, b, c, d"),
        "a number": (3, "one of a, b, c, d"),
        "two letters": ("c and d", "one of a, b, c, d"),
        "the sentence": ("Keeping the loss does not matter for the network after fine-tuning.", "one of a, b, c, d"),
    },
}
