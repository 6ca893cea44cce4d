"""Paths and forecasts: the steps that a criterion takes, and what is predicted for them."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from lossprune_lib import BatchLoss, LocalPruner, LossModel, WeightSpace
from lossprune_lib.loss_modelling import forecast
from lossprune_lib.networks.selection import smallest
from lossprune_lib.pruning import ranking
from lossprune_lib.pruning.criteria import saliency
from lossprune_lib.seeds import generator


@pytest.fixture(scope="module")
def batch(digits):
    return digits.sample(1000, generator(0, "batch", 1))


@pytest.mark.parametrize("criterion", ["mp", "lm", "qm", "obd"])
def test_a_path_takes_the_steps_that_the_pruner_takes(trained, digits, batch, criterion: str) -> None:
    path = ranking.path(trained, digits, batch, criterion)
    weights = path.model.weights
    for kappa in (0.0, 0.31, 0.9):
        scores = saliency(path.model, criterion)
        expected = torch.where(smallest(scores, round(weights.numel() * kappa)), -weights, torch.zeros(()))
        assert torch.equal(path.step(kappa), expected)


def test_a_path_measures_and_predicts(trained, digits, batch) -> None:
    path = ranking.path(trained, digits, batch, "qm")
    space, step = WeightSpace(trained), path.step(0.7)
    x, y = batch
    with torch.no_grad():
        after = F.cross_entropy(space.call(space.read() + step, space.rest(), x), y)
        true = (after - F.cross_entropy(trained(x), y)).item()
    model = LossModel.at(trained, batch)
    risk, weights = BatchLoss(trained, batch), space.read()
    linear = (step @ model.gradient).item()
    expected = {
        "first": linear,
        "diagonal": model.predicted_change(step).item(),
        "ggn": linear + risk.quadratic_form(weights, step, "ggn") / 2,
        "hessian": linear + risk.quadratic_form(weights, step, "hessian") / 2,
    }
    assert path.true_change(0.7) == pytest.approx(true, rel=1e-4)
    assert forecast.loss_along(risk, weights, step)(1.0) == pytest.approx(true, rel=1e-4)
    assert path.forecast(0.7).changes() == pytest.approx(expected, rel=1e-3)
    for order, change in expected.items():
        assert path.predicted_change(0.7, order) == pytest.approx(change, rel=1e-3, abs=1e-6)
    assert path.saliency_sum(0.7) == pytest.approx(saliency(model, "qm")[step != 0].sum().item(), rel=1e-3)


def test_a_path_of_stages_starts_before_the_last_one(trained, digits, batch) -> None:
    path = ranking.path(trained, digits, batch, "qm", sparsity=0.9, stages=3)
    run = LocalPruner("qm", sparsity=0.9, stages=3).prune(trained, digits)
    assert path.state.mask.sparsity == pytest.approx(run.trace["sparsity"].iloc[1])
    assert int((path.step(0.9) != 0).sum()) == int(path.state.mask.kept.sum()) - int(run.mask.kept.sum())


def test_an_unknown_order_is_refused(trained, digits, batch) -> None:
    with pytest.raises(ValueError, match="'third'"):
        ranking.path(trained, digits, batch).forecast(0.5, ("third",))


def test_orders_may_be_read_only_once(trained, digits, batch) -> None:
    path = ranking.path(trained, digits, batch)
    weights, step = path.model.weights, path.step(0.5)
    found = forecast.forecast(BatchLoss(trained, batch), weights, step, iter(["first", "diagonal"]))
    assert list(found.changes()) == ["first", "diagonal"]
