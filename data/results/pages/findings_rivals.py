"""The sections of FINDINGS.md on sampled curvature, chaos and predictions."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd
from pages.findings_controls import in_points
from pages.findings_studies import opening
from pages.findings_words import between, mean, rows, setting

from lossprune_lib import results
from lossprune_lib.results.controls import margin

HERE = Path(__file__).parents[1]
CHAOS = """## chaos

Two prunings of one network that differ only in the order of the same examples, or in the examples drawn. *Overlap*:
weights kept by both, as a share of those kept by either. *Move*: how far apart their loss changes are, in nats.
*Distance*: how far the criterion's loss change is from those of the two others, with the same settings. On the digits
each seed is a network of its own; on mnist it is a draw of the examples for one network, and the intervals say nothing
of other networks. What is *chaotic*, *stable*, *steady* or *open* is said in JUDGING.md. It is refuted
if all settings are stable, or the losses of a chaotic one are unsteady.
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
PAIR = ["criterion", "stages", "lambda", "n", "masks differ"]
OF_TWO = ["overlap, reordered", "overlap, redrawn", "loss change", "move, reordered", "move, redrawn", "distance"]
OF_TWO += ["masks, reordered", "loss, reordered", "loss, redrawn"]


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
