"""What SUMMARY.md says of the controls, magnitude at QM's shares of the layers: sentences, and their table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd
from pages.findings_controls import of_many
from pages.findings_studies import control_tables
from pages.findings_words import between
from pages.summary_words import called, epochs, in_a_table, listed, longest, percent, pruned

from lossprune_lib import results

CLEAR = ["better", "worse"]
EXPLAINED = ("the shares explain it", "the shares explain most of it")
NO_LEAD = "there is no lead to explain"
WEIGHTS = "single weights matter"
BETTER = "the largest weights at its shares are better"  # a later rule, as JUDGING.md says
OTHERS = {
    "gradual": "Magnitude pruned gradually in training, a yardstick",
    "lamp": "LAMP",
    "erk": "ERK's shares",
    "uniform": "Equal shares",
}
ALOUD = {
    EXPLAINED[0]: "QM's shares explain magnitude's lag",
    EXPLAINED[1]: "QM's shares explain most of magnitude's lag",
    NO_LEAD: "magnitude does not lag behind QM",
    BETTER: "magnitude at QM's shares is better than QM",
    WEIGHTS: "at QM's shares its single weights matter",
    "undecided": "undecided",
    "not judged": "not judged",
}


def longest_controls() -> dict[str, pd.DataFrame]:
    """Return the tables of fine-tuned masks, of each network those that were trained for longest."""
    return longest({name: results.together(name) for name in control_tables()})


def given_shares() -> tuple[str, str]:
    """Return what is said of magnitude at QM's shares, and its table."""
    tables = longest_controls()
    told, in_140 = (
        pd.concat([of_controls(name, table, stages) for name, table in tables.items()], ignore_index=True)
        for stages in (14, 140)
    )
    more = told["before"].eq("worse").groupby(told["network"], sort=False).all()  # several sparsities are one case
    less = [r.spoken for r in told[told["before"] == "better"].itertuples()]
    where = f"all {len(more)} networks" if more.all() else listed(more.index[more]) if more.any() else "none"
    spoken = (
        "**Controls** give magnitude QM's shares (QM at one penalty, not always its best). Before fine-tuning "
        "it loses clearly more than QM on "
        f"{where}{f', less on {listed(less)}' if less else ''}. After it: {'; '.join(what_rules_say(told))}."
    )
    waiting = results.missing("controls")
    if waiting:
        spoken += f" Controls not finished: {', '.join(waiting)}."
    head = ["plus is worse than QM", "epochs", "before fine-tuning (nats): magnitude at QM's shares"]
    head += ["test error after it (points): MP", "magnitude at QM's shares", "by the rules"]
    shown = told[["case", "epochs", "loss", "mp", "magnitude", "in italics"]]
    of_140 = "" if in_140.empty else f" With QM in 140 stages, where that was run: {'; '.join(what_rules_say(in_140))}."
    return spoken, (
        f"{in_a_table(head, shown.to_numpy().tolist())}\n\nAll less QM, which is in 14 stages, at one step penalty. A "
        "star marks what is clear among all errors compared in its study (Benjamini and Hochberg), not only alone. "
        f"That the largest weights are *better* is a later rule.{of_140}\n\nOther controls that end clearly apart from "
        f"QM in 14 stages. {' '.join(others(tables))}"
    )


def what_rules_say(told: pd.DataFrame) -> Iterable[str]:
    """Say of each sentence on controls where it was said, and how much it is about."""
    first = told["says"].str.split("; ").str[0]
    for sentence in sorted(first.unique(), key=[*ALOUD].index):
        places = [place(r) for r in told[first == sentence].itertuples()]
        yield f"*{ALOUD[sentence]}*: {'; '.join(places) if '(' in ''.join(places) else listed(places)}"


def place(r: Any) -> str:
    """Return a case with what its controls come to, in points."""
    first, *more = str(r.says).split("; ")
    said = []
    if first in EXPLAINED:
        said.append(f"from {r.lag:.1f} points{only(r.lag_alone)}{',' * r.lag_alone} to {r.rest:.1f}")
        said += [f"the rest clear{' only taken alone' * r.rest_alone}"] * (WEIGHTS in more)
    if first == NO_LEAD and r.lag_is == "better":
        said.append(f"it leads by {-r.lag:.2f} points{only(r.lag_alone)}")
    if first == NO_LEAD and r.lag_is == "worse":
        said.append(f"it lags by {r.lag:.1f} points, within our margin")
    if first in (BETTER, WEIGHTS):
        said.append(f"by {abs(r.rest):.1f} points{only(r.rest_alone)}")
    elif BETTER in more or (WEIGHTS in more and first not in EXPLAINED):
        side = "behind " if WEIGHTS in more else "ahead " * (r.lag_is != "better")
        said.append(f"with QM's shares {side}by {abs(r.rest):.2f}{only(r.rest_alone)}")
    return f"{r.spoken} ({', '.join(said)})" if said else str(r.spoken)


def only(alone: bool) -> str:
    return ", clear only taken alone" * alone


def of_controls(name: str, table: pd.DataFrame, stages: int) -> pd.DataFrame:
    """Return a row for each sparsity: what the controls say of QM in so many stages; the others are in FINDINGS.md."""
    found, _ = of_many(results.controls(table), results.between_criteria(table))
    before, rows = results.controls_of_loss(table), []
    found, before = (of[(of["criterion"] == "qm") & (of["stages"] == stages)] for of in (found, before))
    for sparsity, part in found[found["second"] == "qm"].groupby("sparsity"):
        of = part.set_index("first")
        (lost,) = before[(before["sparsity"] == sparsity) & (before["first"] == "magnitude")].itertuples()
        says = str(of.loc["mp", "sentence"])
        rows.append(
            {
                "network": called(name),
                "spoken": pruned(name, float(str(sparsity))),
                "case": f"{called(name)} at {percent(float(str(sparsity)))}",
                "epochs": epochs(table),
                "before": lost.verdict,
                "loss": f"{lost.mean:+.2f} {between(lost.low, lost.high)}",
                **measured("lag", of.loc["mp"]),
                **measured("rest", of.loc["magnitude"]),
                "says": says,
                "in italics": f"*{says}*",
                **{first: f"{r['mean']:+.2f} {between(r['low'], r['high'])}{star(r)}" for first, r in of.iterrows()},
            }
        )
    return pd.DataFrame(rows)


def measured(name: str, r: pd.Series) -> dict[str, object]:
    """Return a difference's mean, its verdict, and whether it is clear only taken alone, under names of columns."""
    return {name: r["mean"], f"{name}_is": r["verdict"], f"{name}_alone": r["verdict"] in CLEAR and bool(r["alone"])}


def star(r: pd.Series) -> str:
    """Mark what is clear, and not only taken alone."""
    return "*" * (r["verdict"] in CLEAR and not r["alone"])


def others(tables: dict[str, pd.DataFrame]) -> Iterable[str]:
    """Say where each other control of magnitude ends clearly apart from QM in 14 stages."""
    every = {}
    for name, table in tables.items():
        found, _ = of_many(results.controls(table), results.between_criteria(table))
        every[name] = found[(found["criterion"] == "qm") & (found["stages"] == 14) & found["verdict"].isin(CLEAR)]
    for control, words in OTHERS.items():
        said: dict[str, list[str]] = {}
        for name, found in every.items():
            for r in found[found["first"] == control].itertuples():
                how = f"by {abs(r.mean):.1f} points{', clear only taken alone' * bool(r.alone)}"
                side = {"better": "ahead of QM", "worse": "behind QM"}[r.verdict]
                said.setdefault(side, []).append(f"{pruned(name, r.sparsity)} ({how})")
        if said:
            yield f"{words}: {'; '.join(f'{side}: {listed(cases)}' for side, cases in said.items())}."
