"""LocalPruner: masks equal to the straightforward reference, exact counts, purity, the trace, and what is refused."""

from __future__ import annotations

import copy
import math
import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise

import pandas as pd
import pytest
import reference
import torch
import tqdm.auto
from sample_losses import HALF_SQUARES
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import prune as torch_prune

from lossprune_lib import BatchLoss, LocalPruner, LossModel, Mask, WeightSpace, data, models
from lossprune_lib.loss_modelling import Loss, batch_loss, curvature, losses
from lossprune_lib.loss_modelling.forward import Recording
from lossprune_lib.networks import selection
from lossprune_lib.pruning import (
    AlreadySparseWarning,
    CoverageWarning,
    EmptyLayerWarning,
    PrunerState,
    PruningRun,
    one_shot,
    prune_together,
)
from lossprune_lib.pruning.criteria import CRITERIA, Criterion
from lossprune_lib.pruning.schedules import SCHEDULES
from lossprune_lib.pruning.trust_region import trust_region
from lossprune_lib.seeds import generator

COLUMNS = ["stage", "sparsity", "loss", "predicted_change", "saliency_sum", "true_change", "step_length"]
SCOPES = ("global", "layer")
OF_THE_MODEL = ["loss", "predicted_change", "saliency_sum", "true_change"]


@pytest.fixture(scope="module")
def task() -> data.Task:
    """80 training examples with 6 inputs and 3 classes, in float64."""
    draws = torch.Generator().manual_seed(0)
    x = torch.randn(120, 6, dtype=torch.float64, generator=draws)
    y = (x @ torch.randn(6, 3, dtype=torch.float64, generator=draws)).argmax(1)
    return data.Task.from_tensors(x[:80], y[:80], x[80:100], y[80:100], x[100:], y[100:], classes=3)


@pytest.fixture
def net() -> nn.Sequential:
    """Three layers of 48, 40 and 15 weights."""
    torch.manual_seed(1)
    layers = nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 5), nn.ReLU(inplace=True), nn.Linear(5, 3)
    return nn.Sequential(*layers).double().eval()


class Duck:
    """Only what the library asks of a task; counts the calls."""

    def __init__(self, task: data.Task) -> None:
        self._task, self.calls = task, []
        self.classes, self.shape, self.device, self.dtype = task.classes, task.shape, task.device, task.dtype

    def sample(self, examples: int, generator: torch.Generator) -> data.Batch:
        self.calls.append("sample")
        return self._task.sample(examples, generator)

    def batches(self, split: str) -> Iterator[data.Batch]:
        self.calls.append(split)
        return self._task.batches(split, batch_size=32)


class Closed(Duck):
    """A task whose examples must not be read."""

    def sample(self, examples: int, generator: torch.Generator) -> data.Batch:
        raise AssertionError("no data may be read")

    def batches(self, split: str) -> Iterator[data.Batch]:
        raise AssertionError("no data may be read")


def loss_at(net: nn.Module, weights: Tensor, x: Tensor, y: Tensor) -> float:
    """Return the mean loss of a copy of the network with other weights."""
    net = copy.deepcopy(net)
    WeightSpace(net).write_(weights)
    with torch.no_grad():
        return F.cross_entropy(net(x), y).item()


def conv_net() -> nn.Module:
    """A layer of 25 positions, one of 4 and one of 1; dead units, so that many saliencies are zero."""
    torch.manual_seed(2)
    net = nn.Sequential(
        nn.Conv2d(1, 6, 4),
        nn.ReLU(),
        nn.Conv2d(6, 8, 2, stride=2, dilation=2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(32, 10),
    )
    for layer in (net[0], net[2], net[5]):
        nn.init.kaiming_normal_(layer.weight)
    return net


# --- against the reference ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("criterion", ["mp", "lm", "qm", "obd"])
@pytest.mark.parametrize("stages", [1, 14])
@pytest.mark.parametrize("step_penalty", [0.0, 1e-2])
@pytest.mark.parametrize("network", ["mlp", "conv"])
def test_masks_equal_those_of_the_reference(
    criterion: str,
    stages: int,
    step_penalty: float,
    network: str,
    trained: nn.Module,
    digits64: data.Task,
) -> None:
    net = (copy.deepcopy(trained) if network == "mlp" else conv_net()).double().eval()
    pruner = LocalPruner(
        criterion, sparsity=1 - 0.8**14, stages=stages, step_penalty=step_penalty, batch_size=200, seed=3
    )
    *_, last = pruner.stream(net, digits64)
    batches = (digits64.sample(200, generator(3, "batch", stage)) for stage in range(1, stages + 1))
    sparsities = [1 - (0.8**14) ** (stage / stages) for stage in range(1, stages + 1)]
    expected = reference.prune_(net, criterion, sparsities, batches, step_penalty)
    assert torch.equal(last.mask.kept, expected)


def test_many_stages_preserve_the_loss_better_than_one(trained: nn.Module, digits: data.Task) -> None:
    changes = {
        (criterion, stages): LocalPruner(criterion, sparsity=0.95, stages=stages, step_penalty=1e-3, batch_size=200)
        .prune(trained, digits)
        .true_change
        for criterion, stages in [("mp", 1), ("qm", 1), ("qm", 14)]
    }
    assert changes["qm", 14] < 0.8 * changes["qm", 1]
    assert changes["qm", 14] < 0.8 * changes["mp", 1]


# --- counts -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("criterion", CRITERIA)
def test_each_stage_masks_exactly_its_share_and_masked_stays_masked(
    criterion: str, schedule: str, scope: str, net: nn.Module, task: data.Task
) -> None:
    pruner = LocalPruner(criterion, sparsity=0.83, stages=4, schedule=schedule, scope=scope, batch_size=30)
    before = torch.ones(103, dtype=torch.bool)
    states = list(pruner.stream(net, task))
    assert [state.stage for state in states] == [1, 2, 3, 4]
    for state, sparsity in zip(states, pruner.sparsities, strict=True):
        kept = state.mask.kept
        if scope == "global":
            assert int((~kept).sum()) == round(103 * sparsity)
        else:
            pruned = [int((~part).sum()) for part in kept.split([48, 40, 15])]
            assert pruned == [round(size * sparsity) for size in (48, 40, 15)]
        assert not (kept & ~before).any()
        before = kept


@pytest.mark.parametrize("criterion", ["mp", "lm", "qm", "obd"])
def test_the_layer_scope_ranks_within_each_layer(criterion: str, net: nn.Module, task: data.Task) -> None:
    pruner = LocalPruner(criterion, sparsity=0.6, stages=1, scope="layer", batch_size=30, step_penalty=0.01)
    *_, state = pruner.stream(net, task)
    model = LossModel.at(net, task.sample(30, generator(0, "batch", 1)))
    theta, g, diagonal = model.weights, model.gradient, model.curvature
    change = {
        "mp": 0 * theta,
        "lm": g * theta,
        "qm": diagonal * theta**2 / 2 - g * theta,
        "obd": diagonal * theta**2 / 2,
    }
    scores = change[criterion].abs() + 0.005 * theta**2
    for kept, part in zip(state.mask.kept.split([48, 40, 15]), scores.split([48, 40, 15]), strict=True):
        order = part.argsort(stable=True)
        assert set((~kept).nonzero().squeeze(1).tolist()) == set(order[: round(len(part) * 0.6)].tolist())


def test_the_scopes_differ(net: nn.Module, task: data.Task) -> None:
    kept = [LocalPruner("mp", sparsity=0.6, stages=1, scope=scope).prune(net, task).mask.kept for scope in SCOPES]
    assert not torch.equal(*kept)


@pytest.mark.parametrize("criterion", CRITERIA)
def test_nothing_is_pruned_at_sparsity_zero(criterion: str, net: nn.Module, task: data.Task) -> None:
    run = LocalPruner(criterion, sparsity=0, stages=2, batch_size=30).prune(net, task)
    assert run.mask.kept.all()
    assert run.true_change == 0
    assert (run.trace["step_length"] == 0).all()
    if CRITERIA[criterion].models_loss:
        assert (run.trace[["predicted_change", "saliency_sum", "true_change"]] == 0).all(axis=None)


# --- nothing of the caller's is changed, and everything repeats -----------------------------------------------------


@pytest.mark.parametrize("criterion", CRITERIA)
def test_the_network_is_left_as_it_was(criterion: str, net: nn.Module, task: data.Task) -> None:
    net[1].train()
    before = copy.deepcopy(net.state_dict())
    run = LocalPruner(criterion, sparsity=0.8, stages=2, batch_size=30, trace="train").prune(net, task)
    run.network()
    assert run.true_change != 0
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    assert [name for name, module in net.named_modules() if module.training] == ["1"]
    assert all(not module._forward_hooks and not module._forward_pre_hooks for module in net.modules())
    assert all(parameter.grad is None and parameter.requires_grad for parameter in net.parameters())


def test_later_changes_of_the_network_do_not_reach_a_run(net: nn.Module, task: data.Task) -> None:
    run = LocalPruner("mp", sparsity=0.5, stages=1).prune(net, task)
    expected = loss_at(net, WeightSpace(net).read() * run.mask.kept, task.x_train, task.y_train)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.fill_(7)
    assert run.train_loss[1] == pytest.approx(expected, rel=1e-12)
    pruned = run.network()
    assert loss_at(pruned, WeightSpace(pruned).read(), task.x_train, task.y_train) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("criterion", CRITERIA)
def test_a_pruning_repeats_exactly_from_its_seed(criterion: str, net: nn.Module, task: data.Task) -> None:
    pruner = LocalPruner(criterion, sparsity=0.8, stages=3, batch_size=30, seed=5)
    torch.manual_seed(11)
    first = pruner.prune(net, task)
    torch.manual_seed(12)
    second = pruner.prune(net, task)
    assert torch.equal(first.mask.kept, second.mask.kept)
    pd.testing.assert_frame_equal(first.trace, second.trace)
    other = LocalPruner(criterion, sparsity=0.8, stages=3, batch_size=30, seed=6).prune(net, task)
    assert torch.equal(first.mask.kept, other.mask.kept) == (criterion == "mp")


@pytest.mark.parametrize("criterion", CRITERIA)
def test_streaming_pruning_and_stepping_are_the_same(criterion: str, net: nn.Module, task: data.Task) -> None:
    pruner = LocalPruner(criterion, sparsity=0.8, stages=3, batch_size=30)
    run = pruner.prune(net, task)
    streamed = list(pruner.stream(net, task))
    state = pruner.start(net, task)
    for stage in range(3):
        state = pruner.step(state)
        assert torch.equal(state.mask.kept, streamed[stage].mask.kept)
        assert list(state.row) == list(streamed[stage].row)
        assert list(state.row.values()) == list(streamed[stage].row.values())
        assert run.trace.loc[stage, list(state.row)].tolist() == list(state.row.values())
    assert torch.equal(run.mask.kept, state.mask.kept)


def test_a_stream_gives_each_stage_as_soon_as_it_is_done(net: nn.Module, task: data.Task) -> None:
    duck = Duck(task)
    stream = LocalPruner("lm", stages=3, batch_size=30).stream(net, duck)
    for stages_done in (1, 2, 3):
        assert next(stream).stage == stages_done
        assert duck.calls == ["sample"] * stages_done
    assert next(stream, None) is None


@pytest.mark.parametrize("criterion", ["random", "qm"])
def test_a_step_leaves_its_state_as_it_was(criterion: str, net: nn.Module, task: data.Task) -> None:
    pruner = LocalPruner(criterion, sparsity=0.8, stages=3, batch_size=30)
    state = pruner.step(pruner.start(net, task))
    before = copy.deepcopy((state.mask.kept, state.dense, state.space.rest(), state.stage, state.row))
    branches = [pruner.step(state, sparsity=sparsity) for sparsity in (0.6, 0.9, 0.6)]
    assert [int((~branch.mask.kept).sum()) for branch in branches] == [62, 93, 62]
    assert torch.equal(branches[0].mask.kept, branches[2].mask.kept)
    assert branches[0].row == branches[2].row or criterion == "random"
    kept, dense, rest, stage, row = before
    assert torch.equal(state.mask.kept, kept)
    assert torch.equal(state.dense, dense)
    assert all(torch.equal(state.space.rest()[name], tensor) for name, tensor in rest.items())
    assert (state.stage, state.row) == (stage, row)


# --- a step with a sparsity of its own ------------------------------------------------------------------------------


def test_stages_past_the_last_are_refused_unless_a_sparsity_is_given(net: nn.Module, task: data.Task) -> None:
    pruner = LocalPruner("mp", sparsity=0.5, stages=2)
    *_, last = pruner.stream(net, task)
    with pytest.raises(ValueError, match="stages are done"):
        pruner.step(last)
    further = pruner.step(last, sparsity=0.75)
    assert further.stage == 3
    assert int((~further.mask.kept).sum()) == round(103 * 0.75)


def test_a_step_to_less_than_is_masked_is_refused(net: nn.Module, task: data.Task) -> None:
    pruner = LocalPruner("mp", sparsity=0.5, stages=1)
    *_, state = pruner.stream(net, task)
    with pytest.raises(ValueError, match="masked already"):
        pruner.step(state, sparsity=0.4)
    same = pruner.step(state, sparsity=state.mask.sparsity)
    assert torch.equal(same.mask.kept, state.mask.kept)


def test_a_step_of_other_layers_than_the_states_is_refused(net: nn.Module, task: data.Task) -> None:
    pruner = LocalPruner("qm", sparsity=0.5, stages=2, batch_size=30)
    state = pruner.step(pruner.start(net, task))
    for other in (replace(pruner, exclude="2"), replace(pruner, include=["0", "4"], exclude="*.bias")):
        with pytest.raises(
            ValueError, match=r"state is of the layers 0, 2, 4, but .* \(0, 4\): give the include and excl"
        ):
            other.step(state)
    few = LocalPruner("mp", sparsity=0.5, stages=2, include=["0", "4"]).start(net, task)
    with pytest.raises(ValueError, match=r"of the layers 0, 0.bias, 4, 4.bias, but .* \(0, 2, 4\)"):
        pruner.step(few)
    same = replace(pruner, include=nn.Linear, exclude=["*.bias"]).step(state)
    assert torch.equal(same.mask.kept, pruner.step(state).mask.kept)


def test_a_step_may_choose_its_layers_by_the_networks_own_parameters(net: nn.Module, task: data.Task) -> None:
    """They are others in the copy that a state holds."""
    pruner = LocalPruner("mp", sparsity=0.5, stages=2, include=lambda _, parameter: parameter is net[2].weight)
    with pytest.warns(CoverageWarning):
        state = pruner.start(net, task)
    assert pruner.step(pruner.step(state)).mask.sparsity == 0.5
    again = replace(pruner, include=lambda _, parameter: parameter is net[2].weight)
    assert again.step(state).stage == 1


def test_a_step_to_less_than_is_masked_in_one_layer_is_refused(net: nn.Module, task: data.Task) -> None:
    pruner = LocalPruner("mp", sparsity=0.5, stages=1, scope="layer")
    kept = torch.ones(103, dtype=torch.bool)
    kept[:30] = False
    state = pruner.start(net, task, Mask(kept, WeightSpace(net).layout))
    with pytest.raises(ValueError, match="masked already"):
        pruner.step(state, sparsity=0.5)
    assert int((~pruner.step(state, sparsity=0.7).mask.kept[:48]).sum()) == round(48 * 0.7)


@pytest.mark.parametrize(
    ("sparsity", "error"), [(1, ValueError), (-0.1, ValueError), (math.nan, ValueError), ("0.5", TypeError)]
)
def test_a_step_to_no_sparsity_is_refused(
    sparsity: object, error: type[Exception], net: nn.Module, task: data.Task
) -> None:
    pruner = LocalPruner("mp")
    with pytest.raises(error, match="sparsity"):
        pruner.step(pruner.start(net, task), sparsity=sparsity)


# --- what is read and computed ------------------------------------------------------------------------------------


@pytest.mark.parametrize("criterion", ["mp", "random"])
def test_magnitude_and_random_read_no_data(criterion: str, net: nn.Module, task: data.Task) -> None:
    run = LocalPruner(criterion, sparsity=0.8, stages=3).prune(net, Closed(task))
    assert int((~run.mask.kept).sum()) == round(103 * 0.8)
    assert run.trace[OF_THE_MODEL].isna().all(axis=None)
    assert run.trace.drop(columns=OF_THE_MODEL).notna().all(axis=None)
    with pytest.raises(AssertionError, match="no data may be read"):
        _ = run.true_change


def test_a_task_needs_no_more_than_its_contract(net: nn.Module, task: data.Task) -> None:
    duck = Duck(task)
    pruner = LocalPruner("qm", sparsity=0.8, stages=3, batch_size=30)
    run, expected = pruner.prune(net, duck), pruner.prune(net, task)
    assert duck.calls == ["sample"] * 3
    assert torch.equal(run.mask.kept, expected.mask.kept)
    assert run.true_change == pytest.approx(expected.true_change, rel=1e-12)
    assert run.true_change == run.train_loss[1] - run.train_loss[0]
    assert duck.calls == ["sample"] * 3 + ["train"] * 2


def test_the_linear_model_never_builds_curvature(
    net: nn.Module, task: data.Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(*arguments: object) -> None:
        raise AssertionError("no curvature may be built")

    monkeypatch.setattr(curvature, "ggn_diagonals", forbidden)
    monkeypatch.setattr(losses, "softmax_hessian_root", forbidden)
    LocalPruner("lm", sparsity=0.5, stages=2, batch_size=30).prune(net, task)
    with pytest.raises(AssertionError, match="no curvature"):
        LocalPruner("obd", sparsity=0.5, stages=2, batch_size=30).prune(net, task)


def test_the_budget_reaches_the_model(net: nn.Module, task: data.Task, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    def total(self: losses.Loss, logits: Tensor, labels: Tensor) -> Tensor:
        sizes.append(len(labels))
        return F.cross_entropy(logits, labels, reduction="sum")

    monkeypatch.setattr(losses.CrossEntropy, "total", total)
    LocalPruner("qm", sparsity=0.5, stages=1, batch_size=30, max_bytes=1).prune(net, task)
    assert sizes == [1] * 60  # the model, and the true change on the same batch


def test_the_loss_reaches_the_model(net: nn.Module, task: data.Task) -> None:
    loss = HALF_SQUARES
    run = LocalPruner("qm", sparsity=0.5, stages=1, batch_size=30, loss=loss).prune(net, task)
    x, y = task.sample(30, generator(0, "batch", 1))
    with torch.no_grad():
        expected = (net(x) - F.one_hot(y, 3)).square().sum().item() / 60
    assert run.trace.loc[0, "loss"] == pytest.approx(expected, rel=1e-12)
    losses = []
    for state in (net, run.network()):
        with torch.no_grad():
            losses.append((state(task.x_train) - F.one_hot(task.y_train, 3)).square().sum().item() / 160)
    assert run.train_loss == pytest.approx(losses, rel=1e-12)
    traced = LocalPruner("mp", sparsity=0.5, stages=1, loss=loss, trace="train").prune(net, task)
    assert traced.trace.loc[0, "loss"] == pytest.approx(losses[0], rel=1e-12)
    assert traced.trace.loc[0, "true_change"] == pytest.approx(traced.true_change, rel=1e-12)


# --- the trace ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("criterion", ["lm", "qm", "obd"])
def test_the_trace_says_what_the_model_predicted_and_what_came(
    criterion: str, scope: str, net: nn.Module, task: data.Task
) -> None:
    pruner = LocalPruner(criterion, sparsity=0.85, stages=4, step_penalty=0.01, batch_size=30, scope=scope, seed=2)
    states: list[PrunerState] = [pruner.start(net, task), *pruner.stream(net, task)]
    trace = pruner.prune(net, task).trace
    assert list(trace.columns) == [*COLUMNS, "density.0", "density.2", "density.4"]
    dense = WeightSpace(net).read()
    for stage in range(1, 5):
        row, kept_before, kept = trace.loc[stage - 1], states[stage - 1].mask.kept, states[stage].mask.kept
        x, y = task.sample(30, generator(2, "batch", stage))
        before, after = dense * kept_before, dense * kept
        masked = copy.deepcopy(net)
        WeightSpace(masked).write_(before)
        model, step = LossModel.at(masked, (x, y)), after - before
        single = {
            "lm": model.gradient * step,
            "qm": model.gradient * step + model.curvature * step**2 / 2,
            "obd": model.curvature * step**2 / 2,
        }[criterion]
        if criterion != "obd":
            predicted = model.predicted_change(step, order=CRITERIA[criterion].order).item()
            assert row["predicted_change"] == pytest.approx(predicted, rel=1e-9, abs=1e-14)
        assert row["predicted_change"] == pytest.approx(single.sum().item(), rel=1e-9, abs=1e-14)
        assert row["saliency_sum"] == pytest.approx(single.abs().sum().item(), rel=1e-9, abs=1e-14)
        assert row["saliency_sum"] >= abs(row["predicted_change"])
        assert row["loss"] == pytest.approx(loss_at(net, before, x, y), rel=1e-12)
        change = loss_at(net, after, x, y) - loss_at(net, before, x, y)
        assert row["true_change"] == pytest.approx(change, rel=1e-9, abs=1e-13)
        assert row["stage"] == stage
        assert row["sparsity"] == pytest.approx(1 - kept.double().mean().item())
        assert row["step_length"] == pytest.approx(step.norm().item(), rel=1e-12)
        shares = [part.double().mean().item() for part in kept.split([48, 40, 15])]
        assert row[["density.0", "density.2", "density.4"]].tolist() == pytest.approx(shares)


@pytest.mark.parametrize("criterion", ["mp", "lm"])
def test_the_true_change_may_be_traced_on_the_training_set(criterion: str, net: nn.Module, task: data.Task) -> None:
    pruner = LocalPruner(criterion, sparsity=0.8, stages=3, batch_size=30, trace="train")
    run = pruner.prune(net, task)
    weights = [WeightSpace(net).read() * kept for kept in (1, *(state.mask.kept for state in pruner.stream(net, task)))]
    losses = [loss_at(net, w, task.x_train, task.y_train) for w in weights]
    assert run.trace["loss"].tolist() == pytest.approx(losses[:-1], rel=1e-12)
    assert run.trace["true_change"].tolist() == pytest.approx(
        [after - before for before, after in pairwise(losses)], rel=1e-9
    )
    assert run.trace["true_change"].sum() == pytest.approx(run.true_change, rel=1e-9)
    assert run.trace[["predicted_change", "saliency_sum"]].isna().all(axis=None) == (criterion == "mp")


@pytest.mark.parametrize("criterion", ["random", "qm"])
def test_a_loss_that_falls_is_a_negative_change(criterion: str, net: nn.Module, task: data.Task) -> None:
    with torch.no_grad():
        net[4].weight.mul_(50)  # sure of itself, and mostly wrong
    pruner = LocalPruner(criterion, sparsity=0.9, stages=1, scope="layer", batch_size=80, trace="train")
    run = pruner.prune(net, task)
    weights = WeightSpace(net).read()
    before, after = (loss_at(net, w, task.x_train, task.y_train) for w in (weights, weights * run.mask.kept))
    assert after < before
    assert run.true_change == pytest.approx(after - before, rel=1e-9)
    assert run.trace.loc[0, "true_change"] == pytest.approx(after - before, rel=1e-9)


@pytest.mark.parametrize("trace", ["batch", "train"])
def test_what_is_traced_does_not_change_the_mask(trace: str, net: nn.Module, task: data.Task) -> None:
    kept = [LocalPruner("qm", stages=3, batch_size=30, trace=t).prune(net, task).mask.kept for t in (trace, "batch")]
    assert torch.equal(*kept)


def test_a_run_gives_the_pruned_network_and_its_change_of_the_training_loss(net: nn.Module, task: data.Task) -> None:
    run: PruningRun = LocalPruner("qm", sparsity=0.9, stages=2, batch_size=30).prune(net, task)
    pruned, weights = run.network(), WeightSpace(net).read()
    assert pruned is not net
    assert torch.equal(WeightSpace(pruned).read(), weights * run.mask.kept)
    assert all(
        torch.equal(a, b) for a, b in zip((m.bias for m in net[::2]), (m.bias for m in pruned[::2]), strict=True)
    )
    assert not pruned.training
    losses = [loss_at(net, w, task.x_train, task.y_train) for w in (weights, weights * run.mask.kept)]
    assert run.train_loss == pytest.approx(losses, rel=1e-12)
    assert run.true_change == pytest.approx(losses[1] - losses[0], rel=1e-9)
    pruned[0].weight.data.zero_()
    assert torch.count_nonzero(run.network()[0].weight) > 0


def test_the_training_loss_is_a_mean_over_examples_not_over_batches(net: nn.Module, task: data.Task) -> None:
    run = LocalPruner("mp", sparsity=0.5, stages=1).prune(net, Duck(task))  # batches of 32, 32 and 16
    expected = loss_at(net, WeightSpace(net).read(), task.x_train, task.y_train)
    assert run.train_loss[0] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("progress", [False, True])
def test_a_bar_is_shown_when_asked_for(
    progress: bool,
    net: nn.Module,
    task: data.Task,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    at_once = partial(tqdm.auto.tqdm, mininterval=0)
    monkeypatch.setattr(tqdm.auto, "tqdm", lambda *arguments, **options: at_once(*arguments, **{**options, "delay": 0}))
    run = LocalPruner("mp", sparsity=0.5, stages=3).prune(net, task, progress=progress)
    assert ("pruning" in capsys.readouterr().err) == progress
    assert len(run.trace) == 3


# --- starting from a mask -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("criterion", ["mp", "qm", "random"])
def test_a_pruned_network_is_pruned_further(criterion: str, scope: str, net: nn.Module, task: data.Task) -> None:
    kept = torch.rand(103, generator=torch.Generator().manual_seed(0)) < 0.5
    mask = Mask(kept.clone(), WeightSpace(net).layout)
    pruner = LocalPruner(criterion, sparsity=0.8, stages=8, schedule="linear", scope=scope, batch_size=30)
    states = list(pruner.stream(net, task, mask))
    assert torch.equal(mask.kept, kept)
    assert not any((state.mask.kept & ~kept).any() for state in states)
    # From the mask's sparsity on, and not from zero: every stage prunes its share of what remains to be pruned.
    sizes = [103] if scope == "global" else [48, 40, 15]
    starts = [1 - part.double().mean().item() for part in kept.split(sizes)]
    for i, state in enumerate(states, start=1):
        pruned = [int((~part).sum()) for part in state.mask.kept.split(sizes)]
        expected = [start + (0.8 - start) * i / 8 for start in starts]
        assert pruned == [round(size * share) for size, share in zip(sizes, expected, strict=True)]


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_with_densities_each_layer_goes_from_its_own_sparsity(schedule: str, net: nn.Module, task: data.Task) -> None:
    kept = torch.ones(103, dtype=torch.bool)
    kept[48:88:2] = False  # half of the second layer
    densities = {"0": 0.25, "2": 0.25, "4": 0.0}
    pruner = LocalPruner("mp", sparsity=81 / 103, stages=5, schedule=schedule, densities=densities)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EmptyLayerWarning)
        states = list(pruner.stream(net, task, Mask(kept, WeightSpace(net).layout)))
    for i, state in enumerate(states, start=1):
        pruned = [int((~part).sum()) for part in state.mask.kept.split([48, 40, 15])]
        ways = zip((48, 40, 15), (0.75, 0.75, 1.0), (0.0, 0.5, 0.0), strict=True)
        assert pruned == [
            round(n * (final if i == 5 else SCHEDULES[schedule](final, i, 5, at))) for n, final, at in ways
        ]


def test_masked_weights_do_not_count_even_where_the_network_has_not_lost_them(net: nn.Module, task: data.Task) -> None:
    """The model is built at the masked weights, whether the network that is given was masked before or not."""
    mask = Mask(torch.arange(103) % 3 > 0, WeightSpace(net).layout)
    masked = copy.deepcopy(net)
    mask.apply_(masked)
    pruner = LocalPruner("qm", sparsity=0.8, stages=2, batch_size=30)
    runs = [pruner.prune(start, task, mask) for start in (net, masked)]
    assert torch.equal(runs[0].mask.kept, runs[1].mask.kept)
    pd.testing.assert_frame_equal(runs[0].trace, runs[1].trace)


def test_a_mask_of_another_network_is_refused(net: nn.Module, task: data.Task) -> None:
    other = Mask.dense(WeightSpace(nn.Sequential(nn.Linear(6, 3))))
    with pytest.raises(ValueError, match="another network"):
        LocalPruner("mp").start(net, task, other)


# --- what is refused, and what is only warned of ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        ({"sparsity": 1}, ValueError, "sparsity"),
        ({"sparsity": 95}, ValueError, "write 95 % as 0.95"),
        ({"sparsity": -0.1}, ValueError, "sparsity is -0.1"),
        ({"sparsity": math.nan}, ValueError, "sparsity is nan"),
        ({"sparsity": "0.5"}, TypeError, "sparsity"),
        ({"stages": 0}, ValueError, "stages"),
        ({"stages": 2.5}, TypeError, "stages"),
        ({"batch_size": 0}, ValueError, "batch_size is 0"),
        ({"batch_size": 10.0}, TypeError, "batch_size"),
        ({"max_bytes": 0}, ValueError, "max_bytes is 0"),
        ({"max_bytes": 1e9}, TypeError, "max_bytes"),
        ({"seed": -1}, ValueError, "seed"),
        ({"seed": "a"}, TypeError, "seed must be a whole number"),
        ({"step_penalty": -1e-3}, ValueError, "step_penalty is -0.001"),
        ({"step_penalty": math.inf}, ValueError, "step_penalty"),
        ({"criterion": "obdd"}, ValueError, "'obd'"),
        ({"schedule": "exponental"}, ValueError, "'exponential'"),
        ({"scope": "globel"}, ValueError, "'global'"),
        ({"trace": "training"}, ValueError, "'train'"),
        ({"densities": [0.5, 0.5]}, TypeError, "densities is a Mapping, not a list: give {layer"),
    ],
)
def test_a_bad_setting_is_refused_at_once(options: dict, error: type[Exception], sentence: str) -> None:
    with pytest.raises(error, match=sentence):
        LocalPruner(**options)


def test_a_network_and_a_task_of_different_precision_are_refused(net: nn.Module, task: data.Task) -> None:
    with pytest.raises(ValueError, match="float64"):
        LocalPruner("mp").prune(net.float(), task)


def _broken(change: Callable[[nn.Sequential], object]) -> Callable[[nn.Sequential], object]:
    def broken(net: nn.Sequential) -> nn.Sequential:
        change(net)
        return net

    return broken


def _torch_pruned(net: nn.Sequential) -> None:
    torch_prune.l1_unstructured(net[0], "weight", 0.5)
    net(torch.zeros(1, 6, dtype=torch.float64))  # leaves a weight that cannot be copied


BROKEN: dict[str, tuple[Callable[[nn.Sequential], object], str]] = {
    "not a module": (lambda net: net.state_dict(), "is a Module, not an OrderedDict"),
    "frozen": (_broken(lambda net: net.requires_grad_(False)), "frozen"),
    "NaN": (_broken(lambda net: net[0].weight.data.fill_(math.nan)), "NaN or infinite"),
    "pruned by torch": (_broken(_torch_pruned), r"computed from other tensors.*prune\.remove"),
    "batch norm in training mode": (
        lambda net: nn.Sequential(*net, nn.BatchNorm1d(3).double()).train(),
        r"Batch norm '5' is in training mode.*net\.eval\(\)",
    ),
    "dropout in training mode": (
        lambda net: nn.Sequential(*net, nn.Dropout()).train(),
        r"Dropout '5' is in training mode.*net\.eval\(\)",
    ),
}


@pytest.mark.parametrize("criterion", ["mp", "qm"])
@pytest.mark.parametrize("case", BROKEN)
def test_a_network_that_cannot_be_pruned_is_refused_before_any_work(
    case: str, criterion: str, net: nn.Sequential, task: data.Task
) -> None:
    change, sentence = BROKEN[case]
    with pytest.raises((ValueError, TypeError), match=sentence):
        LocalPruner(criterion).start(change(net), Closed(task))


def test_a_nan_beside_the_weights_is_refused(net: nn.Module, task: data.Task) -> None:
    with torch.no_grad():
        net[4].bias.fill_(math.nan)
    with pytest.raises(ValueError, match=r"network's output holds .* NaN or infinite"):
        LocalPruner("lm").prune(net, task)


def test_a_sample_that_is_exhausted_is_refused(net: nn.Module, task: data.Task) -> None:
    class Exhausted(Duck):
        def sample(self, examples: int, generator: torch.Generator) -> data.Batch:
            return next(iter(()))

    pruner = LocalPruner("lm", sparsity=0.5, stages=2)
    for use in (partial(pruner.prune, progress=False), lambda *given: next(pruner.stream(*given))):
        with pytest.raises(ValueError, match="sample has no examples left for stage 1"):
            use(net, Exhausted(task))


@dataclass(frozen=True)
class Logarithms(Loss):
    """Finite gradients everywhere, but NaN for outputs below zero."""

    def total(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return -outputs.log().sum()


def test_a_loss_that_is_nan_is_refused_and_an_infinite_one_is_not(net: nn.Module, task: data.Task) -> None:
    pruner = LocalPruner("lm", sparsity=0.5, stages=2, batch_size=30, loss=Logarithms())
    with pytest.raises(ValueError, match="loss Logarithms is NaN after 0 stages"):
        pruner.prune(net, task, progress=False)
    with pytest.raises(ValueError, match="loss Logarithms is NaN after 0 stages"):
        replace(pruner, criterion="mp", trace="train").prune(net, task, progress=False)
    assert replace(pruner, criterion="mp").prune(net, task, progress=False).sparsity == pytest.approx(0.5, abs=0.01)
    with torch.no_grad():
        net[4].bias.copy_(
            torch.tensor([1e308, -1e308, -1e308], dtype=torch.float64)
        )  # numbers, but their difference is none
    run = replace(pruner, loss=losses.cross_entropy).prune(net, task, progress=False)
    assert run.trace["loss"].tolist() == [math.inf] * 2


def test_a_loss_that_becomes_nan_in_the_last_stage_is_refused(net: nn.Module, task: data.Task) -> None:
    space = WeightSpace(net)
    dense = space.read()

    @dataclass(frozen=True)
    class NanOncePruned(Loss):
        def total(self, outputs: Tensor, targets: Tensor) -> Tensor:
            return outputs.sum() * (1.0 if bool((outputs[:, 0] != outputs[0, 0]).any()) else math.nan)

    for criterion in ("lm", "mp"):
        pruner = LocalPruner(criterion, sparsity=0.99, stages=1, batch_size=30, trace="train", loss=NanOncePruned())
        with pytest.raises(ValueError, match="NanOncePruned is NaN after 1 stages"):
            pruner.prune(net, task, progress=False)
    assert torch.equal(space.read(), dense)


@pytest.mark.parametrize(("criterion", "step_penalty"), [("mp", 0.0), ("qm", 1e9)])
def test_a_layer_that_is_pruned_away_warns_once_and_pruning_goes_on(
    criterion: str, step_penalty: float, net: nn.Module, task: data.Task
) -> None:
    with torch.no_grad():
        net[2].weight.mul_(1e-3)
    pruner = LocalPruner(criterion, sparsity=0.6, stages=3, schedule="linear", step_penalty=step_penalty, batch_size=30)
    with pytest.warns(UserWarning, match="layer '2'") as caught:
        run = pruner.prune(net, task)
    assert len(caught) == 1
    assert run.trace["density.2"].tolist() == [pytest.approx(1 - 21 / 40), 0, 0]
    assert int((~run.mask.kept).sum()) == 62
    assert math.isfinite(run.true_change)


def test_no_warning_without_a_reason(net: nn.Module, task: data.Task) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        LocalPruner("qm", sparsity=0.5, stages=2, batch_size=30).prune(net, task)


# --- several sparsities in one stage each ---------------------------------------------------------------------------


@pytest.mark.parametrize("criterion", ["random", "lm"])
def test_one_shot_prunes_to_each_sparsity_and_measures_what_is_left(
    criterion: str, net: nn.Module, task: data.Task
) -> None:
    sparsities = [0.5, 0.0, 0.6]
    found, table = one_shot(net, task, sparsities, criterion, seed=4)
    assert list(table.columns) == ["sparsity", "loss", "accuracy"]
    for i, (mask, sparsity) in enumerate(zip(found, sparsities, strict=True)):
        expected = LocalPruner(criterion, sparsity=sparsity, stages=1, seed=4).prune(net, task)
        assert torch.equal(mask.kept, expected.mask.kept)
        pruned = expected.network()
        with torch.no_grad():
            logits = pruned(task.x_valid)
        assert table.loc[i, "sparsity"] == pytest.approx(mask.sparsity)
        assert table.loc[i, "loss"] == pytest.approx(F.cross_entropy(logits, task.y_valid).item(), rel=1e-12)
        assert table.loc[i, "accuracy"] == pytest.approx((logits.argmax(1) == task.y_valid).double().mean().item())


def test_one_shot_measures_on_the_split_that_is_named(net: nn.Module, task: data.Task) -> None:
    duck = Duck(task)
    one_shot(net, duck, [0.5], split="test")
    assert duck.calls == ["test"]


def test_one_shot_to_where_layers_empty_does_not_warn(net: nn.Module, task: data.Task) -> None:
    with torch.no_grad():
        net[2].weight.mul_(1e-3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found, _ = one_shot(net, task, [0.3, 0.6])
    assert [mask.density()["2"] == 0 for mask in found] == [False, True]


# --- several pruners together ---------------------------------------------------------------------------------------

PENALTIES = [0.0, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0]
QM = LocalPruner("qm", sparsity=0.8, stages=3, step_penalty=0.01, batch_size=30, seed=1)
TOGETHER: dict[str, list[LocalPruner]] = {
    "criterion": [replace(QM, criterion=criterion) for criterion in CRITERIA],
    "stages": [replace(QM, stages=stages) for stages in (1, 4, 2)],
    "stages, the longest first": [replace(QM, stages=stages, criterion="lm") for stages in (5, 1)],
    "sparsity": [replace(QM, sparsity=sparsity) for sparsity in (0.5, 0.0, 0.9)],
    "penalty": [replace(QM, step_penalty=penalty) for penalty in PENALTIES],
    "seed": [replace(QM, criterion=criterion, seed=seed) for seed in (0, 1) for criterion in ("random", "qm", "lm")],
    "batch": [replace(QM, batch_size=size) for size in (10, 30, 80)],
    "scope": [replace(QM, scope=scope) for scope in SCOPES],
    "schedule": [replace(QM, schedule=schedule) for schedule in SCHEDULES],
    "trace": [replace(QM, criterion=c, trace=trace) for c in ("mp", "qm", "lm") for trace in ("train", "batch")],
    "loss": [
        QM,
        replace(QM, loss=HALF_SQUARES),
        replace(QM, loss=HALF_SQUARES, criterion="lm"),
        replace(QM, criterion="obd"),
    ],
    "budget": [QM, replace(QM, max_bytes=1), replace(QM, max_bytes=1, criterion="lm")],
    "the same twice": [QM, QM],
    "everything": [
        LocalPruner("mp", 0.7, 2, "linear", trace="train", seed=3),
        LocalPruner("qm", 0.9, 4, "cubic", 0.1, 20, "layer", 2),
        LocalPruner("random", 0.6, 1, seed=2),
        LocalPruner("lm", 0.9, 3, "exponential", 0.0, 20, "global", 2, loss=HALF_SQUARES),
        LocalPruner("obd", 0.8, 4, "cubic", 1e-3, 20, "global", 2, trace="train"),
    ],
}


@pytest.fixture
def models_made(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, Tensor]]:
    """The order and the weights of each loss model that is evaluated."""
    made: list[tuple[int, Tensor]] = []
    evaluate = batch_loss.evaluate

    def heard(risk: BatchLoss, weights: Tensor, order: int, *rest: object) -> LossModel:
        made.append((order, weights.clone()))
        return evaluate(risk, weights, order, *rest)

    monkeypatch.setattr(batch_loss, "evaluate", heard)
    return made


def different(tensors: list[Tensor]) -> int:
    return len({tuple(tensor.tolist()) for tensor in tensors})


@pytest.mark.filterwarnings("ignore::lossprune_lib.pruning.EmptyLayerWarning")
@pytest.mark.parametrize("masked", [False, True], ids=["dense start", "masked start"])
@pytest.mark.parametrize("differ_in", TOGETHER)
def test_each_run_is_what_its_pruner_gives_alone(differ_in: str, masked: bool, net: nn.Module, task: data.Task) -> None:
    pruners = TOGETHER[differ_in]
    mask = Mask(torch.arange(103) % 4 > 0, WeightSpace(net).layout) if masked else None
    if mask is not None:  # nobody can prune to less than is pruned already
        pruners = [pruner for pruner in pruners if pruner.sparsity > mask.sparsity]
    runs = prune_together(pruners, net, task, mask, progress=False)
    assert [run.pruner for run in runs] == pruners
    for pruner, run in zip(pruners, runs, strict=True):
        states = list(pruner.stream(net, task, mask))
        assert torch.equal(run.mask.kept, states[-1].mask.kept)
        expected = pd.DataFrame([state.row for state in states]).reindex(columns=run.trace.columns)
        assert list(run.trace.columns) == [*COLUMNS, "density.0", "density.2", "density.4"]
        pd.testing.assert_frame_equal(run.trace, expected, rtol=1e-10, atol=1e-13)
        assert run.state.stage == pruner.stages
        assert run.true_change == pytest.approx(pruner.prune(net, task, mask).true_change, rel=1e-12)


def test_pruners_together_are_any_list_of_pruners(net: nn.Module, task: data.Task) -> None:
    runs = prune_together((LocalPruner("mp", sparsity, stages=1) for sparsity in (0.2, 0.5)), net, task, progress=False)
    assert [run.sparsity for run in runs] == pytest.approx([0.2, 0.5], abs=0.01)
    with pytest.raises(TypeError, match="pruners are a list"):
        prune_together(LocalPruner("mp"), net, task)
    with pytest.raises(TypeError, match="A pruner is a LocalPruner, not 'mp'"):
        prune_together(["mp"], net, task)


def test_these_pruners_do_not_all_choose_the_same(net: nn.Module, task: data.Task) -> None:
    """Else the comparison above would hold for runs that are mixed up."""
    for differ_in in ("criterion", "stages", "sparsity", "penalty", "seed", "batch", "scope", "schedule", "loss"):
        runs = prune_together(TOGETHER[differ_in], net, task, progress=False)
        assert different([run.mask.kept for run in runs]) > 1, differ_in


def test_all_one_shot_prunings_share_one_model(
    net: nn.Module, task: data.Task, models_made: list[tuple[int, Tensor]]
) -> None:
    pruners = [
        LocalPruner(criterion, sparsity=0.5, stages=1, step_penalty=penalty, batch_size=30)
        for criterion in ("lm", "qm", "obd")
        for penalty in PENALTIES
    ]
    runs = prune_together([*pruners, LocalPruner("mp", 0.5, stages=1)], net, task, progress=False)
    assert [order for order, _ in models_made if order > 0] == [2]
    # The true change is measured once for each mask.
    masks_found = [run.mask.kept for run in runs[:-1]]
    assert 1 < len(models_made) - 1 == different(masks_found) < 27


def test_linear_models_alone_share_one_without_curvature(
    net: nn.Module, task: data.Task, models_made: list[tuple[int, Tensor]]
) -> None:
    pruners = [LocalPruner("lm", 0.5, stages=1, step_penalty=penalty, batch_size=30) for penalty in PENALTIES]
    prune_together(pruners, net, task, progress=False)
    assert [order for order, _ in models_made if order > 0] == [1]


def test_obd_alone_asks_for_no_gradient(net: nn.Module, task: data.Task, monkeypatch: pytest.MonkeyPatch) -> None:
    pruners = [replace(QM, criterion="obd", step_penalty=penalty) for penalty in PENALTIES]
    wanted = prune_together([*pruners, replace(QM, criterion="qm")], net, task, progress=False)[:-1]

    def forbidden(*arguments: object, **options: object) -> None:
        raise AssertionError("no gradient")

    monkeypatch.setattr(Recording, "add_gradient", forbidden)
    runs = prune_together(pruners, net, task, progress=False)
    for run, want in zip(runs, wanted, strict=True):
        assert torch.equal(run.mask.kept, want.mask.kept)
        assert run.trace.equals(want.trace)
    with pytest.raises(AssertionError, match="no gradient"):
        QM.prune(net, task, progress=False)


def test_under_a_large_penalty_the_criteria_share_all_models(
    net: nn.Module, task: data.Task, models_made: list[tuple[int, Tensor]]
) -> None:
    pruners = [
        LocalPruner(criterion, 0.8, 4, step_penalty=penalty, batch_size=30)
        for criterion in ("lm", "qm", "obd")
        for penalty in (1e7, 1e9)
    ]
    runs = prune_together(pruners, net, task, progress=False)
    assert [order for order, _ in models_made] == [2, 0] * 4
    magnitude = LocalPruner("mp", 0.8, 4).prune(net, task, progress=False)
    assert all(torch.equal(run.mask.kept, magnitude.mask.kept) for run in runs)


@pytest.mark.parametrize(
    "other",
    [{"seed": 2}, {"batch_size": 31}, {"loss": HALF_SQUARES}, {"max_bytes": 2**29}],
    ids=lambda other: next(iter(other)),
)
def test_models_on_other_batches_or_of_other_losses_are_not_shared(
    other: dict, net: nn.Module, task: data.Task, models_made: list[tuple[int, Tensor]]
) -> None:
    prune_together([replace(QM, stages=1), replace(QM, stages=1, **other)], net, task, progress=False)
    assert [order for order, _ in models_made if order > 0] == [2, 2]


def test_a_change_traced_on_the_training_set_is_not_measured_on_the_batch_too(
    net: nn.Module, task: data.Task, models_made: list[tuple[int, Tensor]]
) -> None:
    prune_together([replace(QM, trace="train"), replace(QM, trace="train", criterion="mp")], net, task, progress=False)
    assert [order for order, _ in models_made] == [2, 2, 2]


def test_one_batch_is_drawn_for_all_that_want_the_same(net: nn.Module, task: data.Task) -> None:
    duck = Duck(task)
    prune_together([*TOGETHER["criterion"], *TOGETHER["penalty"]], net, duck, progress=False)
    assert duck.calls == ["sample"] * 3
    prune_together([replace(QM, seed=7), QM], net, duck, progress=False)
    assert duck.calls == ["sample"] * 9


def test_no_pruners_give_no_runs(net: nn.Module, task: data.Task) -> None:
    assert prune_together([], net, Closed(task)) == []
    assert (
        len(prune_together((LocalPruner("mp", 0.5), LocalPruner("random", 0.5)), net, Closed(task), progress=False))
        == 2
    )


@pytest.mark.filterwarnings("ignore::lossprune_lib.pruning.EmptyLayerWarning")
def test_the_network_is_left_as_it_was_by_many(net: nn.Module, task: data.Task) -> None:
    before = copy.deepcopy(net.state_dict())
    mask = Mask(torch.arange(103) % 4 > 0, WeightSpace(net).layout)
    kept = mask.kept.clone()
    runs = prune_together(TOGETHER["everything"], net, task, mask, progress=False)
    runs[0].network()[0].weight.data.fill_(7)
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    assert torch.equal(mask.kept, kept)
    assert all(parameter.grad is None and parameter.requires_grad for parameter in net.parameters())
    assert not net.training


def test_runs_do_not_share_what_can_be_changed(net: nn.Module, task: data.Task) -> None:
    first, second = prune_together([QM, QM], net, task, progress=False)
    first.trace.loc[0, "loss"] = 7
    first.mask.kept.fill_(False)
    alone = QM.prune(net, task, progress=False)
    assert torch.equal(second.mask.kept, alone.mask.kept)
    pd.testing.assert_frame_equal(second.trace, alone.trace)


def test_each_run_warns_of_its_emptied_layer(net: nn.Module, task: data.Task) -> None:
    with torch.no_grad():
        net[2].weight.mul_(1e-3)
        net[4].weight.mul_(1e-6)
    pruners = [LocalPruner("mp", sparsity=0.6, stages=3), LocalPruner("mp", sparsity=0.1, stages=2)]
    pruners += [LocalPruner("mp", sparsity=0.3, stages=1)]
    with pytest.warns(EmptyLayerWarning) as caught:
        prune_together(pruners, net, task, progress=False)
    found = sorted("4" if "layer '4'" in str(warning.message) else "2" for warning in caught)
    assert found == ["2", "4", "4"]  # both layers of the first, one of the last, none of the second


@pytest.mark.parametrize(
    ("settings", "remedies"),
    [
        ({"criterion": "mp"}, 'lower the sparsity, or use scope="layer".'),
        (
            {"criterion": Criterion("mine", 0, lambda stage: stage.weights)},
            'lower the sparsity, raise the step penalty, or use scope="layer".',
        ),
        ({"criterion": "mp", "sparsity": 0.99, "scope": "layer"}, "lower the sparsity."),
    ],
)
def test_an_emptied_layer_has_remedies_that_help(
    settings: dict[str, object], remedies: str, net: nn.Module, task: data.Task
) -> None:
    with torch.no_grad():
        net[4].weight.mul_(1e-6)
    pruner = LocalPruner(**({"sparsity": 0.6, "stages": 1} | settings))
    with pytest.warns(EmptyLayerWarning, match=re.escape(f"To keep some: {remedies}")):
        pruner.prune(net, task, progress=False)


def test_a_bad_network_or_mask_is_refused_for_all(net: nn.Module, task: data.Task) -> None:
    other = Mask.dense(WeightSpace(nn.Sequential(nn.Linear(6, 3))))
    with pytest.raises(ValueError, match="another network"):
        prune_together([QM, QM], net, Closed(task), other)
    net[0].weight.data.fill_(math.nan)
    with pytest.raises(ValueError, match="NaN or infinite"):
        prune_together([LocalPruner("mp"), QM], net, Closed(task))


# --- elsewhere ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("criterion", CRITERIA)
def test_a_pruning_does_not_depend_on_the_callers_gradient_mode(
    criterion: str, net: nn.Module, task: data.Task
) -> None:
    pruner = LocalPruner(criterion, sparsity=0.8, stages=2, batch_size=30)
    with torch.no_grad():
        run = pruner.prune(net, task)
    assert torch.equal(run.mask.kept, pruner.prune(net, task).mask.kept)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_counts_are_exact_in_every_precision(dtype: torch.dtype, digits: data.Task) -> None:
    task = digits.to(dtype=dtype)
    net = models.mlp_300_100(task)
    states = list(LocalPruner("lm", sparsity=0.98847, stages=3, batch_size=100).stream(net, task))
    size = WeightSpace(net).size
    for state, sparsity in zip(states, LocalPruner("lm", sparsity=0.98847, stages=3).sparsities, strict=True):
        assert state.dense.dtype == dtype
        assert int((~state.mask.kept).sum()) == selection.count(size, sparsity)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("criterion", ["mp", "random"])
def test_masks_are_the_same_on_an_accelerator(criterion: str, net: nn.Module, task: data.Task) -> None:
    pruner = LocalPruner(criterion, sparsity=0.8, stages=3)
    here = pruner.prune(net, task).mask.kept
    there = pruner.prune(net.cuda(), task.to("cuda")).mask.kept
    assert there.is_cuda
    assert torch.equal(there.cpu(), here)


def test_a_network_that_is_sparser_already_is_said_to_be(task: data.Task) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3)).double().eval()
    first = LocalPruner("mp", 0.9, 1).prune(net, task, progress=False)
    sparse = first.network()
    with pytest.warns(AlreadySparseWarning, match=r"90\.3 % .* sparsity 0\.5") as said:
        LocalPruner("mp", 0.5, 1).prune(sparse, task, progress=False)
    with pytest.warns(AlreadySparseWarning, match=r"90\.3 % .* sparsity 0\.5") as said_too:
        trust_region(LocalPruner("qm", 0.5), sparse, task, 0.1)
    assert {said[0].filename, said_too[0].filename} == {__file__}
    with warnings.catch_warnings():
        warnings.simplefilter("error", AlreadySparseWarning)
        LocalPruner("mp", 0.9, 1).prune(sparse, task, progress=False)
        LocalPruner("mp", 0.95, 2).prune(sparse, task, first.mask, progress=False)


def test_layers_that_begin_at_zero_are_not_called_pruned(task: data.Task) -> None:
    net = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3)).double().eval()
    nn.init.zeros_(net[2].weight)
    with warnings.catch_warnings():
        warnings.simplefilter("error", AlreadySparseWarning)
        LocalPruner("mp", 0.2, 1).prune(net, task, progress=False)
