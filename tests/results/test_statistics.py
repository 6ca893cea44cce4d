"""Intervals, paired comparisons, Welch's test and rank correlations, against other ways to compute them."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lossprune_lib.results.statistics import Interval, adjusted_p, ceiling, half_width, interval, paired, spearman

DRAWS = np.random.default_rng(0)
# Of Student's t at 97.5 %, from a printed table: degrees of freedom -> quantile.
PRINTED = {3: 3.182446, 4: 2.776445, 9: 2.262157}
# For 4 degrees of freedom it has a closed form: 2 sqrt(cos(arccos(sqrt(a)) / 3) / sqrt(a) - 1), a = 4 * 0.975 * 0.025.
ROOT = math.sqrt(4 * 0.975 * 0.025)
OF_FIVE = 2 * math.sqrt(math.cos(math.acos(ROOT) / 3) / ROOT - 1)


@pytest.mark.parametrize(
    ("freedom", "quantile", "error"), [*((*pair, 1e-6) for pair in PRINTED.items()), (4, OF_FIVE, 1e-13)]
)
def test_an_interval_by_hand(freedom: int, quantile: float, error: float) -> None:
    values = DRAWS.normal(3, 2, freedom + 1)
    n, mean = len(values), sum(values) / len(values)
    spread = math.sqrt(sum((value - mean) ** 2 for value in values) / (n - 1))
    found = interval(values)
    reach = quantile * spread / math.sqrt(n)
    assert (found.mean, found.n, found.values) == (pytest.approx(mean, rel=1e-13), n, tuple(values))
    assert (found.mean - found.low, found.high - found.mean) == pytest.approx((reach, reach), rel=error, abs=1e-14)
    assert half_width(spread, n) == pytest.approx(reach, rel=error)


@given(st.lists(st.floats(-100, 100), min_size=4, max_size=12).filter(lambda values: np.std(values) > 1e-3))
def test_an_interval_is_that_of_the_t_test(values: list[float]) -> None:
    found, other = interval(values), stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((other.low, other.high), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_few_seeds_have_no_interval_and_are_shown(n: int) -> None:
    found = interval([1.0, 2.0, 4.5, math.nan][:n])
    assert math.isnan(found.low)
    assert math.isnan(found.high)
    assert found.n == n
    assert found.verdict(1e9) == "undecided"
    assert found.words("g") == (
        "not defined" if not n else f"{found.mean:g} (seeds {', '.join(['1', '2', '4.5'][:n])})"
    )


def test_what_is_not_defined_does_not_count() -> None:
    assert interval([1, 2, math.nan, 3, 4]) == interval([1, 2, 3, 4])
    assert half_width(np.array([1.0, np.nan]), np.array([3, 5])) == pytest.approx([math.nan] * 2, nan_ok=True)


@pytest.mark.parametrize(
    ("draw", "least", "most"),
    [
        (lambda draws: draws.normal(1, 3, 5), 0.94, 0.96),
        (lambda draws: draws.uniform(0, 2, 5), 0.92, 0.95),  # the t interval is exact for normal numbers only
    ],
)
def test_intervals_of_five_seeds_cover_the_mean_in_95_of_100(draw, least: float, most: float) -> None:
    draws, times = np.random.default_rng(1), 4000
    hits = sum(found.low <= 1 <= found.high for found in (interval(draw(draws)) for _ in range(times)))
    assert least < hits / times < most  # the standard error of the share is 0.0034


def test_a_percentile_bootstrap_of_five_seeds_would_cover_far_less() -> None:
    draws, times = np.random.default_rng(1), 2000
    drawn = draws.integers(5, size=(500, 5))
    ends = (np.percentile(draws.normal(1, 3, 5)[drawn].mean(axis=1), [2.5, 97.5]) for _ in range(times))
    assert sum(low <= 1 <= high for low, high in ends) / times < 0.87


def test_a_comparison_is_paired_by_seed() -> None:
    of_seed = pd.Series(DRAWS.normal(0, 50, 6), index=[5, 3, 1, 4, 0, 2])
    first, second = of_seed + DRAWS.normal(1, 0.1, 6), of_seed[[0, 1, 2, 3, 4, 5]]
    found, other = paired(first, second), stats.ttest_rel(first, second.reindex(first.index)).confidence_interval()
    assert (found.low, found.high) == pytest.approx((other.low, other.high), rel=1e-9)
    assert found.verdict() == "worse"
    assert paired(second, first).verdict() == "better"
    assert paired(first, second.drop(3)).n == 5


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (-2, -0.1, "better"),
        (0.1, 2, "worse"),
        (-0.5, 0.5, "as good as"),
        (-0.51, 0.5, "undecided"),
        (-0.2, 0.6, "undecided"),
        (0.1, 0.2, "worse"),  # small, but not none
        (0, 0.2, "as good as"),
        (math.nan, math.nan, "undecided"),
    ],
)
def test_verdicts(low: float, high: float, verdict: str) -> None:
    assert Interval((low + high) / 2, low, high, 5).verdict(0.5) == verdict


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=3, max_size=15))
def test_rank_correlation_is_scipys(pairs: list[tuple[int, int]]) -> None:
    a, b = np.array(pairs).T
    found = spearman(a, b)
    if len({*a}) == 1 or len({*b}) == 1:
        assert math.isnan(found)
    else:
        assert found == pytest.approx(stats.spearmanr(a, b).statistic, abs=1e-11)


def test_a_partial_rank_correlation_by_hand() -> None:
    a, b, c, d = DRAWS.normal(size=(4, 30))
    b, a = b + c + d, a + c - d + b
    r = np.corrcoef([stats.rankdata(x) for x in (a, b, c, d)])
    first = (r[0, 1] - r[0, 2] * r[1, 2]) / math.sqrt((1 - r[0, 2] ** 2) * (1 - r[1, 2] ** 2))
    assert spearman(a, b, c[:, None]) == pytest.approx(first, abs=1e-11)
    inverse = np.linalg.inv(r)  # of all four: the partial correlation of the first two
    second = -inverse[0, 1] / math.sqrt(inverse[0, 0] * inverse[1, 1])
    assert spearman(a, b, np.column_stack([c, d])) == pytest.approx(second, abs=1e-11)
    assert spearman(a, b, np.column_stack([c, d, -c])) == pytest.approx(second, abs=1e-11)  # one says nothing new


def test_what_the_shares_explain_is_gone_once_they_are_held_fixed() -> None:
    share = np.arange(40.0)
    change, gap = share + DRAWS.normal(0, 4, 40), share + DRAWS.normal(0, 4, 40)
    assert spearman(change, gap) > 0.8
    assert abs(spearman(change, gap, share[:, None])) < 0.4
    assert math.isnan(spearman(share**3, gap, share[:, None]))  # nothing is left of it
    assert math.isnan(spearman(change[:3], gap[:3], DRAWS.normal(size=(3, 2))))  # too few runs


def test_a_ceiling_is_the_root_of_the_mean_agreement() -> None:
    assert ceiling([0.5, 0.3, math.nan]) == pytest.approx(math.sqrt(0.4))
    assert ceiling([-0.5, 0.3]) == 0
    assert math.isnan(ceiling([math.nan]))


def test_the_ceiling_is_one() -> None:
    """Of two noisy measurements of one thing, the thing itself correlates with either as the ceiling says."""
    truth, *noise = np.random.default_rng(2).normal(size=(3, 20_000))
    first, second = truth + noise[0], truth + noise[1]
    assert spearman(truth, first) == pytest.approx(ceiling([spearman(first, second)]), abs=0.02)


def test_adjusted_p_values_are_those_of_scipy_from_the_same_seeds() -> None:
    draws = np.random.default_rng(0).normal([[0.0], [0.5], [1.5], [4.0]], 1.0, size=(4, 5))
    found = pd.DataFrame([vars(interval(row)) for row in draws]).rename(columns={"n": "seeds"})
    few = pd.DataFrame([vars(interval(draws[0, :3]))]).rename(columns={"n": "seeds"})
    adjusted = adjusted_p(pd.concat([few, found], ignore_index=True))
    assert np.isnan(adjusted[0])
    expected = stats.false_discovery_control(stats.ttest_1samp(draws, 0, axis=1).pvalue)
    assert adjusted[1:].to_numpy() == pytest.approx(expected)


def test_differences_without_a_spread_are_certain_or_none() -> None:
    found = pd.DataFrame({"mean": [0.0, 1.0], "low": [0.0, 1.0], "high": [0.0, 1.0], "seeds": [4, 4]})
    assert adjusted_p(found).tolist() == [1.0, 0.0]
    assert adjusted_p(found.assign(low=np.nan)).isna().all()
