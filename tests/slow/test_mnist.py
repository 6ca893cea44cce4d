"""On real MNIST, the paper's network: the order of Table 1 and the gain of small stages. One seed, 60 epochs."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import pytest

from lossprune_lib import LocalPruner, data, models, training
from lossprune_lib.data import downloads

SPARSITY = 1 - 0.8**20
PENALTIES = (0.0, 1e-3, 1e-2, 1e-1, 1.0)
# Laurent et al. 2020, Table 1, first line: mean and spread over five seeds of networks trained for 800 epochs.
PAPER = {"mp": (2.02, 0.10), "obd": (1.83, 0.11), "lm": (1.17, 0.03), "qm": (1.05, 0.04)}


@pytest.fixture(scope="module")
def changes() -> pd.DataFrame:
    """The absolute change of the training loss for each criterion, number of stages and penalty."""
    beside = Path(__file__).parents[3] / "shared" / "data"
    if downloads.FOLDER_VARIABLE not in os.environ and not beside.is_dir():
        pytest.skip("MNIST is not here: let LOSSPRUNE_DATA name the folder of mnist.npz")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(downloads.FOLDER_VARIABLE, os.environ.get(downloads.FOLDER_VARIABLE, str(beside)))
        task = data.load("mnist", device="cpu", seed=1111)
    net = training.fit(models.mlp_300_100(task, seed=1111), task, epochs=60, seed=1111, progress=False)
    print(f"\nvalidation error {training.evaluate(net, task).error:.4f}")
    rows = []
    for stages in (1, 14, 140):
        for criterion in ("mp", "obd", "lm", "qm"):
            for penalty in PENALTIES if criterion != "mp" else (0.0,):
                pruner = LocalPruner(criterion, SPARSITY, stages, step_penalty=penalty, seed=1111)
                change = abs(pruner.prune(net, task).true_change)
                rows.append({"stages": stages, "criterion": criterion, "step_penalty": penalty, "change": change})
    table = pd.DataFrame(rows)
    print(
        table.pivot_table(index=["stages", "criterion"], columns="step_penalty", values="change").round(3).to_string()
    )
    return table


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::lossprune_lib.pruning.EmptyLayerWarning")
def test_the_order_of_table_1(changes: pd.DataFrame) -> None:
    best = changes[changes["stages"] == 140].groupby("criterion")["change"].min()
    print(best.round(3).to_string())
    assert best["qm"] < best["lm"] < best["obd"] < best["mp"]
    for criterion, (mean, _) in PAPER.items():
        assert best[criterion] == pytest.approx(mean, rel=0.2)


@pytest.mark.slow
def test_small_stages_are_what_matters(changes: pd.DataFrame) -> None:
    best = changes.groupby(["criterion", "stages"])["change"].min().unstack()
    for criterion in ("lm", "qm"):
        assert best.loc[criterion, 140] < best.loc[criterion, 14] < best.loc[criterion, 1]
    assert best.loc["mp", 140] == best.loc["mp", 1]
