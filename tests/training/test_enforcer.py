"""Enforcer: pruned weights stay zero in training, and so do the optimizer's buffers."""

from __future__ import annotations

import doctest

import pytest
import torch
from torch import Tensor, nn, optim
from torch.nn import functional as F

from lossprune_lib import Mask, WeightSpace
from lossprune_lib.training import Enforcer


def half_mask(net: nn.Module) -> Mask:
    space = WeightSpace(net)
    return Mask(torch.arange(space.size) % 2 == 0, space.layout)


def _train_a_little(net: nn.Module, optimizer: optim.Optimizer, enforce: Enforcer | None) -> None:
    draws = torch.Generator().manual_seed(0)
    for _ in range(3):
        x, y = torch.rand(5, 1, 3, 2, generator=draws), torch.randint(3, (5,), generator=draws)
        optimizer.zero_grad()
        F.cross_entropy(net(x), y).backward()
        optimizer.step()
        if enforce is not None:
            enforce()


def _trainable() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 2, 2), nn.Tanh(), nn.Flatten(), nn.Linear(4, 3))


OPTIMIZERS = {
    "momentum": lambda parameters: optim.SGD(parameters, lr=0.1, momentum=0.9, weight_decay=0.01),
    "nesterov": lambda parameters: optim.SGD(parameters, lr=0.1, momentum=0.9, nesterov=True),
    "adam": lambda parameters: optim.AdamW(parameters, lr=0.1, amsgrad=True),
    "plain": lambda parameters: optim.SGD(parameters, lr=0.1),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_pruned_weights_and_their_momentum_stay_zero_in_training(name: str) -> None:
    net = _trainable()
    optimizer, mask = OPTIMIZERS[name](net.parameters()), half_mask(net)
    _train_a_little(net, optimizer, None)  # fills the optimizer's buffers while all weights are still free
    kept_before = WeightSpace(net).read()[mask.kept]
    enforce = Enforcer(mask, net, optimizer)
    assert torch.equal(WeightSpace(net).read() != 0, mask.kept)
    _train_a_little(net, optimizer, enforce)
    weights = WeightSpace(net).read()
    assert torch.equal(weights != 0, mask.kept)
    assert not torch.equal(weights[mask.kept], kept_before)
    for part, module in zip(mask.parts(WeightSpace(net)), (net[0], net[3]), strict=True):
        buffers = [b for b in optimizer.state[module.weight].values() if isinstance(b, Tensor) and b.ndim]
        assert len(buffers) == {"momentum": 1, "nesterov": 1, "adam": 3, "plain": 0}[name]
        assert all(torch.count_nonzero(buffer[~part]) == 0 for buffer in buffers)
        assert all(torch.count_nonzero(buffer[part]) > 0 for buffer in buffers)


def test_without_enforcing_momentum_revives_pruned_weights() -> None:
    net = _trainable()
    mask = half_mask(net)
    mask.apply_(net)
    _train_a_little(net, OPTIMIZERS["momentum"](net.parameters()), None)
    assert torch.count_nonzero(WeightSpace(net).read()[~mask.kept]) > 0


def test_enforcing_a_mask_of_another_network_is_refused() -> None:
    net = nn.Linear(2, 2)
    with pytest.raises(ValueError, match="another network"):
        Enforcer(half_mask(_trainable()), net, optim.SGD(net.parameters(), lr=0.1))


def test_an_optimizer_of_another_copy_is_refused() -> None:
    net = _trainable()
    with pytest.raises(ValueError, match="another network of the same shapes"):
        Enforcer(half_mask(net), net, optim.SGD(_trainable().parameters(), lr=0.1))
    Enforcer(half_mask(net), net, optim.SGD([net[3].bias], lr=0.1))  # whatever else of it is trained


def test_an_optimizer_may_get_the_network_later() -> None:
    net, head = _trainable(), nn.Linear(3, 2)
    optimizer = optim.SGD(head.parameters(), lr=0.1)
    enforce = Enforcer(half_mask(net), net, optimizer)
    optimizer.add_param_group({"params": list(net.parameters())})
    enforce()


def test_both_loops_of_the_docstring_keep_pruned_weights_at_zero() -> None:
    (example,) = (found for found in doctest.DocTestFinder().find(Enforcer) if found.examples)
    assert not doctest.DocTestRunner().run(example, clear_globs=False).failed
    net, mask = example.globs["net"], example.globs["mask"]
    assert mask.sparsity == pytest.approx(0.9, abs=1e-4)
    assert torch.equal(WeightSpace(net).read() != 0, mask.kept)
