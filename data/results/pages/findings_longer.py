"""What longer training and fine-tuning change: two sections of FINDINGS.md."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd
from pages.findings_words import NAMES, SHORTER, is_of_controls, mean, rows, sparsity, trained

from lossprune_lib import results

LONGER_STILL = """## mnist_800_one_seed, beside mnist_controls

Are training and fine-tuning in `mnist_200` and `mnist_controls` long enough? One network of the same seed, trained four
times as long, pruned with the same settings, and fine-tuned four times as long: test gaps, in percentage points. Of
{masks} gaps {larger} are larger then, by up to {most:.2f}; of the validation gaps, {valid}. One network has no
interval, so this neither shows nor refutes that more changes nothing; and training and fine-tuning were both longer.
The dense network's test error is {dense[0]:.2f} % before and {dense[1]:.2f} % then, and a gap is the error less
that. Masks in 140 stages, and with other penalties, were not run for so long: that is a cut, for want of time.
"""
LONGER_TRAININGS = """## networks trained for longer

The same prunings of networks of the same seeds, after a shorter and a longer training: longer less shorter, paired by
seed. Loss changes (nats) are each training's at its own best step penalty; test gaps are in percentage points. The
longer training and its fine-tuning are in bfloat16, the shorter in float32, so that two things differ. The 140
stages of ResNet are left out: their step penalties are others after each training.
"""


def longer_trainings() -> Iterable[str]:
    """Say what a longer training of the dense networks changed, where both trainings are there."""
    there = [name for name in SHORTER if {name, SHORTER[name]} <= set(results.names("**"))]
    if not there:
        return
    yield LONGER_TRAININGS
    for name in there:
        both = {of: results.together(of) for of in (SHORTER[name], name)}
        epochs = [f"{int(table['training_epochs'].iloc[0])} epochs" for table in both.values()]
        yield f"**`{SHORTER[name]}`, and `{name}`**\n"
        if not is_of_controls(name):
            before, after = (results.cases(results.judge(table)) for table in both.values())
            yield from rows(
                ["finding", *epochs],
                ([f"{number}, {NAMES[number]}", before[number], after[number]] for number in NAMES),
            )
        yield from rows(
            ["what", "sparsity", *epochs, "difference", "n"],
            (
                [trained(r), sparsity(r), f"{r.shorter:.2f}", f"{r.longer:.2f}", mean(r), r.seeds]
                for r in results.between_trainings(*map(same_penalties, both, both.values())).itertuples()
            ),
        )


def same_penalties(name: str, together: pd.DataFrame) -> pd.DataFrame:
    """Leave out the 140 stages, which have tables of their own and other step penalties after each training."""
    return together if is_of_controls(name) else results.load(name)


def longer_still() -> Iterable[str]:
    """Show the gaps of one network that was trained and fine-tuned for much longer, where there is one."""
    both = of_one_network()
    if not both:
        return
    changes = of_gaps(both)
    dense = [100 * table["dense_test_error"].iloc[0] for table in both]
    yield LONGER_STILL.format(
        masks=len(changes),
        larger=changes["change"].gt(0).sum(),
        most=changes["change"].max(),
        valid=of_gaps(both, "valid")["change"].gt(0).sum(),
        dense=dense,
    )
    yield from rows(
        ["mask", *map(in_epochs, both), "difference"],
        ([r.Index, f"{r.shorter:.2f}", f"{r.longer:.2f}", f"{r.change:+.2f}"] for r in changes.itertuples()),
    )


def longer_still_in_words() -> Iterable[str]:
    """Say the same in a sentence."""
    if both := of_one_network():
        tested, valid = (of_gaps(both, split)["change"] for split in ("test", "valid"))
        yield (
            f"One MNIST network, {in_epochs(both[1])}, beside {in_epochs(both[0])}: of {len(tested)} test gaps "
            f"{tested.gt(0).sum()} are larger, of the validation gaps {valid.gt(0).sum()}. That longer training "
            "and fine-tuning change nothing more is not shown."
        )


def of_one_network() -> list[pd.DataFrame]:
    """Return the table of a network's masks, and that of the same seed's after much longer, if both are there."""
    names = ("mnist_controls", "mnist_800_one_seed")
    if not {*names} <= set(results.names("**")):
        return []
    shorter, longer = results.together(names[0]), results.load(names[1])
    shorter = shorter[shorter["seed"].isin(longer["seed"])]
    return [] if shorter.empty else [shorter, longer]


def of_gaps(both: list[pd.DataFrame], split: str = "test") -> pd.DataFrame:
    """Return the gaps (points) of the masks that both have, and their change, in the later table's order."""
    shorter, longer = (gaps_by_mask(table, split) for table in both)
    gaps = pd.DataFrame({"shorter": shorter, "longer": longer}).reindex([m for m in longer.index if m in shorter.index])
    return gaps.assign(change=gaps["longer"] - gaps["shorter"])


def in_epochs(table: pd.DataFrame) -> str:
    training, tuning = table[["training_epochs", "tuning_epochs"]].iloc[0].astype(int)
    return f"{training} + {tuning} epochs"


def gaps_by_mask(table: pd.DataFrame, split: str) -> pd.Series:
    """Return the gap of one network's masks (points): MP's, and those in 14 stages with a step penalty of 1e-3."""
    table = table.assign(gap=results.gap(table, split), control=table["control"].fillna(""))
    modelled = table[~table["criterion"].eq("mp")]
    modelled = modelled[(modelled["stages"] == 14) & (modelled["step_penalty"] == 1e-3)]
    alone = pd.concat([table[table["criterion"].eq("mp")].drop_duplicates("control"), modelled])
    names = [trained(r).strip() for r in alone.assign(measure="", stages=1).itertuples()]
    return alone["gap"].set_axis([name.removeprefix("of ") for name in names])
