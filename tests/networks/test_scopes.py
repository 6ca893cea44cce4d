"""Scopes: exact counts in every group, ties to the lower index; a layer's part of the mask by its name."""

from __future__ import annotations

import doctest
import math
from itertools import product

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils import prune as torch_prune

from lossprune_lib import LocalPruner, Mask, WeightSpace, data
from lossprune_lib.networks.selection import SCOPES

SHAPES = st.lists(
    st.one_of(
        st.tuples(st.integers(1, 5), st.integers(1, 9)),
        st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 2), st.integers(1, 2)),
    ),
    min_size=1,
    max_size=3,
)
SCORES = st.sampled_from([-math.inf, -1.0, -0.0, 0.0, 0.5, 1.0, math.inf])


def groups_of(mask: Mask, scope: str) -> list[list[int]]:
    """Return the indices of each group, by plain loops."""
    found, first = [], 0
    for _, shape in mask.layout:
        places = (torch.arange(math.prod(shape)) + first).reshape(shape)
        first += places.numel()
        if scope == "row":
            found += [row.flatten().tolist() for row in places]
        elif scope == "2:4":
            for o, *at in product(*(range(size) for size in (shape[0], *shape[2:]))):
                along = places[(o, slice(None), *at)].tolist()
                found += [along[i : i + 4] for i in range(0, len(along) - 3, 4)]
        else:
            found.append(places.flatten().tolist())
    return [list(range(first))] if scope == "global" else found


@st.composite
def cases(draw: st.DrawFn) -> tuple[Mask, Tensor]:
    layout = tuple((f"layer{i}", shape) for i, shape in enumerate(draw(SHAPES)))
    size = sum(math.prod(shape) for _, shape in layout)
    kept = draw(st.one_of(st.just([True] * size), st.lists(st.booleans(), min_size=size, max_size=size)))
    scores = draw(st.lists(SCORES, min_size=size, max_size=size))
    return Mask(torch.tensor(kept), layout), torch.tensor(scores)


@pytest.mark.parametrize("scope", SCOPES)
@given(cases(), st.floats(0, 1, exclude_max=True))
def test_each_group_loses_exactly_its_smallest(scope: str, case: tuple[Mask, Tensor], sparsity: float) -> None:
    (mask, scores), sparsity = case, 0.5 if scope == "2:4" else sparsity
    counts, groups = mask.still_to_prune(sparsity, scope), sorted(groups_of(mask, scope))
    expected: list[int] = []
    for group in groups:
        kept = [i for i in group if mask.kept[i]]
        k = round(len(group) * sparsity) - (len(group) - len(kept))
        expected += sorted(kept, key=lambda i: (scores[i].item(), i))[: max(0, k)]
    assert mask.smallest_kept(scores, counts, scope).sort().values.tolist() == sorted(expected)
    assert len(counts) == len(groups)
    after = mask.without(mask.smallest_kept(scores, counts, scope))
    assert max(after.still_to_prune(sparsity, scope), default=0) <= 0
    shares = [1 - mask.kept[group].double().mean().item() for group in groups_of(mask, "layer")]
    assert mask.sparsities("layer") == pytest.approx(shares)


@pytest.mark.parametrize("scope", SCOPES)
def test_nothing_can_be_ranked_by_nan(scope: str) -> None:
    mask = Mask(torch.ones(32, dtype=torch.bool), (("a", (4, 8)),))
    with pytest.raises(ValueError, match="NaN"):
        mask.smallest_kept(torch.full((32,), math.nan), mask.still_to_prune(0.5, scope), scope)


def test_more_than_a_row_has_is_refused() -> None:
    mask = Mask(torch.ones(6, dtype=torch.bool), (("a", (2, 3)),))
    with pytest.raises(ValueError, match="4 of 3 entries"):
        mask.smallest_kept(torch.zeros(6), [1, 4], "row")
    with pytest.raises(TypeError, match="one for each row"):
        mask.smallest_kept(torch.zeros(6), [1, 2, 3], "row")


# --- in a pruner ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def net() -> nn.Module:
    torch.manual_seed(0)
    layers = nn.Flatten(), nn.Unflatten(1, (4, 4, 4)), nn.Conv2d(4, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(24, 10)
    return nn.Sequential(*layers).eval()


def test_two_of_each_four_inputs_go(net: nn.Module, digits: data.Task) -> None:
    run = LocalPruner("lm", sparsity=0.5, stages=1, scope="2:4").prune(net, digits, progress=False)
    assert run.mask.sparsity == 0.5
    assert (run.mask["5"].reshape(10, 6, 4).sum(-1) == 2).all()
    assert (run.mask["2"].sum(1) == 2).all()  # of the four input channels, at each place of the kernel


def test_the_last_inputs_that_make_no_four_stay_and_are_named(digits: data.Task) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 7), nn.Tanh(), nn.Linear(7, 10)).eval()
    with pytest.warns(UserWarning, match="3 are not a multiple of 4"):
        run = LocalPruner("mp", sparsity=0.5, stages=1, scope="2:4").prune(net, digits, progress=False)
    assert run.mask["3"][:, 4:].all()
    assert (run.mask["3"][:, :4].sum(1) == 2).all()
    assert run.mask.sparsity < 0.5


@pytest.mark.parametrize("options", [{"sparsity": 0.6, "stages": 1}, {"sparsity": 0.5, "stages": 2}])
def test_two_of_four_is_half_and_at_once(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="2:4"):
        LocalPruner("mp", scope="2:4", **options)
    with pytest.raises(ValueError, match="2:4"):
        Mask(torch.ones(4, dtype=torch.bool), (("a", (1, 4)),)).still_to_prune(0.6, "2:4")


def test_rows_lose_their_share_at_every_stage(net: nn.Module, digits: data.Task) -> None:
    pruner = LocalPruner("qm", sparsity=0.8, stages=3, scope="row", batch_size=50)
    for state, sparsity in zip(pruner.stream(net, digits), pruner.sparsities, strict=True):
        for name, k in (("2", 36), ("5", 24)):
            gone = (~state.mask[name]).flatten(1).sum(1)
            assert (gone == round(k * sparsity)).all()


@pytest.mark.parametrize("schedule", ["linear", "exponential", "cubic"])
def test_each_row_goes_from_its_own_sparsity(schedule: str, net: nn.Module, digits: data.Task) -> None:
    space = WeightSpace(net)
    kept = torch.ones(space.size, dtype=torch.bool)
    kept[:18] = False  # half of the first row
    pruner = LocalPruner("mp", sparsity=0.75, stages=4, schedule=schedule, scope="row")
    steps = [state.mask["2"].flatten(1) for state in pruner.stream(net, digits, Mask(kept, space.layout))]
    t = torch.arange(1, 5, dtype=torch.float64) / 4
    shares = {"linear": 0.5 + 0.25 * t, "exponential": 1 - 0.5 ** (1 + t), "cubic": 0.5 + 0.25 * (1 - (1 - t) ** 3)}
    assert [int((~mask[0]).sum()) for mask in steps] == [round(36 * share) for share in shares[schedule].tolist()]
    assert [int((~mask[1]).sum()) for mask in steps] == [round(36 * share) for share in pruner.sparsities]


def test_a_row_that_is_too_sparse_at_the_start_is_named(net: nn.Module, digits: data.Task) -> None:
    space = WeightSpace(net)
    kept = torch.ones(space.size, dtype=torch.bool)
    kept[:36] = False
    with pytest.raises(ValueError, match="in a row"):
        LocalPruner("mp", sparsity=0.75, scope="row").prune(net, digits, Mask(kept, space.layout))


# --- a layer's part -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["conv1", "module.conv1", "_orig_mod.conv1", "module._orig_mod.conv1"])
@pytest.mark.parametrize("wrapped", ["conv1", "module.conv1", "_orig_mod.module.conv1"])
def test_a_layer_is_found_whatever_wraps_the_network(name: str, wrapped: str) -> None:
    mask = Mask(torch.arange(20) % 2 == 0, (("fc", (3, 4)), (wrapped, (2, 2, 2, 1))))
    assert torch.equal(mask[name], (torch.arange(12, 20) % 2 == 0).reshape(2, 2, 2, 1))


@pytest.mark.parametrize("name", ["conv2", 0, None, ""])
def test_a_layer_that_is_not_there_is_refused(name: object) -> None:
    with pytest.raises(KeyError, match="no layer"):
        Mask(torch.ones(4, dtype=torch.bool), (("conv1", (2, 2)),))[name]


def test_a_near_name_is_suggested() -> None:
    with pytest.raises(KeyError, match="Did you mean 'conv1'"):
        Mask(torch.ones(4, dtype=torch.bool), (("module.conv1", (2, 2)),))["conv2"]


def test_torch_takes_a_finished_mask_as_the_docstring_shows() -> None:
    (example,) = (found for found in doctest.DocTestFinder().find(Mask.__getitem__) if found.examples)
    assert not doctest.DocTestRunner().run(example, clear_globs=False).failed
    net, mask = example.globs["net"], example.globs["mask"]
    torch_prune.remove(net[0], "weight")
    torch_prune.remove(net[1], "weight")
    assert torch.equal(WeightSpace(net).read() != 0, mask.kept)


@pytest.mark.parametrize("scope", ["row", "2:4"])
def test_rows_of_transposed_convolutions_are_no_outputs(scope: str) -> None:
    x, y = torch.randn(9, 4, 3, 3), torch.tensor([0, 1, 2] * 3)
    task = data.Task.from_tensors(x, y, x, y, x, y)
    net = nn.Sequential(nn.ConvTranspose2d(4, 4, 2), nn.Flatten(), nn.Linear(64, 3)).eval()
    with pytest.raises(ValueError, match="Layer '0' is a ConvTranspose2d"):
        LocalPruner("mp", 0.5, 1, scope=scope).prune(net, task, progress=False)
    run = LocalPruner("mp", 0.5, 1, scope=scope, exclude="0").prune(net, task, progress=False)
    assert run.mask.sparsity == 0.5


class Conv1D(nn.Module):
    """GPT-2's layer, as transformers has it: its weight has the inputs first, here as many as outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.randn(4, 4)), nn.Parameter(torch.zeros(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x @ self.weight + self.bias


@pytest.mark.parametrize("kind", [Conv1D, type("LoraLayer", (Conv1D,), {})])
@pytest.mark.parametrize("scope", ["row", "2:4"])
def test_rows_of_gpt2s_layers_are_no_outputs(scope: str, kind: type[nn.Module]) -> None:
    x, y = torch.randn(9, 4), torch.tensor([0, 1, 2] * 3)
    task = data.Task.from_tensors(x, y, x, y, x, y)
    net = nn.Sequential(kind(), nn.Linear(4, 3)).eval()
    with pytest.raises(ValueError, match=f"Layer '0' is a {kind.__name__}"):
        LocalPruner("mp", 0.5, 1, scope=scope).prune(net, task, progress=False)
    LocalPruner("mp", 0.5, 1, scope="layer").prune(net, task, progress=False)


@pytest.mark.parametrize(("kind", "sizes"), [(nn.Conv1d, (4, 4, 1)), (nn.Linear, (3, 3))])
def test_a_layer_that_is_only_called_so_has_outputs_first(kind: type[nn.Module], sizes: tuple[int, ...]) -> None:
    x, y = torch.randn(9, 4, 3), torch.tensor([0, 1, 2] * 3)
    task = data.Task.from_tensors(x, y, x, y, x, y)
    net = nn.Sequential(type("Conv1D", (kind,), {})(*sizes), nn.Flatten(), nn.Linear(12, 3)).eval()
    assert LocalPruner("mp", 0.5, 1, scope="row").prune(net, task, progress=False).mask.sparsity > 0.3
