"""Writing: the text that a network goes on with, a character at a time."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from lossprune_lib.checks import check_float, check_instance, check_int
from lossprune_lib.data.characters import decode, encode
from lossprune_lib.networks.gpt import TinyGPT
from lossprune_lib.seeds import generator


def write(
    net: TinyGPT, prompt: str, *, characters: int = 120, seed: int = 0, temperature: float = 0.8
) -> Iterator[str]:
    """Return an iterator of the characters that a network writes after a prompt.

    The same seed means the same random draws, one a character, for every network: where two give nearly the same
    probabilities, they write the same. What a network has read is kept from character to character; when its context is
    full, it goes on with the last half of it.

    Parameters
    ----------
    net : from `models.tiny_gpt`, pruned or not
    prompt : str
        What comes before; of a long one the end counts, and an empty one is the start of a line.
    characters : int, at least 0
    temperature : float, at least 0
        The logits are divided by it: 1 draws from the network's own probabilities, 0 always takes the likeliest.

    Raises
    ------
    ValueError, TypeError
        at the call, for a character that the network does not know, or another network.
    """
    check_instance(net, TinyGPT, "A network that writes", "take models.tiny_gpt(task) or a pruned copy of one")
    check_float(temperature, "temperature")
    draws = torch.rand(check_int(characters, "characters", least=0), generator=generator(seed, "writing")).tolist()
    start = encode(prompt or "\n")[-net.context :].tolist()
    return _written(net, start, draws, temperature)


def _written(net: TinyGPT, start: list[int], draws: list[float], temperature: float) -> Iterator[str]:
    device = net.head.weight.device
    text, memory, unread = list(start), net.blank(), start
    for draw in draws:
        if len(memory[0]) and memory[0][0].shape[-2] == net.context:
            memory, unread = net.blank(), text[-net.context // 2 :]
        with torch.inference_mode():
            logits = net.read(torch.tensor([unread], device=device), memory)[0, -1].double().cpu()
        text.append(_drawn(logits, draw, temperature))
        unread = text[-1:]
        yield decode(torch.tensor(unread))


def _drawn(logits: torch.Tensor, draw: float, temperature: float) -> int:
    """Return the token at which the probabilities' sum passes a draw from [0, 1)."""
    if temperature == 0:
        return int(logits.argmax())
    sums = (logits / temperature).softmax(0).cumsum(0)
    return min(int(torch.searchsorted(sums, draw, right=True)), len(sums) - 1)
