"""What a longer training changes, beside what SciPy finds in the same pairs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_rel
from study_tables import table, with_controls

from lossprune_lib import results

SHORT = {("mp", 1, 0.0): [3.0, 3.5, 2.5, 3.2], ("qm", 14, 0.1): [1.0, 1.5, 1.2, 0.9], ("qm", 14, 1.0): [2.0] * 4}
LONG = {("mp", 1, 0.0): [4.0, 4.1, 4.3, 3.9], ("qm", 14, 0.1): [2.5] * 4, ("qm", 14, 1.0): [2.0, 2.2, 1.9, 2.1]}


def untuned(changes: dict[tuple[str, int, float], list[float]], epochs: int) -> pd.DataFrame:
    return table(changes, training_epochs=epochs, tuning_epochs=np.nan, dense_test_error=0.1 + 1 / epochs)


def test_loss_changes_are_paired_each_at_its_own_best_penalty() -> None:
    found = results.between_trainings(untuned(SHORT, 30), untuned(LONG, 100))
    dense, mp, qm = found.itertuples()
    assert (dense.measure, dense.seeds) == ("dense test error", 4)
    assert dense.mean == pytest.approx(100 * (1 / 100 - 1 / 30))
    assert (qm.criterion, qm.stages, qm.measure, qm.sparsity) == ("qm", 14, "loss change", 0.9)
    for row, before, after in ((mp, ("mp", 1, 0.0), ("mp", 1, 0.0)), (qm, ("qm", 14, 0.1), ("qm", 14, 1.0))):
        bounds = ttest_rel(LONG[after], SHORT[before]).confidence_interval(0.95)
        assert (row.low, row.high) == pytest.approx((bounds.low, bounds.high))
        assert row.values == pytest.approx(tuple(np.subtract(LONG[after], SHORT[before])))
        assert (row.shorter, row.longer) == pytest.approx((np.mean(SHORT[before]), np.mean(LONG[after])))


def test_fine_tuned_masks_are_compared_by_their_test_gap() -> None:
    masks = {("mp", ""): 8.0, ("mp", "gradual"): 3.0, ("qm", ""): 4.0, ("qm", "magnitude"): 5.0}
    shorter, longer = (with_controls(masks).assign(training_epochs=epochs) for epochs in (30, 100))
    longer = longer[longer["control"] != "gradual"].assign(
        dense_test_error=0.4, tuned_test_error=lambda runs: runs["tuned_test_error"] + 0.01
    )
    found = results.between_trainings(shorter, longer).set_index(["criterion", "control"])
    assert set(found.index) == {("", ""), ("mp", ""), ("qm", ""), ("qm", "magnitude")}
    assert found.loc[("", ""), "mean"] == pytest.approx(-10)
    assert (found["measure"][1:] == "test gap").all()
    assert found["mean"][1:].to_numpy() == pytest.approx([11.0] * 3)  # 1 point more error, 10 points better before
    assert found.loc[("qm", ""), "longer"] - found.loc[("qm", ""), "shorter"] == pytest.approx(11.0)


def test_only_seeds_and_cases_that_both_have_count() -> None:
    longer = untuned(LONG, 100).query("seed < 3 and criterion == 'qm'")
    found = results.between_trainings(untuned(SHORT, 30), longer)
    assert found["criterion"].tolist() == ["", "qm"]
    assert found["seeds"].tolist() == [3, 3]
    assert found["low"].isna().all()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"model": "vgg11"}, "more than the training: their model is mlp_300_100 and vgg11"),
        ({"width": 0.25}, "their width is 1.0 and 0.25"),
        ({"training_epochs": 30}, "not 30 and 30"),
        ({"sparsity": 0.5}, "no pruning of one seed"),
        ({"curvature_columns": 1}, "their curvature_columns is 0 and 1"),
        ({"tuned_test_error": 0.5}, "Some of the runs were fine-tuned, and others were not"),
    ],
)
def test_what_does_not_compare_is_refused(changed: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        results.between_trainings(untuned(SHORT, 30), untuned(LONG, 100).assign(**changed))


def test_fine_tuned_masks_of_several_penalties_are_refused() -> None:
    masks = {("mp", ""): 8.0, ("qm", ""): 4.0}
    shorter = pd.concat([with_controls(masks).assign(training_epochs=30, step_penalty=value) for value in (0.0, 0.1)])
    with pytest.raises(ValueError, match="at one step penalty"):
        results.between_trainings(shorter, shorter.assign(training_epochs=100))


def test_what_was_pruned_at_once_is_refused_at_several_penalties_too() -> None:
    def tuned(penalties: tuple[float, ...], epochs: int) -> pd.DataFrame:
        errors = {("lm", 1, value): [4.0] * 4 for value in penalties}
        return table(errors, errors, training_epochs=epochs)

    several, one, another = (1e-3, 1e-2), (1e-3,), (1e-2,)
    with pytest.raises(ValueError, match="at one step penalty"):
        results.between_trainings(tuned(several, 30), tuned(several, 100))
    with pytest.raises(ValueError, match=r"their step_penalty is 0\.001 and 0\.01"):
        results.between_trainings(tuned(one, 30), tuned(another, 100))
    assert results.between_trainings(tuned(one, 30), tuned(one, 100))["seeds"].tolist() == [4, 4]


def test_magnitude_does_not_depend_on_the_penalty() -> None:
    shorter = with_controls({("mp", ""): 8.0, ("qm", ""): 4.0}).assign(training_epochs=30)
    longer = shorter.assign(training_epochs=100)
    longer.loc[longer["criterion"] == "mp", "step_penalty"] = 1.0
    assert results.between_trainings(shorter, longer)["seeds"].tolist() == [5, 5, 5]


@pytest.mark.parametrize("tuned", [False, True])
def test_a_case_without_a_seed_in_common_is_left_out(tuned: bool) -> None:
    changes = {("mp", 1, 0.0): [3.0] * 4, ("qm", 14, 0.1): [1.0] * 4, ("qm", 1, 0.1): [2.0] * 4}
    shorter = table(changes, changes if tuned else None, training_epochs=30)
    longer = shorter.assign(training_epochs=100).query("stages == 14 or criterion == 'mp' or seed > 1")
    shorter = shorter.query("stages == 14 or criterion == 'mp' or seed < 2")
    found = results.between_trainings(shorter, longer)
    assert found[["criterion", "stages", "seeds"]].to_numpy().tolist() == [["", 0, 4], ["mp", 1, 4], ["qm", 14, 4]]


def test_means_are_of_the_seeds_that_both_have() -> None:
    longer = untuned(SHORT, 100).query("criterion == 'mp' or stages == 14 and seed > 1")
    longer = pd.concat([longer, untuned({("qm", 1, 0.1): [2.0] * 4}, 100)])
    qm = results.between_trainings(untuned(SHORT, 30), longer).query("criterion == 'qm'")
    assert qm[["shorter", "longer", "mean", "seeds"]].to_numpy().tolist() == [[pytest.approx(1.05)] * 2 + [0, 2]]


def test_the_penalty_is_chosen_on_the_seeds_that_both_have() -> None:
    short = {("qm", 14, 0.1): [1.0, 1.0, 9.0, 9.0], ("qm", 14, 1.0): [2.0] * 4}  # of all four, 1 is the best
    long = untuned({("qm", 14, 0.1): [3.0] * 4, ("qm", 14, 1.0): [4.0] * 4}, 100).query("seed < 2")
    _, qm = results.between_trainings(untuned(short, 30), long).itertuples()
    assert (qm.shorter, qm.longer, qm.seeds) == (1.0, 3.0, 2)
    with pytest.raises(ValueError, match="no pruning of one seed"):
        results.between_trainings(untuned(short, 30).query("seed > 1"), long)


def test_a_case_that_was_tried_at_other_penalties_is_refused() -> None:
    without = untuned(LONG, 100).query("step_penalty < 1")
    with pytest.raises(
        ValueError, match=r"criterion qm, stages 14 was tried at step penalties 0\.1, 1 in one .* 0\.1 in"
    ):
        results.between_trainings(untuned(SHORT, 30), without)


@pytest.mark.parametrize("column", ["training_epochs", "dense_test_error"])
def test_a_table_that_lacks_a_column_is_told(column: str) -> None:
    with pytest.raises(ValueError, match=f"lacks the columns {column}"):
        results.between_trainings(untuned(SHORT, 30), untuned(LONG, 100).drop(columns=column))


def test_only_penalties_of_models_and_of_seeds_in_common_must_be_alike() -> None:
    longer = untuned(LONG, 100)
    longer.loc[longer["criterion"] == "mp", "step_penalty"] = 1e-3
    more = untuned({("qm", 14, 10.0): [9.0] * 4}, 100).assign(seed=99)
    found = results.between_trainings(untuned(SHORT, 30), pd.concat([longer, more]))
    assert found["criterion"].tolist() == ["", "mp", "qm"]
