"""Files are complete or absent, are read as they were written, and are never unpickled."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lossprune_lib import files

TENSORS = {
    "float32": torch.randn(3, 4, generator=torch.Generator().manual_seed(0)),
    "float64": torch.randn(5, dtype=torch.float64, generator=torch.Generator().manual_seed(1)),
    "bool": torch.tensor([True, False, True]),
    "scalar": torch.tensor(7),
    "transposed": torch.arange(6.0).reshape(2, 3).T,
    "trained": torch.nn.Parameter(torch.ones(2)),
    "empty": torch.empty(0),
}


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return files.save_tensors(tmp_path / "tensors.safetensors", TENSORS, {"model": "mlp"})


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_tensors_and_metadata_come_back_as_they_were(saved: Path) -> None:
    tensors, metadata = files.load_tensors(saved)
    assert metadata == {"model": "mlp"}
    assert tensors.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert tensors[name].dtype == tensor.dtype
        assert torch.equal(tensors[name], tensor)
        assert not tensors[name].requires_grad


TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
DTYPES = st.sampled_from([torch.float32, torch.float64, torch.bfloat16, torch.int64, torch.uint8, torch.bool])


@given(
    st.dictionaries(
        TEXT.filter("__metadata__".__ne__), st.tuples(DTYPES, st.lists(st.integers(0, 3), max_size=3)), max_size=4
    ),
    st.dictionaries(TEXT.filter("sha256".__ne__), TEXT, max_size=3),
    st.integers(0, 2**31),
)
@settings(max_examples=60)
def test_any_tensors_and_any_words_come_back(
    tmp_path_factory: pytest.TempPathFactory,
    kinds: dict[str, tuple[torch.dtype, list[int]]],
    words: dict[str, str],
    seed: int,
) -> None:
    draws = torch.Generator().manual_seed(seed)
    expected = {
        name: (torch.rand(shape, generator=draws) * 4 - 2).abs().to(dtype) for name, (dtype, shape) in kinds.items()
    }
    path = files.save_tensors(tmp_path_factory.getbasetemp() / "any tensors", expected, words)
    tensors, metadata = files.load_tensors(path)
    assert metadata == words
    assert tensors.keys() == expected.keys()
    for name, tensor in expected.items():
        assert tensors[name].dtype == tensor.dtype
        assert torch.equal(tensors[name], tensor)


@pytest.mark.parametrize("changed", ["a number", "a name", "a word", "the seal"])
def test_what_was_changed_since_is_refused(changed: str, saved: Path) -> None:
    whole = saved.read_bytes()
    old, new = {
        "a number": (whole[-20:], whole[-20:-1] + bytes([whole[-1] ^ 1])),
        "a name": (b'"scalar"', b'"skalar"'),
        "a word": (b'"mlp"', b'"vgg"'),
        "the seal": (b'"sha256":"', b'"sha256":"0'),
    }[changed]
    assert whole.count(old) == 1
    damaged = whole.replace(old, new)
    if changed == "the seal":  # one character more in the header
        damaged = (int.from_bytes(whole[:8], "little") + 1).to_bytes(8, "little") + damaged[8:]
    saved.write_bytes(damaged)
    with pytest.raises(ValueError, match=r"its contents are not what was saved.*copy it again"):
        files.load_tensors(saved)


def test_a_file_without_a_seal_is_read_too(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"w": torch.ones(2)}, str(tmp_path / "other"), {"model": "mlp"})
    assert files.load_tensors(tmp_path / "other")[1] == {"model": "mlp"}


def test_parts_of_one_tensor_are_saved_whole(tmp_path: Path) -> None:
    whole = torch.arange(10)
    left, right = whole.split(5)
    tensors, metadata = files.load_tensors(files.save_tensors(tmp_path / "parts", {"left": left, "right": right}, {}))
    assert torch.equal(torch.cat([tensors["left"], tensors["right"]]), whole)
    assert metadata == {}


def test_folders_are_made_and_the_path_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "words.txt"
    assert files.replace(str(path), lambda temporary: temporary.write_text("new")) == path
    assert path.read_text() == "new"
    assert names(path.parent) == ["words.txt"]


def test_the_old_file_is_there_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("old")

    def write(temporary: Path) -> None:
        temporary.write_text("new")
        assert temporary.parent == path.parent  # another folder may be another disk, where a move is not atomic
        assert path.read_text() == "old"

    files.replace(path, write)
    assert path.read_text() == "new"


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("old")

    def fail(temporary: Path) -> None:
        temporary.write_text("half of the n")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        files.replace(path, fail)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["words.txt"]


@pytest.mark.skipif(os.name != "posix", reason="permissions are those of POSIX")
@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600)])
def test_files_are_as_readable_as_any_other_new_file(tmp_path: Path, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        path = files.replace(tmp_path / "words.txt", lambda temporary: temporary.write_text("new"))
        left = os.umask(umask)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert left == umask


@pytest.mark.parametrize("name", ["missing", "."])
def test_a_missing_file_or_a_folder_is_said_to_be_missing(tmp_path: Path, name: str) -> None:
    with pytest.raises(FileNotFoundError, match="check the path"):
        files.load_tensors(tmp_path / name)
