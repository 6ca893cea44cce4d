"""Sparsity, method and prompt: what a pruned language model writes, its loss, and what each layer lost."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import ipywidgets
from matplotlib.figure import Figure

from lossprune_lib.checks import check_choice, check_instance
from lossprune_lib.data import characters
from lossprune_lib.data.task import Task
from lossprune_lib.networks.gpt import TinyGPT
from lossprune_lib.networks.writing import write
from lossprune_lib.plots.style import WIDTH, styled
from lossprune_lib.plots.writing import WritingView
from lossprune_lib.pruning.language import Measured, PrunedLanguageModels
from lossprune_lib.widgets.picture import Picture
from lossprune_lib.widgets.resumable import Clock
from lossprune_lib.widgets.sliders import Sliders, control

METHODS = {"mp": "MP, global", "uniform": "MP, per layer", "wanda": "Wanda", "sparsegpt": "SparseGPT"}
SPARSITIES = (0.0, 0.2, 0.3, 0.4, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.9)
PROMPT = "The class statement "
CHARACTERS = 180
_FIRST = 0.02  # seconds until the first words are shown


@styled
def writing_slider(
    net: TinyGPT, task: Task, start: tuple[float, str] = (0.0, "mp"), *, prompt: str = PROMPT, seed: int = 0
) -> Sliders:
    """Prune a language model in one go under a slider, and let it write: the same random draws for each.

    The text comes word by word. Words that the reference does not have are marked. The loss is that on held-out
    sequences; of a layer's output, the share is measured that the pruned weights change, for the inputs that the whole
    network gives it. Its last layer is not pruned.

    Parameters
    ----------
    net, task : `models.pretrained("tiny_gpt", task)`, and its text
    start : the sparsity and the method that are shown first; a key of `METHODS`
    prompt : what the text begins with at first
    """
    check_choice(start[1], METHODS, "method")
    check_instance(net, TinyGPT, "A network that writes", 'take models.pretrained("tiny_gpt", task)')
    models, known = PrunedLanguageModels(net, task, seed), _words(characters.text())
    names, seen = models.space.layers, dict[tuple[str, float], Measured]()
    figure = Figure(figsize=(WIDTH, 4.3))
    shown = WritingView(figure, names, METHODS, known)

    def redraw(sparsity: float, method: str, prompt: str) -> Iterator[str]:
        letters = write(models.pruned(method, sparsity), prompt, characters=CHARACTERS, seed=seed)
        name, text, clock = f"{METHODS[method]}, {100 * sparsity:.0f} % pruned", "", Clock(_FIRST)
        shown.measured(seen, method, sparsity)
        for letter in letters:
            text += letter
            if not letter.isalpha() and clock.over():
                shown.write(prompt, text)
                shown.heading.set_text(f"{name}: it writes ...")
                yield f"{name}: it writes {_quoted(prompt + text)}"
                seen[method, sparsity] = models.measured(method, sparsity)  # only now: the text comes first
                shown.measured(seen, method, sparsity)
                clock = Clock()
        seen[method, sparsity] = found = models.measured(method, sparsity)
        shown.measured(seen, method, sparsity)
        strange = shown.write(prompt, text)
        words = f"{len(strange) or 'none'} of its words {'is' if len(strange) == 1 else 'are'} not in the reference"
        shown.heading.set_text(f"{name}: {words}")
        said = f"{name}: loss {found.loss:.2f} nats a character, {words}. It writes {_quoted(prompt + text)}."
        yield f"{said} {_in_words(names, found)}"

    controls = {
        "sparsity": control("sparsity", [(f"{100 * s:.0f} %", s) for s in SPARSITIES], start[0]),
        "method": control("method", [(label, name) for name, label in METHODS.items()], start[1]),
        "prompt": ipywidgets.Text(prompt, description="prompt", layout={"width": "560px", "max_width": "95%"}),
    }
    return Sliders(controls, Picture(shown.figure, shown.moving), redraw)


def _quoted(text: str) -> str:
    """Return a text on one line and in quotation marks, so that a description does not run into it."""
    return f"\N{LEFT DOUBLE QUOTATION MARK}{' '.join(text.split())}\N{RIGHT DOUBLE QUOTATION MARK}"


def _words(text: str) -> frozenset[str]:
    return frozenset(word.lower() for word in re.findall(r"[A-Za-z]+", text))


def _in_words(names: Sequence[str], found: Measured) -> str:
    most = max(range(len(names)), key=lambda i: found.lost[i])
    return (
        f"Of its outputs, a layer lost {100 * min(found.lost):.0f} to {100 * max(found.lost):.0f} %, most of all "
        f"{names[most]}; of its weights, {100 * min(found.pruned):.0f} to {100 * max(found.pruned):.0f} %."
    )
