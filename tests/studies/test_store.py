"""The store: runs are written all or none, never twice, and damaged or foreign files are refused with a sentence."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from lossprune_lib.studies.experiment import Outcome, Trained
from lossprune_lib.studies.runs import Baseline, Run
from lossprune_lib.studies.store import Store

BASELINE = Baseline("digits", "mlp_300_100", 0)
RUNS = [Run(BASELINE, "qm", 0.9, stages, 0.0) for stages in (1, 2, 3)]


def outcome(number: float) -> Outcome:
    return Outcome({"true_change": number, "tuned_train_loss": None}, [{"stage": 1, "loss": number}], b"mask")


def read(path: Path) -> tuple[object, object]:
    with Store(path, must_exist=True) as store:
        return store.outcomes([run.key for run in RUNS]), store.baseline(BASELINE)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "runs.sqlite"
    with Store(path) as store:
        store.add_baseline(BASELINE, Trained(b"network" * 1000, {"stacks": True, "dense_train_loss": 0.1}))
        store.add(RUNS[:2], [outcome(0.1), outcome(1 / 3)])
    return path


def test_what_is_kept_comes_back_exactly(path: Path) -> None:
    with Store(path, must_exist=True) as store:
        assert store.baseline(BASELINE) == Trained(b"network" * 1000, {"stacks": True, "dense_train_loss": 0.1})
        assert store.baseline(replace(BASELINE, seed=1)) is None
        assert store.finished([run.key for run in RUNS]) == {run.key for run in RUNS[:2]}
        found = store.outcomes([RUNS[1].key, RUNS[2].key, RUNS[0].key])
        assert list(found) == [RUNS[1].key, RUNS[0].key]
        assert list(found.values()) == [outcome(1 / 3), outcome(0.1)]
        first, last = store.period([run.key for run in RUNS])
        assert first <= last
        assert store.period(["none"]) is None


def test_nothing_is_stored_twice_and_the_first_stays(path: Path) -> None:
    with Store(path) as store:
        store.add(RUNS, [outcome(7.0)] * 3)
        found = [o.record["true_change"] for o in store.outcomes([run.key for run in RUNS]).values()]
        assert found == [0.1, 1 / 3, 7.0]
        kept = store.add_baseline(BASELINE, Trained(b"another", {}))
        assert kept.network == b"network" * 1000


def test_a_transaction_is_all_or_nothing(path: Path) -> None:
    with Store(path) as store:
        broken = Outcome({"true_change": object()}, [], b"")
        with pytest.raises(TypeError):
            store.add([RUNS[2], Run(BASELINE, "lm", 0.9, 1, 0.0)], [outcome(1.0), broken])
        assert store.finished([RUNS[2].key]) == set()

        def broken_off() -> None:
            with store._writing() as database:
                database.execute("DELETE FROM runs")
                raise RuntimeError

        with pytest.raises(RuntimeError):
            broken_off()
        assert len(store.finished([run.key for run in RUNS])) == 2


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"this is a text and no database at all, but long enough to be looked at" * 20, "damaged"),
        (b"SQLite format 3\0" + b"\xff" * 4000, "damaged"),
    ],
)
def test_another_kind_of_file_is_refused_and_left_alone(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "strange.sqlite"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=words):
        Store(path)
    assert path.read_bytes() == content


def test_another_programs_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.sqlite"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE runs (a)")
    before = path.read_bytes()
    with pytest.raises(ValueError, match="another program"):
        Store(path)
    assert path.read_bytes() == before


def test_another_version_is_refused(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(ValueError, match=r"another version of the library \(format 99"):
        Store(path)


def test_damage_anywhere_is_seen_or_harmless(path: Path) -> None:
    """With any byte flipped, either the original is read or an error explains what is wrong."""
    whole = path.read_bytes()
    wanted = read(path)
    refused = []
    for position in range(0, len(whole), 97):
        damaged = bytearray(whole)
        damaged[position] ^= 0x15
        path.write_bytes(damaged)
        try:
            found, baseline = read(path)
        except ValueError as error:
            refused.append(str(error))
        else:
            # A run with a damaged key is not found: it will be carried out again.
            assert all(found[key] == wanted[0][key] for key in found)
            assert baseline in (None, wanted[1])
    assert all("damaged" in words or "cannot be used" in words or "another" in words for words in refused)
    assert len(refused) > 20


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_truncated_file_is_refused(path: Path, share: float) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ValueError, match="damaged"):
        read(path)


def test_an_empty_file_is_a_new_store(tmp_path: Path) -> None:
    path = tmp_path / "new.sqlite"
    path.touch()
    with Store(path) as store:
        assert store.finished(["a"]) == set()


def test_missing_files_and_folders_are_said(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="run the study first"):
        Store(tmp_path / "none.sqlite", must_exist=True)
    with pytest.raises(FileNotFoundError, match="no folder"):
        Store(tmp_path / "none" / "runs.sqlite")
    with pytest.raises(PermissionError, match="cannot be opened"):
        Store(tmp_path)
    assert list(tmp_path.iterdir()) == []


_AS_NOBODY = """
import os, sys
from lossprune_lib.studies.runs import Baseline, Run
from lossprune_lib.studies.experiment import Outcome
from lossprune_lib.studies.store import Store
os.setuid(65534)
run = Run(Baseline("digits", "mlp_300_100", 0), "qm", 0.9, 77, 0.0)
with Store(sys.argv[1], must_exist=True) as store:
    store.finished([run.key])
    try:
        store.add([run], [Outcome({}, [], b"")])
    except PermissionError as error:
        print(error)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
def test_a_store_of_somebody_else_is_read_and_says_that_it_cannot_be_written(path: Path) -> None:
    for folder in (path.parent, *path.parents[1:4]):
        if folder != Path("/") and folder.is_relative_to("/tmp"):
            folder.chmod(folder.stat().st_mode | 0o055)
    path.chmod(0o644)
    run = subprocess.run([sys.executable, "-c", _AS_NOBODY, str(path)], capture_output=True, text=True, cwd="/")
    assert "cannot be written: check who may write" in run.stdout, run.stderr[-500:]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything")
def test_a_read_only_store_says_so(path: Path) -> None:
    path.chmod(0o444)
    with Store(path) as store, pytest.raises(PermissionError, match="cannot be written"):
        store.add(RUNS[2:], [outcome(1.0)])


def test_a_store_that_cannot_be_written_says_so(path: Path) -> None:
    with Store(path) as store:
        store._database.execute("PRAGMA query_only = ON")
        with pytest.raises(PermissionError, match="cannot be written"):
            store.add(RUNS[2:], [outcome(1.0)])


def test_a_locked_store_waits_then_says_so(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lossprune_lib.studies.store._SECONDS_TO_WAIT", 0.05)
    with (
        Store(path) as first,
        Store(path) as second,
        first._writing(),
        pytest.raises(PermissionError, match="another process"),
    ):
        second.add(RUNS[2:], [outcome(1.0)])


def test_a_full_disk_loses_nothing(path: Path) -> None:
    with Store(path) as store:
        (pages,) = store._database.execute("PRAGMA page_count").fetchone()
        store._database.execute(f"PRAGMA max_page_count = {pages}")
        large = Outcome({}, [], os.urandom(100_000))
        with pytest.raises(PermissionError, match="does not fit"):
            store.add(RUNS[2:], [large])
        assert len(store.finished([run.key for run in RUNS])) == 2


WRITER = """
import sys
from lossprune_lib.studies.experiment import Outcome
from lossprune_lib.studies.runs import Baseline, Run
from lossprune_lib.studies.store import Store
runs = [Run(Baseline("digits", "mlp_300_100", 0), "qm", 0.9, stages, 0.0) for stages in range(1, 41)]
for run in runs:
    with Store(sys.argv[1]) as store:
        store.add([run], [Outcome({"by": sys.argv[2]}, [], b"")])
"""


def test_a_store_that_another_process_makes_meanwhile_is_not_taken_for_another_programs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, read = tmp_path / "shared.sqlite", Store._pragma

    def and_then_another_makes_it(store: Store, name: str) -> int:
        value = read(store, name)
        monkeypatch.setattr(Store, "_pragma", read)
        with Store(path):
            pass
        return value

    monkeypatch.setattr(Store, "_pragma", and_then_another_makes_it)
    with Store(path) as store:
        assert store.outcomes(["none"]) == {}


@pytest.mark.slow
def test_several_processes_write_at_once(tmp_path: Path) -> None:
    path = tmp_path / "shared.sqlite"
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(path), str(i)]) for i in range(3)]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    runs = [Run(BASELINE, "qm", 0.9, stages, 0.0) for stages in range(1, 41)]
    with Store(path) as store:
        assert len(store.outcomes([run.key for run in runs])) == 40
        assert store._database.execute("SELECT count(*) FROM runs").fetchone() == (40,)
