"""The layers' shares by hand: the sparsity stays, and what is said is measured apart."""

from __future__ import annotations

import copy

import pytest
import torch

from lossprune_lib import LocalPruner, WeightSpace, data, training, widgets
from lossprune_lib.pruning import allocation
from lossprune_lib.widgets.shares import BY_HAND, PLACES

LAYERS = ("fc1", "fc2", "fc3")


@pytest.fixture(scope="module")
def slider(trained, digits) -> widgets.Sliders:
    return widgets.shares_slider(trained, digits, sparsities=(0.9, 0.95), stages=3)


def move(slider: widgets.Sliders, layer: str, share: float) -> float:
    """Move a layer's slider to the place that is nearest to a share, and return that place."""
    slider.controls[layer].value = place = min(PLACES, key=lambda value: abs(value - share))
    return place


def kept(slider: widgets.Sliders) -> list[float]:
    """Return the shares that are drawn."""
    (line,) = [line for line in slider.picture.canvas.figure.axes[0].lines if line.get_markersize() == 10]
    return list(line.get_ydata())


def by_hand(net: torch.nn.Module, shares: dict[str, float], task: data.Task) -> training.Score:
    """Evaluate a network of which each layer keeps a share of its largest weights, by torch alone."""
    pruned = copy.deepcopy(net)
    for layer, share in shares.items():
        weight = getattr(pruned, layer).weight.data
        gone = weight.numel() - round(share * weight.numel())
        weight.view(-1)[weight.abs().flatten().argsort()[:gone]] = 0
    return training.evaluate(pruned, task)


def test_a_layer_that_is_moved_makes_the_others_give_way(slider, trained, digits) -> None:
    slider.controls["sparsity"].value, slider.controls["rule"].value = "95 %", "equal"
    place = move(slider, "fc3", 0.4)
    space, shares = WeightSpace(trained), dict(zip(LAYERS, kept(slider), strict=True))
    left = (0.05 * space.size - place * space.sizes[2]) / (space.sizes[0] + space.sizes[1])
    assert list(shares.values()) == pytest.approx([left, left, place], rel=2e-3)
    assert slider.controls["fc3"].value == place
    assert slider.controls["fc1"].value == min(PLACES, key=lambda value: abs(value - left))
    assert slider.controls["rule"].value == BY_HAND
    score = by_hand(trained, shares, digits)
    said = f"95 % pruned, by hand: accuracy {100 * score.accuracy:.1f} %, loss {score.loss:.2f}"
    assert slider.picture.alt.startswith(said)
    assert not slider.message.value


def test_the_buttons_take_over_the_shares_of_a_rule(slider, trained, digits) -> None:
    slider.controls["sparsity"].value = "90 %"
    mask = LocalPruner("qm", 0.9, stages=3, step_penalty=1e-3).prune(trained, digits).mask
    rules = {
        "equal": dict.fromkeys(LAYERS, 0.1),
        "erk": allocation.erk(WeightSpace(trained), 0.9),
        "mp": LocalPruner("mp", 0.9, stages=1).prune(trained, digits).mask.density(),
        "magnitude": mask.density(),
    }
    for name, shares in rules.items():
        slider.controls["rule"].value = name
        assert kept(slider) == pytest.approx(list(shares.values()), abs=5e-4)
        score = by_hand(trained, shares, digits)
        assert f"accuracy {100 * score.accuracy:.1f} %, loss {score.loss:.2f}" in slider.picture.alt.split(". ")[0]
    network = copy.deepcopy(trained)
    mask.apply_(network)
    score = training.evaluate(network, digits)
    assert f"QM itself: accuracy {100 * score.accuracy:.1f} %, loss {score.loss:.2f}" in slider.picture.alt
    row = slider.table.query("sparsity == 0.9 and way == 'QM itself'").iloc[0]
    assert row["accuracy"] == pytest.approx(score.accuracy)


def test_another_sparsity_keeps_the_proportions(slider, trained) -> None:
    slider.controls["sparsity"].value, slider.controls["rule"].value = "90 %", "equal"
    move(slider, "fc3", 0.5)
    before = kept(slider)
    slider.controls["sparsity"].value = "95 %"
    assert kept(slider) == pytest.approx([share / 2 for share in before], rel=5e-3)


def test_a_share_that_there_is_no_room_for_stops(slider, trained) -> None:
    slider.controls["sparsity"].value, slider.controls["rule"].value = "95 %", "equal"
    move(slider, "fc1", 1.0)
    sizes = WeightSpace(trained).sizes
    assert kept(slider)[0] == pytest.approx(0.05 * sum(sizes) / sizes[0], rel=1e-3)
    assert slider.controls["fc1"].value < 0.14
    assert "fc2 0 %, fc3 0 %" in slider.picture.alt
    move(slider, "fc1", 0.05)
    assert kept(slider) == pytest.approx([0.05] * 3, rel=5e-3)


def test_pictures_for_paper_leave_the_sliders_alone(slider) -> None:
    start = slider.start["sparsity"]
    slider.controls["sparsity"].value, slider.controls["rule"].value = "95 %", "erk"
    before = slider.picture.html.value
    stills = slider.stills({"rule": "equal"}, {"sparsity": "95 %", "rule": "mp"})
    assert start != "95 %"
    assert f"{start} pruned, equal shares" in stills.alt
    assert "95 % pruned, MP's shares" in stills.alt
    assert stills.alt.startswith("Picture 1 of 2: ")
    assert " Picture 2 of 2: " in stills.alt
    width, height = slider.picture.canvas.get_width_height()
    assert stills.size == (width, 2 * height)
    assert slider.picture.html.value == before
    assert slider.controls["rule"].value == "erk"
    slider.controls["rule"].value = "mp"
    slider.controls["rule"].value = "erk"
    assert slider.picture.html.value == before
    with pytest.raises(ValueError, match="control called 'stages'"):
        slider.stills({"stages": 3})
    with pytest.raises(ValueError, match="no pictures to show"):
        slider.stills()


@pytest.mark.parametrize(("shares", "wanted"), [([0.1, 0.1, 0.1], 30), ([0.9, 0.1, 0.0], 120), ([0, 0, 0], 50)])
def test_scaled_shares_keep_what_is_wanted(shares: list[float], wanted: float) -> None:
    sizes = [100, 50, 10]
    found = allocation.scaled(sizes, shares, wanted)
    assert sum(size * share for size, share in zip(sizes, found, strict=True)) == pytest.approx(wanted)
    assert all(0 <= share <= 1 for share in found)
    free = [(of, share) for of, share in zip(found, shares, strict=True) if share and of < 1]
    assert len({round(of / share, 9) for of, share in free}) <= 1


def test_giving_way_keeps_the_number_of_weights() -> None:
    sizes, shares = [100, 50, 10], [0.2, 0.4, 1.0]
    found = allocation.give_way(sizes, shares, 0, 0.3)
    assert found == pytest.approx([0.3, 0.4 * 20 / 30, 20 / 30])
    assert allocation.give_way(sizes, shares, 0, 0.9)[0] == pytest.approx(0.5)  # then nothing is left of the others
    assert allocation.give_way(sizes, [1.0, 0.8, 0.0], 0, 0.1)[0] == pytest.approx(0.8)  # no more fits the others


def test_the_largest_weights_of_each_layer_are_kept(trained) -> None:
    space = WeightSpace(trained)
    mask = allocation.largest(space, {"fc3": 0.5, "fc1": 0.1, "fc2": 0.02})
    for weight, kept, share in zip(space.split(space.read()), space.split(mask.kept), (0.1, 0.02, 0.5), strict=True):
        assert int(kept.sum()) == round(share * kept.numel())
        assert weight[kept].abs().min() >= weight[~kept].abs().max()
