"""The sliders of one weight and of two: what they say and draw is measured apart."""

from __future__ import annotations

import copy

import pytest

from lossprune_lib import BatchLoss, data, widgets
from lossprune_lib.loss_modelling import few_weights
from lossprune_lib.widgets.few_weights import PAIR_SHARES, SHARES

WEIGHTS = {"costly": 50111, "mistaken": 9044}
PAIRS = {"more": (50111, 50134), "other": (50111, 9044)}


@pytest.fixture(scope="module")
def risk(trained, digits64: data.Task) -> BatchLoss:
    return BatchLoss(copy.deepcopy(trained).double(), (digits64.x_train[:100], digits64.y_train[:100]))


@pytest.fixture(scope="module")
def one(trained, digits) -> widgets.Sliders:
    return widgets.one_weight_slider(trained, digits, WEIGHTS, examples=100)


@pytest.fixture(scope="module")
def two(trained, digits) -> widgets.Sliders:
    return widgets.two_weights_slider(trained, digits, PAIRS, examples=100)


def test_two_weights_start_where_there_is_something_to_see(trained, digits) -> None:
    for start, said in ((0.0, "at 0 % and"), (0.5, "at 50 % and")):
        given = {} if start == 0 else {"start": start}
        words = widgets.two_weights_slider(
            trained, digits, dict([*PAIRS.items()][:1]), examples=50, **given
        ).picture.alt
        assert said in words
        assert "both: 0.00" not in words


@pytest.mark.parametrize("name", WEIGHTS)
def test_one_weight_says_and_draws_the_loss_and_its_models(one, risk, name: str) -> None:
    share = 0.3
    one.controls["weight"].value, one.controls["share"].value = name, SHARES.index(share)
    weights = risk.space.read()
    index, value = WEIGHTS[name], weights[WEIGHTS[name]].item()
    moved = weights.clone()
    moved[index] = share * value
    actual = (risk.value(moved) - risk.value(weights)).item()
    model, step = risk.model(weights), (share - 1) * value
    lm, obd = model.gradient[index].item() * step, model.curvature[index].item() * step**2 / 2
    said = f"by {1000 * actual:+.2f} thousandths of a nat; predicted: LM {1000 * lm:+.2f}, QM {1000 * (lm + obd):+.2f}"
    assert f"{said}, OBD {1000 * obd:+.2f}." in one.picture.alt
    widths = [bar.get_width() for bar in one.picture.canvas.figure.axes[1].patches]
    assert widths == pytest.approx([1000 * change for change in (actual, lm, lm + obd, obd)], rel=1e-4)
    points = [line for line in one.picture.canvas.figure.axes[0].lines if line.get_marker() not in ("", "None")]
    assert [line.get_xdata()[0] for line in points] == pytest.approx([share * value] * 4)
    assert not one.message.value


def test_the_table_has_what_each_model_predicts_where_the_weight_is_pruned(one, risk) -> None:
    row = one.table.iloc[1]
    found = few_weights.one_weight(risk, WEIGHTS["mistaken"], [0.0])
    assert row["weight"] == "fc1[141, 20]"
    assert row["actual"] == pytest.approx(found.actual[0].item())
    assert [row[c] for c in ("lm", "qm", "obd")] == pytest.approx([found.predicted(c, 0) for c in ("lm", "qm", "obd")])


def test_a_weight_as_trained_changes_nothing(one) -> None:
    one.controls["share"].value = SHARES.index(1)
    assert "as trained" in one.picture.alt
    assert "by +0.00" in one.picture.alt or "by -0.00" in one.picture.alt


def test_each_choice_has_its_own_scale_and_going_back_gives_the_same_picture(one) -> None:
    one.controls["share"].value, one.controls["weight"].value = 10, "costly"
    before, limits = one.picture.html.value, one.picture.canvas.figure.axes[0].get_ylim()
    one.controls["weight"].value = "mistaken"
    assert one.picture.canvas.figure.axes[0].get_ylim() != limits
    assert one.picture.html.value != before
    one.controls["weight"].value = "costly"
    assert one.picture.html.value == before


def test_two_weights_say_what_each_and_both_cost(two, risk) -> None:
    two.controls["pair"].value = "more"
    for name in ("first", "second"):
        two.controls[name].value = PAIR_SHARES.index(0)
    first, second, both = few_weights.removal(risk, [(50111,), (50134,), (50111, 50134)]).tolist()
    alone = f"{1000 * first:.2f} + {1000 * second:.2f} = {1000 * (first + second):.2f}"
    assert f"each moved alone: {alone}; both: {1000 * both:.2f}" in two.picture.alt
    found = few_weights.two_weights(risk, PAIRS["more"], [0.0, 1.0])
    full, diagonal = (found.predicted(0.0, 0.0, full=full).item() for full in (True, False))
    assert f"off-diagonal term says {1000 * full:+.2f}, the diagonal one {1000 * diagonal:+.2f}." in two.picture.alt
    assert abs(full - both) < abs(diagonal - both)
    titles = [text.get_text() for text in two.picture.moving if "\n" in getattr(text, "get_text", str)()]
    assert [title.split("\n")[1] for title in titles] == [f"{1000 * c:+.2f}" for c in (both, full, diagonal)]
    row = two.table.iloc[0]
    assert [row[c] for c in ("first_alone", "second_alone", "both")] == pytest.approx([first, second, both], rel=1e-6)
    assert [row["full"], row["diagonal"]] == pytest.approx([full, diagonal])


def test_all_three_maps_mark_the_same_place(two) -> None:
    two.controls["first"].value, two.controls["second"].value = 3, 7
    dots = [line for line in two.picture.moving if getattr(line, "get_marker", str)() == "o"]
    assert [(line.get_xdata()[0], line.get_ydata()[0]) for line in dots] == [(PAIR_SHARES[3], PAIR_SHARES[7])] * 3


def test_axes_say_of_what_they_are_shares_and_a_key_says_what_is_marked(two: widgets.Sliders) -> None:
    figure = two.picture.canvas.figure
    labels = [ax.get_xlabel() for ax in figure.axes[:3]] + [figure.axes[0].get_ylabel()]
    assert all(label.endswith(", of its trained value") for label in labels)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["both as trained", "one pruned"]
