"""The rules of data/results/JUDGING.md, each at its threshold, and rank correlations found by hand."""

from __future__ import annotations

import math
import warnings

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from study_tables import table

from lossprune_lib import results


def of_ranks(*gaps_of_seeds: list[float]) -> pd.DataFrame:
    """Return runs whose loss changes are 1, 2, 3, ..., with these gaps in each seed."""
    penalties = range(len(gaps_of_seeds[0]))
    return table(
        {("lm", 1, float(i)): [i + 1.0] * len(gaps_of_seeds) for i in penalties},
        {("lm", 1, float(i)): [gaps[i] for gaps in gaps_of_seeds] for i in penalties},
    )


def verdict(runs: pd.DataFrame, finding: int) -> tuple[str, str]:
    found = results.judge(runs)
    assert list(found.columns) == ["finding", "sparsity", "verdict", "evidence"]
    row = found[found["finding"] == finding].iloc[0]
    assert row["evidence"].endswith(".")
    return row["verdict"], row["evidence"]


@pytest.mark.parametrize(
    ("gaps", "expected"),
    [
        ([2, 1, 4, 3], 1 - 6 * 4 / (4 * 15)),  # 1 - 6 sum d^2 / (n (n^2 - 1))
        ([4, 3, 2, 1], -1),
        ([1, 1, 2], 1.5 / math.sqrt(2 * 1.5)),  # ties share their ranks: 1.5, 1.5, 3
    ],
)
def test_spearman_by_hand(gaps: list[float], expected: float) -> None:
    row = results.rank_correlation(of_ranks(gaps, gaps)).iloc[0]
    assert row["correlation"] == pytest.approx(expected)
    assert (row["low"], row["high"]) == pytest.approx((expected, expected))
    assert (row["runs"], row["seeds"], row["share"], row["sparsity"]) == (2 * len(gaps), 2, 1, 0.9)


def test_the_interval_of_few_seeds_is_known() -> None:
    # Of three seeds, each bootstrap mean is the lowest correlation with a chance of 1/27, which is more than 2.5 %.
    runs = of_ranks([1, 2, 3], [3, 2, 1], [1, 3, 2])
    row = results.rank_correlation(runs).iloc[0]
    assert row["correlation"] == pytest.approx((1 - 1 + 0.5) / 3)
    assert (row["low"], row["high"]) == (-1, 1)


def test_the_interval_repeats_and_depends_on_the_seed() -> None:
    runs = of_ranks(*[[1, 2, 3, 4], [2, 1, 4, 3], [4, 3, 2, 1], [1, 3, 2, 4], [2, 3, 4, 1], [3, 1, 2, 4], [4, 1, 2, 3]])
    first = results.rank_correlation(runs, draws=50, seed=3)
    pd.testing.assert_frame_equal(first, results.rank_correlation(runs, draws=50, seed=3), check_exact=True)
    assert first["low"].item() < first["correlation"].item() < first["high"].item()
    others = {results.rank_correlation(runs, draws=50, seed=seed)["low"].item() for seed in range(10)}
    assert len(others) > 1


def test_one_seed_has_no_interval() -> None:
    row = results.rank_correlation(of_ranks([1, 2, 4, 3])).iloc[0]
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
    with pytest.raises(ValueError, match="draws"):
        results.rank_correlation(runs, draws=0)
    with pytest.raises(ValueError, match="not fine-tuned"):
        results.rank_correlation(table({("mp", 1, 0): [1, 2]}))


@given(st.permutations(range(6)), st.permutations(range(6)), st.randoms(use_true_random=False))
def test_only_ranks_matter_and_not_the_order_of_rows(first: list[int], second: list[int], random) -> None:
    runs = of_ranks([float(i) for i in first], [float(i) for i in second])
    found = results.rank_correlation(runs, share=0.7, draws=20)
    order = list(range(len(runs)))
    random.shuffle(order)
    changed = runs.assign(true_change=runs["true_change"] ** 3).iloc[order]
    pd.testing.assert_frame_equal(found, results.rank_correlation(changed, share=0.7, draws=20), check_exact=True)
    by_hand = 0.0
    for gaps in (first[:5], second[:5]):  # 0.7 of 6, rounded up
        ranks = [sorted(gaps).index(gap) for gap in gaps]
        by_hand += 0.5 * (1 - 6 * sum((i - rank) ** 2 for i, rank in enumerate(ranks)) / (5 * 24))
    assert found["correlation"].item() == pytest.approx(by_hand)


def local(mp: list[float], lm: list[list[float]], qm: list[list[float]]) -> pd.DataFrame:
    """Return runs of LM and QM at 1, 14 and 140 stages, as many as are given, a number a seed."""
    changes = {("mp", 1, 0): mp}
    for name, of_stages in (("lm", lm), ("qm", qm)):
        for stages, values in zip((1, 14, 140), of_stages, strict=False):
            changes |= {(name, stages, 0.0): values, (name, stages, 1.0): [value + 5 for value in values]}
    return table(changes)


FALLING = [[8.0, 8, 8], [7.0, 7, 7], [1.0, 2, 3]]


@pytest.mark.parametrize(
    ("mp", "lm", "qm", "expected"),
    [
        ([4.25, 5.25, 6.25], FALLING, FALLING, "reproduced"),
        ([3, 4, 5], FALLING, FALLING, "partly"),  # MP less QM is 2, the two spreads are 1 and 1
        ([3.125, 4.125, 5.125], FALLING, FALLING, "reproduced"),  # 2.125
        ([1.125, 2.125, 3.125], FALLING, FALLING, "partly"),  # below MP, but by less than the spreads
        ([1, 2, 3], FALLING, FALLING, "not"),  # as good as MP
        ([0.5, 1.5, 2.5], FALLING, FALLING, "not"),
        ([9, 9, 9], FALLING[:2], FALLING[:2], "reproduced"),
        ([9, 9, 9], [[8, 8, 8], [8, 7, 7], [1, 2, 3]], FALLING, "partly"),  # one seed of LM stays
        ([9, 9, 9], FALLING, [[8, 8, 8], [8.5, 7, 7], [1, 2, 3]], "partly"),  # one seed of QM rises
        ([9, 9, 9], [[8, 8, 8], [9, 8, 7], [1, 2, 3]], FALLING, "not"),  # the mean of LM stays
        ([9, 9, 9], FALLING, [[8, 8, 8], [7, 6, 5], [7, 6, 6]], "not"),  # the mean of QM rises at the last
    ],
)
def test_finding_1(mp: list[float], lm: list[list[float]], qm: list[list[float]], expected: str) -> None:
    found, evidence = verdict(local(mp, lm, qm), 1)
    assert found == expected
    assert "MP less QM" in evidence


def test_finding_1_in_numbers() -> None:
    _, evidence = verdict(local([4.25, 5.25, 6.25], FALLING, [[8, 8, 8], [7, 8, 7], [1, 2, 3]]), 1)
    assert evidence == (
        "Best loss changes with 1, 14, 140 stages: LM 8.00, 7.00, 2.00 (less with each in 3 of 3 seeds) "
        "and QM 8.00, 7.33, 2.00 (less with each in 2 of 3 seeds); MP less QM at 140 stages is 5.25 - 2.00 = 3.25, "
        "their two spreads together 2.00."
    )


def test_findings_are_judged_at_the_best_penalty_of_the_means() -> None:
    # At penalty 1 seed 1 would not fall, but the mean at penalty 0 is lower.
    runs = table(
        {
            ("mp", 1, 0): [9, 9],
            ("lm", 1, 0): [5, 5],
            ("lm", 14, 0): [3, 4],
            ("lm", 14, 1): [1, 8],
            ("qm", 1, 0): [5, 5],
            ("qm", 14, 0): [3, 3],
        }
    )
    runs = pd.concat([runs, table({("lm", 1, 1): [6, 6], ("qm", 1, 1): [6, 6], ("qm", 14, 1): [6, 6]})])
    assert verdict(runs, 1)[0] == "reproduced"


@pytest.mark.parametrize(
    ("lm", "qm", "expected"),
    [
        (1.5, 1, "reproduced"),  # a quarter of the 2 between MP, 3, and QM
        (1.5001, 1, "partly"),
        (2, 1, "partly"),
        (2.0001, 1, "not"),
        (0.5, 1, "reproduced"),  # LM may be the better one
        (0.4999, 1, "partly"),
        (0, 1, "partly"),
        (2.875, 2.875, "reproduced"),
        (1, 3, "not"),  # QM is as good as MP
        (1, 4, "not"),
    ],
)
def test_finding_2(lm: float, qm: float, expected: str) -> None:
    runs = local([3], [[9], [lm]], [[1], [qm]])  # one seed is enough, and one stage does not count
    found, evidence = verdict(runs, 2)
    assert found == expected
    assert ("no better" in evidence) == (qm >= 3)
    assert "14 stages" in evidence


def test_finding_2_in_numbers() -> None:
    _, evidence = verdict(local([2.02], [[1.8], [1.17]], [[1.8], [1.05]]), 2)
    assert evidence == (
        "Best loss changes at 14 stages: MP 2.02, LM 1.17, QM 1.05; LM and QM differ by 12.4 % of what lies "
        "between MP and QM."
    )


REST = [float(10 + i) for i in range(12)]


@pytest.mark.parametrize(
    ("gaps", "expected"),
    [
        ([[3, 2, 1, 0]] * 3, "reproduced"),  # correlation -1
        ([[0, 3, 2, 1]] * 3, "partly"),  # 0.2, but the smallest change has the smallest gap
        ([[1, 0, 2, 3]] * 3, "partly"),  # 0.8, but it has not
        ([[0, 1, 2, 3]] * 3, "not"),
        ([[3, 2, 1, 0]] * 3 + [[0, 3, 2, 1]], "reproduced"),  # in 3 of 4 seeds
        ([[3, 2, 1, 0]] * 2 + [[0, 3, 2, 1]] * 2, "partly"),  # in 2 of 4: not in most
        ([[0, 0, 0, -0.0], [3, 2, 1, 0], [3, 2, 1, 0]], "reproduced"),  # a seed without a correlation
        ([[0, 3, 1, 0]] * 3, "partly"),  # it shares the smallest gap: correlation -0.1
    ],
)
def test_finding_3(gaps: list[list[float]], expected: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found, evidence = verdict(of_ranks(*[[*best, *REST] for best in gaps]), 3)
    assert found == expected
    assert "over the best quarter" in evidence


def test_finding_3_at_its_threshold() -> None:
    rest = REST[:9]
    assert verdict(of_ranks(*[[1, 0, 2, *rest]] * 2), 3)[0] == "partly"  # correlation 0.5, not below
    assert verdict(of_ranks(*[[0, 2, 1, *rest]] * 2), 3)[0] == "not"
    # 0.4, with four runs: below.
    assert verdict(of_ranks(*[[1, 2, 0, 3, *REST]] * 2), 3)[0] == "reproduced"


def test_finding_3_ties_of_the_smallest_change() -> None:
    runs = of_ranks(*[[1, 0, 3, 2, *REST]] * 2)
    assert "in 2 of 2 seeds" in verdict(runs, 3)[1]
    runs.loc[runs["true_change"] == 2, "true_change"] = 1  # two runs preserve the loss best, one is the best tuned
    assert "in 0 of 2 seeds" in verdict(runs, 3)[1]


def test_finding_3_in_numbers() -> None:
    runs = of_ranks([0, 0, 0, 0, *REST], [3, 2, 1, 0, *REST], [3, 2, 1, 0, *REST])
    _, evidence = verdict(runs, 3)
    assert evidence.startswith(
        "Rank correlation of loss change and validation gap: -1.00 (-1.00 to -1.00, 2 of 3 seeds) over the best "
        "quarter and 0.97"
    )
    assert evidence.endswith("in 2 of 3 seeds the run with the smallest loss change has not the smallest gap.")


def test_what_cannot_be_judged_says_why() -> None:
    whole = local([9, 9, 9], FALLING, FALLING)
    without_mp = whole[whole["criterion"] != "mp"]
    only_mp = whole[whole["criterion"] == "mp"]
    for finding in (1, 2):
        assert verdict(without_mp, finding) == ("not judged", "There are no runs of MP.")
        assert verdict(only_mp, finding) == ("not judged", "There are no runs of LM and QM.")
        incomplete = whole[~((whole["seed"] == 2) & (whole["stages"] == 14))]
        assert verdict(incomplete, finding) == (
            "not judged",
            "Seed 2 has only 9 of 13 runs: run the study to its end.",
        )
    found, why = verdict(whole, 3)
    assert found == "not judged"
    assert "not fine-tuned" in why
    one_seed = whole[whole["seed"] == 0]
    assert [verdict(one_seed, finding)[0] for finding in (1, 2, 3)] == ["not judged", "reproduced", "not judged"]
    assert "one seed" in verdict(one_seed, 1)[1]
    assert "one seed" in verdict(of_ranks([1, 2, 3]), 3)[1]


def test_stages_that_are_lacking() -> None:
    one_stage = local([9, 9], [[8, 8]], [[7, 7]])
    assert verdict(one_stage, 1)[1] == "LM and QM were not both run with several numbers of stages."
    assert verdict(one_stage, 2)[1] == "LM and QM were not both run in several stages, so no step was local."
    apart = local([9, 9], [[8, 8]], [[8, 8], [7, 7]])
    assert [verdict(apart, finding)[0] for finding in (1, 2)] == ["not judged", "not judged"]
    none = local([9, 9], [[8, 8]], [[8, 8], [7, 7]])
    none = none[~((none["criterion"] == "qm") & (none["stages"] == 1))]
    assert [verdict(none, finding)[0] for finding in (1, 2)] == ["not judged", "not judged"]
    only_14 = table({("mp", 1, 0): [9, 9], ("lm", 14, 0): [5, 5], ("qm", 14, 0): [5, 5]})
    assert [verdict(only_14, finding)[0] for finding in (1, 2)] == ["not judged", "reproduced"]


@pytest.mark.parametrize("gaps", [[[1, 1, 1, 1]] * 3, [[1, 1, 1, 1], [1, 1, 1, 1], [3, 2, 1, 0]]])
def test_a_best_quarter_that_is_all_alike_is_not_judged(gaps: list[list[float]]) -> None:
    found, why = verdict(of_ranks(*[[*best, *REST] for best in gaps]), 3)
    assert found == "not judged"
    assert f"in {len(gaps) - sum(best == [1, 1, 1, 1] for best in gaps)} of 3 seeds only" in why


def test_each_sparsity_is_judged_alone() -> None:
    good = local([9, 9, 9], FALLING, FALLING)
    bad = local([0, 0, 0], FALLING, FALLING).assign(sparsity=0.5)
    found = results.judge(pd.concat([good, bad])).set_index(["finding", "sparsity"])["verdict"]
    assert found.to_dict() == {
        (1, 0.5): "not",
        (1, 0.9): "reproduced",
        (2, 0.5): "not",
        (2, 0.9): "reproduced",
        (3, 0.5): "not judged",
        (3, 0.9): "not judged",
    }
