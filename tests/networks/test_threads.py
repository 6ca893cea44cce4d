"""One network in several threads: each gets its own answer, and the network stays what it was."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from sample_networks import make
from torch import nn

from lossprune_lib import BatchLoss, LossModel


@pytest.fixture
def switching() -> Iterator[None]:
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("switching")
@pytest.mark.parametrize("name", ["mlp", "convolutions"])
def test_models_of_one_network_are_those_of_one_thread(name: str) -> None:
    net, *batch = make(name)
    one = LossModel.at(net, batch)
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda _: LossModel.at(net, batch), range(60)))
    for model in found:
        assert model.gradient is not None
        torch.testing.assert_close(model.gradient, one.gradient)
        torch.testing.assert_close(model.curvature, one.curvature)
    assert all(isinstance(parameter, nn.Parameter) for parameter in net.parameters())


@pytest.mark.usefixtures("switching")
def test_losses_at_several_weights_are_each_ones_own() -> None:
    net, *batch = make("mlp")
    risk, scales = BatchLoss(net, batch), [1 + i / 50 for i in range(60)]
    weights = risk.space.read()
    one_by_one = [BatchLoss(net, batch).value(weights * scale).item() for scale in scales]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(lambda scale: risk.value(weights * scale).item(), scales)) == one_by_one
