"""Build FINDINGS.md from the tables beside this file: python data/results/make_findings.py."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from lossprune_lib import files, results

HERE = Path(__file__).parent
HEAD = """# What came out

Built from the tables by `python data/results/make_findings.py`, as [JUDGING.md](JUDGING.md) fixed it beforehand. \
Numbers are mean ±
spread over seeds; a star marks what differs from the paper by more than the two spreads together.
"""


# In plain words, by finding and verdict.
PLAIN = {
    1: {
        "reproduced": "The more and the smaller the stages, the less the loss changes.",
        "partly": "On average the loss changes less with more and smaller stages, but not in every seed, or not "
        "clearly.",
        "not": "More and smaller stages did not make the loss change less.",
    },
    2: {
        "reproduced": "Once the steps are local, the gradient alone does nearly as well as gradient and curvature.",
        "partly": "Curvature still helps somewhat when the steps are local.",
        "not": "Curvature still helps a lot when the steps are local, or the model is no better than magnitude.",
    },
    3: {
        "reproduced": "Among the networks whose loss is kept best, keeping it better does not mean being better after "
        "fine-tuning.",
        "partly": "Keeping the loss tells something, but not all, about how good a network is after fine-tuning.",
        "not": "The better the loss is kept, the better the network is after fine-tuning.",
    },
}


def section(name: str) -> str:
    table = results.load(name)
    seeds = table["seed"].nunique()
    epochs = [int(table[f"{kind}_epochs"].iloc[0]) for kind in ("training", "tuning")]
    errors = table.drop_duplicates("seed")[["dense_valid_error", "dense_test_error"]].mean() * 100
    return "\n".join(
        [
            f"## {name}",
            "",
            f"{len(table):,} runs, {seeds} seeds, {epochs[0]} epochs of training and {epochs[1]} of fine-tuning; "
            f"before pruning an error of {errors.iloc[0]:.2f} % (validation) and {errors.iloc[1]:.2f} % (test).",
            "",
            *loss_changes(table),
            *gaps(table),
            *verdicts(table),
        ]
    )


def loss_changes(table: pd.DataFrame) -> Iterable[str]:
    beside = results.beside_paper(table, 1)
    yield from ["**Table 1, change of the training loss by pruning, at the best step penalty**", ""]
    yield from rows(
        ["sparsity", "criterion", "stages", "lambda", "ours", "paper"],
        ([*chosen(r), pair(r.paper_mean, r.paper_spread)] for r in beside.itertuples()),
    )


def gaps(table: pd.DataFrame) -> Iterable[str]:
    beside = results.beside_paper(table, 2)
    yield from [
        "**Table 2, gap of the error after fine-tuning, percentage points, at the best stages and step penalty**",
        "",
    ]
    yield from rows(
        ["sparsity", "criterion", "stages", "lambda", "ours, validation", "paper", "ours, test"],
        (
            [*chosen(r), pair(r.paper_mean, r.paper_spread), pair(r.test_gap, r.test_spread)]
            for r in beside.itertuples()
        ),
    )


def verdicts(table: pd.DataFrame) -> Iterable[str]:
    names = {1: "locality is crucial", 2: "first and second order are similar", 3: "preserving the loss is not enough"}
    yield from ["**The findings**", ""]
    yield from rows(
        ["finding", "sparsity", "verdict", "in plain words, and numbers"],
        (
            [f"{r.finding}, {names[r.finding]}", f"{r.sparsity:.4g}", f"**{r.verdict}**", plain(r)]
            for r in results.judge(table).itertuples()
        ),
    )


def plain(r: Any) -> str:
    return " ".join(filter(None, [PLAIN.get(r.finding, {}).get(r.verdict, ""), r.evidence]))


def chosen(r: Any) -> list[object]:
    ours = pair(r.mean, r.spread) + " \\*" * r.differs
    return [f"{r.sparsity:.4g}", r.criterion.upper(), r.stages, f"{r.step_penalty:g}", ours]


def rows(head: list[str], body: Iterable[list[object]]) -> Iterable[str]:
    for row in [head, ["---"] * len(head), *body]:
        yield "| " + " | ".join(str(cell) for cell in row) + " |"
    yield ""


def pair(mean: float, spread: float) -> str:
    return "" if pd.isna(mean) else f"{mean:.2f} ± {spread:.2f}"


def text() -> str:
    plans = sorted(path.stem for path in HERE.glob("*.toml"))
    missing = [name for name in plans if name not in results.names()]
    return "\n".join([HEAD, *map(section, results.names()), "## Not run", "", *(f"- `{name}`" for name in missing), ""])


if __name__ == "__main__":
    print(files.replace(HERE / "FINDINGS.md", lambda path: path.write_text(text(), "utf-8")))
