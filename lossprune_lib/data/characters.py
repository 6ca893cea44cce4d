"""Characters: the shipped text, its vocabulary, and text as tokens and back.

The text is the language reference of Python 3.11 (`pydoc_data.topics`), under Python's licence, which is beside it.
"""

from __future__ import annotations

import lzma
from functools import cache

import torch
from torch import Tensor

from lossprune_lib.checks import check_choice, check_instance
from lossprune_lib.files import shipped

CONTEXT = 96  # the tokens of a sequence
_STRIDE = 32  # characters from one training sequence to the next: they overlap, so that each is met in three places
_HELD_OUT = 0.05  # of the text for validation, and as much, its end, for the test

Splits = dict[str, tuple[Tensor, Tensor]]


@cache
def text() -> str:
    """Return the whole text, each of its paragraphs once.

    The reference repeats paragraphs, some of them three times. Left in, a text held out would not be unseen.
    """
    paragraphs = lzma.decompress(shipped("texts/python_reference.txt.xz").read_bytes()).decode().split("\n\n")
    return "\n\n".join(dict.fromkeys(paragraphs))


@cache
def vocabulary() -> tuple[str, ...]:
    """Return the characters of the text in the order of their tokens."""
    return tuple(sorted(set(text())))


@cache
def _tokens() -> dict[str, int]:
    return {character: token for token, character in enumerate(vocabulary())}


def encode(characters: str) -> Tensor:
    """Return the tokens of a text, int64 [T].

    Raises
    ------
    ValueError
        if a character is not in the vocabulary.
    """
    known = _tokens()
    strange = sorted(set(check_instance(characters, str, "A text", "write it in quotes")) - known.keys())
    if strange:
        raise ValueError(
            f"The text that the network learned from has no {', '.join(map(repr, strange))}, so there is no token for "
            "it: leave it out, or write it with ASCII characters."
        )
    return torch.tensor([known[character] for character in characters], dtype=torch.int64)


def decode(tokens: Tensor) -> str:
    """Return the text of tokens [T]; ValueError if there is no such token."""
    names, numbers = vocabulary(), check_instance(tokens, Tensor, "Tokens", "take those of encode(text)").tolist()
    strange = [number for number in numbers if number not in range(len(names))]
    if strange:
        raise ValueError(f"There is no token {strange[0]}: tokens go from 0 to {len(names) - 1}.")
    return "".join(names[number] for number in numbers)


def sequences(name: str) -> Splits:
    """Return the splits of a text, each as tokens and next tokens, int64 [N, T] with T = 96.

    The last tenth of the text is held out: first the part for validation, then that for the test. Training sequences
    start every 32 characters, the others follow one another.
    """
    check_choice(name, ("python_reference",), "text")
    tokens = encode(text())
    held_out = round(_HELD_OUT * len(tokens))
    train, valid, test = tokens.split([len(tokens) - 2 * held_out, held_out, held_out])
    return {"train": _pairs(train, _STRIDE), "valid": _pairs(valid, CONTEXT), "test": _pairs(test, CONTEXT)}


def _pairs(tokens: Tensor, stride: int) -> tuple[Tensor, Tensor]:
    windows = tokens.unfold(0, CONTEXT + 1, stride)
    return windows[:, :-1].contiguous(), windows[:, 1:].contiguous()
