"""Whether a study reproduces the paper's three findings, judged as ``data/results/JUDGING.md`` has it."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import numpy as np

from lossprune_lib.checks import check_float, check_int
from lossprune_lib.results.selection import CELL, best_penalty, distinct, gap, loss_change

if TYPE_CHECKING:
    import pandas as pd


def rank_correlation(table: pd.DataFrame, share: float = 1.0, draws: int = 10_000, seed: int = 0) -> pd.DataFrame:
    """Return how well the ranking by loss change agrees with the ranking by validation gap after fine-tuning.

    Spearman's correlation within each seed, averaged over seeds, with a 95 % percentile interval over bootstrapped
    seeds.

    Parameters
    ----------
    share : in (0, 1]
        Of a seed's runs, the best by loss change; rounded up, at least 3, and with all that tie with the last.
    draws : how many times the seeds are drawn again
    seed : of these draws

    Returns
    -------
    DataFrame
        sparsity, share, runs (of all seeds), seeds, correlation, low, high. Seeds in which there is no correlation
        (fewer than 3 runs, or all alike) are left out, with a warning. low and high are NaN for fewer than 2 seeds.
    """
    import pandas as pd

    if not 0 < check_float(share, "share") <= 1:
        raise ValueError(f"share is {share}, but must be above 0 and at most 1: write a quarter as 0.25.")
    draws, seed = check_int(draws, "draws"), check_int(seed, "seed", least=0)
    runs = distinct(table)
    runs = runs.assign(change=loss_change(runs), gap=gap(runs))
    rows = []
    for sparsity, part in runs.groupby("sparsity"):
        best = part[part.groupby("seed")["change"].transform(_among_best, share)]
        found = pd.Series({name: _spearman(of_seed) for name, of_seed in best.groupby("seed")}, dtype=float)
        undefined, found = list(found.index[found.isna()]), found.dropna()
        if undefined:
            warnings.warn(
                f"At sparsity {sparsity:.4g} the seeds {undefined} are left out: they have fewer than 3 runs, or all "
                "are alike in loss change or gap, and then there is no correlation.",
                stacklevel=2,
            )
        low = high = math.nan
        if len(found) > 1:
            drawn = np.random.default_rng(seed).integers(len(found), size=(draws, len(found)))
            low, high = np.percentile(found.to_numpy()[drawn].mean(axis=1), [2.5, 97.5])
        counted = int(best["seed"].isin(found.index).sum())
        rows.append((sparsity, share, counted, len(found), found.mean(), low, high))
    return pd.DataFrame(rows, columns=["sparsity", "share", "runs", "seeds", "correlation", "low", "high"])


def judge(table: pd.DataFrame) -> pd.DataFrame:
    """Return for each finding and sparsity whether the table reproduces it.

    Returns
    -------
    DataFrame
        finding: 1 (locality is crucial), 2 (first and second order reach similar performance), 3 (preserving the loss
        is not enough); sparsity; verdict: "reproduced", "partly", "not" or "not judged"; evidence, a sentence: the
        numbers, or what the table lacks.
    """
    import pandas as pd

    findings: list[Callable[[pd.DataFrame], tuple[str, str]]] = [_locality, _orders, _preserving]
    rows = [
        (number, sparsity, *finding(part))
        for number, finding in enumerate(findings, start=1)
        for sparsity, part in distinct(table).groupby("sparsity")
    ]
    return pd.DataFrame(rows, columns=["finding", "sparsity", "verdict", "evidence"])


def _locality(runs: pd.DataFrame) -> tuple[str, str]:
    lacking = _lacking(runs, criteria=("mp", "lm", "qm"), seeds=2)
    stages = _stages_of_both(runs)
    if lacking or len(stages) < 2:
        return "not judged", lacking or "LM and QM were not both run with several numbers of stages."
    change = _at_best_penalty(runs)
    falls = {name: change[name][stages].diff(axis=1).iloc[:, 1:] < 0 for name in ("lm", "qm")}
    means = {name: change[name][stages].mean(axis=0) for name in ("lm", "qm")}
    mp, qm = change["mp"].iloc[:, 0], change["qm"][stages[-1]]
    margin, spreads = mp.mean() - qm.mean(), mp.std() + qm.std()

    verdict = "not"
    if margin > 0 and all((means[name].diff().iloc[1:] < 0).all() for name in means):
        always = all(fall.to_numpy().all() for fall in falls.values())
        verdict = "reproduced" if always and margin > spreads else "partly"
    words = [
        f"{name.upper()} {_list(means[name], '#.3g')} "
        f"(less with each in {falls[name].all(axis=1).sum()} of {len(mp)} seeds)"
        for name in means
    ]
    return verdict, (
        f"Best loss changes with {_list(stages)} stages: {' and '.join(words)}; MP less QM at {stages[-1]} stages is "
        f"{mp.mean():#.3g} - {qm.mean():#.3g} = {margin:#.3g}, their two spreads together {spreads:#.3g}."
    )


def _orders(runs: pd.DataFrame) -> tuple[str, str]:
    lacking = _lacking(runs, criteria=("mp", "lm", "qm"))
    stages = _stages_of_both(runs)
    if lacking or not stages or stages[-1] == 1:
        return "not judged", lacking or "LM and QM were not both run in several stages, so no step was local."
    change = _at_best_penalty(runs)
    mp, lm, qm = change["mp"].iloc[:, 0].mean(), change["lm"][stages[-1]].mean(), change["qm"][stages[-1]].mean()
    beginning = f"Best loss changes at {stages[-1]} stages: MP {mp:#.3g}, LM {lm:#.3g}, QM {qm:#.3g}; "
    if qm >= mp:
        return "not", beginning + "QM is no better than MP."
    share = abs(lm - qm) / (mp - qm)
    verdict = "reproduced" if share <= 0.25 else "partly" if share <= 0.5 else "not"
    return verdict, beginning + f"LM and QM differ by {100 * share:#.3g} % of what lies between MP and QM."


def _preserving(runs: pd.DataFrame) -> tuple[str, str]:
    lacking = _lacking(runs, seeds=2)
    if not lacking:
        try:
            runs = runs.assign(change=loss_change(runs), gap=gap(runs))
        except ValueError as error:
            lacking = str(error)
    if lacking:
        return "not judged", lacking
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the sentence below says it
        quarter, whole = (rank_correlation(runs, share).iloc[0] for share in (0.25, 1.0))
    seeds = runs["seed"].nunique()
    if quarter["seeds"] < 2:
        lacking = f"The best quarter has a rank correlation in {int(quarter['seeds'])} of {seeds} seeds only."
        return "not judged", lacking
    best_kept = runs[runs["change"] == runs.groupby("seed")["change"].transform("min")]
    others = int((best_kept.groupby("seed")["gap"].min() > runs.groupby("seed")["gap"].min()).sum())

    met = int(quarter["high"] < 0.5) + int(others > seeds / 2)
    words = [
        f"{row['correlation']:#.3g} ({row['low']:#.3g} to {row['high']:#.3g}, {int(row['seeds'])} of {seeds} seeds) "
        f"over {what}"
        for row, what in ((quarter, "the best quarter"), (whole, "all runs"))
    ]
    return ("not", "partly", "reproduced")[met], (
        f"Rank correlation of loss change and validation gap: {' and '.join(words)}; "
        f"in {others} of {seeds} seeds the run with the smallest loss change has not the smallest gap."
    )


def _lacking(runs: pd.DataFrame, criteria: tuple[str, ...] = (), seeds: int = 1) -> str:
    """Return what a table of one sparsity lacks to be judged, in a sentence; nothing if it has all."""
    missing = [name.upper() for name in criteria if name not in set(runs["criterion"])]
    if missing:
        return f"There are no runs of {' and '.join(missing)}."
    counts, whole = runs.groupby("seed").size(), runs.groupby(CELL).ngroups
    if counts.min() < whole:
        return f"Seed {counts.idxmin()} has only {counts.min()} of {whole} runs: run the study to its end."
    return "" if len(counts) >= seeds else "There is one seed, so nothing is known about the spread: run two or more."


def _stages_of_both(runs: pd.DataFrame) -> list[int]:
    lm, qm = (set(runs.loc[runs["criterion"] == name, "stages"]) for name in ("lm", "qm"))
    return sorted(lm & qm)


def _at_best_penalty(runs: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return each criterion's loss changes at its best penalty: a row a seed, a column a number of stages."""
    chosen = runs.assign(change=loss_change(runs)).merge(best_penalty(runs)[CELL])
    return {
        str(name): of_one.pivot(index="seed", columns="stages", values="change")
        for name, of_one in chosen.groupby("criterion")
    }


def _among_best(change: pd.Series, share: float) -> pd.Series:
    count = max(3, math.ceil(share * len(change) - 1e-9))
    return change <= change.nsmallest(count).max()


def _spearman(runs: pd.DataFrame) -> float:
    from scipy.stats import spearmanr

    if len(runs) < 3 or runs["change"].nunique() == 1 or runs["gap"].nunique() == 1:
        return math.nan
    # It is a ratio of small whole numbers: rounding takes the noise away, so that a threshold is hit exactly.
    return round(float(spearmanr(runs["change"], runs["gap"]).statistic), 12)


def _list(values: Iterable[float], form: str = "") -> str:
    return ", ".join(f"{value:{form}}" for value in values)
