"""What the notebooks ask of their readers."""

from __future__ import annotations

import pytest

from lossprune_lib import exercises


@pytest.mark.parametrize(
    ("guess", "measured", "row"),
    [
        (0.5, 0.88, [0.5, 0.88, "you are -0.38 away"]),
        (None, 0.88, ["not attempted", 0.88, "guess, then run again"]),
        ("QM", "QM", ["QM", "QM", "right"]),
        ("MP", "QM", ["MP", "QM", "not this time"]),
        (None, "QM", ["not attempted", "QM", "guess, then run again"]),
    ],
)
def test_reconcile_puts_guess_beside_outcome(guess: object, measured: object, row: list[object]) -> None:
    assert exercises.reconcile("it", guess, measured).loc["it"].tolist() == row


@pytest.mark.parametrize("guess", ["half", [0.5], float("nan"), True])
def test_a_guess_is_a_number(guess: object) -> None:
    with pytest.raises((TypeError, ValueError), match="Your guess"):
        exercises.reconcile("sparsity", guess, 0.88)
