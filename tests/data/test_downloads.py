"""Images are found in a folder or downloaded once, verified, and refused if they are not what they should be."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import io
import os
import re
import socket
import struct
import tarfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lossprune_lib import data
from lossprune_lib.data import downloads
from lossprune_lib.data.downloads import SOURCES, Download

IMAGES = tuple(SOURCES)


class Server:
    """Serves `files`, by path, on 127.0.0.1, and records the requests."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.most = 2**30  # bytes of a file before the server hangs up
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked.append(self.path)
                content = server.files.get(self.path)
                self.send_response(404 if content is None else 200)
                self.send_header("Content-Length", str(len(content or b"")))
                self.end_headers()
                self.wfile.write((content or b"")[: server.most])

            def log_message(self, *args: object) -> None:
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.http.server_port}"

    def stop(self) -> None:
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = Server()
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test reads the user's own files, or writes beside them."""
    monkeypatch.delenv(downloads.FOLDER_VARIABLE, raising=False)
    monkeypatch.setattr(downloads, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr(downloads, "temporary_folder", lambda: tmp_path / "temporary")
    return tmp_path / "cache"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the environment variable names."""
    folder = tmp_path / "my data"
    folder.mkdir()
    monkeypatch.setenv(downloads.FOLDER_VARIABLE, str(folder))
    return folder


def example_arrays(name: str, train: int = 10, test: int = 4) -> downloads.Arrays:
    rng = np.random.default_rng(0)
    shape = SOURCES[name].shape
    return {
        "x_train": rng.integers(0, 256, (train, *shape), dtype=np.uint8),
        "y_train": rng.integers(0, 10, train, dtype=np.uint8),
        "x_test": rng.integers(0, 256, (test, *shape), dtype=np.uint8),
        "y_test": rng.integers(0, 10, test, dtype=np.uint8),
    }


def npz(arrays: downloads.Arrays) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()


def published(name: str, arrays: downloads.Arrays) -> list[bytes]:
    """Return the files that hold these arrays in the format that the data set is published in."""
    if name == "mnist":
        return [npz(arrays)]
    if name == "fashion_mnist":
        return [idx(arrays[key]) for key in ("x_train", "y_train", "x_test", "y_test")]
    batches = {f"data_batch_{i}": np.array_split(np.arange(len(arrays["x_train"])), 5)[i - 1] for i in range(1, 6)}
    members = {batch: records(arrays["x_train"][rows], arrays["y_train"][rows]) for batch, rows in batches.items()}
    members["test_batch"] = records(arrays["x_test"], arrays["y_test"])
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for member, content in members.items():
            entry = tarfile.TarInfo(f"cifar-10-batches-bin/{member}.bin")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return [stream.getvalue()]


def idx(array: np.ndarray) -> bytes:
    """The format of MNIST's home page: a magic number, the sizes as big-endian integers, the bytes."""
    header = struct.pack(f">{1 + array.ndim}i", 2048 + array.ndim, *array.shape)
    return gzip.compress(header + array.tobytes())


def records(x: np.ndarray, y: np.ndarray) -> bytes:
    """CIFAR-10's binary format: a label, then the red, the green and the blue plane, row by row."""
    return b"".join(
        bytes([label]) + b"".join(image[:, :, colour].tobytes() for colour in range(3))
        for image, label in zip(x, y, strict=True)
    )


def publish(
    server: Server, name: str, contents: list[bytes], monkeypatch: pytest.MonkeyPatch, mirrors: tuple[str, ...] = ()
) -> None:
    """Let the data set be fetched from `mirrors`; by default from the server, which then has its files."""
    fetched = []
    for download, content in zip(SOURCES[name].downloads, contents, strict=True):
        server.files[f"/{download.file}"] = content
        addresses = tuple(f"{mirror}/{download.file}" for mirror in mirrors or (server.address,))
        algorithm = download.hash.partition(":")[0]
        fetched.append(Download(download.file, f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}", addresses))
    monkeypatch.setitem(SOURCES, name, replace(SOURCES[name], downloads=tuple(fetched)))


def closed_address() -> str:
    """Return an address at which nothing listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


def assert_same(found: downloads.Arrays, expected: downloads.Arrays) -> None:
    assert found.keys() == expected.keys()
    for key, array in expected.items():
        assert found[key].dtype == (np.uint8 if key[0] == "x" else np.int64)
        np.testing.assert_array_equal(found[key], array)


@pytest.mark.parametrize("name", IMAGES)
def test_every_shipped_address_is_encrypted_and_every_hash_whole(name: str) -> None:
    assert SOURCES[name].downloads
    for download in SOURCES[name].downloads:
        assert re.fullmatch(r"sha256:[0-9a-f]{64}", download.hash)
        assert download.addresses
        for address in download.addresses:
            assert address.startswith("https://")
            assert address.endswith(f"/{download.file}")


@pytest.mark.parametrize("name", IMAGES)
def test_every_data_set_has_ten_classes(name: str) -> None:
    assert len(SOURCES[name].class_names) == len(set(SOURCES[name].class_names)) == 10


def test_downloads_are_kept_in_a_folder_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert downloads.cache_folder().name == "lossprune"


@pytest.fixture
def mnist(server: Server, monkeypatch: pytest.MonkeyPatch) -> downloads.Arrays:
    """A few images, which the server serves as MNIST."""
    arrays = example_arrays("mnist")
    publish(server, "mnist", published("mnist", arrays), monkeypatch)
    return arrays


@pytest.mark.parametrize("name", IMAGES)
def test_a_download_is_read_and_kept_so_that_the_server_is_asked_once(
    name: str, server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrays = example_arrays(name)
    publish(server, name, published(name, arrays), monkeypatch)
    assert not downloads.present(name)
    assert_same(downloads.read(name, progress=False), arrays)
    files = sorted(f"/{download.file}" for download in SOURCES[name].downloads)
    assert sorted(server.asked) == files
    assert sorted(f"/{path.name}" for path in cache.iterdir()) == files
    assert downloads.present(name)
    server.asked.clear()
    assert_same(downloads.read(name, progress=False), arrays)
    assert server.asked == []


def test_a_damaged_file_in_the_cache_is_fetched_again(server: Server, cache: Path, mnist: downloads.Arrays) -> None:
    cache.mkdir()
    (cache / "mnist.npz").write_bytes(b"damaged")
    assert_same(downloads.read("mnist", progress=False), mnist)
    assert len(server.asked) == 1


def test_a_download_cut_half_way_is_not_kept_and_starts_anew(
    server: Server, cache: Path, mnist: downloads.Arrays
) -> None:
    server.most = len(server.files["/mnist.npz"]) // 2
    with pytest.raises(ConnectionError, match="could not be fetched"):
        downloads.read("mnist", progress=False)
    assert [path for path in cache.rglob("*") if path.is_file()] == []
    assert not downloads.present("mnist")
    server.most = 2**30
    assert_same(downloads.read("mnist", progress=False), mnist)


@pytest.mark.parametrize("name", IMAGES)
def test_a_file_with_another_hash_is_refused_and_not_kept(
    name: str, server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(server, name, published(name, example_arrays(name)), monkeypatch)
    first = f"/{SOURCES[name].downloads[0].file}"
    server.files[first] = published(name, example_arrays(name, train=11))[0]
    with pytest.raises(ConnectionError, match=r"\(ValueError\)"):
        downloads.read(name, progress=False)
    assert server.asked == [first]
    assert [path for path in cache.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("fault", ["nothing listens", "not found", "another hash"])
def test_the_second_address_is_asked_where_the_first_fails(
    fault: str, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrays = example_arrays("mnist")
    first = {"nothing listens": closed_address(), "not found": server.address + "/gone"}.get(
        fault, server.address + "/wrong"
    )
    publish(server, "mnist", published("mnist", arrays), monkeypatch, (first, server.address))
    server.files["/wrong/mnist.npz"] = b"something else"
    assert_same(downloads.read("mnist", progress=False), arrays)
    assert server.asked[-1] == "/mnist.npz"


def test_a_first_address_that_works_is_the_only_one_asked(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    contents = published("mnist", example_arrays("mnist"))
    publish(server, "mnist", contents, monkeypatch, (server.address, server.address + "/second"))
    downloads.read("mnist", progress=False)
    assert server.asked == ["/mnist.npz"]


@pytest.mark.parametrize("name", IMAGES)
def test_without_any_address_the_error_says_what_to_do(
    name: str, server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = (closed_address(), server.address + "/gone")
    publish(server, name, published(name, example_arrays(name)), monkeypatch, dead)
    with pytest.raises(ConnectionError) as caught:
        data.load(name, device="cpu", progress=False)
    message = str(caught.value)
    for part in (SOURCES[name].downloads[0].file, str(cache), "LOSSPRUNE_DATA", f"{name}.npz", 'data.load("digits")'):
        assert part in message
    assert all(address in message for address in dead)


@pytest.fixture(params=["a file is in its place", "no permission to write", "no permission to enter"])
def closed_cache(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache folder that is not writable."""
    home = tmp_path / "home"
    if request.param == "a file is in its place":
        home.touch()
    elif os.name != "posix" or os.geteuid() == 0:
        pytest.skip("permissions do not bind this user")
    else:
        home.mkdir(mode=0o500 if request.param == "no permission to write" else 0)
    monkeypatch.setattr(downloads, "cache_folder", lambda: home / "lossprune")
    yield home / "lossprune"
    home.chmod(0o700)


def test_where_the_cache_cannot_be_written_a_download_is_kept_elsewhere_and_said_where(
    closed_cache: Path, server: Server, tmp_path: Path, mnist: downloads.Arrays
) -> None:
    with pytest.warns(UserWarning, match=re.escape(f"the download is kept in {tmp_path / 'temporary'}")):
        assert_same(downloads.read("mnist", progress=False), mnist)
    assert (tmp_path / "temporary" / "mnist.npz").is_file()
    assert downloads.present("mnist")
    server.asked.clear()
    assert_same(downloads.read("mnist", progress=False), mnist)
    assert server.asked == []


def test_a_cache_that_can_be_read_only_is_read(
    server: Server,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    recwarn: pytest.WarningsRecorder,
    mnist: downloads.Arrays,
) -> None:
    downloads.read("mnist", progress=False)
    monkeypatch.setattr(downloads, "_writable", lambda folder: folder != cache)
    assert_same(downloads.read("mnist", progress=False), mnist)
    assert len(server.asked) == 1
    assert not recwarn.list


def test_each_user_has_a_temporary_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    mine = downloads.temporary_folder()
    monkeypatch.setattr(Path, "home", lambda: Path("/home/another"))
    assert mine.parent == downloads.temporary_folder().parent
    assert mine != downloads.temporary_folder()


@pytest.mark.parametrize("bar", [True, False])
def test_a_download_shows_a_bar_only_if_asked(
    bar: bool, server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(server, "mnist", published("mnist", example_arrays("mnist")), monkeypatch)
    downloads.read("mnist", progress=bar)
    assert ("%|" in capsys.readouterr().err) == bar  # pooch's own messages may hold a per cent sign


@pytest.mark.parametrize("name", IMAGES)
def test_the_named_folder_is_looked_at_before_cache_and_network(
    name: str, folder: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(server, name, published(name, example_arrays(name)), monkeypatch)
    downloads.read(name, progress=False)  # now the cache has it
    server.asked.clear()
    mine = example_arrays(name, train=7)
    (folder / f"{name}.npz").write_bytes(npz(mine))
    assert_same(downloads.read(name, progress=False), mine)
    assert server.asked == []


def test_a_named_folder_without_the_file_is_passed_over(folder: Path, mnist: downloads.Arrays) -> None:
    assert_same(downloads.read("mnist", progress=False), mnist)


def test_a_named_folder_that_does_not_exist_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOSSPRUNE_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(FileNotFoundError, match=r"LOSSPRUNE_DATA names the folder .*nowhere.*: correct or unset it"):
        data.load("mnist", device="cpu")


def test_the_named_folder_may_start_with_a_tilde(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arrays = example_arrays("mnist")
    (folder / "mnist.npz").write_bytes(npz(arrays))
    monkeypatch.setenv("HOME", str(folder.parent))
    monkeypatch.setenv("USERPROFILE", str(folder.parent))
    monkeypatch.setenv("LOSSPRUNE_DATA", f"~/{folder.name}")
    assert_same(downloads.read("mnist"), arrays)


@pytest.mark.parametrize("name", IMAGES)
def test_a_data_set_is_present_exactly_where_it_would_be_read(name: str, folder: Path, cache: Path) -> None:
    cache.mkdir()
    originals = [download.file for download in SOURCES[name].downloads]
    assert not downloads.present(name)
    if f"{name}.npz" not in originals:  # read from the folder in one form, from the cache in the other
        (cache / f"{name}.npz").touch()
        for file in originals:
            (folder / file).touch()
        assert not downloads.present(name)
    for file in originals:
        assert not downloads.present(name)
        (cache / file).touch()
    assert downloads.present(name)
    (cache / originals[-1]).unlink()
    assert not downloads.present(name)
    (folder / f"{name}.npz").touch()
    assert downloads.present(name)


Change = Callable[[downloads.Arrays], object]
WRONG: dict[str, tuple[Change, str]] = {
    "images of another size": (lambda a: a.update(x_train=np.zeros((10, 8, 8), np.uint8)), "x_train is uint8 of shape"),
    "colour": (
        lambda a: a.update(x_test=np.zeros((4, 28, 28, 3), np.uint8)),
        r"x_test is .* uint8 of shape \(N, 28, 28\)",
    ),
    "one image": (lambda a: a.update(x_train=np.zeros((28, 28), np.uint8)), "x_train is uint8 of shape"),
    "no images": (lambda a: a.update(x_test=a["x_test"][:0], y_test=a["y_test"][:0]), "x_test is uint8 of shape"),
    "a number": (lambda a: a.update(x_train=np.uint8(3)), r"x_train is uint8 of shape \(\)"),
    "float images": (lambda a: a.update(x_train=a["x_train"] / 255), "x_train is float64"),
    "signed images": (lambda a: a.update(x_test=a["x_test"].astype(np.int8)), "x_test is int8"),
    "float labels": (lambda a: a.update(y_train=a["y_train"].astype(float)), "y_train is float64"),
    "one-hot labels": (lambda a: a.update(y_train=np.eye(10, dtype=int)[a["y_train"]]), r"y_train is .*\(10, 10\)"),
    "too few labels": (lambda a: a.update(y_test=a["y_test"][1:]), r"y_test is .*\(3,\), but must be 4 integers"),
    "a label too high": (lambda a: a["y_train"].put(0, 10), "y_train has labels from . to 10"),
    "a label below zero": (lambda a: a.update(y_test=np.array([0, 1, -1, 2])), "y_test has labels from -1 to 2"),
    "a missing array": (lambda a: a.pop("y_test"), "it lacks y_test"),
    "two missing arrays": (lambda a: (a.pop("x_test"), a.pop("y_train")), "it lacks x_test, y_train"),
}


@pytest.mark.parametrize("fault", WRONG)
def test_a_file_with_wrong_content_is_refused_with_its_path_and_a_remedy(fault: str, folder: Path) -> None:
    arrays = example_arrays("mnist")
    change, sentence = WRONG[fault]
    change(arrays)
    path = folder / "mnist.npz"
    path.write_bytes(npz(arrays))
    with pytest.raises(ValueError, match=sentence) as caught:
        data.load("mnist", device="cpu")
    assert str(path) in str(caught.value)
    assert "remove it to have it fetched" in str(caught.value)
