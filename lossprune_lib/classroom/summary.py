"""What a teacher reads: who did what, which exercise to talk about, and how the class guessed."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from lossprune_lib.exercises.checking import known

if TYPE_CHECKING:
    import pandas as pd

MOST_ANSWERS = 6  # of a guess, the most frequent ones


def learners(table: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each learner: exercises that are right, those that are not yet and why, tries and guesses."""
    import pandas as pd

    rows = {}
    for who, mine in table.groupby("who", sort=False):
        exercises, guesses = mine[mine["kind"] == "exercise"], mine[mine["kind"] == "guess"]
        solved = exercises["right"].fillna(False)
        wrong = exercises[~exercises["right"].fillna(True)]
        rows[str(who)] = {
            "right": f"{solved.sum()} of {len(exercises)}",
            "right ones": " ".join(exercises.loc[solved, "number"]) or "-",
            "not yet, mistake": "; ".join(wrong["number"] + " " + wrong["mistake"].replace("", "?")) or "-",
            "tries": "?" if exercises["tries"].isna().any() else exercises["tries"].sum(),
            "guesses right": f"{guesses['right'].fillna(False).sum()} of {guesses['guess'].notna().sum()}",
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("who").reset_index()


def exercises(table: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each exercise: how many are right, of how many who tried, and the most frequent mistake."""
    import pandas as pd

    rows = []
    for title, mine in _by_exercise(table):
        tried, made = mine[mine["right"].notna()], _mistakes(mine)
        rows.append(
            {
                "exercise": title,
                "right": int(tried["right"].sum()),
                "tried": len(tried),
                "handed in": len(mine),
                "most frequent mistake": f"{made[0][0]} ({made[0][1]})" if made else "-",
            }
        )
    return pd.DataFrame(rows)


def guesses(table: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each guess that was made: by how many, how many were right, and what was guessed."""
    import pandas as pd

    made = table[(table["kind"] == "guess") & table["guess"].notna()]
    rows = [
        {
            "guess": title,
            "made": len(mine),
            "right": int(mine["right"].fillna(False).sum()),
            "what was guessed": _distribution(list(mine["guess"])),
        }
        for title, mine in made.groupby(made["notebook"].str[:2] + " " + made["name"])
    ]
    return pd.DataFrame(rows)


def to_talk_about(table: pd.DataFrame) -> list[str]:
    """Return a sentence for each exercise with a mistake that several made, and the most frequent of these first."""
    found = []
    for title, mine in _by_exercise(table):
        made = _mistakes(mine)
        if made and made[0][1] > 1:
            mistake, learners = made[0]
            meaning = known(mine["name"].iloc[0]).mistakes.get(mistake, "a mistake of form")
            found.append((-learners, f"{title}: {learners} learners, {mistake}. {meaning}"))
    return [sentence for _, sentence in sorted(found)]


def printed(table: pd.DataFrame) -> str:
    """Return all of it as text."""
    all_exercises, made, talk = exercises(table), guesses(table), to_talk_about(table)
    untouched = [str(row.exercise) for row in all_exercises.itertuples() if not row.tried]
    parts = [_text("Learners", learners(table))]
    if len(untouched) < len(all_exercises):
        parts.append(_text("Exercises", all_exercises[all_exercises["tried"] > 0]))
    if len(untouched):
        parts.append(f"Tried by nobody: {', '.join(untouched)}.")
    if len(made):
        parts.append(_text("Guesses", made))
    if talk:
        parts.append("\n".join(["To talk about", *talk]))
    return "\n\n".join(parts)


def _text(title: str, table: pd.DataFrame) -> str:
    """Return a table with its title; texts begin at the left of their column, numbers end at its right."""
    columns = []
    for name in table:
        cells = [str(name), *map(str, table[name])]
        width, numbers = max(map(len, cells)), table[name].dtype.kind in "iu"
        columns.append([cell.rjust(width) if numbers else cell.ljust(width) for cell in cells])
    return "\n".join([title, *("  ".join(row).rstrip() for row in zip(*columns, strict=True))])


def _by_exercise(table: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Give each exercise's number and name, and its rows."""
    rows = table[table["kind"] == "exercise"]
    for title, mine in rows.groupby(rows["number"] + " " + rows["name"]):
        yield str(title), mine


def _mistakes(rows: pd.DataFrame) -> list[tuple[str, int]]:
    """Return by how many learners each mistake was made, the most frequent first."""
    return Counter(mistake for text in rows["mistakes"] for mistake in text.split("; ") if mistake).most_common()


def _distribution(values: list[Any]) -> str:
    numbers = [value for value in values if not isinstance(value, str)]
    if len(numbers) == len(values):
        return f"{min(numbers):.3g} to {max(numbers):.3g}, median {statistics.median(numbers):.3g}"
    return ", ".join(f"{answer} {count}" for answer, count in Counter(map(str, values)).most_common(MOST_ANSWERS))
