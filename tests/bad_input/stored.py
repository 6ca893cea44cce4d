"""Files and stores that are missing, damaged or something else."""

from __future__ import annotations

import contextlib
import os
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import nn

from bad_input.bench import Bench, Case, prune
from lossprune_lib import Mask, data, models
from lossprune_lib.data import downloads
from lossprune_lib.studies.experiment import Outcome
from lossprune_lib.studies.runs import Baseline, Run
from lossprune_lib.studies.store import Store


def nan_checkpoint(bench: Bench) -> nn.Module:
    net = models.mlp_300_100(bench.task)
    net.fc1.weight.data[0, 0] = np.nan
    models.save(bench.folder / "net", net, "mlp_300_100", bench.task)
    return models.load(bench.folder / "net")


def images(**changes: np.ndarray) -> dict[str, np.ndarray]:
    x, y = np.zeros((4, 28, 28), np.uint8), np.arange(4)
    return {"x_train": x, "y_train": y, "x_test": x, "y_test": y} | changes


def load_images(bench: Bench, arrays: dict[str, Any], damage: Callable[[bytearray], object] | None = None) -> None:
    with bench.data_folder(arrays) as path:
        if damage is not None:
            bench.changed(path, damage)
        data.load("mnist", device="cpu")


def cut_download(bench: Bench) -> None:
    """Fetch from a server that promises a thousand bytes, sends five hundred and hangs up."""

    def serve() -> None:
        with listener, listener.accept()[0] as connection:
            connection.recv(10_000)
            connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 1000\r\n\r\n" + bytes(500))

    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{listener.getsockname()[1]}/mnist.npz"
    source = downloads.SOURCES["mnist"]
    fetched = replace(source.downloads[0], addresses=(address,))
    environment = {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1", downloads.FOLDER_VARIABLE: ""}
    with (
        mock.patch.dict(downloads.SOURCES, mnist=replace(source, downloads=(fetched,))),
        mock.patch.object(downloads, "cache_folder", return_value=bench.folder / "cache"),
        mock.patch.dict(os.environ, environment),
    ):
        try:
            data.load("mnist", device="cpu", progress=False)
        finally:
            thread.join()
            assert not [path for path in bench.folder.rglob("*") if path.is_file()], "half a file was kept"


def read_only(bench: Bench) -> None:
    run, outcome = Run(Baseline("digits", "mlp_300_100", 0), "mp", 0.5, 1, 0.0), Outcome({}, [], b"")
    with Store(bench.store) as store:
        store._database.execute("PRAGMA query_only = ON")  # as a file's permissions would, but for root too
        store.add([run], [outcome])


def truncated_store(bench: Bench) -> None:
    Store(bench.store).__exit__(None, None, None)
    Store(bench.changed(bench.store, lambda content: content.__delitem__(slice(5000, None))))


def another_programs_file(bench: Bench) -> None:
    with contextlib.closing(sqlite3.connect(bench.store)) as database:
        database.execute("CREATE TABLE notes (text TEXT)")
    bench.study().run(bench.store, progress=False)


_WRITER = """
import sys
from lossprune_lib.studies.experiment import Outcome
from lossprune_lib.studies.runs import Baseline, Run
from lossprune_lib.studies.store import Store
with Store(sys.argv[1]) as store:
    for stages in range(1, 40, 2):
        store.add([Run(Baseline("digits", "mlp_300_100", 0), "qm", 0.9, stages, 0.0)], [Outcome({}, [], b"")])
"""


def two_processes(bench: Bench) -> str:
    runs = [Run(Baseline("digits", "mlp_300_100", 0), "qm", 0.9, stages, 0.0) for stages in range(1, 41)]
    with Store(bench.store) as store:
        other = subprocess.Popen([sys.executable, "-c", _WRITER, str(bench.store)])
        for run in runs[1::2]:
            store.add([run], [Outcome({}, [], b"")])
        assert other.wait() == 0
        found = store.finished([run.key for run in runs])
    return f"works: {len(found)} of 40 runs of two processes are in one store"


CASES: list[Case] = [
    # files
    ("a missing checkpoint", lambda b: models.load(b.folder / "net.safetensors"), FileNotFoundError, "check the path"),
    (
        "a truncated checkpoint",
        lambda b: models.load(b.changed(b.checkpoint(), lambda c: c.__delitem__(slice(9000, None)))),
        ValueError,
        "copy it again",
    ),
    (
        "a tampered checkpoint",
        lambda b: models.load(b.changed(b.checkpoint(), lambda c: c.__setitem__(-1, c[-1] ^ 1))),
        ValueError,
        "copy it again",
    ),
    (
        "a pickle in place of a checkpoint",
        lambda b: torch.save(b.net, b.folder / "net.pt") or models.load(b.folder / "net.pt"),
        ValueError,
        "copy it again",
    ),
    ("a checkpoint with NaN weights", lambda b: prune(lambda _: nan_checkpoint(b))(b), ValueError, "'fc1'"),
    (
        "saving another network than it is named",
        lambda b: models.save(b.folder / "net", b.net, "mlp_300_100", b.task),
        ValueError,
        "models.mlp_300_100(task)",
    ),
    (
        "a note that is no string",
        lambda b: models.save(b.folder / "net", models.mlp_300_100(b.task), "mlp_300_100", b.task, epochs=3),
        TypeError,
        "in quotes",
    ),
    (
        "a note in the place of the shape",
        lambda b: models.save(b.folder / "net", models.mlp_300_100(b.task), "mlp_300_100", b.task, shape="1"),
        ValueError,
        "shape",
    ),
    ("saving into a folder's place", lambda b: b.mask(0.5).save(b.folder), IsADirectoryError, "is a folder"),
    ("saving below a file", lambda b: b.mask(0.5).save(b.checkpoint() / "mask"), FileExistsError, "cannot be written"),
    ("a path with a zero byte", lambda b: models.load("net\0"), ValueError, "file path"),
    (
        "a mask in place of a checkpoint",
        lambda b: models.load(b.mask(0.5).save(b.folder / "mask")),
        ValueError,
        "save it again",
    ),
    ("a checkpoint in place of a mask", lambda b: Mask.load(b.checkpoint()), ValueError, "Mask.save"),
    (
        "a damaged data file",
        lambda b: load_images(b, images(), lambda c: c.__delitem__(slice(500, None))),
        ValueError,
        "remove it",
    ),
    (
        "a data file of other images",
        lambda b: load_images(b, images(x_test=np.zeros((4, 8, 8), np.uint8))),
        ValueError,
        "replace the file",
    ),
    (
        "pickled objects in a data file",
        lambda b: load_images(b, images(y_test=np.array([b], object))),
        ValueError,
        "allow_pickle=False",
    ),
    ("a download cut half-way", cut_download, ConnectionError, 'data.load("digits")'),
    # studies
    ("a store that is not there", lambda b: b.study().table(b.store), FileNotFoundError, "run the study first"),
    (
        "a store in a folder that is not there",
        lambda b: b.study().run(b.folder / "none" / "runs.sqlite"),
        FileNotFoundError,
        "no folder",
    ),
    ("a read-only store", read_only, PermissionError, "cannot be written"),
    ("a truncated store", truncated_store, ValueError, "damaged"),
    ("another program's SQLite file", another_programs_file, ValueError, "another program"),
    ("seeds that a study has not", lambda b: b.study().only(7), TypeError, "[0, 1]"),
    ("a list of lists in a study", lambda b: b.study(stages=[[1, 2], [3]]), TypeError, "stages"),
    ("a study without seeds", lambda b: b.study(seeds=[]), ValueError, "no seeds"),
    ("a client that is none", lambda b: b.study().run(b.store, client="tcp://here"), TypeError, "leave it out"),
    ("a store opened by two processes", two_processes, None, "40 of 40"),
]
