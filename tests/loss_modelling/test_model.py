"""LossModel: loss, gradient and curvature against independent computations, predictions, and what is refused."""

from __future__ import annotations

import copy
import math
import warnings

import pytest
import torch
from sample_losses import HALF_SQUARES, RISING_SQUARES
from sample_networks import NETWORKS, dense_ggn_diagonal, make, prunable
from torch import Tensor, nn
from torch.func import functional_call, jacrev
from torch.nn import functional as F

from lossprune_lib import BatchLoss, LossModel, WeightSpace
from lossprune_lib.loss_modelling import Loss, batch_loss, cross_entropy, curvature, passes
from lossprune_lib.loss_modelling.forward import Recording
from lossprune_lib.loss_modelling.losses import CrossEntropy


def log_likelihood(net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Return the mean cross-entropy, written out."""
    logits = net(x)
    return (logits.exp().sum(1).log() - logits[torch.arange(len(y)), y]).mean()


def flat(tensors: list[Tensor] | tuple[Tensor, ...]) -> Tensor:
    return torch.cat([tensor.reshape(-1) for tensor in tensors])


def example(order: int | None = 2) -> LossModel:
    """A model of three weights, by hand."""
    weights, gradient, diagonal = (
        torch.tensor([1.0, -2.0, 3.0]),
        torch.tensor([0.5, 1.0, -1.0]),
        torch.tensor([2.0, 0.0, 4.0]),
    )
    if order is None:
        return LossModel(weights)
    return LossModel(weights, 0.7, gradient if order >= 1 else None, diagonal if order == 2 else None)


# --- value, gradient, curvature -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("max_bytes", [2**30, 1])
def test_loss_and_gradient_equal_autograd(name: str, max_bytes: int) -> None:
    net, x, y = make(name)
    model = LossModel.at(net, (x, y), order=1, max_bytes=max_bytes)
    loss = log_likelihood(net, x, y)
    layers = [module for module in net.modules() if isinstance(module, (nn.Linear, nn.Conv2d))]
    gradient = flat(torch.autograd.grad(loss, [layer.weight for layer in layers]))
    assert model.loss == pytest.approx(loss.item(), rel=1e-12, abs=1e-14)
    torch.testing.assert_close(model.gradient, gradient, rtol=1e-10, atol=1e-12)
    assert torch.equal(model.weights, flat(list(prunable(net).values())))
    assert model.order == 1


@pytest.mark.parametrize("name", ["mlp", "convolutions", "dilation and groups", "residual with batch norm", "sequence"])
def test_gradient_equals_finite_differences(name: str) -> None:
    net, x, y = make(name)
    gradient = LossModel.at(net, (x, y), order=1).gradient
    chosen, width, offset = torch.randperm(len(gradient))[:25].tolist(), 1e-5, 0
    found = {}
    with torch.no_grad():
        for weight in (module.weight for module in net.modules() if isinstance(module, (nn.Linear, nn.Conv2d))):
            entries = weight.view(-1)
            for k in (k for k in chosen if offset <= k < offset + len(entries)):
                values, original = [], entries[k - offset].item()
                for shift in (width, -width):
                    entries[k - offset] = original + shift
                    values.append(log_likelihood(net, x, y).item())
                entries[k - offset] = original
                found[k] = (values[0] - values[1]) / (2 * width)
            offset += len(entries)
    expected = torch.tensor([found[k] for k in chosen], dtype=torch.float64)
    torch.testing.assert_close(gradient[chosen], expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("loss", [HALF_SQUARES, RISING_SQUARES], ids=["squared error", "weighted"])
@pytest.mark.parametrize("name", ["mlp", "convolutions", "one class", "sequence"])
@pytest.mark.parametrize("max_bytes", [2**30, 1])
def test_another_loss_is_modelled_exactly(loss: Loss, name: str, max_bytes: int) -> None:
    net, x, _ = make(name)
    targets = torch.randn(net(x).shape, dtype=torch.float64)
    model = LossModel.at(net, (x, targets), loss=loss, max_bytes=max_bytes)
    weights = prunable(net)

    def value(w: dict[str, Tensor]) -> Tensor:
        return loss.total(functional_call(net, w, (x,)), targets) / len(x)

    factor = torch.ones(targets.shape[1]) if loss is HALF_SQUARES else 2 * torch.arange(1.0, targets.shape[1] + 1)
    jacobians = jacrev(lambda w: functional_call(net, w, (x,)))(weights)
    squares = [j.flatten(2).square() * factor.double().view(1, -1, 1) for j in jacobians.values()]
    assert model.loss == pytest.approx(value(weights).item(), rel=1e-12)
    torch.testing.assert_close(model.gradient, flat(list(jacrev(value)(weights).values())).detach())
    torch.testing.assert_close(model.curvature, torch.cat([s.sum((0, 1)) for s in squares]).detach() / len(x))


def test_layers_may_run_in_another_order_than_they_are_registered() -> None:
    class Reversed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.last, self.first = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            return self.last(torch.tanh(self.first(x)))

    torch.manual_seed(0)
    net, x, y = Reversed().double(), torch.randn(9, 4, dtype=torch.float64), torch.arange(9) % 4
    model = LossModel.at(net, (x, y))
    gradient = torch.autograd.grad(log_likelihood(net, x, y), [net.last.weight, net.first.weight])
    torch.testing.assert_close(model.gradient, flat(gradient))
    torch.testing.assert_close(model.curvature, dense_ggn_diagonal(net, x))


def test_a_single_output_warns_under_cross_entropy_only() -> None:
    net, x, y = make("one class")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert (LossModel.at(net, (x, y.double().unsqueeze(1)), loss=HALF_SQUARES).curvature > 0).any()
        LossModel.at(net, (x, y), order=1)
    with pytest.warns(UserWarning, match="single logit"):
        LossModel.at(net, (x, y), order=2)


def test_second_order_is_third_order_exact_for_one_weight_of_a_linear_network() -> None:
    """There the GGN is the Hessian, so that halving a step of one weight leaves an eighth of the error."""
    net, x, y = make("linear")
    space, model = WeightSpace(net), LossModel.at(net, (x, y))
    errors = {}
    for order in (1, 2):
        for size in (0.02, 0.01):
            step = torch.zeros(space.size, dtype=torch.float64)
            step[4] = size
            after = BatchLoss(space, (x, y)).model(model.weights + step, order=0)
            errors[order, size] = after.loss - model.loss - model.predicted_change(step, order=order).item()
    assert errors[1, 0.02] / errors[1, 0.01] == pytest.approx(4, rel=0.05)
    assert errors[2, 0.02] / errors[2, 0.01] == pytest.approx(8, rel=0.05)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_networks_precision_is_kept(dtype: torch.dtype) -> None:
    net, x, y = make("convolutions")
    model = LossModel.at(net.to(dtype), (x.to(dtype), y))
    assert {model.weights.dtype, model.gradient.dtype, model.curvature.dtype} == {dtype}
    assert isinstance(model.loss, float)


def test_inputs_may_be_whole_numbers() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Embedding(5, 4), nn.Flatten(), nn.Linear(8, 3)).double()
    x, y = torch.randint(5, (9, 2)), torch.randint(3, (9,))
    model = LossModel.at(net, (x, y))
    assert model.loss == pytest.approx(log_likelihood(net, x, y).item())
    torch.testing.assert_close(model.curvature, dense_ggn_diagonal(net, x))


def test_the_network_is_left_as_it_was() -> None:
    net, x, y = make("residual with batch norm")
    net.head.train()
    before = copy.deepcopy(net.state_dict())
    with torch.no_grad():
        LossModel.at(net, (x, y))
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    assert [name for name, module in net.named_modules() if module.training] == ["head"]
    assert all(parameter.grad is None and parameter.requires_grad for parameter in net.parameters())


def test_the_model_at_other_weights_is_that_of_a_network_with_them() -> None:
    net, x, y = make("mlp")
    space = WeightSpace(net)
    weights = torch.randn(space.size, dtype=torch.float64, requires_grad=True)
    there = BatchLoss(space, (x, y)).model(weights)
    assert not there.weights.requires_grad
    space.write_(weights.detach())
    here = LossModel.at(net, (x, y))
    assert there.loss == here.loss
    for name in ("weights", "gradient", "curvature"):
        assert torch.equal(getattr(there, name), getattr(here, name))


def test_weights_of_another_network_are_refused() -> None:
    net, x, y = make("mlp")
    space = WeightSpace(net)
    with pytest.raises(ValueError, match="another network"):
        BatchLoss(space, (x, y)).model(space.read()[1:])


@pytest.mark.parametrize(("max_bytes", "together"), [(2**30, [9]), (1, [1] * 9)])
@pytest.mark.parametrize("order", [0, 1, 2])
def test_the_budget_decides_how_many_examples_run_together(
    max_bytes: int, together: list[int], order: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    net, x, y = make("mlp")
    seen: list[int] = []

    def total(self: Loss, logits: Tensor, labels: Tensor) -> Tensor:
        seen.append(len(labels))
        return F.cross_entropy(logits, labels, reduction="sum")

    monkeypatch.setattr(CrossEntropy, "total", total)
    LossModel.at(net, (x, y), order=order, max_bytes=max_bytes)
    assert seen == together


# --- orders -------------------------------------------------------------------------------------------------------


def _forbidden(*arguments: object, **options: object) -> None:
    raise AssertionError("this must not be computed")


def test_order_0_builds_the_loss_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    net, x, y = make("convolutions")
    monkeypatch.setattr(passes, "record", _forbidden)
    monkeypatch.setattr(curvature, "ggn_diagonals", _forbidden)
    model = LossModel.at(net, (x, y), order=0)
    assert model.loss == pytest.approx(log_likelihood(net, x, y).item(), rel=1e-12)
    assert (model.gradient, model.curvature, model.order) == (None, None, 0)
    with pytest.raises(AssertionError, match="must not"):
        LossModel.at(net, (x, y), order=1)


def test_order_1_builds_no_curvature(monkeypatch: pytest.MonkeyPatch) -> None:
    net, x, y = make("convolutions")
    monkeypatch.setattr(curvature, "ggn_diagonals", _forbidden)
    monkeypatch.setattr(CrossEntropy, "hessian_root", _forbidden)
    model = LossModel.at(net, (x, y), order=1)
    assert model.gradient is not None
    assert (model.curvature, model.order) == (None, 1)
    with pytest.raises(AssertionError, match="must not"):
        LossModel.at(net, (x, y), order=2)


@pytest.mark.parametrize("name", ["mlp", "convolutions", "residual with batch norm", "sequence"])
@pytest.mark.parametrize("max_bytes", [2**30, 1])
def test_curvature_alone_is_the_same_curvature(name: str, max_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    net, x, y = make(name)
    whole = LossModel.at(net, (x, y), max_bytes=max_bytes)
    monkeypatch.setattr(Recording, "add_gradient", _forbidden)
    alone = LossModel.at(net, (x, y), gradient=False, max_bytes=max_bytes)
    assert (alone.order, alone.gradient) == (2, None)
    assert alone.loss == whole.loss
    assert torch.equal(alone.curvature, whole.curvature)
    with pytest.raises(AssertionError, match="must not"):
        LossModel.at(net, (x, y), max_bytes=max_bytes)


def test_without_a_gradient_there_is_no_first_order() -> None:
    net, x, y = make("mlp")
    with pytest.raises(ValueError, match="nothing of order 1"):
        LossModel.at(net, (x, y), order=1, gradient=False)
    model = LossModel.at(net, (x, y), gradient=False)
    for order in (1, 2):
        with pytest.raises(ValueError, match="without its gradient"):
            model.predicted_change(torch.zeros_like(model.weights), order=order)


@pytest.mark.parametrize("order", [None, 0, 1, 2])
def test_a_model_knows_its_order(order: int | None) -> None:
    assert example(order).order == order


# --- what is kept -------------------------------------------------------------------------------------------------


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The orders of the models that are evaluated, in turn."""
    orders: list[int] = []
    evaluate = batch_loss.evaluate

    def heard(risk: BatchLoss, weights: Tensor, order: int, *rest: object) -> LossModel:
        orders.append(order)
        return evaluate(risk, weights, order, *rest)

    monkeypatch.setattr(batch_loss, "evaluate", heard)
    return orders


def equal(first: LossModel, second: LossModel) -> bool:
    pairs = [(getattr(first, name), getattr(second, name)) for name in ("weights", "gradient", "curvature")]
    return first.loss == second.loss and all(
        (a is None) == (b is None) and (a is None or torch.equal(a, b)) for a, b in pairs
    )


@pytest.mark.parametrize(
    ("points", "orders", "evaluated"),
    [
        ([0, 0, 0], [2, 2, 2], [2]),
        ([0, 0, 0], [2, 0, 1], [2]),
        ([0, 0, 0], [0, 1, 2], [0, 1, 2]),  # what is kept is of too low an order
        ([0, 1, 0, 1], [1, 0, 1, 0], [1, 0]),
        ([1, 0, 2, 0], [1, 1, 1, 1], [1, 1, 1]),
    ],
)
def test_a_model_is_made_once_at_each_point(
    points: list[int], orders: list[int], evaluated: list[int], made: list[int]
) -> None:
    net, x, y = make("mlp")
    risk = BatchLoss(net, (x, y))
    rows = torch.stack([risk.space.read(), torch.zeros(risk.space.size, dtype=torch.float64), -risk.space.read()])
    found = [risk.model(rows[point], order) for point, order in zip(points, orders, strict=True)]
    assert made == evaluated
    for point, order, model in zip(points, orders, found, strict=True):
        assert model.order >= order
        assert equal(model, BatchLoss(net, (x, y)).model(rows[point], model.order))


def test_a_model_without_its_gradient_is_no_answer_to_whoever_reads_it(made: list[int]) -> None:
    net, x, y = make("mlp")
    risk = BatchLoss(net, (x, y))
    weights = risk.space.read()
    assert risk.model(weights, gradient=False).gradient is None
    assert risk.model(weights, 1).gradient is not None
    assert risk.model(weights, 2).gradient is not None
    assert made == [2, 1, 2]


def test_points_of_equal_sum_are_told_apart(made: list[int]) -> None:
    """Whole numbers, so that the sums are equal to the last digit."""
    net, x, y = make("mlp")
    risk = BatchLoss(net, (x, y))
    row = torch.arange(risk.space.size, dtype=torch.float64) % 3 - 1
    rows = torch.stack([row, row.roll(1), row.flip(0), row, torch.zeros_like(row), row.roll(1)])
    assert len(set(rows.sum(1)[[0, 1, 2]].tolist())) == 1
    found = [risk.model(row, 0) for row in rows]
    assert made == [0] * 4
    assert len({model.loss for model in found}) == 4
    for model, row in zip(found, rows, strict=True):
        assert torch.equal(model.weights, row)


def test_what_is_kept_is_not_reached_by_later_changes_of_the_weights(made: list[int]) -> None:
    net, x, y = make("mlp")
    risk = BatchLoss(net, (x, y))
    weights = risk.space.read()
    before = risk.model(weights, 1)
    was = weights.clone()
    weights[[0, 1]] = weights[[1, 0]]  # of the same sum
    assert torch.equal(before.weights, was)
    assert equal(risk.model(weights, 1), BatchLoss(net, (x, y)).model(weights, 1))
    assert len(made) == 3


def test_no_more_is_kept_than_the_budget_allows(made: list[int]) -> None:
    net, x, y = make("mlp")
    space = WeightSpace(net)
    vector = space.read().nbytes
    risk = BatchLoss(space, (x, y), max_bytes=4 * vector)
    for factor in (1, 2, 1, 2, 3, 1):
        risk.model(factor * space.read(), 1)  # two vectors each
    assert made == [1, 1, 1, 1]
    tiny = BatchLoss(space, (x, y), max_bytes=1)
    for _ in range(2):
        tiny.model(space.read(), 0)
    assert len(made) == 6


@pytest.mark.parametrize("loss", [cross_entropy, HALF_SQUARES], ids=["cross-entropy", "squared error"])
@pytest.mark.parametrize("max_bytes", [2**30, 1])
def test_the_value_is_that_of_the_network_with_these_weights(max_bytes: int, loss: Loss) -> None:
    net, x, y = make("residual with batch norm")
    target = y if loss is cross_entropy else torch.randn(net(x).shape, dtype=torch.float64)
    risk = BatchLoss(net, (x, target), loss=loss, max_bytes=max_bytes)
    rows = risk.space.read() * torch.tensor([[1.0], [0.5], [0.0]], dtype=torch.float64)
    found = risk.value(rows)
    assert (found.dtype, found.shape) == (torch.float64, (3,))
    assert risk.value(rows[:0]).shape == (0,)
    for row, value in zip(rows, found, strict=True):
        assert risk.value(row).item() == value.item() == risk.model(row, 0).loss
        other = copy.deepcopy(net)
        WeightSpace(other).write_(row)
        assert value.item() == pytest.approx(loss.total(other(x), target).item() / len(x), rel=1e-12)


@pytest.mark.parametrize("ask", [BatchLoss.value, BatchLoss.model])
@pytest.mark.parametrize(
    ("change", "error", "keyword"),
    [
        (lambda w: w[1:], ValueError, "another network"),
        (lambda w: w.expand(2, 2, -1), ValueError, "one vector"),
        (lambda w: w.float(), ValueError, "float32"),
        (lambda w: w * math.nan, ValueError, "NaN"),
        (lambda w: w.tolist(), TypeError, "torch tensor"),
    ],
)
def test_points_that_do_not_fit_are_refused(ask, change, error: type[Exception], keyword: str) -> None:  # type: ignore[no-untyped-def]
    net, x, y = make("mlp")
    risk = BatchLoss(net, (x, y))
    with pytest.raises(error, match=keyword):
        ask(risk, change(risk.space.read()))


# --- predictions --------------------------------------------------------------------------------------------------


def test_predicted_change_by_hand() -> None:
    step = torch.tensor([2.0, -1.0, 0.5])
    assert example().predicted_change(step, order=1).item() == 1 - 1 - 0.5
    assert example().predicted_change(step, order=2).item() == 1 - 1 - 0.5 + (2 * 4 + 0 * 1 + 4 * 0.25) / 2
    assert example().predicted_change(step).item() == example().predicted_change(step, order=2).item()
    assert example(1).predicted_change(step, order=1).item() == -0.5


@pytest.mark.parametrize("shape", [(), (4,), (2, 3), (0,)])
@pytest.mark.parametrize("order", [1, 2])
def test_many_steps_are_predicted_at_once(shape: tuple[int, ...], order: int) -> None:
    steps = torch.randn(*shape, 3)
    changes = example().predicted_change(steps, order=order)
    assert changes.shape == shape
    for change, step in zip(changes.reshape(-1), steps.reshape(-1, 3), strict=True):
        torch.testing.assert_close(change, example().predicted_change(step, order=order))


@pytest.mark.parametrize(
    ("order_of_model", "order", "sentence"),
    [
        (1, 2, r"This model has order 1: make it with LossModel.at\(..., order=2\)"),
        (0, 1, "This model has order 0.*order=1"),
        (None, 1, "This model has order None"),
        (2, 0, "predicted with order 1 or 2"),
        (2, 3, "order is 3"),
    ],
)
def test_a_prediction_beyond_the_model_is_refused(order_of_model: int | None, order: int, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        example(order_of_model).predicted_change(torch.zeros(3), order=order)


@pytest.mark.parametrize("shape", [(), (2,), (3, 1)])
def test_a_step_of_another_size_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="step has shape"):
        example().predicted_change(torch.zeros(shape))


# --- what is refused ----------------------------------------------------------------------------------------------

NAN = torch.full((2, 6), math.nan, dtype=torch.float64)
X = torch.zeros(2, 6, dtype=torch.float64)
Y = torch.tensor([0, 1])

REFUSED = {
    "empty": ((X[:0], Y[:0]), ValueError, "0 inputs"),
    "too few labels": ((X, Y[:1]), ValueError, "1 labels"),
    "label too large": (
        (X, torch.tensor([0, 4])),
        ValueError,
        "labels from 0 to 4, but the network has 4 logits.*0 to 3",
    ),
    "label negative": ((X, torch.tensor([-1, 3])), ValueError, "labels from -1 to 3"),
    "labels of few bits": ((X, Y.int()), TypeError, "int64"),
    "labels in a column": ((X, Y.unsqueeze(1)), ValueError, r"labels \[2, 1\]"),
    "another precision": ((X.float(), Y), ValueError, "float32"),
    "another device": ((X.to("meta"), Y), ValueError, "meta"),
    "labels on another device": ((X, Y.to("meta")), ValueError, "network is on cpu"),
    "NaN": ((NAN, Y), ValueError, "12 values"),
    "infinite": ((X + math.inf, Y), ValueError, "12 values"),
    "no pair": (X[0], TypeError, "A batch is a pair of inputs"),
    "three things": ((X, Y, Y), TypeError, "pair"),
    "nothing": (None, TypeError, "A batch is a pair of inputs"),
    "arrays": ((X.numpy(), Y.numpy()), TypeError, "torch.from_numpy"),
    "lists": (([1], [2]), TypeError, "torch tensors"),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("order", [0, 2])
def test_a_bad_batch_is_refused_with_a_sentence(case: str, order: int) -> None:
    batch, error, sentence = REFUSED[case]
    net, _, _ = make("mlp")
    with pytest.raises(error, match=sentence):
        LossModel.at(net, batch, order=order)


@pytest.mark.parametrize("order", [3, -1, "2", None, 1.5])
def test_an_order_that_does_not_exist_is_refused(order: object) -> None:
    net, x, y = make("mlp")
    with pytest.raises(ValueError, match="order is"):
        LossModel.at(net, (x, y), order=order)


@pytest.mark.parametrize(("max_bytes", "error"), [(0, ValueError), (-1, ValueError), (2.0**30, TypeError)])
def test_a_budget_that_is_no_whole_number_is_refused(max_bytes: object, error: type[Exception]) -> None:
    net, x, y = make("mlp")
    with pytest.raises(error, match="max_bytes"):
        LossModel.at(net, (x, y), max_bytes=max_bytes)
