"""Numbers of the summary's tables, computed again from the shipped tables with pandas and SciPy alone."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control, rankdata, spearmanr, ttest_1samp

FOLDER = Path(__file__).parents[2] / "data" / "results"
SUMMARY = (FOLDER / "SUMMARY.md").read_text("utf-8")
SPOKEN, _, _ = SUMMARY.partition("\n## For those who ask\n")


def words(values: pd.Series, form: str = ".2f") -> str:
    """Return a mean with Student's interval over seeds, as the page writes it."""
    bounds = ttest_1samp(values, 0).confidence_interval(0.95)
    return f"{values.mean():{form}} ({bounds.low:{form}} to {bounds.high:{form}})"


def row(*beginning: str) -> str:
    (found,) = (line for line in SUMMARY.splitlines() if line.startswith(f"| {' | '.join(beginning)} |"))
    return found


def digits_controls(column: str) -> pd.DataFrame:
    """Return a number of each seed (rows) and mask (columns) of the digits at 95 %, in 14 stages where it has any."""
    runs = pd.read_csv(FOLDER / "controls" / "digits_controls.csv")
    runs = runs[(runs["sparsity"] == 0.95) & runs["stages"].isin([1, 14])]
    mask = runs["criterion"].str.cat(runs["control"].fillna(""), sep=" ").str.strip()
    return runs.assign(mask=mask).pivot(index="seed", columns="mask", values=column)


def test_the_controls_of_the_digits() -> None:
    error, lost = 100 * digits_controls("tuned_test_error"), digits_controls("true_change").abs()
    at_shares = error["qm magnitude"] - error["qm"]
    lag = error["mp"] - error["qm"]
    found = row("digits at 95 %", "100 + 150")
    assert f"| +{words(lost['qm magnitude'] - lost['qm'])} | +{words(lag)}* | +{words(at_shares)} |" in found
    gain = ttest_1samp(error["mp"] - 2 * error["qm magnitude"] + error["qm"], 0).confidence_interval(0.95)
    assert gain.low > 0
    assert found.endswith("| *the shares explain most of it* |")
    assert f"digits at 95 % (from {lag.mean():.1f} points to {at_shares.mean():.1f});" in SPOKEN


def test_a_star_stands_where_a_difference_is_clear_among_all_of_its_study() -> None:
    """MNIST's magnitude at QM's shares is clear taken alone: its p-value is a little too large among the others."""
    runs = pd.concat([pd.read_csv(FOLDER / f"{name}.csv") for name in ("controls/mnist_controls", "longer/mnist_200")])
    runs = runs.assign(mask=runs["control"].fillna("itself")).drop_duplicates(
        ["seed", "criterion", "stages", "step_penalty", "mask"]
    )
    error = runs.pivot(index="seed", columns=["criterion", "stages", "step_penalty", "mask"], values="tuned_test_error")
    alike = error["mp"][1][0].rename(columns={"itself": "mp"})  # masks that do not depend on the criterion
    p = {}
    for stages in (14, 140):
        for criterion in ("lm", "qm"):
            own = error[criterion][stages][1e-3]
            others = {name: alike[name] for name in ("mp", "erk", "gradual", "lamp", "uniform")}
            for name, values in (others | {name: own[name] for name in ("magnitude", "shuffled")}).items():
                p[criterion, stages, name] = ttest_1samp(values - own["itself"], 0).pvalue
            p[criterion, stages, "mp less magnitude"] = ttest_1samp(alike["mp"] - own["magnitude"], 0).pvalue
        for criterion in ("lm", "obd"):
            for penalty in (1e-5, 1e-4, 1e-3):
                own, of_qm = (error[name][stages][penalty]["itself"] for name in (criterion, "qm"))
                p[criterion, stages, penalty] = ttest_1samp(own - of_qm, 0).pvalue
    assert len(p) == 44
    adjusted = dict(zip(p, false_discovery_control(list(p.values())), strict=True))
    at_shares = "qm", 14, "magnitude"
    assert p[at_shares] < 0.05 < adjusted[at_shares] < 0.06
    assert adjusted["qm", 14, "lamp"] < 0.05
    assert " -0.42 (-0.76 to -0.08) |" in row("MNIST at 98.8 %", "200 + 200")
    assert "LAMP: ahead of QM: MNIST (by 0.3 points)." in SUMMARY


def test_correlations_within_a_criterion_and_their_ceiling() -> None:
    """Of the digits at 98 %: by ranks, averaged over criteria, then over seeds; the partial one by residuals."""
    runs = pd.read_csv(FOLDER / "digits.csv").query("sparsity == 0.98 and criterion != 'mp'")
    runs = runs.assign(size=runs["true_change"].abs(), gap=runs["tuned_valid_error"] - runs["dense_valid_error"])
    shares = [name for name in runs if name.startswith("density.")]
    found = []
    for (seed, criterion), part in runs.groupby(["seed", "criterion"]):
        ranks = np.column_stack([np.ones(len(part)), *(rankdata(part[name]) for name in shares)])
        left = [
            of - ranks @ np.linalg.lstsq(ranks, of, rcond=None)[0]
            for of in map(rankdata, (part["size"], part["gap"].round(6)))
        ]
        found.append(
            {
                "seed": seed,
                "criterion": criterion,
                "plain": spearmanr(part["size"], part["gap"].round(6)).statistic,
                "fixed": np.corrcoef(left)[0, 1],
                "again": spearmanr(part["gap"].round(6), part["tuned_test_error"]).statistic,
            }
        )
    of = pd.DataFrame(found).groupby("seed")[["plain", "fixed", "again"]].mean()
    ceiling = np.sqrt(of["again"].mean())
    assert f"| {words(of['plain'])} | {words(of['fixed'])} | {ceiling:.2f} |" in row("Digits, 98 %, 100 + 50 epochs")


def test_what_a_model_predicts_of_its_own_steps() -> None:
    runs = pd.read_csv(FOLDER / "predictions" / "predictions.csv").query("part == 'steps' and stages == 14")
    for network, called in (("digits", "Digits"), ("mnist", "MNIST")):
        of = runs[runs["network"] == network].pivot(index="seed", columns=["chooser", "quantity"], values="value")
        own, others = (100 * of[who]["diagonal"] / of[who]["actual"] for who in ("qm", "mp"))
        assert re.search(rf"^\| {called} \| {own.mean():.0f} % \(.* \| {others.mean():.0f} % \(", SUMMARY, re.MULTILINE)


def test_a_verdict_on_the_residual_network() -> None:
    runs = pd.read_csv(FOLDER / "longer_training" / "cifar10_resnet_100_epochs.csv").query("sparsity == 0.9")
    runs = runs.assign(size=runs["true_change"].abs())
    lost = {}
    for criterion, stages in (("mp", 1), ("lm", 14), ("qm", 14)):
        of = runs[(runs["criterion"] == criterion) & (runs["stages"] == stages)]
        of = of.pivot(index="seed", columns="step_penalty", values="size")
        lost[criterion] = of[of.mean().idxmin()]
    said = (
        f"QM less MP {words(lost['qm'] - lost['mp'])} nats, not clear; LM less QM {words(lost['lm'] - lost['qm'])} nats"
    )
    assert said in row("first and second order are similar", "ResNet, 90 %, 100 epochs", "**refuted**")
    more = f"On ResNet LM loses {(lost['lm'] - lost['qm']).mean():.2f} nats more than QM"
    assert lost["lm"].mean() > lost["mp"].mean()
    assert f"{more} (at the largest penalty tried; magnitude loses less)" in SPOKEN
