"""Bad input and bad luck: what a learner or a researcher can do wrong, and the sentence that answers it.

Each case is a name, what provokes the answer, its kind and a word of its sentence. Where nothing is wrong, or nothing
is lost, the answer is what still works. ``python tests/test_bad_input.py`` prints a table of the whole sentences.
"""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path

import pytest
from bad_input import arguments, batches, interruptions, networks, stored
from bad_input.bench import Bench, Case

CASES: list[Case] = [
    *arguments.CASES,
    *batches.CASES,
    *networks.CASES,
    *stored.CASES,
    *interruptions.CASES,
]


def answer(case: Case, folder: Path) -> tuple[type[BaseException] | None, str]:
    """Return the kind of the answer and its sentence."""
    _, provoke, expected, _ = case
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        try:
            found = provoke(Bench(folder))
        except Exception as error:
            return type(error), str(error)
    if expected is not None and issubclass(expected, Warning):
        return next(((w.category, str(w.message)) for w in heard), (None, "nothing was said"))
    return None, str(found)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0])
def test_the_answer_is_a_clear_sentence(case: Case, tmp_path: Path) -> None:
    kind, sentence = answer(case, tmp_path)
    _, _, expected, word = case
    assert kind is expected, sentence
    assert word in sentence
    assert "\n" not in sentence.strip(), sentence


def test_every_case_has_a_name_of_its_own() -> None:
    names = [name for name, *_ in CASES]
    assert len(names) == len(set(names)) >= 45


def main() -> None:
    print("| case | answer |\n|---|---|")
    for case in CASES:
        with tempfile.TemporaryDirectory() as folder:
            kind, sentence = answer(case, Path(folder))
            words = " ".join(sentence.replace(f"{folder}/", "").split()).replace("|", "\\|")
            print(f"| {case[0]} | {f'{kind.__name__}: ' if kind else ''}{words} |", flush=True)


if __name__ == "__main__":
    main()
