"""What SUMMARY.md says of models' predictions and of the layers' shares, and their tables."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd
from pages.summary_words import called, epochs, in_a_table, least_and_most, listed, opening, percent

from lossprune_lib import models, results
from lossprune_lib.networks.weights import WeightSpace
from lossprune_lib.pruning.by_stage import CAUSES
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
        return "" if len(of) == len(verdicts) else f" ({listed(of)})"

    claims = []
    for claim, words in CLAIMS.items():
        by: dict[str, list[str]] = {}
        for name, verdict in verdicts[claim].items():
            by.setdefault(verdict + why(claim, verdict, found.loc[name]), []).append(called(str(name)))
        claims.append(f"*{words}*: {'; '.join(f'{said}{whom(of)}' for said, of in by.items())}.")
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
    spoken = ["**The layers' shares.**"]
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
                f"{least_and_most(of.within.mean for of in small.values())}; with the shares held fixed by "
                f"{least_and_most(of.within_fixed.mean for of in small.values())}{not_clear(small)}."
            )
        else:
            both = [both_correlations(small.get(at, of)) for at, of in found.items()]
            words = of_two(*(is_clear(pair) for pair in zip(*both, strict=True)))
            of_mnist.append(f"after {epochs(table)}{' epochs' * (not of_mnist)} {words}")
        for at, of in found.items():
            words = [*correlations(of), *(correlations(small[at]) if at in small else [""] * 3)]
            shown.append([f"{opening(name)}, {at}, {epochs(table)} epochs", *words])
    spoken.append(f"On MNIST {'; '.join(of_mnist)}.")
    head = ["within a criterion", "loss change and gap correlate by", "with the shares held fixed", "ceiling"]
    head += [f"step penalties of at most {SMALL}", "these, with the shares held fixed", "their ceiling"]
    return " ".join(spoken), (
        f"{in_a_table(head, shown)}\n\nLarger step penalties, which not every study has, bring all criteria near MP's "
        "mask. *Not given*: too few runs for so many layers."
    )


def both_correlations(found: results.Preserving) -> tuple[results.Interval, results.Interval]:
    return found.within, found.within_fixed


def is_clear(found: Iterable[results.Interval]) -> str:
    """Say whether correlations are clearly above zero, where there are any."""
    found = list(found)
    if not all(of.n for of in found):
        return "is unknown"
    return "is clear" if all(of.low > 0 for of in found) else "is not"


def of_two(first: str, second: str) -> str:
    return f"both are{first.removeprefix('is')}" if first == second else f"the first {first}, the second {second}"


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
