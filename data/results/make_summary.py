"""Build SUMMARY.md, sentences to be read aloud and tables behind them: python data/results/make_summary.py."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pandas as pd
from pages.findings_studies import judged_tables
from pages.summary_chaos import chaos
from pages.summary_controls import given_shares
from pages.summary_exactness import exactness
from pages.summary_rivals import fooled, layer_shares
from pages.summary_studies import behind_verdicts, unfinished
from pages.summary_verdicts import by_verdict, judged_cases
from pages.summary_words import (
    longest,
)

from lossprune_lib import files, results

HERE = Path(__file__).parent
ASKED = "For those who ask"


def what_the_paper_says() -> Iterable[str]:
    one, two = (pd.read_csv(files.shipped(f"paper/table{number}.csv")) for number in (1, 2))
    change = one[one["network"] == "mlp_300_100"].set_index("criterion")["mean"]
    gaps = two[two["network"] == "mlp_300_100"].set_index("criterion")["mean"]
    way = 100 * (change["mp"] - change["lm"]) / (change["mp"] - change["qm"])
    yield (
        "Laurent and others (2020) model the loss, remove the weights that matter least to it, and find (numbers for "
        "MNIST):"
    )
    yield "\n".join(
        [
            "- **Locality is crucial**: such a model is right only nearby, so prune in many small stages. Magnitude "
            f"(MP) changes the loss by {change['mp']:.2f} nats, the quadratic model (QM) in 140 stages by "
            f"{change['qm']:.2f}.",
            "- **First and second order are similar** once the steps are local: the linear model (LM) goes "
            f"{way:.0f} % of the way from MP to QM.",
            f"- **Preserving the loss is not enough**: curvature alone (OBD) loses {change['obd'] - change['qm']:.2f} "
            f"nats more than QM, yet ends, fine-tuned, within {gaps['obd'] - gaps['qm']:.1f} points of its error.",
        ]
    )


def text() -> str:
    every = {name: results.together(name) for name in judged_tables()}
    cases = judged_cases(longest(every))
    studies = {case.name: every[case.name] for case in cases}
    spoken, shown = zip(*(part() for part in (fooled, layer_shares, given_shares, chaos, exactness)), strict=True)
    parts = [
        "# What we found, in five minutes",
        f"*Read this aloud, up to* {ASKED}.",
        "*At 90 %*: so many weights are removed (MNIST: 98.8 %). ResNet and VGG11 (CIFAR-10) are a quarter as wide as "
        f"the paper's{unfinished(studies)}.",
        "## What the paper says",
        *what_the_paper_says(),
        *by_verdict(cases, every),
        "## What turned out to be something else",
        *spoken,
        f"## {ASKED}",
        "Brackets hold 95 % intervals over seeds. The [rules](JUDGING.md) preceded the runs, except for the tables of "
        "a first round (digits, small VGG, and MNIST with 60 + 20 epochs), which are judged again by them, and for "
        "what JUDGING.md marks as later. ResNet and VGG11 have a sampled curvature. [FINDINGS.md](FINDINGS.md) has "
        "more.",
        *behind_verdicts(cases, studies, every),
        *filter(None, shown),
    ]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    print(files.replace(HERE / "SUMMARY.md", lambda path: path.write_text(text(), "utf-8")))
