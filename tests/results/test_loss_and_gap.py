"""Loss change against gap: rank correlations found by hand, and what else is said about preserving the loss."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr
from study_tables import of_ranks, table

from lossprune_lib import results


@pytest.mark.parametrize(
    ("gaps", "expected"),
    [
        ([2, 1, 4, 3], 1 - 6 * 4 / (4 * 15)),  # 1 - 6 sum d^2 / (n (n^2 - 1))
        ([4, 3, 2, 1], -1),
        ([1, 1, 2], 1.5 / math.sqrt(2 * 1.5)),  # ties share their ranks: 1.5, 1.5, 3
    ],
)
def test_spearman_by_hand(gaps: list[float], expected: float) -> None:
    row = results.rank_correlation(of_ranks(gaps, gaps, gaps, gaps)).iloc[0]
    assert row["correlation"] == pytest.approx(expected)
    assert (row["low"], row["high"]) == pytest.approx((expected, expected))
    assert (row["runs"], row["seeds"], row["share"], row["sparsity"]) == (4 * len(gaps), 4, 1, 0.9)


def test_the_interval_is_students() -> None:
    row = results.rank_correlation(of_ranks([1, 2, 3], [3, 2, 1], [1, 3, 2], [1, 2, 3])).iloc[0]
    each = [1, -1, 0.5, 1]
    reach = 3.182446 * math.sqrt(sum((value - 0.375) ** 2 for value in each) / 3 / 4)
    assert row["correlation"] == pytest.approx(0.375)
    assert (row["low"], row["high"]) == pytest.approx((0.375 - reach, 0.375 + reach), rel=1e-6)


@pytest.mark.parametrize("seeds", [1, 2, 3])
def test_few_seeds_have_no_interval(seeds: int) -> None:
    row = results.rank_correlation(of_ranks(*[[1, 2, 4, 3]] * seeds)).iloc[0]
    assert row["correlation"] == pytest.approx(0.8)
    assert math.isnan(row["low"])
    assert math.isnan(row["high"])


def test_the_best_share_is_taken_within_each_seed() -> None:
    runs = of_ranks([3, 2, 1, *range(10, 19)], [1, 2, 3, *range(10, 19)])
    runs.loc[runs["seed"] == 1, "true_change"] *= -100  # all larger than those of the other seed, and signed
    row = results.rank_correlation(runs, share=0.25).iloc[0]
    assert (row["runs"], row["seeds"], row["correlation"]) == (6, 2, 0)
    assert results.rank_correlation(runs, share=0.26)["runs"].item() == 8  # 3.12 runs, rounded up
    assert results.rank_correlation(runs, share=0.01)["runs"].item() == 6  # at least three
    ten = of_ranks([float(i) for i in range(30)])
    assert results.rank_correlation(ten, share=0.1)["runs"].item() == 3  # 0.1 * 30 is a little more in floats


def test_runs_that_tie_with_the_last_of_the_best_are_taken_in() -> None:
    runs = of_ranks([4, 3, 2, 1, 0])
    runs.loc[3, "true_change"] = 3.0
    assert results.rank_correlation(runs, share=0.6)["runs"].item() == 4


def test_seeds_without_a_correlation_are_left_out_and_named() -> None:
    runs = of_ranks([1, 2, 3], [2, 2, 2], [3, 2, 1])
    with pytest.warns(UserWarning, match=r"seeds \[1\] are left out"):
        row = results.rank_correlation(runs).iloc[0]
    assert (row["seeds"], row["runs"], row["correlation"]) == (2, 6, 0)
    runs["true_change"] = 1.0
    with pytest.warns(UserWarning, match=r"seeds \[0, 1, 2\] are left out"):
        row = results.rank_correlation(runs).iloc[0]
    assert (row["seeds"], row["runs"]) == (0, 0)
    assert math.isnan(row["correlation"])
    with pytest.warns(UserWarning, match="fewer than 3 runs"):
        assert results.rank_correlation(of_ranks([1, 2]))["seeds"].item() == 0


def test_the_share_is_one() -> None:
    runs = of_ranks([1, 2, 3])
    for share in (0, -0.1, 1.1, 25, math.nan):
        with pytest.raises(ValueError, match="share"):
            results.rank_correlation(runs, share=share)
    with pytest.raises(ValueError, match="not fine-tuned"):
        results.rank_correlation(table({("mp", 1, 0): [1, 2]}))


@settings(max_examples=30)  # of 720 orders and as many again: any two of them tell a mistake
@given(st.permutations(range(6)), st.permutations(range(6)), st.randoms(use_true_random=False))
def test_only_ranks_matter_and_not_the_order_of_rows(first: list[int], second: list[int], random) -> None:
    runs = of_ranks([float(i) for i in first], [float(i) for i in second])
    found = results.rank_correlation(runs, share=0.7)
    order = list(range(len(runs)))
    random.shuffle(order)
    changed = runs.assign(true_change=runs["true_change"] ** 3).iloc[order]
    pd.testing.assert_frame_equal(found, results.rank_correlation(changed, share=0.7), check_exact=True)
    by_hand = 0.0
    for gaps in (first[:5], second[:5]):  # 0.7 of 6, rounded up
        ranks = [sorted(gaps).index(gap) for gap in gaps]
        by_hand += 0.5 * (1 - 6 * sum((i - rank) ** 2 for i, rank in enumerate(ranks)) / (5 * 24))
    assert found["correlation"].item() == pytest.approx(by_hand)


def of_seed(changes: list[float], gaps: list[float], tests: list[float]) -> pd.DataFrame:
    """Return one seed's runs: the first is MP's, then LM's and QM's in turn, at penalties of their own."""
    names = [("mp", 1, 0.0), *((("lm", "qm")[i % 2], 14, float(i)) for i in range(len(changes) - 1))]
    keys = dict(zip(names, zip(changes, gaps, tests, strict=True), strict=True))
    found = table(
        {key: [change] for key, (change, _, _) in keys.items()}, {key: [g] for key, (_, g, _) in keys.items()}
    )
    return found.assign(tuned_test_error=[0.5 + test / 100 for _, _, test in keys.values()])


def test_what_lies_near_the_best_run() -> None:
    # From the best, 1, to MP, 9: near are those up to 3.
    changes, gaps = [9.0, 1.0, 2.0, 3.0, 3.001, 2.5], [9.0, 4.0, 3.0, 1.0, 0.5, 2.0]
    tests = [7.0, 1.0, 2.0, 3.0, 6.0, 4.0]
    found = results.preserving(of_seed(changes, gaps, tests))
    near = [1, 2, 3, 5]
    assert (found.near_runs, found.runs) == ((4,), 6)
    assert found.near.values == (pytest.approx(spearmanr([changes[i] for i in near], [gaps[i] for i in near])[0]),)
    agreement = spearmanr([gaps[i] for i in near], [tests[i] for i in near])[0]
    assert agreement < 0
    assert found.near_ceiling == 0
    assert found.cost.values == pytest.approx((1.0 - 6.0,))  # smallest change less smallest gap, on test
    assert found.rank.values == (5,)  # its change is the fifth
    of_lm = [1, 3, 5]  # of QM there are two runs, too few
    assert found.within.values == (pytest.approx(spearmanr([changes[i] for i in of_lm], [gaps[i] for i in of_lm])[0]),)


def test_runs_that_tie_are_averaged_and_the_winner_has_the_first_of_their_places() -> None:
    found = results.preserving(of_seed([9.0, 1.0, 1.0, 2.0, 3.0], [9.0, 4.0, 3.0, 1.0, 1.0], [0.0, 2.0, 4.0, 1.0, 8.0]))
    assert found.cost.values == pytest.approx((3.0 - 4.5,))
    assert found.rank.values == (3,)


def test_mp_at_its_best_leaves_nothing_near() -> None:
    found = results.preserving(of_seed([1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 4.0]))
    assert found.near_runs == (1,)
    assert math.isnan(found.near.mean)
    assert math.isnan(found.near_ceiling)
    for wrong in (of_ranks([1, 2, 3]), pd.concat([of_seed([1], [1], [1]).assign(sparsity=k) for k in (0.5, 0.9)])):
        with pytest.raises(ValueError, match="one sparsity"):
            results.preserving(wrong)


def test_a_relation_that_the_shares_make_is_gone_with_them_held_fixed() -> None:
    draws, parts = np.random.default_rng(0), []
    for seed in range(5):
        share = np.linspace(0.01, 0.09, 61)
        change, gap = (share * 50 + draws.normal(0, 0.3, 61) for _ in range(2))
        change[0] = 100  # MP: all others are near the best
        runs = of_seed(change.tolist(), gap.tolist(), gap.tolist())
        parts.append(runs.assign(seed=seed, **{"density.fc1": share, "density.fc2": 1 - share}))
    found = results.preserving(pd.concat(parts))
    assert found.near.low > 0.9
    assert found.within.low > 0.9
    assert found.near_ceiling == 1
    assert found.near_fixed.low < 0 < found.near_fixed.high
    assert abs(found.within_fixed.mean) < 0.2
