"""Which tables FINDINGS.md is about, and what each section says first: what was run, and how far it was trained."""

from __future__ import annotations

import math
from collections.abc import Iterable

import pandas as pd
from pages.findings_words import is_of_controls

from lossprune_lib import results

# What was asked for at first and left out, for want of time.
FEWER_STAGES = {
    "cifar10_vgg_quarter": "140 stages, and the exact curvature beside the sampled one, were not run for this network.",
    "cifar10_vgg_100_epochs": "The most stages are 14 here: 140 were not run, and the verdicts are for 14.",
    "cifar10_resnet_100_epochs": "The exact curvature beside the sampled one was not run for this network.",
}
# At most so much test error before pruning (%), as the mean over seeds, has a network that was trained to the end.
TRAINED = {"preact_resnet18": 12, "vgg11": 16}
GUESSING, CHANCE = math.log(10), 0.895  # the loss, and nearly the error, of one of ten classes for all


def opening(name: str, table: pd.DataFrame) -> Iterable[str]:
    errors = table.drop_duplicates("seed")[["dense_valid_error", "dense_test_error"]].mean() * 100
    tuning = table["tuning_epochs"].max()
    yield from [f"## {name}", ""]
    seeds = table["seed"].nunique()
    yield (
        f"{len(table):,} runs, {seeds} seed{'s' * (seeds > 1)}, {int(table['training_epochs'].iloc[0])} epochs of "
        f"training and {'none' if pd.isna(tuning) else int(tuning)} of fine-tuning; before pruning an error of "
        f"{errors.iloc[0]:.2f} % (validation) and {errors.iloc[1]:.2f} % (test)."
    )
    if name in FEWER_STAGES:
        yield FEWER_STAGES[name]
    if not trained_to_the_end(table):
        yield (
            f"A network counts as trained to the end with at most {TRAINED[table['model'].iloc[0]]} % test error: "
            "all that follows is said of networks that are not."
        )
    second = table[table["criterion"].isin(["obd", "qm"])]
    if "curvature_columns" in second and second["curvature_columns"].eq(1).all():
        yield "OBD and QM have a sampled curvature here, of one column for each example."
    for sparsity, part in table.groupby("sparsity"):
        lost = part["pruned_train_loss"] > GUESSING
        if lost.mean() > 0.5:
            yield (
                f"At {sparsity:.4g}, {lost.sum()} of {len(part)} pruned networks have a training loss above ln 10, "
                "that of guessing: their loss changes compare what is broken."
            )
    if others := results.belonging(name):
        yield f"Read together with {' and '.join(others)}."
    yield ""


def dense_error(table: pd.DataFrame) -> float:
    """Return the mean test error (%) of the networks before pruning."""
    return float(100 * table.drop_duplicates("seed")["dense_test_error"].mean())


def trained_to_the_end(table: pd.DataFrame) -> bool:
    """Say whether the networks were, where the rules ask for it."""
    return dense_error(table) <= TRAINED.get(table["model"].iloc[0], 100)


def leading(folder: str = ".") -> list[str]:
    """Return the names of a folder's tables, without those that belong to another one of them."""
    found = results.names(folder)
    return [name for name in found if not any(name in results.belonging(other) for other in found)]


def judged_tables() -> list[str]:
    """Return the names of the tables that the findings are judged by."""
    return [*leading(), *leading("longer"), *(name for name in leading("longer_training") if not is_of_controls(name))]


def control_tables() -> list[str]:
    """Return the names of the tables that compare fine-tuned masks with controls."""
    return [*leading("controls"), *filter(is_of_controls, leading("longer_training"))]
