"""Damaged or malicious checkpoints, masks and data files are refused with a sentence; nothing runs, crashes or hangs.

The loaders read files from elsewhere, so they are given everything that can be wrong with one: cut anywhere, bits
flipped anywhere, noise, other formats, pickles, headers that claim more than there is, archives that unpack to more
than there is room for.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from sample_networks import shape_of_task
from torch import Tensor

from lossprune_lib import Mask, data, files, models
from lossprune_lib.data import downloads

SMALL = shape_of_task((1, 4, 4), 3)


class Payload:
    """Leaves a folder behind when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.marker),)


def load_images(path: Path) -> dict[str, np.ndarray]:
    os.environ[downloads.FOLDER_VARIABLE] = str(path.parent)
    return downloads.read("mnist")


def make_network(path: Path) -> None:
    models.save(path, models.small_vgg(SMALL), "small_vgg", SMALL)


def make_mask(path: Path) -> None:
    kept = torch.rand(60, generator=torch.Generator().manual_seed(0)) < 0.5
    Mask(kept, (("fc1", (5, 8)), ("fc2", (4, 5)))).save(path)


def make_images(path: Path) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (3, 28, 28), dtype=np.uint8), rng.integers(0, 10, 3)
    np.savez_compressed(path, x_train=x, y_train=y, x_test=x, y_test=y)


def tensors_of(loaded: object) -> list[np.ndarray]:
    if isinstance(loaded, torch.nn.Module):
        return [tensor.numpy() for tensor in loaded.state_dict().values()]
    return [loaded.kept.numpy()] if isinstance(loaded, Mask) else list(loaded.values())


# A loader, the name its file must have, and what makes a good one.
LOADERS: dict[str, tuple[Callable[[Path], object], str, Callable[[Path], None]]] = {
    "network": (models.load, "net.safetensors", make_network),
    "mask": (Mask.load, "mask.safetensors", make_mask),
    "images": (load_images, "mnist.npz", make_images),
}
WHAT = pytest.mark.parametrize("what", LOADERS)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(downloads.FOLDER_VARIABLE, str(tmp_path))


@pytest.fixture
def modest() -> Iterator[None]:
    """A request for more than a few GB at once is refused by the system, instead of slowly killing the machine."""
    resource, memory = pytest.importorskip("resource"), Path("/proc/self/statm")
    if not memory.exists():
        pytest.skip("the size of this process is not known here")
    before = resource.getrlimit(resource.RLIMIT_AS)
    used = int(memory.read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 4 * 2**30, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def made(what: str, folder: Path) -> tuple[Callable[[Path], object], Path, bytes]:
    load, name, make = LOADERS[what]
    make(folder / name)
    return load, folder / name, (folder / name).read_bytes()


def loaded(load: Callable[[Path], object], path: Path) -> list[np.ndarray] | None:
    """Return the tensors of a file, or None if it is refused with a sentence that names it."""
    try:
        return tensors_of(load(path))
    except ValueError as error:
        if str(path) not in str(error):
            raise
        return None


def refused(load: Callable[[Path], object], path: Path, content: bytes) -> None:
    """Check that a file is refused with a sentence that names it and says what to do."""
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"copy it again|save it again|replace it|replace the file") as caught:
        load(path)
    assert str(path) in str(caught.value)


@WHAT
def test_the_whole_file_is_loaded(what: str, tmp_path: Path) -> None:
    load, path, _ = made(what, tmp_path)
    assert tensors_of(load(path))


@WHAT
def test_a_file_cut_anywhere_is_refused(what: str, tmp_path: Path) -> None:
    load, path, whole = made(what, tmp_path)
    ends = {0, 1, 7, 8, 9, len(whole) - 1, *np.linspace(0, len(whole) - 1, 100, dtype=int).tolist()}
    for end in ends:
        refused(load, path, whole[:end])


@WHAT
def test_a_file_with_more_behind_it_gives_the_same_or_is_refused(what: str, tmp_path: Path) -> None:
    load, path, whole = made(what, tmp_path)
    expected = tensors_of(load(path))
    for more in (b"\0", b"more" * 100, whole):
        path.write_bytes(whole + more)
        found = loaded(load, path) or expected
        assert all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))


@WHAT
def test_flipped_bits_are_refused_or_change_nothing(what: str, tmp_path: Path) -> None:
    load, path, whole = made(what, tmp_path)
    expected = tensors_of(load(path))
    rng = np.random.default_rng(0)
    silent = 0
    header = rng.integers(0, min(800, len(whole)), 150)
    for at in [*header, *rng.integers(0, len(whole), 150)]:
        damaged = bytearray(whole)
        damaged[at] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        found = loaded(load, path)
        silent += found is not None
        assert all(np.array_equal(a, b) for a, b in zip(found or expected, expected, strict=True)), f"byte {at}"
    assert silent < 100


@WHAT
def test_whole_stretches_of_noise_are_refused(what: str, tmp_path: Path) -> None:
    load, path, whole = made(what, tmp_path)
    rng = np.random.default_rng(1)
    for length in (1, 8, 100, 5000):
        refused(load, path, rng.bytes(length))
        refused(load, path, whole[: len(whole) // 2] + rng.bytes(length))
        refused(load, path, rng.bytes(length) + whole[length:])


@given(st.binary(max_size=300))
@example(b"PK\x05\x06" + bytes(18))
@example(b"\x93NUMPY\x01\x00")
@example(struct.pack("<Q", 2**63) + b"{}")
@example(struct.pack("<Q", 2) + b"{}")
@example(struct.pack("<Q", 2) + b"[]")
def test_any_bytes_are_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    folder = tmp_path_factory.getbasetemp() / "any bytes"
    folder.mkdir(exist_ok=True)
    for load, name, _ in LOADERS.values():
        refused(load, folder / name, content)


@WHAT
def test_pickles_are_refused_and_never_run(what: str, tmp_path: Path) -> None:
    load, name, _ = LOADERS[what]
    path, marker = tmp_path / name, tmp_path / "was unpickled"
    bad = Payload(marker)
    torch_file, objects, one = io.BytesIO(), io.BytesIO(), io.BytesIO()
    torch.save(bad, torch_file)
    array = np.array([bad], dtype=object)
    np.savez(objects, x_train=array, y_train=array, x_test=array, y_test=array)
    np.save(one, array, allow_pickle=True)
    for content in (pickle.dumps(bad), torch_file.getvalue(), objects.getvalue(), one.getvalue()):
        refused(load, path, content)
        assert not marker.exists()
    pickle.loads(pickle.dumps(bad))  # the trap does work
    assert marker.exists()


# --- files that claim more than there is


def header_file(tensors: dict[str, Any], size: int = 16) -> bytes:
    """Return a safetensors file with this header and `size` bytes of numbers."""
    header = json.dumps(tensors).encode()
    return struct.pack("<Q", len(header)) + header + bytes(size)


HUGE = {
    "a shape beyond the file": {"w": {"dtype": "F32", "shape": [10**9, 10**9], "data_offsets": [0, 16]}},
    "a shape that overflows": {"w": {"dtype": "F32", "shape": [2**63, 2**63], "data_offsets": [0, 16]}},
    "offsets beyond the file": {"w": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}},
    "offsets that run backwards": {"w": {"dtype": "F32", "shape": [4], "data_offsets": [16, 0]}},
    "offsets below zero": {"w": {"dtype": "F32", "shape": [4], "data_offsets": [-16, 0]}},
    "tensors in one place": {
        "w": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]},
        "v": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]},
    },
    "numbers that nobody claims": {"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}},
    "NaN as a size": {"w": {"dtype": "F32", "shape": [float("nan")], "data_offsets": [0, 16]}},
    "a negative shape": {"w": {"dtype": "F32", "shape": [-4], "data_offsets": [0, 16]}},
    "an unknown dtype": {"w": {"dtype": "OBJECT", "shape": [4], "data_offsets": [0, 16]}},
    "no tensors": {"__metadata__": {"model": "mlp_300_100", "shape": "1,8,8", "classes": "10", "layers": "[]"}},
    "metadata of another kind": {"__metadata__": {"model": ["mlp_300_100"], "layers": [1]}},
}


@pytest.mark.parametrize("claim", HUGE)
def test_a_header_that_claims_what_is_not_there_is_refused(claim: str, tmp_path: Path, modest: None) -> None:
    for load in (models.load, Mask.load):
        refused(load, tmp_path / "file", header_file(HUGE[claim], 0 if claim == "no tensors" else 16))


@pytest.mark.parametrize("repeated", ["a tensor", "a note"])
def test_a_header_with_a_name_twice_is_refused_or_read_once(repeated: str, tmp_path: Path) -> None:
    path, task = tmp_path / "net", shape_of_task((1, 8, 8), 10)
    models.save(path, models.mlp_300_100(task), "mlp_300_100", task)
    expected, whole = tensors_of(models.load(path)), path.read_bytes()
    size = int.from_bytes(whole[:8], "little")
    header = json.loads(whole[8 : 8 + size])
    twice = (
        b'"fc1.weight":' + json.dumps(header["fc2.weight"]).encode() + b","
        if repeated == "a tensor"
        else b'"__metadata__":{"model":"small_vgg","shape":"1,8,8","classes":"10"},'
    )
    text = b"{" + twice + whole[9 : 8 + size]
    path.write_bytes(struct.pack("<Q", len(text)) + text + whole[8 + size :])
    found = loaded(models.load, path)
    assert found is None or all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize("key", ["x_train", "y_test"])
def test_an_archive_with_a_name_twice_is_refused_or_read_once(key: str, tmp_path: Path) -> None:
    x = npy((3, 28, 28), content=bytes(2352))
    stream = io.BytesIO(archive(x_train=x, y_train=Y, x_test=x, y_test=Y))
    with zipfile.ZipFile(stream, "a") as opened, pytest.warns(UserWarning, match="Duplicate name"):
        opened.writestr(f"{key}.npy", npy((2,), "<f4", struct.pack("<2f", float("nan"), 1e30)))
    refused(load_images, tmp_path / "mnist.npz", stream.getvalue())


def test_entries_that_are_not_arrays_are_refused(tmp_path: Path) -> None:
    text = b"not an array"
    refused(load_images, tmp_path / "mnist.npz", archive(x_train=text, y_train=text, x_test=text, y_test=text))


@pytest.mark.parametrize("descr", ["<f4", "<i8", "<c8", "<U1", "<M8[s]", "|b1", ">u2", "[('a', '<i4')]"])
def test_images_of_another_dtype_are_refused(descr: str, tmp_path: Path) -> None:
    dtype = np.dtype([("a", "<i4")] if descr.startswith("[") else descr)
    stream = io.BytesIO()
    np.savez(
        stream,
        x_train=np.zeros((3, 28, 28), dtype),
        y_train=np.zeros(3, int),
        x_test=np.zeros((3, 28, 28), dtype),
        y_test=np.zeros(3, int),
    )
    refused(load_images, tmp_path / "mnist.npz", stream.getvalue())
    labels = io.BytesIO()
    y = np.full(3, np.nan) if descr == "<i8" else np.zeros(3, dtype)
    images = np.zeros((3, 28, 28), np.uint8)
    np.savez(labels, x_train=images, y_train=y, x_test=images, y_test=y)
    if descr != ">u2":  # big-endian whole numbers are labels too
        refused(load_images, tmp_path / "mnist.npz", labels.getvalue())


@pytest.mark.parametrize(
    "layers", ['["w", "w"]', "[]", "{}", "null", '"w"', "[1]", '[["w"]]', "[null]", "NaN", "[" * 100_000, "1e999"]
)
def test_a_mask_with_strange_names_is_refused(layers: str, tmp_path: Path) -> None:
    files.save_tensors(tmp_path / "mask", {"w": torch.ones(3, dtype=torch.bool)}, {"layers": layers})
    refused(Mask.load, tmp_path / "mask", (tmp_path / "mask").read_bytes())


CLAIMED = [
    {"shape": "100000,100000,100000"},
    {"shape": "1" * 5000},
    {"shape": "1.5,8,8"},
    {"shape": "nan"},
    {"shape": "1,-8,-8"},
    {"classes": "1000000000000"},
    {"classes": "9" * 400},
    {"classes": "-10"},
    {"model": "os.system"},
    {"model": "__class__"},
]
OF_ALL_INPUTS = [
    {"shape": "1,1000000,1000000"},
    {"shape": "1,8," + "9" * 30},
]  # the convolutions do not depend on these


@pytest.mark.parametrize(
    ("name", "claim"),
    [(name, claim) for name in ("mlp_300_100", "small_vgg") for claim in CLAIMED]
    + [("mlp_300_100", claim) for claim in OF_ALL_INPUTS],
    ids=lambda value: str(value)[:50],
)
def test_a_network_that_claims_to_be_huge_is_refused_at_once(
    name: str, claim: dict[str, str], tmp_path: Path, modest: None
) -> None:
    path, task = tmp_path / "net", shape_of_task((1, 8, 8), 10)
    notes = {"model": name, "shape": "1,8,8", "classes": "10"} | claim
    files.save_tensors(path, models.MODELS[name](task).state_dict(), notes)
    refused(models.load, path, path.read_bytes())


def test_tensors_of_another_kind_are_no_network(tmp_path: Path) -> None:
    task = shape_of_task((1, 8, 8), 10)
    notes = {"model": "mlp_300_100", "shape": "1,8,8", "classes": "10"}
    whole = models.mlp_300_100(task).state_dict()
    for changed in ({}, {"fc1.weight": torch.zeros(0)}, {"more": torch.zeros(1)}, {"fc1.bias": torch.zeros(300, 1)}):
        tensors: dict[str, Tensor] = {**whole, **changed} if changed else {}
        files.save_tensors(tmp_path / "net", tensors, notes)
        refused(models.load, tmp_path / "net", (tmp_path / "net").read_bytes())


def npy(shape: tuple[int, ...], descr: str = "|u1", content: bytes = b"") -> bytes:
    """Return a .npy file that claims a shape and a dtype, whatever it holds."""
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": descr, "fortran_order": False, "shape": shape})
    return stream.getvalue() + content


def archive(**members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, content in members.items():
            opened.writestr(f"{name}.npy", content)
    return stream.getvalue()


Y = npy((3,), "<i8", bytes(24))
CLAIMS = {
    "a thousand terabytes": npy((10**12, 28, 28)),
    "a shape that overflows": npy((2**62, 28, 28)),
    "a few gigabytes": npy((3 * 10**6, 28, 28)),
    "numbers of a gigabyte each": npy((3, 28, 28), f"|V{2**30}"),
    "objects": npy((3, 28, 28), "|O"),
    "a header that is code": b"\x93NUMPY\x01\x00"
    + struct.pack("<H", 40)
    + b"__import__('os').mkdir('was unpickled')\n ",
    "a header without end": b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**32 - 1) + b"{'descr'",
    "a header of brackets": b"\x93NUMPY\x02\x00" + struct.pack("<I", 60_000) + b"(" * 60_000,
    "another version": b"\x93NUMPY\x09\x00" + bytes(100),
}


@pytest.mark.parametrize("claim", CLAIMS)
def test_arrays_that_claim_what_is_not_there_are_refused(
    claim: str, tmp_path: Path, modest: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    x = CLAIMS[claim]
    refused(load_images, tmp_path / "mnist.npz", archive(x_train=x, y_train=Y, x_test=x, y_test=Y))
    refused(load_images, tmp_path / "mnist.npz", x)
    assert not (tmp_path / "was unpickled").exists()


def test_an_archive_that_unpacks_to_more_than_there_is_room_is_refused_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "_MOST_BYTES", 5_000_000)  # the real limit takes seconds to pack
    bomb = npy((10_000, 28, 28), content=bytes(7_840_000))
    content = archive(x_train=bomb, y_train=Y, x_test=bomb, y_test=Y)
    assert len(content) < 40_000
    tracemalloc.start()
    try:
        refused(load_images, tmp_path / "mnist.npz", content)
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


def test_an_archive_that_lies_about_its_size_is_refused(tmp_path: Path) -> None:
    content = archive(x_train=npy((3, 28, 28), content=bytes(2352)), y_train=Y, x_test=Y, y_test=Y)
    with zipfile.ZipFile(io.BytesIO(content)) as opened:
        size = struct.pack("<I", opened.infolist()[0].file_size)
    assert content.count(size) >= 1
    for claimed in (0, 1, 100, 2**32 - 2):
        refused(load_images, tmp_path / "mnist.npz", content.replace(size, struct.pack("<I", claimed)))


def test_real_data_sets_are_within_the_limit() -> None:
    largest = 60_000 * 32 * 32 * 3 + 60_000 * 8
    assert 5 * largest < downloads._MOST_BYTES


def test_a_damaged_file_reaches_the_user_as_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "mnist.npz").write_bytes(b"damaged")
    with pytest.raises(ValueError, match=r"mnist\.npz cannot be read .*: replace it, or remove it to have it fetched"):
        data.load("mnist", device="cpu")


# --- the networks that come with the project


SHIPPED = sorted(data.shipped("checkpoints").glob("*.safetensors"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_network_is_sealed_and_any_changed_byte_of_it_is_refused(path: Path, tmp_path: Path) -> None:
    whole = path.read_bytes()
    header = 8 + int.from_bytes(whole[:8], "little")
    assert len(json.loads(whole[8:header])["__metadata__"]["sha256"]) == 64
    copy = tmp_path / path.name
    copy.write_bytes(whole)
    assert tensors_of(models.load(copy))
    for at in np.linspace(header, len(whole) - 1, 12, dtype=int):
        damaged = bytearray(whole)
        damaged[at] ^= 1
        refused(models.load, copy, damaged)


def test_there_are_shipped_networks() -> None:
    assert len(SHIPPED) >= 3
