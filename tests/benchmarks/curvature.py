"""The exact diagonal of the GGN: ours against one backward pass per class, BackPACK and NNGeometry.

Run: python tests/benchmarks/curvature.py [CASE ...] [--repeats 5] [--device cuda]. All methods run in one process, in
turns, each at the batch size that suits it best (tried in the same run). Prints and saves, for each case, a table of
times, ratios, largest relative errors against float64 and peak memory; where our time goes; and the time at the
machine's own rate of matrix products, measured in the same run. Where networks are random, so are the images: the speed
does not depend on what they show. Batch norms have seen them once: otherwise activations grow from block to block, and
no float32 program finds the curvature of such logits.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import subprocess
import sys
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import clock
import peers
import reference
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode, bmm_flop

from lossprune_lib import LossModel, WeightSpace, criteria, data, models

Case = tuple[nn.Module, Tensor, Tensor]  # a network in eval mode, inputs [N, ...], labels [N]


def on_random_images(model: str, shape: tuple[int, ...], examples: int) -> Case:
    torch.manual_seed(0)
    x, y = torch.randn(examples, *shape), torch.randint(10, (examples,))
    net = models.MODELS[model](data.Task.from_tensors(x, y, x, y, x, y)).train()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # the mean of all batches, here of one
    with torch.no_grad():
        net(x)
    return net.eval(), x, y


def on_digits(model: str, examples: int) -> Case:
    task = data.load("digits", device="cpu")
    return models.pretrained(model, task), *task.sample(examples, torch.Generator().manual_seed(0))


CASES: dict[str, Callable[[], Case]] = {
    "mlp": partial(on_random_images, "mlp_300_100", (1, 28, 28), 1000),
    "vgg11": partial(on_random_images, "vgg11", (3, 32, 32), 64),
    "preact_resnet18": partial(on_random_images, "preact_resnet18", (3, 32, 32), 32),
    "trained_mlp": partial(on_digits, "mlp_300_100", 1000),
    "trained_small_vgg": partial(on_digits, "small_vgg", 64),
    "vgg11_1000": partial(on_random_images, "vgg11", (3, 32, 32), 1000),
    "preact_resnet18_1000": partial(on_random_images, "preact_resnet18", (3, 32, 32), 1000),
}
ON_CPU, ON_GPU = list(CASES)[:5], [*list(CASES)[:1], *list(CASES)[5:]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", choices=[*CASES, []], metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=15, help="more repeats of short cases, for at least so long")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument(
        "--peak", nargs=2, metavar=("WAY", "BATCH"), help="print the peak memory of one way, and no more"
    )
    options = parser.parse_args()
    # Torch lets convolutions round to TF32 on a GPU unless told otherwise.
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    # NNGeometry and BackPACK warn of their own use of hooks.
    warnings.simplefilter("ignore", UserWarning)
    if options.peak:
        print(peak_bytes(options.cases[0], options.peak[0], int(options.peak[1]), options.device))
        return
    for name in options.cases or (ON_GPU if options.device == "cuda" else ON_CPU):
        text = compare(name, options.repeats, options.device, options.seconds)
        clock.keep(f"curvature-{name}-{options.device}", f"Curvature: {name}", text)


def compare(name: str, repeats: int, device: str, seconds: float = 0) -> str:
    """Return a Markdown report of all methods in one case."""
    net, x, y = _case(name, device)
    ways, cannot = {}, {}
    for way, prepare in peers.WAYS.items():
        try:
            ways[way] = prepare(net)
            ways[way](x[:2], y[:2], 2)
        except Exception as error:  # the table reports whatever a peer raises
            ways.pop(way, None)
            cannot[way] = "not installed" if isinstance(error, ImportError) else f"cannot ({type(error).__name__})"
    sizes = {way: best_batch_size(diagonal, x, y) if way != "ours" else len(x) for way, diagonal in ways.items()}
    runs = {way: partial(diagonal, x, y, sizes[way]) for way, diagonal in ways.items()}
    same = on_the_same_side(net, x)
    errors = relative_errors(net, x[same], y[same], {way: f(x[same], y[same], sizes[way]) for way, f in ways.items()})
    square = _square(device)
    times = clock.in_turns({**runs, "product": partial(torch.mm, square, square)}, repeats, seconds)
    rows = [
        [
            way,
            str(sizes[way]),
            clock.spread(times[way]),
            clock.ratios(times[way], times["ours"]),
            f"{errors[way]:.0e}",
            f"{_peak_in_own_process(name, way, sizes[way], device) / 2**20:,.0f}",
        ]
        for way in runs
    ]
    rows += [[way, why, "", "", "", ""] for way, why in cannot.items()]
    # The fastest of the rounds: a limit is what the machine can do, not what it did at a busy moment.
    rate = 2 * len(square) ** 3 / min(times["product"])
    arithmetic = operations(runs["ours"])
    total = sum(arithmetic.values())
    least, ours = total / rate, statistics.median(times["ours"])
    parts = ", ".join(f"{part} {flop / 1e9:,.1f}" for part, flop in arithmetic.items())
    where = f"{clock.machine(device)}; {len(times['ours'])} rounds."
    left_out = f"Errors are over the {int(same.sum())} examples none of whose ReLUs rounds across zero in float32."
    return "\n\n".join(
        [
            f"{len(x):,} examples, {WeightSpace(net).size:,} weights, float32; {where}",
            clock.table(["way", "batch", "ms", "times ours", "error", "peak MiB"], rows),
            estimates(net, x, y, repeats),
            *([] if same.all() else [left_out]),
            f"Large matrix products run at up to {rate / 1e9:,.0f} GFLOP/s here. At this rate our "
            f"{total / 1e9:,.1f} GFLOP ({parts}) take {1e3 * least:,.1f} ms, {least / ours:.0%} of our time. "
            f"So no more than a factor of {ours / least:.1f} can be gained without another algorithm.",
            "Where our time goes: " + profile(runs["ours"], device) + ".",
            *([tf32_effect(net, x, y)] if device == "cuda" else []),
        ]
    )


def estimates(net: nn.Module, x: Tensor, y: Tensor, repeats: int, draws: int = 5) -> str:
    """Return a table of unbiased estimates of the diagonal, each at its least cost, and what equal accuracy takes.

    The squared error of a mean of draws falls as one over their number, so that the time for an equal error follows.
    """
    exact = peers.ours(net)(x, y, len(x))
    ways = {way: prepare(net) for way, prepare in peers.ESTIMATES.items() if peers.installed(way)}
    torch.manual_seed(0)
    errors = {
        # The root of the mean squared error. Ours draws the same column again each time, with the default seed.
        way: statistics.fmean(((f(x, y, len(x)) - exact).norm() / exact.norm()).item() ** 2 for _ in range(draws))
        ** 0.5
        for way, f in ways.items()
    }
    times = clock.in_turns({way: partial(f, x, y, len(x)) for way, f in ways.items()}, repeats)
    (ours, base), *_ = errors.items()
    rows = [
        [
            way,
            clock.spread(times[way]),
            clock.ratios(times[way], times[ours]),
            f"{errors[way]:.2g}",
            f"{(errors[way] / base) ** 2:,.0f}",
            f"{statistics.median(times[way]) / statistics.median(times[ours]) * (errors[way] / base) ** 2:,.0f}",
        ]
        for way in ways
    ]
    rows += [[way, "not installed", "", "", "", ""] for way in peers.ESTIMATES if way not in ways]
    head = ["estimate, one draw", "ms", "times ours", "error", "draws for ours' error", "times ours then"]
    said = "Errors of estimates are in norm, relative to the exact diagonal's; by the mean of many draws they fall as"
    return clock.table(head, rows) + f"\n\n{said} one over the root of their number."


def best_batch_size(diagonal: peers.Diagonal, x: Tensor, y: Tensor) -> int:
    """Return the batch size, of all, a quarter, a sixteenth and so on, that takes the least time per example."""
    examples, sizes = len(x), [len(x)]
    while sizes[-1] > 4 and len(sizes) < 4:
        sizes.append(sizes[-1] // 4)
    if examples <= 64:
        sizes.append(1)

    def seconds_an_example(size: int) -> float:
        some = max(size, examples // 8)
        (times,) = clock.in_turns({"": lambda: diagonal(x[:some], y[:some], size)}, 1, at_least=0.5).values()
        return min(times) / some

    return min(sizes, key=seconds_an_example)


def on_the_same_side(net: nn.Module, x: Tensor) -> Tensor:
    """Return for which examples every ReLU's input lies on the same side of zero in float32 as in float64, bool [N].

    Where one does not, the two precisions are different functions, and what differs says nothing about a program.
    """
    sides = []
    for batch in (x, x.double()):
        with torch.no_grad(), _ReluSides() as seen:
            copy.deepcopy(net).to(batch.dtype)(batch)
        sides.append(seen.positive)
    same = torch.ones(len(x), dtype=torch.bool, device=x.device)
    for a, b in zip(*sides, strict=True):
        same &= (a == b).flatten(1).all(1)
    return same


class _ReluSides(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.positive: list[Tensor] = []

    def __torch_dispatch__(self, function: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        result = function(*args, **(kwargs or {}))
        if function in (torch.ops.aten.relu.default, torch.ops.aten.relu_.default):
            self.positive.append(result > 0)
        return result


def relative_errors(net: nn.Module, x: Tensor, y: Tensor, found: dict[str, Tensor]) -> dict[str, float]:
    """Return, for each way, the largest over the layers of the largest error over the largest entry in float64."""
    exact = peers.per_class(copy.deepcopy(net).double(), outputs_only=True)(x.double(), y, max(1, len(x) // 8))
    sizes = [layer.weight.numel() for layer in reference.layers_of(net)]
    return {
        way: torch.stack(  # whose largest is NaN if one is
            [
                (a.double() - b).abs().max() / b.abs().max()
                for a, b in zip(diagonal.split(sizes), exact.split(sizes), strict=True)
            ]
        )
        .max()
        .item()
        for way, diagonal in found.items()
    }


def operations(run: Callable[[], object]) -> dict[str, float]:
    """Return the multiplications and additions of a run's matrix products and convolutions."""
    # What torch does not count by itself.
    in_place = {torch.ops.aten.baddbmm_: lambda _, a, b, out_shape=None, **scales: bmm_flop(a, b)}
    with FlopCounterMode(display=False, custom_mapping=in_place) as counter:
        run()
    return {str(op).removeprefix("aten."): float(count) for op, count in counter.get_flop_counts()["Global"].items()}


def _square(device: str) -> Tensor:
    """Return a matrix large enough for the machine's best rate of products."""
    return torch.randn(*2 * [8192 if device == "cuda" else 2048], device=device)


def profile(run: Callable[[], object], device: str) -> str:
    """Return the operations that take most of the time, with their shares."""
    from torch.profiler import ProfilerActivity, profile

    on_gpu = device == "cuda"
    with profile(activities=[ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]) as seen:
        run()
    own = {e.key: e.self_device_time_total if on_gpu else e.self_cpu_time_total for e in seen.key_averages()}
    total = sum(own.values())
    most = sorted(own, key=own.__getitem__, reverse=True)[:6]
    return ", ".join(f"`{key}` {own[key] / total:.0%}" for key in most)


def peak_bytes(name: str, way: str, batch_size: int, device: str) -> int:
    """Return how much memory one call adds, measured in a process of its own."""
    net, x, y = _case(name, device)
    diagonal = peers.WAYS[way](net)
    if device == "cuda":
        before = torch.cuda.memory_allocated()
        diagonal(x, y, batch_size)
        return torch.cuda.max_memory_allocated() - before
    Path("/proc/self/clear_refs").write_text("5")  # Linux: reset the peak
    before = _kilobytes("VmRSS")
    diagonal(x, y, batch_size)
    return 1024 * (_kilobytes("VmHWM") - before)


def tf32_effect(net: nn.Module, x: Tensor, y: Tensor, sparsity: float = 0.9) -> str:
    """Report what TensorFloat-32 products change: the time, and the masks of one stage."""

    def model() -> LossModel:
        return LossModel.at(net, (x, y), max_bytes=peers.budget(x))

    exact, slow = model(), clock.seconds(model)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    try:
        rounded, fast = model(), clock.seconds(model)
    finally:
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    overlaps = []
    for name in ("lm", "qm", "obd"):
        kept = [
            criteria.saliency(m, name).topk(round((1 - sparsity) * len(m.weights))).indices for m in (exact, rounded)
        ]
        common = torch.isin(*kept).float().mean().item()
        overlaps.append(f"{name} {common:.2%}")
    kept_too = f"of the {1 - sparsity:.0%} kept by one stage the same are kept: {', '.join(overlaps)}"
    return f"With TF32: {slow / fast:.2f} times as fast; {kept_too}."


def _kilobytes(field: str) -> int:
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field))
    return int(line.split()[1])


def _peak_in_own_process(name: str, way: str, batch_size: int, device: str) -> int:
    command = [sys.executable, __file__, name, "--device", device, "--peak", way, str(batch_size)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def _case(name: str, device: str) -> Case:
    net, x, y = CASES[name]()
    return net.to(device), x.to(device), y.to(device)


if __name__ == "__main__":
    main()
