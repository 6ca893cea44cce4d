"""The loss on a line and on a plane, against a loop of forward passes: python tests/benchmarks/landscape.py [REPEATS].

The loop is the plain one: put the weights of a point into the network, run it, take the loss.
"""

from __future__ import annotations

import copy
import sys

import clock
import reference
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lossprune_lib import data, landscape, models
from lossprune_lib.seeds import generator


def main(repeats: int = 15) -> None:
    task = data.load("digits", device="cpu")
    rows = []
    for model, examples in [("mlp_300_100", 50), ("mlp_300_100", 300), ("mlp_300_100", 1000), ("small_vgg", 300)]:
        net = models.pretrained(model, task)
        x, y = task.sample(examples, generator(0, "benchmark"))
        first, second = (landscape.random_direction(net, seed) for seed in (0, 1))
        t = torch.linspace(-1, 1, 101 if model == "mlp_300_100" else 21)
        side = t[:: len(t) // 10]
        grid = torch.cartesian_prod(side, side)
        slices = {
            f"line of {len(t)}": (
                lambda net=net, batch=(x, y), t=t, d=first: landscape.line(net, batch, d, t),
                lambda net=net, batch=(x, y), t=t, d=first: loop(net, batch, d.unsqueeze(0), t.unsqueeze(1)),
            ),
            f"plane of {len(side)} x {len(side)}": (
                lambda net=net, batch=(x, y), s=side, a=first, b=second: landscape.plane(net, batch, a, b, s, s),
                lambda net=net, batch=(x, y), p=grid, a=first, b=second: loop(net, batch, torch.stack([a, b]), p),
            ),
        }
        for name, (ours, plain) in slices.items():
            times = clock.in_turns({"ours": ours, "loop": plain}, repeats)
            apart = (ours().flatten() - plain()).abs().max().item()
            rows.append([model, str(examples), name, clock.spread(times["ours"]), clock.spread(times["loop"])])
            rows[-1] += [clock.ratios(times["loop"], times["ours"]), f"{apart:.0e}"]
    head = ["network", "examples", "slice", "ours, ms", "loop, ms", "ratio", "losses differ by"]
    clock.keep("landscape", "Landscapes", f"{clock.machine()}; {repeats} rounds.\n\n{clock.table(head, rows)}")


def loop(net: nn.Module, batch: tuple[Tensor, Tensor], directions: Tensor, points: Tensor) -> Tensor:
    """Return the loss at start + point @ directions, for points [P, K] and directions [K, D]."""
    x, y = batch
    weights = [layer.weight for layer in reference.layers_of(net)]
    start = torch.cat([weight.detach().reshape(-1) for weight in weights])
    moved = copy.deepcopy(net)
    losses = []
    with torch.no_grad():
        for point in points:
            torch.nn.utils.vector_to_parameters(
                start + point @ directions, [layer.weight for layer in reference.layers_of(moved)]
            )
            losses.append(F.cross_entropy(moved(x), y))
    return torch.stack(losses)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
