"""The methods since 1990 on one map: what each models, with which curvature, and what becomes of the other weights."""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields
from typing import TYPE_CHECKING

from matplotlib.axes import Axes

from lossprune_lib.plots.style import CARD, GUIDE, HIGHLIGHT, INK, MUTED

if TYPE_CHECKING:
    import pandas as pd

MODELS = ("nothing", "the loss", "a layer's output")


@dataclass(frozen=True)
class Method:
    """One method, as its authors describe it.

    Attributes
    ----------
    models : one of `MODELS`
    curvature : "none", "diagonal" or "pairs"
    matrix : the one whose entries serve as curvature
    others : whether the weights that stay are changed
    compared : which weights are ranked together
    training : whether there is training between the steps of pruning
    """

    name: str
    models: str
    curvature: str
    matrix: str
    others: bool
    compared: str
    training: str
    source: str


METHODS = (
    Method("OBD", "the loss", "diagonal", "Hessian", False, "all", "between", "LeCun et al. 1990"),
    Method("OBS", "the loss", "pairs", "GGN", True, "all", "none", "Hassibi and Stork 1993"),
    Method("Magnitude", "nothing", "none", "", False, "each layer", "between", "Han et al. 2015"),
    Method("Gradual magnitude", "nothing", "none", "", False, "each layer", "throughout", "Zhu and Gupta 2017"),
    Method("Lottery tickets", "nothing", "none", "", False, "layer or all", "anew", "Frankle and Carbin 2019"),
    Method("SNIP", "the loss", "none", "", False, "all", "afterwards", "Lee et al. 2019"),
    Method("SynFlow", "nothing", "none", "", False, "all", "afterwards", "Tanaka et al. 2020"),
    Method("WoodFisher", "the loss", "pairs", "Fisher, in blocks", True, "all", "between", "Singh and Alistarh 2020"),
    Method("LM in stages", "the loss", "none", "", False, "all", "afterwards", "Laurent et al. 2020"),
    Method("QM in stages", "the loss", "diagonal", "GGN", False, "all", "afterwards", "Laurent et al. 2020"),
    Method("OBC", "a layer's output", "pairs", "2 XᵀX", True, "each layer", "none", "Frantar and Alistarh 2022"),
    Method(
        "SparseGPT",
        "a layer's output",
        "pairs",
        "2 XᵀX",
        True,
        "blocks of columns",
        "none",
        "Frantar and Alistarh 2023",
    ),
    Method("Wanda", "a layer's output", "diagonal", "2 XᵀX", False, "each output", "none", "Sun et al. 2024"),
)
# From a formula to one that can be derived from it, and what changes most; it is no history.
_DESCENT = {
    ("OBD", "OBS"): "pairs too",
    ("OBD", "QM in stages"): "slope, stages",
    ("OBS", "WoodFisher"): "Fisher",
    ("OBS", "OBC"): "one layer",
    ("OBC", "SparseGPT"): "shared inverse",
    ("SNIP", "SynFlow"): "no data, stages",
    ("OBD", "Wanda"): "one layer",
}
_PLACES = {
    "Magnitude": (0, 0.12),
    "Gradual magnitude": (0, -0.11),
    "Lottery tickets": (0, -0.34),
    "SynFlow": (0, 0.35),
    "LM in stages": (0, 1.22),
    "SNIP": (0, 0.95),
    "OBD": (1, 1.18),
    "QM in stages": (1, 0.82),
    "OBS": (2, 1.18),
    "WoodFisher": (2, 0.82),
    "Wanda": (1, 2),
    "OBC": (2, 1.82),
    "SparseGPT": (2, 2.18),
}


def table() -> pd.DataFrame:
    """Return the methods, a row each, in the order of their years."""
    import pandas as pd

    names = [field.name for field in fields(Method)]
    frame = pd.DataFrame([astuple(method) for method in METHODS], columns=names).set_index("name")
    return frame.assign(others=frame["others"].map({True: "changed", False: "stay"}))


def family(ax: Axes) -> Axes:
    """Draw the map: curvature to the right, what is modelled upwards; filled boxes change the weights that stay."""
    for x in (0.5, 1.5):
        ax.axvline(x, color=GUIDE, linewidth=0.8, linestyle=":")
    for y in (0.5, 1.5):
        ax.axhline(y, color=GUIDE, linewidth=0.8, linestyle=":")
    for method in METHODS:
        filled = method.others
        year = method.source.split()[-1]
        ax.text(
            *_PLACES[method.name],
            f"{method.name} {year}",
            ha="center",
            va="center",
            fontsize=9,
            color=CARD if filled else INK,
            bbox={"boxstyle": "round,pad=0.35", "facecolor": INK if filled else CARD, "edgecolor": INK},
            zorder=3,
        )
    for (parent, child), change in _DESCENT.items():
        (x, y), (u, v) = _PLACES[parent], _PLACES[child]
        across = u != x
        looks = {"arrowstyle": "-|>", "color": HIGHLIGHT, "linewidth": 1.6}
        looks |= {"shrinkA": 28, "shrinkB": 28} if across else {"shrinkA": 12, "shrinkB": 14}
        ax.annotate("", (u, v), (x, y), zorder=2, arrowprops=looks)
        ax.annotate(
            change,
            ((x + u) / 2, (y + v) / 2),
            (0, 5) if across else (6, 0),
            textcoords="offset points",
            ha="center" if across else "left",
            va="bottom" if across else "center",
            fontsize=8.5,
            color=MUTED,
            bbox={"boxstyle": "square,pad=0.1", "facecolor": CARD, "edgecolor": "none"},
        )
    ax.set(xlim=(-0.5, 2.5), ylim=(-0.5, 2.4), xlabel="which curvature?", ylabel="what is modelled?")
    ax.set_xticks(range(3), ["none", "diagonal", "pairs of weights too"])
    ax.set_yticks(range(3), MODELS)
    ax.tick_params(length=0)
    return ax
