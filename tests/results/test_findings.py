"""The rules of data/results/JUDGING.md, second round, each at its threshold."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from study_tables import of_ranks, table

from lossprune_lib import results


def verdict(runs: pd.DataFrame, finding: int) -> tuple[str, str]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = results.judge(runs)
    assert list(found.columns) == ["finding", "sparsity", "verdict", "evidence"]
    row = found[found["finding"] == finding].iloc[0]
    assert row["evidence"].endswith(".")
    return row["verdict"], row["evidence"]


def local(mp: list[float], lm: list[list[float]], qm: list[list[float]]) -> pd.DataFrame:
    """Return runs of LM and QM at 1, 14 and 140 stages, as many as are given, a number a seed."""
    changes = {("mp", 1, 0): mp}
    for name, of_stages in (("lm", lm), ("qm", qm)):
        for stages, values in zip((1, 14, 140), of_stages, strict=False):
            changes |= {(name, stages, 0.0): values, (name, stages, 1.0): [value + 5 for value in values]}
    return table(changes)


FALLING = [[8.0, 8, 8, 8], [7.0, 7, 7, 7], [1.0, 2, 3, 2]]
NINE = [9.0] * 4
# Differences of four seeds with a mean of 1: of 1 - d and 1 + d, twice each, the interval reaches 1.8374 d each way.
CLEAR, UNCLEAR = [0.456, 1.544] * 2, [0.455, 1.545] * 2


def less(values: list[float], by: list[float]) -> list[float]:
    return [value - each for value, each in zip(values, by, strict=True)]


@pytest.mark.parametrize(
    ("mp", "lm", "qm", "expected"),
    [
        (NINE, FALLING, FALLING, "reproduced"),
        (NINE, FALLING[:2], FALLING[:2], "reproduced"),
        (NINE, FALLING, [FALLING[0], less(FALLING[0], CLEAR)], "reproduced"),
        (NINE, FALLING, [FALLING[0], less(FALLING[0], UNCLEAR)], "undecided"),
        (NINE, [FALLING[0], less(FALLING[0], CLEAR)], FALLING, "reproduced"),
        (NINE, [FALLING[0], less(FALLING[0], UNCLEAR)], FALLING, "undecided"),
        (NINE, [FALLING[0], FALLING[0]], FALLING, "undecided"),
        (NINE, [FALLING[1], FALLING[0]], FALLING, "refuted"),
        (NINE, FALLING, [FALLING[0], FALLING[2], FALLING[1]], "refuted"),  # the last step goes the other way
        ([2.5, 3.5, 3.4775, 3.5225], FALLING, FALLING, "reproduced"),  # MP less QM
        ([1, 2, 3, 2], FALLING, FALLING, "undecided"),  # as good as MP
        ([0, 1, 2, 1], FALLING, FALLING, "refuted"),
        (NINE[:3], [values[:3] for values in FALLING], [values[:3] for values in FALLING], "undecided"),  # three seeds
    ],
)
def test_finding_1(mp: list[float], lm: list[list[float]], qm: list[list[float]], expected: str) -> None:
    found, evidence = verdict(local(mp, lm, qm), 1)
    assert found == expected
    assert "minus MP" in evidence
    assert f"n = {len(mp)}" in evidence


def test_finding_1_in_numbers() -> None:
    _, evidence = verdict(local(NINE, [FALLING[0], less(FALLING[0], [0.5, 1.5] * 2)], FALLING[:2]), 1)
    assert evidence == (
        "Best loss changes: MP 9.00; with 1, 14 stages LM 8.00, 7.00, QM 8.00, 7.00. Differences: LM in 14 minus in 1 "
        "-1.00 (-1.92 to -0.0813), QM in 14 minus in 1 -1.00 (-1.00 to -1.00), QM in 14 minus MP -2.00 (-2.00 to "
        "-2.00); n = 4. One interval above zero refutes it."
    )
    assert "seeds -2.00, -2.00, -2.00); n = 3" in verdict(local([9] * 3, [[8] * 3, [7] * 3], [[8] * 3, [7] * 3]), 1)[1]


def test_findings_are_judged_at_the_best_penalty_of_the_means() -> None:
    # At penalty 1 some seeds would not fall, but the mean at penalty 0 is lower.
    runs = table(
        {
            ("mp", 1, 0): [9] * 4,
            ("lm", 1, 0): [5] * 4,
            ("lm", 1, 1): [6] * 4,
            ("lm", 14, 0): [3, 4, 3, 4],
            ("lm", 14, 1): [1, 8, 1, 8],
            ("qm", 1, 0): [5] * 4,
            ("qm", 14, 0): [3] * 4,
        }
    )
    assert verdict(runs, 1)[0] == "reproduced"


@pytest.mark.parametrize(
    ("lm", "qm", "expected"),
    [
        ([1.5] * 4, [1] * 4, "reproduced"),  # a quarter of the 2 between MP, 3, and QM
        ([1.5001] * 4, [1] * 4, "refuted"),
        ([0.5] * 4, [1] * 4, "reproduced"),  # LM may be the better one
        ([0.4999] * 4, [1] * 4, "refuted"),
        ([1.3, 1.5, 1.3, 1.5], [1] * 4, "undecided"),  # 15, 25, 15 and 25 %: the mean is 20, the interval ends at 29
        ([1.4, 1.42, 1.4, 1.42], [1] * 4, "reproduced"),
        ([1.6, 1.62, 1.6, 1.62], [1] * 4, "refuted"),
        ([1] * 4, [3] * 4, "refuted"),  # QM is as good as MP
        ([1] * 4, [4] * 4, "refuted"),
        ([1] * 4, [1, 1, 1, 5], "refuted"),  # its lead is not clear
        ([2.9] * 4, [2.7, 2.8, 2.7, 3.0], "refuted"),
        ([2.9] * 5, [1, 1, 1, 1, 3.0], "undecided"),  # a clear lead, but not in every seed
        ([1] * 3, [1] * 3, "undecided"),  # three seeds
        ([1] * 3, [4] * 3, "undecided"),
    ],
)
def test_finding_2(lm: list[float], qm: list[float], expected: str) -> None:
    n = len(qm)
    found, evidence = verdict(local([3] * n, [[9] * n, lm], [[1] * n, qm]), 2)  # one stage does not count
    assert found == expected
    assert "14 stages" in evidence
    assert f"n = {n}" in evidence


def test_finding_2_in_numbers() -> None:
    _, evidence = verdict(local([2.02] * 4, [[1.8] * 4, [1.17, 1.17, 1.27, 1.27]], [[1.8] * 4, [1.05] * 4]), 2)
    assert evidence == (
        "Best loss changes at 14 stages: MP 2.02, LM 1.22, QM 1.05; QM minus MP -0.970 (-0.970 to -0.970), LM "
        "minus QM 0.170 (0.0781 to 0.262); of what lies between MP and QM, LM and QM differ by 17.5 % (8.05 to 27.0); "
        "their distance less a quarter of that of MP and QM -0.0725 (-0.164 to 0.0194); n = 4. An interval that begins "
        "above 25 %, or no clear lead of QM over MP, refutes it."
    )


def tuned(*gaps_of_seeds: list[float], noise: float = 0.0) -> pd.DataFrame:
    """Return MP at a change of 100 and runs of LM at 1, 2, 3, ..., all near the best, with these validation gaps."""
    draws = np.random.default_rng(0)
    runs = of_ranks(*gaps_of_seeds)
    runs["tuned_test_error"] = 0.5 + (runs["tuned_valid_error"] - 0.25) + draws.normal(0, noise, len(runs)) / 100
    seeds = len(gaps_of_seeds)
    mp = table({("mp", 1, 0): [100.0] * seeds}, {("mp", 1, 0): [50.0] * seeds})
    return pd.concat([runs, mp], ignore_index=True)


WEAK, STRONG = [2.0, 3, 1, 5, 4, 6], [1.0, 2, 3, 4, 6, 5]
AGAINST = [6.0, 5, 4, 3, 2, 1]
HALF = [1.0, 2, 6, 5, 4, 3]  # a correlation of 15 / 35


@pytest.mark.parametrize(
    ("gaps", "expected"),
    [
        ([AGAINST] * 4, "reproduced"),
        ([HALF] * 4, "reproduced"),
        ([STRONG] * 4, "refuted"),
        ([WEAK] * 4, "refuted"),
        ([STRONG, AGAINST] * 2, "undecided"),
        ([AGAINST] * 3, "undecided"),  # three seeds
        ([AGAINST, AGAINST, AGAINST, [1.0] * 6], "undecided"),  # in one of the four there is no correlation
        ([AGAINST] * 4 + [[1.0] * 6], "reproduced"),
    ],
)
def test_finding_3(gaps: list[list[float]], expected: str) -> None:
    found, evidence = verdict(tuned(*gaps), 3)
    assert found == expected
    assert "ceiling 1.00" in evidence
    assert "refutes it" in evidence


def test_finding_3_is_compared_with_half_the_ceiling() -> None:
    # Validation and test agree by 0.6 in all seeds: a ceiling of 0.77, and half of it is below HALF's correlation.
    runs = tuned(*[HALF] * 4)
    runs.loc[runs["criterion"] == "lm", "tuned_test_error"] = np.repeat([0.53, 0.52, 0.56, 0.51, 0.54, 0.55], 4)
    row = results.preserving(runs)
    assert row.near_ceiling / 2 < row.near.mean < 0.5
    assert verdict(runs, 3)[0] == "refuted"


def test_below_a_ceiling_of_one_half_nothing_is_decided() -> None:
    runs = tuned(*[AGAINST] * 4)
    runs.loc[runs["criterion"] == "lm", "tuned_test_error"] = 0.5 + runs["true_change"] / 100
    found, evidence = verdict(runs, 3)
    assert found == "undecided"
    assert "ceiling 0.00" in evidence
    assert evidence.endswith("nothing can refute it, and nothing is decided.")


def test_finding_3_in_numbers() -> None:
    _, evidence = verdict(tuned(*[AGAINST] * 4), 3)
    assert evidence == (
        "The rank correlation of loss change and validation gap is -1.00 (-1.00 to -1.00) among the runs near a seed's "
        "best (6 of 7), ceiling 1.00; no correlation is to be expected above its ceiling. Among the runs of one "
        "criterion it is -1.00 (-1.00 to -1.00), ceiling 1.00; this judges nothing, and would be reproduced. With the "
        "layers' shares fixed, they are "
        "-1.00 (-1.00 to -1.00) and -1.00 (-1.00 to -1.00). "
        "The run of the smallest loss change has a test error 5.00 (5.00 to 5.00) points "
        "above that of the run of the smallest validation gap, whose place by loss change is 6, 6, 6, 6 in the seeds' "
        "order; n = 4. An interval that begins above "
        "half the ceiling, 0.50, refutes it."
    )


def test_what_cannot_be_judged_says_why() -> None:
    whole = local(NINE, FALLING, FALLING)
    without_mp = whole[whole["criterion"] != "mp"]
    only_mp = whole[whole["criterion"] == "mp"]
    incomplete = whole[~((whole["seed"] == 2) & (whole["stages"] == 14))]
    for finding in (1, 2):
        assert verdict(without_mp, finding) == ("not judged", "There are no runs of MP.")
        assert verdict(only_mp, finding) == ("not judged", "There are no runs of LM and QM.")
        why = "Seed 2 has only 9 of 13 runs: run the study to its end."
        assert verdict(incomplete, finding) == ("not judged", why)
    found, why = verdict(whole, 3)
    assert found == "not judged"
    assert "not fine-tuned" in why
    assert verdict(of_ranks([1, 2, 3]), 3) == ("not judged", "There are no runs of MP.")


def test_stages_that_are_lacking() -> None:
    one_stage = local([9, 9], [[8, 8]], [[7, 7]])
    assert verdict(one_stage, 1)[1] == "LM and QM were not both run with several numbers of stages."
    assert verdict(one_stage, 2)[1] == "LM and QM were not both run in several stages, so no step was local."
    apart = local([9, 9], [[8, 8]], [[8, 8], [7, 7]])
    none = apart[~((apart["criterion"] == "qm") & (apart["stages"] == 1))]
    for lacking in (apart, none):
        assert [verdict(lacking, finding)[0] for finding in (1, 2)] == ["not judged", "not judged"]
    only_14 = table({("mp", 1, 0): NINE, ("lm", 14, 0): [5] * 4, ("qm", 14, 0): [5] * 4})
    assert [verdict(only_14, finding)[0] for finding in (1, 2)] == ["not judged", "reproduced"]


def test_each_sparsity_is_judged_alone_and_the_case_is_the_weakest() -> None:
    good = local(NINE, FALLING, FALLING)
    bad = local([0] * 4, FALLING, FALLING).assign(sparsity=0.5)
    judged = results.judge(pd.concat([good, bad]))
    assert judged.set_index(["finding", "sparsity"])["verdict"].to_dict() == {
        (1, 0.5): "refuted",
        (1, 0.9): "reproduced",
        (2, 0.5): "refuted",
        (2, 0.9): "reproduced",
        (3, 0.5): "not judged",
        (3, 0.9): "not judged",
    }
    assert results.cases(judged) == {1: "refuted", 2: "refuted", 3: "not judged"}


@pytest.mark.parametrize(
    ("verdicts", "case"),
    [
        (["reproduced", "reproduced"], "reproduced"),
        (["reproduced", "undecided"], "undecided"),
        (["undecided", "not judged", "reproduced"], "not judged"),
        (["reproduced", "not judged", "refuted"], "refuted"),
    ],
)
def test_the_weakest_verdict(verdicts: list[str], case: str) -> None:
    assert results.cases(pd.DataFrame({"finding": 1, "verdict": verdicts})) == {1: case}


def test_a_penalty_that_is_held_out_is_chosen_on_the_other_seeds() -> None:
    changes = {("qm", 14, 0.0): [1.0, 5.0, 5.0], ("qm", 14, 1.0): [3.0, 2.0, 2.5], ("mp", 1, 0.0): [4.0] * 3}
    runs = table(changes)
    assert results.changes_by_seed(runs)["qm"][14].tolist() == [3.0, 2.0, 2.5]  # 1 is better in the mean
    runs.loc[(runs["seed"] == 0) & (runs["step_penalty"] == 1), "true_change"] = 4.0
    assert results.changes_by_seed(runs)["qm"][14].tolist() == [4.0, 2.0, 2.5]
    # Without seed 0 it is still 1. Without seed 1 it is 0 (3.0, and 3.25 for 1); without seed 2 they tie, so 0 counts.
    assert results.changes_by_seed(runs, held_out=True)["qm"][14].tolist() == [4.0, 5.0, 5.0]
    with pytest.raises(ValueError, match="one only"):
        results.changes_by_seed(runs[runs["seed"] == 0], held_out=True)


def test_a_lead_that_needs_the_chosen_seeds_is_gone_without_them() -> None:
    # Penalty 4 is the best of all seeds. Without seed i it is penalty i, which fails in that seed.
    failing = {("qm", 14, float(i)): [20.0 if i == j else 2.0 for j in range(4)] for i in range(4)}
    runs = table({("mp", 1, 0.0): [4.0] * 4, ("lm", 14, 0.0): [3.0] * 4, ("qm", 14, 4.0): [3.0] * 4} | failing)
    best, held_out = (results.judge(runs, held_out=way).query("finding == 2") for way in (False, True))
    assert "QM 3.00" in best["evidence"].item()
    assert "QM 20.0" in held_out["evidence"].item()
    assert (best["verdict"].item(), held_out["verdict"].item()) == ("reproduced", "refuted")
    assert results.changes_by_seed(runs)["qm"][14].tolist() == [3.0] * 4
    assert results.changes_by_seed(runs, held_out=True)["qm"][14].tolist() == [20.0] * 4
