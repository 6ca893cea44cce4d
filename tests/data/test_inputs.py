"""Inputs are the user's data: what a network does to them in place stays in copies, or is said."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_sequence

from lossprune_lib import training
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


class OwnTask:
    """A task of the user's own, whose inputs are what a function makes of tensors."""

    device, dtype = torch.device("cpu"), torch.float64

    def __init__(self, inputs: Callable[[Tensor], object]) -> None:
        self.inputs = inputs

    def sample(self, examples: int, generator: torch.Generator) -> tuple[object, Tensor]:
        return next(self.batches("train"))

    def batches(self, split: str, *settings: object) -> Iterator[tuple[object, Tensor]]:
        for first in (1, 2):
            yield self.inputs(torch.full((4, 3), float(first), dtype=torch.float64)), torch.arange(4) % 2


class Taking(nn.Module):
    """Takes a tensor, or an object that has one, and what comes beside it; changes the tensor in place."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Linear(3, 2).double()

    def forward(self, x: Tensor | SimpleNamespace, mask: object = None, flag: bool = True) -> Tensor:
        assert mask is None
        assert flag is True
        return self.layer(x.values if isinstance(x, SimpleNamespace) else x.mul_(1))


BESIDE: dict[str, Callable[[Tensor], object]] = {
    "None": lambda x: {"x": x, "mask": None},
    "a flag": lambda x: {"x": x, "flag": True},
    "None in a tuple": lambda x: (x, None),
    "an object": lambda x: SimpleNamespace(values=x),
}


@pytest.mark.parametrize("what", BESIDE)
def test_a_task_may_give_other_things_beside_tensors(what: str) -> None:
    expected, found = (
        (training.evaluate(net, task), list(training.fit(net, task, 1, progress=False).parameters()))
        for net, task in ((Taking(), OwnTask(lambda x: x)), (Taking(), OwnTask(BESIDE[what])))
    )
    assert found[0] == expected[0]
    assert all(map(torch.equal, found[1], expected[1]))


def test_what_a_network_cannot_run_on_is_said_of_such_inputs_too() -> None:
    with pytest.raises(ValueError, match=r"cannot run on inputs of shape \[2\]"):
        training.evaluate(Taking(), OwnTask(lambda x: (x[:, :2], None)))


def test_packed_sequences_stay_such() -> None:
    seen: list[tuple[PackedSequence, None]] = []
    x = pack_sequence([torch.ones(3, 2), torch.ones(2, 2)]), None
    function = OnCopies(seen.append)
    for _ in range(2):
        function(x)
    assert all(isinstance(packed, PackedSequence) for packed, _ in seen)
    assert seen[0][0].data is not x[0].data
    assert torch.equal(seen[0][0].data, x[0].data)
