"""Build SUMMARY.md, sentences to be read aloud and tables behind them: python data/results/make_summary.py."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import make_findings as findings
import pandas as pd
from make_findings import GUESSING, NAMES, PLAIN, TRAINED, chaos_table, first_round, trained_to_the_end

from lossprune_lib import files, results
from lossprune_lib.results.chaos import moves
from lossprune_lib.results.findings import LOWEST_CEILING, VERDICTS, between_orders
from lossprune_lib.results.statistics import FEWEST_SEEDS

HERE = Path(__file__).parent
LAYERS = "density."
PAIR = ["mp", "magnitude"]
CLEAR = ["better", "worse"]
HEADINGS = {
    "reproduced": "What holds here",
    "refuted": "What our rules refute",
    "undecided": "What the seeds leave open",
}
CLAIMS = {
    "fooled": "The model sees far less of the cost of its own choices than of magnitude's",
    "mended": "More stages mend what lies beyond the second order, and nothing else",
    "ranks": "QM ranks well although it predicts badly, and what it would take last costs more than magnitude's last",
}
MORE = {"worse": "more", "better": "less"}
ASKED = "For those who ask"


@dataclass(frozen=True)
class Case:
    """One finding's verdict on a study, at the sparsity that decides it.

    Attributes
    ----------
    table : the study's runs at this sparsity
    elsewhere : what is said of its other sparsities
    """

    number: int
    name: str
    verdict: str
    table: pd.DataFrame
    elsewhere: list[str]

    @property
    def sparsity(self) -> float:
        return float(self.table["sparsity"].iloc[0])


Cases = list[Case]
CALLED = {
    "cifar10_small_vgg": "small VGG",
    "cifar10_resnet": "ResNet",
    "cifar10_vgg": "VGG11",
    "mnist_800": "MNIST with 800 epochs",
    "mnist": "MNIST",
    "digits": "digits",
}


def what_the_paper_says() -> Iterable[str]:
    one, two = (pd.read_csv(files.shipped(f"paper/table{number}.csv")) for number in (1, 2))
    change = one[one["network"] == "mlp_300_100"].set_index("criterion")["mean"]
    gaps = two[two["network"] == "mlp_300_100"]["mean"]
    left = 100 * (change["lm"] - change["qm"]) / (change["mp"] - change["qm"])
    yield (
        "Laurent and others (2020) model the loss, and remove the weights that matter least to it. Their three "
        "findings, with their numbers for MNIST:"
    )
    yield "\n".join(
        [
            "- **Locality is crucial**: such a model is right only nearby, so prune in many small stages. Magnitude "
            f"(MP) changes the loss by {change['mp']:.2f} nats, the quadratic model (QM) in 140 stages by "
            f"{change['qm']:.2f}.",
            "- **First and second order are similar** once the steps are local: the linear model (LM) reaches "
            f"{change['lm']:.2f}, and lacks {left:.0f} % of what lies between MP and QM.",
            "- **Preserving the loss is not enough**: after fine-tuning all criteria end within "
            f"{gaps.max() - gaps.min():.1f} points of error.",
        ]
    )


def judged_cases(studies: dict[str, pd.DataFrame]) -> Cases:
    """Return each finding's verdict on each study, the table at the sparsity that decides it, and what others say."""
    cases = []
    for number, (name, table) in itertools.product(NAMES, studies.items()):
        judged = results.judge(table)
        at, elsewhere = at_which(number, judged)
        cases.append(Case(number, name, results.cases(judged)[number], table[table["sparsity"] == at], elsewhere))
    return [case for case in cases if case.verdict in HEADINGS]


def by_verdict(cases: Cases, every: dict[str, pd.DataFrame]) -> Iterable[str]:
    """Sort every case into what holds, what does not, and what the seeds leave open."""
    for verdict, heading in HEADINGS.items():
        yield f"## {heading}"
        said = [
            f"- {aloud(found)}"
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
        "A case with several sparsities counts as its weakest, which the table shows. *Gap*: error after fine-tuning "
        "less that before pruning. *Ceiling*: the largest correlation to be expected with a gap that is measured so "
        "noisily."
    )
    few = [called(name) for name, table in every.items() if table["seed"].nunique() < FEWEST_SEEDS]
    if few:
        yield f"Too few seeds: {'; '.join(few)}."
    yield from of_training(studies)
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


def at_which(number: int, judged: pd.DataFrame) -> tuple[float, list[str]]:
    """Return the sparsity that decides a finding, and what is said at others."""
    of_finding = judged[judged["finding"] == number]
    at = of_finding.loc[of_finding["verdict"].map(VERDICTS.index).idxmin(), "sparsity"]
    others = of_finding[of_finding["verdict"] != of_finding.set_index("sparsity")["verdict"][at]]
    return at, [f"at {percent(r.sparsity)} {r.verdict}" for r in others.itertuples()]


def aloud(cases: Cases) -> str:
    """Say in plain words what came out for some studies, of one finding and one verdict."""
    number, verdict = cases[0].number, cases[0].verdict
    of = listed(
        f"{called(case.name)} at {percent(case.sparsity)}{''.join(f' ({words})' for words in case.elsewhere)}"
        for case in cases
    )
    plain = [PLAIN[number][verdict]]
    if (number, verdict) == (1, "reproduced"):
        for case in cases:
            change = results.changes_by_seed(case.table)["qm"].mean()
            fewest = f"{change.iloc[0]:.2f} nats in {counted(change.index[0])}"
            alone = " (one stage was not run)" * bool(change.index[0] > 1)
            most = f"{change.iloc[-1]:.2f} in {change.index[-1]}"
            plain.append(f"{opening(case.name)}: QM changes it by {fewest}{alone}, by {most}.")
    if number == 2 and verdict != "refuted":
        way = [f"{100 - between_orders(case.table).mean:.0f} % ({called(case.name)})" for case in cases]
        plain.append(f"Of the way from magnitude to QM, LM goes {listed(way)}.")
    if (number, verdict) == (2, "refuted") and all(lead(case.table).verdict() != "better" for case in cases):
        plain = [
            "QM's lead over magnitude is not clear there. By that lead our rule measures how near LM comes, so without "
            "it the rule says refuted."
        ]
        plain += [of_linear(case) for case in cases]
        if all((case.table["pruned_train_loss"] > GUESSING).mean() > 0.5 for case in cases):
            plain.append("Most of these pruned networks have more loss than guessing.")
    return f"**{NAMES[number].capitalize()}**: {of}. {' '.join(plain)}"


def of_linear(case: Case) -> str:
    """Say whether LM and QM were seen to differ."""
    apart = lag(case.table)
    if apart.verdict() == "undecided":
        return f"{opening(case.name)}: LM and QM were not seen to differ."
    return f"{opening(case.name)}: LM changes the loss by {abs(apart.mean):.2f} nats {MORE[apart.verdict()]} than QM."


def lag(table: pd.DataFrame) -> results.Interval:
    """Return the loss change of LM less that of QM, paired, at one sparsity and the most stages."""
    change = results.changes_by_seed(table)
    return results.paired(change["lm"].iloc[:, -1], change["qm"].iloc[:, -1])


def lead(table: pd.DataFrame) -> results.Interval:
    """Return the loss change of QM in the most stages less that of MP, paired, at one sparsity."""
    change = results.changes_by_seed(table)
    return results.paired(change["qm"].iloc[:, -1], change["mp"].iloc[:, 0])


def listed(names: Iterable[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def in_a_table(head: list[str], body: Iterable[list[object]]) -> str:
    return "\n".join(findings.rows(head, body)).rstrip()


def opening(name: str) -> str:
    """Return the name of a study's network at the beginning of a sentence."""
    return called(name)[0].upper() + called(name)[1:]


def of_training(studies: dict[str, pd.DataFrame]) -> Iterable[str]:
    """Say which networks were trained to the end, by the rules."""
    said: dict[bool, dict[str, str]] = {True: {}, False: {}}
    for name, table in studies.items():
        if limit := TRAINED.get(table["model"].iloc[0]):
            error = 100 * table.drop_duplicates("seed")["dense_test_error"].mean()
            words = f"{called(name)}, {error:.1f} % dense error (limit {limit} %)"
            said[trained_to_the_end(table)][called(name)] = words
    heads = {False: "Not trained to the end", True: "Trained to the end"}
    sentences = [f"{heads[end]}: {'; '.join(of.values())}." for end, of in said.items() if of]
    if sentences:
        yield " ".join(sentences)


def after_less(studies: dict[str, pd.DataFrame], every: dict[str, pd.DataFrame]) -> Iterable[str]:
    """Say what the verdicts were after a shorter training, which stand beside the others by the rules."""
    for name, table in studies.items():
        if (before := findings.SHORTER.get(name)) in every:
            verdicts = results.cases(results.judge(every[before]))
            both = [int(of["training_epochs"].iloc[0]) for of in (every[before], table)]
            yield (
                f"{opening(name)} after {both[0]} epochs in float32, not {both[1]} in bfloat16: "
                f"locality *{verdicts[1]}*, orders *{verdicts[2]}*."
            )


def called(name: str) -> str:
    """Return the name of a study's network, to be read aloud."""
    return next(words for start, words in CALLED.items() if name.startswith(start))


def longest(studies: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Leave out studies of too few seeds, and those whose networks another one trained for longer."""
    kept: dict[object, str] = {}
    studies = {name: table for name, table in studies.items() if table["seed"].nunique() >= FEWEST_SEEDS}
    for name, table in sorted(studies.items(), key=lambda item: item[1]["training_epochs"].max()):
        kept[table["task"].iloc[0], table["model"].iloc[0], *sorted(table["sparsity"].unique())] = name
    return {name: table for name, table in studies.items() if name in kept.values()}


def beside_the_paper(studies: dict[str, pd.DataFrame]) -> str:
    """Say how many of the paper's numbers those of each study of enough seeds differ from, if there are any."""
    said: dict[str, list[str]] = {}
    for name, table in studies.items():
        if table["seed"].nunique() < FEWEST_SEEDS or table["tuning_epochs"].isna().any():
            continue
        both = pd.concat([results.beside_paper(table, number) for number in (1, 2)])
        both = both[both["paper_mean"].notna()]
        if not both.empty:
            differ = f"after {epochs(table)} epochs {both['differs'].sum()} of {len(both)}"
            said.setdefault(called(name), []).append(differ)
    if not said:
        return ""
    counts = "; ".join(f"{network}: {', '.join(of_network)}" for network, of_network in said.items())
    return f"- **The paper's numbers**: {counts} differ clearly."


def epochs(table: pd.DataFrame) -> str:
    """Return how many epochs of training and of fine-tuning a study has."""
    return " + ".join(f"{table[f'{when}_epochs'].max():.0f}" for when in ("training", "tuning"))


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
        f"QM {qm.iloc[0]:.2f} nats in {counted(qm.index[0])}, {qm.iloc[-1]:.2f} in {qm.index[-1]}, MP "
        f"{best['mp'].iloc[0]:.2f}{open_}"
    )


def of_orders(table: pd.DataFrame) -> str:
    apart = f"LM less QM {lag(table).words('.2f')} nats"
    if lead(table).verdict() == "better":
        return f"{apart}, or {between_orders(table).words('.0f', ' %')} of MP less QM"
    lost = int((table["pruned_train_loss"] > GUESSING).sum())
    broken = f"; {lost} of {len(table)} have more loss than guessing" if lost > len(table) / 2 else ""
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


def layer_shares() -> tuple[str, str]:
    """Return what is said of the layers' shares, and its table."""
    spoken, shown = ["**The layers' shares.** A criterion decides how much each layer keeps, then which weights."], []
    for name in ("digits", "mnist_200"):
        table = results.load(name)
        part = table[table["sparsity"] == table["sparsity"].max()]
        found, (layer, mp, qm) = results.preserving(part), starved(part)
        at = percent(part["sparsity"].iloc[0])
        spoken.append(f"{opening(name)} at {at}: of layer {layer}, MP keeps {mp} and QM {qm};")
        if found.within.verdict() == "undecided":
            spoken.append("within a criterion, loss change and gap do not clearly correlate.")
        else:
            spoken.append(
                f"within a criterion, loss change and gap correlate by {found.within.mean:.2f}, and with the shares "
                f"held fixed by {found.within_fixed.mean:.2f}."
            )
        shown.append([f"{opening(name)}, {at}", found.within.words(".2f"), found.within_fixed.words(".2f")])
    head = ["within a criterion", "loss change and gap correlate by", "with the shares held fixed"]
    return " ".join(spoken), in_a_table(head, shown)


def given_shares() -> tuple[str, str]:
    """Return what is said of magnitude at QM's shares, and its table."""
    tables = longest({name: results.together(name) for name in findings.of_controls()})
    told = pd.concat([of_controls(name, table) for name, table in tables.items()], ignore_index=True)
    before = pd.concat([results.controls_of_loss(table) for table in tables.values()])
    before = before[(before["criterion"] == "qm") & (before["stages"] == 14) & (before["first"] == "magnitude")]
    by_rule = told.assign(case=told["case"] + told["alone"]).groupby("says", sort=False)["case"]
    spoken = (
        "Controls give magnitude QM's shares of the layers. Before fine-tuning, it then loses clearly more than QM in "
        f"{(before['low'] > 0).sum()} of {len(before)} cases. After fine-tuning, by the rules: "
        f"{'; '.join(f'{says} ({listed(of)})' for says, of in by_rule)}."
    )
    waiting = results.missing("controls")
    if waiting:
        spoken += f" Controls not finished: {', '.join(waiting)}."
    head = ["test error in points, plus is worse", "epochs", "MP less QM", "magnitude at QM's shares less QM"]
    table = in_a_table([*head, "by the rules"], told[["case", "epochs", *PAIR, "says"]].to_numpy().tolist())
    return spoken, (
        f"{table}\n\nQM is in 14 stages, at one step penalty. A star marks what is clear among all that were compared, "
        "and not only taken alone."
    )


def starved(part: pd.DataFrame) -> tuple[str, str, str]:
    """Return the layer that MP cuts most, what MP keeps of it, and QM at its best step penalty and most stages."""
    best = results.best_penalty(part).groupby("criterion").tail(1)[["criterion", "stages", "step_penalty"]]
    shares = part.merge(best).groupby("criterion")[results.densities(part)].mean()
    layer = (shares.loc["mp"] / shares.loc["qm"]).idxmin()
    mp, qm = (f"{100 * shares.loc[name, layer]:.2g} %" for name in ("mp", "qm"))
    return str(layer).removeprefix(LAYERS), mp, qm


def of_controls(name: str, table: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each sparsity: what the controls say of QM in 14 stages; the others are in FINDINGS.md."""
    found, _ = findings.of_many(results.controls(table), results.between_criteria(table))
    found = found[(found["criterion"] == "qm") & (found["stages"] == 14) & (found["second"] == "qm")]
    rows = []
    for sparsity, part in found.groupby("sparsity"):
        beside = {
            r.Index: f"{r.mean:+.2f} {findings.between(r.low, r.high)}{'*' * (r.verdict in CLEAR and not r.alone)}"
            for r in part.set_index("first").loc[PAIR].itertuples()
        }
        case = f"{called(name)} at {percent(sparsity)}"
        last = part.set_index("first").loc["magnitude"]
        says = f"*{part['sentence'].iloc[0]}*"
        which = "the latter" if ";" in says else "which is"
        alone = f", {which} clear only taken alone" * bool(last["verdict"] in CLEAR and last["alone"])
        rows.append({"case": case, "alone": alone, "epochs": epochs(table), "says": says} | beside)
    return pd.DataFrame(rows)


def chaos() -> tuple[str, str]:
    """Return what is said of chaos in masks, and its table."""
    start = "**Chaos.** Criteria with similar loss changes keep different weights."
    table = chaos_table()
    if table is None:
        return (
            f"{start} Whether that is much or little is known only beside how far one criterion's own mask moves when "
            "the same examples come in another order: not run yet."
        ), ""
    spoken, shown = zip(*(of_own_masks(name, table) for name in table["network"].unique()), strict=True)
    compared = (
        "Compare a criterion's own, without a penalty: of two draws of the examples, and of one in another order."
    )
    head = ["two draws' masks share", "QM", "OBD", "reordered: the same mask", "in float64", "the others share"]
    table = in_a_table([*head, "their losses apart (nats)", "the criteria's", "chaotic settings"], shown)
    return " ".join([start, compared, *spoken]), table


def of_own_masks(name: str, table: pd.DataFrame) -> tuple[str, list[object]]:
    """Say how far a criterion's own mask moves with the draw and the order of the examples; return a row, too."""
    runs = moves(table[table["network"] == name])
    single, control = runs[runs["dtype"] == "float32"], runs[runs["dtype"] == "float64"]
    redrawn, reordered = (single[single["how"] == how] for how in ("redrawn", "reordered"))
    apart, of_draws = reordered[reordered["overlap"] < 1], shared(redrawn)
    same, at = len(reordered) - len(apart), percent(runs["sparsity"].iloc[0])
    told = [
        f"{opening(name)}: two draws share {of_draws['qm'].mean:.0f} % of QM's mask and {of_draws['obd'].mean:.0f} % "
        f"of OBD's; another order leaves {same} of {len(reordered)} masks alone"
    ]
    of_others = ["", "", ""]
    if len(apart):
        of_others = [
            percent(apart["overlap"].median()),
            f"{apart['move'].mean():.2f}",
            f"{apart['distance'].mean():.2f}",
        ]
        told.append(f"; the others overlap with it by {of_others[0]}")
    settings = results.chaos(runs).query("dtype == 'float32' and how == 'reordered'")["masks"]
    chaotic = f"{(settings == 'chaotic').sum()} of {len(settings)}"
    one = "" if name == "digits" else ", on one network"
    told.append(f". Chaotic settings: {chaotic}; *masks are chaotic, losses are not*: ")
    told.append(f"{results.chaos_verdicts(runs)[name]}{one}.")
    row = [
        f"{opening(name)}, {at}",
        *(of_draws[criterion].words(".0f", " %") for criterion in ("qm", "obd")),
        f"{same} of {len(reordered)}",
        f"{(control['overlap'] == 1).sum()} of {len(control)}",
        *of_others,
        chaotic,
    ]
    return "".join(told), row


def fooled() -> tuple[str, str]:
    """Return what is said of models' predictions, and its table."""
    found, verdicts = results.predictions().set_index(["network", "what"]), results.prediction_verdicts()
    shares = {
        who: {name: found.loc[(name, f"share by the diagonal, {who} in 14 stages")] for name in verdicts.index}
        for who in ("QM", "MP")
    }
    own = listed(f"{100 * share['mean']:.0f} % ({called(name)})" for name, share in shares["QM"].items())
    others = listed(f"{100 * share['mean']:.0f} %" for share in shares["MP"].values())
    claims = []
    for claim, words in CLAIMS.items():
        by = verdicts.groupby(claim, sort=False).groups
        claims.append(f"*{words}*: {'; '.join(f'{said} ({listed(map(called, of))})' for said, of in by.items())}.")
    order = [found.loc[(name, "rank correlation of cost and place, QM"), "mean"] for name in verdicts.index]
    spoken = (
        f"**Predictions.** Of what its own steps cost, QM's model predicts {own}; of what MP's steps cost, {others}. "
        f"{' '.join(claims)} The order itself correlates with the costs by {listed(f'{each:.2f}' for each in order)}."
    )

    def percents(share: pd.Series) -> str:
        mean, low, high = (round(100 * share[column]) for column in ("mean", "low", "high"))
        return f"{mean} % ({low} to {high})"

    return spoken, in_a_table(
        ["predicted of the cost", "of QM's steps", "of MP's steps"],
        ([opening(name), *(percents(of_chooser[name]) for of_chooser in shares.values())] for name in verdicts.index),
    )


def shared(redrawn: pd.DataFrame) -> dict[str, results.Interval]:
    """Return the overlap of two draws' masks (%) by criterion, in 14 exponential stages without step penalty."""
    part = redrawn[(redrawn["stages"] == 14) & (redrawn["schedule"] == "exponential")]
    by = part[part["step_penalty"] == 0].groupby("criterion")["overlap"]
    return {criterion: results.interval(100 * by.get_group(criterion)) for criterion in ("qm", "obd")}


def exactness() -> tuple[str, str]:
    """Return what is said of sampled curvature, and its table."""
    spoken, shown = ["**Exactness.** Does a sampled, cheaper curvature choose as well?"], []
    for name in results.names("exactness"):
        found = results.exactness(results.load(name))
        well, of = (found["verdict"] == "as well").sum(), len(found)
        share = found["mean"] / found["exact"]
        how = f"in {well} of {of} settings" if found["seeds"].min() > 1 else "one network, no verdict"
        spoken.append(f"{opening(name)}: {how}.")
        shown.append([opening(name), how, f"{share.loc[share.abs().idxmax()]:+.0%}"])
    waiting = results.missing("exactness")
    if waiting:
        spoken.append(f"Not run yet: {', '.join(waiting)}.")
    return " ".join(spoken), in_a_table(["sampled curvature", "as well", "furthest from the exact loss change"], shown)


def percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def counted(stages: int) -> str:
    return "one stage" if stages == 1 else f"{stages} stages"


def text() -> str:
    every = {name: results.together(name) for name in findings.studies()}
    studies = longest(every)
    cases = judged_cases(studies)
    spoken, shown = zip(*(part() for part in (fooled, layer_shares, given_shares, chaos, exactness)), strict=True)
    parts = [
        "# What we found, in five minutes",
        f"To be read aloud, up to *{ASKED}*. ResNet and VGG11 (CIFAR-10) are a quarter as wide as the paper's.",
        "## What the paper says",
        *what_the_paper_says(),
        *by_verdict(cases, every),
        "## What turned out to be something else",
        *spoken,
        f"## {ASKED}",
        "Brackets hold 95 % intervals over seeds. The [rules](JUDGING.md) preceded the runs, but for the tables of a "
        "first round (digits, small VGG, and MNIST with 60 + 20 epochs), which are judged again by them, and for what "
        "JUDGING.md marks as later. ResNet and VGG11 have a sampled curvature. [FINDINGS.md](FINDINGS.md) has more.",
        *behind_verdicts(cases, studies, every),
        *filter(None, shown),
    ]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    print(files.replace(HERE / "SUMMARY.md", lambda path: path.write_text(text(), "utf-8")))
