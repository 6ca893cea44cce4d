"""Training is plain SGD to the last digit, keeps the best epoch, holds pruned weights at zero, and is repeatable."""

from __future__ import annotations

import copy
import itertools
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn, optim
from torch.nn import functional as F
from torch.nn.utils import prune as torch_prune
from torch.utils._python_dispatch import TorchDispatchMode

from lossprune_lib import LocalPruner, Mask, WeightSpace, ensembles, models, training
from lossprune_lib.data import Batch, Task
from lossprune_lib.loss_modelling import CrossEntropy, Loss, binary_cross_entropy, cross_entropy, mean_squared_error
from lossprune_lib.seeds import generator
from lossprune_lib.studies.runs import describe
from lossprune_lib.training import Recipe, Score, crop_and_flip, evaluate, fit
from lossprune_lib.training.enforcer import Enforcer
from lossprune_lib.training.gradual import fit_gradually
from lossprune_lib.training.sgd import train_epoch

QUICK = Recipe(epochs=3, batch_size=20, lr=0.05)


@pytest.fixture(scope="module")
def small(digits64: Task) -> Task:
    """A few hundred digits in float64."""
    parts = {
        f"{part}_{split}": getattr(digits64, f"{part}_{split}")[:130] for part in "xy" for split in ("valid", "test")
    }
    return Task.from_tensors(digits64.x_train[:90], digits64.y_train[:90], **parts, classes=10)


def perceptron(seed: int = 0, norm: bool = False) -> nn.Module:
    """Return a small network for digits in float64, in train mode."""
    torch.manual_seed(seed)
    layers = [nn.Flatten(), nn.Linear(64, 12), nn.BatchNorm1d(12) if norm else nn.Tanh(), nn.Linear(12, 10)]
    return nn.Sequential(*layers).double()


def half_mask(net: nn.Module) -> Mask:
    """Keep a random half of the weights."""
    space = WeightSpace(net)
    return Mask(torch.rand(space.size, generator=torch.Generator().manual_seed(0)) < 0.5, space.layout)


def same(first: nn.Module, second: nn.Module) -> bool:
    ours, theirs = first.state_dict(), second.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[key], theirs[key]) for key in ours)


# --- the steps themselves


class Reference:
    """Softmax regression by hand in NumPy: SGD with momentum and weight decay, all weights after each epoch."""

    def __init__(self, net: nn.Linear, task: Task, recipe: Recipe, seed: int, kept: np.ndarray | float = 1.0) -> None:
        weight, bias = (parameter.detach().numpy().copy() for parameter in net.parameters())
        weight *= kept
        speed_weight, speed_bias = np.zeros_like(weight), np.zeros_like(bias)
        self.epochs: list[tuple[np.ndarray, np.ndarray]] = []
        self.scores: list[tuple[float, float]] = []
        for epoch in range(1, recipe.epochs + 1):
            order, lr = generator(seed, "order", epoch), self.rate(recipe, epoch)
            for x_batch, y_batch in task.batches("train", recipe.batch_size, order):
                x, y = x_batch.numpy(), y_batch.numpy()
                slope = (self.softmax(x @ weight.T + bias) - np.eye(10)[y]) / len(x)
                speed_weight = recipe.momentum * speed_weight + slope.T @ x + recipe.weight_decay * weight
                speed_bias = recipe.momentum * speed_bias + slope.sum(0) + recipe.weight_decay * bias
                weight = (weight - lr * speed_weight) * kept
                bias = bias - lr * speed_bias
                speed_weight = speed_weight * kept
            self.epochs.append((weight, bias))
            x, y = task.x_valid.numpy(), task.y_valid.numpy()
            logits = x @ weight.T + bias
            loss = -np.log(self.softmax(logits)[np.arange(len(y)), y]).mean()
            self.scores.append((loss, (logits.argmax(1) != y).mean()))
        errors = [error for _, error in self.scores]
        self.best = errors.index(min(errors))

    @staticmethod
    def rate(recipe: Recipe, epoch: int) -> float:
        """The rate in the middle of an epoch, counted from 1."""
        if recipe.schedule == "one_cycle":
            return float(np.interp((epoch - 0.5) / recipe.epochs, [0, 0.3, 1], [0, recipe.lr, 0]))
        return recipe.lr * recipe.lr_factor ** len([milestone for milestone in recipe.milestones if epoch > milestone])

    @staticmethod
    def softmax(logits: np.ndarray) -> np.ndarray:
        powers = np.exp(logits - logits.max(1, keepdims=True))
        return powers / powers.sum(1, keepdims=True)


@pytest.fixture(scope="module")
def flat(small: Task) -> Task:
    x = {f"x_{split}": small.split(split)[0].flatten(1) for split in ("train", "valid", "test")}
    y = {f"y_{split}": small.split(split)[1] for split in ("train", "valid", "test")}
    return Task.from_tensors(**x, **y)


def regression() -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(64, 10).double()


RECIPES = {
    "plain": Recipe(epochs=2, batch_size=20, lr=0.1, momentum=0, weight_decay=0),
    "momentum and weight decay": Recipe(epochs=3, batch_size=20, lr=0.02, momentum=0.9, weight_decay=0.01),
    "milestones": Recipe(epochs=5, batch_size=30, lr=0.1, milestones=(2, 3), lr_factor=0.2),
    "one cycle": Recipe(epochs=6, batch_size=30, lr=0.2, schedule="one_cycle", milestones=(2,)),
    "best in the middle": Recipe(epochs=7, batch_size=10, lr=0.05, momentum=0.9, weight_decay=0.01),
}


@pytest.mark.parametrize("masked", [False, True], ids=["dense", "masked"])
@pytest.mark.parametrize("name", RECIPES)
def test_training_is_sgd_by_hand_and_the_best_epoch_is_kept(name: str, masked: bool, flat: Task) -> None:
    recipe, net, heard = RECIPES[name], regression(), []
    mask = half_mask(net) if masked else None
    kept = mask.kept.view(10, 64).numpy() if mask is not None else 1.0
    expected = Reference(net, flat, recipe, seed=4, kept=kept)
    fitted = fit(
        net, flat, recipe=recipe, mask=mask, seed=4, progress=False, on_epoch=lambda *report: heard.append(report)
    )
    assert [epoch for epoch, _ in heard] == list(range(1, recipe.epochs + 1))
    found = [(score.loss, score.error) for _, score in heard]
    np.testing.assert_allclose(found, expected.scores, rtol=1e-9)
    for parameter, array in zip(fitted.parameters(), expected.epochs[expected.best], strict=True):
        np.testing.assert_allclose(parameter.detach().numpy(), array, rtol=1e-9, atol=1e-12)


class Waits(TorchDispatchMode):
    """Lists the operations that would have the host wait for a GPU: those that need to know a tensor's values."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        name = func.overloadpacket.__name__
        by_mask = name == "index" and any(index is not None and index.dtype == torch.bool for index in args[1])
        if by_mask or name in ("_local_scalar_dense", "nonzero", "masked_select", "is_nonzero", "equal", "bincount"):
            self.found.append(name)
        return func(*args, **(kwargs or {}))


LOSSES: dict[str, Loss] = {
    "cross-entropy": cross_entropy,
    "smoothed": CrossEntropy(label_smoothing=0.1),
    "class weights": CrossEntropy(class_weights=[0.1 * c for c in range(1, 11)]),
    "squared error": mean_squared_error,
    "yes or no": binary_cross_entropy,
}


@pytest.mark.parametrize("name", LOSSES)
def test_no_step_of_training_waits_for_a_gpu(name: str, small: Task) -> None:
    y = small.y_train.clone()
    y[3] = -100
    if not isinstance(LOSSES[name], CrossEntropy):
        y = F.one_hot(small.y_train, 10).double()
    task, net = replace(small, y_train=y), perceptron()
    optimizer = optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    enforce = Enforcer(half_mask(net), net, optimizer)
    with Waits() as waits:
        for epoch in (1, 2):  # the first one reads the labels, to check them
            waits.found.clear()
            train_epoch(net, task, QUICK, optimizer, enforce, 0, epoch, LOSSES[name])
            assert bool(waits.found) == (epoch == 1 and name != "squared error")


def test_one_of_these_trainings_is_best_in_the_middle(flat: Task) -> None:
    recipe = RECIPES["best in the middle"]
    assert 0 < Reference(regression(), flat, recipe, seed=4).best < recipe.epochs - 1


def test_the_network_returned_has_the_lowest_validation_error_heard_of(small: Task) -> None:
    heard: list[Score] = []
    recipe = Recipe(epochs=8, batch_size=10, lr=0.5)
    fitted = fit(perceptron(), small, recipe=recipe, progress=False, on_epoch=lambda _, score: heard.append(score))
    errors = [score.error for score in heard]
    assert errors[-1] > min(errors)  # otherwise this would show nothing
    first_best = heard[errors.index(min(errors))]
    assert evaluate(fitted, small) == first_best


def test_of_equal_epochs_the_first_is_kept(small: Task) -> None:
    """A single easy validation example is right after every epoch."""
    recipe, heard = Recipe(epochs=4, batch_size=10, lr=0.1), []
    task = replace(small, x_valid=small.x_train[:1], y_valid=small.y_train[:1])
    fitted = fit(perceptron(), task, recipe=recipe, progress=False, on_epoch=lambda _, score: heard.append(score.error))
    assert heard == [0, 0, 0, 0]
    assert same(fitted, fit(perceptron(), task, 1, recipe=recipe, progress=False))


def test_milestones_lower_the_rate(small: Task) -> None:
    """With a factor of 0, nothing changes after the milestone."""
    recipe = Recipe(epochs=4, batch_size=20, milestones=(2,), lr_factor=0.0)
    heard: list[Score] = []
    fit(perceptron(), small, recipe=recipe, progress=False, on_epoch=lambda _, score: heard.append(score))
    assert heard[0] != heard[1] == heard[2] == heard[3]


def test_training_lowers_the_error(digits: Task) -> None:
    net = models.mlp_300_100(digits)
    fitted = fit(net, digits, epochs=4, progress=False)
    assert evaluate(net, digits, "test").error > 0.8
    assert evaluate(fitted, digits, "test").error < 0.12


# --- the learning rate


@given(
    milestones=st.lists(st.integers(0, 12), max_size=4),
    factor=st.sampled_from([0.0, 0.1, 0.5, 1.0, 2.0]),
    epochs=st.integers(1, 14),
)
def test_steps_are_those_of_torchs_scheduler(milestones: list[int], factor: float, epochs: int) -> None:
    recipe = Recipe(lr=0.3, milestones=tuple(milestones), lr_factor=factor)
    optimizer = optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.3)
    scheduler = optim.lr_scheduler.MultiStepLR(optimizer, milestones, factor)
    for epoch in range(epochs):
        assert recipe.rate(epoch, epochs) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-12)
        optimizer.step()
        scheduler.step()


@given(epochs=st.integers(1, 400), lr=st.sampled_from([0.01, 0.1, 3.0]))
def test_one_cycle_rises_to_its_peak_and_falls_but_never_to_zero(epochs: int, lr: float) -> None:
    recipe = Recipe(lr=lr, schedule="one_cycle")
    rates = [recipe.rate(epoch, epochs) for epoch in range(epochs)]
    middles = (np.arange(epochs) + 0.5) / epochs
    np.testing.assert_allclose(rates, np.interp(middles, [0, 0.3, 1], [0, lr, 0]), rtol=1e-12)
    assert all(0 < rate <= lr for rate in rates)
    peak = rates.index(max(rates))
    assert abs((peak + 0.5) / epochs - 0.3) < 1 / epochs
    assert rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert np.mean(rates) == pytest.approx(lr / 2, abs=lr / epochs)


def test_one_cycle_by_hand() -> None:
    recipe = Recipe(lr=1.0, schedule="one_cycle", milestones=(1,))  # these belong to the steps
    assert [recipe.rate(epoch, 5) for epoch in range(5)] == pytest.approx([1 / 3, 1, 5 / 7, 3 / 7, 1 / 7])


def test_the_cycle_is_as_long_as_the_training(small: Task) -> None:
    """Epochs that override the recipe's stretch the cycle."""
    recipe = Recipe(epochs=50, batch_size=20, lr=0.1, schedule="one_cycle")
    given_epochs = fit(perceptron(), small, 3, recipe=recipe, progress=False)
    assert same(given_epochs, fit(perceptron(), small, recipe=replace(recipe, epochs=3), progress=False))


# --- memory format and precision


def convolutions(dtype: torch.dtype = torch.float64) -> nn.Module:
    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 6, 3), nn.BatchNorm2d(6), nn.ReLU(inplace=True), nn.Conv2d(6, 8, 3, stride=2), nn.Tanh()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(32, 10)).to(dtype)


def last(net: nn.Module) -> bool:
    """Whether the second convolution has its channels last; with one channel, as in the first, both formats are one."""
    return net[3].weight.is_contiguous(memory_format=torch.channels_last) and not net[3].weight.is_contiguous()


@pytest.mark.parametrize("masked", [False, True])
def test_channels_last_gives_the_same_network_and_it_stays_so(masked: bool, small: Task) -> None:
    net, seen = convolutions(), []
    mask = half_mask(net) if masked else None
    plain = fit(net, small, recipe=QUICK, mask=mask, progress=False)
    net.register_forward_pre_hook(lambda module, _: seen.append(last(module)))
    fitted = fit(net, small, recipe=replace(QUICK, channels_last=True), mask=mask, progress=False)
    assert set(seen) == {True}
    assert last(fitted)
    assert not last(plain)
    assert not last(net)  # which is the caller's
    for ours, theirs in zip(fitted.state_dict().values(), plain.state_dict().values(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)
    if mask is not None:
        assert torch.count_nonzero(WeightSpace(fitted).read()[~mask.kept]) == 0


def test_channels_last_does_not_change_the_order_of_the_weights(small: Task) -> None:
    net = convolutions()
    fitted = fit(net, small, 0, recipe=replace(QUICK, channels_last=True), progress=False)
    assert last(fitted)
    assert torch.equal(WeightSpace(fitted).read(), WeightSpace(net).read())


def test_bfloat16_trains_and_the_weights_stay_float32(digits: Task) -> None:
    net, heard, seen = models.mlp_300_100(digits), [], []
    net.register_forward_hook(lambda module, _, logits: seen.append((module.training, logits.dtype)))
    recipe = Recipe(epochs=3, precision="bfloat16")
    fitted = fit(net, digits, recipe=recipe, progress=False, on_epoch=lambda _, score: heard.append(score.loss))
    assert set(seen) == {(True, torch.bfloat16), (False, torch.float32)}
    assert {tensor.dtype for tensor in fitted.state_dict().values()} == {torch.float32}
    assert heard[0] > heard[1] > heard[2]
    assert evaluate(fitted, digits, "test").error < 0.15
    assert not same(fitted, fit(net, digits, recipe=replace(recipe, precision="float32"), progress=False))
    assert not torch.is_autocast_enabled("cpu")


def test_bfloat16_with_a_mask_channels_last_and_one_cycle(digits: Task) -> None:
    net = convolutions(torch.float32)
    mask = half_mask(net)
    recipe = Recipe(epochs=2, batch_size=50, precision="bfloat16", channels_last=True, schedule="one_cycle", lr=0.05)
    fitted = fit(net, digits, recipe=recipe, mask=mask, progress=False)
    assert torch.count_nonzero(WeightSpace(fitted).read()[~mask.kept]) == 0
    assert WeightSpace(fitted).read().dtype == torch.float32
    assert evaluate(fitted, digits).loss < 0.9 * evaluate(net, digits).loss


@pytest.mark.parametrize("precision", training.PRECISIONS)
@pytest.mark.parametrize("channels_last", [False, True])
def test_whole_numbers_can_be_learned_from(precision: str, channels_last: bool) -> None:
    draws = torch.Generator().manual_seed(0)
    x = torch.randint(5, (120, 3), generator=draws)
    parts = [tensor for split in (x[:80], x[80:100], x[100:]) for tensor in (split, split[:, 0])]
    task = Task.from_tensors(*parts, classes=5)
    torch.manual_seed(0)
    net = nn.Sequential(nn.Embedding(5, 8), nn.Flatten(), nn.Linear(24, 5))
    recipe = Recipe(epochs=15, batch_size=10, lr=0.1, precision=precision, channels_last=channels_last)
    fitted = fit(net, task, recipe=recipe, progress=False)
    assert evaluate(net, task).error > 0.5
    assert evaluate(fitted, task).error < 0.1
    assert {parameter.dtype for parameter in fitted.parameters()} == {torch.float32}


# --- what stays as it was, and what repeats


@pytest.mark.parametrize("epochs", [0, 2])
def test_the_network_given_is_not_changed(epochs: int, small: Task) -> None:
    net = perceptron(norm=True)
    net[3].bias.requires_grad_(False)
    before = copy.deepcopy(net)
    fitted = fit(net, small, epochs, recipe=QUICK, mask=half_mask(net), progress=False)
    assert same(net, before)
    assert not same(fitted, net)
    assert all(module.training for module in net.modules())
    assert [parameter.requires_grad for parameter in net.parameters()] == [True] * 5 + [False]
    assert all(parameter.grad is None for parameter in net.parameters())


def test_the_network_returned_is_in_eval_mode_without_gradients(small: Task) -> None:
    fitted = fit(perceptron(norm=True), small, recipe=QUICK, progress=False)
    assert not any(module.training for module in fitted.modules())
    assert all(parameter.grad is None for parameter in fitted.parameters())


@pytest.mark.parametrize("mode", [True, False], ids=["train", "eval"])
def test_batch_norm_learns_its_statistics_in_training_only(mode: bool, small: Task) -> None:
    net = perceptron(norm=True).train(mode)  # the mode that it comes in does not matter
    fitted = fit(net, small, recipe=QUICK, progress=False)
    assert not torch.equal(fitted[2].running_mean, net[2].running_mean)
    before = copy.deepcopy(fitted)
    evaluate(fitted.train(), small)
    assert same(fitted, before)


@pytest.mark.parametrize("augment", [None, crop_and_flip])
def test_the_same_seed_gives_bitwise_the_same_network(augment: training.Augment | None, digits: Task) -> None:
    recipe = Recipe(epochs=2, augment=augment)
    net = models.mlp_300_100(digits)
    torch.manual_seed(0)
    first = fit(net, digits, recipe=recipe, seed=3, progress=False)
    torch.manual_seed(1)
    assert same(fit(net, digits, recipe=recipe, seed=3, progress=False), first)
    assert not same(fit(net, digits, recipe=recipe, seed=4, progress=False), first)


def test_dropout_draws_by_the_seed(small: Task) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 12), nn.Dropout(0.5), nn.Linear(12, 10)).double()
    first = fit(net, small, recipe=QUICK, seed=3, progress=False)
    torch.rand(7)
    before = torch.get_rng_state()
    assert same(fit(net, small, recipe=QUICK, seed=3, progress=False), first)
    assert torch.equal(torch.get_rng_state(), before)
    assert not same(fit(net, small, recipe=QUICK, seed=4, progress=False), first)
    drawn: list[Tensor] = []
    net[2].register_forward_hook(lambda module, _, out: drawn.append(out == 0) if module.training else None)
    fit(net, small, recipe=QUICK, seed=3, progress=False)
    assert not torch.equal(drawn[0], drawn[len(drawn) // QUICK.epochs])  # each epoch has draws of its own


def test_the_global_generator_is_left_alone(small: Task) -> None:
    net = perceptron()
    before = torch.get_rng_state()
    fit(net, small, recipe=Recipe(epochs=1, augment=crop_and_flip), progress=False)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_function_prunes_on_the_way_and_the_best_epoch_is_one_of_its_last_mask(small: Task) -> None:
    net, epochs, scores = perceptron(), [], []
    mask = half_mask(net)

    def mask_at(epoch: int, trained: nn.Module) -> Mask | None:
        epochs.append((epoch, torch.count_nonzero(WeightSpace(trained).read()[~mask.kept]).item()))
        return mask if epoch == 3 else None

    fitted = fit(net, small, 5, recipe=QUICK, mask=mask_at, progress=False, on_epoch=lambda _, s: scores.append(s))
    dense = int((~mask.kept).sum())
    assert epochs == [(1, dense), (2, dense), (3, dense), (4, 0), (5, 0)]
    assert torch.count_nonzero(WeightSpace(fitted).read()[~mask.kept]) == 0
    assert evaluate(fitted, small).error == min(score.error for score in scores[2:])


@pytest.mark.parametrize("masked", [False, True])
def test_no_epochs_give_a_copy_with_its_mask_applied(masked: bool, small: Task) -> None:
    net = perceptron()
    expected = copy.deepcopy(net)
    mask = half_mask(net) if masked else None
    if mask is not None:
        mask.apply_(expected)
    fitted = fit(net, small, 0, mask=mask, progress=False, on_epoch=lambda *_: pytest.fail("there was no epoch"))
    assert fitted is not net
    assert same(fitted, expected)
    assert not fitted.training


def test_the_number_of_epochs_given_goes_before_the_recipes(small: Task) -> None:
    heard: list[int] = []
    fit(perceptron(), small, 1, recipe=QUICK, progress=False, on_epoch=lambda epoch, _: heard.append(epoch))
    assert heard == [1]


@pytest.mark.parametrize(("progress", "seconds"), [(True, 10), (True, 0), (False, 10)])
def test_a_bar_is_shown_only_if_asked_and_if_it_takes_long(
    progress: bool, seconds: int, small: Task, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = itertools.count(step=seconds)  # passes with each look at it
    monkeypatch.setattr("tqdm.std.time", lambda: float(next(clock)))
    fit(perceptron(), small, 3, progress=progress)
    shown = capsys.readouterr().err
    if progress and seconds:
        assert re.search(r"3/3 .*validation error \d+\.\d\d %, best \d+\.\d\d %", shown)
    else:
        assert shown == ""


# --- pruned weights


@pytest.mark.parametrize("recipe", [Recipe(epochs=3, batch_size=20, momentum=0.9, weight_decay=0.1), QUICK])
def test_pruned_weights_are_zero_at_every_step_and_at_the_end(recipe: Recipe, small: Task) -> None:
    net = perceptron()
    mask = half_mask(net)
    steps: list[int] = []

    def revived(module: nn.Module) -> int:
        return int(torch.count_nonzero(WeightSpace(module).read()[~mask.kept]))

    net.register_forward_pre_hook(lambda module, _: steps.append(revived(module)))  # copied with the network
    fitted = fit(net, small, recipe=recipe, mask=mask, progress=False)
    assert len(steps) > recipe.epochs * math.ceil(90 / recipe.batch_size)
    assert set(steps) == {0}
    assert revived(fitted) == 0
    assert torch.count_nonzero(WeightSpace(fitted).read()) == mask.kept.sum()
    assert not torch.equal(WeightSpace(fitted).read()[mask.kept], WeightSpace(net).read()[mask.kept])


def test_a_mask_that_keeps_all_changes_nothing(small: Task) -> None:
    net = perceptron()
    dense = fit(net, small, recipe=QUICK, progress=False)
    assert same(fit(net, small, recipe=QUICK, mask=Mask.dense(WeightSpace(net)), progress=False), dense)


def test_a_mask_of_another_network_is_refused(small: Task, digits: Task) -> None:
    with pytest.raises(ValueError, match="mask belongs to another network"):
        fit(perceptron(), small, mask=half_mask(models.mlp_300_100(digits)), progress=False)


# --- evaluation


@pytest.mark.parametrize("split", ["train", "valid", "test"])
def test_evaluation_equals_a_direct_computation(split: str, digits64: Task) -> None:
    net = perceptron(norm=True)
    x, y = digits64.split(split)
    reference = copy.deepcopy(net).eval()
    with torch.no_grad():
        p = torch.softmax(reference(x), 1)
    found = evaluate(net, digits64, split)
    assert found.loss == pytest.approx(-p[torch.arange(len(y)), y].log().mean().item(), rel=1e-12)
    wrong = sum(int(row.argmax()) != int(label) for row, label in zip(p, y, strict=True))
    assert found.error == pytest.approx(wrong / len(y), rel=1e-12)
    assert found.accuracy == pytest.approx(1 - wrong / len(y), rel=1e-12)


def test_evaluation_looks_at_the_validation_examples_unless_told_otherwise(small: Task) -> None:
    net = perceptron()
    assert evaluate(net, small) == evaluate(net, small, "valid") != evaluate(net, small, "train")


def test_a_batch_of_another_size_has_its_share_of_the_mean(digits64: Task) -> None:
    """The 1,197 training examples come as 1,000 and 197; a mean of batch means would be another number."""
    net = perceptron()
    parts = list(digits64.batches("train"))
    assert [len(x) for x, _ in parts] == [1000, 197]
    means = [F.cross_entropy(net(x), y).item() for x, y in parts]
    expected = (1000 * means[0] + 197 * means[1]) / 1197
    assert abs(expected - sum(means) / 2) > 1e-4
    assert evaluate(net, digits64, "train").loss == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("fails", [False, True])
def test_evaluation_gives_each_module_its_mode_back(fails: bool, small: Task) -> None:
    net = perceptron(norm=True).train()
    net[2].eval()  # as in fine-tuning with fixed statistics
    modes = [module.training for module in net.modules()]
    assert len(set(modes)) == 2
    if fails:
        net[3] = nn.Linear(5, 10).double()
        with pytest.raises(ValueError, match="cannot run on inputs"):
            evaluate(net, small)
    else:
        evaluate(net, small)
    assert [module.training for module in net.modules()] == modes


def test_evaluation_is_in_eval_mode_and_builds_no_graph(small: Task) -> None:
    net, seen = perceptron(norm=True), []
    net.register_forward_hook(lambda module, _, y: seen.append((module.training, y.requires_grad)))
    evaluate(net, small)
    assert set(seen) == {(False, False)}


class Centred(nn.Module):
    """Subtracts the mean of all its inputs, in place: from the examples themselves, if nobody prevents it."""

    def forward(self, x: Tensor) -> Tensor:
        x -= x.mean() + 1
        return x


CHANGES = {"by torch": nn.ReLU(inplace=True), "by the user": Centred()}


@pytest.mark.parametrize("inference", [False, True])
@pytest.mark.parametrize("kind", CHANGES)
def test_a_network_that_changes_its_inputs_leaves_the_data_as_they_are(
    kind: str, inference: bool, flat: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = flat.to(dtype=torch.float64)
    task = replace(task, **{f"x_{split}": task.split(split)[0].clone() - 0.5 for split in ("train", "valid", "test")})
    before = copy.deepcopy([task.split(split)[0] for split in ("train", "valid", "test")])
    batches = Task.batches
    monkeypatch.setattr(Task, "batches", lambda self, split, size=1000, order=None: batches(self, split, 40, order))
    net = nn.Sequential(CHANGES[kind], regression()).eval()
    with torch.inference_mode(inference):
        scores = [evaluate(net, task, split) for split in ("train", "valid", "test")]
        assert scores == [evaluate(net, task, split) for split in ("train", "valid", "test")]
    if not inference:
        fit(net, task, recipe=QUICK, progress=False)
        run = LocalPruner("mp", 0.5, stages=1).prune(net, task, progress=False)
        assert run.true_change == evaluate(run.network(), task, "train").loss - scores[0].loss
    after = [task.split(split)[0] for split in ("train", "valid", "test")]
    assert all(torch.equal(first, second) for first, second in zip(before, after, strict=True))


def test_only_the_first_batch_is_copied_for_a_network_that_changes_none(small: Task) -> None:
    net, seen = perceptron(), []
    net.register_forward_pre_hook(lambda _, args: seen.append(args[0].data_ptr()))
    parts = [(x, y) for x, y in small.batches("valid", 40)]
    given = [x.data_ptr() for x, _ in parts]

    class InParts:
        device, dtype, sample = small.device, small.dtype, small.sample

        def batches(self, split: str, batch_size: int = 40, generator: torch.Generator | None = None):  # type: ignore[no-untyped-def]
            return iter(parts)

    evaluate(net, InParts())
    assert [ours == theirs for ours, theirs in zip(seen, given, strict=True)] == [False, True, True, True]


def test_any_function_can_be_scored(small: Task) -> None:
    """Equal logits: the loss is the logarithm of the number of classes, and the first class is chosen."""

    def equal(x: Tensor) -> Tensor:
        assert not torch.is_grad_enabled()
        return torch.zeros(len(x), 10, dtype=x.dtype)

    found = training.score(equal, small, "test")
    assert found.loss == pytest.approx(math.log(10), rel=1e-12)
    assert found.error == pytest.approx((small.y_test != 0).double().mean().item(), rel=1e-12)


# --- augmentation


@pytest.mark.parametrize(("shape", "padding"), [((3, 6, 5), 2), ((1, 4, 7), 1), ((2, 5, 5), 0), ((1, 3, 3), 4)])
def test_each_image_is_shifted_and_perhaps_mirrored(shape: tuple[int, ...], padding: int) -> None:
    """Against a slow search: each output equals one of the images that shifts and mirroring can give, and all occur."""
    channels, height, width = shape
    x = torch.rand(40 * (2 * padding + 1) ** 2, *shape, generator=torch.Generator().manual_seed(0)) + 0.1
    found = crop_and_flip(x, torch.Generator().manual_seed(1), padding)
    assert found.shape == x.shape
    assert found.dtype == x.dtype
    offsets = range(-padding, padding + 1)
    matches: dict[tuple[int, int, bool], Tensor] = {}
    for down in offsets:
        for right in offsets:
            shifted = torch.zeros_like(x)
            for i in range(height):
                for j in range(width):
                    if 0 <= i - down < height and 0 <= j - right < width:
                        shifted[:, :, i, j] = x[:, :, i - down, j - right]
            for mirrored in (False, True):
                candidate = shifted.flip(3) if mirrored else shifted
                matches[down, right, mirrored] = (found == candidate).flatten(1).all(1)
    gone = [key for key in matches if abs(key[0]) >= height or abs(key[1]) >= width]  # shifted out of sight: all zeros
    seen = [matches[key] for key in matches if key not in gone]
    assert (torch.stack(list(matches.values())).sum(0) >= 1).all()
    if not gone:
        assert (torch.stack(seen).sum(0) == 1).all()
    counts = torch.stack(seen).sum(1)  # 20 of each are expected
    assert counts.min() > 3
    assert counts.max() < 45
    assert channels == found.shape[1]


def test_the_same_generator_seed_gives_the_same_images() -> None:
    x = torch.rand(20, 3, 8, 8)
    first, again, other = (crop_and_flip(x, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_images_are_not_changed_in_place() -> None:
    x = torch.rand(20, 3, 8, 8)
    before = x.clone()
    crop_and_flip(x, torch.Generator().manual_seed(0)).zero_()
    assert torch.equal(x, before)


def test_every_training_batch_is_augmented_and_nothing_else(small: Task) -> None:
    given: list[tuple[int, float]] = []

    def darken(x: Tensor, draws: torch.Generator) -> Tensor:
        given.append((len(x), torch.rand(1, generator=draws).item()))
        return torch.zeros_like(x)

    shown: list[tuple[bool, bool]] = []
    net = perceptron()
    net.register_forward_pre_hook(lambda module, x: shown.append((module.training, bool(x[0].any()))))
    fit(net, small, recipe=Recipe(epochs=2, batch_size=40, augment=darken), progress=False)
    assert [examples for examples, _ in given] == [40, 40, 10] * 2
    assert len({draw for _, draw in given}) == 6
    assert set(shown) == {(True, False), (False, True)}


# --- refusals


@pytest.mark.parametrize(
    ("move", "sentence"),
    [
        (lambda net: net.float(), "network is torch.float32 on cpu, the task torch.float64 on cpu: move one of them"),
        (lambda net: net.to("meta"), "network is torch.float64 on meta"),
    ],
    ids=["dtype", "device"],
)
@pytest.mark.parametrize("use", [fit, evaluate])
def test_a_network_in_another_place_than_its_task_is_refused(use, move, sentence: str, small: Task) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=sentence):
        use(move(perceptron()), small)


def test_a_network_without_parameters_is_in_no_wrong_place(small: Task) -> None:
    net = nn.Sequential(nn.Flatten(), nn.AdaptiveAvgPool1d(10))
    assert 0 <= evaluate(net, small).error <= 1


@pytest.mark.parametrize("lr", [1e5, 1e200])
def test_a_loss_that_is_not_finite_is_refused_with_the_reason(lr: float, small: Task) -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 10), nn.ReLU(), nn.Linear(10, 10)).double()
    sentence = r"The loss is (nan|inf) after epoch \d+\. Most likely the learning rate .* is too high"
    with pytest.raises(ValueError, match=sentence):
        fit(net, small, recipe=Recipe(epochs=100, lr=lr, batch_size=10), progress=False)


def test_an_infinite_loss_is_refused_too(small: Task) -> None:
    """Logits of 1e308 and -1e308 are numbers, their difference is not."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 10)).double()
    with torch.no_grad():
        net[1].bias.copy_(torch.tensor([1e308, *[-1e308] * 9], dtype=torch.float64))
    with pytest.raises(ValueError, match="The loss is inf after epoch 1"):
        fit(net, small, recipe=QUICK, progress=False)


@pytest.mark.parametrize(
    ("setting", "error"),
    [
        ({"epochs": -1}, ValueError),
        ({"epochs": 1.5}, TypeError),
        ({"batch_size": 0}, ValueError),
        ({"lr": -0.1}, ValueError),
        ({"lr": math.nan}, ValueError),
        ({"lr": "0.1"}, TypeError),
        ({"momentum": -0.9}, ValueError),
        ({"weight_decay": math.inf}, ValueError),
        ({"lr_factor": -1}, ValueError),
    ],
    ids=str,
)
def test_a_recipe_that_cannot_be_followed_is_refused(setting: dict[str, object], error: type[Exception]) -> None:
    with pytest.raises(error, match=next(iter(setting))):
        Recipe(**setting)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ({"schedule": "one-cycle"}, "no schedule of the learning rate called 'one-cycle'. Did you mean 'one_cycle'"),
        ({"schedule": "step"}, "Did you mean 'steps'. Choose one of: steps, one_cycle"),
        ({"schedule": None}, "no schedule of the learning rate called None"),
        ({"precision": "bfloat"}, "no precision called 'bfloat'. Did you mean 'bfloat16'"),
        ({"precision": "float64"}, "Choose one of: float32, bfloat16"),
        ({"precision": torch.bfloat16}, "no precision called torch.bfloat16"),
        ({"optimizer": "adam"}, "no optimizer called 'adam'. Did you mean 'adamw'"),
    ],
    ids=str,
)
def test_an_unknown_name_is_refused_with_a_near_one(setting: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Recipe(**setting)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", training.AUGMENTATIONS)
def test_an_augmentation_by_name_keeps_the_shape_and_repeats(name: str, digits: Task) -> None:
    augment = training.AUGMENTATIONS[name]
    x = digits.x_train[:20]
    first, again = (augment(x, torch.Generator().manual_seed(0)) for _ in range(2))
    assert first.shape == x.shape
    assert torch.equal(first, again)
    assert not torch.equal(first, x)
    assert augment.__name__ == name


@pytest.mark.parametrize(("examples", "size", "larger"), [(90, 89, 90), (7, 2, 4)])
def test_a_batch_of_one_is_too_small_for_batch_norm_and_a_larger_one_is_named(
    examples: int, size: int, larger: int, small: Task
) -> None:
    task = replace(small, x_train=small.x_train[:examples], y_train=small.y_train[:examples])
    with pytest.raises(ValueError, match=f"batch_size of {size} .* such as {larger},"):
        fit(perceptron(norm=True), task, 1, recipe=Recipe(batch_size=size), progress=False)
    fit(perceptron(norm=True), task, 1, recipe=Recipe(batch_size=larger), progress=False)
    fit(perceptron(norm=False), task, 1, recipe=Recipe(batch_size=size), progress=False)


def test_no_batch_size_is_named_where_the_number_of_examples_is_not_known(small: Task) -> None:
    with pytest.raises(ValueError, match="choose a larger one, which leaves no single example over"):
        fit(perceptron(norm=True), small, 1, recipe=Recipe(batch_size=1), progress=False)


class OnePass:
    """A task of one's own whose training batches are exhausted after the first epoch."""

    def __init__(self, task: Task) -> None:
        self._task, self.device, self.dtype = task, task.device, task.dtype
        self._train = task.batches("train", 20)

    def sample(self, examples: int, generator: torch.Generator) -> Batch:
        raise AssertionError("training draws no samples")

    def batches(self, split: str, *arguments: Any) -> Iterator[Batch]:
        return self._train if split == "train" else self._task.batches(split, *arguments)


@pytest.mark.parametrize(
    "train",
    [
        lambda net, task: fit(net, task, recipe=QUICK, progress=False),
        lambda net, task: fit_gradually(net, task, 0.5, recipe=QUICK, progress=False),
        lambda net, task: ensembles.fit(ensembles.Ensemble.of([net]), task, recipe=QUICK, progress=False),
    ],
    ids=["fit", "fit_gradually", "together"],
)
def test_an_epoch_without_training_examples_is_refused(train: Callable[..., object], small: Task) -> None:
    with pytest.raises(ValueError, match=r"'train' of this task gave no examples: .* begin anew"):
        train(perceptron(), OnePass(small))


@pytest.mark.parametrize("masked", [False, True])
def test_a_network_that_torch_has_pruned_is_refused_as_in_pruning(masked: bool, small: Task) -> None:
    net = perceptron()
    mask = half_mask(net)
    for layer, _ in mask.layout:
        torch_prune.custom_from_mask(net.get_submodule(layer), "weight", mask[layer])
    with pytest.raises(ValueError, match=r"layer '1' is computed from other tensors.*prune\.remove"):
        fit(net, small, 1, mask=mask if masked else None, progress=False)
    with pytest.raises(ValueError, match=r"layer '1' is computed from other tensors.*prune\.remove"):
        fit_gradually(net, small, 0.5, recipe=QUICK, progress=False)


def test_a_network_with_a_parametrisation_is_trained(small: Task) -> None:
    net = nn.Sequential(nn.Flatten(), nn.utils.parametrizations.weight_norm(nn.Linear(64, 10, dtype=torch.float64)))
    fitted = fit(net, small, recipe=QUICK, progress=False)
    assert evaluate(fitted, small).loss < evaluate(net, small).loss


@pytest.mark.parametrize("without", [torch.no_grad, torch.inference_mode])
def test_training_takes_its_gradients_where_there_are_none(without: Callable[[], Any], small: Task) -> None:
    net = perceptron()
    expected = fit(net, small, recipe=QUICK, progress=False)
    together = ensembles.fit(ensembles.Ensemble.of([net]), small, recipe=QUICK, progress=False).network(0)
    with without():
        fitted = fit(net, small, recipe=QUICK, progress=False)
        again = ensembles.fit(ensembles.Ensemble.of([net]), small, recipe=QUICK, progress=False).network(0)
        assert not torch.is_grad_enabled()
    assert same(fitted, expected)
    assert same(again, together)
    assert not fitted[1].weight.is_inference()


@pytest.mark.parametrize(("epochs", "error"), [(-1, ValueError), (2.0, TypeError), (True, TypeError)])
def test_a_wrong_number_of_epochs_is_refused(epochs: object, error: type[Exception], small: Task) -> None:
    with pytest.raises(error, match="epochs"):
        fit(perceptron(), small, epochs)  # type: ignore[arg-type]


def test_the_default_recipe_is_the_papers_for_mnist() -> None:
    assert (Recipe().lr, Recipe().momentum, Recipe().weight_decay, Recipe().batch_size) == (0.01, 0.9, 5e-4, 100)


def test_adamw_takes_torchs_steps(digits: Task) -> None:
    recipe = Recipe(epochs=1, lr=0.01, momentum=0.8, weight_decay=0.1, batch_size=500, optimizer="adamw")
    start = models.mlp_300_100(digits)
    fitted = training.fit(start, digits, recipe=recipe, seed=4, progress=False)
    optimizer = torch.optim.AdamW(start.parameters(), lr=0.01, betas=(0.8, 0.999), weight_decay=0.1)
    for x, y in digits.batches("train", 500, generator(4, "order", 1)):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(start(x), y).backward()
        optimizer.step()
    for ours, theirs in zip(fitted.parameters(), start.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-5)


def test_the_optimizer_is_named_in_a_stored_run_only_where_it_is_not_sgd() -> None:
    assert "optimizer" not in describe(Recipe())
    assert describe(Recipe(optimizer="adamw"))["optimizer"] == "adamw"


class Counting(nn.Module):
    """Keeps how often it was trained, as quantised modules keep their scales, and a table that is sparse."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.steps = nn.Linear(64, 10, dtype=torch.float64), 0
        self.register_buffer("table", torch.eye(3).to_sparse())

    def forward(self, x: Tensor) -> Tensor:
        self.steps += self.training
        return self.layer(x.flatten(1))

    def get_extra_state(self) -> int:
        return self.steps

    def set_extra_state(self, state: int) -> None:
        self.steps = state


def test_a_state_of_its_own_is_that_of_the_best_epoch_and_sparse_buffers_are_no_obstacle(small: Task) -> None:
    errors: list[float] = []
    settings = {"progress": False, "on_epoch": lambda _, score: errors.append(score.error)}
    recipe = training.Recipe(lr=0.1, milestones=(2,), lr_factor=0, batch_size=100)  # no epoch after 2 is better
    net = training.fit(Counting(), small, 6, recipe=recipe, **settings)
    batches, best = -(-len(small.x_train) // 100), errors.index(min(errors)) + 1
    assert best < 6
    assert net.steps == best * batches


def test_a_checkpoint_of_a_state_that_it_cannot_keep_is_refused(small: Task, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a state of its own"):
        training.fit(Counting(), small, 1, checkpoint=tmp_path / "state", progress=False)


def test_sparse_gradients_are_refused_where_torch_takes_none() -> None:
    x = torch.randint(10, (20, 5), generator=torch.Generator().manual_seed(0))
    task = Task.from_tensors(*(x, x[:, 0] % 3) * 3)
    net = nn.Sequential(nn.Embedding(10, 4, sparse=True), nn.Flatten(), nn.Linear(20, 3))
    for settings in ({"optimizer": "adamw"}, {"weight_decay": 1e-3}):
        with pytest.raises(ValueError, match="Embedding '0' has sparse gradients"):
            training.fit(net, task, recipe=training.Recipe(**settings))
    trained = training.fit(net, task, 1, recipe=training.Recipe(weight_decay=0), progress=False)
    assert not torch.equal(trained[0].weight, net[0].weight)
