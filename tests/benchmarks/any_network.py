"""Gradient and curvature of ResNet50 and ViT-tiny at 224 pixels, in units of torch's own gradient of the same batch.

Run: python tests/benchmarks/any_network.py [CASE ...] [--repeats 3] [--device cuda]. The networks are timm's, of random
weights and images, 8 of them: the speed does not depend on what they show. All ways run in one process, in turns. The
preflight, which comes once for a network and inputs of one kind, is timed by itself. On a CPU times are those of all
threads together, which other programs disturb least.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import importlib.util
import statistics
import time
from collections.abc import Callable
from functools import partial

import clock
import curvature
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lossprune_lib import BatchLoss, WeightSpace

EXAMPLES = 8
CASES = {  # (timm's name, classes, columns; None for the exact curvature)
    "resnet50": ("resnet50", 1000, 1),
    "resnet50_exact": ("resnet50", 10, None),
    "vit_tiny": ("vit_tiny_patch16_224", 1000, 1),
    "vit_tiny_exact": ("vit_tiny_patch16_224", 10, None),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", choices=[*CASES, []], metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    options = parser.parse_args()
    if importlib.util.find_spec("timm") is None:
        print("These networks are timm's, which is not installed: make bench installs it.")
        return
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    for case in options.cases or CASES:
        name, classes, columns = CASES[case]
        net, x = _network(name, classes).to(options.device), torch.randn(EXAMPLES, 3, 224, 224, device=options.device)
        text = compare(net, x, torch.arange(EXAMPLES, device=options.device) % classes, columns, options.repeats)
        clock.keep(f"any-network-{case}-{options.device}", f"{name}, {classes:,} classes", text)


def compare(net: nn.Module, x: Tensor, y: Tensor, columns: int | None, repeats: int) -> str:
    """Return a Markdown report of one network."""
    space, device = WeightSpace(net), x.device.type
    weights, max_bytes = space.read(), 2**30 if device == "cpu" else 2**35

    def ours(order: int) -> None:
        BatchLoss(space, (x, y), curvature_columns=columns, max_bytes=max_bytes).model(weights, order)

    def preflight() -> None:
        space.footprints.clear()
        BatchLoss(space, (x, y))

    def gradient() -> None:
        torch.autograd.grad(F.cross_entropy(net(x), y), space.parameters)

    second = "exact curvature" if columns is None else f"curvature of {columns} column" + "s" * (columns > 1)
    square = curvature._square(device)
    ways: dict[str, Callable[[], object]] = {
        "torch's gradient": gradient,
        "gradient": partial(ours, 1),
        f"gradient and {second}": partial(ours, 2),
        "the preflight": preflight,
        "product": partial(torch.mm, square, square),
    }
    preflight()
    times = clock.in_turns(ways, repeats, now=time.process_time if device == "cpu" else time.perf_counter)
    model = times[f"gradient and {second}"]
    times["the last two"] = [a + b for a, b in zip(model, times["the preflight"], strict=True)]
    least = min(times["torch's gradient"])
    rows = [
        [way, clock.spread(spent), clock.ratios(spent, times["torch's gradient"]), f"{min(spent) / least:.2f}"]
        for way, spent in times.items()
        if way != "product"
    ]
    rate = 2 * len(square) ** 3 / min(times["product"])
    shares = [sum(curvature.operations(run).values()) / rate for run in (gradient, partial(ours, 2))]
    own, theirs = (
        f"{share / statistics.median(spent):.0%}"
        for share, spent in zip(reversed(shares), (model, times["torch's gradient"]), strict=True)
    )
    unit = " of all threads' time" if device == "cpu" else ""
    head = ["way", "ms", "times torch's gradient", "of the least times"]
    return "\n\n".join(
        [
            f"{len(x)} examples, {space.size:,} weights, float32; {clock.machine(device)}; {repeats} rounds.",
            clock.table(head, rows),
            f"At the rate of large matrix products, measured in the same run ({rate / 1e9:,.0f} GFLOP/s{unit} "
            f"at best), the arithmetic of gradient and curvature takes {own} of their time, that of torch's gradient "
            f"{theirs}; the first has {shares[1] / shares[0]:.2f} times as much.",
        ]
    )


def _network(name: str, classes: int) -> nn.Module:
    """Return one of timm's networks, of which the Python half of torchvision is enough.

    Its compiled half belongs to one build of torch; without it timm looks in vain for these two operations.
    """
    with contextlib.suppress(RuntimeError):
        importlib.import_module("torchvision")
    declared = torch.library.Library("torchvision", "FRAGMENT")
    for operation in ("nms", "qnms"):
        if not hasattr(torch.ops.torchvision, operation):
            declared.define(f"{operation}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    import timm

    torch.manual_seed(0)
    return timm.create_model(name, num_classes=classes).eval()


if __name__ == "__main__":
    main()
