"""The script that carries plans out in pieces: together they are the plan; here on the CPU."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from lossprune_lib import Study

SCRIPT = Path(__file__).parents[2] / "data" / "results" / "make_on_gpu.py"
PLAN = """
task = "digits"
model = "mlp_300_100"
criteria = ["mp", "lm"]
controls = ["", "uniform", "magnitude"]
sparsities = [0.9]
stages = [1]
step_penalties = [0, 0.5]
seeds = [1, 2]
[training]
epochs = 1
[tuning]
epochs = 1
"""


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    path = tmp_path / "small.toml"
    path.write_text(PLAN)
    return path


def test_pieces_are_the_plan_and_wait_for_their_network(plan: Path) -> None:
    script = runpy.run_path(str(SCRIPT))
    pieces = script["pieces_of"]([str(plan)], [2])
    assert [str(piece) for piece in pieces] == [
        "small 2 training",
        "small 2 mp",
        "small 2 mp uniform",
        "small 2 lm 0",
        "small 2 lm 0.5",
        "small 2 lm magnitude 0",
        "small 2 lm magnitude 0.5",
    ]
    first, *others = pieces
    assert pieces[first] is None
    assert all(pieces[piece] == first for piece in others)
    assert len(script["pieces_of"]([str(plan)])) == 14


def test_what_the_pieces_finish_is_what_a_study_finds(plan: Path, tmp_path: Path) -> None:
    script, study = runpy.run_path(str(SCRIPT)), Study.read(plan).only([1])
    for number, piece in enumerate(script["pieces_of"]([str(plan)], [1])):
        piece.do(tmp_path / "runs.sqlite", "cpu")
        assert study.finished(tmp_path / "runs.sqlite") == number  # each piece but the training is one run here
    assert study.finished(tmp_path / "runs.sqlite") == len(study.runs) == 6
    in_pieces = study.run(tmp_path / "runs.sqlite", device="cpu", progress=False)
    at_once = study.run(tmp_path / "other.sqlite", device="cpu", progress=False)
    for column in ("criterion", "control", "true_change", "tuned_test_error"):
        assert in_pieces[column].tolist() == pytest.approx(at_once[column].tolist()), column
