"""What turned out to be something else: each of these functions returns what SUMMARY.md says of it, and its table."""

from __future__ import annotations

import pandas as pd
from make_findings import chaos_table
from summary_words import called, epochs, in_a_table, least_and_most, listed, opening, percent

from lossprune_lib import models, results
from lossprune_lib.networks.weights import WeightSpace
from lossprune_lib.pruning.by_stage import CAUSES
from lossprune_lib.results.chaos import moves
from lossprune_lib.results.controls import margin
from lossprune_lib.results.predictions import share_by

LAYERS = "density."
SMALL = 0.1  # a step penalty, as JUDGING.md has it
CLAIMS = {
    "fooled": "The model is fooled by its own choices, and less by magnitude's",
    "mended": "More stages shrink the error beyond the second order, and no other clearly",
    "ranks": "QM ranks well although it predicts badly, and its last weights cost more than magnitude's last",
}


def fooled() -> tuple[str, str]:
    """Return what is said of models' predictions, and its table."""
    found, verdicts = results.predictions().set_index(["network", "what"]), results.prediction_verdicts()
    shares = {
        who: {name: found.loc[(name, share_by("diagonal", who))] for name in verdicts.index} for who in ("qm", "mp")
    }
    own = listed(f"{100 * share['mean']:.0f} % ({called(name)})" for name, share in shares["qm"].items())
    others = listed(f"{100 * share['mean']:.0f} %" for share in shares["mp"].values())

    def whom(of: list[str]) -> str:
        return "all" if len(of) == len(verdicts) else listed(of)

    claims = []
    for claim, words in CLAIMS.items():
        by: dict[str, list[str]] = {}
        for name, verdict in verdicts[claim].items():
            by.setdefault(verdict + why(claim, verdict, found.loc[name]), []).append(called(str(name)))
        claims.append(f"*{words}*: {'; '.join(f'{said} ({whom(of)})' for said, of in by.items())}.")
    first, *others_below = claims
    orders = [
        [f"{found.loc[(name, f'rank correlation of cost and place, {who}'), 'mean']:.2f}" for name in verdicts.index]
        for who in ("QM", "MP")
    ]
    own_order, other_order = (least_and_most(map(float, of)) for of in orders)
    spoken = (
        f"**Predictions.** Of the loss that QM's steps cost, its own model predicts {own}; of MP's, {others}. {first}"
    )

    def percents(share: pd.Series) -> str:
        mean, low, high = (100 * share[column] for column in ("mean", "low", "high"))
        digits = 0 if round(low) and round(high) else 1  # on which side of zero an interval ends must be seen
        return f"{mean:.0f} % ({low:.{digits}f} to {high:.{digits}f})"

    table = in_a_table(
        ["predicted of the cost", "of QM's steps", "of MP's steps"],
        ([opening(name), *(percents(of_chooser[name]) for of_chooser in shares.values())] for name in verdicts.index),
    )
    return spoken, (
        f"{table}\n\n{' '.join(others_below)} Magnitude ranks as well (its cost and place correlate by {other_order}, "
        f"QM's by {own_order}). All in 14 stages without penalty, at 90 % (MNIST: 98.8 %)."
    )


def why(claim: str, verdict: str, found: pd.DataFrame) -> str:
    """Say which part of a claim does not hold, where it is not the first."""
    if (claim, verdict) == ("mended", "refuted") and found.loc[f"{CAUSES[0]}, 28 stages less 1", "high"] < 0:
        return ", since another shrinks, too"
    well = found.loc["rank correlation of cost and place, QM", "low"] > 0.5
    badly = found.loc["share of the first six groups, QM", "high"] < 0.5
    return " for its last part" if claim == "ranks" and verdict != "holds" and well and badly else ""


def layer_shares() -> tuple[str, str]:
    """Return what is said of the layers' shares, and its table."""
    spoken = ["**The layers' shares.** A criterion decides how much each layer keeps, then which weights."]
    shown, of_mnist = [], []
    for name in ("digits", "mnist", "mnist_200"):
        table = results.load(name)
        parts = {percent(float(str(sparsity))): part for sparsity, part in table.groupby("sparsity")}
        found = {at: results.preserving(part) for at, part in parts.items()}
        small = {
            at: results.preserving(part[part["step_penalty"] <= SMALL])
            for at, part in parts.items()
            if part["step_penalty"].max() > SMALL
        }
        if name == "digits":
            *_, highest = parts
            spoken.append(starved(parts[highest], highest))
            spoken.append(
                "Within a criterion, without large step penalties, loss change and fine-tuned error correlate by "
                f"{least_and_most(of.within.mean for of in small.values())}; with the shares held fixed, too, by "
                f"{least_and_most(of.within_fixed.mean for of in small.values())}{not_clear(small)}."
            )
        else:
            clear = all(of.within.verdict() != "undecided" for of in found.values())
            of_mnist.append(f"{'clear' if clear else 'not'} after {epochs(table)}")
        for at, of in found.items():
            words = [*correlations(of), *(correlations(small[at]) if at in small else [""] * 3)]
            shown.append([f"{opening(name)}, {at}, {epochs(table)} epochs", *words])
    spoken.append(f"On MNIST that is {', '.join(of_mnist)} epochs.")
    head = ["within a criterion", "loss change and gap correlate by", "with the shares held fixed", "ceiling"]
    head += [f"step penalties of at most {SMALL}", "these, with the shares held fixed", "their ceiling"]
    return " ".join(spoken), (
        f"{in_a_table(head, shown)}\n\nLarger step penalties, which not every study has, bring all criteria near MP's "
        "mask. *Not given*: too few runs for so many layers."
    )


def correlations(found: results.Preserving) -> list[str]:
    """Return the two correlations within a criterion and their ceiling, as words."""
    fixed = found.within_fixed
    return [found.within.words(".2f"), fixed.words(".2f") if fixed.n else "not given", f"{found.within_ceiling:.2f}"]


def not_clear(found: dict[str, results.Preserving]) -> str:
    """Say at which sparsities a correlation with the shares held fixed is not clear."""
    where = [at for at, of in found.items() if of.within_fixed.verdict() == "undecided"]
    return f" (not clearly at {listed(where)})" if where else ""


def starved(part: pd.DataFrame, at: str) -> str:
    """Say what MP keeps of the layer that it cuts most, and QM at its best step penalty and most stages."""
    best = results.best_penalty(part).groupby("criterion").tail(1)[["criterion", "stages", "step_penalty"]]
    shares = part.merge(best).groupby("criterion")[results.densities(part)].mean()
    layer = (shares.loc["mp"] / shares.loc["qm"]).idxmin()
    sizes = dict(
        zip(results.densities(part), WeightSpace(models.pretrained("mlp_300_100", "digits")).sizes, strict=True)
    )
    mp, qm = (f"{sizes[layer] * shares.loc[name, layer]:.3g}" for name in ("mp", "qm"))
    stages = part.loc[part["criterion"] == "qm", "stages"].max()
    where = str(layer).removeprefix(LAYERS)
    of = f"of {where}'s {sizes[layer]:,} weights"
    return f"On digits at {at}, {of} MP keeps {mp} on average, QM in {stages} stages {qm}."


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
        "verdict": f"{verdict} ({called(name)}: {chaotic} settings chaotic)",
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
        shown.append([opening(name), how, f"{share.min():+.0%} to {share.max():+.0%}"])
    spoken = [
        "**Exactness.** Does a sampled curvature keep the loss as well as the exact one, within a tenth?",
        *([f"In {listed(spoken)} settings."] if spoken else []),
    ]
    if tuned:
        spoken.append(f"After fine-tuning: {', '.join(mostly(name, t) for name, t in tuned.items())}.")
    waiting = results.missing("exactness")
    if waiting:
        spoken.append(f"Not run yet: {', '.join(waiting)}.")
    table = in_a_table(["sampled curvature", "as well", "its loss change, against the exact one's"], shown)
    not_so = f" Not so: {'; '.join(others)}." * bool(others)
    return " ".join(spoken), (
        f"{table}\n\n*As well*: the whole interval lies within a tenth.{not_so} After fine-tuning, each taken alone: "
        f"{'; '.join(of_errors(name, t) for name, t in tuned.items())}."
    )


def mostly(name: str, table: pd.DataFrame) -> str:
    """Say which verdict falls most often on the errors after fine-tuning."""
    counts = results.exactness(table, tuned=True)["verdict"].value_counts()
    return f"{str(counts.index[0]).removesuffix(' as')} in {counts.iloc[0]} of {counts.sum()} ({called(name)})"


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
