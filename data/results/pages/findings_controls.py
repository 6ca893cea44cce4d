"""The sections of FINDINGS.md on fine-tuned masks and their controls."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import pandas as pd
from pages.findings_studies import CHANCE, opening
from pages.findings_words import CONTROLLED, OF_SHARES, mean, rows, setting

from lossprune_lib import results
from lossprune_lib.results.controls import margin
from lossprune_lib.results.statistics import FEWEST_SEEDS

OF_CONTROLS = (
    "*As good as* asks for an interval within {margin} of zero. *The shares explain it* is not said where the "
    "interval of magnitude less the criterion leaves that margin; *the shares explain most of it*, unless that of "
    "what the shares gain less what they do not lies above zero; neither, unless MP's lag is clear, and more than the "
    "margin; *single weights matter* and *the largest weights at "
    "its shares are better*, where that of magnitude less the criterion includes zero."
)
ALONE = ", taken alone"


def controls(name: str) -> str:
    table = results.together(name)
    try:
        found = results.controls(table)
    except ValueError as error:  # what they are the controls of was not run yet
        return "\n".join([*opening(name, table), f"Not judged: {error}", ""])
    themselves = results.between_criteria(table)
    found, themselves = of_many(found, themselves)
    told = found.drop_duplicates(["sparsity", "criterion", "stages", "step_penalty"])
    lines = [*opening(name, table), "**Test error after fine-tuning, percentage points, paired by seed**", ""]
    lines += [OF_CONTROLS.format(margin=in_points(margin(table))), ""]
    lines += rows(
        ["sparsity", "criterion", "stages", "lambda", "together"],
        ([*setting(r), f"**{r.sentence}**"] for r in told.itertuples()),
    )
    lines += rows(
        ["sparsity", "criterion", "stages", "lambda", "difference", "mean", "n", "the first is"],
        (
            [*setting(r), f"{r.first} minus {r.second}", mean(r), r.seeds, r.verdict + ALONE * bool(r.alone)]
            for r in found.itertuples()
        ),
    )
    broken = table.groupby("control")["tuned_test_error"].min()
    if at_chance := broken.index[broken > CHANCE].tolist():
        lines += [f"At chance after fine-tuning, in every network: {', '.join(at_chance)}.", ""]
    if not themselves.empty:
        lines += ["The other criteria less QM, at the same settings:", ""]
        lines += rows(
            ["sparsity", "stages", "lambda", "difference", "mean", "n", "the first is"],
            (
                [
                    f"{r.sparsity:.4g}",
                    r.stages,
                    f"{r.step_penalty:g}",
                    f"{r.first} minus qm",
                    mean(r),
                    r.seeds,
                    r.verdict + ALONE * bool(r.alone),
                ]
                for r in themselves.itertuples()
            ),
        )
    lines += other_penalties(name, table)
    every = pd.concat([found, themselves], ignore_index=True)
    clear, known = every["verdict"].isin(["better", "worse"]), every["low"].notna().sum()
    if not known:
        return "\n".join([*lines, f"Below {FEWEST_SEEDS} seeds no difference has an interval, and none is judged.\n"])
    remain = (clear & ~every["alone"]).sum()
    lines.append(
        f"So many comparisons: {clear.sum()} of these {known} differences with intervals are "
        f"clear, each by itself. Of {remain} it can be said that on average at most one in twenty is a false "
        f"alarm, were the comparisons independent (Benjamini and Hochberg 1995); the others are "
        f"marked *{ALONE.strip(', ')}*.\n"
    )
    return "\n".join(lines)


def in_points(margin: float) -> str:
    return "one point" if margin == 1 else f"{margin:g} points"


def other_penalties(name: str, table: pd.DataFrame) -> Iterable[str]:
    """Say which step penalties were best without fine-tuning, where that was asked and all masks here have one."""
    asked = next(study for study, controlled in CONTROLLED.items() if controlled == name)
    (penalty,) = table.loc[table["control"].isin(OF_SHARES), "step_penalty"].unique()
    said = f"The controls have masks of one step penalty, {penalty:g}."
    if asked not in results.names("**"):
        yield f"{said} Which one keeps the loss best was not asked: `{asked}` was not run.\n"
        return
    best = results.best_penalty(results.together(asked))
    here = table.loc[table["step_penalty"] > 0, ["sparsity", "criterion", "stages"]].drop_duplicates()
    other = [
        f"{r.criterion.upper()} in {r.stages} at {r.sparsity:.4g} ({r.step_penalty:g})"
        for r in best.merge(here).itertuples()
        if r.step_penalty != penalty
    ]
    if other:
        yield (
            f"{said} In `{asked}` others keep the loss best: {', '.join(other)}. So criteria are compared at it that "
            "are not tuned alike.\n"
        )


def of_many(*tables: pd.DataFrame) -> list[pd.DataFrame]:
    """Mark differences that are clear by themselves, but not among all of these tables'."""
    every = pd.concat(tables, ignore_index=True)
    every["alone"] = every["verdict"].isin(["better", "worse"]) & ~(results.adjusted_p(every) <= 0.05)
    ends = [0, *itertools.accumulate(map(len, tables))]
    marks = [every["alone"].iloc[start:end].to_numpy() for start, end in itertools.pairwise(ends)]
    return [table.assign(alone=mark) for table, mark in zip(tables, marks, strict=True)]
