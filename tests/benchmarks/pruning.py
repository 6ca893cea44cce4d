"""140 stages of the quadratic model on the MNIST network, 1,000 examples per stage: the pruner against the reference.

Run: python tests/benchmarks/pruning.py [STAGES] [REPEATS]. Both in one process, in turns, on random images: speed does
not depend on what they show. On one thread, by CPU time, which other programs disturb least. Prints the time of each,
their ratio, and how far the masks agree. The pruner's trace says how each stage changed the loss; the reference says so
where its name has it, for one more pass through the network a stage.
"""

from __future__ import annotations

import copy
import sys
import time

import clock
import reference
import torch

from lossprune_lib import LocalPruner, Mask, WeightSpace, data, models
from lossprune_lib.seeds import generator

EXAMPLES, SPARSITY = 1000, 1 - 0.8**20


def main(stages: int = 140, repeats: int = 5) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    x, y = torch.randn(12 * EXAMPLES, 1, 28, 28), torch.randint(10, (12 * EXAMPLES,))
    task = data.Task.from_tensors(x, y, x[:100], y[:100], x[:100], y[:100])
    net = models.mlp_300_100(task)
    pruner = LocalPruner("qm", sparsity=SPARSITY, stages=stages, batch_size=EXAMPLES)
    kept: dict[str, torch.Tensor] = {}

    def pruned() -> None:
        *_, last = pruner.stream(net, task)
        kept["pruner"] = last.mask.kept

    def plain(outputs_only: bool = False, losses: list[float] | None = None) -> None:
        batches = (task.sample(EXAMPLES, generator(0, "batch", stage)) for stage in range(1, stages + 1))
        kept["reference"] = reference.prune_(
            copy.deepcopy(net), "qm", pruner.sparsities, batches, outputs_only=outputs_only, losses=losses
        )

    def selections() -> None:
        mask, scores = Mask.dense(WeightSpace(net)), torch.rand(WeightSpace(net).size)
        for sparsity in pruner.sparsities:
            mask.smallest_kept(scores, mask.still_to_prune(sparsity, "global"))

    versions = {
        "pruner": pruned,
        "reference, with losses": lambda: plain(losses=[]),
        "reference": plain,
        "reference without weight gradients, with losses": lambda: plain(outputs_only=True, losses=[]),
        "only the selections, of all weights": selections,
    }
    times = clock.in_turns(versions, repeats, now=time.process_time)
    rows = [[name, clock.spread(times[name]), clock.ratios(times[name], times["pruner"])] for name in versions]
    differing = (kept["pruner"] != kept["reference"]).float().mean().item()
    clock.keep(
        "pruning",
        f"{stages} stages of the quadratic model, MNIST network, {EXAMPLES:,} examples a stage",
        f"{clock.machine()}; {repeats} rounds.\n\n{clock.table(['version', 'CPU ms', 'times ours'], rows)}\n\n"
        f"Masks differ in {differing:.3%} of the weights (float32 rounding decides near ties).",
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
