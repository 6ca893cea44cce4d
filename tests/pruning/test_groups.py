"""What groups of weights cost, in the order of a criterion."""

from __future__ import annotations

import pytest
import torch

from lossprune_lib import BatchLoss, LocalPruner, data
from lossprune_lib.pruning import cost_of_groups
from lossprune_lib.seeds import generator


def test_groups_take_the_kept_weights_apart_from_the_smallest_to_the_largest(trained, digits: data.Task) -> None:
    state = next(LocalPruner("mp", sparsity=0.9, stages=3).stream(trained, digits))
    risk = BatchLoss(trained, digits.sample(200, generator(0, "batch", 1)))
    costs = cost_of_groups(risk, state, "mp", groups=5)
    kept = state.mask.kept.nonzero().squeeze(1)
    ordered = kept[state.weights[kept].abs().argsort(stable=True)].tensor_split(5)
    assert list(costs.index) == [1, 2, 3, 4, 5]
    for (_, row), group in zip(costs.iterrows(), ordered, strict=True):
        step = torch.zeros_like(state.weights).index_copy(0, group, -state.weights[group])
        actual = risk.value(state.weights + step) - risk.value(state.weights)
        assert row["actual"] == pytest.approx(actual.item(), abs=1e-6)
        assert row["predicted"] == pytest.approx(risk.model(state.weights).predicted_change(step).item(), abs=1e-5)


def test_an_unknown_criterion_is_refused(trained, digits: data.Task) -> None:
    state = LocalPruner("mp").start(trained, digits)
    risk = BatchLoss(trained, digits.sample(50, generator(0, "batch", 1)))
    for name in ("mine", "random"):
        with pytest.raises(ValueError, match=f"no criterion called '{name}'"):
            cost_of_groups(risk, state, name)
