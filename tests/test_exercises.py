"""What the notebooks ask of their readers."""

from __future__ import annotations

import pytest

from lossprune_lib import exercises


def test_reconcile_puts_guess_beside_outcome() -> None:
    table = exercises.reconcile("sparsity", 0.5, 0.88)
    assert table.loc["sparsity"].tolist() == [0.5, 0.88, -0.38]


@pytest.mark.parametrize("guess", ["half", None, float("nan"), True])
def test_a_guess_is_a_number(guess: object) -> None:
    with pytest.raises((TypeError, ValueError), match="Your guess"):
        exercises.reconcile("sparsity", guess, 0.88)
