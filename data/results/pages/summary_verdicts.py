"""What SUMMARY.md says of each finding: what holds, what does not, what the seeds leave open."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd
from pages.findings_studies import GUESSING
from pages.findings_verdicts import PLAIN, clear_steps
from pages.findings_words import NAMES
from pages.summary_words import (
    called,
    epochs,
    least_and_most,
    listed,
    percent,
    pruned,
    stages_in_words,
)

from lossprune_lib import results
from lossprune_lib.results.findings import SIMILAR, VERDICTS, against_ceiling, between_orders
from lossprune_lib.results.statistics import FEWEST_SEEDS

HEADINGS = {
    "reproduced": "What holds here",
    "refuted": "What our rules call refuted",
    "undecided": "What the seeds leave open",
}
MORE = {"worse": "more", "better": "less"}


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
        below = all(between_orders(part).high > SIMILAR for case in cases for part in case.alike)
        asks = (
            f" (each interval reaches below our rule's {100 - SIMILAR} %)" if verdict == "undecided" and below else ""
        )
        plain = [f"Of the way from magnitude to QM, LM goes {listed(goes)}{asks}."]
    if (number, verdict) == (2, "refuted") and all(lead(case.table).verdict() != "better" for case in cases):
        plain = ["Our rule says so because QM does not clearly beat magnitude there."]
        plain += of_linear(cases)
        if all((case.table["pruned_train_loss"] > GUESSING).mean() > 0.5 for case in cases):
            plain.append("Pruned, most have a higher loss than guessing.")
    alike: dict[str, list[str]] = {}
    for case in cases:
        alike.setdefault(case.where, []).append(called(case.name))
    places = "; ".join(f"{listed(of)}{where}" for where, of in alike.items())
    ordered = [called(case.name) for case in cases if (number, verdict) == (3, "undecided") and ordered_within(case)]
    if ordered:
        plain.append(f"(Among one criterion's runs, large penalties included, it does on {listed(ordered)}.)")
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
    """Return how much of the way from MP to QM is LM's: the least and the most over the sparsities."""
    return f"{least_and_most((100 - between_orders(part).mean for part in case.alike), '.0f')} %"


def of_linear(cases: Cases) -> Iterable[str]:
    """Say where LM and QM were seen to differ, and where not."""
    apart = {called(case.name): lag(case.table) for case in cases}
    behind = {called(case.name) for case in cases if behind_magnitude(case.table)}
    but = " (at the largest penalty tried; magnitude loses less)"
    said = [
        f"on {name} LM loses {abs(found.mean):.2f} nats {MORE[found.verdict()]} than QM{but * (name in behind)}"
        for name, found in apart.items()
        if found.verdict() != "undecided"
    ]
    if alike := [name for name, found in apart.items() if found.verdict() == "undecided"]:
        said.append(f"on {listed(alike)} no difference is clear")
    words = ", ".join(said)
    yield f"{words[0].upper()}{words[1:]}."


def behind_magnitude(table: pd.DataFrame) -> bool:
    """Say whether LM in the most stages is best at the largest step penalty, and still loses more than MP."""
    best = results.best_penalty(table).set_index("criterion")
    linear, magnitude = (best.loc[[name]].sort_values("stages").iloc[-1] for name in ("lm", "mp"))
    largest = table.loc[table["criterion"] == "lm", "step_penalty"].max()
    return bool(linear["step_penalty"] == largest and linear["mean"] > magnitude["mean"])


def lag(table: pd.DataFrame) -> results.Interval:
    """Return the loss change of LM less that of QM, paired, at one sparsity and the most stages."""
    change = results.changes_by_seed(table)
    return results.paired(change["lm"].iloc[:, -1], change["qm"].iloc[:, -1])


def lead(table: pd.DataFrame) -> results.Interval:
    """Return the loss change of QM in the most stages less that of MP, paired, at one sparsity."""
    change = results.changes_by_seed(table)
    return results.paired(change["qm"].iloc[:, -1], change["mp"].iloc[:, 0])


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
    return f"- **The paper's numbers**: {counts} epochs differ clearly."
