"""Write what teachers print and plan with: python notebooks/teaching.py

From the quizzes of the sources come teaching/quiz.md and teaching/quiz_key.md; from the outcomes in the built notebooks
teaching/guesses.md; from teaching/plans.toml and teaching/minutes.toml the plans in TEACHING.md. Run it when a notebook
has changed; a test says when.
"""

from __future__ import annotations

import html
import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import build
import jupytext
import nbformat

HERE = Path(__file__).parent
FOLDER = HERE / "teaching"
PLANS = HERE / "TEACHING.md"
NEW_PAGE = '<div style="break-before: page"></div>'
OPTION = re.compile(r"<details><summary>(.*?)</summary>(.*?)</details>", re.S)
QUESTION = re.compile(r"^\*\*\d+\. (.*?)\*\*$(.*?)(?=^\*\*\d+\. |\Z)", re.S | re.M)


@dataclass(frozen=True)
class Question:
    """A question of a quiz: its text, and each answer with the notebook's reply; one reply begins with "Right"."""

    text: str
    answers: tuple[tuple[str, str], ...]

    @property
    def right(self) -> int:
        """The index of the right answer."""
        (index,) = (i for i, (_, why) in enumerate(self.answers) if why.startswith("Right"))
        return index


def title(source: Path) -> str:
    """Return a notebook's title."""
    (heading,) = re.findall(r"^# # (\d\d .*)$", source.read_text("utf-8"), re.M)
    return str(heading)


@cache
def quiz(source: Path) -> list[Question]:
    """Return the quiz of a notebook, answers in the order of the alphabet, which betrays nothing."""
    cells = jupytext.read(source, fmt="py:percent").cells
    (text,) = (cell.source for cell in cells if cell.source.startswith("## Quiz"))
    return [
        Question(_line(asked), tuple(sorted(((_line(a), _line(why)) for a, why in OPTION.findall(rest)))))
        for asked, rest in QUESTION.findall(text)
    ]


def _line(text: str) -> str:
    return " ".join(text.split())


def sheet() -> str:
    """Return the quizzes without their answers, a page for each notebook."""
    pages = []
    for source in build.sources():
        lines = [f"## {title(source)}", "", "Name: ______________________________  Date: ______________", ""]
        for number, question in enumerate(quiz(source), start=1):
            lines += [f"{number}. **{question.text}**", ""]
            lines += [
                f"   - ☐ {letter}) {answer}" for letter, (answer, _) in zip("abcdef", question.answers, strict=False)
            ]
            lines.append("")
        pages.append("\n".join(lines))
    head = "# Quiz sheet\n\nA page for each notebook. One answer to each question is right. ([Key](quiz_key.md))\n\n"
    return head + f"\n{NEW_PAGE}\n\n".join(pages)


def key() -> str:
    """Return the right answers, and what to say to each wrong one."""
    pages = ["# Key to the quiz sheet\n\nThe right answer first, then what to say to those who chose another.\n"]
    for source in build.sources():
        lines = [f"## {title(source)}", ""]
        for number, question in enumerate(quiz(source), start=1):
            letters = dict(enumerate("abcdef"))
            answer, why = question.answers[question.right]
            lines += [f"{number}. **{letters[question.right]}) {answer}.** {why.removeprefix('Right. ')}", ""]
            wrong = [pair for pair in enumerate(question.answers) if pair[0] != question.right]
            lines += [f"   - {letters[i]}) {said}: {reply}" for i, (said, reply) in wrong] + [""]
        pages.append("\n".join(lines))
    return "\n".join(pages)


def guesses() -> str:
    """Return every guess of the course: the question, the answer that the built notebook computed, and replies."""
    lines = [
        "# Guesses, answers and replies",
        "",
        "What each notebook asks before it measures, the answer on the machine that built it, and what the notebook "
        "says to a guess that is off. These are the sentences to have ready.",
        "",
    ]
    for source in build.sources():
        asked, outcomes = [], []
        for cell in nbformat.read(HERE / f"{source.stem}.ipynb", 4).cells:
            for output in cell.get("outputs", []):
                page = "".join(output.get("data", {}).get("text/html", ""))
                if page.startswith("<p><b>"):
                    asked.append(_plain(page.partition("</p>")[0]))
                elif page.startswith("<details>"):
                    outcomes.append([_plain(part) for part in re.findall(r"<p>(.*?)</p>", page, re.S)])
        lines += [f"## {title(source)}", ""]
        for question, said in zip(asked, outcomes, strict=True):
            (answer,) = (part for part in said if part.startswith("Answer: "))
            lines += [f"**{question}** {answer}", ""]
            lines += [f"- {part}" for part in said if part.startswith("If you guessed")] + [""]
    return "\n".join(lines)


def _plain(page: str) -> str:
    """Return the text of a piece of HTML, safe as Markdown."""
    return _line(html.unescape(re.sub(r"<[^>]+>", "", page))).replace("*", r"\*")


def minutes() -> dict[str, Any]:
    """Return the table of minutes by notebook."""
    return tomllib.loads((FOLDER / "minutes.toml").read_text("utf-8"))


def plans() -> list[dict[str, Any]]:
    """Return the plans."""
    plan: list[dict[str, Any]] = tomllib.loads((FOLDER / "plans.toml").read_text("utf-8"))["plan"]
    return plan


def length(part: dict[str, Any], table: dict[str, Any]) -> int:
    """Return the minutes of one part of a plan: its own, or those of its sections and exercises."""
    if "minutes" in part:
        return int(part["minutes"])
    (found,) = (entry for name, entry in table.items() if name.startswith(part["notebook"]))
    sections = sum(found["sections"][str(section)] for section in part["sections"])
    return int(sections + sum(found["exercises"][exercise] for exercise in part.get("exercises", [])))


def plan_table(plan: dict[str, Any], table: dict[str, Any]) -> str:
    """Return a plan as a table, with the minutes at which each part begins and ends."""
    lines, begin = ["| minutes | what | how |", "|---|---|---|"], 0
    for part in plan["parts"]:
        end = begin + length(part, table)
        lines.append(f"| {begin}-{end} | {_what(part)} | {part['how']} |")
        begin = end
    return "\n".join(lines)


def _what(part: dict[str, Any]) -> str:
    if "what" in part:
        return str(part["what"])
    numbers = [str(section) for section in part["sections"] if section != "quiz"]
    what = f"{part['notebook']}, section{'s' * (len(numbers) > 1)} {_listed(numbers)}"
    if part.get("exercises"):
        what += f"; exercise{'s' * (len(part['exercises']) > 1)} {_listed(part['exercises'])}"
    return what + "; quiz" * ("quiz" in part["sections"])


def _listed(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def status(table: dict[str, Any]) -> str:
    """Say how many of the minutes were measured."""
    groups = ("sections", "exercises", "bonus")
    rows = [
        number in entry["measured"] for entry in table.values() for group in groups for number in entry.get(group, {})
    ]
    return (
        f"Times measured with learners: {sum(rows)} of {len(rows)}. The others are the authors' estimates "
        "(`teaching/minutes.toml` has them all): keep a tenth in hand."
    )


def teaching(text: str) -> str:
    """Return TEACHING.md with its plans made anew."""
    table = minutes()
    bodies = {plan["name"]: plan_table(plan, table) for plan in plans()} | {"status of the minutes": status(table)}
    for name, body in bodies.items():
        begin, end = f"<!-- {name}, made by teaching.py -->\n", f"<!-- end of {name} -->"
        before, begun, rest = text.partition(begin)
        _, ended, after = rest.partition(end)
        if not (begun and ended):
            raise ValueError(f"TEACHING.md has no place for {name!r}: write {begin!r} and {end!r} into it.")
        text = f"{before}{begin}\n{body}\n\n{end}{after}"
    return text


def written() -> dict[Path, str]:
    """Return what this script writes."""
    return {
        FOLDER / "quiz.md": sheet(),
        FOLDER / "quiz_key.md": key(),
        FOLDER / "guesses.md": guesses(),
        PLANS: teaching(PLANS.read_text("utf-8")),
    }


if __name__ == "__main__":
    for path, text in written().items():
        path.write_text(text.rstrip("\n") + "\n", "utf-8")
        print(path)
