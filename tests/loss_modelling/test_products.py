"""Products with the full GGN and the full Hessian, against matrices that are built whole, in float64."""

from __future__ import annotations

import pytest
import torch
from sample_networks import NETWORKS, make, softmax_hessian
from torch import Tensor, nn
from torch.func import functional_call, jacrev
from torch.nn import functional as F

from lossprune_lib import LossModel, WeightSpace
from lossprune_lib.loss_modelling import Loss
from lossprune_lib.loss_modelling.products import (
    ggn_product,
    ggn_quadratic_form,
    hessian_product,
    hessian_quadratic_form,
)

SMALL = [name for name in NETWORKS if name not in ("a thousand classes", "one class")]
# L = sum of (z - y)^2: its Hessian by the logits is twice the identity.
SQUARED = Loss(
    total=lambda logits, targets: (logits - targets).square().sum(),
    hessian_root=lambda logits, targets: (
        2**0.5 * torch.eye(logits.shape[1], dtype=logits.dtype).unsqueeze(1).repeat(1, len(logits), 1)
    ),
)


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
def test_products_equal_the_whole_matrices(name: str, max_bytes: int) -> None:
    net, x, y = make(name)
    space = WeightSpace(net)
    ggn, hessian = dense(net, x, y)
    at = space, space.read(), space.rest(), (x, y)
    for vector in torch.randn(2, space.size, dtype=torch.float64):
        found = ggn_product(*at, vector, max_bytes=max_bytes)
        torch.testing.assert_close(found, ggn @ vector, rtol=1e-9, atol=1e-11)
        found = hessian_product(*at, vector, max_bytes=max_bytes)
        torch.testing.assert_close(found, hessian @ vector, rtol=1e-9, atol=1e-11)
        along = (
            ggn_quadratic_form(*at, vector, max_bytes=max_bytes),
            hessian_quadratic_form(*at, vector, max_bytes=max_bytes),
        )
        assert along[0] == pytest.approx((vector @ ggn @ vector).item(), rel=1e-9, abs=1e-12)
        assert along[1] == pytest.approx((vector @ hessian @ vector).item(), rel=1e-9, abs=1e-12)


def test_the_diagonal_is_that_of_the_loss_model() -> None:
    net, x, y = make("mlp")
    space = WeightSpace(net)
    ones = torch.eye(space.size, dtype=torch.float64)
    columns = torch.stack([ggn_product(space, space.read(), space.rest(), (x, y), one) for one in ones])
    torch.testing.assert_close(columns, columns.T)
    torch.testing.assert_close(columns.diagonal(), LossModel.at(net, (x, y)).curvature)
    assert torch.linalg.eigvalsh(columns).min() > -1e-12


def test_another_loss() -> None:
    net, x, _ = make("mlp")
    space, targets = WeightSpace(net), torch.randn(9, 4, dtype=torch.float64)
    weights, logits = as_one_vector(net, x)
    jacobian = jacrev(logits)(weights).detach().flatten(0, 1)
    hessian = jacrev(jacrev(lambda w: (logits(w) - targets).square().sum() / 9))(weights).detach()
    vector = torch.randn(space.size, dtype=torch.float64)
    at = space, space.read(), space.rest(), (x, targets), vector
    torch.testing.assert_close(ggn_product(*at, loss=SQUARED), 2 * jacobian.T @ (jacobian @ vector) / 9)
    torch.testing.assert_close(hessian_product(*at, loss=SQUARED), hessian @ vector)


def test_for_a_linear_network_both_are_the_same() -> None:
    net, x, y = make("linear")
    space = WeightSpace(net)
    at = space, space.read(), space.rest(), (x, y), torch.randn(space.size, dtype=torch.float64)
    torch.testing.assert_close(ggn_product(*at), hessian_product(*at))


def test_saturated_logits_stay_finite() -> None:
    net, x, y = make("mlp", scale=1000.0)
    net, x = net.float(), x.float()
    space = WeightSpace(net)
    at = space, space.read(), space.rest(), (x, y), torch.randn(space.size)
    assert torch.isfinite(ggn_product(*at)).all()
    assert torch.isfinite(hessian_product(*at)).all()
    assert ggn_quadratic_form(*at) >= 0


def test_any_weights_may_be_given_and_the_network_stays() -> None:
    net, x, y = make("mlp")
    space = WeightSpace(net)
    before = space.read()
    other = torch.randn(space.size, dtype=torch.float64)
    found = hessian_product(space, other, space.rest(), (x, y), other)
    assert torch.equal(space.read(), before)
    space.write_(other)
    torch.testing.assert_close(found, dense(net, x, y)[1] @ other)


@pytest.mark.parametrize(
    ("vector", "batch", "message"),
    [
        (torch.zeros(5), None, "belongs to another network"),
        (torch.zeros(2, 18), None, "one vector"),
        (torch.zeros(18), (torch.zeros(0, 6), torch.zeros(0, dtype=torch.int64)), "at least one example"),
        (torch.zeros(18), (torch.zeros(2, 6), torch.full((2,), 7)), "labels go"),
    ],
)
def test_what_does_not_fit_is_refused(vector: Tensor, batch: tuple[Tensor, Tensor] | None, message: str) -> None:
    net, x, y = make("linear")
    space = WeightSpace(net)
    given = (x, y) if batch is None else (batch[0].double(), batch[1])
    for product in (ggn_product, hessian_product, ggn_quadratic_form, hessian_quadratic_form):
        with pytest.raises(ValueError, match=message):
            product(space, space.read(), space.rest(), given, vector.double())
