"""Fine-tuning 82 pruned networks together against one after another: python tests/benchmarks/ensembles.py [TASK] [EPOCHS].

Both in one process, in turns. Prints seconds, their ratio, and how far the validation errors differ.
"""

from __future__ import annotations

import statistics
import sys
import time

import torch

from lossprune_lib import LocalPruner, data, ensembles, models, training

NETWORKS = 82


def main(task_name: str = "digits", epochs: int = 5, repeats: int = 3) -> None:
    task = data.load(task_name)
    net = models.pretrained("mlp_300_100", task)
    sparsities = [0.5 + 0.49 * r / NETWORKS for r in range(NETWORKS)]
    masks = [LocalPruner("mp", sparsity, stages=1).prune(net, task).mask for sparsity in sparsities]
    stack = ensembles.Ensemble.of([net] * NETWORKS)
    kept = torch.stack([mask.kept for mask in masks])
    ratios = []
    for _ in range(repeats):
        start = time.perf_counter()
        together = ensembles.fit(stack, task, epochs, kept=kept, progress=False)
        middle = time.perf_counter()
        alone = [training.fit(net, task, epochs, mask=mask, progress=False) for mask in masks]
        end = time.perf_counter()
        ratios.append((end - middle) / (middle - start))
        print(f"together {middle - start:6.2f} s   one after another {end - middle:6.2f} s   ratio {ratios[-1]:.2f}")
    errors = [score.error for score in ensembles.evaluate(together, task)]
    differences = [abs(training.evaluate(n, task).error - error) for n, error in zip(alone, errors, strict=True)]
    print(f"median ratio {statistics.median(ratios):.2f}; validation errors differ by {max(differences):.4f} at most")


if __name__ == "__main__":
    main(*sys.argv[1:2], *map(int, sys.argv[2:]))
