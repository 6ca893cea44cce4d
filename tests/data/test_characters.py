"""The shipped text: what is held out is unseen, sequences and labels are one text, tokens and characters are one."""

from __future__ import annotations

import lzma

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lossprune_lib import data
from lossprune_lib.data import characters
from lossprune_lib.data.characters import decode, encode, text, vocabulary


@pytest.fixture(scope="module")
def task() -> data.Task:
    return data.load("python_reference", device="cpu")


def test_the_text_is_python_311s_and_its_licence_is_beside_it() -> None:
    whole = lzma.decompress(data.shipped("texts/python_reference.txt.xz").read_bytes()).decode()
    assert len(whole) == 465_048
    assert whole.startswith('The "assert" statement\n')
    assert "PYTHON SOFTWARE FOUNDATION LICENSE" in data.shipped("texts/python_reference.LICENSE.txt").read_text()


def test_no_paragraph_stands_in_the_text_twice_and_none_is_lost() -> None:
    whole = lzma.decompress(data.shipped("texts/python_reference.txt.xz").read_bytes()).decode()
    paragraphs = text().split("\n\n")
    assert len(paragraphs) == len(set(paragraphs)) < len(whole.split("\n\n"))
    assert set(paragraphs) == set(whole.split("\n\n"))


def test_labels_are_the_next_tokens_of_the_same_text(task: data.Task) -> None:
    for split in data.SPLITS:
        x, y = task.split(split)
        assert x.shape == y.shape == (len(x), 96)
        assert x.dtype == y.dtype == torch.int64
        assert torch.equal(x[:, 1:], y[:, :-1])
        for row in (0, len(x) - 1):
            assert decode(torch.cat([x[row], y[row, -1:]])) in text()


def test_the_splits_are_consecutive_parts_of_the_text(task: data.Task) -> None:
    ends = {split: (text().index(decode(x[0])), text().index(decode(x[-1])) + 97) for split, (x, _) in _splits(task)}
    (start, train_end), (valid, valid_end), (test, test_end) = (ends[split] for split in data.SPLITS)
    assert start == 0
    assert train_end <= valid < valid_end <= test < test_end <= len(text())
    assert len(text()) - test_end < 96
    assert valid == pytest.approx(0.9 * len(text()), abs=1)


def test_what_is_held_out_is_not_in_the_training_text(task: data.Task) -> None:
    held_out = [decode(row) for split in ("valid", "test") for row in task.split(split)[0]]
    train = text()[: text().index(held_out[0])]
    assert not any(part in train for part in held_out)


def _splits(task: data.Task) -> list[tuple[str, tuple[torch.Tensor, torch.Tensor]]]:
    return [(split, task.split(split)) for split in data.SPLITS]


def test_classes_are_the_characters(task: data.Task) -> None:
    assert task.classes == len(vocabulary()) == 103
    assert task.class_names == vocabulary()
    assert set("".join(vocabulary())) == set(text())


@settings(max_examples=30, deadline=None)
@given(st.text(st.sampled_from(vocabulary()), max_size=50))
def test_decoding_is_the_inverse_of_encoding(characters: str) -> None:
    tokens = encode(characters)
    assert tokens.dtype == torch.int64
    assert decode(tokens) == characters


def test_unknown_characters_and_tokens_are_refused() -> None:
    with pytest.raises(ValueError, match=r"has no 'é', '日'.*leave it out"):
        encode("日 of é")
    with pytest.raises(ValueError, match="no token 103: tokens go from 0 to 102"):
        decode(torch.tensor([3, 103]))
    with pytest.raises(TypeError, match="in quotes"):
        encode(3)
    with pytest.raises(ValueError, match="python_reference"):
        characters.sequences("digits")
