"""What SUMMARY.md says of chaos in masks, and its table."""

from __future__ import annotations

import pandas as pd
from pages.findings_rivals import chaos_table
from pages.summary_words import called, in_a_table, listed, opening, percent

from lossprune_lib import models, results
from lossprune_lib.networks.weights import WeightSpace
from lossprune_lib.results.chaos import moves


def chaos() -> tuple[str, str]:
    """Return what is said of chaos in masks, and its table."""
    start = "**Chaos.**"
    pairs = chaos_table()
    if pairs is None:
        return (
            f"{start} Whether that is much or little is known only beside how far one criterion's own mask moves when "
            "the same examples come in another order: not run yet."
        ), ""
    own = [of_own_masks(name, pairs) for name in pairs["network"].unique()]
    said, shown = [told for told, _ in own], [row for _, row in own]
    spoken = (
        f"{start} With other examples, and no penalty, two of QM's masks share "
        f"{listed(of['qm'] for of in said)}; random ones with its layers' shares "
        f"{listed(of['chance'] for of in said)}. With the same examples in another order, "
        f"{listed(of['same'] for of in said)} masks stay the same. *Masks are "
        f"chaotic, losses are not*: {'; '.join(of['verdict'] for of in said)}."
    )
    head = ["two draws' masks share", "QM", "OBD", "reordered: the same mask", "in float64", "the others share"]
    table = in_a_table([*head, "their losses apart (nats, mean)", "the criteria's", "chaotic settings"], shown)
    return spoken, (
        f"{table}\n\n*The others*: the reordered prunings whose masks differ from those in the first order; how much "
        "they share with these, and how far apart the losses are. *The criteria's*: how far apart the losses of "
        "different criteria are, at the same settings. Two draws: 14 exponential stages, no penalty. MNIST is one "
        "network with several draws, so an interval there is over draws. When it *holds*, JUDGING.md says."
    )


def of_own_masks(name: str, table: pd.DataFrame) -> tuple[dict[str, str], list[object]]:
    """Return how far a criterion's own mask moves with the draw and the order of the examples: words and a row."""
    runs = moves(table[table["network"] == name])
    single, control = runs[runs["dtype"] == "float32"], runs[runs["dtype"] == "float64"]
    redrawn, reordered = (single[single["how"] == how] for how in ("redrawn", "reordered"))
    apart, of_draws = reordered[reordered["overlap"] < 1], shared(redrawn)
    same = f"{len(reordered) - len(apart)} of {len(reordered)}"
    of_others = ["", "", ""]
    if len(apart):
        of_others = [
            f"{percent(apart['overlap'].median())} (median)",
            f"{apart['move'].mean():.2f}",
            f"{apart['distance'].mean():.2f}",
        ]
    settings = results.chaos(runs).query("dtype == 'float32' and how == 'reordered'")["masks"]
    chaotic, verdict = f"{(settings == 'chaotic').sum()} of {len(settings)}", results.chaos_verdicts(runs)[name]
    one = "" if name == "digits" else ", one network"
    words = {
        "qm": f"{of_draws['qm'].mean:.0f} % ({called(name)}{one})",
        "chance": f"{100 * by_chance(name, runs['sparsity'].iloc[0]):.0f} %",
        "same": same,
        "verdict": f"{verdict} ({called(name)}: {chaotic} settings)",
    }
    return words, [
        f"{opening(name)}, {percent(runs['sparsity'].iloc[0])}",
        *(of_draws[criterion].words(".0f", " %") for criterion in ("qm", "obd")),
        same,
        f"{(control['overlap'] == 1).sum()} of {len(control)}",
        *of_others,
        chaotic,
    ]


def by_chance(name: str, sparsity: float) -> float:
    """Return what two random masks are expected to have in common, of what either keeps, with the layers' shares of QM.

    QM is in 14 stages without step penalty; the mean over the networks of that study, which has the shares.
    """
    runs = results.load(name)
    runs = runs[(runs["criterion"] == "qm") & (runs["stages"] == 14) & (runs["step_penalty"] == 0)]
    runs = runs[(runs["sparsity"] - sparsity).abs() < 1e-3]
    sizes = WeightSpace(models.pretrained(runs["model"].iloc[0], name)).sizes
    shares = runs[results.densities(runs)].to_numpy()
    both, kept = (shares**2 * sizes).sum(axis=1), (shares * sizes).sum(axis=1)
    return float((both / (2 * kept - both)).mean())


def shared(redrawn: pd.DataFrame) -> dict[str, results.Interval]:
    """Return the overlap of two draws' masks (%) by criterion, in 14 exponential stages without step penalty."""
    part = redrawn[(redrawn["stages"] == 14) & (redrawn["schedule"] == "exponential")]
    by = part[part["step_penalty"] == 0].groupby("criterion")["overlap"]
    return {criterion: results.interval(100 * by.get_group(criterion)) for criterion in ("qm", "obd")}
