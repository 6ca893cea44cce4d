"""Inputs are the user's data: what a network does to them in place stays in copies, or is said."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lossprune_lib.data.inputs import OnCopies


def test_a_function_that_changes_its_inputs_is_given_copies() -> None:
    function, x = OnCopies(lambda x: x.add_(1)), torch.zeros(3)
    assert [function(x).sum().item() for _ in range(3)] == [3.0, 3.0, 3.0]
    assert x.sum() == 0


def test_one_that_does_not_is_given_the_data_themselves_after_a_first_copy() -> None:
    seen: list[Tensor] = []
    function, x = OnCopies(lambda x: seen.append(x) or x), torch.zeros(3)
    for _ in range(3):
        function(x)
    assert [given is x for given in seen] == [False, True, True]


def test_a_change_that_comes_later_is_said() -> None:
    function = OnCopies(lambda x: x.clamp_(max=1) if x.max() > 1 else x)
    function(torch.zeros(3))
    with pytest.raises(ValueError, match=r"some batches only.*x\.clone"):
        function(torch.full((3,), 2.0))
