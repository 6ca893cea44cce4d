"""The shipped tables: each whole, with its plan and its note, small, and what is said about them is what they say."""

from __future__ import annotations

import runpy
from pathlib import Path

import pandas as pd
import pytest

from lossprune_lib import Study, results

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "data" / "results"


@pytest.mark.parametrize("name", results.names())
class TestTable:
    def test_it_is_what_its_plan_says(self, name: str) -> None:
        study, table = Study.read(FOLDER / f"{name}.toml"), results.load(name)
        settings = ["seed", "criterion", "sparsity", "stages", "step_penalty"]
        planned = pd.DataFrame([run.columns() for run in study.runs])[settings]
        assert len(table) == len(planned)
        pd.testing.assert_frame_equal(table[settings], planned, check_dtype=False, rtol=1e-5)
        assert (table["training_epochs"] == study.training.epochs).all()
        assert study.tuning is not None
        assert (table["tuning_epochs"] == study.tuning.epochs).all()

    def test_it_makes_sense(self, name: str) -> None:
        table = results.load(name)
        errors = [column for column in table if column.endswith("_error")]
        assert len(errors) == 9
        assert table[errors].stack().between(0, 1).all()
        layers = [column for column in table if column.startswith("density.")]
        assert table[layers].stack().between(0, 1).all()
        change = table["pruned_train_loss"] - table["dense_train_loss"]
        assert (table["true_change"] - change).abs().max() < 1e-4
        assert not table.duplicated(["seed", "criterion", "sparsity", "stages", "step_penalty"]).any()

    def test_it_has_its_note_and_is_small(self, name: str) -> None:
        note = (FOLDER / f"{name}.md").read_text()
        assert f"study run {name}" in note
        assert "all of them" in note
        assert "dirty" not in note
        assert (FOLDER / f"{name}.csv").stat().st_size < 1_000_000
        overlap = pd.read_csv(FOLDER / f"{name}-overlap.csv")
        assert overlap["overlap"].between(0, 1).all()


def test_the_findings_are_those_of_the_tables() -> None:
    script = runpy.run_path(str(FOLDER / "make_findings.py"))
    assert script["text"]() == (FOLDER / "FINDINGS.md").read_text("utf-8")


def test_the_numbers_in_the_words_of_notebook_04_are_the_table_s() -> None:
    source = (ROOT / "notebooks" / "source" / "04_fine_tuning.py").read_text()
    words = " ".join(source[source.index("One way to put it") :].replace("\n#", "").split())
    table = results.load("digits").query("sparsity == 0.95")
    assert f"compared {len(table)} prunings of {table['seed'].nunique()} dense" in words
    for share in (1.0, 0.25):
        row = results.rank_correlation(table, share).iloc[0]
        low, high = (round(row[side], 2) + 0.0 for side in ("low", "high"))
        assert f"{row['correlation']:.2f} (" in words
        assert f"{low:.2f} to {high:.2f})" in words
