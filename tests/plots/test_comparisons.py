"""Figures of comparisons: what is drawn is what the tables say."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lossprune_lib import results
from lossprune_lib.plots import comparisons


def axes(number: int = 1) -> list[Axes]:
    return list(np.atleast_1d(Figure(figsize=(8, 3)).subplots(1, number)))


def at_points(ax: Axes, marker: str) -> list[float]:
    """Return the x of every line with one point and this marker, from the top."""
    return [
        float(line.get_xdata()[0]) for line in ax.lines if line.get_marker() == marker and len(line.get_xdata()) == 1
    ]


def test_before_and_after_have_a_mark_at_each_mean() -> None:
    study, drawn = results.together("cifar10_resnet_controls"), axes(2)
    comparisons.before_and_after(drawn, study)
    alone = study[study["control"].isna()].groupby("criterion")[["true_change", "tuned_test_error"]].mean()
    alone = alone.loc[["mp", "obd", "lm", "qm"]]
    assert at_points(drawn[0], "|") == pytest.approx(alone["true_change"])
    assert at_points(drawn[1], "|") == pytest.approx(100 * alone["tuned_test_error"])
    assert [label.get_text() for label in drawn[0].get_yticklabels()] == ["MP", "OBD", "LM", "QM"]


def test_controls_have_a_mark_at_each_mean() -> None:
    study = results.load("digits_controls")
    drawn = axes(3)
    comparisons.controls(drawn, study)
    part = study.query("sparsity == 0.95").assign(error=lambda rows: 100 * rows["tuned_test_error"])
    of_qm = part.query("criterion == 'qm' and stages == 14")
    wanted = [
        part.query("criterion == 'mp' and control.isna()")["error"].mean(),
        part.query("control == 'uniform'")["error"].mean(),
        *(of_qm.query("control == @name")["error"].mean() for name in ("magnitude", "shuffled")),
        of_qm[of_qm["control"].isna()]["error"].mean(),
    ]
    assert at_points(drawn[1], "|") == pytest.approx(wanted)
    assert [ax.get_title(loc="left") or ax.get_title() for ax in drawn] == ["90 % pruned", "95 % pruned", "98 % pruned"]


def test_differences_in_words_are_those_of_the_controls() -> None:
    study = results.load("digits_controls")
    found = results.controls(study).query("sparsity == 0.98 and criterion == 'qm' and stages == 14")
    row = found[(found["first"] == "magnitude") & (found["second"] == "qm")].iloc[0]
    words = results.controls_in_words(study).loc["QM's shares minus QM", "98 %"]
    assert words == f"{row['mean']:.1f} ({row['low']:.1f} to {row['high']:.1f})"
    two = study[study["seed"].isin([1111, 1112])]
    assert "(seeds " in results.controls_in_words(two).loc["MP minus QM", "98 %"]  # too few for an interval


def test_sampled_curvature_is_drawn_in_per_cent_of_the_exact_one() -> None:
    (ax,) = axes()
    found = results.exactness(results.load("digits_exactness"))
    of_qm = found[found["criterion"] == "qm"]
    comparisons.exactness(ax, found, of_qm.iloc[:1].assign(mean=0.05))
    shown = (100 * of_qm["mean"] / of_qm["exact"]).tolist()
    assert at_points(ax, "o") == pytest.approx([*shown, 5 / of_qm["exact"].iloc[0]])
    assert [label.get_text() for label in ax.get_yticklabels()][:2] == [
        "OBD, 14 stages, 1 column",
        "OBD, 140 stages, 1 column",
    ]


def test_only_what_differs_from_the_paper_is_marked() -> None:
    for number in (1, 2):
        (ax,) = axes()
        found = results.beside_paper(results.load("mnist"), number)
        comparisons.beside_paper(ax, found, "nats")
        assert sum(text.get_text() == "differs" for text in ax.texts) == found["differs"].sum()


def test_correlations_have_their_ceilings_and_lines_their_ends() -> None:
    (ax,) = axes()
    comparisons.correlations(ax, {"a": results.interval([0.1, 0.2, 0.3, 0.4])}, {"a": 0.7})
    assert at_points(ax, "o") == pytest.approx([0.25])
    lines = {line.get_label(): list(line.get_xdata()) for line in ax.lines}
    assert (lines["ceiling"], lines["half the ceiling"]) == ([0.7, 0.7], [0.35, 0.35])
    assert ax.get_legend_handles_labels()[1] == ["ceiling", "half the ceiling"]
    (ax,) = axes()
    comparisons.errors_by_epoch(ax, {"mp": [0.9, 0.5], "qm": [0.2, 0.1]}, 0.02)
    assert list(ax.lines[0].get_ydata()) == [90, 50]
    (ax,) = axes()
    comparisons.gaps_by_epochs([ax], {"seed 1": pd.DataFrame({"qm": {20: 2.0, 100: 1.0}})})
    assert [label.get_text() for label in ax.get_xticklabels()] == ["20 epochs", "100 epochs"]
    assert ax.get_ylim()[0] == 0
    (ax,) = axes()
    comparisons.gaps_by_epochs([ax], {"alone": pd.DataFrame({"qm": {200: 1.8}, "lm": {200: 1.8}})})
    one, other = (line.get_xydata()[0] for line in ax.lines)
    assert abs(one[0] - other[0]) > 0.1  # equal ones do not hide each other
    assert one[1] == other[1] == 1.8
