"""Quadratic forms with the full GGN and the full Hessian, against matrices that are built whole, in float64."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from awkward_networks import Made
from sample_losses import SQUARES
from sample_networks import NETWORKS, make, softmax_hessian
from torch import Tensor, nn
from torch.func import functional_call, jacrev
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from lossprune_lib import BatchLoss, WeightSpace

SMALL = [name for name in NETWORKS if name not in ("many classes", "one class")]


def as_one_vector(net: nn.Module, x: Tensor) -> tuple[Tensor, object]:
    """Return the prunable weights as one vector, and the network as a function of it; without the library."""
    named = {
        f"{name}.weight".lstrip("."): module.weight.detach()
        for name, module in net.named_modules()
        if isinstance(module, (nn.Linear, nn.Conv2d))
    }

    def logits(vector: Tensor) -> Tensor:
        parts = vector.split([w.numel() for w in named.values()])
        return functional_call(net, {n: p.view(w.shape) for (n, w), p in zip(named.items(), parts, strict=True)}, (x,))

    return torch.cat([w.reshape(-1) for w in named.values()]), logits


def dense(net: nn.Module, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return the GGN and the Hessian [D, D] of the mean cross-entropy, from Jacobians."""
    weights, logits = as_one_vector(net, x)
    jacobian = jacrev(logits)(weights).detach()
    inner = softmax_hessian(torch.softmax(logits(weights).detach(), 1))
    ggn = torch.einsum("ncd,nce,nef->df", jacobian, inner, jacobian) / len(x)
    hessian = jacrev(jacrev(lambda w: F.cross_entropy(logits(w), y)))(weights).detach()
    return ggn, hessian


@pytest.mark.parametrize("max_bytes", [2**30, 1])
@pytest.mark.parametrize("name", SMALL)
def test_quadratic_forms_equal_those_of_the_whole_matrices(name: str, max_bytes: int) -> None:
    net, x, y = make(name)
    risk = BatchLoss(net, (x, y), max_bytes=max_bytes)
    weights = risk.space.read()
    for matrix, whole in zip(("ggn", "hessian"), dense(net, x, y), strict=True):
        for step in torch.randn(2, risk.space.size, dtype=torch.float64):
            found = risk.quadratic_form(weights, step, matrix)
            assert found == pytest.approx((step @ whole @ step).item(), rel=1e-9, abs=1e-12)


def _attends(net: nn.Module, x: Tensor) -> Tensor:
    q, k, v = (layer(x).unsqueeze(1) for layer in (net.q, net.k, net.v))
    return net.o(F.scaled_dot_product_attention(q, k, v, is_causal=True)[:, 0].mean(1))


ATTENTION: dict[str, Callable[[], nn.Module]] = {
    "by function": lambda: Made(_attends, q=nn.Linear(4, 4), k=nn.Linear(4, 4), v=nn.Linear(4, 4), o=nn.Linear(4, 3)),
    "by module": lambda: Made(
        lambda net, x: net.o(net.a(x, x, x, need_weights=False)[0].mean(1)),
        a=nn.MultiheadAttention(4, 2, batch_first=True),
        o=nn.Linear(4, 3),
    ),
    "encoder": lambda: Made(
        lambda net, x: net.o(net.e(x).mean(1)),
        e=nn.TransformerEncoderLayer(4, 2, 5, batch_first=True, dropout=0.0),
        o=nn.Linear(4, 3),
    ),
}


class _Cube(torch.autograd.Function):
    """A layer of one's own, with a derivative backward alone."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return 3 * x**2 * gradient


ONLY_BACKWARD: dict[str, Callable[[], nn.Module]] = {
    "lstm": lambda: Made(
        lambda net, x: net.o(net.r(x)[0][:, -1]), r=nn.LSTM(4, 4, batch_first=True), o=nn.Linear(4, 3)
    ),
    "one's own": lambda: Made(
        lambda net, x: net.o(_Cube.apply(net.a(x))).mean(1), a=nn.Linear(4, 4), o=nn.Linear(4, 3)
    ),
}


@pytest.mark.parametrize("kind", ONLY_BACKWARD)
def test_layers_that_torch_cannot_derive_forward(kind: str) -> None:
    """In float32 an LSTM is one operation on CPUs, and has no forward derivative."""
    torch.manual_seed(0)
    net = ONLY_BACKWARD[kind]().eval()
    x, y = torch.randn(5, 3, 4), torch.randint(3, (5,))
    risk = BatchLoss(net, (x, y))
    weights = risk.space.read()
    step = torch.randn_like(weights)
    for matrix, expected in by_autograd(risk, x, y, weights, step).items():
        assert risk.quadratic_form(weights, step, matrix) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("kind", ATTENTION)
def test_attention_that_torch_fuses(kind: str) -> None:
    torch.manual_seed(0)
    net = ATTENTION[kind]().double().eval()
    x, y = torch.randn(5, 3, 4, dtype=torch.float64), torch.randint(3, (5,))
    risk = BatchLoss(net, (x, y))
    weights = risk.space.read()
    step = torch.randn_like(weights)
    for matrix, expected in by_autograd(risk, x, y, weights, step).items():
        assert risk.quadratic_form(weights, step, matrix) == pytest.approx(expected, rel=1e-9)
    assert torch.backends.mha.get_fastpath_enabled()


def by_autograd(risk: BatchLoss, x: Tensor, y: Tensor, weights: Tensor, step: Tensor) -> dict[str, float]:
    """Return the two quadratic forms from torch's own Jacobian and Hessian, going backward alone."""

    def logits(weights: Tensor) -> Tensor:
        named = zip(risk.space.names, weights.split(risk.space.sizes), risk.space.parameters, strict=True)
        return functional_call(risk.space.net, {name: part.view_as(own) for name, part, own in named}, (x,))

    jacobian = torch.autograd.functional.jacobian(logits, weights)
    inner = softmax_hessian(torch.softmax(logits(weights), 1))
    moved = jacobian @ step
    ggn = torch.einsum("nc,ncd,nd->", moved, inner, moved).item() / len(x)
    with sdpa_kernel(SDPBackend.MATH):  # the others have no second derivative
        hessian = step @ torch.autograd.functional.hessian(lambda w: F.cross_entropy(logits(w), y), weights) @ step
    return {"ggn": ggn, "hessian": hessian.item()}


def test_the_diagonal_is_that_of_the_loss_model() -> None:
    net, x, y = make("mlp")
    risk = BatchLoss(net, (x, y))
    weights = risk.space.read()
    units = torch.eye(risk.space.size, dtype=torch.float64)
    diagonal = torch.tensor([risk.quadratic_form(weights, unit, "ggn") for unit in units], dtype=torch.float64)
    torch.testing.assert_close(diagonal, risk.model(weights).curvature)


def test_another_loss() -> None:
    net, x, _ = make("mlp")
    targets = torch.randn(9, 4, dtype=torch.float64)
    weights, logits = as_one_vector(net, x)
    jacobian = jacrev(logits)(weights).detach().flatten(0, 1)
    hessian = jacrev(jacrev(lambda w: (logits(w) - targets).square().sum() / 9))(weights).detach()
    step = torch.randn(len(weights), dtype=torch.float64)
    risk = BatchLoss(net, (x, targets), loss=SQUARES)
    assert risk.quadratic_form(weights, step, "ggn") == pytest.approx(2 * (jacobian @ step).square().sum().item() / 9)
    assert risk.quadratic_form(weights, step, "hessian") == pytest.approx((step @ hessian @ step).item())


def test_layer_norm() -> None:
    """Torch's forward derivative of a forward derivative is silently wrong for it."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 5), nn.LayerNorm(5), nn.Linear(5, 4)).double()
    x, y = torch.randn(6, 3, dtype=torch.float64), torch.randint(4, (6,))
    weights, logits = as_one_vector(net, x)
    hessian = torch.autograd.functional.hessian(lambda w: F.cross_entropy(logits(w), y), weights)
    step = torch.randn_like(weights)
    found = BatchLoss(net, (x, y)).quadratic_form(weights, step, "hessian")
    assert found == pytest.approx((step @ hessian @ step).item(), rel=1e-9, abs=1e-12)


def test_a_loss_that_no_weight_reaches_has_no_quadratic_form() -> None:
    net, x, y = make("linear")
    constant = Made(lambda net, x: net.a(x).detach(), a=net)
    risk = BatchLoss(net, (x, y))
    weights = risk.space.read()
    assert BatchLoss(constant, (x, y)).quadratic_form(weights, weights, "hessian") == 0


def test_for_a_linear_network_both_are_the_same() -> None:
    net, x, y = make("linear")
    risk = BatchLoss(net, (x, y))
    weights, step = risk.space.read(), torch.randn(risk.space.size, dtype=torch.float64)
    assert risk.quadratic_form(weights, step, "ggn") == pytest.approx(risk.quadratic_form(weights, step, "hessian"))


def test_saturated_logits_stay_finite() -> None:
    net, x, y = make("mlp", scale=1000.0)
    risk = BatchLoss(net.float(), (x.float(), y))
    weights, step = risk.space.read(), torch.randn(risk.space.size)
    assert 0 <= risk.quadratic_form(weights, step, "ggn") < math.inf
    assert math.isfinite(risk.quadratic_form(weights, step, "hessian"))


def test_any_weights_may_be_given_and_the_network_stays() -> None:
    net, x, y = make("mlp")
    space = WeightSpace(net)
    before = space.read()
    other = torch.randn(space.size, dtype=torch.float64)
    found = BatchLoss(space, (x, y)).quadratic_form(other, other, "hessian")
    assert torch.equal(space.read(), before)
    space.write_(other)
    assert found == pytest.approx((other @ dense(net, x, y)[1] @ other).item())


@pytest.mark.parametrize(
    ("weights", "step", "matrix", "keyword"),
    [
        (torch.zeros(5), torch.zeros(18), "ggn", "another network"),
        (torch.zeros(18), torch.zeros(5), "hessian", "another network"),
        (torch.zeros(18), torch.zeros(2, 18), "ggn", "one vector"),
        (torch.zeros(18), torch.full((18,), math.nan), "hessian", "NaN"),
        (torch.zeros(18), torch.zeros(18), "fisher", "ggn, hessian"),
    ],
)
def test_what_does_not_fit_is_refused(weights: Tensor, step: Tensor, matrix: str, keyword: str) -> None:
    net, x, y = make("linear")
    with pytest.raises(ValueError, match=keyword):
        BatchLoss(net, (x, y)).quadratic_form(weights.double(), step.double(), matrix)


@pytest.mark.parametrize("matrix", ["ggn", "hessian"])
def test_a_form_is_the_same_where_there_are_no_gradients(matrix: str) -> None:
    net, x, y = make("mlp")
    risk = BatchLoss(net, (x, y))
    weights = risk.space.read()
    expected = risk.quadratic_form(weights, weights, matrix)
    with torch.no_grad():
        assert risk.quadratic_form(weights, weights, matrix) == expected
    with torch.inference_mode():
        made_here = BatchLoss(net, (x.clone(), y.clone()))
        for of in (risk, made_here):
            assert of.quadratic_form(of.space.read(), of.space.read(), matrix) == expected
