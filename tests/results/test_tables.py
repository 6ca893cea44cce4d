"""What is chosen from a table, the shipped tables, overlaps, and the paper's numbers, against answers found by hand."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_ind_from_stats
from study_tables import table

from lossprune_lib import results
from lossprune_lib.results import tables
from lossprune_lib.results.statistics import interval
from lossprune_lib.studies.study import Study

MNIST = {"task": "mnist", "model": "mlp_300_100"}
PAPER_SPARSITY = 1 - 0.8**20


def test_loss_change_and_gap_are_what_their_names_say() -> None:
    runs = table({("mp", 1, 0): [-2.0, 3.0]}, {("mp", 1, 0): [1.5, -0.5]})
    assert results.loss_change(runs).tolist() == [2, 3]
    assert results.gap(runs).tolist() == pytest.approx([1.5, -0.5])
    assert results.gap(runs, "test").tolist() == pytest.approx([2.5, 0.5])
    with pytest.raises(ValueError, match="Did you mean 'valid'"):
        results.gap(runs, "vaild")


def test_a_gap_needs_fine_tuning() -> None:
    runs = table({("mp", 1, 0): [1, 2]})
    for untuned in (runs, runs.drop(columns="tuned_valid_error")):
        with pytest.raises(ValueError, match="2 of 2 runs were not fine-tuned"):
            results.gap(untuned)
    runs.loc[0, "tuned_valid_error"] = 0.1
    with pytest.raises(ValueError, match="1 of 2 runs"):
        results.best_tuned(runs)


def test_best_penalty_has_the_lowest_mean_over_seeds() -> None:
    # The penalty 1 has the single lowest change, 0.1 the lowest mean; in one stage both are equal: the smaller stands.
    runs = table(
        {
            ("qm", 14, 1): [0.5, 5.0],
            ("qm", 14, 0.1): [-1.0, 2.0],
            ("qm", 14, 0): [3.0, 3.0],
            ("qm", 1, 10): [4.0, 4.0],
            ("qm", 1, 0.1): [4.0, 4.0],
            ("mp", 1, 0): [7.0, 9.0],
        }
    )
    best = results.best_penalty(runs)
    numbers = ["mean", "spread", "seeds", "values", "low", "high"]
    assert list(best.columns) == ["sparsity", "criterion", "stages", "step_penalty", *numbers]
    assert best[["low", "high"]].isna().all(axis=None)  # two seeds
    assert best.drop(columns=["spread", "low", "high"]).to_numpy().tolist() == [
        [0.9, "qm", 1, 0.1, 4, 2, (4, 4)],
        [0.9, "qm", 14, 0.1, 1.5, 2, (1, 2)],
        [0.9, "mp", 1, 0, 8, 2, (7, 9)],
    ]
    assert best["spread"].tolist() == pytest.approx([0, math.sqrt(0.5), math.sqrt(2)])


def test_a_penalty_that_was_not_finished_is_not_chosen() -> None:
    runs = table({("lm", 1, 0): [2, 2], ("lm", 1, 1): [3, 3]}).drop(index=1)
    assert results.best_penalty(runs)["step_penalty"].tolist() == [1]


def test_each_sparsity_is_looked_at_alone_and_one_seed_has_no_spread() -> None:
    runs = pd.concat(
        [
            table({("lm", 1, 0): [2], ("lm", 1, 1): [1]}, sparsity=0.5),
            table({("lm", 1, 0): [3], ("lm", 1, 1): [4]}, sparsity=0.8),
        ]
    )
    best = results.best_penalty(runs)
    assert best[["sparsity", "step_penalty", "mean"]].to_numpy().tolist() == [[0.5, 1, 1], [0.8, 0, 3]]
    assert best["spread"].isna().all()


def test_best_tuned_is_chosen_by_validation_alone() -> None:
    changes = {("qm", 1, 0.0): [1, 1], ("qm", 14, 0.0): [2, 2], ("qm", 14, 1.0): [3, 3], ("mp", 1, 0.0): [4, 4]}
    gaps = {("qm", 1, 0.0): [3, 5], ("qm", 14, 0.0): [4, 4.5], ("qm", 14, 1.0): [1, 4], ("mp", 1, 0.0): [6, 6]}
    runs = table(changes, gaps)
    runs["tuned_test_error"] = 0.5
    runs.loc[runs["step_penalty"] == 1, "tuned_test_error"] = [0.75, 1.0]
    best = results.best_tuned(runs)
    assert best[["criterion", "stages", "step_penalty", "seeds"]].to_numpy().tolist() == [
        ["qm", 14, 1, 2],
        ["mp", 1, 0, 2],
    ]
    assert best["valid_gap"].tolist() == pytest.approx([2.5, 6])
    assert best["valid_spread"].tolist() == pytest.approx([3 / math.sqrt(2), 0])
    assert best["test_gap"].tolist() == pytest.approx([37.5, 0])
    assert best["test_spread"].tolist() == pytest.approx([25 / math.sqrt(2), 0])


def test_numbers_that_are_chosen_have_intervals() -> None:
    values = [1.0, 2.0, 4.0, 5.0]
    expected = interval(values)
    runs = table({("qm", 14, 0): values}, {("qm", 14, 0): values})
    best, tuned = results.best_penalty(runs).iloc[0], results.best_tuned(runs).iloc[0]
    assert (best["low"], best["high"]) == pytest.approx((expected.low, expected.high))
    assert (tuned["valid_low"], tuned["valid_high"]) == pytest.approx((expected.low, expected.high))
    assert (best["values"], tuned["valid_values"]) == (pytest.approx(tuple(values)),) * 2
    assert tuned["test_values"] == pytest.approx(tuple(1 + value for value in values))
    assert (tuned["test_low"], tuned["test_high"]) == pytest.approx((expected.low + 1, expected.high + 1))
    found = results.cells(runs).iloc[0]
    for name, more in (("change", 0), ("gap", 0), ("test_gap", 1)):
        bounds = found[f"{name}_low"], found[f"{name}_high"]
        assert bounds == pytest.approx((expected.low + more, expected.high + more))


def test_a_run_that_is_there_twice_counts_once() -> None:
    runs = table({("mp", 1, 0): [1, 3], ("qm", 1, 0): [1, 1]})
    assert results.best_penalty(pd.concat([runs, runs]))["seeds"].tolist() == [2, 2]


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        (pd.DataFrame(), "has no rows"),
        (table({("mp", 1, 0): [1]}).iloc[:0], "has no rows"),
        (table({("mp", 1, 0): [1]}).drop(columns=["seed", "stages"]), "lacks the columns stages, seed"),
        (pd.concat([table({("mp", 1, 0): [1]}), table({("mp", 1, 0): [1]}, schedule="linear")]), "differ in schedule"),
        (pd.concat([table({("mp", 1, 0): [1]}), table({("mp", 1, 0): [1]}, **MNIST)]), "differ in task,"),
        (pd.concat([table({("mp", 1, 0): [1]}), table({("mp", 1, 0): [1]}, exclude="fc1")]), "differ in exclude"),
        (pd.concat([table({("mp", 1, 0): [1]}, include="fc1"), table({("mp", 1, 0): [1]})]), "differ in include"),
    ],
)
def test_what_is_no_table_of_one_study_is_refused(runs: pd.DataFrame, message: str) -> None:
    for function in (results.best_penalty, results.judge, results.rank_correlation):
        with pytest.raises(ValueError, match=message):
            function(runs)


def test_overlap_counted_by_hand() -> None:
    kept = torch.tensor([[1, 1, 1, 0, 0], [0, 1, 1, 1, 0], [0, 0, 0, 0, 1], [0, 0, 0, 0, 0]]).bool()
    expected = [[1, 0.5, 0, 0], [0.5, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    assert results.overlap(kept).tolist() == expected
    for wrong in (kept.float(), kept[0]):
        with pytest.raises(TypeError, match="bool tensor"):
            results.overlap(wrong)


@given(st.lists(st.sets(st.integers(0, 11)), min_size=1, max_size=5))
def test_overlap_is_that_of_sets(sets: list[set[int]]) -> None:
    kept = torch.tensor([[i in chosen for i in range(12)] for chosen in sets])
    found = results.overlap(kept)
    for i, first in enumerate(sets):
        for j, second in enumerate(sets):
            assert found[i, j] == (len(first & second) / len(first | second) if first | second else 1)


def test_overlap_of_more_weights_than_are_taken_at_once() -> None:
    kept = torch.zeros(2, 2**21 + 3, dtype=torch.bool)
    kept[0], kept[1, -(2**20) :] = True, True
    assert results.overlap(kept)[0, 1].item() == 2**20 / (2**21 + 3)


def test_criterion_overlap_at_the_best_penalties() -> None:
    runs = table({("mp", 1, 0): [9, 9], ("lm", 1, 0): [3, 3], ("lm", 1, 1): [2, 2], ("qm", 1, 0): [1, 1]})
    two = pd.concat([runs, table({("lm", 14, 0): [1, 1], ("qm", 14, 1): [1, 1]})])  # an index with repeats
    masks = {
        ("mp", 1, 0): ["1100", "1100"],
        ("lm", 1, 0): ["0001", "0001"],  # not the best penalty
        ("lm", 1, 1): ["0110", "1100"],
        ("qm", 1, 0): ["1111", "1111"],
        ("lm", 14, 0): ["0011", "0011"],
        ("qm", 14, 1): ["0011", "0001"],
    }
    kept = torch.tensor(
        [
            [letter == "1" for letter in masks[row.criterion, row.stages, row.step_penalty][row.seed]]
            for row in two.itertuples()
        ]
    )
    order = torch.randperm(len(two), generator=torch.Generator().manual_seed(0))
    found = results.criterion_overlap(two.iloc[order.tolist()], kept[order])
    assert list(found.columns) == ["sparsity", "stages", "first", "second", "overlap", "spread"]
    pairs = {(row.stages, frozenset((row.first, row.second))): (row.overlap, row.spread) for row in found.itertuples()}
    assert len(found) == len(pairs) == 6
    expected = {
        (1, "mp", "lm"): (1 / 3, 1),
        (1, "mp", "qm"): (1 / 2, 1 / 2),
        (1, "lm", "qm"): (1 / 2, 1 / 2),
        (14, "mp", "lm"): (0, 0),
        (14, "mp", "qm"): (0, 0),
        (14, "lm", "qm"): (1, 1 / 2),
    }
    for (stages, *both), (a, b) in expected.items():
        assert pairs[stages, frozenset(both)] == pytest.approx(((a + b) / 2, abs(a - b) / math.sqrt(2)))
    with pytest.raises(ValueError, match="11 masks, but 12 runs"):
        results.criterion_overlap(two, kept[1:])


def test_criterion_overlap_without_loss_models() -> None:
    kept = torch.tensor([[True, False], [True, True]])
    found = results.criterion_overlap(table({("mp", 1, 0): [1], ("random", 1, 0): [1]}), kept)
    assert found[["stages", "first", "second", "overlap"]].to_numpy().tolist() == [[1, "mp", "random", 0.5]]
    assert found["spread"].isna().all()
    alone = results.criterion_overlap(table({("mp", 1, 0): [1]}), kept[:1])
    assert alone.empty
    assert "overlap" in alone


def test_criterion_overlap_leaves_controls_out() -> None:
    runs = table({("mp", 1, 0): [1], ("qm", 14, 0): [2]})
    both = pd.concat([runs, runs.assign(control="magnitude", true_change=0.1)])
    kept = torch.tensor([[True, False], [True, True], [False, True], [False, True]])
    found = results.criterion_overlap(both, kept)
    assert found[["first", "second", "overlap"]].to_numpy().tolist() == [["mp", "qm", 0.5]]
    assert results.criterion_overlap(both[2:], kept[2:]).empty


def test_table_1_beside_the_papers() -> None:
    def runs(mp: float, sparsity: float = PAPER_SPARSITY, **columns: object) -> pd.DataFrame:
        changes = {("mp", 1, 0): [mp - 0.1, mp, mp + 0.1], ("random", 1, 0): [3.0, 3.0, 3.0]}
        changes |= {("qm", 1, 0): [0.1, 0.1, 0.1], ("qm", 140, 0): [1.0, 1.0, 1.0], ("obd", 1, 0): [2.0, 2.0, 2.0]}
        return table(changes, sparsity=sparsity, **(MNIST | columns))

    # The paper's: MP 2.02 ± 0.10, QM 1.05 ± 0.04, of 5 seeds. With 3 of ours and a spread of 0.1, the standard error is
    # 0.073 at 4.3 degrees of freedom, so MP may be 0.197 away; QM has no spread, and may be 0.050 away.
    near, far = (results.beside_paper(runs(mp), 1) for mp in (2.21, 1.82 - 0.002))
    assert near["criterion"].tolist() == ["mp", "random", "qm"]
    assert near["stages"].tolist() == [1, 1, 140]
    assert near["mean"].tolist() == pytest.approx([2.21, 3, 1])
    assert near["p"][0] == pytest.approx(ttest_ind_from_stats(2.21, 0.1, 3, 2.02, 0.1, 5, equal_var=False).pvalue)
    assert near["paper_mean"].tolist() == pytest.approx([2.02, math.nan, 1.05], nan_ok=True)
    assert near["paper_spread"].tolist() == pytest.approx([0.1, math.nan, 0.04], nan_ok=True)
    assert near["differs"].tolist() == [False, False, True]
    assert far["differs"].tolist() == [True, False, True]
    for other in (runs(9, sparsity=0.9), runs(9, task="fashion_mnist"), runs(9, model="vgg11"), runs(9, width=0.25)):
        beside = results.beside_paper(other, 1)
        assert beside["paper_mean"].isna().all()
        assert not beside["differs"].any()
    one_seed = runs(9)[lambda all_runs: all_runs["seed"] == 0]
    assert not results.beside_paper(one_seed, 1)["differs"].any()


def test_table_2_beside_the_papers() -> None:
    changes = {("lm", 1, 0): [1, 1], ("lm", 14, 0): [2, 2], ("mp", 1, 0): [3, 3]}
    gaps = {("lm", 1, 0): [-0.2, -0.2], ("lm", 14, 0): [0, 0], ("mp", 1, 0): [0.7, 0.7]}
    runs = table(changes, gaps, sparsity=1 - 0.8**14, task="cifar10", model="vgg11")
    beside = results.beside_paper(runs, 2).set_index("criterion")
    assert beside.loc["lm", ["stages", "paper_mean", "paper_spread", "differs"]].tolist() == [1, -0.3, 0.1, False]
    assert beside.loc["mp", ["paper_mean", "paper_spread", "differs"]].tolist() == [0.2, 0.2, True]
    assert {"low", "high", "p"} <= set(beside)
    assert beside["mean"].tolist() == pytest.approx([-0.2, 0.7])
    assert beside["test_gap"].tolist() == pytest.approx([0.8, 1.7])
    with pytest.raises(ValueError, match="not 3"):
        results.beside_paper(runs, 3)


def test_shipped_tables_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "results").mkdir()
    monkeypatch.setattr(tables, "shipped", lambda path: tmp_path / path)
    with pytest.raises(FileNotFoundError, match="There are tables of: no study yet"):
        results.load("digits")
    runs = table(
        {("mp", 1, 0): [0.1 + 0.2, 1 / 3, math.pi], ("qm", 1, 1e-5): [1e-300, 2 / 3, 1.1]}, sparsity=PAPER_SPARSITY
    )
    for name in ("mnist", "digits"):
        runs.to_csv(tmp_path / "results" / f"{name}.csv", index=False)
    (tmp_path / "results" / "mnist-overlap.csv").touch()  # belongs to a table, and is none
    for name in ("mnist", "digits", "cifar"):
        (tmp_path / "results" / f"{name}.toml").touch()
    (tmp_path / "results" / "controls").mkdir()
    for name in ("digits_controls", "mnist_controls"):
        (tmp_path / "results" / "controls" / f"{name}.toml").touch()
    runs.to_csv(tmp_path / "results" / "controls" / "digits_controls.csv", index=False)
    assert results.names() == ["digits", "mnist"]
    assert results.missing() == ["cifar"]
    assert results.names("controls") == ["digits_controls"]
    assert results.names("**") == ["digits", "digits_controls", "mnist"]
    assert results.missing("**") == ["cifar", "mnist_controls"]
    assert results.names("exactness") == []
    assert len(results.load("digits_controls")) == len(runs)
    pd.testing.assert_frame_equal(results.load("digits"), runs, rtol=1e-15, check_dtype=False)
    with pytest.raises(
        FileNotFoundError,
        match=r"no results called 'dgits'\. Did you mean 'digits'\? There are tables of: digits, digits_con",
    ):
        results.load("dgits")
    with pytest.raises(
        FileNotFoundError, match="was not run: python -m lossprune_lib study run cifar runs it, and study"
    ):
        results.load("cifar")
    with pytest.raises(FileNotFoundError, match=r"chaos is not a study: results\.chaos\(\) reads its table"):
        results.load("chaos")


def test_tables_that_belong_together_are_read_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "shipped", lambda path: tmp_path / path)
    (tmp_path / "results" / "controls").mkdir(parents=True)
    runs = {
        "cifar10_resnet_quarter": table({("lm", 14, 0): [1, 2]}, batch_size=1000),
        "controls/mnist_controls": table({("mp", 1, 0): [4]}, batch_size=1000).assign(control="erk"),
        "mnist_200": table({("mp", 1, 0): [5]}, batch_size=1000),
    }
    for name, rows in runs.items():
        (tmp_path / "results" / f"{name}.toml").touch()
        rows.to_csv(tmp_path / "results" / f"{name}.csv", index=False)
    (tmp_path / "results" / "cifar10_resnet_140.toml").touch()
    assert results.belonging("cifar10_resnet_quarter") == ()  # not run yet
    assert len(results.together("cifar10_resnet_quarter")) == 2
    assert results.belonging("mnist_controls") == ("mnist_200",)
    both = results.together("mnist_controls")
    assert both["true_change"].tolist() == [4, 5]
    assert both["batch_size"].tolist() == [1000, 1000]
    more = table({("lm", 140, 0): [3, 3]}, batch_size=500)
    more.to_csv(tmp_path / "results" / "cifar10_resnet_140.csv", index=False)
    found = results.together("cifar10_resnet_quarter")
    assert results.best_penalty(found)["mean"].tolist() == [1.5, 3]  # other numbers of examples do not keep them apart
    with pytest.raises(FileNotFoundError, match="no results called"):
        results.together("unknown")
    for function in (results.together, results.belonging):
        with pytest.raises(TypeError, match="name is that of a shipped table"):
            function(["mnist"])


def test_every_shipped_table_is_one_of_a_study() -> None:
    for name in [*results.names(), *results.names("longer")]:
        assert len(results.judge(results.load(name))) >= 3


def test_the_table_of_a_real_study_can_be_judged(tmp_path: Path) -> None:
    study = Study.grid(stages=[1, 2], step_penalties=[0, 1], seeds=range(4), sparsities=0.9, training=1, tuning=1)
    runs = study.run(tmp_path / "runs.sqlite", device="cpu", progress=False)
    found = results.judge(runs)
    assert found["finding"].tolist() == [1, 2, 3]
    assert not (found["verdict"] == "not judged").any()
    best = results.best_penalty(runs)
    assert len(best) == 1 + 3 * 2
    measured = runs[(runs["criterion"] == "mp")]
    expected = (measured["pruned_train_loss"] - measured["dense_train_loss"]).abs()
    assert best.loc[best["criterion"] == "mp", "mean"].item() == pytest.approx(expected.mean())
    assert len(results.best_tuned(runs)) == 4
