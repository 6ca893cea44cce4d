"""What models predict of prunings of several networks: the rule on made-up tables, the shipped one, and its script."""

from __future__ import annotations

import runpy
from pathlib import Path

import pandas as pd
import pytest
import torch
from scipy.stats import ttest_1samp

from lossprune_lib import Study, data, models, results
from lossprune_lib.results.predictions import KEY
from lossprune_lib.studies.experiment import Trained
from lossprune_lib.studies.store import Store

FOLDER = Path(__file__).parents[2] / "data" / "results"
CAUSES = ("beyond the 2nd order", "GGN for the Hessian", "diagonal for the full GGN")


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return pd.read_csv(FOLDER / "predictions" / "predictions.csv")


def made_up(changed: dict[tuple[str, str, int, str], float] | None = None, spread: float = 0.01) -> pd.DataFrame:
    """Return a table by which all three claims hold, but for numbers that are changed."""
    numbers: dict[tuple[str, str, int, str], float] = {}
    for chooser, stages in [*((name, 14) for name in ("random", "mp", "obd", "lm", "qm")), ("qm", 1), ("qm", 140)]:
        numbers["steps", chooser, stages, "actual"] = 1.0
        numbers["steps", chooser, stages, "diagonal"] = 0.1 if chooser == "qm" else 0.7
        numbers["steps", chooser, stages, "hessian"] = 0.9
    for cause, first, last in zip(CAUSES, (1.0, 0.1, 0.1), (0.1, 0.3, 0.1), strict=True):
        numbers["causes", "mp", 1, cause], numbers["causes", "mp", 28, cause] = first, last
    for chooser, last in (("mp", 1.0), ("qm", 2.0)):
        numbers["groups", chooser, 14, "order"], numbers["groups", chooser, 14, "last"] = 0.9, last
        numbers["groups", chooser, 14, "first six"], numbers["groups", chooser, 14, "first six predicted"] = 1.0, 0.2
    rows = [
        # Not all by the same factor, so that no interval has the length zero.
        {"network": "digits", "sparsity": 0.9, "seed": seed, **dict(zip(KEY, key, strict=True))}
        | {"value": value * (1 + spread * ((seed + place) % 5 - 2))}
        for seed in range(5)
        for place, (key, value) in enumerate((numbers | (changed or {})).items())
    ]
    return pd.DataFrame(rows)


def verdicts(table: pd.DataFrame) -> dict[str, str]:
    return results.prediction_verdicts(table).loc["digits"].to_dict()


def test_all_three_hold() -> None:
    assert verdicts(made_up()) == dict.fromkeys(("fooled", "mended", "ranks"), "holds")


def test_a_wide_interval_decides_nothing() -> None:
    assert set(verdicts(made_up(spread=2.0)).values()) == {"undecided"}


@pytest.mark.parametrize(
    ("changed", "claim", "verdict"),
    [
        ({("steps", "qm", 14, "diagonal"): 0.8}, "fooled", "refuted"),
        ({("steps", "mp", 14, "diagonal"): 0.05}, "fooled", "refuted"),
        ({("steps", "qm", 14, "hessian"): 0.3}, "fooled", "undecided"),
        ({("causes", "mp", 28, CAUSES[0]): 1.5}, "mended", "refuted"),
        ({("causes", "mp", 28, CAUSES[0]): 1.0}, "mended", "undecided"),
        ({("causes", "mp", 28, CAUSES[1]): 0.05}, "mended", "refuted"),
        ({("causes", "mp", 28, CAUSES[2]): 0.02}, "mended", "refuted"),
        ({("groups", "qm", 14, "order"): 0.2}, "ranks", "refuted"),
        ({("groups", "qm", 14, "last"): 0.5}, "ranks", "refuted"),
        ({("groups", "qm", 14, "first six predicted"): 0.9}, "ranks", "undecided"),
    ],
)
def test_each_claim_can_fail_and_no_other_does(
    changed: dict[tuple[str, str, int, str], float], claim: str, verdict: str
) -> None:
    found = verdicts(made_up(changed))
    assert found.pop(claim) == verdict
    assert set(found.values()) == {"holds"}


def test_140_stages_decide_nothing_and_may_be_missing() -> None:
    whole = made_up()
    without = whole[whole["stages"] != 140]
    assert verdicts(without) == verdicts(whole)
    gone = set(results.predictions(whole)["what"]) - set(results.predictions(without)["what"])
    assert gone == {"share by the diagonal, QM in 140 stages"}


def test_means_and_intervals_are_those_of_scipy(table: pd.DataFrame) -> None:
    found = results.predictions(table).set_index(["network", "what"])
    for network, part in table.groupby("network"):
        steps = part[(part["part"] == "steps") & (part["chooser"] == "qm") & (part["stages"] == 14)]
        by_seed = steps.pivot_table(index="seed", columns="quantity", values="value")
        shares = by_seed["diagonal"] / by_seed["actual"]
        bounds = ttest_1samp(shares, 0).confidence_interval(0.95)
        row = found.loc[(network, "share by the diagonal, QM in 14 stages")]
        assert (row["mean"], row["low"], row["high"]) == pytest.approx((shares.mean(), bounds.low, bounds.high))
        assert row["seeds"] == len(shares) == part["seed"].nunique() >= 4


def test_errors_by_stages_are_means_over_networks(table: pd.DataFrame) -> None:
    found = results.errors_by_stages(table).set_index(["network", "cause", "stages"])
    of = table[table["part"] == "causes"]
    assert len(found) == len(of[["network", "quantity", "stages"]].drop_duplicates()) >= 3 * 3 * 6
    for where, numbers in of.groupby(["network", "quantity", "stages"])["value"]:
        bounds = ttest_1samp(numbers, 0).confidence_interval(0.95)
        assert found.loc[where, ["mean", "low", "high"]].tolist() == pytest.approx([numbers.mean(), *bounds])
        assert found.loc[where, "seeds"] == len(numbers)


@pytest.mark.parametrize(("given", "error"), [(3, TypeError), (pd.DataFrame({"seed": [1]}), ValueError)])
def test_another_table_is_refused(given: object, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"predictions\.csv"):
        results.predictions(given)  # type: ignore[arg-type]
    with pytest.raises(error, match=r"predictions\.csv"):
        results.errors_by_stages(given)  # type: ignore[arg-type]


def test_the_script_measures_what_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """The shipped network of the digits, few examples: the errors add up, and the steps are the pruner's."""
    monkeypatch.syspath_prepend(FOLDER)
    script = runpy.run_path(str(FOLDER / "make_predictions.py"))
    task = data.load("digits", device="cpu")
    short = data.Task(*(part[:60] for split in data.SPLITS for part in task.split(split)), classes=10)
    script["measured"].__globals__.update(STEPS=[("mp", 2), ("qm", 2)], STAGES=(1, 2))
    asked = script["Asked"](0.5, many_stages=False)
    rows = pd.DataFrame(script["measured"](models.pretrained("mlp_300_100", task), short, asked, 3))
    value = rows.set_index(KEY)["value"].sort_index()
    assert not value.index.duplicated().any()
    for stages in (1, 2):
        assert len(value["causes", "mp", stages]) == 3
    errors = value["steps", "mp", 2]
    assert value["causes", "mp", 2, CAUSES[0]] == pytest.approx(abs(errors["actual"] - errors["hessian"]), abs=1e-6)
    assert value["causes", "mp", 2, CAUSES[1]] == pytest.approx(abs(errors["hessian"] - errors["ggn"]), abs=1e-6)
    assert value["causes", "mp", 2, CAUSES[2]] == pytest.approx(abs(errors["ggn"] - errors["diagonal"]), abs=1e-6)
    assert torch.isfinite(torch.tensor(value.to_numpy())).all()


def test_the_script_takes_a_trained_network_from_a_store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.syspath_prepend(FOLDER)
    script = runpy.run_path(str(FOLDER / "make_predictions.py"))
    plan = "longer_training/cifar10_vgg_100_epochs"
    baseline = Study.read(FOLDER / f"{plan}.toml").only([1112]).runs[0].baseline
    with Store(tmp_path / "runs.sqlite") as store:
        store.add_baseline(baseline, Trained(b"weights", {}))
    script["take_from"].__globals__["WORK"] = tmp_path / "work"
    script["take_from"](tmp_path / "runs.sqlite", plan, 1112)
    assert script["path_of"](plan, 1112).with_suffix(".safetensors").read_bytes() == b"weights"
    with pytest.raises(SystemExit, match=r"no network of .* 1111"):
        script["take_from"](tmp_path / "runs.sqlite", plan, 1111)


def test_the_script_drops_nothing_that_is_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.syspath_prepend(FOLDER)
    script = runpy.run_path(str(FOLDER / "make_predictions.py"))
    (tmp_path / "predictions").mkdir()
    one = made_up().assign(seconds=1.0, finished="today", versions="these")
    one[one["seed"] == 1].to_csv(tmp_path / "digits-1111.csv", index=False)
    one[one["seed"] < 2].to_csv(tmp_path / "predictions" / "predictions.csv", index=False)
    (tmp_path / "predictions" / "predictions.md").write_text("")
    script["write"].__globals__.update(HERE=tmp_path, WORK=tmp_path)
    with pytest.raises(SystemExit, match=r"digits 0\)"):
        script["write"]()
    other = one[one["seed"] == 0].assign(network="mnist")  # of which nothing is run here: its rows are kept
    csv, note = (tmp_path / "predictions" / f"predictions.{end}" for end in ("csv", "md"))
    pd.concat([other, one[one["seed"] == 1]])[[*one.columns[:8]]].to_csv(csv, index=False)
    note.write_text("| digits | then |\n")
    with pytest.raises(SystemExit, match=r"no line on mnist: put that note back"):
        script["write"]()
    note.write_text("| digits | then |\n| mnist | long ago |\n")
    script["write"]()
    written = pd.read_csv(csv)
    assert written[["network", "seed"]].drop_duplicates().to_numpy().tolist() == [["digits", 1], ["mnist", 0]]
    assert not written.isna().any(axis=None)
    assert "| digits | 1 | today to today |" in note.read_text()
    assert "| mnist | long ago |" in note.read_text()
    assert "then" not in note.read_text()
    script["write"]("again")
    assert set(pd.read_csv(tmp_path / "predictions" / "again.csv")["network"]) == {"digits"}
