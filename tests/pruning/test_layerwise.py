"""Wanda, SparseGPT and the Optimal Brain Surgeon of a layer's squared error, against their definitions in float64."""

from __future__ import annotations

import copy
import doctest
import itertools
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from lossprune_lib import LocalPruner, WeightSpace, data
from lossprune_lib.pruning import layerwise
from lossprune_lib.pruning.layerwise import (
    SPARSEGPT,
    WANDA,
    compensated,
    hessian,
    in_turn,
    inverse_factor,
    obs,
    obs_update,
)
from lossprune_lib.seeds import generator

EXACT = {"atol": 1e-9, "rtol": 1e-9}
pytestmark = pytest.mark.filterwarnings("ignore::lossprune_lib.pruning.CoverageWarning")


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=generator(seed, "layerwise", *shape), dtype=torch.float64)


def best(weights: Tensor, x: Tensor, free: Tensor, fixed: Tensor) -> Tensor:
    """Return a row [K] whose `free` entries make the least error, by least squares; all others are those of `fixed`."""
    rest = x @ weights - x[:, ~free] @ fixed[~free]
    found = fixed.clone()
    found[free] = torch.linalg.lstsq(x[:, free], rest[:, None]).solution[:, 0]
    return found


@pytest.fixture(scope="module")
def task() -> data.Task:
    x, y = draw(40, 3, 6, 6), torch.arange(40) % 4
    return data.Task.from_tensors(x, y, x[:8], y[:8], x[:8], y[:8], classes=4)


@pytest.fixture(scope="module")
def net() -> nn.Sequential:
    torch.manual_seed(1)
    layers = nn.Conv2d(3, 6, 3, groups=3), nn.ReLU(inplace=True), nn.Conv2d(6, 4, 3, stride=2, padding=1), nn.Tanh()
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(16, 8), nn.Tanh(), nn.Linear(8, 4)).double().eval()


# --- the Optimal Brain Surgeon of one row


@pytest.mark.parametrize("count", [1, 3, 6])
def test_obs_leaves_the_least_error_for_the_weights_that_it_pruned(count: int) -> None:
    """One weight at a time or all at once: what stays is the solution of the least squares, in whatever order."""
    weights, x = draw(7), draw(20, 7)
    pruned = obs(weights, hessian(x), count)
    assert int((pruned == 0).sum()) == count
    torch.testing.assert_close(pruned, best(weights, x, pruned != 0, torch.zeros(7, dtype=torch.float64)), **EXACT)


def test_obs_prunes_the_weight_that_costs_least_at_each_step() -> None:
    weights, x = draw(6, seed=1), draw(30, 6, seed=1)
    kept = torch.ones(6, dtype=torch.bool)
    for count in range(1, 6):
        refitted = []
        for q in kept.nonzero().squeeze(1).tolist():
            without = kept.clone()
            without[q] = False
            refitted.append((best(weights, x, without, torch.zeros_like(weights)), without))
        errors = [(x @ (row - weights)).square().sum().item() for row, _ in refitted]
        row, kept = refitted[errors.index(min(errors))]
        torch.testing.assert_close(obs(weights, hessian(x), count), row, **EXACT)


def test_the_saliency_of_obs_is_the_increase_of_the_error() -> None:
    weights, x = draw(5), draw(12, 5)
    inverse = torch.linalg.inv(hessian(x))
    for q in range(5):
        changed = obs_update(weights, inverse, q)
        assert changed[q] == 0
        error = (x @ (changed - weights)).square().sum()
        torch.testing.assert_close(error, weights[q] ** 2 / (2 * inverse[q, q]), **EXACT)
        assert error < weights[q] ** 2 * hessian(x)[q, q] / 2  # what it costs to leave the others


def test_obs_prunes_nothing_everything_and_no_more() -> None:
    weights, h = draw(4), hessian(draw(9, 4))
    assert torch.equal(obs(weights, h, 0), weights)
    assert not obs(weights, h, 4).any()
    with pytest.raises(ValueError, match="5 of 4"):
        obs(weights, h, 5)
    with pytest.raises(ValueError, match="add a little to its diagonal"):
        obs(weights, hessian(draw(3, 4)), 1)  # fewer positions than inputs


# --- SparseGPT's update


def test_the_factors_rows_are_the_inverses_of_what_is_left() -> None:
    """U_jj^2 and U_j,j: / U_jj are what OBS needs at column j: of the inverse of H without the columns before j."""
    h = hessian(draw(20, 6))
    factor = inverse_factor(h, damping=0)
    torch.testing.assert_close(factor.T @ factor, torch.linalg.inv(h), **EXACT)
    for j in range(6):
        inverse = torch.linalg.inv(h[j:, j:])
        torch.testing.assert_close(factor[j, j] * factor[j, j:], inverse[0], **EXACT)


def test_pruned_columns_first_the_update_is_exact() -> None:
    """Where all that go stand left of all that stay, nothing is held fixed: least squares, and OBS step by step."""
    weights, x = draw(3, 8), draw(30, 8)
    kept = torch.arange(8).expand(3, 8) >= torch.tensor([[2], [5], [0]])
    found = compensated(weights, kept, inverse_factor(hessian(x), damping=0))
    for row, before, stays in zip(found, weights, kept, strict=True):
        torch.testing.assert_close(row, best(before, x, stays, torch.zeros_like(before)), **EXACT)
        left, inverse = before, torch.linalg.inv(hessian(x))
        for q in (~stays).nonzero().squeeze(1).tolist():
            left = obs_update(left, inverse, q)
            inverse = inverse - torch.outer(inverse[:, q], inverse[q]) / inverse[q, q]
        torch.testing.assert_close(row, left * stays, **EXACT)


def test_any_mask_each_column_leaves_the_best_of_those_right_of_it() -> None:
    """The definition, a least-squares problem at each column: what is left of it is held as it is."""
    weights, x = draw(4, 7), draw(30, 7)
    kept = draw(4, 7, seed=3) > 0
    found = compensated(weights, kept, inverse_factor(hessian(x), damping=0))
    for row, before, stays in zip(found, weights, kept, strict=True):
        expected = before.clone()
        for j in range(7):
            expected[j] *= stays[j]
            if j < 6:
                expected = best(before, x, torch.arange(7) > j, expected)
        torch.testing.assert_close(row, expected, **EXACT)


def test_the_update_is_between_masking_and_the_exact_solution() -> None:
    weights, x = draw(6, 10), draw(40, 10) @ draw(10, 10)
    kept = draw(6, 10, seed=2) > 0
    found = compensated(weights, kept, inverse_factor(hessian(x), damping=0))

    def errors(rows: Tensor) -> Tensor:
        return ((rows - weights) @ x.T).square().sum(1)

    exact = torch.stack([best(w, x, k, torch.zeros_like(w)) for w, k in zip(weights, kept, strict=True)])
    assert (errors(exact) <= errors(found) + 1e-9).all()
    assert (errors(found) < errors(weights * kept)).all()
    assert (errors(exact) < errors(found)).any()  # it is not OBS: columns left of a pruned one do not change


def test_a_kept_layer_and_inputs_that_are_zero_or_equal_change_nothing_much() -> None:
    weights, x = draw(3, 5), draw(20, 5)
    kept = torch.ones(3, 5, dtype=torch.bool)
    assert torch.equal(compensated(weights, kept, inverse_factor(hessian(x))), weights)
    x[:, 1], x[:, 3] = 0, x[:, 2]
    for inputs in (x, torch.zeros(20, 5, dtype=torch.float64)):
        factor = inverse_factor(hessian(inputs))
        assert torch.isfinite(factor).all()
        assert torch.isfinite(compensated(weights, draw(3, 5) > 0, factor)).all()


# --- the criteria


def test_wanda_is_a_loop_over_weights(net: nn.Module, task: data.Task) -> None:
    pruner = LocalPruner(WANDA, sparsity=0.5, stages=1, scope="row", batch_size=40)
    run = pruner.prune(net, task, progress=False)
    x, _ = task.sample(40, torch.Generator())
    hidden = net[:5](x)
    layer = net[5]
    for i, row in enumerate(layer.weight):
        scores = [abs(w.item()) * sum(v.item() ** 2 for v in hidden[:, j]) ** 0.5 for j, w in enumerate(row)]
        smallest = sorted(range(16), key=scores.__getitem__)[:8]
        assert sorted((~run.mask["5"][i]).nonzero().squeeze(1).tolist()) == sorted(smallest)
    assert torch.equal(run.network()[5].weight, layer.weight * run.mask["5"])


def test_sparsegpt_is_its_definition_in_each_layer(net: nn.Module, task: data.Task) -> None:
    """Convolutions too: their unfolded inputs; the groups of one as layers of their own."""
    pruner = LocalPruner(SPARSEGPT, sparsity=0.5, stages=1, scope="layer", batch_size=40)
    run = pruner.prune(net, task, progress=False)
    x, _ = task.sample(40, torch.Generator())
    pruned = run.network()

    def inputs(i: int) -> Tensor:
        before = net[:i](x)
        if not isinstance(net[i], nn.Conv2d):
            return before[None]
        unfolded = nn.functional.unfold(before, 3, padding=net[i].padding, stride=net[i].stride)
        return unfolded.unflatten(1, (net[i].groups, -1)).permute(1, 0, 3, 2).flatten(1, 2)

    for i in (0, 2, 5, 7):
        factors = [inverse_factor(hessian(columns)) for columns in inputs(i)]
        groups = net[i].weight.detach().flatten(1).unflatten(0, (len(factors), -1))
        scores = torch.cat([(w / f.diagonal()).square() for w, f in zip(groups, factors, strict=True)])
        kept = run.mask[str(i)].flatten(1)
        assert scores[~kept].max() <= scores[kept].min()
        parts = zip(groups, kept.unflatten(0, (len(factors), -1)), factors, strict=True)
        torch.testing.assert_close(
            pruned[i].weight.detach().flatten(1), torch.cat([compensated(*part) for part in parts]), **EXACT
        )


@pytest.mark.parametrize("scope", ["row", "2:4"])
def test_sparsegpt_takes_rows_and_fours(net: nn.Module, task: data.Task, scope: str) -> None:
    pruner = LocalPruner(
        SPARSEGPT, sparsity=0.5, stages=1, scope=scope, batch_size=40, include=["5.weight", "7.weight"]
    )
    run = pruner.prune(net, task, progress=False)
    width = {"row": 8, "2:4": 4}[scope]
    assert (run.mask["7"].reshape(-1, width).sum(1) == width // 2).all()
    weights = run.network()[7].weight
    assert ((weights == 0) == ~run.mask["7"]).all()
    assert not torch.equal(weights[run.mask["7"]], net[7].weight[run.mask["7"]])


def test_what_earlier_stages_pruned_stays_pruned(net: nn.Module, task: data.Task) -> None:
    pruner = LocalPruner(SPARSEGPT, sparsity=0.6, stages=3, scope="layer", batch_size=40)
    states = list(pruner.stream(net, task))
    for before, after in itertools.pairwise(states):
        assert not (after.mask.kept & ~before.mask.kept).any()
        assert not after.weights[~before.mask.kept].any()


def test_the_squared_error_of_a_layer_is_least_with_the_update(net: nn.Module, task: data.Task) -> None:
    x, _ = task.sample(40, torch.Generator())
    x = net[:5](x).detach()

    def error(criterion: str | object) -> float:
        run = LocalPruner(criterion, sparsity=0.5, stages=1, scope="layer", batch_size=40, include="5.weight").prune(
            net, task, progress=False
        )
        return (x @ (run.network()[5].weight - net[5].weight).T).square().sum().item()

    assert error(SPARSEGPT) < min(error(WANDA), error("mp"))


# --- layer by layer


def test_in_turn_each_layer_sees_the_pruned_ones_before_it(net: nn.Module, task: data.Task) -> None:
    pruner = LocalPruner(SPARSEGPT, sparsity=0.5, stages=1, scope="layer", batch_size=40)
    pruned, mask = in_turn(pruner, net, task)
    assert mask.layout == WeightSpace(net).layout
    assert mask.sparsity == pytest.approx(0.5, abs=0.01)
    x, _ = task.sample(40, torch.Generator())
    factor = inverse_factor(hessian(pruned[:5](x)))
    expected = compensated(net[5].weight.detach(), mask["5"], factor)
    torch.testing.assert_close(pruned[5].weight.detach(), expected, **EXACT)
    at_once = pruner.prune(net, task, progress=False)
    assert torch.equal(at_once.mask["0"], mask["0"])  # nothing is before the first
    assert not torch.equal(at_once.network()[7].weight, pruned[7].weight)


def test_in_turn_knows_no_densities(net: nn.Module, task: data.Task) -> None:
    for scope in ("global", "layer"):
        pruner = LocalPruner(WANDA, 0.5, 1, scope=scope, densities={"0": 0.5})
        with pytest.raises(ValueError, match="leave the densities out"):
            in_turn(pruner, net, task)


@pytest.mark.parametrize("criterion", ["mp", "lm"])
def test_in_turn_prunes_a_compiled_layer_too(criterion: str, net: nn.Module, task: data.Task) -> None:
    pruner = LocalPruner(criterion, sparsity=0.5, stages=1, scope="layer", batch_size=40)
    compiled = copy.deepcopy(net)
    compiled[7] = torch.compile(compiled[7], backend="eager")
    pruned, mask = in_turn(pruner, compiled, task)
    alone, expected = in_turn(pruner, net, task)
    assert torch.equal(mask.kept, expected.kept)
    assert torch.equal(WeightSpace(pruned).read(), WeightSpace(alone).read())


def test_in_turn_takes_groups_of_layers(net: nn.Module, task: data.Task) -> None:
    pruner = LocalPruner(SPARSEGPT, sparsity=0.5, stages=1, scope="layer", batch_size=40, exclude="7")
    alone, mask = in_turn(pruner, net, task)
    grouped, same = in_turn(pruner, net, task, ["0", "2", "*"])
    assert torch.equal(mask.kept, same.kept)
    assert all(torch.equal(a, b) for a, b in zip(alone.parameters(), grouped.parameters(), strict=True))
    at_once, together = in_turn(pruner, net, task, ["*"])
    run = pruner.prune(net, task, progress=False)
    assert torch.equal(run.mask.kept, together.kept)
    assert torch.equal(run.network()[5].weight, at_once[5].weight)
    assert torch.equal(at_once[7].weight, net[7].weight)
    with pytest.raises(ValueError, match="Layer '5' is in no group"):
        in_turn(pruner, net, task, ["0", "2"])


def test_in_turn_ranks_within_layers_only(net: nn.Module, task: data.Task) -> None:
    with pytest.raises(ValueError, match='scope="layer"'):
        in_turn(LocalPruner(SPARSEGPT, sparsity=0.5, stages=1), net, task)
    with pytest.raises(TypeError, match="LocalPruner"):
        in_turn("sparsegpt", net, task)


@pytest.mark.parametrize(
    ("groups", "sentence"), [([["0"], ["2"]], "group is a str, not a list"), ("2*", "groups are a")]
)
def test_groups_that_are_no_list_of_patterns_are_refused(
    groups: object, sentence: str, net: nn.Module, task: data.Task
) -> None:
    with pytest.raises(TypeError, match=sentence):
        in_turn(LocalPruner(WANDA, sparsity=0.5, stages=1, scope="row"), net, task, groups)  # type: ignore[arg-type]


def test_layers_of_other_kinds_are_refused(task: data.Task) -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(draw(4, 108))

        def forward(self, x: Tensor) -> Tensor:
            return x.flatten(1) @ self.weight.T

    pruner = LocalPruner(WANDA, sparsity=0.5, stages=1, scope="row", batch_size=8, include="weight")
    for criterion in (WANDA, SPARSEGPT):
        with pytest.raises(ValueError, match="only Linear and Conv2d"):
            replace(pruner, criterion=criterion).prune(Scaled(), task, progress=False)


def test_layers_that_are_not_called_are_named(task: data.Task) -> None:
    class Attending(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.unused, self.last = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 4)
            self.attention = nn.MultiheadAttention(6, 2, batch_first=True)

        def forward(self, x: Tensor) -> Tensor:
            h = self.first(input=x.flatten(1, 2))
            return self.last(self.attention(query=h, key=h, value=h)[0].mean(1))

    net = Attending().double().eval()
    pruner = LocalPruner(WANDA, sparsity=0.5, stages=1, scope="row", batch_size=8)
    with pytest.raises(ValueError, match=r"'attention.in_proj_weight' is Multihead"):
        pruner.prune(net, task, progress=False)
    with pytest.raises(ValueError, match=r"layer 'unused' .* \['unused', 'attention.out_proj'\] to exclude"):
        replace(pruner, exclude="attention.in_proj_weight").prune(net, task, progress=False)
    run = replace(pruner, exclude=["unused", "attention"]).prune(net, task, progress=False)
    assert run.mask.layout == (("first", (6, 6)), ("last", (4, 6)))


def test_in_turn_leaves_out_what_the_pruner_excludes(net: nn.Module, task: data.Task) -> None:
    normed = copy.deepcopy(net)
    nn.utils.parametrizations.weight_norm(normed[2])
    pruner = LocalPruner(WANDA, sparsity=0.5, stages=1, scope="row", exclude="2*")
    pruned, mask = in_turn(pruner, normed, task)
    assert [name for name, _ in mask.layout] == ["0", "5", "7"]
    assert torch.equal(pruned[2].weight, normed[2].weight)
    assert mask.sparsity == pytest.approx(0.5, abs=0.05)
    assert torch.equal(mask.check(pruned).read() != 0, mask.kept)


def test_the_example_in_the_docstring_holds() -> None:
    assert doctest.testmod(layerwise).attempted > 4
    assert not doctest.testmod(layerwise).failed
