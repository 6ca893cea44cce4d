"""Small hand-made tables in the form that a study gives."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

Numbers = dict[tuple[str, int, float], list[float]]


def table(changes: Numbers, gaps: Numbers | None = None, sparsity: float = 0.9, **columns: object) -> pd.DataFrame:
    """Return one row per entry and seed: (criterion, stages, step penalty) -> one number per seed.

    `changes` are loss changes (nats), `gaps` percentage points on validation, 1 more on test; without them there was no
    fine-tuning.
    """
    rows = []
    for (criterion, stages, penalty), values in changes.items():
        for seed, change in enumerate(values):
            gap = float("nan") if gaps is None else gaps[criterion, stages, penalty][seed] / 100
            rows.append(
                {
                    "task": "digits",
                    "model": "mlp_300_100",
                    "seed": seed,
                    "criterion": criterion,
                    "sparsity": sparsity,
                    "stages": stages,
                    "schedule": "exponential",
                    "step_penalty": penalty,
                    "true_change": change,
                    "dense_valid_error": 0.25,
                    "dense_test_error": 0.5,
                    "tuned_valid_error": 0.25 + gap,
                    "tuned_test_error": 0.51 + gap,
                    "density.fc1": 0.05,
                    "density.fc2": 0.25,
                }
                | columns
            )
    return pd.DataFrame(rows)


def of_ranks(*gaps_of_seeds: list[float]) -> pd.DataFrame:
    """Return runs whose loss changes are 1, 2, 3, ..., with these gaps in each seed."""
    penalties = range(len(gaps_of_seeds[0]))
    return table(
        {("lm", 1, float(i)): [i + 1.0] * len(gaps_of_seeds) for i in penalties},
        {("lm", 1, float(i)): [gaps[i] for gaps in gaps_of_seeds] for i in penalties},
    )


# Two studies for what shows tables: several seeds, stages and penalties; and one seed alone.
LARGE = table(
    {
        ("mp", 1, 0): [2.0, 4.0],
        ("qm", 1, 0): [-5.0, 3.0],
        ("qm", 1, 1e-3): [2.0, 3.0],
        ("qm", 14, 0): [1.0, 2.0],
        ("qm", 14, 1e-3): [1.0, 1.5],
    },
    {
        ("mp", 1, 0): [4.0, 5.0],
        ("qm", 1, 0): [3.0, 4.0],
        ("qm", 1, 1e-3): [2.0, 2.5],
        ("qm", 14, 0): [1.0, 2.0],
        ("qm", 14, 1e-3): [-1.0, 0.0],
    },
)
SMALL = table({("mp", 1, 0): [1.0], ("lm", 7, 0.5): [0.25], ("lm", 7, 0): [0.5]}, sparsity=0.5)


def with_controls(errors: Mapping[tuple[str, str], float], noise: float = 0.1, seeds: int = 5) -> pd.DataFrame:
    """Return runs of MNIST in 14 stages with controls: (criterion, control) -> mean test error (%).

    Seeds differ by a few points, which all runs of a seed share; what is left is normal noise (points).
    """
    draws = np.random.default_rng(0)
    of_seed = draws.normal(0, 2, seeds)
    parts = []
    for (criterion, control), error in errors.items():
        tuned = (error + of_seed + draws.normal(0, noise, seeds)) / 100
        own = table({(criterion, 1 if criterion == "mp" else 14, 0 if criterion == "mp" else 1e-3): [1.0] * seeds})
        parts.append(own.assign(tuned_valid_error=tuned, tuned_test_error=tuned, control=control, task="mnist"))
        if control == "gradual":
            parts[-1]["true_change"] = float("nan")
    return pd.concat(parts, ignore_index=True)
