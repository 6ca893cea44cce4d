"""What the controls say, on tables that are made so that the answer is known."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from study_tables import table, with_controls

from lossprune_lib import results
from lossprune_lib.results import selection


def told(mp: float, magnitude: float, qm: float, **settings: float) -> str:
    runs = with_controls({("mp", ""): mp, ("qm", "magnitude"): magnitude, ("qm", ""): qm}, **settings)
    (sentence,) = results.controls(runs)["sentence"].unique()
    return sentence


@pytest.mark.parametrize(
    ("mp", "magnitude", "qm", "sentence"),
    [
        (8, 4, 4, "the shares explain it"),
        (8, 5, 4, "the shares explain most of it; single weights matter"),
        (8, 7, 4, "single weights matter"),
        (8, 6, 4, "single weights matter"),  # half and half
        (8, 3, 4, "the shares explain most of it; the largest weights at its shares are better"),
        (4, 4, 4, "there is no lead to explain"),
        (3, 5, 4, "there is no lead to explain; single weights matter"),
    ],
)
def test_the_sentence(mp: float, magnitude: float, qm: float, sentence: str) -> None:
    assert told(mp, magnitude, qm) == sentence


def test_noise_and_few_seeds_decide_nothing() -> None:
    assert told(8, 6, 4, noise=8) == "undecided"
    assert told(8, 4, 4, seeds=3) == "undecided"


def test_a_small_lead_of_the_weights_is_not_called_none() -> None:
    # Within half a point, but its interval does not hold zero.
    assert told(8, 4.25, 4, noise=0.01) == "the shares explain most of it; single weights matter"


def test_each_control_is_paired_with_the_criterion() -> None:
    errors = {("mp", ""): 8.0, ("mp", "uniform"): 7.0, ("mp", "gradual"): 3.0, ("qm", ""): 4.0, ("qm", "shuffled"): 9.0}
    runs = with_controls(errors | {("qm", "magnitude"): 5.0, ("lm", ""): 4.0, ("lm", "magnitude"): 4.0})
    found = results.controls(runs.sample(frac=1, random_state=0))
    of_qm = found[found["criterion"] == "qm"].set_index(["first", "second"])
    assert set(of_qm.index) == {
        ("mp", "qm"),
        ("mp", "magnitude"),
        *((name, "qm") for name in ("magnitude", "shuffled", "uniform", "gradual")),
    }
    assert of_qm["verdict"].drop(("gradual", "qm")).eq("worse").all()
    assert of_qm.loc[("gradual", "qm"), "verdict"] == "better"
    error = {
        key: part.sort_values("seed")["tuned_test_error"].to_numpy()
        for key, part in runs.groupby(["criterion", "control"])
    }
    difference = 100 * (error["qm", "shuffled"] - error["qm", ""])
    row = of_qm.loc[("shuffled", "qm")]
    assert row["mean"] == pytest.approx(difference.mean())
    assert row["high"] - row["mean"] == pytest.approx(2.7764451051977987 * difference.std(ddof=1) / math.sqrt(5))
    assert (found["seeds"] == 5).all()
    assert (found.query("criterion == 'lm'")["sentence"] == "the shares explain it").all()


def test_other_criteria_are_paired_with_qm() -> None:
    runs = with_controls(
        {("mp", ""): 8.0, ("qm", ""): 4.0, ("qm", "magnitude"): 9.0, ("lm", ""): 3.0, ("obd", ""): 4.0}
    )
    alone = with_controls({("lm", ""): 5.0}).assign(step_penalty=1.0)  # at a penalty that QM does not have
    found = results.between_criteria(pd.concat([runs, alone]).sample(frac=1, random_state=0)).set_index("first")
    assert sorted(found.index) == ["lm", "obd"]
    assert found["verdict"].to_dict() == {"lm": "better", "obd": "as good as"}
    error = runs[runs["control"] == ""].pivot(index="seed", columns="criterion", values="tuned_test_error")
    difference = 100 * (error["lm"] - error["qm"])
    assert found.loc["lm", "mean"] == pytest.approx(difference.mean())
    reach = 2.7764451051977987 * difference.std() / math.sqrt(5)
    assert found.loc["lm", ["low", "high"]].tolist() == pytest.approx([difference.mean() + s * reach for s in (-1, 1)])
    assert results.between_criteria(with_controls({("mp", ""): 8.0, ("qm", ""): 4.0})).empty


def test_loss_changes_beside_those_of_other_weights_at_the_same_shares() -> None:
    parts = {"": [1.0, 2.0, 3.0, 4.0], "magnitude": [-2.0, 3.5, 4.0, 5.5], "shuffled": [1.5, 1.0, 3.5, 3.0]}
    runs = [
        table({("qm", 14, 0): values}, {("qm", 14, 0): [0] * 4}).assign(control=name) for name, values in parts.items()
    ]
    gradual = table({("mp", 1, 0): [1] * 4}, {("mp", 1, 0): [0] * 4}).assign(control="gradual", true_change=math.nan)
    found = results.controls_of_loss(pd.concat([*runs, gradual])).set_index("first")
    assert found["verdict"].to_dict() == {"magnitude": "worse", "shuffled": "undecided"}
    assert found["mean"].tolist() == pytest.approx([1.25, -0.25])
    assert found["values"]["magnitude"] == pytest.approx((1.0, 1.5, 1.0, 1.5))
    reach = 3.182446305284263 * np.std([1, 1.5, 1, 1.5], ddof=1) / 2
    assert found.loc["magnitude", ["low", "high"]].tolist() == pytest.approx([1.25 - reach, 1.25 + reach])


def test_in_words_other_criteria_come_last() -> None:
    errors = {("mp", ""): 8.0, ("qm", ""): 4.0, ("qm", "magnitude"): 4.0, ("lm", ""): 3.0}
    runs = pd.concat(
        [with_controls(errors), with_controls({("lm", ""): 5.0, ("qm", ""): 4.0}).assign(step_penalty=1.0)]
    )
    plain, more = results.controls_in_words(runs), results.controls_in_words(runs, others=True, decimals=2)
    assert list(more.index) == [*plain.index, "LM minus QM"]
    (row,) = results.between_criteria(runs).query("step_penalty == 0.001").itertuples()
    assert more.loc["LM minus QM"].tolist() == [f"{row.mean:.2f} ({row.low:.2f} to {row.high:.2f})"]
    with pytest.raises(ValueError, match="no controls of qm in 3 stages: there are those of qm in 14"):
        results.controls_in_words(runs, stages=3)
    level = results.controls_in_words(runs.assign(tuned_test_error=0.5 - 1e-9 * (runs["criterion"] == "mp")))
    assert set(level["90 %"]) == {"0.0 (0.0 to 0.0)"}


def test_below_four_seeds_the_seeds_themselves_are_shown() -> None:
    runs = with_controls({("mp", ""): 8.0, ("qm", ""): 4.0, ("qm", "magnitude"): 5.0, ("lm", ""): 3.0}, seeds=3)
    error = 100 * runs.assign(
        mask=runs["control"].where(runs["control"] != "", runs["criterion"])  # magnitude at QM's shares has its name
    ).pivot(index="seed", columns="mask", values="tuned_test_error")
    shuffled = runs.sample(frac=1, random_state=0)
    by_hand = {name: tuple(error[name] - error["qm"]) for name in ("mp", "magnitude", "lm")}
    found = results.controls(shuffled).query("second == 'qm'").set_index("first")
    assert found["values"]["mp"] == pytest.approx(by_hand["mp"])
    assert found["values"]["magnitude"] == pytest.approx(by_hand["magnitude"])
    assert results.between_criteria(shuffled)["values"].tolist() == [pytest.approx(by_hand["lm"])]
    assert found["low"].isna().all()
    words = results.controls_in_words(shuffled, decimals=2)["90 %"]
    mean, *seeds = (f"{number:.2f}" for number in (np.mean(by_hand["mp"]), *by_hand["mp"]))
    assert words["MP minus QM"] == f"{mean} (seeds {', '.join(seeds)})"


def test_what_is_lacking_is_left_out() -> None:
    runs = with_controls({("mp", ""): 8.0, ("qm", "magnitude"): 5.0, ("qm", "shuffled"): 9.0})
    found = results.controls(runs)
    assert found[["first", "second"]].to_numpy().tolist() == [["mp", "magnitude"]]
    assert (found["sentence"] == "not judged").all()
    with pytest.raises(ValueError, match="no controls"):
        results.controls(with_controls({("mp", ""): 8.0, ("qm", ""): 5.0}))
    with pytest.raises(ValueError, match="controls only"):
        results.best_penalty(with_controls({("qm", "magnitude"): 8.0}))
    with pytest.raises(ValueError, match="not fine-tuned"):
        results.controls(runs.assign(tuned_test_error=np.nan))


def test_the_digits_have_a_margin_of_one_point() -> None:
    runs = with_controls({("mp", ""): 8.0, ("qm", "magnitude"): 4.0, ("qm", ""): 4.0}, noise=0.4)
    verdicts = [
        results.controls(runs.assign(task=task)).set_index("first")["verdict"]["magnitude"]
        for task in ("mnist", "digits")
    ]
    assert verdicts == ["undecided", "as good as"]


def test_controls_stand_apart_and_count_in_no_finding() -> None:
    alone = table(
        {("mp", 1, 0): [9] * 4, ("qm", 1, 0): [8] * 4, ("qm", 14, 0): [7] * 4},
        {("mp", 1, 0): [5] * 4} | {("qm", stages, 0): [4.0] * 4 for stages in (1, 14)},
    )
    others = [
        alone.assign(control="magnitude", true_change=0.1),
        alone.query("criterion == 'mp'").assign(control="gradual", true_change=np.nan),
        alone.query("criterion == 'qm'").assign(curvature_columns=3, true_change=0.1),
    ]
    for nothing in ("", np.nan):
        both = pd.concat([alone.assign(control=nothing, curvature_columns=0), *others], ignore_index=True)
        assert len(selection.distinct(both)) == len(both)
        assert len(selection.themselves(both)) == len(alone)
        for function in (results.best_penalty, results.best_tuned, results.cells, results.judge):
            pd.testing.assert_frame_equal(function(both), function(alone))
    assert len(selection.distinct(others[1])) == 4  # gradual pruning alone is a table, too
    sampled = alone.assign(curvature_columns=np.where(alone["criterion"] == "qm", 1, np.nan))
    pd.testing.assert_frame_equal(results.judge(sampled), results.judge(alone))


def test_the_lead_itself_stands_beside_what_could_explain_it() -> None:
    runs = with_controls({("mp", ""): 8.0, ("qm", ""): 4.0, ("qm", "magnitude"): 5.0})
    change = {("mp", ""): 3.0, ("qm", ""): 1.0, ("qm", "magnitude"): 2.5}
    runs["true_change"] = [
        change[criterion, control] for criterion, control in runs[["criterion", "control"]].to_numpy()
    ]
    found = results.controls_of_loss(runs).set_index("first")
    assert found["mean"].to_dict() == {"mp": 2.0, "magnitude": 1.5}
    alone = runs[runs["control"] == ""]
    assert results.controls_of_loss(alone).empty  # without controls there is nothing to explain it by


def test_magnitude_counts_each_seed_once_however_many_stages_it_was_run_in() -> None:
    runs = with_controls({("mp", ""): 8.0, ("qm", ""): 4.0, ("qm", "magnitude"): 5.0})
    twice = pd.concat([runs, runs[runs["criterion"] == "mp"].assign(stages=14)])
    for function in (results.controls, results.controls_of_loss):
        pd.testing.assert_frame_equal(function(twice), function(runs))


def test_in_words_there_is_one_step_penalty() -> None:
    runs = with_controls({("mp", ""): 8.0, ("qm", "magnitude"): 5.0, ("qm", ""): 4.0})
    both = pd.concat([runs, runs[runs["criterion"] == "qm"].assign(step_penalty=1.0)])
    with pytest.raises(ValueError, match=r"controls of qm at several step penalties \(0\.001, 1\)"):
        results.controls_in_words(both, "qm")
    sparser = runs.assign(sparsity=0.95, step_penalty=runs["step_penalty"] * 1e3)
    one_each = pd.concat([runs, sparser])
    assert list(results.controls_in_words(one_each, "qm")) == ["90 %", "95 %"]


def test_a_table_without_a_task_is_told() -> None:
    runs = with_controls({("mp", ""): 8.0, ("qm", "magnitude"): 5.0, ("qm", ""): 4.0})
    with pytest.raises(ValueError, match="lacks the columns task"):
        results.controls(runs.drop(columns="task"))


def test_a_run_that_is_there_twice_must_have_the_same_results() -> None:
    runs = with_controls({("mp", ""): 8.0, ("qm", "magnitude"): 5.0, ("qm", ""): 4.0})
    assert results.controls(pd.concat([runs, runs])).equals(results.controls(runs))
    for column in ("true_change", "tuned_test_error"):
        other = runs.assign(**{column: runs[column] + 0.01})  # as with another learning rate
        with pytest.raises(ValueError, match=f"a run twice, with different results .{column}."):
            results.controls(pd.concat([runs, other]))
