"""Masks: exact selection with ties, the bookkeeping per layer, and files."""

from __future__ import annotations

import copy
import json
import math
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from lossprune_lib import Mask, WeightSpace, files
from lossprune_lib.networks import selection

TIED = [-math.inf, -1.0, -0.0, 0.0, 1e-30, 0.5, 1.0, math.inf]
VALUES = st.one_of(
    st.sampled_from(TIED), st.sampled_from(TIED[:4]), st.floats(width=32, allow_nan=False, allow_subnormal=False)
)


def small_net() -> nn.Module:
    """A convolution and a linear layer, 8 + 12 weights, none of them zero."""
    net = nn.Sequential(nn.Conv2d(1, 2, 2), nn.ReLU(), nn.Flatten(), nn.Linear(4, 3))
    with torch.no_grad():
        for i, parameter in enumerate(net.parameters()):
            parameter.copy_(torch.arange(1.0, parameter.numel() + 1).view_as(parameter) + i)
    return net


def half_mask(net: nn.Module) -> Mask:
    space = WeightSpace(net)
    return Mask(torch.arange(space.size) % 2 == 0, space.layout)


# --- the k smallest -------------------------------------------------------------------------------------------------


@given(st.lists(VALUES, min_size=1, max_size=60), st.floats(0, 1), st.sampled_from([torch.float32, torch.float64]))
@settings(max_examples=300, deadline=None)
def test_smallest_selects_exactly_k_and_ties_go_to_the_lower_index(
    values: list[float], share: float, dtype: torch.dtype
) -> None:
    saliency = torch.tensor(values, dtype=dtype)
    k = round(share * len(values))
    before = saliency.clone()
    selected = selection.smallest(saliency, k)
    assert torch.equal(saliency, before)
    assert selected.dtype == torch.bool
    assert int(selected.sum()) == k
    assert set(selected.nonzero().squeeze(1).tolist()) == set(saliency.argsort(stable=True)[:k].tolist())
    if 0 < k < len(values):
        largest = saliency[selected].max()
        assert largest <= saliency[~selected].min()
        tied = (saliency == largest).nonzero().squeeze(1)
        assert torch.equal(selected[tied], selected[tied].sort(descending=True).values)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("zeros", [0.0, 0.5, 0.99])
@pytest.mark.parametrize("share", [0.01, 0.5, 0.989])
def test_smallest_of_many_equals_a_stable_sort(dtype: torch.dtype, zeros: float, share: float) -> None:
    draws = torch.Generator().manual_seed(0)
    saliency = torch.rand(20_000, generator=draws, dtype=dtype)
    saliency[torch.rand(20_000, generator=draws) < zeros] = 0
    k = round(share * 20_000)
    expected = torch.zeros(20_000, dtype=torch.bool)
    expected[saliency.argsort(stable=True)[:k]] = True
    assert torch.equal(selection.smallest(saliency, k), expected)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@given(st.lists(VALUES, min_size=1, max_size=60), st.floats(0, 1))
@settings(max_examples=50, deadline=None)
def test_smallest_is_the_same_on_an_accelerator(values: list[float], share: float) -> None:
    saliency, k = torch.tensor(values), round(share * len(values))
    assert torch.equal(selection.smallest(saliency.cuda(), k).cpu(), selection.smallest(saliency, k))


@pytest.mark.parametrize(("k", "words"), [(-1, "k is -1, but must be at least 0"), (4, "4 of 3 entries cannot be")])
def test_smallest_refuses_more_than_there_are(k: int, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        selection.smallest(torch.zeros(3), k)


def test_smallest_refuses_to_rank_a_nan() -> None:
    with pytest.raises(ValueError, match="A saliency is NaN"):
        selection.smallest(torch.tensor([0.0, math.nan, 1.0]), 1)


def test_nothing_of_nothing_may_be_selected() -> None:
    assert selection.smallest(torch.zeros(0), 0).shape == (0,)


@given(st.integers(0, 10**9), st.floats(0, 1, exclude_max=True))
def test_count_is_the_nearest_whole_number(size: int, sparsity: float) -> None:
    count = selection.count(size, sparsity)
    assert isinstance(count, int)
    assert 0 <= count <= size
    assert abs(count - size * sparsity) <= 0.5


@pytest.mark.parametrize(
    ("size", "sparsity", "count"), [(10, 0.25, 2), (10, 0.35, 4), (3, 0.5, 2), (1, 0.5, 0), (7, 0, 0)]
)
def test_count_by_hand(size: int, sparsity: float, count: int) -> None:
    assert selection.count(size, sparsity) == count


@pytest.mark.parametrize(
    ("size", "sparsity", "error"),
    [
        (-1, 0.5, ValueError),
        (2.0, 0.5, TypeError),
        (2, 1, ValueError),
        (2, -0.1, ValueError),
        (2, math.nan, ValueError),
    ],
)
def test_count_refuses_what_means_nothing(size: object, sparsity: object, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"size|sparsity"):
        selection.count(size, sparsity)


# --- a mask and its network -----------------------------------------------------------------------------------------


def test_a_dense_mask_keeps_every_weight() -> None:
    mask = Mask.dense(WeightSpace(small_net()))
    assert mask.kept.shape == (20,)
    assert mask.kept.dtype == torch.bool
    assert mask.sparsity == 0
    assert mask.density() == {"0": 1.0, "3": 1.0}


def test_sparsity_and_density_count_what_is_kept() -> None:
    space = WeightSpace(small_net())
    kept = torch.zeros(20, dtype=torch.bool)
    kept[[0, 7, 8]] = True
    mask = Mask(kept, space.layout)
    assert mask.sizes == [8, 12]
    assert mask.sparsity == pytest.approx(17 / 20)
    assert mask.density() == {"0": 2 / 8, "3": 1 / 12}


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_a_mask_that_is_not_bool_is_refused(dtype: torch.dtype) -> None:
    with pytest.raises(TypeError, match=f"bool.*{dtype}"):
        Mask(torch.ones(20, dtype=dtype), WeightSpace(small_net()).layout)


@pytest.mark.parametrize("shape", [(19,), (20, 1), ()])
def test_a_mask_of_another_size_than_its_layers_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="20"):
        Mask(torch.ones(shape, dtype=torch.bool), WeightSpace(small_net()).layout)


def test_what_is_still_to_prune_counts_from_what_is_pruned() -> None:
    kept = torch.ones(20, dtype=torch.bool)
    kept[[0, 1, 8]] = False  # 2 of 8 and 1 of 12
    mask = Mask(kept, WeightSpace(small_net()).layout)
    assert mask.still_to_prune(0.5, "global") == [7]
    assert mask.still_to_prune(0.5, "layer") == [2, 5]
    assert mask.still_to_prune(0.0, "global") == [-3]
    assert mask.still_to_prune(0.1, "layer") == [-1, 0]
    assert torch.equal(mask.kept, kept)
    with pytest.raises(ValueError, match=r"no scope called 'layers'. Did you mean 'layer'"):
        mask.still_to_prune(0.5, "layers")


def test_the_smallest_kept_weights_are_chosen_of_all_or_of_each_layer() -> None:
    kept = torch.ones(20, dtype=torch.bool)
    kept[[0, 1, 19]] = False
    mask = Mask(kept, WeightSpace(small_net()).layout)
    scores = torch.arange(20.0, 0.0, -1.0)  # the last are the smallest
    assert set(mask.smallest_kept(scores, [3]).tolist()) == {16, 17, 18}
    assert set(mask.smallest_kept(scores, [2, 3], "layer").tolist()) == {6, 7, 16, 17, 18}
    assert set(mask.smallest_kept(-scores, [2, 3], "layer").tolist()) == {2, 3, 8, 9, 10}
    assert set(mask.smallest_kept(torch.zeros(20), [6]).tolist()) == {2, 3, 4, 5, 6, 7}
    assert set(mask.smallest_kept(scores, [-1, 1], "layer").tolist()) == {18}
    assert mask.smallest_kept(scores, [0]).tolist() == []
    with pytest.raises(ValueError, match="7 of 6 entries cannot be selected"):
        mask.smallest_kept(scores, [7, 0], "layer")


def test_a_mask_without_some_weights_is_a_new_one() -> None:
    mask = half_mask(small_net())
    before = mask.kept.clone()
    after = mask.without(torch.tensor([0, 4]))
    assert after.layout == mask.layout
    assert torch.equal(mask.kept, before)
    assert (mask.kept & ~after.kept).nonzero().squeeze(1).tolist() == [0, 4]
    assert torch.equal(mask.without(torch.tensor([], dtype=torch.int64)).kept, mask.kept)


def test_applying_zeroes_the_pruned_weights_and_touches_nothing_else() -> None:
    net = small_net()
    mask, before = half_mask(net), copy.deepcopy(net.state_dict())
    mask.apply_(net)
    weights = WeightSpace(net).read()
    assert torch.equal(weights == 0, ~mask.kept)
    for name, tensor in net.state_dict().items():
        if name.endswith("bias"):
            assert torch.equal(tensor, before[name])
        else:
            assert torch.equal(tensor[tensor != 0], before[name][tensor != 0])
    assert all(parameter.requires_grad and parameter.grad is None for parameter in net.parameters())


def test_parts_have_the_shapes_of_the_weights() -> None:
    net = small_net()
    mask = half_mask(net)
    parts = mask.parts(WeightSpace(net))
    assert [part.shape for part in parts] == [net[0].weight.shape, net[3].weight.shape]
    assert torch.equal(torch.cat([part.flatten() for part in parts]), mask.kept)


@pytest.mark.parametrize(
    ("other", "sentence"),
    [
        (nn.Sequential(nn.Conv2d(1, 2, 2), nn.ReLU(), nn.Flatten(), nn.Linear(4, 5)), r"'3'.*\(3, 4\).*\(5, 4\)"),
        (nn.Sequential(nn.Conv2d(1, 2, 2), nn.ReLU(), nn.Flatten()), r"'3'.*\(3, 4\) in the mask, None"),
        (nn.Sequential(nn.Flatten(), nn.ReLU()), r"'0'.*\(2, 1, 2, 2\) in the mask, None"),
    ],
    ids=["another shape", "a layer less", "nothing to prune"],
)
def test_a_mask_of_another_network_is_refused(other: nn.Module, sentence: str) -> None:
    mask = Mask.dense(WeightSpace(small_net()))
    before = copy.deepcopy(other.state_dict())
    with pytest.raises(ValueError, match=f"another network.*{sentence}"):
        mask.apply_(other)
    assert all(torch.equal(tensor, before[name]) for name, tensor in other.state_dict().items())


def test_a_mask_finds_its_layers_by_name_and_leaves_the_others() -> None:
    class Ordered(nn.Module):
        def __init__(self, *names: str) -> None:
            super().__init__()
            for name in names:
                self.add_module(name, nn.Linear(2, 2))

    space = WeightSpace(Ordered("a", "b"))
    mask = Mask.dense(space).without(torch.tensor([0, 4, 5]))
    other = Ordered("b", "more", "a")
    assert mask.check(other).layers == ("a", "b")
    before = {name: getattr(other, name).weight.detach().clone() for name in ("a", "b", "more")}
    mask.apply_(other)
    assert torch.equal(other.more.weight, before["more"])
    assert torch.equal(other.a.weight, before["a"] * torch.tensor([[0, 1], [1, 1]]))
    assert torch.equal(other.b.weight, before["b"] * torch.tensor([[0, 0], [1, 1]]))
    other.requires_grad_(False)
    assert mask.check(torch.compile(other)).layers == ("a", "b")


# --- files ----------------------------------------------------------------------------------------------------------


@given(
    st.lists(st.lists(st.integers(1, 4), min_size=1, max_size=4), min_size=1, max_size=4),
    st.integers(0, 2**31),
    st.sampled_from(["", "layer", "block.0.conv"]),
)
@settings(max_examples=30, deadline=None)
def test_what_is_saved_is_loaded(
    tmp_path_factory: pytest.TempPathFactory, shapes: list[list[int]], seed: int, prefix: str
) -> None:
    names = [prefix] if len(shapes) == 1 else [f"{prefix}.{9 - i}".lstrip(".") for i in range(len(shapes))]
    layout = tuple((name, tuple(shape)) for name, shape in zip(names, shapes, strict=True))
    size = sum(math.prod(shape) for shape in shapes)
    mask = Mask(torch.rand(2 * size, generator=torch.Generator().manual_seed(seed))[::2] < 0.3, layout)
    path = tmp_path_factory.mktemp("masks") / "new" / "mask.safetensors"
    assert mask.save(path) == path
    loaded = Mask.load(str(path))
    assert loaded.layout == mask.layout
    assert torch.equal(loaded.kept, mask.kept)


def test_a_loaded_mask_fits_its_network(tmp_path: Path) -> None:
    net = small_net()
    mask = half_mask(net)
    Mask.load(mask.save(tmp_path / "mask.safetensors")).apply_(net)
    assert torch.equal(WeightSpace(net).read() != 0, mask.kept)


@pytest.mark.parametrize(
    ("tensors", "names"),
    [
        ({"0.weight": torch.ones(2, 2)}, None),
        ({"a": torch.ones(2, 2)}, ["a"]),
        ({"a": torch.ones(2, dtype=torch.bool)}, ["a", "b"]),
        ({"a": torch.ones(2, dtype=torch.bool), "b": torch.ones(2, dtype=torch.bool)}, ["a"]),
        ({"a": torch.ones(2, dtype=torch.bool)}, ["a", "a"]),
        ({"a": torch.ones(2, dtype=torch.bool)}, []),
        ({"a": torch.ones(2, dtype=torch.bool)}, 3),
    ],
    ids=["a network", "floats", "a layer is missing", "a tensor too many", "a layer twice", "no layer", "no list"],
)
def test_a_file_that_holds_something_else_is_refused(tmp_path: Path, tensors: dict[str, Tensor], names: object) -> None:
    path = tmp_path / "other.safetensors"
    files.save_tensors(path, tensors, {} if names is None else {"layers": json.dumps(names)})
    with pytest.raises(ValueError, match="holds no mask"):
        Mask.load(path)
