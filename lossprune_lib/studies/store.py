"""Store: an SQLite file with every finished run of a study, and the trained networks that the runs start from.

Runs that finish together are written in one transaction, so that a process killed at any moment leaves all of them or
none. Several processes may write to one file.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lossprune_lib.checks import check_path
from lossprune_lib.studies.experiment import Outcome, Trained
from lossprune_lib.studies.runs import Baseline, Run, describe

_APPLICATION = 0x70727565  # marks an SQLite file as one of ours
_FORMAT = 1
_TABLES = """
CREATE TABLE baselines (key TEXT PRIMARY KEY, settings TEXT, record TEXT, network BLOB, finished TEXT, seal TEXT);
CREATE TABLE runs (key TEXT PRIMARY KEY, settings TEXT, record TEXT, trace TEXT, mask BLOB, finished TEXT, seal TEXT);
"""
_SECONDS_TO_WAIT = 60.0  # for another process that is writing


class Store:
    """An open store; close it, or use it in a ``with`` statement.

    Parameters
    ----------
    path : created if it does not exist
    must_exist : refuse to create it

    Raises
    ------
    FileNotFoundError, PermissionError
        if there is no such file, or it cannot be written.
    ValueError
        if the file is damaged, not a store, or a store of another version of the library.

    Attributes
    ----------
    unfinished : a folder beside the file, for the states of trainings that are not finished
    """

    def __init__(self, path: str | Path, must_exist: bool = False) -> None:
        self.path = check_path(path)
        self.unfinished = self.path.with_name(f"{self.path.name}.unfinished")
        if must_exist and not self.path.is_file():
            raise FileNotFoundError(f"There is no store {self.path}: run the study first, or check the path.")
        if not self.path.parent.is_dir():
            raise FileNotFoundError(f"There is no folder {self.path.parent} for the store: make it first.")
        with self._worded():
            self._database = sqlite3.connect(self.path, timeout=_SECONDS_TO_WAIT, isolation_level=None)
            try:
                self._prepare()
            except BaseException:
                self._database.close()
                raise

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *raised: object) -> None:
        self._database.close()

    def finished(self, keys: Collection[str]) -> set[str]:
        """Return which of some runs' keys are here."""
        with self._worded():
            return set(keys) & {key for (key,) in self._database.execute("SELECT key FROM runs")}

    def baseline(self, baseline: Baseline) -> Trained | None:
        """Return a trained baseline, if it is here."""
        with self._worded():
            row = self._database.execute("SELECT * FROM baselines WHERE key = ?", (baseline.key,)).fetchone()
            if row is None:
                return None
            _, _, record, network, _ = _unsealed(row)
            return Trained(network, json.loads(record))

    def add_baseline(self, baseline: Baseline, trained: Trained) -> Trained:
        """Store a trained baseline, unless one is here already; return the stored one."""
        record = json.dumps(trained.record)
        row = _sealed(baseline.key, json.dumps(describe(baseline)), record, trained.network, _now())
        with self._writing() as database:
            database.execute("INSERT OR IGNORE INTO baselines VALUES (?, ?, ?, ?, ?, ?)", row)
        return self.baseline(baseline) or trained

    def add(self, runs: Sequence[Run], outcomes: Sequence[Outcome]) -> None:
        """Store runs that finished together, all or none; a run that is here already stays as it is."""
        now = _now()
        rows = [
            _sealed(run.key, json.dumps(describe(run)), json.dumps(o.record), json.dumps(o.trace), o.mask, now)
            for run, o in zip(runs, outcomes, strict=True)
        ]
        with self._writing() as database:
            database.executemany("INSERT OR IGNORE INTO runs VALUES (?, ?, ?, ?, ?, ?, ?)", rows)

    def outcomes(self, keys: Sequence[str]) -> Mapping[str, Outcome]:
        """Return the outcomes of those runs that are here, by key, in the order of the keys."""
        found = {}
        with self._worded():
            for key in keys:
                row = self._database.execute("SELECT * FROM runs WHERE key = ?", (key,)).fetchone()
                if row is not None:
                    _, _, record, trace, mask, _ = _unsealed(row)
                    found[key] = Outcome(json.loads(record), json.loads(trace), mask)
        return found

    def period(self, keys: Collection[str]) -> tuple[str, str] | None:
        """Return when the first and the last of some runs finished (UTC)."""
        wanted = set(keys)
        with self._worded():
            rows = self._database.execute("SELECT key, finished FROM runs")
            times = [finished for key, finished in rows if key in wanted]
        return (min(times), max(times)) if times else None

    def _prepare(self) -> None:
        # Tables first: another process that makes them commits these numbers with them, so they are not read too early.
        (tables,) = self._database.execute("SELECT count(*) FROM sqlite_master").fetchone()
        application, version = self._pragma("application_id"), self._pragma("user_version")
        if tables and application != _APPLICATION:
            raise ValueError(f"{self.path} is an SQLite file of another program: give the store another name.")
        if tables and version != _FORMAT:
            raise ValueError(
                f"{self.path} was written by another version of the library (format {version}, this one reads "
                f"{_FORMAT}): continue with that version, or give the store another name."
            )
        if tables:
            (state,) = self._database.execute("PRAGMA quick_check(1)").fetchone()
            if state != "ok":
                raise sqlite3.DatabaseError(state)
            return
        with self._writing() as database:
            # Another process may have made the tables while this one waited.
            if self._pragma("user_version") != _FORMAT:
                for statement in _TABLES.strip().split("\n"):
                    database.execute(statement)
                database.execute(f"PRAGMA application_id = {_APPLICATION}")
                database.execute(f"PRAGMA user_version = {_FORMAT}")

    def _pragma(self, name: str) -> int:
        (value,) = self._database.execute(f"PRAGMA {name}").fetchone()
        return value

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._worded(), self._database:  # which commits at the end, or rolls back
            self._database.execute("BEGIN IMMEDIATE")
            yield self._database

    @contextlib.contextmanager
    def _worded(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            words = {
                "readonly": "cannot be written: check who may write the file and its folder",
                "unable to open": "cannot be opened: check that it is a file, and who may read and write it",
                "locked": "has been locked by another process for a long time: try again when that has ended",
                "full": "does not fit on the disk: free some space, then run the study again; finished runs are kept",
            }
            found = next((text for sign, text in words.items() if sign in str(error)), None)
            if found is None:
                raise ValueError(f"{self.path} cannot be used ({error}): give the store another name.") from error
            raise PermissionError(f"{self.path} {found}.") from error
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            raise ValueError(
                f"{self.path} is damaged or not a store ({error}): move it away, or restore a copy, and run the study "
                "again."
            ) from error


def _sealed(*columns: str | bytes) -> tuple[str | bytes, ...]:
    """Return a row with a hash of its columns, which reveals damage that SQLite does not detect."""
    seal = hashlib.sha256()
    for column in columns:
        content = column.encode() if isinstance(column, str) else column
        seal.update(len(content).to_bytes(8, "big") + content)
    return *columns, seal.hexdigest()


def _unsealed(row: tuple[str | bytes, ...]) -> tuple[Any, ...]:
    """Return a row's columns without the seal; raise if they differ from what was written."""
    columns = row[:-1]
    if not all(isinstance(column, (str, bytes)) for column in columns) or _sealed(*columns) != row:
        raise sqlite3.DatabaseError("a row is not as it was written")
    return columns


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
