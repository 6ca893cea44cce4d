"""Build SUMMARY.md, one page to be read aloud, from the tables beside it: python data/results/make_summary.py."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import make_findings as findings
import pandas as pd
from make_findings import GUESSING, NAMES, TRAINED, chaos_table, first_round, trained_to_the_end

from lossprune_lib import files, results
from lossprune_lib.results.chaos import moves
from lossprune_lib.results.findings import LOWEST_CEILING, VERDICTS, between_orders
from lossprune_lib.results.statistics import FEWEST_SEEDS

HERE = Path(__file__).parent
LAYERS = "density."
PAIR = ["mp", "magnitude"]
CLEAR = ["better", "worse"]
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
        "Laurent and others (2020) model the loss, and remove the weights that matter least to it. Their numbers for "
        "MNIST: **Locality is crucial**: such a model is right only nearby, so "
        f"prune in many small stages. Magnitude (MP) changes the loss by {change['mp']:.2f} nats, the quadratic model "
        f"(QM) in 140 stages by {change['qm']:.2f}. **First and second order are similar** once the steps are local: "
        f"the linear model (LM) reaches {change['lm']:.2f}, and lacks {left:.0f} % of what lies between MP and QM. "
        "**Preserving the loss is not enough**: after fine-tuning all criteria end within "
        f"{gaps.max() - gaps.min():.1f} points of error."
    )


def by_verdict() -> Iterable[str]:
    """Sort every case into what holds, what does not, and what the seeds leave open."""
    every = {name: results.together(name) for name in findings.studies()}
    judged = {name: results.judge(table) for name, table in every.items()}
    studies = longest(every)
    for heading, verdict in (
        ("What holds here", "reproduced"),
        ("What does not hold here", "refuted"),
        ("What the seeds leave open", "undecided"),
    ):
        yield f"## {heading}"
        said = []
        for number in NAMES:
            found = [
                f"{called(name)}{told(number, table, judged[name])}"
                for name, table in studies.items()
                if results.cases(judged[name])[number] == verdict
            ]
            said += [f"- **{NAMES[number].capitalize()}**: {'; '.join(found)}."] if found else []
        if verdict == "undecided":
            said += filter(None, [beside_the_paper(every)])
            said.append(
                "- *Gap*: error after fine-tuning less that before pruning. *Ceiling*: what noise lets correlate."
            )
        yield "\n".join(said or ["Nothing, by the rules that were fixed beforehand."])
    few = [called(name) for name, table in every.items() if table["seed"].nunique() < FEWEST_SEEDS]
    if few:
        yield f"Too few seeds: {'; '.join(few)}."
    yield from of_training(studies)
    yield from after_less(studies, every)
    weaker = sum(
        first_round().get((name, r.finding, f"{r.sparsity:.4g}")) == "reproduced" != r.verdict
        for name, of_study in judged.items()
        for r in of_study.itertuples()
    )
    yield f"The first round said *reproduced* {weaker} times where this one does not."
    waiting = results.missing("longer")
    if waiting:
        yield f"Not run yet: {', '.join(waiting)}."


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
    return f"- **The paper's numbers**, {counts} differ clearly."


def epochs(table: pd.DataFrame) -> str:
    """Return how many epochs of training and of fine-tuning a study has."""
    return " + ".join(f"{table[f'{when}_epochs'].max():.0f}" for when in ("training", "tuning"))


def told(number: int, table: pd.DataFrame, judged: pd.DataFrame) -> str:
    """Return the number behind a verdict, at the sparsity that decides it."""
    tell: dict[int, Callable[[pd.DataFrame], str]] = {1: of_locality, 2: of_orders, 3: of_preserving}
    of_finding = judged[judged["finding"] == number]
    deciding = of_finding.loc[of_finding["verdict"].map(VERDICTS.index).idxmin(), "sparsity"]
    elsewhere = of_finding[of_finding["verdict"] != of_finding.set_index("sparsity")["verdict"][deciding]]
    said = [
        tell[number](table[table["sparsity"] == deciding]),
        *(f"at {percent(r.sparsity)} {r.verdict}" for r in elsewhere.itertuples()),
    ]
    return f" at {percent(deciding)} ({'; '.join(said)})"


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
    share, change = between_orders(table), results.changes_by_seed(table)
    lead = results.paired(change["qm"].iloc[:, -1], change["mp"].iloc[:, 0])
    lost = int((table["pruned_train_loss"] > GUESSING).sum())
    broken = f"; {lost} of {len(table)} have more loss than guessing" if lost > len(table) / 2 else ""
    if lead.verdict() != "better":
        return f"QM less MP {lead.words('.2f')} nats, not clear, hence refuted{broken}"
    apart = results.paired(change["lm"].iloc[:, -1], change["qm"].iloc[:, -1])
    return f"LM less QM {apart.words('.2f')} nats, or {share.words('.0f', ' %')} of MP less QM"


def of_preserving(table: pd.DataFrame) -> str:
    found = results.preserving(table)
    if not found.near.n:
        return "too few runs near the best one"
    low = ", too low to decide" * (found.near_ceiling < LOWEST_CEILING)
    return (
        f"near the best run, change and gap correlate by {found.near.words('.2f')}, ceiling: {found.near_ceiling:.2f}"
        f"{low}; choosing by change costs {found.cost.words('.2f')} points"
    )


def layer_shares() -> Iterable[str]:
    yield "**The layers' shares.** A criterion decides how much each layer keeps, then which weights."
    for name in ("digits", "mnist_200"):
        table = results.load(name)
        part = table[table["sparsity"] == table["sparsity"].max()]
        found = results.preserving(part)
        said = (
            f"{opening(name)} at {percent(part['sparsity'].iloc[0])}: {starved(part)} Within a criterion, loss change "
        )
        said += "and gap"
        if found.within.verdict() == "undecided":
            yield f"{said} do not clearly correlate ({found.within.words('.2f')})."
            continue
        fixed = found.within_fixed.words(".2f")
        yield f"{said} correlate by {found.within.words('.2f')}; with the shares held fixed, by {fixed}."
    yield (
        "Test error against QM's, in 14 stages and at one step penalty (first MP, then magnitude at QM's shares; "
        "plus: worse; star: clear among all; epochs of training + fine-tuning):"
    )
    tables = longest({name: results.together(name) for name in findings.of_controls()})
    yield " ".join(of_controls(name, table) for name, table in tables.items())
    before = pd.concat([results.controls_of_loss(table) for table in tables.values()])
    before = before[(before["criterion"] == "qm") & (before["stages"] == 14) & (before["first"] == "magnitude")]
    clear = (before["low"] > 0).sum()
    yield (
        f"Before fine-tuning, magnitude at QM's shares loses clearly more than QM in {clear} of {len(before)} cases."
    )
    waiting = results.missing("controls")
    if waiting:
        yield f"Controls not finished: {', '.join(waiting)}."


def starved(part: pd.DataFrame) -> str:
    """Say which layer MP cuts most, beside QM at its best step penalty and most stages."""
    best = results.best_penalty(part).groupby("criterion").tail(1)[["criterion", "stages", "step_penalty"]]
    shares = part.merge(best).groupby("criterion")[results.densities(part)].mean()
    layer = (shares.loc["mp"] / shares.loc["qm"]).idxmin()
    mp, qm = 100 * shares.loc["mp", layer], 100 * shares.loc["qm", layer]
    return f"of layer {layer.removeprefix(LAYERS)}, MP keeps {mp:.2g} % and QM {qm:.2g} %."


def of_controls(name: str, table: pd.DataFrame) -> str:
    """Say what the controls say of QM in 14 stages; the others are in FINDINGS.md."""
    found, _ = findings.of_many(results.controls(table), results.between_criteria(table))
    found = found[(found["criterion"] == "qm") & (found["stages"] == 14) & (found["second"] == "qm")]
    said = []
    for sparsity, part in found.groupby("sparsity"):
        beside = [
            f"{r.mean:+.2f}{'*' * (r.verdict in CLEAR and not r.alone)}"
            for r in part.set_index("first").loc[PAIR].itertuples()
        ]
        said.append(f"at {percent(sparsity)} **{part['sentence'].iloc[0]}** ({'; '.join(beside)})")
    return f"{opening(name)}, {epochs(table)} epochs, {'; '.join(said)}."


def chaos() -> Iterable[str]:
    yield "**Chaos.** Criteria with similar loss changes keep different weights."
    table = chaos_table()
    if table is None:
        yield (
            "Whether that is much or little is known only beside how far one criterion's own mask moves when the same "
            "examples come in another order: not run yet."
        )
    else:
        yield "Compare one's own mask, in 14 stages without step penalty."
        for name in table["network"].unique():
            yield of_own_masks(name, table)


def of_own_masks(name: str, table: pd.DataFrame) -> str:
    """Say how far a criterion's own mask moves with the draw and with the order of the examples."""
    runs = moves(table[table["network"] == name])
    single, control = runs[runs["dtype"] == "float32"], runs[runs["dtype"] == "float64"]
    redrawn, reordered = (single[single["how"] == how] for how in ("redrawn", "reordered"))
    apart = reordered[reordered["overlap"] < 1]
    same = len(reordered) - len(apart)
    told = [
        f"{opening(name)} at {percent(runs['sparsity'].iloc[0])}: masks of two draws share "
        f"{shared(redrawn)}. Reordering leaves {same} of {len(reordered)} masks alone"
    ]
    if len(apart):
        told.append(
            f"; the others share {percent(apart['overlap'].median())}, their loss changes "
            f"{apart['move'].mean():.2f} nats apart (criteria's: {apart['distance'].mean():.2f})"
        )
    told.append(f". In float64: {(control['overlap'] == 1).sum()} of {len(control)}. ")
    settings = results.chaos(runs).query("dtype == 'float32' and how == 'reordered'")["masks"]
    one = "" if name == "digits" else "one network, "
    told.append(
        f"Masks chaotic, losses not: **{results.chaos_verdicts(runs)[name]}** ({one}{(settings == 'chaotic').sum()} of "
        f"{len(settings)} settings chaotic)."
    )
    return "".join(told)


def fooled() -> Iterable[str]:
    of, verdicts = results.predictions().set_index(["network", "what"]), results.prediction_verdicts()
    of_qm, of_mp = [], []
    for name in verdicts.index:
        own, others = (of.loc[(name, f"share by the diagonal, {who} in 14 stages")] for who in ("QM", "MP"))
        mean, low, high = (round(100 * own[column]) for column in ("mean", "low", "high"))
        of_qm.append(f"{mean} % ({low} to {high}; {called(name)})")
        of_mp.append(f"{100 * others['mean']:.0f} %")
    yield f"**Predictions.** Of what its own steps cost, QM's model predicts {', '.join(of_qm)}; of MP's"
    yield f"{', '.join(of_mp)}."
    claims = {
        "fooled": "Fooled by its own choice",
        "mended": "Stages mend only what lies beyond second order",
        "ranks": "Ranks well all the same",
    }
    for claim, words in claims.items():
        yield f"{words}: {', '.join(f'**{verdict}**' for verdict in verdicts[claim])}."


def shared(redrawn: pd.DataFrame) -> str:
    """Return the overlap of two draws' masks by criterion, in 14 exponential stages without step penalty."""
    part = redrawn[(redrawn["stages"] == 14) & (redrawn["schedule"] == "exponential")]
    by = part[part["step_penalty"] == 0].groupby("criterion")["overlap"]
    return ", ".join(
        f"{results.interval(100 * by.get_group(c)).words('.0f', ' %')} for {c.upper()}" for c in ("qm", "obd")
    )


def exactness() -> Iterable[str]:
    yield "**Exactness.** Does a sampled, cheaper curvature choose as well?"
    yield "(Brackets: furthest from the exact loss change.)"
    for name in results.names("exactness"):
        found = results.exactness(results.load(name))
        well, furthest = (
            (found["verdict"] == "as well").sum(),
            found.loc[(found["mean"] / found["exact"]).abs().idxmax()],
        )
        how = f"yes in {well} of {len(found)}" if found["seeds"].min() > 1 else "one network, no verdict"
        yield f"{opening(name)}: {how} ({furthest['mean'] / furthest['exact']:+.0%})."
    waiting = results.missing("exactness")
    if waiting:
        yield f"Not run yet: {', '.join(waiting)}."


def percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def counted(stages: int) -> str:
    return "one stage" if stages == 1 else f"{stages} stages"


def text() -> str:
    parts = [
        "# What we found, in five minutes",
        "Built from the tables. Brackets hold 95 % intervals over seeds. The [rules](JUDGING.md) preceded the runs, "
        "but for first-round tables and what is marked as later; [FINDINGS.md](FINDINGS.md) has more. ResNet and VGG11 "
        "(CIFAR-10) are a quarter as wide as the paper's, with sampled curvature.",
        "## What the paper says",
        *what_the_paper_says(),
        *by_verdict(),
        "## What turned out to be something else",
        *(" ".join(part) for part in (fooled(), layer_shares(), chaos(), exactness())),
    ]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    print(files.replace(HERE / "SUMMARY.md", lambda path: path.write_text(text(), "utf-8")))
