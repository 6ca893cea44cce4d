"""The sections of FINDINGS.md on the paper's findings: tables beside its own, verdicts, the rival explanation."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd
from pages.findings_studies import opening
from pages.findings_words import CONTROLLED, NAMES, chosen, mean, over_seeds, pair, rows, setting

from lossprune_lib import results
from lossprune_lib.results.statistics import FEWEST_SEEDS

HERE = Path(__file__).parents[1]
# Where more step penalties were tried, on the same networks.
GOES_ON = {"cifar10_resnet_quarter": "cifar10_resnet_penalties"}
LEADS = {"worse": "is there", "better": "**is not there**: MP keeps the loss better"}
WEIGHTS = {"worse": "not by shares alone", "better": "**by shares alone**: the control keeps the loss better"}
# In plain words, by finding and verdict.
PLAIN = {
    1: {
        "reproduced": "The more and the smaller the stages, the less the loss changes.",
        "refuted": "More and smaller stages, or QM in place of MP, made the loss change more.",
    },
    2: {
        "reproduced": "In the most stages, LM comes within a quarter of QM's lead over magnitude.",
        "refuted": "Curvature still helps a lot when the steps are local, or QM's lead over magnitude is not clear.",
        "undecided": "Whether LM and QM differ by more than a quarter of what lies between MP and QM, the seeds do not "
        "settle.",
    },
    3: {
        "reproduced": "Among the networks whose loss is kept best, keeping it better hardly means being better after "
        "fine-tuning.",
        "refuted": "Among the networks whose loss is kept best, those that keep it better are better after "
        "fine-tuning.",
        "undecided": "Among the networks whose loss is kept best, does keeping it better mean ending better after "
        "fine-tuning? So few networks, measured so noisily, do not tell.",
    },
}


def section(name: str) -> str:
    table = results.together(name)
    alone = loss_changes(results.load(name), f" ({name} alone)") if results.belonging(name) else []
    return "\n".join(
        [
            *opening(name, table),
            *loss_changes(table),
            *at_the_end_of_the_grid(name, table),
            *alone,
            *gaps(table),
            *verdicts(name, table),
            *by_shares(name),
        ]
    )


def loss_changes(table: pd.DataFrame, which: str = "") -> Iterable[str]:
    beside = results.beside_paper(table, 1)
    yield from [f"**Table 1, change of the training loss by pruning, at the best step penalty{which}**", ""]
    yield from rows(
        ["sparsity", "criterion", "stages", "lambda", "ours", "interval", "paper"],
        ([*chosen(r), pair(r.paper_mean, r.paper_spread)] for r in beside.itertuples()),
    )


def at_the_end_of_the_grid(name: str, table: pd.DataFrame) -> Iterable[str]:
    """Say where the best step penalty is the smallest or largest of those tried, so that the best may lie beyond."""
    if name in GOES_ON.values():
        return
    cell = ["sparsity", "criterion", "stages"]
    more = GOES_ON.get(name)
    there = more in results.names("**")
    goes_on = results.best_penalty(results.load(more)).set_index(cell)["mean"] if there else {}
    tried = table.groupby(cell)["step_penalty"].agg(["min", "max", "nunique"])
    ends: dict[str, list[str]] = {"smallest": [], "largest": []}
    for r in results.best_penalty(table).itertuples():
        here = r.sparsity, r.criterion, r.stages
        if here in goes_on and goes_on[here] > r.mean:  # larger ones were tried, too
            continue
        of = tried.loc[here]
        for which, end in (("smallest", of["min"]), ("largest", of["max"])):
            if of["nunique"] > 1 and r.step_penalty == end and end > 0:
                ends[which].append(f"{r.criterion.upper()} in {r.stages} at {r.sparsity:.4g} ({end:g})")
    if said := [f"the {which} for {', '.join(of)}" for which, of in ends.items() if of]:
        too = f" (with those of `{more}`)" * there
        yield from [
            f"The best penalty is an end of those tried{too}, so a better one may lie beyond: {'; '.join(said)}.",
            "",
        ]


def gaps(table: pd.DataFrame) -> Iterable[str]:
    if table["tuning_epochs"].isna().all():
        return
    beside = results.beside_paper(table, 2)
    yield from [
        "**Table 2, gap of the error after fine-tuning, percentage points, at the best stages and step penalty**",
        "",
    ]
    head = ["sparsity", "criterion", "stages", "lambda", "ours, validation", "interval", "paper"]
    yield from rows(
        [*head, "ours, test", "interval"],
        (
            [
                *chosen(r),
                pair(r.paper_mean, r.paper_spread),
                pair(r.test_gap, r.test_spread),
                over_seeds(r.test_low, r.test_high, r.test_values),
            ]
            for r in beside.itertuples()
        ),
    )


def verdicts(name: str, table: pd.DataFrame) -> Iterable[str]:
    judged, first = results.judge(table), first_round()
    held_out = pd.Series("", judged.index)
    if table["seed"].nunique() > 1:
        held_out = results.judge(table, held_out=True)["verdict"].where(judged["finding"] < 3, "")
    yield from ["**The findings**", ""]
    yield from rows(
        ["finding", "verdict on this case"],
        ([f"{number}, {NAMES[number]}", f"**{word}**"] for number, word in results.cases(judged).items()),
    )
    yield from rows(
        ["finding", "sparsity", "verdict", "penalty held out", "first round", "in plain words, and numbers"],
        (
            [r.finding, at, r.verdict, held_out[r.Index], first.get((name, r.finding, at), ""), plain(r, table)]
            for r in judged.itertuples()
            for at in [f"{r.sparsity:.4g}"]
        ),
    )


def by_shares(name: str) -> Iterable[str]:
    """Say whether the layers' shares explain the leads in loss change, where controls were run."""
    own = "control" in results.load(name) and results.load(name)["control"].eq("magnitude").any()
    other = name if own else CONTROLLED.get(name)
    if not own and other not in results.names("**"):
        yield from ["No controls were run with these networks.", ""]
        return
    yield from [
        f"**Is it the layers' shares?** Loss change of MP, and of the largest (magnitude) and of random weights "
        f"(shuffled) at a criterion's shares, less its own, at one step penalty (`{other}`). Where the largest "
        "weights lose clearly more, its lead over MP is *not by shares alone*; how much of a clear lead is gone with "
        "the shares stands beside it. The lead over fewer stages, and finding 2, have no control; those of finding 3 "
        "are fine-tuned masks, and stand under that name.",
        "",
    ]
    found = results.controls_of_loss(results.together(other))
    found = found[found["criterion"].isin(["lm", "qm"])]
    leads = {tuple(setting(r)): r for r in found[found["first"] == "mp"].itertuples()}
    yield from rows(
        ["sparsity", "criterion", "stages", "lambda", "control", "more nats", "n", "the lead"],
        (
            [*setting(r), r.first, mean(r), r.seeds, of_the_lead(r, leads.get(tuple(setting(r))))]
            for r in found.itertuples()
        ),
    )


def of_the_lead(r: Any, lead: Any) -> str:
    """Say what a row of `results.controls_of_loss` says of a criterion's lead over MP, which is another such row."""
    if r.first == "mp":
        return LEADS.get(r.verdict, "undecided")
    if r.first == "shuffled" or lead is None:  # MP's weights are not random: such a control says nothing of its lead
        return ""
    if pd.isna(lead.low):
        return "undecided"
    if lead.verdict != "worse":
        return "no clear lead to explain"
    return f"{WEIGHTS.get(r.verdict, 'undecided')}; {100 * (1 - r.mean / lead.mean):.0f} % gone"


def first_round() -> dict[tuple[str, int, str], str]:
    """Return the verdicts of the first round, by study, finding and sparsity, as they stand on record."""
    found, study = {}, ""
    for line in (HERE / "FINDINGS-first-round.md").read_text("utf-8").splitlines():
        if line.startswith("## "):
            study = line.removeprefix("## ")
        elif match := re.match(r"\| (\d), [^|]+\| ([\d.]+) \| \*\*([^*]+)\*\* \|", line):
            found[study, int(match[1]), match[2]] = match[3]
    return found


def plain(r: Any, table: pd.DataFrame) -> str:
    words = PLAIN[r.finding].get(r.verdict, "")
    if (r.finding, r.verdict) == (1, "undecided"):
        words = clear_steps([table[table["sparsity"] == r.sparsity]])
    small = ""
    if r.finding == 3 and r.verdict != "not judged":
        small = of_small_penalties(table[table["sparsity"] == r.sparsity])
    return " ".join(filter(None, [words, r.evidence, small]))


def clear_steps(parts: list[pd.DataFrame]) -> str:
    """Say how many of the steps to more stages lower the loss change clearly, in tables of one sparsity each."""
    steps = [
        results.paired(change[criterion][more], change[criterion][fewer]).verdict() == "better"
        for change in map(results.changes_by_seed, parts)
        for criterion in ("lm", "qm")
        for fewer, more in itertools.pairwise(sorted({*change["lm"]} & {*change["qm"]}))
    ]
    if all(steps):  # then it is the lead that is not clear
        return "Each step to more stages is clear; QM's lead over magnitude is not."
    if not any(steps):
        return "No step to more stages is clear."
    return f"Of {len(steps)} steps to more stages, {sum(steps)} {'is' if sum(steps) == 1 else 'are'} clear."


def of_small_penalties(part: pd.DataFrame) -> str:
    """Say how loss change and gap correlate within a criterion without the penalties that lead to MP's mask."""
    if part["seed"].nunique() < FEWEST_SEEDS or part["step_penalty"].max() <= 0.1:
        return ""
    found = results.preserving(part[part["step_penalty"] <= 0.1])
    return (
        f"With step penalties of at most 0.1: {found.within.words('.2f')} within a criterion, "
        f"{found.within_fixed.words('.2f')} with the shares held fixed."
    )
