"""The raw images of the named data sets: found in a folder, or downloaded once, verified and kept.

A folder named by the environment variable ``LOSSPRUNE_DATA`` is searched first, then the user's cache folder, then the
network. If the cache is not writable, downloads are kept in a temporary folder. Files are read as numbers only: no file
is ever unpickled.
"""

from __future__ import annotations

import gzip
import os
import tarfile
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pooch

from lossprune_lib.warn import warn

FOLDER_VARIABLE = "LOSSPRUNE_DATA"


@dataclass(frozen=True)
class Download:
    """A file to fetch: its published hash as ``algorithm:digest``, and the addresses that serve it, best first."""

    file: str
    hash: str
    addresses: tuple[str, ...]


@dataclass(frozen=True)
class Source:
    """Where a data set comes from, in which format, what its images look like, and how many are for validation."""

    shape: tuple[int, ...]  # of one image, as stored: [H, W] or [H, W, 3]
    class_names: tuple[str, ...]
    downloads: tuple[Download, ...]
    format: str = "npz"  # a name in `_READERS`
    valid_examples: int = 10_000  # of those for training


_KERAS = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"
_KERAS_FIRST_HOME = "https://s3.amazonaws.com/img-datasets/"
_ZALANDO = "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/"

SOURCES = {
    "mnist": Source(
        (28, 28),
        tuple("0123456789"),
        (
            Download(
                "mnist.npz",
                "sha256:731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1",
                (_KERAS + "mnist.npz", _KERAS_FIRST_HOME + "mnist.npz"),
            ),
        ),
    ),
    "fashion_mnist": Source(
        (28, 28),
        ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"),
        tuple(
            Download(file, f"sha256:{digest}", (_ZALANDO + file, _KERAS + file))
            for file, digest in (
                ("train-images-idx3-ubyte.gz", "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
                ("train-labels-idx1-ubyte.gz", "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
                ("t10k-images-idx3-ubyte.gz", "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
                ("t10k-labels-idx1-ubyte.gz", "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
            )
        ),
        format="idx",
    ),
    "cifar10": Source(
        (32, 32, 3),
        ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
        (
            Download(
                "cifar-10-binary.tar.gz",
                "sha256:c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
                ("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",),
            ),
        ),
        format="cifar binary",
        valid_examples=5_000,
    ),
}

_MOST_BYTES = 2**30  # unpacked: five times the largest of these data sets, so that no archive can fill the memory

Arrays = dict[str, np.ndarray]  # x_train, y_train, x_test, y_test


def read(name: str, progress: bool = True) -> Arrays:
    """Return the four arrays of data set `name`: images uint8 [N, H, W] or [N, H, W, 3], labels int64 [N].

    Raises
    ------
    ValueError
        if a file that was found is damaged or holds something else.
    ConnectionError
        if the data set must be fetched and cannot be; the message says what to do without a network.
    """
    source = SOURCES[name]
    given = _given(name)
    if given is not None:
        return _checked(_read_npz(given), source, given)
    paths = [_fetch(name, download, progress) for download in source.downloads]
    return _checked(_READERS[source.format](*paths), source, paths[0])


def cache_folder() -> Path:
    """Return the folder that downloads are kept in: the user's cache."""
    return Path(pooch.os_cache("lossprune"))


def temporary_folder() -> Path:
    """Return the folder that downloads are kept in if the user's cache is not writable: one for each user."""
    return Path(tempfile.gettempdir()) / f"lossprune-{Path.home().name}"


def present(name: str) -> bool:
    """Return whether data set `name` can be read without a network."""
    return _given(name) is not None or all(_holder(download.file) for download in SOURCES[name].downloads)


def _holder(file: str) -> Path | None:
    folders = (cache_folder(), temporary_folder())
    return next((folder for folder in folders if os.path.isfile(folder / file)), None)


def _keeper() -> Path:
    """Return the folder for a new download."""
    if _writable(cache_folder()) or not _writable(temporary_folder()):
        return cache_folder()
    warn(f"The cache folder {cache_folder()} cannot be written, so the download is kept in {temporary_folder()}.")
    return temporary_folder()


def _writable(folder: Path) -> bool:
    # Path.exists raises an error in a folder that may not be entered; os.path.exists says False.
    there = next(path for path in (folder, *folder.parents) if os.path.exists(path))
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)


def _given(name: str) -> Path | None:
    """Return the file of data set `name` in the folder that the user names, if it is there."""
    named = os.environ.get(FOLDER_VARIABLE)
    if not named:
        return None
    folder = Path(named).expanduser()
    if not folder.is_dir():
        raise FileNotFoundError(
            f"{FOLDER_VARIABLE} names the folder {folder}, which does not exist: correct or unset it."
        )
    file = folder / f"{name}.npz"
    return file if file.is_file() else None


def _fetch(name: str, download: Download, progress: bool) -> Path:
    folder = _holder(download.file) or _keeper()
    failures = []
    for address in download.addresses:
        try:
            found = pooch.retrieve(address, download.hash, fname=download.file, path=folder, progressbar=progress)
            return Path(found)
        except (OSError, ValueError) as error:  # no network, no such address, or a hash that differs
            failures.append(f"{address} ({type(error).__name__})")
    raise ConnectionError(
        f"The data set {name!r} needs the file {download.file}, which could not be fetched from "
        f"{' or '.join(failures)}. "
        f"Without a network, put that file into {folder}, or point {FOLDER_VARIABLE} to a folder that holds "
        f'{name}.npz, or use data.load("digits"), which needs no download.'
    )


def _read_npz(path: Path) -> Arrays:
    try:
        with np.load(path, allow_pickle=False) as stored:
            missing = {"x_train", "y_train", "x_test", "y_test"} - set(stored.files)
            if missing:
                raise ValueError(f"it lacks {', '.join(sorted(missing))}")
            unpacked = sum(entry.file_size for entry in stored.zip.infolist())
            if unpacked > _MOST_BYTES:
                raise ValueError(f"it would take {unpacked:,} bytes unpacked")
            # An entry that is not an array is read as bytes; as an array of bytes it is then refused for its dtype.
            return {key: np.asarray(stored[key]) for key in ("x_train", "y_train", "x_test", "y_test")}
    except Exception as error:  # for a damaged file zipfile, zlib and numpy raise a dozen kinds
        raise ValueError(f"{path} cannot be read ({error}): replace it, or remove it to have it fetched.") from error


def _read_idx(x_train: Path, y_train: Path, x_test: Path, y_test: Path) -> Arrays:
    def images(path: Path) -> np.ndarray:
        return np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8, offset=16).reshape(-1, 28, 28)

    def labels(path: Path) -> np.ndarray:
        return np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8, offset=8)

    return {"x_train": images(x_train), "y_train": labels(y_train), "x_test": images(x_test), "y_test": labels(y_test)}


def _read_cifar_binary(path: Path) -> Arrays:
    # A record is one byte of label and 3,072 bytes of image: red, green and blue planes of 32 rows.
    def records(archive: tarfile.TarFile, *members: str) -> np.ndarray:
        parts = []
        for member in members:
            opened = archive.extractfile(f"cifar-10-batches-bin/{member}")
            assert opened is not None
            parts.append(np.frombuffer(opened.read(), np.uint8).reshape(-1, 3073))
        return np.concatenate(parts)

    with tarfile.open(path) as archive:
        train = records(archive, *(f"data_batch_{i}.bin" for i in range(1, 6)))
        test = records(archive, "test_batch.bin")

    def images(rows: np.ndarray) -> np.ndarray:
        return rows[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)

    return {"x_train": images(train), "y_train": train[:, 0], "x_test": images(test), "y_test": test[:, 0]}


def _checked(arrays: Arrays, source: Source, path: Path) -> Arrays:
    remedy = "replace the file, or remove it to have it fetched."
    for split in ("train", "test"):
        x, y = arrays[f"x_{split}"], arrays[f"y_{split}"]
        if x.dtype != np.uint8 or x.shape[1:] != source.shape or len(x) == 0:
            raise ValueError(
                f"{path}: x_{split} is {x.dtype} of shape {x.shape}, but must be uint8 of shape "
                f"(N, {', '.join(map(str, source.shape))}): {remedy}"
            )
        if not np.issubdtype(y.dtype, np.integer) or y.shape != (len(x),):
            raise ValueError(
                f"{path}: y_{split} is {y.dtype} of shape {y.shape}, but must be {len(x)} integers: {remedy}"
            )
        if y.min() < 0 or y.max() >= len(source.class_names):
            raise ValueError(
                f"{path}: y_{split} has labels from {y.min()} to {y.max()}, but they must be in 0 to "
                f"{len(source.class_names) - 1}: {remedy}"
            )
    return {key: value.astype(np.int64) if key[0] == "y" else value for key, value in arrays.items()}


_READERS: dict[str, Callable[..., Arrays]] = {"npz": _read_npz, "idx": _read_idx, "cifar binary": _read_cifar_binary}
