"""Files are whole or absent, come back as they were written, and are never unpickled."""

from __future__ import annotations

import os
import pickle
import stat
from pathlib import Path

import pytest
import torch

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


class Payload:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.marker),)


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


def test_a_truncated_file_is_refused_wherever_it_ends(saved: Path) -> None:
    whole = saved.read_bytes()
    for length in {*range(12), *range(12, len(whole), 37), len(whole) - 1}:
        saved.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"tensors\.safetensors is damaged .* copy it again"):
            files.load_tensors(saved)


@pytest.mark.parametrize("content", [b"", b"no tensors", bytes(100), b"\xff" * 100], ids=["empty", "text", "0", "255"])
def test_what_is_no_safetensors_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(ValueError, match="no safetensors file"):
        files.load_tensors(tmp_path / "file")


def test_a_pickle_is_refused_and_never_run(tmp_path: Path) -> None:
    path, marker = tmp_path / "net.pt", tmp_path / "was unpickled"
    for write in (lambda: path.write_bytes(pickle.dumps(Payload(marker))), lambda: torch.save(Payload(marker), path)):
        write()
        with pytest.raises(ValueError, match="no safetensors file"):
            files.load_tensors(path)
        assert not marker.exists()


@pytest.mark.parametrize("name", ["missing", "."])
def test_a_missing_file_or_a_folder_is_said_to_be_missing(tmp_path: Path, name: str) -> None:
    with pytest.raises(FileNotFoundError, match="check the path"):
        files.load_tensors(tmp_path / name)
