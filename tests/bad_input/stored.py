"""Files that cannot be read or written, and studies that make no sense."""

from __future__ import annotations

import numpy as np
from torch import nn

from bad_input.bench import Bench, Case, prune
from lossprune_lib import models


def nan_checkpoint(bench: Bench) -> nn.Module:
    net = models.mlp_300_100(bench.task)
    net.fc1.weight.data[0, 0] = np.nan
    models.save(bench.folder / "net", net, "mlp_300_100", bench.task)
    return models.load(bench.folder / "net")


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
    ("seeds that a study has not", lambda b: b.study().only(7), TypeError, "[0, 1]"),
    ("a list of lists in a study", lambda b: b.study(stages=[[1, 2], [3]]), TypeError, "stages"),
    ("a client that is none", lambda b: b.study().run(b.store, client="tcp://here"), TypeError, "leave it out"),
]
