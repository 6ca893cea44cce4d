"""Means over seeds: of each configuration, and of what is shown together."""

from __future__ import annotations

import math

import pytest
from study_tables import LARGE, SMALL

from lossprune_lib import results


def test_cells_are_means_and_spreads_over_seeds() -> None:
    found = results.cells(LARGE).set_index(["criterion", "stages", "step_penalty"])
    one = found.loc[("qm", 1, 0)]
    assert (one["change"], one["change_spread"]) == (4, pytest.approx(math.sqrt(2)))
    assert (one["gap"], one["test_gap"]) == (pytest.approx(3.5), pytest.approx(4.5))
    assert (found["seeds"] == 2).all()
    alone = results.cells(SMALL)
    assert alone[["gap", "test_gap", "change_spread"]].isna().all(axis=None)
    assert (alone["seeds"] == 1).all()


def test_a_configuration_is_found_or_was_not_run() -> None:
    found = results.cells(LARGE)
    assert results.cell(found, "qm", 14, 1e-3)["change"] == pytest.approx(1.25)
    assert results.cell(found, "qm", 7, 1e-3) is None
    assert results.cell(found, "obd", 1, 0) is None
    assert results.cell(found, "mp", 7, 0.5)["change"] == 3  # it depends on neither


def test_a_view_knows_its_best() -> None:
    found = results.views(LARGE)
    assert set(found) == {(0.9, 1), (0.9, 14)}
    view = found[0.9, 14]
    assert (view.best["criterion"], view.best["step_penalty"]) == ("qm", 1e-3)
    assert view.best_kept("mp")["change"] == 3
    with pytest.raises(ValueError, match="no criterion called 'obd'"):
        view.best_kept("obd")


def test_a_table_without_layers_is_refused() -> None:
    with pytest.raises(ValueError, match=r"density\.LAYER"):
        results.densities(LARGE.drop(columns=[name for name in LARGE if name.startswith("density.")]))
