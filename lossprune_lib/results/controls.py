"""Single weights, or the layers' shares? A criterion beside its controls, as ``data/results/JUDGING.md`` has it."""

from __future__ import annotations

import pandas as pd

from lossprune_lib.results.selection import (
    CELL,
    check_columns,
    distinct,
    gap,
    has_no_model,
    loss_change,
    of_one_curvature,
)
from lossprune_lib.results.statistics import ENTRIES, interval, paired

_MARGIN = 0.5  # percentage points
_MARGINS = {"digits": 1.0}  # whose 300 test images move the error by thirds of a point


def margin(table: pd.DataFrame) -> float:
    """Return how far test errors may differ and still be as good as each other (percentage points)."""
    check_columns(table, ["task"], "give one from Study.run, Study.table or results.load")
    return _MARGINS.get(table["task"].iloc[0], _MARGIN)


def controls(table: pd.DataFrame) -> pd.DataFrame:
    """Return paired differences of test error after fine-tuning: magnitude, each criterion, and the controls of both.

    Parameters
    ----------
    table : with controls, and with the criteria that they are the controls of

    Returns
    -------
    DataFrame
        sparsity, criterion, stages, step_penalty; first and second, what is compared: "mp" and the criterion; "mp" and
        "magnitude" (the largest weights within each layer, at the criterion's shares); "magnitude" and the criterion;
        then "shuffled" and each control of magnitude beside the criterion. mean, low and high of first less second
        (percentage points); seeds; values, one per seed; verdict on the first, as in `Interval.verdict` with `margin`;
        sentence, what the first three say together.

    Raises
    ------
    ValueError
        if there is nothing to compare, or there are runs that were not fine-tuned.
    """
    runs = of_one_curvature(distinct(table))
    runs = runs.assign(error=gap(runs, "test"))  # the dense network is the same: a gap differs as an error does
    rows = []
    for cell, part in runs[~runs["criterion"].map(has_no_model)].groupby(CELL, sort=False):
        if "magnitude" not in set(part["control"]):
            continue
        sparsity, criterion = cell[0], str(cell[1])
        of_magnitude = _of_magnitude(runs, sparsity)
        errors = _by_seed(part, "error", criterion) | _by_seed(of_magnitude, "error", "mp")
        says = _sentence(errors, criterion, margin(runs))
        others = [name for name in errors if name not in ("mp", "magnitude", criterion)]
        pairs = [("mp", criterion), ("mp", "magnitude"), *((name, criterion) for name in ["magnitude", *others])]
        for first, second in pairs:
            if first in errors and second in errors:
                found = paired(errors[first], errors[second])
                rows.append((*cell, first, second, *found.entries, found.verdict(margin(runs)), says))
    if not rows:
        raise ValueError("The table has no controls to compare: give one of a study with the control 'magnitude'.")
    return pd.DataFrame(rows, columns=[*CELL, "first", "second", *ENTRIES, "verdict", "sentence"])


def controls_in_words(
    table: pd.DataFrame, criterion: str = "qm", stages: int = 14, *, others: bool = False, decimals: int = 1
) -> pd.DataFrame:
    """Return what `controls` finds of one criterion, to be read: a row for each comparison, a column for each sparsity.

    Each entry is the mean difference of test error (percentage points) with its 95 % interval, or the seeds themselves
    below four. With `others`, the rows of `between_criteria` at the same step penalties come last; they are those of
    QM.

    Raises
    ------
    ValueError
        as `controls`, and if it finds nothing of this criterion in so many stages, or several step penalties.
    """
    every = controls(table)
    found = every[(every["criterion"] == criterion) & (every["stages"] == stages)]
    if found.empty:
        there = sorted(
            {f"{name} in {number}" for name, number in zip(every["criterion"], every["stages"], strict=True)}
        )
        raise ValueError(
            f"There are no controls of {criterion} in {stages} stages: there are those of {', '.join(there)}."
        )
    if (found.groupby("sparsity")["step_penalty"].nunique() > 1).any():
        penalties = ", ".join(f"{penalty:g}" for penalty in found["step_penalty"].unique())
        raise ValueError(
            f"There are controls of {criterion} at several step penalties ({penalties}): keep one, and MP's runs."
        )
    if others:
        more = between_criteria(table)
        same = (more["stages"] == stages) & more["step_penalty"].isin(found["step_penalty"])
        found = pd.concat([found, more[same]], ignore_index=True)
    short = criterion.upper()
    names = {"mp": "MP", criterion: short, "magnitude": f"{short}'s shares", "uniform": "equal shares"}
    names |= {"lm": "LM", "obd": "OBD", "qm": "QM"}
    first, second = (found[side].replace(names) for side in ("first", "second"))
    words = [interval(values).words(f"z.{decimals}f") for values in found["values"]]
    pruned = [f"{100 * sparsity:.3g} %" for sparsity in found["sparsity"]]
    wide = found.assign(words=words, pruned=pruned, compared=first + " minus " + second)
    return wide.pivot(index="compared", columns="pruned", values="words").loc[wide["compared"].unique()].fillna("")


def controls_of_loss(table: pd.DataFrame) -> pd.DataFrame:
    """Return paired differences of loss change (nats): other weights at a criterion's shares, less the criterion.

    Columns as those of `controls`, but for sentence. First is "mp", for the lead itself at this step penalty, then
    "magnitude" (the largest weights of each layer) and "shuffled" (random ones). Where the interval of "magnitude" lies
    above zero, the criterion's lead over MP, if it is clear, is not one of shares alone.
    """
    runs = of_one_curvature(distinct(table))
    runs, rows = runs[runs["control"] != "gradual"], []
    runs = runs.assign(change=loss_change(runs))
    for cell, part in runs[~runs["criterion"].map(has_no_model)].groupby(CELL, sort=False):
        criterion = str(cell[1])
        if not set(part["control"]) & {"magnitude", "shuffled"}:
            continue
        of_magnitude = _of_magnitude(runs, cell[0])
        changes = _by_seed(part, "change", criterion) | _by_seed(of_magnitude, "change", "mp")
        for first in ("mp", "magnitude", "shuffled"):
            if first in changes and criterion in changes:
                found = paired(changes[first], changes[criterion])
                rows.append((*cell, first, criterion, *found.entries, found.verdict()))
    return pd.DataFrame(rows, columns=[*CELL, "first", "second", *ENTRIES, "verdict"])


def between_criteria(table: pd.DataFrame) -> pd.DataFrame:
    """Return paired differences of test error after fine-tuning of other criteria less QM, at QM's settings.

    Columns as those of `controls`, but for criterion and sentence. Controls do not count; settings that QM has alone
    are left out.
    """
    runs = of_one_curvature(distinct(table))
    runs = runs[runs["control"] == ""].assign(error=lambda itself: gap(itself, "test"))
    settings, rows = [name for name in CELL if name != "criterion"], []
    for cell, part in runs[~runs["criterion"].map(has_no_model)].groupby(settings, sort=False):
        errors = part.pivot(index="seed", columns="criterion", values="error")
        for first in errors.columns.drop("qm", errors="ignore") if "qm" in errors else []:
            found = paired(errors[first], errors["qm"])
            rows.append((*cell, first, "qm", *found.entries, found.verdict(margin(runs))))
    return pd.DataFrame(rows, columns=[*settings, "first", "second", *ENTRIES, "verdict"])


def _of_magnitude(runs: pd.DataFrame, sparsity: object) -> pd.DataFrame:
    """Return MP's runs, each once: it does not depend on the number of stages."""
    found = runs[(runs["sparsity"] == sparsity) & (runs["criterion"] == "mp")]
    return found.drop_duplicates(["control", "seed"])


def _by_seed(runs: pd.DataFrame, column: str, itself: str) -> dict[str, pd.Series]:
    """Return a column by seed, for each control, and for the criterion itself under its name."""
    return {str(name) or itself: part.set_index("seed")[column] for name, part in runs.groupby("control", sort=False)}


def _sentence(errors: dict[str, pd.Series], criterion: str, margin: float) -> str:
    if not {"mp", "magnitude", criterion} <= set(errors):
        return "not judged"
    mp, magnitude, own = (errors[name] for name in ("mp", "magnitude", criterion))
    lead, weights = paired(mp, own), paired(magnitude, own)
    says = []
    if lead.verdict() == "worse" and not lead.within(margin):  # there is a lead that could be explained
        if weights.verdict(margin) == "as good as":
            says = ["the shares explain it"]
        elif interval((mp - magnitude) - (magnitude - own)).low > 0:
            says = ["the shares explain most of it"]
    elif lead.verdict(margin) != "undecided":
        says = ["there is no lead to explain"]
    if weights.verdict() == "worse":
        says.append("single weights matter")
    if weights.verdict() == "better":
        says.append("the largest weights at its shares are better")
    return "; ".join(says) or "undecided"
