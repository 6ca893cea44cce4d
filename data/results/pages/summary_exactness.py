"""What SUMMARY.md says of sampled curvature, and its table."""

from __future__ import annotations

import pandas as pd
from pages.summary_words import called, epochs, in_a_table, listed, opening

from lossprune_lib import results
from lossprune_lib.results.controls import margin


def exactness() -> tuple[str, str]:
    """Return what is said of sampled curvature, and its table."""
    others: list[str] = []
    spoken, shown = [], []
    tables = {name: results.load(name) for name in results.names("exactness")}
    tuned = {name: table for name, table in tables.items() if table["tuning_epochs"].notna().all()}
    for name in (name for name in tables if name not in tuned):
        found = results.exactness(tables[name])
        well, of = (found["verdict"] == "as well").sum(), len(found)
        share = found["mean"] / found["exact"]
        judged = found["seeds"].min() > 1
        how = f"{well} of {of}" if judged else "one network, no verdict"
        others += [
            f"{called(name)}, {r.criterion.upper()} in {r.stages} stages with {columns(r.curvature_columns)} "
            f"({100 * r.mean / r.exact:.0f} %, {100 * r.low / r.exact:.1f} to {100 * r.high / r.exact:.1f})"
            for r in found[(found["seeds"] > 1) & (found["verdict"] != "as well")].itertuples()
        ]
        if judged:
            spoken.append(f"{how} ({called(name)})")
        shown.append(
            [
                f"{opening(name)}, {tables[name]['training_epochs'].max():.0f} epochs",
                how,
                f"{share.min():+.0%} to {share.max():+.0%}",
            ]
        )
    spoken = [
        "**Exactness.** Does sampled curvature keep the loss as well as exact, within a tenth?",
        *([f"In {listed(spoken)} settings."] if spoken else []),
    ]
    if tuned:
        spoken.append(f"After fine-tuning: {', '.join(mostly(name, tables) for name in tuned)}.")
    waiting = results.missing("exactness")
    if waiting:
        spoken.append(f"Not run yet: {', '.join(waiting)}.")
    table = in_a_table(["sampled curvature", "as well", "its loss change, against the exact one's"], shown)
    not_so = f" Not so: {'; '.join(others)}." * bool(others)
    return " ".join(spoken), (
        f"{table}\n\n*As well*: the whole interval lies within a tenth.{not_so} After fine-tuning, each taken alone: "
        f"{'; '.join(of_errors(name, t) for name, t in tuned.items())}."
    )


def mostly(name: str, tables: dict[str, pd.DataFrame]) -> str:
    """Say which verdict falls most often on the errors after fine-tuning."""
    counts = results.exactness(tables[name], tuned=True)["verdict"].value_counts()
    trained = [
        f"{tables[of]['training_epochs'].max():.0f}" for of in (name, name.removesuffix("_tuned")) if of in tables
    ]
    other = f", of {trained[0]} epochs" if len({*trained}) > 1 else ""
    return f"{str(counts.index[0]).removesuffix(' as')} in {counts.iloc[0]} of {counts.sum()} ({called(name)}{other})"


def of_errors(name: str, table: pd.DataFrame) -> str:
    """Say in how many settings which verdict falls on the errors after fine-tuning."""
    verdicts = results.exactness(table, tuned=True)["verdict"]
    said = {"as good as": "as good in", "better": "better in", "worse": "worse in", "undecided": "undecided in"}
    counts = [f"{words} {(verdicts == which).sum()}" for which, words in said.items() if (verdicts == which).any()]
    return (
        f"{called(name)} ({epochs(table)} epochs, margin {margin(table):g} points), {listed(counts)} of "
        f"{len(verdicts)} settings"
    )


def columns(number: int) -> str:
    return "one column" if number == 1 else f"{number} columns"
