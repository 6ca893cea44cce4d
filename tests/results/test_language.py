"""The language model's table: its means, its labels, and that the shipped one is what the script makes."""

from __future__ import annotations

import runpy

import pandas as pd
import pytest

from lossprune_lib import data, results
from lossprune_lib.results.language import WAY

FOLDER = data.shipped("results")


@pytest.fixture(scope="module")
def shipped() -> pd.DataFrame:
    return results.language_model()


@pytest.fixture
def small() -> pd.DataFrame:
    def row(method: str, scope: str, seed: int, loss: float, share: float, shares: str = "") -> dict[str, object]:
        way = {"method": method, "scope": scope, "stages": 14 if method == "qm" else 1, "shares": shares}
        return {**way, "sparsity": 0.5, "seed": seed, "loss": loss, "seconds": loss, "density.a": share}

    return pd.DataFrame(
        [
            row("mp", "global", 0, 2.0, 0.5),
            row("qm", "global", 0, 1.0, 0.2),
            row("qm", "global", 1, 3.0, 0.4),
            row("sparsegpt", "layer", 0, 1.5, 0.3, "qm"),
            row("wanda", "2:4", 0, 1.8, 0.5),
        ]
    )


def test_losses_are_means_over_seeds_with_their_extremes(small: pd.DataFrame) -> None:
    found = results.losses(small).set_index("label")
    assert list(found.index) == ["MP, global", "QM, global, 14 stages", "SparseGPT, QM's shares", "Wanda, 2:4"]
    numbers = ["loss", "loss_least", "loss_most", "seconds", "seeds"]
    assert found.loc["QM, global, 14 stages", numbers].tolist() == [2.0, 1.0, 3.0, 2.0, 2]
    assert found.loc["MP, global", "seeds"] == 1


def test_layers_shares_are_means_over_seeds(small: pd.DataFrame) -> None:
    found = results.layer_shares(small, 0.5)
    assert list(found.columns) == ["a"]
    assert found["a"].to_dict() == pytest.approx(
        {"MP, global": 0.5, "QM, global, 14 stages": 0.3, "SparseGPT, QM's shares": 0.3}
    )
    with pytest.raises(ValueError, match=r"no sparsity 0\.9: take one of 0\.5"):
        results.layer_shares(small, 0.9)


def test_the_shipped_table_is_of_the_scripts_prunings(shipped: pd.DataFrame) -> None:
    script = runpy.run_path(str(FOLDER / "make_language_model.py"))
    planned = {
        (method.method, method.scope, method.stages, method.shares, sparsity, seed)
        for block in script["BLOCKS"]
        for of_seed in script["SEEDS"]
        for method, sparsity, seed in script["prunings"](block, of_seed)
    }
    there = [tuple(key) for key in shipped[[*WAY, "sparsity", "seed"]].itertuples(index=False)]
    assert len(there) == len(set(there)) > 40
    assert set(there) <= planned
    assert len(results.losses(shipped)) >= 6


def test_the_shipped_prunings_have_the_sparsity_that_they_were_asked_for(shipped: pd.DataFrame) -> None:
    off = (shipped["pruned"] - shipped["sparsity"]).abs()
    assert off[shipped["scope"] != "row"].max() < 1e-4
    assert off.max() < 0.5 / 96  # a whole number of each row
    assert shipped["loss"].between(1, 6).all()
    densities = shipped.filter(regex=r"^density\.")
    assert densities.shape[1] == 18
    assert densities.apply(lambda share: share.between(0, 1)).all(axis=None)


def test_controls_have_the_shares_of_qm(shipped: pd.DataFrame) -> None:
    densities = list(shipped.filter(regex=r"^density\."))
    of_qm = shipped[(shipped["method"] == "qm") & (shipped["scope"] == "global")].set_index(["sparsity", "seed"])
    controls = shipped[shipped["shares"] == "qm"].set_index(["sparsity", "seed"])
    expected = of_qm.loc[controls.index, densities].to_numpy()
    assert (abs(controls[densities].to_numpy() - expected) < 1e-6).all()
