"""What the scripts of FINDINGS.md share: the names of findings and studies, and how numbers stand in their tables."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd

from lossprune_lib.results.statistics import FEWEST_SEEDS

NAMES = {1: "locality is crucial", 2: "first and second order are similar", 3: "preserving the loss is not enough"}
OF_SHARES = ("magnitude", "shuffled")
# Which controls were run with a study's networks, where they are not its own.
CONTROLLED = {
    "digits": "digits_controls",
    "mnist_200": "mnist_controls",
    "cifar10_resnet_quarter": "cifar10_resnet_controls",
    "cifar10_vgg_quarter": "cifar10_vgg_controls",
    "cifar10_resnet_100_epochs": "cifar10_resnet_100_epochs_controls",
    "cifar10_vgg_100_epochs": "cifar10_vgg_100_epochs_controls",
}
# Networks that were trained for longer, and the study of those that were not.
SHORTER = {
    "cifar10_resnet_100_epochs": "cifar10_resnet_quarter",
    "cifar10_resnet_100_epochs_controls": "cifar10_resnet_controls",
    "cifar10_vgg_100_epochs": "cifar10_vgg_quarter",
    "cifar10_vgg_100_epochs_controls": "cifar10_vgg_controls",
}


def is_of_controls(name: str) -> bool:
    """Whether a table compares fine-tuned masks with controls."""
    return name in CONTROLLED.values()


def sparsity(r: Any) -> str:
    return "" if pd.isna(r.sparsity) else f"{r.sparsity:.4g}"


def trained(r: Any) -> str:
    """Return the name of a row of `results.between_trainings`."""
    mask = (
        f"of {r.control} at {r.criterion.upper()}'s shares" if r.control in OF_SHARES else f"of {r.criterion.upper()}"
    )
    words = [
        r.measure,
        mask if r.criterion else "",
        f"({r.control})" if r.control and r.control not in OF_SHARES else "",
    ]
    return " ".join(filter(None, [*words, f"in {r.stages}" if r.stages > 1 else ""]))


def setting(r: Any) -> list[object]:
    return [f"{r.sparsity:.4g}", r.criterion.upper(), r.stages, f"{r.step_penalty:g}"]


def chosen(r: Any) -> list[object]:
    return [*setting(r), pair(r.mean, r.spread) + " \\*" * r.differs, over_seeds(r.low, r.high, r.values)]


def mean(r: Any) -> str:
    return f"{r.mean:.2f} {over_seeds(r.low, r.high, r.values)}".strip()


def rows(head: list[str], body: Iterable[list[object]]) -> Iterable[str]:
    for row in [head, ["---"] * len(head), *body]:
        yield "| " + " | ".join(str(cell) for cell in row) + " |"
    yield ""


def pair(mean: float, spread: float) -> str:
    return "" if pd.isna(mean) else f"{mean:.2f}" if pd.isna(spread) else f"{mean:.2f} ± {spread:.2f}"


def over_seeds(low: float, high: float, values: tuple[float, ...]) -> str:
    """Return an interval or, where there are too few seeds for one, the seeds."""
    few = 1 < len(values) < FEWEST_SEEDS
    return between(low, high) or few * f"(seeds {', '.join(f'{value:.2f}' for value in values)})"


def between(low: float, high: float, form: str = ".2f") -> str:
    if any(bound and not float(f"{bound:{form}}") for bound in (low, high)):
        form = ".4f"  # on which side of zero an interval ends must be seen
    return "" if pd.isna(low) else f"({low:{form}} to {high:{form}})"
