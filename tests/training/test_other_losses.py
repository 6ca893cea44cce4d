"""Regression, several labels and a loss of one's own, from training over pruning and fine-tuning to evaluation."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lossprune_lib import LocalPruner, LossModel, WeightSpace, data, ensembles, models, training
from lossprune_lib.loss_modelling import (
    CrossEntropy,
    Loss,
    NothingCountsError,
    binary_cross_entropy,
    check_root,
    cross_entropy,
    mean_squared_error,
)
from lossprune_lib.training.gradual import fit_gradually

RECIPE = training.Recipe(epochs=12, lr=0.01, batch_size=20)
RATES = {"regression": 0.01, "counts": 0.002, "several labels": 0.1, "classes, smoothed": 0.1}


@dataclass(frozen=True)
class Poisson(Loss):
    """The negative log-likelihood of counts, up to what does not depend on the outputs, their log rates [N, 1]."""

    def total(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs.exp() - targets * outputs).sum()

    def hessian_root(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs / 2).exp().unsqueeze(0)


def numbers(x: Tensor) -> Tensor:
    return torch.stack([x.sum(1), x[:, 0] * x[:, 1]], 1)


def counts(x: Tensor) -> Tensor:
    return torch.poisson((x[:, :1] / 2 + 0.5).exp(), generator=torch.Generator().manual_seed(2))


# A loss, its targets from inputs, the number of outputs, and torch's mean loss.
KINDS: dict[str, tuple[Loss, Callable[[Tensor], Tensor], int, Callable[..., Tensor]]] = {
    "regression": (mean_squared_error, numbers, 2, F.mse_loss),
    "several labels": (
        binary_cross_entropy,
        lambda x: (x[:, :3] > 0.3).to(x),
        3,
        F.binary_cross_entropy_with_logits,
    ),
    "counts": (Poisson(), counts, 1, F.poisson_nll_loss),
    "classes, smoothed": (
        CrossEntropy(label_smoothing=0.1),
        lambda x: x[:, :3].argmax(1),
        3,
        lambda z, y: F.cross_entropy(z, y, label_smoothing=0.1),
    ),
}


def task_of(targets: Callable[[Tensor], Tensor], classes: int | None = None) -> data.Task:
    x = torch.randn(300, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    y = targets(x)
    return data.Task.from_tensors(x[:200], y[:200], x[200:250], y[200:250], x[250:], y[250:], classes=classes)


def zero_where_pruned(net: nn.Module, kept: Tensor) -> bool:
    return not WeightSpace(net).read()[~kept].any()


@pytest.mark.parametrize("kind", KINDS)
def test_from_training_to_a_fine_tuned_pruned_network(kind: str) -> None:
    loss, targets, outputs, torchs = KINDS[kind]
    task, recipe = task_of(targets, outputs), replace(RECIPE, lr=RATES[kind])
    fresh = models.mlp_300_100(task)
    net = training.fit(fresh, task, recipe=recipe, loss=loss, progress=False)
    before = training.evaluate(fresh, task, "test", loss=loss)
    after = training.evaluate(net, task, "test", loss=loss)
    assert after.loss < before.loss - 0.1
    with torch.no_grad():
        assert after.loss == pytest.approx(torchs(net(task.x_test), task.y_test).item(), rel=1e-10)

    run = LocalPruner("qm", sparsity=0.95, stages=4, batch_size=100, loss=loss).prune(net, task, progress=False)
    pruned = run.network()
    with torch.no_grad():
        expected = [torchs(each(task.x_train), task.y_train).item() for each in (net, pruned)]
    assert run.train_loss == pytest.approx(expected, rel=1e-10)
    by_chance = LocalPruner("random", sparsity=0.95, stages=1, loss=loss).prune(net, task, progress=False)
    assert abs(run.true_change) < abs(by_chance.true_change)

    tuned = training.fit(pruned, task, recipe=recipe, loss=loss, mask=run.mask, progress=False)
    assert zero_where_pruned(tuned, run.mask.kept)
    assert training.evaluate(tuned, task, "test", loss=loss).loss < (before.loss + after.loss) / 2


@pytest.mark.parametrize("kind", KINDS)
def test_the_best_epoch_has_the_lowest_error_or_else_the_lowest_loss(kind: str) -> None:
    loss, targets, outputs, _ = KINDS[kind]
    task, heard = task_of(targets, outputs), []
    recipe = training.Recipe(epochs=40, lr=RATES[kind], batch_size=5)
    net = models.mlp_300_100(task)
    fitted = training.fit(
        net, task, recipe=recipe, loss=loss, progress=False, on_epoch=lambda _, score: heard.append(score)
    )
    without = isinstance(loss, (Poisson, type(mean_squared_error)))
    measure = [score.loss if without else score.error for score in heard]
    assert all(math.isnan(score.error) == math.isnan(score.accuracy) == without for score in heard)
    assert min(measure) < measure[-1]  # otherwise this would show nothing
    best = training.evaluate(fitted, task, loss=loss)
    assert (best.loss if without else best.error) == min(measure)


def test_errors_are_wrong_answers() -> None:
    loss, targets, outputs, _ = KINDS["several labels"]
    task = task_of(targets, outputs)
    net = training.fit(models.mlp_300_100(task), task, recipe=RECIPE, loss=loss, progress=False)
    with torch.no_grad():
        wrong = (net(task.x_test) > 0) != (task.y_test > 0.5)
    assert training.evaluate(net, task, "test", loss=loss).error == pytest.approx(wrong.double().mean().item())
    assert wrong.any()


@pytest.mark.parametrize("last", [False, True], ids=["[N, C, T]", "[N, T, C]"])
def test_positions_that_are_labelled_count(last: bool) -> None:
    def next_one(x: Tensor) -> Tensor:
        y = (x > 0).long()
        y[::3, 2:] = -100
        return y

    class Tagger(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.layer = nn.Linear(6, 12).double()

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(x).unflatten(1, (6, 2) if last else (2, 6))

    task = task_of(next_one)
    assert task.classes == 2
    net = training.fit(Tagger(), task, recipe=RECIPE, progress=False)
    found = training.evaluate(net, task, "test")
    with torch.no_grad():
        logits = net(task.x_test).movedim(-1 if last else 1, 1)
    assert found.loss == pytest.approx(F.cross_entropy(logits, task.y_test).item(), rel=1e-10)
    counted = task.y_test != -100
    assert found.accuracy == pytest.approx((logits.argmax(1) == task.y_test)[counted].double().mean().item())
    assert found.accuracy > 0.8


@pytest.mark.parametrize("kind", ["ignored", "weightless"])
def test_a_batch_of_which_nothing_counts_is_no_obstacle(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    loss = CrossEntropy(label_smoothing=0.1, class_weights=(0.0, 1.0, 2.0) if kind == "weightless" else None)
    x = torch.randn(60, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    y = 1 + (x[:, 0] > 0).long()
    y[10:20] = -100 if kind == "ignored" else 0
    task = data.Task.from_tensors(x, y, x, y, x, y, classes=3)
    batches = data.Task.batches
    monkeypatch.setattr(data.Task, "batches", lambda self, split, *_: batches(self, split, 10))
    torch.manual_seed(0)
    net = nn.Linear(6, 3).double()
    found = training.evaluate(net, task, loss=loss)
    weight = None if loss.class_weights is None else torch.tensor(loss.class_weights).double()
    expected = F.cross_entropy(net(x), y, weight, label_smoothing=0.1).item()
    assert found.loss == pytest.approx(expected, rel=1e-12)
    recipe = training.Recipe(epochs=1, momentum=0.0, weight_decay=0.0, lr=0.1)
    fitted = training.fit(net, task, recipe=recipe, loss=loss, progress=False)
    rest = replace(task, x_train=torch.cat([x[:10], x[20:]]), y_train=torch.cat([y[:10], y[20:]]))
    assert torch.equal(fitted.weight, training.fit(net, rest, recipe=recipe, loss=loss, progress=False).weight)
    nothing = replace(task, y_valid=y[10:20].repeat(6))
    with pytest.raises(ValueError, match="None of the targets"):
        training.evaluate(net, nothing, loss=loss)


def test_gradual_pruning_by_another_loss() -> None:
    loss, targets, outputs, _ = KINDS["regression"]
    task = task_of(targets, outputs)
    net, mask = fit_gradually(models.mlp_300_100(task), task, 0.9, loss=loss, recipe=RECIPE, progress=False)
    assert mask.sparsity == pytest.approx(0.9, abs=1e-4)
    assert zero_where_pruned(net, mask.kept)
    untrained = training.evaluate(models.mlp_300_100(task), task, loss=loss).loss
    assert training.evaluate(net, task, loss=loss).loss < untrained / 2


def test_gradual_pruning_takes_an_epoch_at_least() -> None:
    task = task_of(KINDS["regression"][1], KINDS["regression"][2])
    recipe = replace(RECIPE, epochs=0)
    with pytest.raises(ValueError, match="at least 1"):
        fit_gradually(models.mlp_300_100(task), task, 0.9, recipe=recipe, progress=False)


def test_the_loss_of_ones_own_above_is_right() -> None:
    task = task_of(counts)
    check_root(Poisson(), torch.randn(1, 1), task.y_train[:1])


def test_a_bar_shows_the_loss_where_there_is_no_error(capsys: pytest.CaptureFixture[str], monkeypatch) -> None:  # type: ignore[no-untyped-def]
    clock = iter(range(0, 10**6, 10))
    monkeypatch.setattr("tqdm.std.time", lambda: float(next(clock)))
    task = task_of(numbers)
    training.fit(nn.Linear(6, 2).double(), task, 3, loss=mean_squared_error)
    assert "validation loss" in capsys.readouterr().err


# --- refusals


@pytest.mark.parametrize("use", [training.fit, training.evaluate])
def test_a_loss_that_does_not_go_with_the_targets_is_refused(use: Callable[..., object]) -> None:
    regression, classes = task_of(numbers), task_of(lambda x: x[:, :2].argmax(1))
    net = nn.Linear(6, 2).double()
    for task, loss, error, keyword in [
        (regression, cross_entropy, TypeError, "int64"),
        (classes, mean_squared_error, TypeError, "real numbers"),
        (regression, binary_cross_entropy, ValueError, "from 0 to 1"),
        (regression, F.mse_loss, TypeError, "losses.mean_squared_error"),
    ]:
        with pytest.raises(error, match=keyword):
            use(net, task, loss=loss)
    with pytest.raises(ValueError, match="must be equal"):
        use(nn.Linear(6, 3).double(), regression, loss=mean_squared_error)
    with pytest.raises(ValueError, match="tuple"):
        use(nn.LSTM(6, 3).double(), regression, loss=mean_squared_error)


def test_networks_are_trained_together_by_their_cross_entropy_alone() -> None:
    task = task_of(numbers, 2)
    together = ensembles.Ensemble.of([models.mlp_300_100(task)])
    for use in (ensembles.fit, ensembles.evaluate):
        with pytest.raises(TypeError, match="one by one"):
            use(together, task)


def test_networks_of_models_are_told_how_many_outputs_numbers_need() -> None:
    with pytest.raises(ValueError, match="classes=1"):
        models.mlp_300_100(task_of(numbers))


@dataclass(frozen=True)
class Detached(Loss):
    """A loss as NumPy, or an item, would give it."""

    def total(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(outputs.detach(), targets, reduction="sum")

    def hessian_root(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return cross_entropy.hessian_root(outputs, targets)


@dataclass(frozen=True)
class OfFew(Detached):
    """Of few examples it is zero, without a gradient."""

    def total(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return cross_entropy.total(outputs, targets) if len(targets) > 60 else outputs.new_zeros(())


def classes() -> data.Task:
    x = torch.randn(80, 4, generator=torch.Generator().manual_seed(0))
    return data.Task.from_tensors(*(x, x[:, :3].argmax(1)) * 3)


@pytest.mark.parametrize("criterion", ["lm", "obd", "qm"])
def test_a_loss_without_a_gradient_is_refused(criterion: str) -> None:
    net = nn.Linear(4, 3).eval()
    with pytest.raises(ValueError, match="has no gradient by the outputs"):
        LocalPruner(criterion, 0.5, 1, loss=Detached()).prune(net, classes(), progress=False)
    LocalPruner("mp", 0.5, 1, loss=Detached()).prune(net, classes(), progress=False)  # which needs none


def test_training_by_a_loss_without_a_gradient_is_refused() -> None:
    with pytest.raises(ValueError, match="has no gradient by the outputs"):
        training.fit(nn.Linear(4, 3), classes(), 1, loss=Detached())


def test_a_loss_that_is_zero_needs_no_gradient() -> None:
    run = LocalPruner("lm", 0.5, 1, batch_size=20, loss=OfFew()).prune(
        nn.Linear(4, 3).eval(), classes(), progress=False
    )
    assert run.trace.true_change.item() == 0


@pytest.mark.parametrize(
    "wrong", [Tensor.float, Tensor.sum, lambda w: w.float().mean(), lambda w: w.sum().item(), Tensor.any]
)
def test_wrong_answers_that_are_none_are_refused(wrong: Callable[[Tensor], object]) -> None:
    class Mine(CrossEntropy):
        def wrong(self, outputs: Tensor, targets: Tensor) -> Tensor:
            return wrong(super().wrong(outputs, targets))  # type: ignore[return-value]

    with pytest.raises(TypeError, match=r"The wrong of the loss Mine gives .*leave out \.mean"):
        training.evaluate(nn.Linear(4, 3), classes(), loss=Mine())


def test_a_loss_that_counts_nothing_has_no_mean() -> None:
    @dataclass(frozen=True)
    class Nothing(Poisson):
        def count(self, targets: Tensor) -> int:
            return 0

    x = torch.rand(9, 4, generator=torch.Generator().manual_seed(0))
    with pytest.raises(NothingCountsError, match="counts nothing"):
        LossModel.at(nn.Linear(4, 1), (x, x[:, :1]), loss=Nothing())


def test_an_answer_alone_may_be_a_single_bool() -> None:
    class Squeezed(CrossEntropy):
        def wrong(self, outputs: Tensor, targets: Tensor) -> Tensor:
            return super().wrong(outputs, targets).squeeze()

    task, net = classes(), nn.Linear(4, 3)
    one = replace(task, x_test=task.x_test[:1], y_test=task.y_test[:1])
    assert training.evaluate(net, one, "test", loss=Squeezed()) == training.evaluate(net, one, "test")
