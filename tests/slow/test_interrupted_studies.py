"""A study that is killed again and again, or whose workers are, ends with the same table as an undisturbed one."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pandas as pd
import pytest

from lossprune_lib import Study
from lossprune_lib.studies.store import Store

SECONDS = ["pruning_seconds", "tuning_seconds"]
STUDY = Study.grid(
    sparsities=[0.8, 0.9, 0.95],
    stages=[1, 2],
    step_penalties=[0, 1e-2],
    criteria=["mp", "lm", "qm"],
    seeds=range(6),
    training=4,
    tuning=4,
)
# A process prints a line as it reaches a point, so that it can be killed there, and continues.
CHILD = """
import sys
from lossprune_lib.pruning import local
from lossprune_lib.training import ensembles, sgd
from lossprune_lib.studies.store import Store
from test_interrupted_studies import STUDY

def saying(owner, name, what):
    inner = getattr(owner, name)
    def outer(*arguments, **named):
        print(what, flush=True)
        return inner(*arguments, **named)
    setattr(owner, name, outer)

class Database:
    def __init__(self, database): self.database = database
    def __getattr__(self, name): return getattr(self.database, name)
    def __enter__(self): return self.database.__enter__()
    def __exit__(self, *error):
        print("commit", flush=True)
        return self.database.__exit__(*error)

def prepare(store, inner=Store._prepare):
    store._database = Database(store._database)
    inner(store)

Store._prepare = prepare
saying(sgd, "evaluate", "train")       # once an epoch, and after
saying(ensembles._Best, "update", "tune")   # once an epoch
saying(local, "run_stage", "prune")      # once a stage of each pruner
STUDY.run(sys.argv[1], progress=False)
print("done", flush=True)
"""
# One thread, as Dask's workers have: sums of other numbers of threads round otherwise, and training amplifies that.
ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(__file__).parent), "OMP_NUM_THREADS": "1"}
POINTS = {"train", "tune", "prune", "commit"}


def same(a: pd.DataFrame, b: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(a.drop(columns=[*SECONDS, "trace"]), b.drop(columns=[*SECONDS, "trace"]))
    for one, other in zip(a["trace"], b["trace"], strict=True):
        pd.testing.assert_frame_equal(one, other)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pd.DataFrame]:
    path = tmp_path_factory.mktemp("undisturbed") / "runs.sqlite"
    subprocess.run([sys.executable, "-c", CHILD, str(path)], env=ENVIRONMENT, check=True, stdout=subprocess.DEVNULL)
    return path, STUDY.table(path)


@pytest.mark.slow
def test_twenty_kills_lose_nothing_and_store_nothing_twice(
    undisturbed: tuple[Path, pd.DataFrame], tmp_path: Path
) -> None:
    path, chance = tmp_path / "runs.sqlite", random.Random(0)
    finished: set[str] = set()
    killed = []
    for kill in range(20):
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(path)], stdout=subprocess.PIPE, text=True, env=ENVIRONMENT
        )
        assert child.stdout is not None
        # Every other time as it commits; otherwise wherever it is, soon after its start.
        wanted, left = ({"commit"}, 1) if kill % 2 else (POINTS, chance.randint(1, 10))
        for line in child.stdout:
            left -= line.strip() in wanted
            if left == 0:
                break
        assert line.strip() in wanted, "the study is too small to be killed so often"
        time.sleep(chance.uniform(0, 0.02))
        child.send_signal(signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL
        child.stdout.close()
        killed.append(line.strip())
        if path.exists():
            with Store(path) as store:
                now = store.finished([run.key for run in STUDY.runs])
            assert finished <= now, "a finished run was lost"
            finished = now
    print("killed in:", ", ".join(killed))
    assert sum(point in ("train", "tune", "commit") for point in killed) >= 10
    assert 0 < len(finished) < len(STUDY.runs)

    subprocess.run([sys.executable, "-c", CHILD, str(path)], env=ENVIRONMENT, check=True, stdout=subprocess.DEVNULL)
    same(STUDY.table(path), undisturbed[1])
    assert (STUDY.masks(path) == STUDY.masks(undisturbed[0])).all()
    with sqlite3.connect(path) as database:
        assert (
            database.execute("SELECT count(*), count(DISTINCT settings) FROM runs").fetchone() == (len(STUDY.runs),) * 2
        )
        assert database.execute("SELECT count(*) FROM baselines").fetchone() == (6,)
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    database.close()


@pytest.mark.slow
def test_a_killed_worker_costs_only_its_own_jobs(
    undisturbed: tuple[Path, pd.DataFrame], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from distributed import Client, LocalCluster

    path, kills = tmp_path / "runs.sqlite", []
    added: list[int] = []
    add = Store.add
    monkeypatch.setattr(
        Store, "add", lambda store, runs, outcomes: (added.append(len(runs)), add(store, runs, outcomes))
    )
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        workers = client.run(os.getpid)

        def kill_one_that_works() -> None:
            while not kills:
                at_work = [worker for worker, tasks in client.processing().items() if tasks and worker in workers]
                if len(added) >= 2 and at_work:
                    os.kill(workers[at_work[0]], signal.SIGKILL)
                    kills.append(at_work[0])
                time.sleep(0.01)

        killer = threading.Thread(target=kill_one_that_works, daemon=True)
        killer.start()
        table = STUDY.run(path, client, device="cpu", progress=False)
        killer.join(timeout=5)
        after = client.run(os.getpid)
    assert kills, "no worker was killed"
    assert set(after.values()) != set(workers.values())
    assert sum(added) == len(STUDY.runs)
    columns = [name for name in table if name not in (*SECONDS, "trace", "versions")]
    pd.testing.assert_frame_equal(table[columns], undisturbed[1][columns], rtol=1e-4)
    with sqlite3.connect(path) as database:
        assert database.execute("SELECT count(*) FROM runs").fetchone() == (len(STUDY.runs),)
    database.close()


@pytest.mark.slow
def test_the_command_line_makes_its_own_cluster(tmp_path: Path) -> None:
    plan, store = tmp_path / "plan.toml", tmp_path / "runs.sqlite"
    plan.write_text("stages = [1, 2]\nstep_penalties = [0]\nseeds = [0, 1]\n[training]\nepochs = 1\n")
    command = [
        sys.executable,
        "-m",
        "lossprune_lib",
        "study",
        "run",
        str(plan),
        "--store",
        str(store),
        "--workers",
        "2",
    ]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert "seed 0: 7 of 7 runs finished" in run.stdout
    assert "seed 1: 7 of 7 runs finished" in run.stdout
    assert "Traceback" not in run.stderr
