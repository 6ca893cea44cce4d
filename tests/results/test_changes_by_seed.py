"""Loss changes by seed, each criterion at its best step penalty."""

from __future__ import annotations

import pytest

from lossprune_lib import results


def test_each_seed_has_the_change_of_its_own_run_at_the_penalty_that_is_best_over_all_seeds() -> None:
    table = results.load("digits")
    table = table[table["sparsity"] == 0.9]
    changes = results.changes_by_seed(table)
    best = results.best_penalty(table).set_index(["criterion", "stages"])
    assert set(changes) == {"mp", "obd", "lm", "qm"}
    assert list(changes["qm"].columns) == [1, 14, 140]
    of = table.query("criterion == 'qm' and stages == 14").set_index(["step_penalty", "seed"])["true_change"].abs()
    for seed, change in changes["qm"][14].items():
        assert change == of[best.loc[("qm", 14), "step_penalty"], seed]
    assert changes["qm"][14].mean() == pytest.approx(best.loc[("qm", 14), "mean"])
