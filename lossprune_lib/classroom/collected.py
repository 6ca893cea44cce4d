"""A folder of reports and notebooks as one table, and a sentence for whatever is wrong in it."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lossprune_lib import files
from lossprune_lib.classroom import notebooks, reported
from lossprune_lib.classroom.entries import Entry, Submission, Unreadable
from lossprune_lib.exercises import course
from lossprune_lib.version import __version__

if TYPE_CHECKING:
    import pandas as pd

MOST_BYTES = 64 * 2**20  # a notebook of the course has half a megabyte
COLUMNS = [
    "who", "kind", "notebook", "number", "name", "right", "mistake", "mistakes", "tries", "guess", "when", "file",
]  # fmt: skip


@dataclass(frozen=True)
class Collected:
    """What a class handed in.

    Attributes
    ----------
    table : one row for each learner and exercise or guess, with the columns `COLUMNS`
    remarks : a sentence for each file that cannot be read, and for whatever else is odd
    """

    table: pd.DataFrame
    remarks: list[str]


def collect(folder: str | Path, *, execute: bool = False) -> Collected:
    """Read all reports (.json) and notebooks (.ipynb) of a folder and the folders in it.

    A report says whose it is. A notebook belongs to the first folder in which it lies, ``folder/Ada/01.ipynb``, else to
    whoever its name names, ``folder/Ada_01_loss_landscapes.ipynb``. Of several files by one learner a right answer in
    any counts, else the last.

    Parameters
    ----------
    execute : run the notebooks first, that is, run learners' code on this machine with your rights

    Raises
    ------
    ValueError
        if there is no such folder, or nothing in it can be read.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"There is no folder {folder}: name the one in which the reports or notebooks lie.")
    asked = {(ask.kind, ask.name): ask for ask in course.asked()}
    if not asked:
        raise ValueError("The notebooks of the course are not here: run this in the course's folder, not on a wheel.")
    submissions, remarks = [], []
    for path in sorted(folder.rglob("*")):
        place = path.relative_to(folder)
        if not path.is_file() or any(part.startswith((".", "__MACOSX")) for part in place.parts):
            continue
        try:
            submissions.append(_known(_read(path, place, execute), asked))
        except Unreadable as reason:
            remarks.append(f"{place} {reason}.")
    if not submissions:
        found = "\n".join(remarks) or f"{folder} holds no files."
        raise ValueError(f"{found}\nNothing can be read: reports end in .json, notebooks in .ipynb.")
    submissions.sort(key=lambda submission: submission.written)
    remarks += _oddities(submissions)
    return Collected(_table(submissions, asked), remarks)


def _read(path: Path, place: Path, execute: bool) -> Submission:
    if path.suffix.lower() not in (".json", ".ipynb"):
        raise Unreadable("is neither a report (.json) nor a notebook (.ipynb)")
    try:
        if path.stat().st_size > MOST_BYTES:
            raise Unreadable(f"is larger than {MOST_BYTES // 2**20} MiB")
        found = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise Unreadable(f"cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        if isinstance(error, Unreadable):
            raise
        raise Unreadable("is damaged or not complete: ask for it again") from error
    if path.suffix.lower() == ".json":
        return reported.read(str(place), found)
    who = notebooks.author(place)
    submission = notebooks.read(str(place), who, found)
    return notebooks.read(str(place), who, notebooks.executed(path)) if execute else submission


def _known(submission: Submission, asked: dict[tuple[str, str], course.Asked]) -> Submission:
    """Return what the course asks of a submission, and the names of what it does not ask."""
    known = tuple(entry for entry in submission.entries if (entry.kind, entry.name) in asked)
    unknown = tuple(entry.name for entry in submission.entries if (entry.kind, entry.name) not in asked)
    return replace(submission, entries=known, unknown=unknown)


def _oddities(submissions: list[Submission]) -> list[str]:
    said = []
    by_learner: dict[str, list[Submission]] = {}
    for submission in submissions:
        by_learner.setdefault(_same(submission.who), []).append(submission)
        if submission.unknown:
            names = ", ".join(map(repr, submission.unknown))
            said.append(f"{submission.file} names what this course does not ask: {names}; it is left out.")
        if submission.version and submission.version != __version__:
            said.append(f"{submission.file} is from version {submission.version} of the course; here is {__version__}.")
    for handed_in in by_learner.values():
        seen: set[tuple[str, str]] = set()
        twice = False
        for file in handed_in:
            asked = {(entry.kind, entry.name) for entry in file.entries}
            twice = twice or bool(asked & seen)
            seen |= asked
        if twice:
            files_of_one = ", ".join(file.file for file in handed_in)
            said.append(
                f"{handed_in[0].who} handed in the same exercises more than once ({files_of_one}): "
                "a right answer in any file counts, else the last."
            )
    return said


def _table(submissions: list[Submission], asked: dict[tuple[str, str], course.Asked]) -> pd.DataFrame:
    import pandas as pd

    best: dict[tuple[str, str, str], dict[str, Any]] = {}
    names: dict[str, str] = {}
    for submission in submissions:
        who = names.setdefault(_same(submission.who), submission.who)
        for entry in submission.entries:
            key = (_same(who), entry.kind, entry.name)
            if key not in best or _replaces(entry, best[key]):
                best[key] = _row(who, entry, asked[entry.kind, entry.name], submission.file)
    places = {key: number for number, key in enumerate(asked)}
    order = sorted(best, key=lambda key: (key[0], places[key[1:]]))
    return pd.DataFrame([best[key] for key in order], columns=COLUMNS).astype({"tries": "Int64", "right": "boolean"})


def _replaces(entry: Entry, row: dict[str, Any]) -> bool:
    if entry.kind == "guess":
        return entry.guess is not None and row["guess"] is None
    return entry.right is not None and not (row["right"] and not entry.right)


def _row(who: str, entry: Entry, ask: course.Asked, file: str) -> dict[str, Any]:
    return {
        "who": who,
        "kind": entry.kind,
        "notebook": ask.notebook,
        "number": ask.number,
        "name": entry.name,
        "right": entry.right,
        "mistake": entry.mistake,
        "mistakes": "; ".join(entry.mistakes),
        "tries": entry.tries,
        "guess": entry.guess,
        "when": entry.when,
        "file": file,
    }


def _same(who: str) -> str:
    return " ".join(who.split()).casefold()


def to_csv(table: pd.DataFrame, path: str | Path) -> Path:
    """Write a class's table, atomically; a text that a spreadsheet would take for a formula gets an apostrophe.

    Raises
    ------
    OSError
        if the file cannot be written.
    """
    text = table.apply(lambda column: column.map(_plain)).to_csv(index=False, lineterminator="\n")
    return files.replace(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def _plain(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@")) else value
