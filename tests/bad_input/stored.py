"""Files and stores that are missing, damaged or something else."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
from torch import nn

from bad_input.bench import Bench, Case, prune
from lossprune_lib import models
from lossprune_lib.studies.experiment import Outcome
from lossprune_lib.studies.runs import Baseline, Run
from lossprune_lib.studies.store import Store


def nan_checkpoint(bench: Bench) -> nn.Module:
    net = models.mlp_300_100(bench.task)
    net.fc1.weight.data[0, 0] = np.nan
    models.save(bench.folder / "net", net, "mlp_300_100", bench.task)
    return models.load(bench.folder / "net")


def read_only(bench: Bench) -> None:
    run, outcome = Run(Baseline("digits", "mlp_300_100", 0), "mp", 0.5, 1, 0.0), Outcome({}, [], b"")
    with Store(bench.store) as store:
        store._database.execute("PRAGMA query_only = ON")  # as a file's permissions would, but for root too
        store.add([run], [outcome])


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
    # studies
    ("a store that is not there", lambda b: b.study().table(b.store), FileNotFoundError, "run the study first"),
    (
        "a store in a folder that is not there",
        lambda b: b.study().run(b.folder / "none" / "runs.sqlite"),
        FileNotFoundError,
        "no folder",
    ),
    ("a read-only store", read_only, PermissionError, "cannot be written"),
    ("seeds that a study has not", lambda b: b.study().only(7), TypeError, "[0, 1]"),
    ("a list of lists in a study", lambda b: b.study(stages=[[1, 2], [3]]), TypeError, "stages"),
    ("a client that is none", lambda b: b.study().run(b.store, client="tcp://here"), TypeError, "leave it out"),
    ("a store opened by two processes", two_processes, None, "40 of 40"),
]
