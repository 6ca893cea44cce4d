"""The language model under its slider: what is said is measured apart, and the text is the pruned network's own."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import cross_entropy

from lossprune_lib import LocalPruner, data, models, widgets
from lossprune_lib.networks.gpt import TinyGPT
from lossprune_lib.networks.writing import write
from lossprune_lib.plots.writing import COLUMNS, _rows, strange_words
from lossprune_lib.pruning.language import PrunedLanguageModels
from lossprune_lib.pruning.layerwise import SPARSEGPT, WANDA
from lossprune_lib.widgets.writing import CHARACTERS, METHODS, PROMPT


@pytest.fixture(scope="module")
def text() -> data.Task:
    return data.load("python_reference", device="cpu")


@pytest.fixture(scope="module")
def slider(text: data.Task) -> widgets.Sliders:
    return widgets.writing_slider(models.pretrained("tiny_gpt", text), text)


PRUNERS = {
    "mp": LocalPruner("mp", 0.5, stages=1, exclude="head"),
    "uniform": LocalPruner("mp", 0.5, stages=1, scope="layer", exclude="head"),
    "wanda": LocalPruner(WANDA, 0.5, stages=1, scope="row", exclude="head", batch_size=64),
    "sparsegpt": LocalPruner(SPARSEGPT, 0.5, stages=1, scope="layer", exclude="head", batch_size=64),
}


@pytest.mark.parametrize("method", METHODS)
def test_it_says_and_writes_what_the_pruned_network_does(method: str, slider, text) -> None:
    slider.controls["sparsity"].value, slider.controls["method"].value = 0.5, method
    assert not slider.message.value
    net = PRUNERS[method].prune(models.pretrained("tiny_gpt", text), text).network()
    with torch.no_grad():
        loss = cross_entropy(net(text.x_test[::3]).flatten(0, 1), text.y_test[::3].flatten())
    assert f"{METHODS[method]}, 50 % pruned: loss {loss:.2f} nats" in slider.picture.alt
    written = PROMPT + "".join(write(net, PROMPT, characters=CHARACTERS))
    one_line = " ".join(written.split())
    assert f"\N{LEFT DOUBLE QUOTATION MARK}{one_line}\N{RIGHT DOUBLE QUOTATION MARK}." in slider.picture.alt


def test_a_network_that_fails_is_left_without_hooks(text: data.Task) -> None:
    net = TinyGPT(7, 6, blocks=1, width=8, heads=2).eval()
    with pytest.raises((IndexError, ValueError)):
        PrunedLanguageModels(net, text, 0)
    assert not any(module._forward_pre_hooks for module in net.modules())


def test_a_prompt_changes_the_text_and_a_strange_letter_is_told(slider) -> None:
    slider.controls["prompt"].value = "If an exception "
    assert "If an exception " in slider.picture.alt
    slider.controls["prompt"].value = "Café"
    assert "no &#x27;é&#x27;" in slider.message.value
    slider.controls["prompt"].value = PROMPT
    assert not slider.message.value


def test_words_that_the_reference_lacks_are_found_and_no_half_word_is() -> None:
    text = "the clss is a Class of x, blo"
    found = [text[start:end] for start, end in strange_words(text, {"the", "class", "is", "of"})]
    assert found == ["clss"]


def test_lines_are_as_long_as_the_picture_is_wide_and_lose_nothing() -> None:
    text = "one two three " * 20 + "\n" + "x" * 200
    rows = _rows(text)
    assert all(end - start <= COLUMNS for start, end in rows)
    assert "".join(text[start:end] for start, end in rows) == text.replace("\n", "")


def test_a_network_that_does_not_write_is_refused(text: data.Task) -> None:
    with pytest.raises(TypeError, match=r'take models.pretrained\("tiny_gpt", task\)'):
        widgets.writing_slider(models.pretrained("mlp_300_100", "digits"), text)
