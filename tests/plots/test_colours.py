"""Colours that stand in one figure are told apart by colour-blind eyes, and by line style, marker or hatch as well.

The eyes are those of Machado, Oliveira and Fernandes (2009), A Physiologically-based Model for Simulation of Color
Vision Deficiency, their matrices of severity 1.0 for linear RGB.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from lossprune_lib import plots
from lossprune_lib.loss_modelling.forecast import ORDERS
from lossprune_lib.plots import by_stage, fine_tuning, language, networks, penalties, shares
from lossprune_lib.plots import landscape as landscape_plots
from lossprune_lib.plots import locality as locality_plots
from lossprune_lib.plots import taylor as taylor_plots
from lossprune_lib.plots.style import ACTUAL, PRUNED, in_style
from lossprune_lib.pruning.criteria import CRITERIA

EYES = {
    "most": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
LEAST = 14  # CIE 1976 colour difference; 2.3 is just noticeable side by side
# What stands in one figure: the colour of each, and what else it is told apart by.
TOGETHER = {
    "criteria": {name: (plots.style(name)["color"], str(plots.style(name)["linestyle"])) for name in CRITERIA},
    "markers": {
        **{name: (plots.style(name)["color"], plots.style(name)["marker"]) for name in CRITERIA if name != "random"},
        "smallest gap": (fine_tuning.BEST["color"], fine_tuning.BEST["marker"]),
    },
    "shares": {
        **{name: (plots.style(name)["color"], plots.style(name)["marker"]) for name in ("mp", "qm", "magnitude")},
        "yours": (shares.YOURS["color"], shares.YOURS["marker"] + "large"),
    },
    "directions": {
        name: (landscape_plots.direction_style(name)["color"], str(landscape_plots.direction_style(name)["linestyle"]))
        for name in (*CRITERIA, *landscape_plots._DIRECTIONS)
    },
    "predicted": {
        **{name: (plots.style(name)["color"], str(plots.style(name)["linestyle"])) for name in ("lm", "qm", "obd")},
        "actual": (ACTUAL["color"], ACTUAL["linestyle"] + "thick"),
    },
    "ways": {
        name: (plots.style(name)["color"], plots.style(name)["marker"])
        for name in ("mp", "uniform", "wanda", "sparsegpt", "lm", "qm")
    },
    "a layer's error": {  # the fifth has Wanda's colour, with hollow markers
        name: (language._style(looks)["color"], language._style(looks)["marker"])
        for name, looks in language._ERRORS.items()
        if name != "Wanda, updated"
    },
    "kinds of layers": {kind: (colour, str(dashes)) for kind, (colour, dashes) in language._KINDS.items()},
    "schedules": {name: (colour, line) for name, (colour, line, _) in locality_plots._LOOKS.items()},
    "orders": {
        name: (taylor_plots.order_style(name)["color"], str(taylor_plots.order_style(name)["linestyle"]))
        for name in ORDERS
    },
    "causes": {cause: (colour, dashes) for cause, (colour, _, dashes) in by_stage._LOOKS.items()},
    "other numbers of stages": {
        **{name: (plots.style(name)["color"], plots.style(name)["marker"]) for name in ("mp", "lm", "qm", "obd")},
        "others": (penalties._OTHERS["color"], "thin"),
    },
}


def lightness_and_hue(colour: str, eye: str) -> np.ndarray:
    """Return CIE L*a*b* (D65) of a colour as an eye sees it."""
    values = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    seen = np.clip(EYES[eye] @ linear, 0, 1)
    to_xyz = np.array([[0.4125, 0.3576, 0.1804], [0.2127, 0.7152, 0.0722], [0.0193, 0.1192, 0.9503]])
    x, y, z = (
        np.cbrt(v) if v > 216 / 24389 else (24389 / 27 * v + 16) / 116 for v in to_xyz @ seen / to_xyz.sum(axis=1)
    )
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def difference(one: str, other: str, eye: str) -> float:
    return float(np.linalg.norm(lightness_and_hue(one, eye) - lightness_and_hue(other, eye)))


@pytest.mark.parametrize("eye", EYES)
@pytest.mark.parametrize("figure", TOGETHER)
def test_every_eye_tells_the_colours_of_a_figure_apart(figure: str, eye: str) -> None:
    for (one, (first, _)), (other, (second, _)) in itertools.combinations(TOGETHER[figure].items(), 2):
        assert difference(first, second, eye) > LEAST, f"{one} and {other}"


def test_schedules_look_like_no_criterion() -> None:
    looks = [plots.style(name) for name in (*plots.STYLES, *plots.CONTROLS)]
    for colour, _, marker in locality_plots._LOOKS.values():
        assert colour not in [look["color"] for look in looks]
        assert marker not in [look["marker"] for look in looks]


def test_causes_of_error_have_no_colour_of_a_model() -> None:
    models = {taylor_plots.order_style(name)["color"] for name in ORDERS}
    assert models.isdisjoint(colour for colour, _, _ in by_stage._LOOKS.values())


def test_kinds_of_layers_and_obs_have_no_colour_of_a_criterion() -> None:
    theirs = {plots.style(name)["color"] for name in (*plots.STYLES, *plots.CONTROLS)}
    own = {colour for colour, _ in language._KINDS.values()} | {language._style(language._ERRORS["OBS"])["color"]}
    assert own.isdisjoint(theirs)


@pytest.mark.parametrize("figure", TOGETHER)
def test_what_is_not_seen_by_colour_is_seen_by_shape(figure: str) -> None:
    shapes = [shape for _, shape in TOGETHER[figure].values()]
    assert len(set(shapes)) == len(shapes)


def contrast(one: str, other: str) -> float:
    """Return the contrast of WCAG 2."""

    def luminance(colour: str) -> float:
        values = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("name", [*plots.STYLES, *plots.CONTROLS])
def test_what_is_written_on_a_card_can_be_read(name: str) -> None:
    assert contrast(plots.ink(plots.style(name)["color"]), plots.CARD) >= 4.5


def test_text_of_every_kind_can_be_read_on_a_card() -> None:
    with in_style():
        ax = Figure().add_subplot()
        ax.set(title="title", xlabel="across", ylabel="up")
        texts = [ax.title, ax.xaxis.label, ax.yaxis.label, *ax.get_xticklabels(), ax.text(0, 0, "text")]
        assert to_hex(ax.figure.get_facecolor()).upper() == plots.CARD
    assert all(contrast(to_hex(text.get_color()), plots.CARD) >= 4.5 for text in texts)


def test_pruned_weights_are_neither_small_nor_large_ones() -> None:
    colours = networks._weight_colours()
    for value in np.linspace(0, 1, 21):
        shown = to_hex(colours(float(value)))
        assert difference(PRUNED, shown, "most") > LEAST, value


def test_the_measure_is_right() -> None:
    assert lightness_and_hue("#FFFFFF", "most") == pytest.approx([100, 0, 0], abs=0.1)
    assert lightness_and_hue("#FF0000", "most") == pytest.approx([53.2, 80.1, 67.2], abs=0.2)
    # Red and green of equal lightness, which most eyes tell apart at a glance and some cannot.
    assert difference("#C25B4E", "#5F8A3A", "most") > 50
    assert difference("#A57800", "#8C8500", "deuteranopia") < LEAST < difference("#0072B2", "#D55E00", "deuteranopia")
