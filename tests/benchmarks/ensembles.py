"""Fine-tuning 82 pruned networks together against one after another: python tests/benchmarks/ensembles.py [TASK] [EPOCHS] [REPEATS].

Both in one process, in turns, for two sets of masks: those of a grid as in the paper (sparsity 0.98847), and magnitude masks
from 50 to 99 %. Prints seconds, their ratio, and how far the validation errors differ.
"""

from __future__ import annotations

import statistics
import sys
import time
import warnings

import torch
from torch import Tensor, nn

from lossprune_lib import LocalPruner, data, ensembles, models, training
from lossprune_lib.pruning import EmptyLayerWarning, prune_together
from lossprune_lib.study import STEP_PENALTIES

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
    for name, pruners in sets.items():
        masks = [run.mask for run in prune_together(pruners, net, task, progress=False)]
        print(f"{len(masks)} networks, {name}, {epochs} epochs, {task.device}, {torch.get_num_threads()} threads")
        _compare(net, task, masks, epochs, repeats)


def _compare(net: nn.Module, task: data.Task, masks: list, epochs: int, repeats: int) -> None:
    stack = ensembles.Ensemble.of([net] * len(masks))
    kept = torch.stack([mask.kept for mask in masks])
    ratios = []
    for _ in range(repeats):
        together, seconds = _timed(lambda: ensembles.fit(stack, task, epochs, kept=kept, progress=False), kept)
        alone, seconds_alone = _timed(
            lambda: [training.fit(net, task, epochs, mask=mask, progress=False) for mask in masks], kept
        )
        ratios.append(seconds_alone / seconds)
        print(f"together {seconds:6.2f} s   one after another {seconds_alone:6.2f} s   ratio {ratios[-1]:.2f}")
    errors = [score.error for score in ensembles.evaluate(together, task)]
    differences = [abs(training.evaluate(n, task).error - error) for n, error in zip(alone, errors, strict=True)]
    print(
        f"median ratio {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}); "
        f"validation errors differ by {max(differences):.4f} at most"
    )


def _timed(work, on: Tensor):
    start = time.perf_counter()
    result = work()
    if on.is_cuda:
        torch.cuda.synchronize()
    return result, time.perf_counter() - start


if __name__ == "__main__":
    main(*sys.argv[1:2], *map(int, sys.argv[2:]))
