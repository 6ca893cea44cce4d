"""Criteria and schedules of one's own: SNIP, Wanda, LAMP and Optimal Brain Surgeon against their definitions."""

from __future__ import annotations

import doctest
import math
import pickle
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lossprune_lib import LocalPruner, Study, WeightSpace, data
from lossprune_lib.loss_modelling import Loss
from lossprune_lib.pruning import allocation, criteria, one_shot, prune_together
from lossprune_lib.pruning.criteria import Criterion
from lossprune_lib.pruning.ranking import path
from lossprune_lib.pruning.stage_model import StageModel
from lossprune_lib.pruning.trust_region import finished, trust_region


@pytest.fixture(scope="module")
def task() -> data.Task:
    draws = torch.Generator().manual_seed(0)
    x = torch.randn(60, 3, 6, 6, dtype=torch.float64, generator=draws)
    y = torch.randint(4, (60,), generator=draws)
    return data.Task.from_tensors(x, y, x[:10], y[:10], x[:10], y[:10], classes=4)


@pytest.fixture
def net() -> nn.Sequential:
    torch.manual_seed(1)
    layers = nn.Conv2d(3, 6, 3, groups=3), nn.ReLU(inplace=True), nn.Conv2d(6, 4, 3, stride=2, padding=1), nn.Tanh()
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(16, 4)).double().eval()


@pytest.fixture(scope="module")
def shown() -> dict[str, Any]:
    """What the docstring of `Criterion` defines."""
    (example,) = (found for found in doctest.DocTestFinder().find(Criterion) if found.name == "Criterion")
    assert not doctest.DocTestRunner().run(example, clear_globs=False).failed
    return example.globs


def shrinking(model: StageModel) -> Tensor:
    return -model.weights.abs()


def taylor(model: StageModel) -> Tensor:
    return -model.gradient * model.weights


def late(sparsity: float, stage: int, stages: int, start: float) -> float:
    return start + (sparsity - start) * (stage / stages) ** 2


# --- against their definitions --------------------------------------------------------------------------------------


def test_snip_ranks_by_the_sensitivity_of_the_connections(
    shown: dict[str, Any], net: nn.Module, task: data.Task
) -> None:
    """Lee et al. 2019: the derivative of the loss by an indicator of each connection, normalised, the largest kept."""
    space = WeightSpace(net)
    indicators = torch.ones(space.size, dtype=torch.float64, requires_grad=True)
    x, y = task.sample(1000, torch.Generator())
    F.cross_entropy(space.run(indicators * space.read(), space.rest(), x), y).backward()
    sensitivity = indicators.grad.abs() / indicators.grad.abs().sum()
    snip = replace(shown["pruners"][0], batch_size=1000)
    run = snip.prune(net, task, progress=False)
    kept = round(space.size * 0.1)
    assert set(run.mask.kept.nonzero().squeeze(1).tolist()) == set(sensitivity.topk(kept).indices.tolist())
    assert math.isnan(run.trace["predicted_change"][0])  # it is a score, and predicts nothing
    assert run.trace["true_change"][0] == pytest.approx(run.true_change)


def test_wanda_ranks_within_each_output_by_weight_and_norm_of_the_input(
    shown: dict[str, Any], net: nn.Module, task: data.Task
) -> None:
    """Sun et al. 2023: |W_ij| ||X_j||, with X_j the j-th input feature over the whole batch; half of each row goes."""
    run = replace(shown["pruners"][2], batch_size=1000).prune(net, task, progress=False)
    x, _ = task.sample(1000, torch.Generator())
    kept = {name: run.mask[name] for name in ("0", "2", "5")}
    with torch.no_grad():
        for row in range(4):  # the last layer
            scores = net[5].weight[row].abs() * net[:5](x).square().sum(0).sqrt()
            assert set((~kept["5"][row]).nonzero().squeeze(1).tolist()) == set(
                scores.topk(8, largest=False).indices.tolist()
            )
        for row in range(6):  # the first: two outputs to each group of one channel
            patches = F.unfold(x[:, row // 2 : row // 2 + 1], 3).transpose(1, 2).reshape(-1, 9)
            scores = net[0].weight[row].abs().flatten() * patches.norm(dim=0)
            gone = scores.topk(round(9 * 0.5), largest=False).indices
            assert set((~kept["0"][row]).flatten().nonzero().squeeze(1).tolist()) == set(gone.tolist())


def test_lamp_ranks_by_the_share_of_the_weights_that_are_not_smaller(
    shown: dict[str, Any], net: nn.Module, task: data.Task
) -> None:
    run = shown["pruners"][1].prune(net, task, progress=False)
    space = WeightSpace(net)
    parts = [piece.flatten() for piece in space.split(space.read())]
    scores = [w.square() / part[part.abs() >= w.abs()].square().sum() for part in parts for w in part]
    kept = torch.stack(scores).topk(space.size - round(space.size * 0.9)).indices
    assert set(run.mask.kept.nonzero().squeeze(1).tolist()) == set(kept.tolist())
    assert run.mask.density() == allocation.lamp(space, space.read(), 0.9)


LAYERS = {
    "linear": (nn.Linear(6, 5), (7, 6)),
    "linear at many positions": (nn.Linear(6, 5), (7, 3, 6)),
    "convolution": (nn.Conv2d(4, 6, (3, 2), stride=(2, 1), padding=(1, 0), dilation=(1, 2)), (7, 4, 6, 6)),
    "in groups, around the edge": (nn.Conv2d(4, 6, 3, groups=2, padding="same", padding_mode="circular"), (7, 4, 6, 6)),
    "depthwise": (nn.Conv2d(4, 8, 1, groups=4), (7, 4, 3, 3)),
}


@pytest.mark.parametrize("kind", LAYERS)
def test_the_inputs_times_the_weights_are_the_outputs(kind: str) -> None:
    layer, shape = LAYERS[kind]
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    net = nn.Sequential(layer, nn.ReLU(inplace=True), nn.Flatten(), nn.LazyLinear(2)).eval()
    net(x)
    targets = torch.zeros(7, dtype=torch.int64)
    given = data.Task.from_tensors(*[x, targets] * 3, classes=2)
    seen: list[dict[str, Tensor]] = []

    def look(stage: StageModel) -> Tensor:
        seen.append(stage.inputs())
        assert torch.equal(stage.batch[1], targets)
        return stage.weights.abs()

    LocalPruner(Criterion("look", 0, score=look), sparsity=0.5, stages=1).prune(net, given, progress=False)
    found, weight = seen[0]["0"], layer.weight.detach()
    rows = weight.reshape(*found.shape[:-2], -1, found.shape[-1])  # [groups, outputs, K], of one group [outputs, K]
    outputs = (found @ rows.mT).movedim(-1, -2).reshape(len(weight), -1).T  # [positions, outputs]
    with torch.no_grad():
        expected = layer(given.sample(1000, torch.Generator())[0])
    expected = expected.movedim(1 if kind not in ("linear", "linear at many positions") else -1, -1)
    # The stage draws the examples in an order of its own.
    expected = expected.reshape(-1, len(weight)) - layer.bias.detach()
    torch.testing.assert_close(outputs.sort(0).values, expected.sort(0).values)


# --- an update of the weights that stay -----------------------------------------------------------------------------


@dataclass(frozen=True)
class HalfSquares(Loss):
    def total(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs - F.one_hot(targets, outputs.shape[1])).square().sum() / 2

    def hessian_root(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return torch.eye(outputs.shape[1]).to(outputs).unsqueeze(1).repeat(1, len(outputs), 1)


def obs(stage: StageModel) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """Optimal Brain Surgeon (Hassibi & Stork 1993) for one linear layer and half the squared error."""
    (x,), outputs = stage.inputs().values(), stage.space.layout[0][1][0]
    kept = stage.mask.kept
    hessian = torch.kron(torch.eye(outputs, dtype=x.dtype), x.T @ x / len(x))
    inverse = torch.zeros_like(hessian)
    inverse[kept.outer(kept)] = torch.linalg.inv(hessian[kept][:, kept]).flatten()

    def update(pruned: Tensor) -> Tensor:
        return stage.weights - inverse[:, pruned] @ torch.linalg.solve(
            inverse[pruned][:, pruned], stage.weights[pruned]
        )

    return torch.where(kept, stage.weights.square() / (2 * inverse.diagonal()), 0), update


OBS = LocalPruner(Criterion("obs", 0, obs), sparsity=1 / 12, stages=1, loss=HalfSquares())


@pytest.fixture(scope="module")
def least_squares() -> tuple[nn.Module, data.Task, Tensor, Tensor]:
    """A linear layer of 2 x 6 weights without bias at the minimum of its squared error."""
    draws = torch.Generator().manual_seed(3)
    x = torch.randn(40, 6, dtype=torch.float64, generator=draws) @ torch.randn(
        6, 6, dtype=torch.float64, generator=draws
    )
    y = torch.randint(2, (40,), generator=draws)
    task = data.Task.from_tensors(*[x, y] * 3, classes=2)
    net, targets = nn.Linear(6, 2, bias=False).double().eval(), F.one_hot(y, 2).double()
    with torch.no_grad():
        net.weight.copy_(torch.linalg.lstsq(x, targets).solution.T)
    return net, task, x, targets


def test_the_loss_after_one_weight_and_its_update_is_the_predicted_one(
    least_squares: tuple[nn.Module, data.Task, Tensor, Tensor],
) -> None:
    net, task, x, targets = least_squares
    run = OBS.prune(net, task, progress=False)
    inverse = torch.kron(torch.eye(2), torch.linalg.inv(x.T @ x / 40).contiguous())
    saliencies = net.weight.detach().flatten().square() / (2 * inverse.diagonal())
    row, q = run.trace.loc[0], int(saliencies.argmin())
    assert (~run.mask.kept).nonzero().flatten().tolist() == [q]
    assert row["predicted_change"] == pytest.approx(saliencies[q].item(), rel=1e-12)
    assert row["true_change"] == pytest.approx(row["predicted_change"], rel=1e-11)
    assert run.true_change == pytest.approx(row["predicted_change"], rel=1e-11)
    step = run.state.weights - net.weight.detach().flatten()
    assert row["step_length"] == pytest.approx(step.norm().item(), rel=1e-12)
    # That is the least-squares fit without the weight, and the network that the run gives.
    output, feature = divmod(q, 6)
    rest = [i for i in range(6) if i != feature]
    fit = torch.linalg.lstsq(x[:, rest], targets[:, output]).solution
    found = run.network().weight.detach()
    torch.testing.assert_close(found[output, rest], fit)
    assert found[output, feature] == 0
    assert torch.equal(found[1 - output], net.weight[1 - output])


def test_updates_carry_over_to_the_next_stage(
    least_squares: tuple[nn.Module, data.Task, Tensor, Tensor],
) -> None:
    net, task, x, targets = least_squares
    run = replace(OBS, sparsity=0.5, stages=6, schedule="linear").prune(net, task, progress=False)
    assert run.trace["predicted_change"].to_numpy() == pytest.approx(run.trace["true_change"].to_numpy(), rel=1e-10)
    assert run.trace["true_change"].sum() == pytest.approx(run.true_change)
    for output, kept in enumerate(run.mask[""]):
        fit = torch.linalg.lstsq(x[:, kept], targets[:, output]).solution
        torch.testing.assert_close(run.network().weight.detach()[output, kept], fit)
    bare = replace(OBS, criterion="obd", sparsity=0.5, stages=6, schedule="linear").prune(net, task, progress=False)
    assert run.true_change < bare.true_change


def test_one_shot_and_the_trust_region_use_the_update(
    least_squares: tuple[nn.Module, data.Task, Tensor, Tensor],
) -> None:
    net, task, _, _ = least_squares
    _, table = one_shot(net, task, [0.0, 0.25], Criterion("obs", 0, obs))
    _, bare = one_shot(net, task, [0.0, 0.25], Criterion("obs", 0, lambda stage: obs(stage)[0]))
    assert table["loss"][0] == bare["loss"][0]
    assert table["loss"][1] != bare["loss"][1]
    run = finished(OBS, trust_region(replace(OBS, sparsity=0.5), net, task, 1e-9, share=0.1, least=0.09))
    assert run.trace["true_change"].to_numpy() == pytest.approx(run.trace["predicted_change"].to_numpy(), rel=1e-9)


# --- functions and objects in place of names ------------------------------------------------------------------------


def test_a_function_scores_without_data(net: nn.Module, task: data.Task) -> None:
    run = LocalPruner(shrinking, sparsity=0.5, stages=2).prune(net, task, progress=False)
    weights = WeightSpace(net).read().abs()
    assert weights[run.mask.kept].max() <= weights[~run.mask.kept].min()
    assert run.trace["loss"].isna().all()


@pytest.mark.parametrize("name", criteria.CRITERIA)
def test_our_own_functions_and_objects_are_what_their_names_are(name: str, net: nn.Module, task: data.Task) -> None:
    pruner = LocalPruner(name, sparsity=0.7, stages=2)
    same = [replace(pruner, criterion=getattr(criteria, name)), replace(pruner, criterion=criteria.CRITERIA[name])]
    runs = prune_together([pruner, *same], net, task, progress=False)
    for run in runs[1:]:
        assert torch.equal(run.mask.kept, runs[0].mask.kept)
        assert run.trace.equals(runs[0].trace)


def test_a_change_of_ones_own_is_predicted_and_penalised_as_ours(net: nn.Module, task: data.Task) -> None:
    pruner = LocalPruner("lm", sparsity=0.7, stages=3, step_penalty=0.01)
    runs = prune_together([pruner, replace(pruner, criterion=Criterion("mine", 1, taylor))], net, task, progress=False)
    assert runs[0].trace.equals(runs[1].trace)
    assert torch.equal(runs[0].mask.kept, runs[1].mask.kept)


def test_a_criterion_gets_what_it_asks_for_and_no_more(net: nn.Module, task: data.Task) -> None:
    """Also beside one that asks for more, whose model it shares."""
    seen: list[int | None] = []

    def watch(stage: StageModel) -> Tensor:
        seen.append(stage.order)
        return stage.weights.abs()

    pruners = [LocalPruner(Criterion("watch", order, score=watch), 0.5, 1) for order in (None, 0, 1, 2)]
    prune_together([LocalPruner("qm", 0.5, 1), *pruners], net, task, progress=False)
    assert sorted(seen, key=str) == [0, 1, 2, None]


def test_a_criterion_may_be_called_random(net: nn.Module, task: data.Task) -> None:
    mine = Criterion("random", None, score=shrinking)
    runs = [LocalPruner(c, 0.5, 1).prune(net, task, progress=False) for c in (mine, shrinking)]
    assert torch.equal(runs[0].mask.kept, runs[1].mask.kept)


def test_schedules_may_be_functions(net: nn.Module, task: data.Task) -> None:
    pruner = LocalPruner("mp", sparsity=0.8, stages=4, schedule=late)
    assert pruner.sparsities == pytest.approx([0.05, 0.2, 0.45, 0.8])
    sizes = WeightSpace(net).size
    found = [round(state.mask.sparsity * sizes) for state in pruner.stream(net, task)]
    assert found == [round(sizes * share) for share in pruner.sparsities]


def test_pruners_of_module_level_functions_are_picklable_and_compare(net: nn.Module, task: data.Task) -> None:
    pruner = LocalPruner(Criterion("mine", 1, taylor), schedule=late, stages=3)
    again = pickle.loads(pickle.dumps(pruner))
    assert again == pruner
    assert hash(again) == hash(pruner)
    assert torch.equal(
        again.prune(net, task, progress=False).mask.kept, pruner.prune(net, task, progress=False).mask.kept
    )


# --- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "error", "sentence"),
    [
        (lambda: LocalPruner(5), ValueError, "no criterion called 5"),
        (lambda: LocalPruner("mp", schedule=lambda sparsity, stage: 0.5), TypeError, "stage, stages, start"),
        (lambda: LocalPruner("mp", schedule=lambda *_: 0.95).sparsities, ValueError, "between"),
        (lambda: LocalPruner("mp", schedule=lambda *_: None).sparsities, TypeError, "What a schedule gives"),
        (lambda: Criterion("mine", 3, taylor), ValueError, "order is 3"),
        (lambda: Criterion("mine", 1, taylor, gradient=False), ValueError, "gradient False"),
        (lambda: Criterion("mine", 1), TypeError, "one function"),
        (lambda: Criterion("mine", 1, taylor, score=taylor), TypeError, "one function"),
        (lambda: Criterion("mine", 1, "taylor"), TypeError, "one function"),
        (lambda: Criterion("mine", None, taylor), ValueError, "score="),
        (lambda: Criterion(taylor, 1), TypeError, "name of a criterion"),
        (lambda: Study.grid(task="digits", criteria=[shrinking]), TypeError, "by your own|name of the criterion"),
        (lambda: Study.grid(task="digits", criteria=Criterion("mine", 1, taylor)), TypeError, "criterion"),
        (lambda: Study.grid(task="digits", criteria="mp", schedule=late), TypeError, "schedule"),
    ],
)
def test_refused_at_once(make: Callable[[], object], error: type[Exception], sentence: str) -> None:
    with pytest.raises(error, match=sentence):
        make()


@pytest.mark.parametrize(
    ("criterion", "error", "sentence"),
    [
        (taylor, ValueError, "order=1"),
        (lambda stage: stage.gradient.abs(), ValueError, "order None"),
        (Criterion("mine", 1, score=lambda stage: stage.curvature * stage.weights), ValueError, "order 1"),
        (lambda stage: stage.weights[1:], ValueError, "one number per weight"),
        (lambda stage: 0.5, ValueError, "gives float"),
        (lambda stage: stage.weights * 1j, ValueError, "gives torch.complex"),
        (lambda stage: stage.weights.square_(), ValueError, "changed the stage's weights in place"),
        (lambda stage: stage.weights * math.nan, ValueError, "NaN"),
        (lambda stage: stage.inputs(), ValueError, "order=0"),
        (lambda stage: (stage.weights, lambda pruned: stage.weights[pruned]), ValueError, "334 weights"),
        (lambda stage: (stage.weights, lambda pruned: stage.weights / 0), ValueError, "update"),
    ],
)
def test_refused_when_it_is_asked(criterion: Any, error: type[Exception], sentence: str, net, task) -> None:
    with pytest.raises(error, match=sentence):
        LocalPruner(criterion, stages=1).prune(net, task, progress=False)


def test_no_criterion_may_change_what_others_read(net: nn.Module, task: data.Task) -> None:
    snip = Criterion("snip", order=1, score=lambda stage: stage.gradient.mul_(stage.weights).abs_())
    with pytest.raises(ValueError, match="'snip' changed the stage's gradient in place"):
        prune_together([LocalPruner(each, stages=1) for each in (snip, "lm")], net, task, progress=False)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.bool, torch.int8])
def test_small_numbers_rank_as_well(dtype: torch.dtype, net: nn.Module, task: data.Task) -> None:
    def rough(stage: StageModel) -> Tensor:
        return (stage.weights.abs() * 8).to(dtype)

    def exact(stage: StageModel) -> Tensor:
        return rough(stage).double()

    for kind in ("score", "change"):
        masks = [
            LocalPruner(Criterion("mine", 0, **{kind: rule}), 0.5, 1).prune(net, task, progress=False).mask.kept
            for rule in (rough, exact)
        ]
        assert torch.equal(*masks)


def test_a_path_keeps_to_names(net: nn.Module, task: data.Task) -> None:
    with pytest.raises(ValueError, match="no criterion"):
        path(net, task, task.sample(10, torch.Generator()), shrinking)
