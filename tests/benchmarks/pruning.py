"""140 stages of the quadratic model on the MNIST network, 1,000 examples a stage: the pruner against the reference.

Run: python tests/benchmarks/pruning.py [STAGES] [REPEATS]. Both in one process, in turns, on random images: speed does
not depend on what they show. Prints seconds of each, their ratio, and how far the masks agree.
"""

from __future__ import annotations

import copy
import statistics
import sys
import time
from collections.abc import Callable

import reference
import torch

from lossprune_lib import LocalPruner, data, models
from lossprune_lib.seeds import generator

EXAMPLES, SPARSITY = 1000, 1 - 0.8**20


def seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def main(stages: int = 140, repeats: int = 3) -> None:
    torch.manual_seed(0)
    x, y = torch.randn(12 * EXAMPLES, 1, 28, 28), torch.randint(10, (12 * EXAMPLES,))
    task = data.Task.from_tensors(x, y, x[:100], y[:100], x[:100], y[:100])
    net = models.mlp_300_100(task)
    pruner = LocalPruner("qm", sparsity=SPARSITY, stages=stages, batch_size=EXAMPLES)
    kept: dict[str, torch.Tensor] = {}

    def pruned() -> None:
        *_, last = pruner.stream(net, task)
        kept["pruner"] = last.mask.kept

    def plain(outputs_only: bool) -> None:
        batches = (task.sample(EXAMPLES, generator(0, "batch", stage)) for stage in range(1, stages + 1))
        kept["reference"] = reference.prune_(
            copy.deepcopy(net), "qm", pruner.sparsities, batches, outputs_only=outputs_only
        )

    versions = {
        "pruner": pruned,
        "reference": lambda: plain(False),
        "reference without weight gradients": lambda: plain(True),
    }
    times = [{name: seconds(run) for name, run in versions.items()} for _ in range(repeats)]
    print(
        f"{stages} stages, {torch.get_num_threads()} threads, {repeats} runs in turns: median seconds, and ratio to the pruner"
    )
    for name in versions:
        ratios = sorted(row[name] / row["pruner"] for row in times)
        median = statistics.median(row[name] for row in times)
        print(f"{name:36} {median:7.2f} s  {statistics.median(ratios):5.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})")
    differing = (kept["pruner"] != kept["reference"]).float().mean().item()
    print(f"masks differ in {100 * differing:.3f} % of the weights (float32 rounding decides near ties)")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
