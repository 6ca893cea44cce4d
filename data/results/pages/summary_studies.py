"""The numbers behind SUMMARY.md's verdicts, and what one must know of the studies that they are of."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pandas as pd
from pages.findings_longer import longer_still_in_words
from pages.findings_studies import GUESSING, TRAINED, control_tables, dense_error, trained_to_the_end
from pages.findings_verdicts import first_round
from pages.findings_words import NAMES, SHORTER
from pages.summary_controls import longest_controls
from pages.summary_verdicts import Cases, lag, lead
from pages.summary_words import (
    called,
    epochs,
    in_a_table,
    listed,
    longest,
    opening,
    percent,
    stages_in_words,
)

from lossprune_lib import results
from lossprune_lib.results.findings import LOWEST_CEILING, between_orders
from lossprune_lib.results.statistics import FEWEST_SEEDS


def behind_verdicts(cases: Cases, studies: dict[str, pd.DataFrame], every: dict[str, pd.DataFrame]) -> Iterable[str]:
    """Show the numbers of each case, and say what one must know of the studies."""
    yield in_a_table(
        ["finding", "network", "verdict", "numbers"],
        (
            [
                NAMES[case.number],
                f"{opening(case.name)}, {percent(case.sparsity)}, {case.table['training_epochs'].max():.0f} epochs",
                f"**{case.verdict}**",
                "; ".join([numbers(case.number, case.table), *case.elsewhere]),
            ]
            for case in cases
        ),
    )
    yield (
        "A case with several sparsities counts as its weakest; the table shows the lowest sparsity of that verdict. "
        "*Gap*: error after fine-tuning less that before pruning. *Ceiling*: the largest correlation to be expected "
        "with a gap that is measured so noisily."
    )
    if without := [name for name in longest(every) if every[name]["tuning_epochs"].isna().all()]:
        yield f"{listed(dict.fromkeys(map(opening, without)))} were not fine-tuned for *preserving the loss*."
    if few_stages := [words for name, table in studies.items() if (words := at_most(name, table))]:
        yield f"Pruned in fewer than 140 stages: {'; '.join(few_stages)}."
    yield from beyond_the_weakest(every)
    all_of_them = every | {name: results.together(name) for name in control_tables()}
    few = [too_few(name, table) for name, table in all_of_them.items() if table["seed"].nunique() < FEWEST_SEEDS]
    if few:
        yield f"Too few seeds: {'; '.join(few)}."
    yield from longer_still_in_words()
    yield from of_training({**longest_controls(), **studies})
    yield from after_less(studies, every)
    weaker = sum(
        first_round().get((name, r.finding, f"{r.sparsity:.4g}")) == "reproduced" != r.verdict
        for name, table in every.items()
        for r in results.judge(table).itertuples()
    )
    yield (
        f"By the rules of the first round, which asked for less, *reproduced* was said {weaker} times where it is not "
        "now, counting each sparsity."
    )
    waiting = results.missing("longer")
    if waiting:
        yield f"Not run yet: {', '.join(waiting)}."


def numbers(number: int, part: pd.DataFrame) -> str:
    """Return the numbers behind a verdict, at the sparsity that decides it."""
    tell: dict[int, Callable[[pd.DataFrame], str]] = {1: of_locality, 2: of_orders, 3: of_preserving}
    return tell[number](part)


def of_locality(table: pd.DataFrame) -> str:
    best = results.best_penalty(table).set_index(["criterion", "stages"])["mean"]
    qm, change = best["qm"], results.changes_by_seed(table)["qm"]
    fall = results.paired(change.iloc[:, -1], change.iloc[:, 0])
    open_ = "" if fall.verdict() == "better" else f"; QM by stages {fall.words('.2f')}"
    return (
        f"QM {qm.iloc[0]:.2f} nats in {stages_in_words(qm.index[0])}, {qm.iloc[-1]:.2f} in {qm.index[-1]}, MP "
        f"{best['mp'].iloc[0]:.2f}{open_}"
    )


def of_orders(table: pd.DataFrame) -> str:
    apart = f"LM less QM {lag(table).words('.2f')} nats"
    if lead(table).verdict() == "better":
        return f"{apart}, or {between_orders(table).words('.0f', ' %')} of MP less QM"
    lost = int((table["pruned_train_loss"] > GUESSING).sum())
    broken = f"; {lost} of {len(table)} have a higher loss than guessing" if lost > len(table) / 2 else ""
    return f"QM less MP {lead(table).words('.2f')} nats, not clear; {apart}{broken}"


def of_preserving(table: pd.DataFrame) -> str:
    found = results.preserving(table)
    if not found.near.n:
        return "too few runs near the best one"
    low = ", too low to decide" * (found.near_ceiling < LOWEST_CEILING)
    return (
        f"near the best run, change and gap correlate by {found.near.words('.2f')}, ceiling: {found.near_ceiling:.2f}"
        f"{low}; choosing by change costs {found.cost.words('.2f')} points"
    )


def beyond_the_weakest(studies: dict[str, pd.DataFrame]) -> Iterable[str]:
    """Say what finding 3 comes to at the sparsities where the ceiling is high enough to decide."""
    said = []
    for name, table in studies.items():
        if table["tuning_epochs"].isna().any() or table["seed"].nunique() < FEWEST_SEEDS:
            continue
        for sparsity, part in table.groupby("sparsity"):
            found = results.preserving(part)
            if found.near.n and found.near_ceiling >= LOWEST_CEILING:
                where = f"{called(name)} at {percent(float(str(sparsity)))}, {epochs(table)} epochs"
                said.append(
                    f"{where}: {found.near.words('.2f')}, ceiling {found.near_ceiling:.2f}, and choosing by change "
                    f"costs {found.cost.words('.2f')} points"
                )
    yield (
        "A correlation as high as a low ceiling is no success: its interval holds nearly everything. Where the ceiling "
        f"could decide: {'; '.join(said) or 'nowhere'}."
    )


def at_most(name: str, table: pd.DataFrame) -> str:
    """Return by how much a network was pruned in fewer stages than 140, and in how many, in words."""
    most = table.groupby("sparsity")["stages"].max()
    fewer = [f"at {percent(float(str(sparsity)))} in {stages}" for sparsity, stages in most[most < 140].items()]
    return f"{called(name)} {listed(fewer)}" if fewer else ""


def too_few(name: str, table: pd.DataFrame) -> str:
    """Return the name of a network of few seeds, its training and, where the rules ask for it, what it came to."""
    seeds, trained = table["seed"].nunique(), table["training_epochs"].max()
    words = f"{called(name)} after {trained:.0f} epochs ({seeds} seed{'s' * (seeds > 1)}"
    if table["model"].iloc[0] in TRAINED:
        words += f", {dense_error(table):.1f} % dense error"
    return f"{words})"


def unfinished(studies: dict[str, pd.DataFrame]) -> str:
    """Say which networks were not trained to the end, if there are any, and whether those of their controls were."""
    names = dict.fromkeys(called(name) for name, table in studies.items() if not trained_to_the_end(table))
    if not names:
        return ""
    controls = {called(name): trained_to_the_end(table) for name, table in longest_controls().items()}
    but = ", except in controls" * all(controls.get(name, False) for name in names)
    return f"; {listed(names)} {'is' if len(names) == 1 else 'are'} not trained to the end{but}"


def of_training(studies: dict[str, pd.DataFrame]) -> Iterable[str]:
    """Say which networks were trained to the end, by the rules."""
    said: dict[bool, dict[str, str]] = {True: {}, False: {}}
    for name, table in studies.items():
        if limit := TRAINED.get(table["model"].iloc[0]):
            words = (
                f"{called(name)} ({table['training_epochs'].max():.0f} epochs), {dense_error(table):.1f} % dense error"
            )
            said[trained_to_the_end(table)][called(name)] = f"{words} (limit {limit} %)"
    heads = {False: "Not trained to the end", True: "Trained to the end"}
    sentences = [f"{heads[end]}: {'; '.join(of.values())}." for end, of in said.items() if of]
    if sentences:
        yield " ".join(sentences)


def after_less(studies: dict[str, pd.DataFrame], every: dict[str, pd.DataFrame]) -> Iterable[str]:
    """Say what the verdicts were after a shorter training, which stand beside the others by the rules."""
    for name, table in studies.items():
        if (before := SHORTER.get(name)) in every:
            verdicts = results.cases(results.judge(every[before]))
            both = [int(of["training_epochs"].iloc[0]) for of in (every[before], table)]
            yield (
                f"{opening(name)} after {both[0]} epochs in float32, not {both[1]} in bfloat16: "
                f"locality *{verdicts[1]}*, orders *{verdicts[2]}*."
            )
