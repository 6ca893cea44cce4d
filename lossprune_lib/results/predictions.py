"""What models predict of prunings, over several networks: are they fooled by their own choice, and what do stages mend.

The rule is that of ``data/results/JUDGING.md``, "Predictions".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from lossprune_lib.files import shipped
from lossprune_lib.pruning.by_stage import CAUSES
from lossprune_lib.results.selection import check_columns
from lossprune_lib.results.statistics import ENTRIES, Interval, interval

if TYPE_CHECKING:
    import pandas as pd

KEY = ["part", "chooser", "stages", "quantity"]
_MODELS = {"diagonal": "diagonal", "hessian": "full Hessian"}
_COLUMNS = ["network", "sparsity", "seed", *KEY, "value"]
_REMEDY = "give one such as data/results/predictions/predictions.csv"


def predictions(table: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return what each claim rests on: means over networks with their intervals.

    Parameters
    ----------
    table : one row per number; by default ``data/results/predictions/predictions.csv``

    Returns
    -------
    DataFrame
        network, sparsity; claim: "fooled", "mended" or "ranks"; what, in words; mean, low, high; seeds, each a network;
        values, one per seed; and these as words. A share is what is predicted of the actual change, as a fraction;
        costs and errors are in nats, and differences paired by seed.

    Raises
    ------
    TypeError, ValueError
        if it is no such table.
    """
    import pandas as pd

    rows = []
    for (network, sparsity), claim, what, found in _all(table):
        about = {"network": network, "sparsity": sparsity, "claim": claim, "what": what}
        numbers = dict(zip(ENTRIES, found.entries, strict=True))
        rows.append({**about, **numbers, "words": found.words("z.2f")})
    return pd.DataFrame(rows)


def prediction_verdicts(table: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return "holds", "refuted" or "undecided" for each network, its index, and each claim, a column."""
    import pandas as pd

    found: dict[str, dict[str, Interval]] = {}
    for (network, _), _, what, of in _all(table):
        found.setdefault(network, {})[what] = of
    return pd.DataFrame.from_dict({network: _verdicts(of) for network, of in found.items()}, orient="index")


def errors_by_stages(table: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return the sizes of the diagonal model's three errors, for MP's steps in several numbers of stages.

    Parameters
    ----------
    table : one row per number; by default ``data/results/predictions/predictions.csv``

    Returns
    -------
    DataFrame
        network; cause, as `pruning.causes_by_stages` names it; stages; mean, low, high (nats); seeds, each a
        network; values, one per seed.

    Raises
    ------
    TypeError, ValueError
        if it is no such table.
    """
    import pandas as pd

    rows = []
    for network, part in _read(table).query("part == 'causes'").groupby("network", sort=False):
        for (cause, stages), numbers in part.groupby(["quantity", "stages"], sort=False)["value"]:
            found = interval(numbers)
            rows.append((network, cause, stages, *found.entries))
    return pd.DataFrame(rows, columns=["network", "cause", "stages", *ENTRIES])


def _verdicts(of: dict[str, Interval]) -> dict[str, str]:
    own, less = of[share_by("diagonal", "qm")], of["share by the diagonal, MP less QM"]
    second, *others = (of[f"{cause}, 28 stages less 1"] for cause in CAUSES)
    order, last = of["rank correlation of cost and place, QM"], of["cost of the last group, QM less MP"]
    exact = of[share_by("hessian", "qm")]
    return {
        "fooled": _of(
            own.high < 0.5 and exact.low > 0.5 and less.low > 0,
            own.low > 0.5 or less.high < 0,
        ),
        "mended": _of(
            second.high < 0 and not any(other.high < 0 for other in others),
            second.low > 0 or any(other.high < 0 for other in others),
        ),
        "ranks": _of(
            order.low > 0.5 and of["share of the first six groups, QM"].high < 0.5 and last.low > 0,
            order.high < 0.5 or last.high < 0,
        ),
    }


def _of(holds: bool, refuted: bool) -> str:
    return "holds" if holds else "refuted" if refuted else "undecided"


def _read(table: pd.DataFrame | None) -> pd.DataFrame:
    """Return the table, or the shipped one; TypeError or ValueError if it is another kind of table."""
    import pandas as pd

    if table is None:
        table = pd.read_csv(shipped("results/predictions/predictions.csv"))
    check_columns(table, _COLUMNS, _REMEDY)
    return table


def _all(table: pd.DataFrame | None) -> Iterator[tuple[tuple[str, float], str, str, Interval]]:
    """Yield network and sparsity, claim, what, and its interval."""
    for network, part in _read(table).groupby("network", sort=False):
        value = part.pivot_table(index="seed", columns=KEY, values="value")
        for claim, what, numbers in _quantities(value):
            yield (str(network), part["sparsity"].iloc[0]), claim, what, interval(numbers)


def _quantities(value: pd.DataFrame) -> Iterator[tuple[str, str, pd.Series]]:
    """Yield claim, what, and one number per seed, from numbers by seed (rows) and `KEY` (columns)."""
    steps, groups = value["steps"], value["groups"]

    def share(model: str, chooser: str, stages: int) -> pd.Series:
        return steps[chooser, stages, model] / steps[chooser, stages, "actual"]

    for chooser in ("random", "mp", "obd", "lm", "qm"):
        yield "fooled", f"actual change (nats), {_name(chooser)} in 14 stages", steps[chooser, 14, "actual"]
        for model in _MODELS:
            yield "fooled", share_by(model, chooser), share(model, chooser, 14)
    for stages in (1, 140):
        if ("qm", stages, "actual") in steps:
            yield "fooled", share_by("diagonal", "qm", stages), share("diagonal", "qm", stages)
    yield "fooled", "share by the diagonal, MP less QM", share("diagonal", "mp", 14) - share("diagonal", "qm", 14)
    for cause in CAUSES:
        one, many = (value["causes", "mp", stages, cause] for stages in (1, 28))
        yield "mended", f"{cause}, 1 stage", one
        yield "mended", f"{cause}, 28 stages", many
        yield "mended", f"{cause}, 28 stages less 1", many - one
    for chooser in ("mp", "qm"):
        of = groups[chooser, 14]
        yield "ranks", f"rank correlation of cost and place, {_name(chooser)}", of["order"]
        yield "ranks", f"share of the first six groups, {_name(chooser)}", of["first six predicted"] / of["first six"]
        yield "ranks", f"cost of the last group (nats), {_name(chooser)}", of["last"]
    first = groups["qm", 14]["first six"] - groups["mp", 14]["first six"]
    yield "ranks", "cost of the first six groups, QM less MP", first
    yield "ranks", "cost of the last group, QM less MP", groups["qm", 14]["last"] - groups["mp", 14]["last"]


def share_by(model: str, chooser: str, stages: int = 14) -> str:
    """Return what `predictions` calls the share of a chooser's steps' cost that "diagonal" or "hessian" predicts."""
    return f"share by the {_MODELS[model]}, {_name(chooser)} in {stages} stage{'s' * (stages > 1)}"


def _name(chooser: str) -> str:
    return chooser if chooser == "random" else chooser.upper()
