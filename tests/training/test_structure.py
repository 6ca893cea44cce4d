"""The structure of a network tells settings apart by their values, whether they compute anything or not."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lossprune_lib.training.structure import described, difference, structure


class Way(Enum):
    ONE = 1
    TWO = 2


class Scaled(nn.Module):
    def __init__(self, setting: object) -> None:
        super().__init__()
        self.layer, self.setting = nn.Linear(2, 2), setting

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)


def power(p: float) -> Callable[[Tensor], Tensor]:
    return lambda h: h**p


@dataclass
class Power:
    p: float

    def of(self, h: Tensor) -> Tensor:
        return h**self.p


def looped(value: object) -> list[object]:
    loop: list[object] = [value]
    loop.append(loop)
    return loop


def recursive(times: int) -> Callable[[int], int]:
    def count(n: int) -> int:
        return times * n and count(n - 1)

    return count


def defined(body: str) -> Callable[[Tensor], Tensor]:
    """Return a function as a cell of a notebook defines it again and again, always by the same name."""
    names: dict[str, object] = {"torch": torch}
    exec(f"def way(h, *more, scale=1, **named):\n    {body}", names)
    return names["way"]  # type: ignore[return-value]


def sparse(value: float, layout: torch.layout = torch.sparse_coo) -> Tensor:
    return torch.tensor([[0.0, value], [0.0, 0.0]]).to_sparse(layout=layout)


# Made anew for each network, so that it is not the object that is compared.
PAIRS: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
    "numbers": (lambda: 1.0, lambda: 2.0),
    "NumPy's truth": (lambda: np.bool_(True), lambda: np.bool_(False)),
    "enums": (lambda: Way.ONE, lambda: Way.TWO),
    "partial": (lambda: partial(F.leaky_relu, negative_slope=0.1), lambda: partial(F.leaky_relu, negative_slope=0.2)),
    "tensors": (lambda: torch.tensor(1.0), lambda: torch.tensor(2.0)),
    "last digits": (lambda: torch.tensor(1.00001), lambda: torch.tensor(1.00004)),
    "sparse tensors": (lambda: sparse(1.0), lambda: sparse(2.0)),
    "sparse rows": (lambda: sparse(1.0, torch.sparse_csr), lambda: sparse(2.0, torch.sparse_csr)),
    "meta tensors": (lambda: torch.empty(2, device="meta"), lambda: torch.empty(3, device="meta")),
    "conjugates": (lambda: torch.tensor([1j]).conj(), lambda: torch.tensor([2j]).conj()),
    "arrays": (lambda: np.ones(2), lambda: np.ones(3)),
    "arrays of words": (lambda: np.array(["a"]), lambda: np.array(["b"])),
    "arrays of objects": (lambda: np.array([None, {1}]), lambda: np.array([None, {2}])),
    "long numbers": (lambda: np.ones(9, np.longdouble) * 1.5, lambda: np.ones(9, np.longdouble) * 2.5),
    "records": (lambda: np.array([(1, 2.0)], "i1, f8"), lambda: np.array([(1, 3.0)], "i1, f8")),
    "dicts": (lambda: {"a": [1]}, lambda: {"a": [2]}),
    "lists that contain themselves": (lambda: looped(1), lambda: looped(2)),
    "functions": (lambda: F.relu, lambda: F.gelu),
    "closures": (lambda: power(1), lambda: power(2)),
    "functions that call themselves": (lambda: recursive(1), lambda: recursive(2)),
    "constants": (lambda: defined("return h + 1.0"), lambda: defined("return h + 2.0")),
    "names": (lambda: defined("return torch.sin(h)"), lambda: defined("return torch.cos(h)")),
    "inner functions": (lambda: defined("return map(lambda v: v + 1, h)"), lambda: defined("return map(abs, h)")),
    "methods": (lambda: Power(1).of, lambda: Power(2).of),
    "dataclasses": (lambda: Power(1), lambda: Power(2)),
}


@pytest.mark.parametrize("kind", PAIRS)
def test_settings_that_differ_are_told_apart_and_equal_ones_are_not(kind: str) -> None:
    one, other = PAIRS[kind]
    assert structure(Scaled(one())) != structure(Scaled(other()))
    assert structure(Scaled(one())) == structure(Scaled(one()))
    assert difference(Scaled(one()), Scaled(one())) == ""
    assert "'setting' of the network" in difference(Scaled(one()), Scaled(other()))


def test_a_hook_is_a_setting() -> None:
    nets = [Scaled(1), Scaled(1), Scaled(1)]
    for net in nets[1:]:
        net.layer.register_forward_hook(hook)
    assert structure(nets[0]) != structure(nets[1]) == structure(nets[2])
    assert difference(nets[0], nets[1]).startswith(
        "'_forward_hooks' of module 'layer' is missing in one and ['hook code "
    )


def test_what_a_hook_records_is_no_setting() -> None:
    nets = [Scaled(1), Scaled(1), Scaled(1)]
    for net, seen in zip(nets[1:], ([], [1]), strict=True):
        net.register_forward_hook(lambda module, inputs, output, seen=seen: seen.append(1))
        net.register_forward_pre_hook(lambda module, inputs: seen.append(2))  # noqa: B023
        net.register_forward_hook(partial(recording, seen))
    before = structure(nets[1])
    nets[1](torch.ones(1, 2))
    assert structure(nets[0]) != structure(nets[1]) == structure(nets[2]) == before


def recording(seen: list[int], *given: object) -> None:
    seen.append(3)


def hook(module: nn.Module, inputs: object, output: Tensor) -> Tensor:
    return 2 * output


def test_functions_that_all_refer_to_one_another_are_described_once() -> None:
    names = [f"f{i}" for i in range(12)]
    lines = [f"    {name} = lambda n: [{', '.join(names)}]" for name in names]
    defined: dict[str, Callable[[], object]] = {}
    exec("\n".join(["def made():", *lines, "    return f0"]), defined)
    assert described(defined["made"]()) == described(defined["made"]())  # in 12! steps it would never end


def test_functions_are_described_alike_in_every_process() -> None:
    code = "from lossprune_lib.training.structure import described; p = 2; "
    code += "print(described([lambda h, s={'a', 'b', 'c'}: h in {'d', 'e', 'f'} and (lambda v: v[..., 0] ** s)]))"
    runs = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        for seed in "12"
    ]
    assert runs[0].stdout == runs[1].stdout
    assert "<lambda>" in runs[0].stdout


def test_a_message_names_the_first_module_and_attribute_that_differ() -> None:
    nets = [nn.Sequential(nn.Tanh(), Scaled(value)) for value in ("net1", "net2")]
    assert difference(*nets) == "'setting' of module '1' is 'net1' in one and 'net2' in another"
    assert difference(nets[0], nets[0][:1]) == (
        "the class of module '1' is <class 'test_structure.Scaled'> in one and missing in another"
    )
    long = [Scaled("a" * 500 + end + "b" * 500) for end in "cd"]
    assert "acb" in difference(*long)
    assert len(difference(*long)) < 300


def test_a_class_that_moves_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    before = structure(Scaled(1))
    monkeypatch.setattr(Scaled, "__module__", "elsewhere")
    assert structure(Scaled(1)) == before
