"""Stage by stage: predictions and actual changes are those of each stage's own step, and errors have their causes."""

from __future__ import annotations

import pytest
import torch

from lossprune_lib import BatchLoss, LocalPruner, data
from lossprune_lib.pruning import by_stage, causes_by_stages, stage_by_stage
from lossprune_lib.seeds import generator


@pytest.mark.parametrize("criterion", ["mp", "qm"])
def test_each_stage_is_asked_about_its_own_step(trained, digits: data.Task, criterion: str) -> None:
    pruner = LocalPruner(criterion, sparsity=0.7, stages=3, batch_size=100)
    table = stage_by_stage(pruner, trained, digits)
    before = pruner.start(trained, digits)
    for row, after in zip(table.itertuples(), pruner.stream(trained, digits), strict=True):
        batch = digits.sample(100, generator(0, "batch", row.stage))
        risk = BatchLoss(trained, batch)
        step = after.weights - before.weights
        assert row.sparsity == pytest.approx(after.mask.sparsity)
        assert row.true_change == pytest.approx(
            (risk.value(after.weights) - risk.value(before.weights)).item(), abs=1e-6
        )
        model = risk.model(before.weights)
        slope = (model.gradient @ step).item()
        assert row.first == pytest.approx(slope, rel=1e-4, abs=1e-7)
        assert row.diagonal == pytest.approx(slope + (model.curvature @ step**2).item() / 2, rel=1e-4, abs=1e-6)
        for name in ("ggn", "hessian"):
            form = risk.quadratic_form(before.weights, step, name)
            assert getattr(row, name) == pytest.approx(slope + form / 2, rel=1e-4, abs=1e-6)
        before = after
    if criterion == "qm":
        trace = pruner.prune(trained, digits).trace
        assert table["true_change"].tolist() == pytest.approx(trace["true_change"].tolist(), abs=1e-6)
        assert table["diagonal"].tolist() == pytest.approx(trace["predicted_change"].tolist(), abs=1e-6)


def test_the_causes_add_up_to_the_error(trained, digits: data.Task) -> None:
    pruner = LocalPruner("mp", sparsity=0.8, batch_size=100)
    causes = causes_by_stages(pruner, trained, digits, [1, 3])
    assert causes.columns.tolist() == list(by_stage.CAUSES)
    assert causes.index.tolist() == [1, 3]
    for stages, row in causes.iterrows():
        found = stage_by_stage(LocalPruner("mp", 0.8, stages, batch_size=100), trained, digits).sum()
        assert row.sum() == pytest.approx(found["true_change"] - found["diagonal"], abs=1e-5)
        assert row["GGN for the Hessian"] == pytest.approx(found["hessian"] - found["ggn"], abs=1e-5)
    assert causes.iloc[1, 0] < causes.iloc[0, 0]  # what is beyond the second order shrinks with shorter steps


def test_what_is_no_pruner_is_refused(trained, digits: data.Task) -> None:
    for ask in (stage_by_stage, causes_by_stages):
        with pytest.raises(TypeError, match="pruner"):
            ask("qm", trained, digits)
    assert isinstance(trained, torch.nn.Module)
