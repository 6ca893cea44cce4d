"""Writing: the same characters as without a memory, from the same draws for every network."""

from __future__ import annotations

import pytest
import torch

from lossprune_lib import data, models
from lossprune_lib.data.characters import encode, vocabulary
from lossprune_lib.networks.gpt import TinyGPT
from lossprune_lib.networks.writing import write
from lossprune_lib.seeds import generator


@pytest.fixture(scope="module")
def net() -> TinyGPT:
    tokens = torch.zeros(1, 8, dtype=torch.int64)
    task = data.Task.from_tensors(tokens, tokens, tokens, tokens, tokens, tokens, classes=len(vocabulary()))
    made = models.tiny_gpt(task).double()
    for parameter in made.parameters():
        parameter.requires_grad_(False)
        if parameter.ndim == 2:
            parameter.mul_(8)  # so that its probabilities differ
    return made


def without_memory(net: TinyGPT, prompt: str, characters: int, temperature: float) -> str:
    """Write by a forward pass of all that the network has read for each character."""
    draws = torch.rand(characters, generator=generator(0, "writing"))
    text = encode(prompt).tolist()[-8:]
    start = 0
    for draw in draws:
        if len(text) - start > 8:
            start = len(text) - 4
        logits = net(torch.tensor([text[start:]]))[0, -1]
        sums = (logits / temperature).softmax(0).cumsum(0)
        text.append(int((sums <= draw).sum()))
    return "".join(vocabulary()[token] for token in text[-characters:])


@pytest.mark.parametrize("prompt", ["a", "The cla", "The class statement"])
@pytest.mark.parametrize("temperature", [0.5, 1.0])
def test_it_writes_what_plain_forward_passes_write(net: TinyGPT, prompt: str, temperature: float) -> None:
    written = "".join(write(net, prompt, characters=30, temperature=temperature))
    assert len(written) == 30
    assert written == without_memory(net, prompt, 30, temperature)


def test_the_seed_decides(net: TinyGPT) -> None:
    first, again, other = ("".join(write(net, "a", characters=20, seed=seed)) for seed in (1, 1, 2))
    assert first == again != other


def test_networks_alike_write_alike(net: TinyGPT) -> None:
    """With the same draws, weights that hardly differ give nearly the same text; with others they would not."""
    near = models.tiny_gpt(_task_like(net)).double()
    near.load_state_dict({name: tensor * (1 + 1e-9) for name, tensor in net.state_dict().items()})
    assert "".join(write(near, "a", characters=40)) == "".join(write(net, "a", characters=40))


def _task_like(net: TinyGPT) -> data.Task:
    tokens = torch.zeros(1, net.context, dtype=torch.int64)
    return data.Task.from_tensors(tokens, tokens, tokens, tokens, tokens, tokens, classes=len(vocabulary()))


def test_without_temperature_it_takes_the_likeliest(net: TinyGPT) -> None:
    (character,) = write(net, "The", characters=1, temperature=0)
    assert character == vocabulary()[int(net(encode("The")[None])[0, -1].argmax())]
    assert list(write(net, "The", characters=9, temperature=0)) == list(
        write(net, "The", characters=9, seed=5, temperature=0)
    )


def test_an_empty_prompt_starts_a_line_and_none_may_be_asked_for(net: TinyGPT) -> None:
    assert list(write(net, "", characters=9)) == list(write(net, "\n", characters=9))
    assert list(write(net, "a", characters=0)) == []


def test_what_cannot_be_written_is_refused_at_the_call(net: TinyGPT) -> None:
    with pytest.raises(ValueError, match="has no '日'"):
        write(net, "日")
    with pytest.raises(ValueError, match="temperature"):
        write(net, "a", temperature=-1)
    with pytest.raises(TypeError, match="tiny_gpt"):
        write(torch.nn.Linear(2, 2), "a")
