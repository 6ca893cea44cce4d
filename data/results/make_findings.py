"""Build FINDINGS.md from the tables beside this file: python data/results/make_findings.py."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd
from findings_longer import longer_still, longer_trainings
from findings_words import CONTROLLED, NAMES, between, chosen, is_of_controls, mean, over_seeds, pair, rows, setting

from lossprune_lib import files, results
from lossprune_lib.results.controls import margin
from lossprune_lib.results.statistics import FEWEST_SEEDS

HERE = Path(__file__).parent
HEAD = """# What came out

Built from the tables by `python data/results/make_findings.py`, by the rules of the second round of
[JUDGING.md](JUDGING.md). These rules preceded the runs, except for the tables of the first round (digits, mnist,
cifar10_small_vgg), which are judged again here, and for what JUDGING.md marks as later. ± is the spread over seeds; in
brackets stand 95 % intervals of means, or the seeds where there are two or three; a star marks what differs from the
paper (Welch's test, 5 %). Several sparsities of one study are one case, and its verdict is the weakest of theirs. The
verdicts of the first round are those of [FINDINGS-first-round.md](FINDINGS-first-round.md).

What these numbers cannot say:

- Intervals are over networks, for one set of test images; they say nothing of other images. They are Student's, and
  not cut where a correlation or a share must end.
- The best step penalty is chosen on the seeds that are then compared, which favours criteria that have more to choose
  from. *Penalty held out* is the verdict if each seed's penalty is chosen on the other seeds; it was added when the
  tables were there, and decides nothing.
- A ceiling is an estimate from a few seeds, and knows the noise of the images alone.
- With a large step penalty each criterion comes close to MP's mask, and some reach it. Such runs raise correlations
  over all runs and within a criterion; beside the latter stands that with penalties of at most 0.1. Among the runs near
  the best one, which decide, there is none that loses as much as MP.
- The correction for many comparisons is made within one study, and counts MP's difference from each mask by itself.
  Where MP collapses, as on the digits at 95 and 98 %, these many clear differences let more of the others remain.
"""
CHAOS = """## chaos

Two prunings of one network that differ only in the order of the same examples, or in the examples drawn. *Overlap*:
weights kept by both, as a share of those kept by either. *Move*: how far apart their loss changes are, in nats.
*Distance*: how far the criterion's loss change is from those of the two others, with the same settings. On the digits
each seed is a network of its own; on mnist it is a draw of the examples for one network, and the intervals say nothing
of other networks. What is *chaotic*, *stable*, *steady* or *open* is said in JUDGING.md, and what was not run in
`chaos/chaos.md`. It is refuted if all settings are stable, or the losses of a chaotic one are unsteady.
"""
PREDICTIONS = """## predictions

What models predict of prunings, for n networks of each case (of the VGG11 with a sampled diagonal). *Share*: what is
predicted of the actual change of the loss, both added up over the stages. *Fooled*: the diagonal model predicts
little of the steps that it chose itself, the full Hessian most of them, and the diagonal more of MP's. *Mended*: more
stages mend the error beyond the second order, and not the others. *Ranks*: QM orders groups of weights well, although
it predicts their costs badly. When each holds is said in JUDGING.md. What refutes them, by intervals over networks:
*fooled*, that the diagonal predicts more than half of QM's steps, or less of MP's than of QM's; *mended*, that the
error beyond the second order grows with the stages, or another one shrinks, too; *ranks*, a rank correlation below one
half, or that MP's last group costs more than QM's.
"""
SAMPLED = (
    "*As well*: the interval lies within a tenth of the exact one's mean. Where it does not, *better* or *worse* "
    "excludes zero, and all else is *undecided*."
)
TUNED = (
    "*Better* or *worse*: the interval excludes zero. *As good as*: it includes zero, and lies within {margin} of it. "
    "All else is *undecided*. Each comparison is taken alone. *The best* penalty is that of the loss change."
)
OF_CONTROLS = (
    "*As good as* asks for an interval within {margin} of zero. *The shares explain it* is not said where the "
    "interval of magnitude less the criterion leaves that margin; *the shares explain most of it*, where that of "
    "what the shares gain less what they do not includes zero; *single weights matter* and *the largest weights at "
    "its shares are better*, where that of magnitude less the criterion includes zero."
)
# What was asked for at first and left out, for want of time.
FEWER_STAGES = {
    "cifar10_vgg_quarter": "140 stages, and the exact curvature beside the sampled one, were not run for this network.",
    "cifar10_vgg_100_epochs": "The most stages are 14 here: 140 were not run, and the verdicts are for 14.",
    "cifar10_resnet_100_epochs": "The most stages are 14 here, where `cifar10_resnet_quarter` has 140 at the higher "
    "sparsity: the verdicts of the two are for different numbers of stages there.",
}
# At most so much test error before pruning (%), as the mean over seeds, has a network that was trained to the end.
TRAINED = {"preact_resnet18": 12, "vgg11": 16}
LEADS = {"worse": "is there", "better": "**is not there**: MP keeps the loss better"}
ALONE = ", taken alone"
WEIGHTS = {"worse": "not by shares alone", "better": "**by shares alone**: the control keeps the loss better"}
GUESSING, CHANCE = math.log(10), 0.895  # the loss, and nearly the error, of one of ten classes for all
PAIR = ["criterion", "stages", "lambda", "n", "masks differ"]
OF_TWO = ["overlap, reordered", "overlap, redrawn", "loss change", "move, reordered", "move, redrawn", "distance"]
OF_TWO += ["masks, reordered", "loss, reordered", "loss, redrawn"]
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
        [*opening(name, table), *loss_changes(table), *alone, *gaps(table), *verdicts(name, table), *by_shares(name)]
    )


def opening(name: str, table: pd.DataFrame) -> Iterable[str]:
    errors = table.drop_duplicates("seed")[["dense_valid_error", "dense_test_error"]].mean() * 100
    tuning = table["tuning_epochs"].max()
    yield from [f"## {name}", ""]
    seeds = table["seed"].nunique()
    yield (
        f"{len(table):,} runs, {seeds} seed{'s' * (seeds > 1)}, {int(table['training_epochs'].iloc[0])} epochs of "
        f"training and {'none' if pd.isna(tuning) else int(tuning)} of fine-tuning; before pruning an error of "
        f"{errors.iloc[0]:.2f} % (validation) and {errors.iloc[1]:.2f} % (test)."
    )
    if name in FEWER_STAGES:
        yield FEWER_STAGES[name]
    if not trained_to_the_end(table):
        yield (
            f"A network counts as trained to the end with at most {TRAINED[table['model'].iloc[0]]} % test error: "
            "all that follows is said of networks that are not."
        )
    second = table[table["criterion"].isin(["obd", "qm"])]
    if "curvature_columns" in second and second["curvature_columns"].eq(1).all():
        yield "OBD and QM have a sampled curvature here, of one column for each example."
    for sparsity, part in table.groupby("sparsity"):
        lost = part["pruned_train_loss"] > GUESSING
        if lost.mean() > 0.5:
            yield (
                f"At {sparsity:.4g}, {lost.sum()} of {len(part)} pruned networks have a training loss above ln 10, "
                "that of guessing: their loss changes compare what is broken."
            )
    if others := results.belonging(name):
        yield f"Read together with {' and '.join(others)}."
    yield ""


def dense_error(table: pd.DataFrame) -> float:
    """Return the mean test error (%) of the networks before pruning."""
    return float(100 * table.drop_duplicates("seed")["dense_test_error"].mean())


def trained_to_the_end(table: pd.DataFrame) -> bool:
    """Say whether the networks were, where the rules ask for it."""
    return dense_error(table) <= TRAINED.get(table["model"].iloc[0], 100)


def leading(folder: str = ".") -> list[str]:
    """Return the names of a folder's tables, without those that belong to another one of them."""
    found = results.names(folder)
    return [name for name in found if not any(name in results.belonging(other) for other in found)]


def studies() -> list[str]:
    """Return the names of the tables that the findings are judged by."""
    return [*leading(), *leading("longer"), *(name for name in leading("longer_training") if not is_of_controls(name))]


def of_controls() -> list[str]:
    """Return the names of the tables that compare fine-tuned masks with controls."""
    return [*leading("controls"), *filter(is_of_controls, leading("longer_training"))]


def loss_changes(table: pd.DataFrame, which: str = "") -> Iterable[str]:
    beside = results.beside_paper(table, 1)
    yield from [f"**Table 1, change of the training loss by pruning, at the best step penalty{which}**", ""]
    yield from rows(
        ["sparsity", "criterion", "stages", "lambda", "ours", "interval", "paper"],
        ([*chosen(r), pair(r.paper_mean, r.paper_spread)] for r in beside.itertuples()),
    )
    yield from at_the_end_of_the_grid(table)


def at_the_end_of_the_grid(table: pd.DataFrame) -> Iterable[str]:
    """Say where the best step penalty is the smallest or largest of those tried, so that the best may lie beyond."""
    tried = table.groupby(["sparsity", "criterion", "stages"])["step_penalty"].agg(["min", "max", "nunique"])
    ends: dict[str, list[str]] = {"smallest": [], "largest": []}
    for r in results.best_penalty(table).itertuples():
        of = tried.loc[r.sparsity, r.criterion, r.stages]
        for which, end in (("smallest", of["min"]), ("largest", of["max"])):
            if of["nunique"] > 1 and r.step_penalty == end and end > 0:
                ends[which].append(f"{r.criterion.upper()} in {r.stages} at {r.sparsity:.4g} ({end:g})")
    if said := [f"the {which} for {', '.join(of)}" for which, of in ends.items() if of]:
        yield from [
            f"The best penalty is an end of those tried, so a better one may lie beyond: {'; '.join(said)}.",
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


def controls(name: str) -> str:
    table = results.together(name)
    try:
        found = results.controls(table)
    except ValueError as error:  # what they are the controls of was not run yet
        return "\n".join([*opening(name, table), f"Not judged: {error}", ""])
    themselves = results.between_criteria(table)
    found, themselves = of_many(found, themselves)
    told = found.drop_duplicates(["sparsity", "criterion", "stages", "step_penalty"])
    lines = [*opening(name, table), "**Test error after fine-tuning, percentage points, paired by seed**", ""]
    lines += [OF_CONTROLS.format(margin=in_points(margin(table))), ""]
    lines += rows(
        ["sparsity", "criterion", "stages", "lambda", "together"],
        ([*setting(r), f"**{r.sentence}**"] for r in told.itertuples()),
    )
    lines += rows(
        ["sparsity", "criterion", "stages", "lambda", "difference", "mean", "n", "the first is"],
        (
            [*setting(r), f"{r.first} minus {r.second}", mean(r), r.seeds, r.verdict + ALONE * bool(r.alone)]
            for r in found.itertuples()
        ),
    )
    broken = table.groupby("control")["tuned_test_error"].min()
    if at_chance := broken.index[broken > CHANCE].tolist():
        lines += [f"At chance after fine-tuning, in every network: {', '.join(at_chance)}.", ""]
    if not themselves.empty:
        lines += ["The other criteria less QM, at the same settings:", ""]
        lines += rows(
            ["sparsity", "stages", "lambda", "difference", "mean", "n", "the first is"],
            (
                [
                    f"{r.sparsity:.4g}",
                    r.stages,
                    f"{r.step_penalty:g}",
                    f"{r.first} minus qm",
                    mean(r),
                    r.seeds,
                    r.verdict + ALONE * bool(r.alone),
                ]
                for r in themselves.itertuples()
            ),
        )
    lines += other_penalties(name, table)
    every = pd.concat([found, themselves], ignore_index=True)
    clear, known = every["verdict"].isin(["better", "worse"]), every["low"].notna().sum()
    if not known:
        return "\n".join([*lines, f"Below {FEWEST_SEEDS} seeds no difference has an interval, and none is judged.\n"])
    remain = (clear & ~every["alone"]).sum()
    lines.append(
        f"So many comparisons: {clear.sum()} of these {known} differences with intervals are "
        f"clear, each by itself. Of {remain} it can be said that on average at most one in twenty is a false "
        f"alarm, were the comparisons independent (Benjamini and Hochberg 1995); the others are "
        f"marked *{ALONE.strip(', ')}*.\n"
    )
    return "\n".join(lines)


def in_points(margin: float) -> str:
    return "one point" if margin == 1 else f"{margin:g} points"


def other_penalties(name: str, table: pd.DataFrame) -> Iterable[str]:
    """Say which step penalties were best without fine-tuning, where that was asked and all masks here have one."""
    (asked,) = (study for study, controlled in CONTROLLED.items() if controlled == name)
    penalties = table.loc[table["step_penalty"] > 0, "step_penalty"].unique()
    if asked not in results.names("**") or len(penalties) > 1:
        return
    best = results.best_penalty(results.together(asked))
    here = table.loc[table["step_penalty"] > 0, ["sparsity", "criterion", "stages"]].drop_duplicates()
    other = [
        f"{r.criterion.upper()} in {r.stages} at {r.sparsity:.4g} ({r.step_penalty:g})"
        for r in best.merge(here).itertuples()
        if r.step_penalty not in penalties
    ]
    if other:
        yield (
            f"All masks that model the loss have the step penalty {penalties[0]:g}. In `{asked}` others keep the loss "
            f"best: {', '.join(other)}. So criteria are compared here that are not tuned alike.\n"
        )


def of_many(*tables: pd.DataFrame) -> list[pd.DataFrame]:
    """Mark differences that are clear by themselves, but not among all of these tables'."""
    every = pd.concat(tables, ignore_index=True)
    every["alone"] = every["verdict"].isin(["better", "worse"]) & ~(results.adjusted_p(every) <= 0.05)
    ends = [0, *itertools.accumulate(map(len, tables))]
    marks = [every["alone"].iloc[start:end].to_numpy() for start, end in itertools.pairwise(ends)]
    return [table.assign(alone=mark) for table, mark in zip(tables, marks, strict=True)]


def exactness(name: str) -> str:
    table = results.load(name)
    tuned = bool(table["tuning_epochs"].notna().all())
    found = [results.exactness(table, tuned=tuned).assign(at="the best")]
    for penalty in sorted(table["step_penalty"].unique()):
        alone = table[table["step_penalty"] == penalty]
        found.append(results.exactness(alone, tuned=tuned).assign(at=f"{penalty:g}"))
    what = "Test error after fine-tuning (points; *exact* is the gap)" if tuned else "Loss change"
    lines = [*opening(name, table), f"**{what}: sampled curvature less the exact one, paired by seed**", ""]
    lines += [(TUNED if tuned else SAMPLED).format(margin=in_points(margin(table))), ""]
    lines += rows(
        ["sparsity", "criterion", "stages", "lambda", "columns", "exact", "difference", "n", "sampled chooses"],
        (
            [*setting(r)[:3], r.at, r.curvature_columns, f"{r.exact:.2f}", mean(r), r.seeds, r.verdict]
            for r in pd.concat(found).itertuples()
        ),
    )
    return "\n".join(lines)


def chaos_table() -> pd.DataFrame | None:
    """Return the pairs of prunings that differ only in their examples, if they were run."""
    path = HERE / "chaos" / "chaos.csv"
    return pd.read_csv(path) if path.is_file() else None


def chaos() -> str:
    table = chaos_table()
    if table is None:
        return "## chaos\n\nNot run.\n"
    found, verdicts = results.chaos(table), results.chaos_verdicts(table)
    found["at"] = [tuple(row) for row in found[["network", "criterion", "stages", "schedule", "step_penalty"]].values]
    single = found[found["dtype"] == "float32"]
    redrawn = {r.at: r for r in single[single["how"] == "redrawn"].itertuples()}
    lines = [CHAOS]
    lines += rows(["case", "masks are chaotic, losses are not"], ([name, f"**{v}**"] for name, v in verdicts.items()))
    for name, part in single[single["how"] == "reordered"].groupby("network", sort=False):
        lines += [f"**{name} at {part['sparsity'].iloc[0]:.4g}**", ""]
        lines += rows(
            [*PAIR, *OF_TWO],
            ([*of_pair(r), *of_numbers(r, redrawn[r.at])] for r in part.itertuples()),
        )
    control = found[found["dtype"] == "float64"]
    key = ["network", "criterion", "stages", "schedule", "step_penalty", "seed"]
    again = table[table["dtype"] == "float64"][key].merge(table[table["dtype"] == "float32"].drop_duplicates(key))
    in_single = again.groupby(key[:-1])["change"].mean()
    lines += ["**The control: the same examples in another order, in float64**", ""]
    lines += rows(
        ["case", *PAIR, "smallest overlap", "loss change", "in float32"],
        (
            [r.network, *of_pair(r), f"{r.overlap_least:.4g}", f"{r.change:.3f}", f"{in_single[r.at]:.3f}"]
            for r in control.itertuples()
        ),
    )
    return "\n".join(lines)


def of_pair(r: Any) -> list[object]:
    return [r.criterion.upper(), f"{r.stages} {r.schedule}", f"{r.step_penalty:g}", r.seeds, f"{r.apart} of {r.seeds}"]


def of_numbers(r: Any, redrawn: Any) -> list[object]:
    overlaps = [f"{x.overlap:.2f} {between(x.overlap_low, x.overlap_high)}".strip() for x in (r, redrawn)]
    moves = [f"{x.move:.3f} {between(x.move_low, x.move_high, '.3f')}".strip() for x in (r, redrawn)]
    return [*overlaps, f"{r.change:.2f}", *moves, f"{r.distance:.2f}", r.masks, r.loss, redrawn.loss]


def predictions_table() -> pd.DataFrame | None:
    """Return what models predict of the prunings of several networks, if that was run."""
    path = HERE / "predictions" / "predictions.csv"
    return pd.read_csv(path) if path.is_file() else None


def predictions() -> str:
    table = predictions_table()
    if table is None:
        return "## predictions\n\nNot run.\n"
    again = pd.read_csv(HERE / "predictions" / "again.csv")
    lines = [PREDICTIONS, *of_predictions(table)]
    lines += ["Run again, by a later version of the library and on another machine (`predictions/again.csv`):", ""]
    lines += of_predictions(again)
    for name, part in results.predictions(table).groupby("network", sort=False):
        lines += [f"**{name} at {part['sparsity'].iloc[0]:.4g}**", ""]
        lines += rows(
            ["claim", "what", "n", "mean"],
            ([r.claim, r.what, r.seeds, mean(r)] for r in part.itertuples()),
        )
    return "\n".join(lines)


def of_predictions(table: pd.DataFrame) -> Iterable[str]:
    found = results.prediction_verdicts(table)
    return rows(["case", *found.columns], ([name, *(f"**{v}**" for v in of)] for name, *of in found.itertuples()))


def text() -> str:
    parts = [HEAD, *map(section, studies()), *map(controls, of_controls()), *longer_still(), *longer_trainings()]
    parts += map(exactness, results.names("exactness"))
    return "\n".join(
        [*parts, predictions(), chaos(), "## Not run", "", *(f"- `{name}`" for name in results.missing("**")), ""]
    )


if __name__ == "__main__":
    print(files.replace(HERE / "FINDINGS.md", lambda path: path.write_text(text(), "utf-8")))
