"""Restricted to the weights that are kept, a loss model is the whole one where they are, and zero elsewhere."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from lossprune_lib import BatchLoss, LocalPruner, WeightSpace, data
from lossprune_lib.loss_modelling import restriction as restricting
from lossprune_lib.loss_modelling.restriction import DenseProductsWarning, Restriction
from lossprune_lib.networks import sparse

CLASSES = 4


class Attention(nn.Module):
    """Linear layers at several positions, one of them without a bias, and a head at one."""

    def __init__(self) -> None:
        super().__init__()
        self.mix, self.up, self.head = nn.Linear(8, 24, bias=False), nn.Linear(8, 8), nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.mix(x).chunk(3, dim=-1)
        return self.head(torch.tanh(self.up(torch.softmax(q @ k.mT, -1) @ v)).mean(1))


class Viewed(nn.Module):
    """A network that needs its layer's outputs stored example by example."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(6, 10), nn.Linear(5, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.tanh(self.first(x)).view(-1).view(len(x), 2, 5).sum(1))


class Tied(nn.Module):
    """A network that uses a weight once more, but only for some inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(6, 6), nn.Linear(6, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.tanh(self.first(x))
        return self.last(h @ self.first.weight if len(x) > 2 else h)


NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "mlp": (
        lambda: nn.Sequential(nn.Flatten(), nn.Linear(12, 9), nn.Tanh(), nn.Linear(9, 7), nn.ReLU(), nn.Linear(7, 4)),
        (3, 4),
    ),
    "convolutions": (
        lambda: nn.Sequential(
            nn.Conv2d(2, 3, 3), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(12, 9), nn.Linear(9, 4)
        ),
        (2, 4, 4),
    ),
    "attention": (Attention, (5, 8)),
    "a view": (Viewed, (6,)),
    "a weight used twice for some inputs": (Tied, (6,)),
}


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def case(name: str, examples: int = 7) -> tuple[WeightSpace, tuple[Tensor, Tensor]]:
    make, shape = NETWORKS[name]
    batch = torch.randn(examples, *shape, dtype=torch.float64), torch.randint(CLASSES, (examples,))
    return WeightSpace(make().double().eval()), batch


@pytest.mark.parametrize("examples", [1, 7])
@pytest.mark.parametrize("density", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.filterwarnings("ignore::lossprune_lib.loss_modelling.footprint.SlowCurvatureWarning")
@pytest.mark.filterwarnings("ignore::lossprune_lib.loss_modelling.restriction.DenseProductsWarning")
def test_a_restricted_model_is_the_whole_one_where_weights_are_kept(name: str, density: float, examples: int) -> None:
    space, batch = case(name, examples)
    kept = torch.rand(space.size) < density
    weights = space.read() * kept
    for max_bytes in (2**30, 2**15):  # whole, and in parts
        whole = BatchLoss(space, batch, max_bytes=2**30).model(weights)
        risk = BatchLoss(space, batch, max_bytes=max_bytes)
        found = risk.known(weights, 2, True, Restriction(space, kept))
        assert found.loss == pytest.approx(whole.loss, rel=1e-12)
        torch.testing.assert_close(found.gradient, whole.gradient * kept, rtol=1e-10, atol=1e-14)
        torch.testing.assert_close(found.curvature, whole.curvature * kept, rtol=1e-10, atol=1e-14)
        assert risk.known_loss(weights.clone(), Restriction(space, kept)) == found.loss


def test_layers_that_keep_few_weights_multiply_by_these_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    space, batch = case("mlp")
    kept = torch.cat([torch.rand(size) < density for size, density in zip(space.sizes, (0.1, 0.9, 0.1), strict=True)])
    restriction, multiplied = Restriction(space, kept), []
    monkeypatch.setattr(restricting, "linear", lambda *a: multiplied.append(a[0].shape) or sparse.linear(*a))
    BatchLoss(space, batch).known(space.read() * kept, 2, True, restriction)
    assert list(restriction.patterns) == [0, 2]
    assert multiplied == [(9, 12), (4, 7)]


def test_a_kept_weight_that_is_zero_has_its_derivatives() -> None:
    space, batch = case("mlp")
    kept = torch.rand(space.size) < 0.1
    weights = torch.zeros(space.size, dtype=torch.float64)
    risk = BatchLoss(space, batch)
    none = risk.known(weights, 2, True, Restriction(space, torch.zeros_like(kept)))
    some = risk.known(weights, 2, True, Restriction(space, kept))
    assert not none.gradient.any()
    torch.testing.assert_close(some.gradient, risk.model(weights).gradient * kept)


@pytest.mark.parametrize("fails", [False, True])
def test_the_network_is_left_as_it_was(fails: bool) -> None:
    space, _ = case("mlp")
    restriction = Restriction(space, torch.zeros(space.size, dtype=torch.bool))
    with pytest.raises(KeyError) if fails else pytest.MonkeyPatch.context(), restriction.applied(range(3)):
        assert all("forward" in vars(module) for module in space.modules)
        if fails:
            raise KeyError
    assert not any("forward" in vars(module) for module in space.modules)


def test_under_autocast_layers_compute_as_they_do_without_a_restriction() -> None:
    space, (x, _) = case("mlp")
    space.net.float()
    kept = torch.rand(space.size) < 0.1
    weights = (space.read() * kept).float()
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        expected = space.run(weights, space.rest(), x.float())
        with Restriction(space, kept).applied(range(3)):
            assert torch.equal(space.run(weights, space.rest(), x.float()), expected)


# --- networks that fail with sparse products


@pytest.fixture
def multiplied(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """The sparse products so far, by the shapes of their matrices."""
    shapes: list[tuple[int, ...]] = []
    monkeypatch.setattr(restricting, "linear", lambda *a: shapes.append(a[0].shape) or sparse.linear(*a))
    return shapes


def test_a_network_that_fails_with_sparse_products_is_tried_once_and_that_is_said(
    multiplied: list[tuple[int, ...]],
) -> None:
    splits = ("train", "valid", "test")
    x, y = torch.randn(40, 6), torch.arange(40) % CLASSES
    task = data.Task.from_tensors(**{f"x_{split}": x for split in splits}, **{f"y_{split}": y for split in splits})
    pruner = LocalPruner("qm", sparsity=0.98, stages=8, batch_size=20)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        run = pruner.prune(Viewed().eval(), task)
    assert [str(warning.message) for warning in said if warning.category is DenseProductsWarning] == [
        "This network cannot run by its kept weights alone (view size is not compatible with input tensor's size and "
        "stride (at least one dimension spans across two contiguous subspaces)), so it runs by all of them and late "
        "stages take as long as early ones: where a layer's outputs take a .view, a .reshape mends that."
    ]
    assert multiplied == [(10, 6)]
    assert len(run.trace) == 8


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, RuntimeError])
def test_an_error_that_dense_products_do_not_mend_is_raised_as_it_is(
    error: type[Exception], multiplied: list[tuple[int, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    space, batch = case("mlp")
    kept = torch.rand(space.size) < 0.1
    risk, tried, run = BatchLoss(space, batch), [], space.run
    assert not risk.footprint.dense  # its preflight is over

    def fails(*given: object) -> Tensor:
        tried.append(run(*given))
        raise error("no more of it")

    for _ in range(2):
        with monkeypatch.context() as patch, warnings.catch_warnings():
            warnings.simplefilter("error")
            patch.setattr(space, "run", fails)
            with pytest.raises(error, match="no more of it") as raised:
                risk.known(space.read() * kept, 0, False, Restriction(space, kept))
            assert raised.value.__context__ is None
    # Where memory ran out, more would be asked for in vain; neither failure says anything about the network.
    assert len(tried) == 2 * (1 if error is torch.OutOfMemoryError else 2)
    assert len(multiplied) == 2 * 3
    risk.known(space.read() * kept, 0, False, Restriction(space, kept))
    assert len(multiplied) == 3 * 3
