"""The benchmarks themselves: all methods give the same diagonal, and reports match what was run."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import clock
import curvature
import landscape
import peers
import pytest
import torch
from torch import nn

from lossprune_lib import data
from lossprune_lib import landscape as slices


@pytest.mark.parametrize("way", peers.WAYS)
@pytest.mark.parametrize("model", ["mlp_300_100", "small_vgg"])
def test_every_way_gives_the_same_diagonal(way: str, model: str) -> None:
    if not peers.installed(way):
        pytest.skip(f"{way} is installed by make bench only")
    net, x, y = curvature.on_random_images(model, (1, 8, 8), 12)
    found, exact = peers.WAYS[way](net)(x, y, 5), peers.ours(net.double())(x.double(), y, 12)
    assert (found - exact).abs().max() < 1e-5 * exact.abs().max()


@pytest.mark.parametrize("way", peers.ESTIMATES)
def test_estimates_are_right_on_average(way: str) -> None:
    if not peers.installed(way):
        pytest.skip(f"{way} is installed by make bench only")
    net, x, y = curvature.on_random_images("small_vgg", (1, 8, 8), 12)
    exact, estimate = peers.ours(net)(x, y, 12), peers.ESTIMATES[way](net)
    torch.manual_seed(0)
    mean = torch.stack([estimate(x, y, 5) for _ in range(100)]).mean(0)
    assert mean.sum().item() == pytest.approx(exact.sum().item(), rel=0.5)


def test_peers_get_a_network_that_they_can_take() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.ReLU(inplace=True), nn.Linear(3, 2)).eval()
    x, y = torch.randn(6, 4), torch.randint(2, (6,))
    assert torch.allclose(peers.per_class(net)(x, y, 3), peers.ours(net)(x, y, 3), atol=1e-6)
    assert net[2].inplace


def test_a_comparison_reports_every_way(monkeypatch: pytest.MonkeyPatch) -> None:
    def small() -> curvature.Case:
        return curvature.on_random_images("mlp_300_100", (1, 4, 4), 8)

    def broken(net: nn.Module) -> peers.Diagonal:
        raise RuntimeError

    monkeypatch.setitem(curvature.CASES, "small", small)
    monkeypatch.setattr(curvature, "_peak_in_own_process", lambda *_: 3 * 2**20)
    monkeypatch.setattr(peers, "WAYS", {"ours": peers.ours, "twice": lambda net: _twice(net), "broken": broken})
    text = curvature.compare("small", 2, "cpu")
    rows = {
        line.split("|")[1].strip(): [cell.strip() for cell in line.split("|")[2:-1]]
        for line in text.splitlines()
        if "|" in line
    }
    assert float(rows["ours"][3]) < 1e-5
    assert rows["twice"][3] == "1e+00"  # twice the diagonal is wrong by all of it
    assert rows["broken"][0] == "cannot (RuntimeError)"
    assert rows["ours"][4] == "3"
    assert "GFLOP/s" in text
    assert "`aten::" in text


def _twice(net: nn.Module) -> peers.Diagonal:
    return lambda x, y, batch_size: 2 * peers.ours(net)(x, y, batch_size)


def test_an_error_that_is_no_number_is_not_lost() -> None:
    net, x, y = curvature.on_random_images("mlp_300_100", (1, 4, 4), 8)
    found = peers.ours(net)(x, y, 8)
    found[-1] = torch.nan
    assert math.isnan(curvature.relative_errors(net, x, y, {"broken at the end": found})["broken at the end"])


def test_examples_whose_relu_rounds_to_the_other_side_are_found() -> None:
    net = nn.Sequential(nn.Linear(2, 1, bias=False), nn.ReLU())
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([[1.0, 1.0]]))
    x = torch.tensor([[1.0, 1.0], [-1.0, 0.5]])
    assert curvature.on_the_same_side(net, x).tolist() == [True, True]
    # In float32 100,000,001 is 100,000,000.
    net = nn.Sequential(nn.Linear(3, 1, bias=False), nn.ReLU())
    with torch.no_grad():
        net[0].weight.fill_(1.0)
    x = torch.tensor([[1e8, 1.0, -1e8], [1e8, 3.0, -1.0]])
    assert curvature.on_the_same_side(net, x).tolist() == [False, True]


def test_operations_are_those_of_the_products() -> None:
    a, b = torch.randn(30, 20), torch.randn(20, 10)
    assert curvature.operations(lambda: a @ b) == {"mm": 2 * 30 * 20 * 10}
    batched = torch.zeros(4, 30, 10), torch.randn(4, 30, 20), torch.randn(4, 20, 10)
    assert curvature.operations(lambda: batched[0].baddbmm_(*batched[1:])) == {"baddbmm_": 4 * 2 * 30 * 20 * 10}


def test_ratios_are_taken_round_by_round() -> None:
    assert clock.ratios([2.0, 6.0, 4.0], [1.0, 2.0, 4.0]) == "2.00 (1.00 to 3.00)"


def test_the_loop_of_forward_passes_finds_the_same_losses(digits: data.Task, trained: nn.Module) -> None:
    x, y = digits.x_valid[:20], digits.y_valid[:20]
    direction, at = slices.random_direction(trained), torch.linspace(-1, 1, 5)
    found = landscape.loop(trained, (x, y), direction.unsqueeze(0), at.unsqueeze(1))
    assert torch.allclose(found, slices.line(trained, (x, y), direction, at), atol=1e-5)


BENCHMARKS = Path(__file__).parent / "benchmarks"
HUNGRY = """
import torch
import curvature, peers
peers.WAYS["hungry"] = lambda net: lambda x, y, batch_size: torch.ones(25 * 2**20)
print(curvature.peak_bytes("trained_mlp", "hungry", 1, "cpu"))
"""


def test_a_peak_is_what_a_call_adds() -> None:
    """In a process of its own, as in the benchmark: what another test has freed would be taken again, unseen."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run(
        [sys.executable, "-c", HUNGRY], cwd=BENCHMARKS, env=environment, capture_output=True, text=True, check=True
    )
    assert int(run.stdout) == pytest.approx(100 * 2**20, rel=0.1)
