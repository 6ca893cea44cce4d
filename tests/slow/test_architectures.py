"""Gradient and curvature are exact for networks that others have written, in timm and transformers, and for some more.

Each is compared in float64 with autograd, one example and one column at a time. Run as a script, this
file prints what came out as data/results/architectures.md has it.
"""

from __future__ import annotations

import platform
import sys
import warnings
from collections import Counter
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib import metadata
from typing import Any

import architectures
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from lossprune_lib import BatchLoss, LocalPruner, WeightSpace, data
from lossprune_lib.data.inputs import part
from lossprune_lib.loss_modelling.footprint import SlowCurvatureWarning
from lossprune_lib.pruning.local import CoverageWarning

TOLERANCE = 1e-9
LITTLE = 0.8  # of all parameters: if less can be pruned, pruning says so
EXACT, SLOW, REFUSED, WRONG, CRASHED = "exact", "exact, some layers slowly", "refused", "wrong", "crashed"
WORKS = (EXACT, SLOW)


@dataclass(frozen=True)
class Outcome:
    """What came out for a network. The error is the largest of any layer, as a share of the largest number in it."""

    how: str
    parameters: int
    layers: int = 0
    slow: int = 0
    coverage: float = 0.0
    error: float = 0.0
    words: str = ""  # why layers are slow, or why the network is refused


@cache
def examine(name: str) -> Outcome:
    """Model a network's loss, and compare with autograd; raise if it was changed, or if something is not said."""
    net, x, y = architectures.make(name)
    with architectures.InDouble():
        return compared(net, x, y)


def compared(net: nn.Module, x: Any, y: Tensor) -> Outcome:
    before = {place: (parameter, parameter.detach().clone()) for place, parameter in _places(net).items()}
    size = sum(parameter.numel() for parameter in net.parameters())
    refusal = None
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            space = WeightSpace(net)
            risk = BatchLoss(space, (x, y))
            model = risk.model(space.read())
        except (ValueError, TypeError) as error:
            refusal = Outcome(REFUSED, size, words=str(error))
    after = _places(net)
    assert {*before} == {*after}
    for place, (parameter, value) in before.items():
        assert after[place] is parameter, place
        assert torch.equal(parameter, value), place
    if refusal:
        return refusal
    gradient, diagonal = by_autograd(net, x, y, space.parameters)
    assert model.gradient is not None
    assert model.curvature is not None
    error = max(
        largest_error(space.split(model.gradient), gradient), largest_error(space.split(model.curvature), diagonal)
    )
    slow = risk.footprint.general
    assert bool(slow) == any(issubclass(warning.category, SlowCurvatureWarning) for warning in said)
    if space.coverage.share < LITTLE:
        with pytest.warns(CoverageWarning, match="parameters are prunable"):
            _pruned(net, x, y)
    how = WRONG if not error <= TOLERANCE else SLOW if slow else EXACT
    why = "; ".join(f"{count}: {reason}" for reason, count in Counter(slow.values()).most_common())
    return Outcome(how, size, len(space.layers), len(slow), space.coverage.share, error, why)


def _places(net: nn.Module) -> dict[str, nn.Parameter]:
    return dict(net.named_parameters(remove_duplicate=False))


def _pruned(net: nn.Module, x: Any, y: Tensor) -> None:
    loader = DataLoader([(part(x, n), label) for n, label in enumerate(y)])  # type: ignore[arg-type]
    LocalPruner("mp", sparsity=0.5, stages=1).prune(net, data.LoaderTask(loader, loader, loader), progress=False)


def by_autograd(net: nn.Module, x: Any, y: Tensor, weights: tuple[nn.Parameter, ...]) -> tuple[list[Tensor], ...]:
    """Return gradient and diagonal of the GGN of the mean cross-entropy, by each of some weights.

    A square root of the Hessian of each position's cross-entropy is that of its eigenvalues times its eigenvectors.
    """
    gradient, diagonal = ([torch.zeros_like(weight) for weight in weights] for _ in range(2))

    def add(total: Tensor, sums: list[Tensor], power: int) -> None:
        found = torch.autograd.grad(total, weights, retain_graph=True, allow_unused=True)
        for so_far, own in zip(sums, found, strict=True):
            if own is not None:
                so_far += own**power

    for n in range(len(y)):
        # Beside the other one: torch's own gradient of batch norm can be wrong for one example alone.
        outputs = architectures.run(net, part(x, torch.tensor([n, 1 - n])))[:1]
        if y.ndim > 1 and outputs.shape[1:-1] != y.shape[1:]:
            outputs = outputs.movedim(1, -1)
        logits, labels = outputs.reshape(-1, outputs.shape[-1]), y[n].reshape(-1)
        add(F.cross_entropy(logits, labels, reduction="sum"), gradient, 1)
        for row, label in zip(logits, labels, strict=True):
            if label < 0:
                continue
            hessian = torch.autograd.functional.hessian(lambda z, label=label: F.cross_entropy(z, label), row.detach())
            values, vectors = torch.linalg.eigh(hessian)
            for value, vector in list(zip(values, vectors.T, strict=True))[1:]:  # the first one is zero
                add((row * vector).sum() * value.clamp_min(0).sqrt(), diagonal, 2)
    count = int((y >= 0).sum())
    return tuple([so_far.detach() / count for so_far in sums] for sums in (gradient, diagonal))


def largest_error(found: list[Tensor], wanted: list[Tensor]) -> float:
    """Return the largest error in a layer, as a share of the largest number in it; infinite if all layers are zero."""
    errors = [0.0]
    whole = max(want.abs().max().item() for want in wanted)
    for own, want in zip(found, wanted, strict=True):
        # What is zero but for rounding is compared with the whole.
        largest = max(want.abs().max().item(), 1e-14 * whole)
        errors.append((own - want).abs().max().item() / largest if largest else float("inf"))
    return max(errors)


@pytest.fixture(scope="module")
def installed() -> None:
    if not architectures.are_installed():
        pytest.skip("timm and transformers are not installed: make test-slow does that")


@pytest.mark.slow
@pytest.mark.parametrize("name", architectures.names())
def test_it_equals_autograd_or_is_refused_in_words(installed: None, name: str) -> None:
    found = examine(name)
    assert found.how in (*WORKS, REFUSED), found
    if found.how == REFUSED:
        assert ": " in found.words
        assert found.words.endswith(".")


@pytest.mark.slow
def test_nearly_all_work(installed: None) -> None:
    found = {name: examine(name) for name in architectures.names()}
    assert len(architectures.TIMM) >= 50
    works = sum(outcome.how in WORKS for outcome in found.values())
    assert works >= 0.95 * len(found), {name: o.words for name, o in found.items() if o.how not in WORKS}
    print(table(found))


def table(found: dict[str, Outcome]) -> str:
    """Return a Markdown table of what came out."""
    head = ["network", "parameters", "prunable", "layers", "slow ones, or the refusal", "outcome", "largest error"]
    rows = [head, ["---"] * len(head)]
    for name, outcome in found.items():
        share, layers, error = f"{100 * outcome.coverage:.1f} %", str(outcome.layers), f"{outcome.error:.0e}"
        if outcome.layers == 0:
            share, layers, error = "", "", ""
        rows.append([f"`{name}`", f"{outcome.parameters:,}", share, layers, outcome.words, outcome.how, error])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def note(found: dict[str, Outcome]) -> str:
    """Return the table with what it says, and how it was made."""
    counts = Counter(outcome.how for outcome in found.values())
    versions = {"Python": platform.python_version()}
    versions |= {name: metadata.version(name) for name in ("torch", "timm", "transformers")}
    return f"""# Architectures

The loss of two examples was modelled in float64 for networks of timm and transformers, with random weights, and for
some made for this purpose: `tests/slow/architectures.py` makes them all, small. Gradient and curvature (the diagonal of
the Gauss-Newton matrix) of all prunable weights were compared with autograd, one example and one column at a time.

Of {len(found)} networks: {"; ".join(f"{count} {how}" for how, count in counts.most_common())}.

- *Prunable*: by default, of all parameters. Below 80 % pruning warns.
- *Slow*: layers without a rule of their own take a backward pass for each example and column.
- *Largest error*: of any layer, as a share of the largest number in it.
- What a network would compute in float32 by itself, such as norms, is computed in float64 here.

Made on {date.today()} on a CPU with {", ".join(f"{name} {version}" for name, version in versions.items())} by
`python tests/slow/test_architectures.py > data/results/architectures.md`. `make test-slow` compares anew.

{table(found)}"""


if __name__ == "__main__":
    architectures.prepared()
    outcomes = {}
    for each in architectures.names():
        print(each, flush=True, file=sys.stderr)
        try:
            outcomes[each] = examine(each)
        except Exception as error:  # to be seen in the table; the test fails
            outcomes[each] = Outcome(CRASHED, 0, words=f"{type(error).__name__}: {error}")
    print(note(outcomes))
