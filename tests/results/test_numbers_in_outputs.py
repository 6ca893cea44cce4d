"""Numbers that are typed into sentences of notebooks 00, 01, 02 and 06, and of the teacher's notes, are those of the
notebooks' stored outputs, or, where no output prints them, those of the tables, by pandas and SciPy alone.
"""

from __future__ import annotations

import html
import json
import math
import re
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

import jupytext
import pandas as pd
import pytest
from scipy.stats import ttest_1samp

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
TABLES = Path(__file__).parents[2] / "data" / "results"
NETWORKS = ("digits", "mnist", "cifar10_vgg_100_epochs")
CRITERIA = ("mp", "obd", "lm", "qm")
CAUSES = ("beyond the 2nd order", "GGN for the Hessian", "diagonal for the full GGN")
VGG = "longer_training/cifar10_vgg_100_epochs"
KEY = ["network", "part", "chooser", "stages", "quantity", "seed"]
PREDICTIONS = pd.read_csv(TABLES / "predictions" / "predictions.csv").set_index(KEY)["value"].sort_index()
LANGUAGE = pd.read_csv(TABLES / "language_model" / "language_model.csv", keep_default_na=False)
# Numbers that sentences have as words.
TIMES, ORDINAL = {2: "twice", 7: "seven times", 8: "eight times"}, {2: "second", 3: "third", 4: "fourth"}


@cache
def outputs(notebook: str) -> str:
    """Return all text that a built notebook's outputs show, in one line: HTML without its tags, and alt texts."""
    found = []
    (path,) = NOTEBOOKS.glob(f"{notebook}_*.ipynb")
    for cell in json.loads(path.read_text("utf-8"))["cells"]:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            found.append("".join(output.get("text", data.get("text/html", data.get("text/plain", "")))))
            found.append(output.get("metadata", {}).get("image/png", {}).get("alt", ""))
    text = re.sub(r"<style.*?</style>", " ", "\n".join(found), flags=re.S)
    text = re.sub(r'<img [^>]*?alt="([^"]*)"[^>]*>', r" \1 ", text)
    return " ".join(html.unescape(re.sub(r"</?[a-z][^>]*>", " ", text)).split())


def shown(notebook: str, pattern: str) -> str:
    """Return what the pattern's one group matches in the outputs; wherever it matches, it must match the same."""
    (found,) = set(re.findall(pattern, outputs(notebook)))
    return str(found)


def prose(pages: str) -> str:
    """Return all sentences of notebook sources, with those in their code and alt texts, or of Markdown pages."""
    cells = [cell for path in sorted(NOTEBOOKS.glob(pages)) for cell in jupytext.read(path).cells]
    return " ".join(" ".join(f"{cell.source} {cell.metadata.get('alt', '')}" for cell in cells).split())


def ends(values: pd.Series) -> tuple[float, float]:
    """Return both ends of the 95 % interval of the mean."""
    interval = ttest_1samp(values, 0).confidence_interval(0.95)
    return interval.low, interval.high


def percent(values: pd.Series) -> str:
    low, high = (round(100 * end) for end in ends(values))
    return f"{100 * values.mean():.0f} % ({low} to {high})"


def cost(network: str, chooser: str, stages: int = 14) -> pd.Series:
    """Return the actual change of the loss (nats) over a chooser's stages, one number per seed."""
    return PREDICTIONS[network, "steps", chooser, stages, "actual"]


def share(network: str, chooser: str, model: str = "diagonal", stages: int = 14) -> pd.Series:
    """Return what a model predicts of that change, as a fraction, one number per seed."""
    return PREDICTIONS[network, "steps", chooser, stages, model] / cost(network, chooser, stages)


def error(network: str, cause: str, stages: int) -> pd.Series:
    return PREDICTIONS[network, "causes", "mp", stages, cause]


def loss(method: str, sparsity: float, scope: str = "layer", shares: str = "") -> float:
    """Return the loss of the pruned language model, the mean over seeds."""
    found = LANGUAGE.query("method == @method and scope == @scope and shares == @shares")
    return found.loc[found["sparsity"] == sparsity, "loss"].mean()


def qm_less(study: str, other: str) -> pd.Series:
    """Return QM's loss change (nats) and test error after fine-tuning (points) less another criterion's, means."""
    runs = pd.concat(
        [pd.read_csv(TABLES / f"{study}_{part}.csv") for part in ("controls", "criteria")], ignore_index=True
    )
    runs = runs[runs["control"].isna()].assign(error=100 * runs["tuned_test_error"], change=runs["true_change"].abs())
    found = runs.groupby("criterion")[["change", "error"]].mean().T
    return found["qm"] - found[other]


def of_start() -> Iterable[str]:
    rows = (shown("00", rf" {sparsity}% pruned((?: \d+%){{10}})") for sparsity in (0, 80, 90))
    before, at_80, at_90 = (re.findall(r"\d+", row) for row in rows)
    yield f"At 80 % the 1 ({at_80[1]} %) and the 2 ({at_80[2]} %) are already often misread"
    assert (at_80[4], at_80[5], at_90[9]) == (before[4], before[5], "0")
    alone, together = (float(shown("00", rf"{how}: ([\d.]+) nats")) for how in ("one by one", "all at once"))
    yield f"Together they cost about {TIMES[round(together / alone)]} as much as one by one."
    larger = int(shown("00", r"The larger weight costs more in (\d+) % of all pairs"))
    yield f"size does better, and is wrong in every {ORDINAL[round(100 / (100 - larger))]} pair."
    assert larger > 50


def of_landscapes() -> Iterable[str]:
    step = r"step of length ([\d.]+) \(\d+% of θ\), loss ([\d.]+) at its end; "
    caption = rf"(\d+) % pruned\. Loss ([\d.]+) at θ; MP: {step}QM, (\d+) stages?: {step}"
    rows = {(found[0], found[4]): found for found in re.findall(caption, outputs("01"))}
    _, dense, mp_length, mp, _, length, last = rows["90", "14"]
    half, early = rows["50", "1"], rows["90", "1"]
    yield f"Its loss, {mp} nats, is far above that of the trained network ({dense})."
    yield (
        f"QM ends higher than MP at both sparsities ({half[6]} and {half[3]} nats; {early[6]} and {early[3]}). "
        f"At 90 % and in 14 stages it ends far lower ({last}), although its step is the longer one."
    )
    assert float(mp_length) < float(early[5]) <= float(length)
    apart = shown("01", r"90 % pruned[^°]*? QM, 14 stages: [^°]*?(\d+)° apart")
    yield f"at about {round(int(apart), -1)} degrees, less high."
    first_half = float(shown("01", r"sees next to nothing of it\. Answer: ([\d.]+) %"))
    yield f"most of the harm is done in its second half ({100 - first_half:.0f} % for MP at 90 %)"
    assert float(shown("01", r"training moved most of them by less\. Answer: ([\d.]+)\.")) > 1


def of_choosers() -> Iterable[str]:
    digits, mnist, vgg = (percent(share(network, "qm")) for network in NETWORKS)
    yield f"{digits} of what its steps cost on the digits, {mnist} on MNIST and {vgg} on CIFAR-10"
    digits, mnist, vgg = (f"{100 * share(network, 'qm').mean():.0f} %" for network in NETWORKS)
    yield f"(digits {digits}, MNIST {mnist}, CIFAR-10 {vgg})"
    yield f"it predicts {digits} of what its own choices cost on the digits, {mnist} on MNIST, {vgg} on CIFAR-10"
    yield f"three quarters ({percent(share(NETWORKS[2], 'qm', 'hessian')).replace(' (', ', ')}"
    exact = [[100 * share(network, of, "hessian").mean() for of in CRITERIA] for network in NETWORKS]
    assert min(*exact[0], *exact[1]) > 80
    yield f"on CIFAR-10 {min(exact[2]):.0f} to {max(exact[2]):.0f} % of what the criteria chose."
    lm, obd, mp = ([f"{100 * share(network, of).mean():.0f}" for network in NETWORKS] for of in ("lm", "obd", "mp"))
    yield f"({lm[0]}, {lm[1]} and {lm[2]} %)"
    pairs = [f"({one} and {other} %)" for one, other in zip(obd, mp, strict=True)]
    yield f"on the digits {pairs[0]}; on MNIST {pairs[1]} and on CIFAR-10 {pairs[2]} the difference is not clear."
    qm, mp, obd = ([f"{cost(network, of).mean():.2f}" for network in NETWORKS] for of in ("qm", "mp", "obd"))
    yield f"cost {qm[0]} nats on the digits and {qm[1]} on MNIST, where MP's cost {mp[0]} and {mp[1]}."
    less = cost(NETWORKS[2], "mp") - cost(NETWORKS[2], "qm")
    low, high = ends(less)
    less_and_more = f"{high:.2f} less to {-low:.2f} more"
    yield f"they cost {qm[2]} and MP's {mp[2]}: {less.mean():.2f} less on average, but the interval, {less_and_more},"
    yield f"({less.mean():.2f} nats less; {less_and_more})"
    yield f"on the digits ({obd[0]}), and higher on MNIST ({obd[1]}) and CIFAR-10 ({obd[2]}), each time clearly"
    more = cost(NETWORKS[2], "obd") - cost(NETWORKS[2], "qm")
    yield "only just: {:.2f} more, {:.2f} to {:.2f})".format(more.mean(), *ends(more))


def of_errors() -> Iterable[str]:
    second, _, last = ([error(NETWORKS[2], cause, stages) for stages in (1, 28)] for cause in CAUSES)
    yield f"of {second[0].mean():.2f} nats {second[1].mean():.2f} are left"
    yield f"ends lower as well, at {last[1].mean():.2f} nats, down from {last[0].mean():.2f}"
    assert (last[1] < last[0]).all()
    falls = [error(network, CAUSES[2], 28) - error(network, CAUSES[2], 4) for network in NETWORKS]
    assert max(ends(fall)[1] for fall in falls) < 0
    yield "from 4 stages to 28 it changes by {:.2f}, {:.2f} and {:.2f} nats".format(*(fall.mean() for fall in falls))
    yield f"on CIFAR-10 to {second[1].mean():.1f} nats."
    slopes = shown("02", r"MP to 80 %: (\d+) % of QM's prediction comes from the gradient")
    yield f"which made up {slopes} % of the model's prediction for MP's step in section 4"
    said = [shown("02", rf"\b{stages} stages: the curvatures .*? add up to ([\d.]+) nats") for stages in (1, 14)]
    yield f"At the trained network they say {said[0]} nats, on the way {said[1]}."


def of_language() -> Iterable[str]:
    mp, qm, lm = (loss(*of) for of in (("mp", 0.6), ("qm", 0.6, "global"), ("lm", 0.6, "global")))
    ways, at = ("sparsegpt", "sparsegpt in turn"), (0.5, 0.6, 0.7, 0.8)
    gpt, in_turn = ({sparsity: f"{loss(way, sparsity):.2f}" for sparsity in at} for way in ways)
    yield f"SparseGPT is first: {gpt[0.5]} at 50 %, {in_turn[0.6]} or {gpt[0.6]} at 60 %."
    half = f"({loss('qm', 0.5, 'global'):.2f} and {loss('mp', 0.5):.2f})"
    yield f"is level with it at 50 % {half}, and ahead at 60 % ({qm:.2f} and {mp:.2f})."
    yield f"{loss('qm', 0.7, 'global'):.2f} at 70 %, against {in_turn[0.7]} for SparseGPT at its best."
    apart = max(abs(loss("wanda", at) - loss("mp", at)) for at in (0.3, 0.4, 0.5, 0.6))
    yield f"ranked per layer, stays within {math.ceil(20 * apart) / 20:.2f} nats of magnitude per layer up to 60 %"
    yield f"Wanda is {loss('wanda', 0.6, 'row') - mp:.2f} behind magnitude per layer at 60 %"
    yield f"({lm:.2f} and {mp:.2f} there)"
    yield f"passed SparseGPT ({loss('lm', 0.8, 'global'):.2f} and {in_turn[0.8]})"
    rule = {of: f"{loss(of, 0.5, '2:4') - loss(of, 0.5):.2f}" for of in ("mp", "wanda", "sparsegpt")}
    assert rule["mp"] == rule["wanda"]
    yield f"the rule costs MP and Wanda {rule['mp']} nats, and SparseGPT, which pays back, {rule['sparsegpt']}."
    beside = f"({loss('mp', 0.6, shares='qm'):.2f} and {qm:.2f} at 60 %)"
    yield f"{beside}, and also better than SparseGPT at equal shares ({gpt[0.6]} there)."
    yield f"ahead of it ({loss('qm', 0.8, 'global'):.2f} and {loss('mp', 0.8, shares='qm'):.2f})."
    yield f"the best of the whole table ({loss('sparsegpt', 0.6, shares='qm'):.2f} at 60 %)"
    kept = LANGUAGE.query("scope == 'global' and sparsity == 0.6").groupby("method").mean(numeric_only=True)
    starved = 100 * kept[["density.block1.attention.value", "density.block1.attention.proj"]].mean(axis=1)
    yield f"keeps about {starved['mp']:.0f} % of them; QM keeps about {starved['qm']:.0f} %."


def of_language_outputs() -> Iterable[str]:
    mask, mp = (shown("06", rf"{of} +([\d.]+) ") for of in ("SparseGPT's mask", "magnitude, per layer"))
    yield f"({mp}), although better than global magnitude ({loss('mp', 0.6, 'global'):.2f})."
    yield f"its mask alone is worse than magnitude per layer ({mask} and {mp})."
    told = r"{}, 60 % pruned: loss {} nats a character, {} of its words"
    invented = [shown("06", told.format(of, r"[\d.]+", r"(\d+)")) for of in ("SparseGPT", "MP, global")]
    yield f"SparseGPT's has {invented[0]} invented words and magnitude's {invented[1]}"
    losses = [shown("06", told.format(of, r"([\d.]+)", r"\d+")) for of in ("SparseGPT", "MP, global")]
    yield f"SparseGPT's loss is far lower ({losses[0]} and {losses[1]})."
    layers = shown("06", r"weights in (\d+) Linear layers")
    yield f"Take the layer of {layers} whose inputs differ most."
    largest = [float(shown("06", rf"largest / median .*?\b{of} ([\d.]+)")) for of in ("query", "proj", "up")]
    yield f"at most about {TIMES[round(max(largest))]} the median."
    qm, shares = (float(shown("04", rf"{of}: accuracy ([\d.]+) %")) for of in ("QM itself", "QM's shares"))
    yield f"(an accuracy of {qm:.0f} and {shares:.0f} %)"


def of_teaching() -> Iterable[str]:
    digits, mnist, vgg = (f"{100 * share(network, 'qm').mean():.0f} %" for network in NETWORKS)
    yield f"of what its own choices cost ({digits} on the digits, {mnist} on MNIST)"
    one, many = (100 * share("mnist", "qm", stages=stages).mean() for stages in (1, 140))
    yield f"on MNIST it rises from {one:.0f} to {many:.0f} % of the cost, and is still far too low"
    yield f"(on CIFAR-10 it is {vgg} in 14 stages"
    level, before, after = qm_less(VGG, "mp"), qm_less("controls/cifar10_vgg", "obd"), qm_less(VGG, "obd")
    yield f"QM kept the loss better by {-level['change']:.1f} nats"
    yield f"MP is {level['error']:.1f} points ahead on average"
    residual = qm_less("longer_training/cifar10_resnet_100_epochs", "mp")
    yield f"and MP ends clearly ahead, by {residual['error']:.2f} points."
    yield f"the change itself, {before['error'] - after['error']:.2f} points, is not clear either."
    more = float(shown("05", r"Band: within a tenth\. .*? Answer: ([\d.]+) %"))
    doubled = float(shown("06", r"70 % [\d.]+ Answer: ([\d.]+) %"))
    yield f"QM loses {more:.0f} % more in 14 stages"
    yield f"Say: it doubles near {doubled:.0f} %."
    yield f"per row {loss('wanda', 0.6, 'row') - loss('mp', 0.6):.2f} nats behind it"
    for scope in ("row", "layer"):
        yield f"{loss('wanda', 0.6, scope):.2f} nats against {loss('mp', 0.6):.2f}."


@pytest.mark.parametrize(
    ("pages", "sentences"),
    [
        ("source/00_start_here.py", of_start),
        ("source/01_loss_landscapes.py", of_landscapes),
        ("source/02_taylor_approximations.py", of_choosers),
        ("source/02_taylor_approximations.py", of_errors),
        ("source/06_language_models.py", of_language),
        ("source/06_language_models.py", of_language_outputs),
        ("teaching/*.md", of_teaching),
    ],
)
def test_each_sentence_has_the_numbers_that_were_found(pages: str, sentences: Callable[[], Iterable[str]]) -> None:
    text, said = prose(pages), list(sentences())
    assert said
    assert [words for words in said if words not in text] == []
