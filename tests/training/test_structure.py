"""The structure of a network tells apart what computes otherwise, and nothing else."""

from __future__ import annotations

from enum import Enum
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lossprune_lib.training.structure import structure


class Way(Enum):
    ONE = 1
    TWO = 2


class Scaled(nn.Module):
    def __init__(self, setting: object) -> None:
        super().__init__()
        self.layer, self.setting = nn.Linear(2, 2), setting

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1.0, 2.0),
        (Way.ONE, Way.TWO),
        (partial(F.leaky_relu, negative_slope=0.1), partial(F.leaky_relu, negative_slope=0.2)),
        (torch.tensor(1.0), torch.tensor(2.0)),
        (np.ones(2), np.ones(3)),
        ({"a": [1]}, {"a": [2]}),
        (F.relu, F.gelu),
    ],
)
def test_settings_that_differ_are_told_apart_and_equal_ones_are_not(one: object, other: object) -> None:
    assert structure(Scaled(one)) != structure(Scaled(other))
    assert structure(Scaled(one)) == structure(Scaled(one))


def test_a_class_that_moves_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    before = structure(Scaled(1))
    monkeypatch.setattr(Scaled, "__module__", "elsewhere")
    assert structure(Scaled(1)) == before
