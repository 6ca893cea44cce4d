"""What every network must get from a loss model: exact derivatives, or a refusal in words; and to stay as it was."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from typing import Any

import torch
from awkward_networks import dense_model
from random_networks import Case
from torch import Tensor, nn

from lossprune_lib import BatchLoss, LossModel, WeightSpace
from lossprune_lib.data.inputs import change, part, tensors_of

ADVICE = re.compile(
    r"(?:^|[.:,;] |\bor |\band )(?:call|give|make|remove|use|let|allow|convert|leave|wrap|look|repair|exclude|sample|"
    r"load|run|move|train|write|name|end|choose|Give|Call|Make|Use)\b[^:]*\.$"
)


def check(case: Case) -> str:
    """Assert that a case's network is modelled exactly, or refused where it must be; return which of them it was."""
    state = _state(case.net)
    x_before = change(case.x, Tensor.clone)
    try:
        return _check(case)
    finally:
        assert _state(case.net) == state, "the network is not what it was"
        assert all(torch.equal(*both) for both in zip(tensors_of(case.x), tensors_of(x_before), strict=True))


def _check(case: Case) -> str:
    space, error = _answer(lambda: WeightSpace(case.net))
    if error:
        assert "no weight to prune" in error, error
        return "no weights"
    weights = space.read()
    if case.moved:
        weights += 0.3 * torch.randn(weights.shape, generator=torch.Generator().manual_seed(0)).to(weights)
    if case.seen:  # what is found out with other inputs of this kind must not mislead
        first = part(case.x, torch.tensor([0, 0][: case.seen]))
        _answer(lambda: BatchLoss(space, (first, case.y[[0, 0][: case.seen]]), loss=case.loss).footprint)
    found, refusal = _answer(lambda: BatchLoss(space, (case.x, case.y), loss=case.loss, max_bytes=case.max_bytes))
    if refusal is None:
        found, refusal = _answer(lambda batch=found: (batch, batch.model(weights)))
    original = space.read()
    try:
        space.write_(weights)
        why = _why_not(case)
        if refusal is None and why == "mixes" and not _mixes_in_halves(case):
            return "hidden"
        if refusal is None:
            assert why is None, f"modelled although {why}"
            _assert_exact(case, space, found[1])
            return "exact"
        if "of one example, more" in refusal or "for one example, more" in refusal:
            return "too large"
        # In half precision an example's outputs depend on how many there are.
        may_mix = (case.mixing or case.net.autocast) and "influence one another" in refusal
        assert why is not None or may_mix, refusal
        if why == "mixes" or "influence one another" in refusal:
            batch = BatchLoss(space, (case.x, case.y), loss=case.loss, max_bytes=case.max_bytes)
            _assert_gradient(case, space, batch.model(weights, order=1))
            return "mixes"
        return why
    finally:
        space.write_(original)


def _answer(ask: Callable[[], Any]) -> tuple[Any, str | None]:
    """Return what is answered, or the sentence of a refusal; anything else that is raised is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ask(), None
        except (ValueError, TypeError) as error:
            sentence = str(error)
    assert "\n" not in sentence, sentence
    assert ADVICE.search(sentence), sentence
    return None, sentence


def _why_not(case: Case) -> str | None:
    """Return why a network has no model, found by running it; None if it has one."""
    x = change(case.x, Tensor.clone)
    whole = _outputs(case, x)
    if any(not torch.equal(*both) for both in zip(tensors_of(x), tensors_of(case.x), strict=True)):
        return "changes its input"
    try:
        case.loss.check(tuple(whole.shape), case.y)
    except (ValueError, TypeError) as error:
        return str(error)
    if case.loss.count(case.y) == 0:
        return "nothing counts"
    if why := _why_no_gradient(case):
        return why
    n = len(case.y)
    for i in range(n):
        for other in range(n):  # beside each of the others; and the only one beside itself
            pair = _outputs(case, part(case.x, torch.tensor([i, other])))
            if (pair[0] - whole[i]).abs().max() > _tolerance(case) * whole.abs().max() and (other != i or n == 1):
                return "mixes"
    return None


def _mixes_in_halves(case: Case) -> bool:
    """Return whether examples influence one another so that it shows in this batch, and not just in some pairs of it.

    In networks of a few units all may be dead for what would show it.
    """
    whole, n = _outputs(case, case.x), len(case.y)
    for i in range(2):
        rows = torch.arange(i, n, 2)
        half = _outputs(case, part(case.x, rows if len(rows) > 1 else rows.repeat(2)))[: len(rows)]
        if (half - whole[rows]).abs().max() > 1e-6 * whole[rows].abs().max():
            return True
    return False


def _why_no_gradient(case: Case) -> str | None:
    weights = list(WeightSpace(case.net).parameters)
    # Of the first two too: some networks take another way with these.
    for x in (case.x, part(case.x, slice(2))):
        try:
            outputs = _run(case, x)
            if outputs.requires_grad:
                torch.autograd.grad(outputs.sum(), weights, allow_unused=True)
        except RuntimeError:
            return "has no gradient"
        try:
            with torch.autograd.graph.disable_saved_tensors_hooks("recomputed"):
                _run(case, x)
        except RuntimeError:
            return "is computed again"
    return None


def _tolerance(case: Case) -> float:
    return 0.1 if case.net.autocast else 1e-9


@torch.no_grad()
def _outputs(case: Case, x: Any) -> Tensor:
    return _run(case, x)


def _run(case: Case, x: Any) -> Tensor:
    return case.net(**x) if isinstance(x, dict) else case.net(*(x if isinstance(x, tuple) else (x,)))


def _assert_exact(case: Case, space: WeightSpace, model: LossModel) -> None:
    wanted = dense_model(case.net, case.x, case.y, case.loss, space.names)
    for name, exact in zip(("gradient", "curvature"), wanted, strict=True):
        _assert_close(case, getattr(model, name), exact, name)


def _assert_gradient(case: Case, space: WeightSpace, model: LossModel) -> None:
    """By autograd, on the whole batch."""
    loss = case.loss.total(_run(case, case.x).to(space.like.dtype), case.y) / case.loss.count(case.y)
    wanted = [torch.zeros_like(parameter) for parameter in space.parameters]
    if loss.requires_grad:
        wanted = torch.autograd.grad(loss, space.parameters, allow_unused=True, materialize_grads=True)
    _assert_close(case, model.gradient, torch.cat([part.reshape(-1) for part in wanted]), "gradient")


def _assert_close(case: Case, found: Tensor | None, exact: Tensor, what: str) -> None:
    assert found is not None
    off = (found - exact).norm() / exact.norm().clamp_min(1e-6)
    assert off < 100 * _tolerance(case) if not case.net.autocast else off < 0.2, f"the {what} is off by {off}"


def _state(net: nn.Module) -> dict[str, Any]:
    """Return all that must be the same after as before."""
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks", "_state_dict_hooks")
    return {
        "values": {name: tensor.tolist() for name, tensor in net.state_dict().items()},
        "identity": [
            (name, id(t)) for name, t in [*net.named_parameters(remove_duplicate=False), *net.named_buffers()]
        ],
        "modules": [(name, id(module)) for name, module in net.named_modules(remove_duplicate=False)],
        "modes": [module.training for module in net.modules()],
        "hooks": [[list(getattr(module, name)) for name in hooks] for module in net.modules()],
        "attributes": [sorted(module.__dict__) for module in net.modules()],
        "trainable": [(parameter.requires_grad, parameter.grad is None) for parameter in net.parameters()],
        "random numbers": torch.get_rng_state().tolist()[:8],
    }
