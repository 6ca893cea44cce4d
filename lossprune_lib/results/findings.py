"""Whether a study reproduces the paper's three findings, by the second round of ``data/results/JUDGING.md``."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping
from functools import partial

import pandas as pd

from lossprune_lib.results.correlation import Preserving, measured, preserving
from lossprune_lib.results.selection import CELL, best_penalty, loss_change, themselves
from lossprune_lib.results.statistics import FEWEST_SEEDS, Interval, interval, paired

VERDICTS = ("refuted", "not judged", "undecided", "reproduced")  # the weakest first
SIMILAR = 25  # %, of what lies between MP and QM
LOWEST_CEILING = 0.5


def judge(table: pd.DataFrame, *, held_out: bool = False) -> pd.DataFrame:
    """Return for each finding and sparsity whether the table reproduces it.

    Controls do not count. Several sparsities are one case: see `cases`.

    Parameters
    ----------
    held_out : choose each seed's step penalty on the other seeds, for findings 1 and 2
        The best penalty of all seeds favours what has more of them to choose from.

    Returns
    -------
    DataFrame
        finding: 1 (locality is crucial), 2 (first and second order reach similar performance), 3 (preserving the loss
        is not enough); sparsity; verdict: "reproduced", "refuted", "undecided" or "not judged"; evidence: the numbers
        with their intervals and what refutes the finding, or what the table lacks.
    """
    findings: list[Callable[[pd.DataFrame], tuple[str, str]]] = [
        partial(_locality, held_out=held_out),
        partial(_orders, held_out=held_out),
        _preserving,
    ]
    rows = [
        (number, sparsity, *finding(part))
        for number, finding in enumerate(findings, start=1)
        for sparsity, part in themselves(table).groupby("sparsity")
    ]
    return pd.DataFrame(rows, columns=["finding", "sparsity", "verdict", "evidence"])


def cases(judged: pd.DataFrame) -> dict[int, str]:
    """Return each finding's verdict on a study, from what `judge` says of it: the weakest of its sparsities'."""
    found: dict[int, str] = {}
    for number, verdict in zip(judged["finding"], judged["verdict"], strict=True):
        found[number] = min(verdict, found.get(number, verdict), key=VERDICTS.index)
    return found


def _locality(runs: pd.DataFrame, held_out: bool) -> tuple[str, str]:
    lacking = _lacking(runs, criteria=("mp", "lm", "qm"))
    stages = _stages_of_both(runs)
    if lacking or len(stages) < 2:
        return "not judged", lacking or "LM and QM were not both run with several numbers of stages."
    change = changes_by_seed(runs, held_out=held_out)
    gains = {
        f"{name.upper()} in {more} minus in {fewer}": paired(change[name][more], change[name][fewer])
        for name in ("lm", "qm")
        for fewer, more in itertools.pairwise(stages)
    }
    gains[f"QM in {stages[-1]} minus MP"] = paired(change["qm"][stages[-1]], change["mp"].iloc[:, 0])
    found = {gain.verdict() for gain in gains.values()}
    verdict = "refuted" if "worse" in found else "reproduced" if found == {"better"} else "undecided"
    lm, qm = (_list((change[name][number].mean() for number in stages), "#.3g") for name in ("lm", "qm"))
    return verdict, (
        f"Best loss changes: MP {change['mp'].iloc[:, 0].mean():#.3g}; with {_list(stages)} stages LM {lm}, QM {qm}. "
        f"Differences: {_said(gains)}; {_seeds(gains.values())}. One interval above zero refutes it."
    )


def _orders(runs: pd.DataFrame, held_out: bool) -> tuple[str, str]:
    lacking = _lacking(runs, criteria=("mp", "lm", "qm"))
    stages = _stages_of_both(runs)
    if lacking or not stages or stages[-1] == 1:
        return "not judged", lacking or "LM and QM were not both run in several stages, so no step was local."
    change = changes_by_seed(runs, held_out=held_out)
    mp, lm, qm = change["mp"].iloc[:, 0], change["lm"][stages[-1]], change["qm"][stages[-1]]
    lead, apart, share = paired(qm, mp), paired(lm, qm), between_orders(runs, held_out=held_out)
    beyond = paired((lm - qm).abs(), SIMILAR / 100 * (mp - qm))
    always = share.n == len(mp)
    between = f"of what lies between MP and QM, LM and QM differ by {share.words(unit=' %')}"
    evidence = (
        f"Best loss changes at {stages[-1]} stages: MP {mp.mean():#.3g}, LM {lm.mean():#.3g}, QM {qm.mean():#.3g}; "
        f"QM minus MP {lead.words()}, LM minus QM {apart.words()}; "
        f"{between if always else 'QM does not lead in every seed'}; their distance less a quarter of that of MP and "
        f"QM {beyond.words()}; {_seeds([lead])}. "
    )
    if lead.n >= FEWEST_SEEDS and lead.verdict() != "better":
        return "refuted", f"{evidence}QM is not clearly better than MP, which by the rule refutes it."
    evidence += f"An interval that begins above {SIMILAR} %, or no clear lead of QM over MP, refutes it."
    if not always:
        return "undecided", evidence
    return "reproduced" if share.high <= SIMILAR else "refuted" if share.low > SIMILAR else "undecided", evidence


def between_orders(runs: pd.DataFrame, *, held_out: bool = False) -> Interval:
    """Return the difference of LM and QM as a share of that of MP and QM (%), at one sparsity and the most stages.

    Each is at its best step penalty, as in `changes_by_seed`. A seed in which QM has no lead over MP has no share, and
    does not count.
    """
    change, most = changes_by_seed(runs, held_out=held_out), _stages_of_both(runs)[-1]
    mp, lm, qm = change["mp"].iloc[:, 0], change["lm"][most], change["qm"][most]
    return interval(100 * (lm - qm).abs() / (mp - qm).where(mp > qm))


def _preserving(runs: pd.DataFrame) -> tuple[str, str]:
    lacking = _lacking(runs, criteria=("mp",))
    if not lacking:
        try:
            measured(runs)
        except ValueError as error:
            lacking = str(error)
    if lacking:
        return "not judged", lacking
    found = preserving(runs)
    return against_ceiling(found.near, found.near_ceiling), _of_preserving(found)


def against_ceiling(correlation: Interval, ceiling: float) -> str:
    """Return what the rank correlation of loss change and gap says of the third finding, beside its ceiling.

    By the rule the correlation among the runs near the best is asked; what the others say judges nothing.
    """
    if not ceiling >= LOWEST_CEILING:
        return "undecided"
    half = ceiling / 2
    return "reproduced" if correlation.high < half else "refuted" if correlation.low > half else "undecided"


def _of_preserving(found: Preserving) -> str:
    few, many = min(found.near_runs), max(found.near_runs)
    all_of_them = found.near, found.within, found.near_fixed, found.within_fixed, found.cost
    refuted = f"An interval that begins above half the ceiling, {found.near_ceiling / 2:.2f}, refutes it."
    if not found.near_ceiling >= LOWEST_CEILING:
        refuted = "Without a ceiling of 0.5 at least, nothing can refute it, and nothing is decided."
    return (
        f"The rank correlation of loss change and validation gap is {found.near.words('.2f')} among the runs near a "
        f"seed's best ({few if few == many else f'{few} to {many}'} of {found.runs}), ceiling "
        f"{_number(found.near_ceiling)}; no correlation is to be expected above its ceiling. Among the runs of one "
        f"criterion it is {found.within.words('.2f')}, ceiling {_number(found.within_ceiling)}; this judges "
        f"nothing, and would be {against_ceiling(found.within, found.within_ceiling)}. With the layers' shares fixed, "
        f"they are {found.near_fixed.words('.2f')} and {found.within_fixed.words('.2f')}. The run of the smallest loss "
        f"change has a test error {found.cost.words('.2f')} points above that of the run of the smallest validation "
        f"gap, whose place by loss change is {_list(found.rank.values, '.0f')} in the seeds' order; "
        f"{_seeds(all_of_them)}. "
        f"{refuted}"
    )


def _lacking(runs: pd.DataFrame, criteria: tuple[str, ...]) -> str:
    """Return what a table of one sparsity lacks to be judged, in a sentence; nothing if it has all."""
    missing = [name.upper() for name in criteria if name not in set(runs["criterion"])]
    if missing:
        return f"There are no runs of {' and '.join(missing)}."
    counts, whole = runs.groupby("seed").size(), runs.groupby(CELL).ngroups
    if counts.min() < whole:
        return f"Seed {counts.idxmin()} has only {counts.min()} of {whole} runs: run the study to its end."
    return ""


def _stages_of_both(runs: pd.DataFrame) -> list[int]:
    lm, qm = (set(runs.loc[runs["criterion"] == name, "stages"]) for name in ("lm", "qm"))
    return sorted(lm & qm)


def changes_by_seed(table: pd.DataFrame, *, held_out: bool = False) -> dict[str, pd.DataFrame]:
    """Return each criterion's loss changes at its best step penalty: a row per seed, a column per number of stages.

    Parameters
    ----------
    table : of one sparsity; controls do not count
    held_out : the best penalty of the other seeds, in place of all; ValueError if there is only one seed
    """
    runs = themselves(table)
    runs = runs.assign(change=loss_change(runs))
    if held_out and runs["seed"].nunique() < 2:
        raise ValueError("A penalty is chosen on other seeds, but the table has one only: leave out held_out=True.")
    parts = [(runs, runs)]
    if held_out:
        parts = [(runs[runs["seed"] == seed], runs[runs["seed"] != seed]) for seed in runs["seed"].unique()]
    chosen = pd.concat([part.merge(best_penalty(others)[CELL]) for part, others in parts])
    return {
        str(name): of_one.pivot(index="seed", columns="stages", values="change")
        for name, of_one in chosen.groupby("criterion")
    }


def _said(differences: Mapping[str, Interval]) -> str:
    return ", ".join(f"{name} {difference.words()}" for name, difference in differences.items())


def _seeds(intervals: Iterable[Interval]) -> str:
    counts = sorted({each.n for each in intervals if each.n}) or [0]
    return f"n = {_list(counts)}" + (f", and below {FEWEST_SEEDS} no interval" if counts[0] < FEWEST_SEEDS else "")


def _number(value: float) -> str:
    return "not defined" if math.isnan(value) else f"{value:.2f}"


def _list(values: Iterable[float], form: str = "") -> str:
    return ", ".join(f"{value:{form}}" for value in values)
