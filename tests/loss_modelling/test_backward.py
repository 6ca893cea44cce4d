"""Through a multilayer perceptron, a column goes back to the layers as by autograd."""

from __future__ import annotations

from collections import OrderedDict

import pytest
import torch
from torch import nn

from lossprune_lib import WeightSpace
from lossprune_lib.loss_modelling.backward import by_autograd, through_mlp
from lossprune_lib.loss_modelling.forward import record
from lossprune_lib.loss_modelling.restriction import Restriction
from lossprune_lib.networks.mlps import is_mlp

NETWORKS = {
    "tanh": (nn.Linear(7, 6), nn.Tanh(), nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3)),
    "in place": (nn.Linear(7, 6), nn.ReLU(inplace=True), nn.Linear(6, 5), nn.ELU(inplace=True), nn.Linear(5, 3)),
    "several or none between": (nn.Linear(7, 6), nn.Linear(6, 5), nn.Sigmoid(), nn.Softplus(), nn.Linear(5, 3)),
    "one after the last": (nn.Flatten(), nn.Linear(7, 6), nn.GELU(), nn.Linear(6, 3), nn.LeakyReLU()),
    "one layer": (nn.Linear(7, 3),),
}


@pytest.mark.parametrize("kept_shares", [(1, 1, 1), (0.2, 1, 1), (1, 0.2, 1), (0.2, 0.2, 0.2)])
@pytest.mark.parametrize("name", NETWORKS)
def test_it_goes_back_as_by_autograd(name: str, kept_shares: tuple[float, ...]) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(OrderedDict((str(i), module) for i, module in enumerate(NETWORKS[name]))).double()
    space, x = WeightSpace(net), torch.randn(8, 7, dtype=torch.float64)
    assert is_mlp(space, (7,))
    kept = torch.cat([torch.rand(size) < share for size, share in zip(space.sizes, kept_shares, strict=False)])
    weights, restriction = space.read() * kept, Restriction(space, kept)
    layers = range(len(space.modules))
    with restriction.applied(layers):
        recording = record(space, weights, space.rest(), x, len(x), layers)
    ways = through_mlp(recording, restriction.patterns), by_autograd(recording)
    for column in torch.randn(3, 8, 3, dtype=torch.float64):  # memory is used again from one to the next
        ours, torchs = ([(i, gradient * way.slopes.get(i, 1)) for i, gradient in way.through(column)] for way in ways)
        assert [i for i, _ in ours] == [i for i, _ in torchs] == list(reversed(layers))
        for (_, a), (_, b) in zip(ours, torchs, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)
