"""Fine-tuning 82 pruned networks together against one after another.

Run: python tests/benchmarks/ensembles.py [TASK] [EPOCHS] [REPEATS]. Both in one process, in turns, for two sets of
masks: those of a grid as in the paper (sparsity 0.98847), and magnitude masks from 50 to 99 %. Prints and saves the
times, their ratio, and how far the validation errors differ.
"""

from __future__ import annotations

import sys
import warnings

import clock
import torch
from torch import nn

from lossprune_lib import LocalPruner, data, ensembles, models, training
from lossprune_lib.pruning import EmptyLayerWarning, prune_together
from lossprune_lib.studies.study import STEP_PENALTIES

NETWORKS = 82
PAPER = 1 - 0.8**20


def main(task_name: str = "digits", epochs: int = 5, repeats: int = 5) -> None:
    warnings.simplefilter("ignore", EmptyLayerWarning)
    task = data.load(task_name)
    net = models.pretrained("mlp_300_100", task_name).to(task.device)
    grid = [
        LocalPruner(criterion, PAPER, stages, step_penalty=penalty)
        for criterion in ("obd", "lm", "qm")
        for stages in (1, 7, 14)
        for penalty in STEP_PENALTIES
    ]
    sets = {
        "grid at 0.98847": [LocalPruner("mp", PAPER, 1), *grid],
        "magnitude, 0.5 to 0.99": [LocalPruner("mp", 0.5 + 0.49 * r / NETWORKS, 1) for r in range(NETWORKS)],
    }
    rows = []
    for name, pruners in sets.items():
        masks = [run.mask for run in prune_together(pruners, net, task, progress=False)]
        rows.append([name, *_compare(net, task, masks, epochs, repeats)])
    head = ["masks", "together, ms", "one after another, ms", "ratio", "validation errors differ by"]
    title = f"{NETWORKS} networks fine-tuned for {epochs} epochs on {task_name}"
    clock.keep("ensembles", title, f"{clock.machine(task.device.type)}; {repeats} rounds.\n\n{clock.table(head, rows)}")


def _compare(net: nn.Module, task: data.Task, masks: list, epochs: int, repeats: int) -> list[str]:
    stack = ensembles.Ensemble.of([net] * len(masks))
    kept = torch.stack([mask.kept for mask in masks])
    found = {}

    def together() -> None:
        found["together"] = ensembles.fit(stack, task, epochs, kept=kept, progress=False)

    def alone() -> None:
        found["alone"] = [training.fit(net, task, epochs, mask=mask, progress=False) for mask in masks]

    times = clock.in_turns({"together": together, "alone": alone}, repeats)
    errors = [score.error for score in ensembles.evaluate(found["together"], task)]
    apart = [abs(training.evaluate(n, task).error - error) for n, error in zip(found["alone"], errors, strict=True)]
    return [*map(clock.spread, times.values()), clock.ratios(times["alone"], times["together"]), f"{max(apart):.4f}"]


if __name__ == "__main__":
    main(*sys.argv[1:2], *map(int, sys.argv[2:]))
