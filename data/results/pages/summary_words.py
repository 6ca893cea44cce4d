"""How SUMMARY.md chooses studies, calls their networks, counts, and lays out its tables."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd
from pages.findings_words import rows

from lossprune_lib.results.statistics import FEWEST_SEEDS

CALLED = {
    "cifar10_small_vgg": "small VGG",
    "cifar10_resnet": "ResNet",
    "cifar10_vgg": "VGG11",
    "mnist": "MNIST",
    "digits": "digits",
}


def longest(studies: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Leave out studies of too few seeds, and those whose networks another one trained for longer."""
    kept: dict[object, str] = {}
    studies = {name: table for name, table in studies.items() if table["seed"].nunique() >= FEWEST_SEEDS}
    for name, table in sorted(studies.items(), key=lambda item: item[1]["training_epochs"].max()):
        kept[table["task"].iloc[0], table["model"].iloc[0], *sorted(table["sparsity"].unique())] = name
    return {name: table for name, table in studies.items() if name in kept.values()}


def called(name: str) -> str:
    """Return the name of a study's network, to be read aloud."""
    return next(words for start, words in CALLED.items() if name.startswith(start))


def opening(name: str) -> str:
    """Return the name of a study's network at the beginning of a sentence."""
    return called(name)[0].upper() + called(name)[1:]


def pruned(name: str, sparsity: float) -> str:
    """Return the name of a network and, unless it is always the same, its sparsity."""
    return called(name) if called(name) == "MNIST" else f"{called(name)} at {percent(sparsity)}"


def listed(names: Iterable[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def in_a_table(head: list[str], body: Iterable[list[object]]) -> str:
    return "\n".join(rows(head, body)).rstrip()


def percent(share: float, digits: int = 3) -> str:
    return f"{100 * share:.{digits}g} %"


def least_and_most(numbers: Iterable[float], form: str = ".2f") -> str:
    """Return the least and the most of those numbers that are known, as words."""
    known = [number for number in numbers if not pd.isna(number)]
    if not known:
        return "not given"
    least, most = (f"{end:{form}}" for end in (min(known), max(known)))
    return least if least == most else f"{least} to {most}"


def stages_in_words(stages: int) -> str:
    return "one stage" if stages == 1 else f"{stages} stages"


def epochs(table: pd.DataFrame) -> str:
    """Return how many epochs of training and of fine-tuning a study has."""
    return " + ".join(f"{table[f'{when}_epochs'].max():.0f}" for when in ("training", "tuning"))
