"""Build SUMMARY.md, sentences to be read aloud and tables behind them: python data/results/make_summary.py."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import make_findings as findings
import pandas as pd
from findings_longer import longer_still_in_words
from findings_words import NAMES, SHORTER
from make_findings import GUESSING, PLAIN, TRAINED, clear_steps, dense_error, first_round, trained_to_the_end
from summary_controls import given_shares, longest_controls
from summary_rivals import chaos, exactness, fooled, layer_shares
from summary_words import (
    called,
    epochs,
    in_a_table,
    least_and_most,
    listed,
    longest,
    opening,
    percent,
    pruned,
    stages_in_words,
)

from lossprune_lib import files, results
from lossprune_lib.results.findings import LOWEST_CEILING, VERDICTS, against_ceiling, between_orders
from lossprune_lib.results.statistics import FEWEST_SEEDS

HERE = Path(__file__).parent
HEADINGS = {
    "reproduced": "What holds here",
    "refuted": "What our rules call refuted",
    "undecided": "What the seeds leave open",
}
MORE = {"worse": "more", "better": "less"}
ASKED = "For those who ask"


@dataclass(frozen=True)
class Case:
    """One finding's verdict on a study, at the sparsity that decides it.

    Attributes
    ----------
    alike : the study's runs at each sparsity of this verdict
    at : these sparsities, as words
    elsewhere : what is said of its other sparsities
    """

    number: int
    name: str
    verdict: str
    alike: list[pd.DataFrame]
    at: str
    elsewhere: list[str]

    @property
    def where(self) -> str:
        """The sparsities of this verdict, unless these are all."""
        return f" at {self.at} ({', '.join(self.elsewhere)})" if self.elsewhere else ""

    @property
    def table(self) -> pd.DataFrame:
        """The study's runs at the lowest sparsity of this verdict."""
        return self.alike[0]

    @property
    def sparsity(self) -> float:
        return float(self.table["sparsity"].iloc[0])


Cases = list[Case]


def what_the_paper_says() -> Iterable[str]:
    one, two = (pd.read_csv(files.shipped(f"paper/table{number}.csv")) for number in (1, 2))
    change = one[one["network"] == "mlp_300_100"].set_index("criterion")["mean"]
    gaps = two[two["network"] == "mlp_300_100"].set_index("criterion")["mean"]
    way = 100 * (change["mp"] - change["lm"]) / (change["mp"] - change["qm"])
    yield (
        "Laurent and others (2020) model the loss, and remove the weights that matter least to it. They find, with "
        "numbers for MNIST:"
    )
    yield "\n".join(
        [
            "- **Locality is crucial**: such a model is right only nearby, so prune in many small stages. Magnitude "
            f"(MP) changes the loss by {change['mp']:.2f} nats, the quadratic model (QM) in 140 stages by "
            f"{change['qm']:.2f}.",
            "- **First and second order are similar** once the steps are local: the linear model (LM) goes "
            f"{way:.0f} % of the way from MP to QM.",
            f"- **Preserving the loss is not enough**: curvature alone (OBD) loses {change['obd'] - change['qm']:.2f} "
            f"nats more than QM, yet ends, fine-tuned, within {gaps['obd'] - gaps['qm']:.1f} points of its error.",
        ]
    )


def judged_cases(studies: dict[str, pd.DataFrame]) -> Cases:
    """Return each finding's verdict on each study, the table at the sparsity that decides it, and what others say."""
    cases = []
    for number, (name, table) in itertools.product(NAMES, studies.items()):
        judged = results.judge(table)
        alike, at, elsewhere = at_which(number, judged)
        parts = [table[table["sparsity"] == sparsity] for sparsity in alike]
        cases.append(Case(number, name, results.cases(judged)[number], parts, at, elsewhere))
    return [case for case in cases if case.verdict in HEADINGS]


def by_verdict(cases: Cases, every: dict[str, pd.DataFrame]) -> Iterable[str]:
    """Sort every case into what holds, what does not, and what the seeds leave open."""
    for verdict, heading in HEADINGS.items():
        yield f"## {heading}"
        said = [
            f"- {aloud(found, every)}"
            for number in NAMES
            if (found := [case for case in cases if (case.number, case.verdict) == (number, verdict)])
        ]
        if verdict == "undecided":
            said += filter(None, [beside_the_paper(every)])
        yield "\n".join(said or ["Nothing, by the rules that were fixed beforehand."])


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
    all_of_them = every | {name: results.together(name) for name in findings.of_controls()}
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


def at_which(number: int, judged: pd.DataFrame) -> tuple[list[float], str, list[str]]:
    """Return the sparsities that decide a finding, these in words, and what is said at others."""
    of_finding = judged[judged["finding"] == number]
    alike = of_finding["verdict"] == min(of_finding["verdict"], key=VERDICTS.index)
    deciding = of_finding.loc[alike, "sparsity"].tolist()
    at = listed(f"{100 * sparsity:.3g}" for sparsity in deciding)
    said = [f"at {percent(r.sparsity)} {r.verdict}" for r in of_finding[~alike].itertuples()]
    return deciding, f"{at} %", said


def aloud(cases: Cases, every: dict[str, pd.DataFrame]) -> str:
    """Say in plain words what came out for some studies, of one finding and one verdict."""
    number, verdict = cases[0].number, cases[0].verdict
    plain = [PLAIN[number].get(verdict, "")]
    if (number, verdict) == (1, "undecided"):
        plain = [clear_steps([part for case in cases for part in case.alike])]
    if (number, verdict) == (1, "reproduced"):
        plain.append(f"With QM: {'; '.join(of_stages(case) for case in cases)}.")
    if number == 2 and verdict != "refuted":
        goes = [f"{way_of_linear(case)}{f' ({called(case.name)})' * (len(cases) > 1)}" for case in cases]
        asks = " (the intervals reach below our rule's 75 %)" * (verdict == "undecided")
        plain = [f"Of the way from magnitude to QM, LM goes {listed(goes)}{asks}."]
    if (number, verdict) == (2, "refuted") and all(lead(case.table).verdict() != "better" for case in cases):
        plain = ["Our rule says so because QM does not clearly beat magnitude there. LM and QM themselves:"]
        plain += of_linear(cases)
        if all((case.table["pruned_train_loss"] > GUESSING).mean() > 0.5 for case in cases):
            plain.append("After pruning, most of these networks have a higher loss than guessing.")
    alike: dict[str, list[str]] = {}
    for case in cases:
        alike.setdefault(case.where, []).append(called(case.name))
    places = "; ".join(f"{listed(of)}{where}" for where, of in alike.items())
    if number == 3 and (ordered := [called(case.name) for case in cases if ordered_within(case)]):
        plain.append(f"(Within one criterion it does on {listed(ordered)}.)")
    return f"**{NAMES[number].capitalize()}**: {places}. {' '.join(plain)}"


def ordered_within(case: Case) -> bool:
    """Say whether the loss change orders the gaps within each criterion, by the measure of finding 3."""
    found = map(results.preserving, case.alike)
    return all(against_ceiling(of.within, of.within_ceiling) == "refuted" for of in found)


def of_stages(case: Case) -> str:
    """Say how QM's loss change falls from the fewest stages to the most."""
    change = results.changes_by_seed(case.table)["qm"].mean()
    fewest, most = change.index[0], change.index[-1]
    return (
        f"{pruned(case.name, case.sparsity)}, {change[fewest]:.2f} nats in "
        f"{stages_in_words(fewest)}, {change[most]:.2f} in {most}"
    )


def way_of_linear(case: Case) -> str:
    """Return how much of the way from MP to QM is LM's, by the rule: the least and the most over the sparsities."""
    return f"{least_and_most((100 - between_orders(part).mean for part in case.alike), '.0f')} %"


def of_linear(cases: Cases) -> Iterable[str]:
    """Say where LM and QM were seen to differ, and where not."""
    apart = {called(case.name): lag(case.table) for case in cases}
    said = [
        f"on {name} LM loses {abs(found.mean):.2f} nats {MORE[found.verdict()]}"
        for name, found in apart.items()
        if found.verdict() != "undecided"
    ]
    if alike := [name for name, found in apart.items() if found.verdict() == "undecided"]:
        said.append(f"on {listed(alike)} not clearly different")
    yield f"{', '.join(said)}."


def lag(table: pd.DataFrame) -> results.Interval:
    """Return the loss change of LM less that of QM, paired, at one sparsity and the most stages."""
    change = results.changes_by_seed(table)
    return results.paired(change["lm"].iloc[:, -1], change["qm"].iloc[:, -1])


def lead(table: pd.DataFrame) -> results.Interval:
    """Return the loss change of QM in the most stages less that of MP, paired, at one sparsity."""
    change = results.changes_by_seed(table)
    return results.paired(change["qm"].iloc[:, -1], change["mp"].iloc[:, 0])


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


def beside_the_paper(studies: dict[str, pd.DataFrame]) -> str:
    """Say how many of the paper's numbers those of each study of enough seeds differ from, if there are any."""
    said: dict[str, list[str]] = {}
    for name, table in studies.items():
        if table["seed"].nunique() < FEWEST_SEEDS or table["tuning_epochs"].isna().any():
            continue
        both = pd.concat([results.beside_paper(table, number) for number in (1, 2)])
        both = both[both["paper_mean"].notna()]
        if not both.empty:
            differ = f"{both['differs'].sum() or 'none'} after {epochs(table)}"
            said.setdefault(f"the {len(both)} for {called(name)}", []).append(differ)
    if not said:
        return ""
    counts = "; ".join(f"of {network}, {listed(of_network)}" for network, of_network in said.items())
    return f"- **The paper's numbers**: {counts} epochs differ clearly (training + fine-tuning)."


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


def text() -> str:
    every = {name: results.together(name) for name in findings.studies()}
    cases = judged_cases(longest(every))
    studies = {case.name: every[case.name] for case in cases}
    spoken, shown = zip(*(part() for part in (fooled, layer_shares, given_shares, chaos, exactness)), strict=True)
    parts = [
        "# What we found, in five minutes",
        f"*Read this aloud, up to* {ASKED}.",
        "*At 90 %*: so many weights are removed (MNIST: 98.8 %). ResNet and VGG11 (CIFAR-10) are a quarter as wide as "
        f"the paper's{unfinished(studies)}.",
        "## What the paper says",
        *what_the_paper_says(),
        *by_verdict(cases, every),
        "## What turned out to be something else",
        *spoken,
        f"## {ASKED}",
        "Brackets hold 95 % intervals over seeds. The [rules](JUDGING.md) preceded the runs, except for the tables of "
        "a first round (digits, small VGG, and MNIST with 60 + 20 epochs), which are judged again by them, and for "
        "what JUDGING.md marks as later. ResNet and VGG11 have a sampled curvature. [FINDINGS.md](FINDINGS.md) has "
        "more.",
        *behind_verdicts(cases, studies, every),
        *filter(None, shown),
    ]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    print(files.replace(HERE / "SUMMARY.md", lambda path: path.write_text(text(), "utf-8")))
