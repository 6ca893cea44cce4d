"""Small hand-made tables in the form that a study gives."""

from __future__ import annotations

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
