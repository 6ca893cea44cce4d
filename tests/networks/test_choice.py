"""Which parameters are prunable: by the type of their module, or as chosen; and what is left out, and why."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, weight_norm
from torch.nn.utils.prune import l1_unstructured

from lossprune_lib import LocalPruner, WeightSpace, data, models


class Conv1D(nn.Module):
    """A layer of a kind that torch does not have, as GPT-2's: its weight is transposed."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.randn(3, 4)), nn.Parameter(torch.zeros(4))
        self.scale = nn.Parameter(torch.ones(2, 2))


class Everything(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.decoder = nn.Embedding(5, 4), nn.Linear(4, 5)
        self.decoder.weight = self.embedding.weight
        self.body = nn.ModuleDict(
            {
                "conv1": nn.Conv1d(2, 3, 2),
                "conv3": nn.Conv3d(1, 2, 2),
                "up": nn.ConvTranspose2d(2, 3, 2),
                "attention": nn.MultiheadAttention(4, 2),
                "other": nn.MultiheadAttention(4, 2, kdim=3, vdim=2),
                "lstm": nn.LSTM(3, 4, proj_size=2),
                "cell": nn.GRUCell(3, 4),
                "gpt": Conv1D(),
                "norm": nn.LayerNorm([3, 4]),
                "batch": nn.BatchNorm2d(3),
                "slope": nn.PReLU(3),
            }
        )
        self.position = nn.Parameter(torch.randn(6, 4))


PRUNED = (
    *("body.conv1", "body.conv3", "body.up"),
    *("body.attention.in_proj_weight", "body.attention.out_proj"),
    *(f"body.other.{part}_proj_weight" for part in "qkv"),
    "body.other.out_proj",
    *(f"body.lstm.weight_{part}_l0" for part in ("ih", "hh", "hr")),
    *(f"body.cell.weight_{part}" for part in ("ih", "hh")),
    "body.gpt",
)


def test_by_default_weights_of_layers_of_all_kinds_and_nothing_else() -> None:
    space = WeightSpace(Everything())
    assert set(space.layers) == set(PRUNED)
    reasons = space.coverage.left_out
    assert reasons["embedding.weight"] == "in embeddings"
    assert reasons["body.norm.weight"] == reasons["body.batch.bias"] == "in norms"
    assert reasons["body.gpt.bias"] == reasons["body.lstm.bias_ih_l0"] == "in biases"
    assert reasons["position"] == "in other parameters of Everything"
    assert set(reasons) | set(space.names) == {name for name, _ in Everything().named_parameters()}


def test_coverage_counts_and_says_what_is_left_out() -> None:
    net = Everything()
    coverage = WeightSpace(net).coverage
    total = sum(parameter.numel() for parameter in net.parameters())
    assert (coverage.total, coverage.prunable) == (total, WeightSpace(net).size)
    assert coverage.share == pytest.approx(coverage.prunable / total)
    words = repr(WeightSpace(net))
    assert f"{100 * coverage.share:.3g} % of {total:,} parameters" in words
    assert "20 in embeddings" in words


@pytest.mark.parametrize("model", ["mlp_300_100", "small_vgg"])
def test_for_the_networks_of_the_course_it_is_every_linear_and_convolutional_layer(model: str) -> None:
    net = models.make(model, data.load("digits"))
    wanted = [name for name, module in net.named_modules() if isinstance(module, (nn.Linear, nn.Conv2d))]
    assert list(WeightSpace(net).layers) == wanted
    assert WeightSpace(net).coverage.share > 0.99


@pytest.mark.parametrize(
    ("include", "exclude", "layers"),
    [
        ("body.lstm", (), ("body.lstm.weight_ih_l0", "body.lstm.weight_hh_l0", "body.lstm.bias_ih_l0")),
        (nn.Conv1d, (), ("body.conv1", "body.conv1.bias")),
        ([nn.Conv1d, "body.conv3"], "*.bias", ("body.conv1", "body.conv3")),
        ("*conv?", "body.conv3", ("body.conv1",)),
        (lambda name, parameter: parameter.ndim == 5, (), ("body.conv3",)),
        (["default", nn.Embedding], ["body", nn.Linear], ("embedding",)),
        (None, ["body.*", "body.conv1"], None),
    ],
)
def test_layers_are_chosen_by_name_pattern_type_or_function(include: object, exclude: object, layers: object) -> None:
    if layers is None:
        with pytest.raises(ValueError, match="no weight to prune"):
            WeightSpace(Everything(), include, exclude)  # type: ignore[arg-type]
        return
    space = WeightSpace(Everything(), include, exclude)  # type: ignore[arg-type]
    assert space.layers[: len(layers)] == layers  # type: ignore[arg-type, index]


def test_a_selector_that_selects_nothing_is_refused_with_a_near_match() -> None:
    with pytest.raises(ValueError, match=r"include.*'body\.conv' selects no parameter"):
        WeightSpace(Everything(), include="body.conv")
    with pytest.raises(ValueError, match=r"exclude.*selects no parameter"):
        WeightSpace(Everything(), exclude=nn.Bilinear)
    with pytest.raises(TypeError, match="name, pattern"):
        WeightSpace(Everything(), exclude=[3])  # type: ignore[list-item]


def test_frozen_weights_are_left_out_and_named() -> None:
    net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 2)).requires_grad_(True)
    net[0].requires_grad_(False)
    space = WeightSpace(net)
    assert space.layers == ("1",)
    assert space.coverage.left_out["0.weight"] == "frozen"
    x = torch.randn(4, 3)
    assert torch.equal(space.call(space.read(), space.rest(), x), net(x))


def test_a_weight_that_is_computed_is_refused_unless_excluded() -> None:
    net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 2))
    parametrizations.weight_norm(net[0])
    with pytest.raises(ValueError, match="computed from other tensors"):
        WeightSpace(net)
    assert WeightSpace(net, exclude="0").layers == ("1",)


def test_a_weight_of_two_layers_is_one_weight() -> None:
    net = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 3))
    net[2].weight = net[0].weight
    space, x = WeightSpace(net), torch.randn(4, 3)
    assert space.layers == ("0",)
    zero = space.call(0 * space.read(), space.rest(), x)
    assert torch.equal(zero, net[2].bias.expand(4, 3))


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.attention, self.own = nn.LSTM(3, 4), nn.MultiheadAttention(4, 2), nn.Bilinear(3, 4, 5)
        self.embedding, self.norm = nn.Embedding(5, 4), nn.LayerNorm([3, 4])


COMPUTED = [("lstm", "weight_hh_l0"), ("attention", "in_proj_weight"), ("own", "weight")]
WAYS = [parametrizations.weight_norm, weight_norm, parametrizations.spectral_norm, partial(l1_unstructured, amount=0.5)]


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("layer", "name"), COMPUTED)
def test_computed_weights_of_layers_of_all_kinds_are_refused(layer: str, name: str, way) -> None:  # type: ignore[no-untyped-def]
    net = Recurrent()
    way(net.get_submodule(layer), name)
    for include in (None, "*", layer, ["default", "norm"]):
        with pytest.raises(ValueError, match=f"The {name} of layer '{layer}' is computed from other tensors"):
            WeightSpace(net, include)
    assert not any(layer in found for found in WeightSpace(net, exclude=layer).layers)
    others = [other for other, _ in COMPUTED if other != layer]
    assert WeightSpace(net, include=others).size > 0


@pytest.mark.parametrize(("layer", "name"), [("embedding", "weight"), ("norm", "weight"), ("lstm", "bias_hh_l0")])
def test_computed_weights_that_are_not_to_be_pruned_are_no_obstacle(layer: str, name: str) -> None:
    net = Recurrent()
    before = WeightSpace(net).layers
    parametrizations.parametrize.register_parametrization(net.get_submodule(layer), name, nn.Identity())
    assert WeightSpace(net).layers == before


def test_weights_of_ones_own_making_and_frozen_ones_are_no_obstacle() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight_g, self.weight_v = nn.Parameter(torch.ones(3, 1)), nn.Parameter(torch.ones(3, 4))

        @property
        def weight(self) -> Tensor:
            return self.weight_g * self.weight_v

    frozen = parametrizations.weight_norm(nn.Bilinear(3, 3, 2)).requires_grad_(False)
    net = nn.ModuleDict({"first": nn.Linear(4, 4), "scaled": Scaled(), "frozen": frozen})
    assert WeightSpace(net).layers == ("first",)
    norm = parametrizations.weight_norm(nn.LayerNorm(4), dim=None)
    net = nn.ModuleDict({"first": nn.Linear(4, 4), "norm": norm})
    assert WeightSpace(net, include=lambda name, p: p.ndim > 1 and bool(p.abs().max() > 0)).layers == ("first",)


def test_an_embedding_that_rescales_its_weights_is_refused() -> None:
    net = nn.Sequential(nn.Embedding(10, 4, max_norm=0.5), nn.Flatten(), nn.Linear(20, 3))
    with pytest.raises(ValueError, match=r"Embedding '0' rescales its weights in place \(max_norm\)"):
        WeightSpace(net, include="*")
    assert WeightSpace(net).layers == ("2",)


def test_what_cannot_be_pruned_is_to_be_excluded() -> None:
    net = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2, dtype=torch.complex64))
    with pytest.raises(ValueError, match="complex64: exclude it"):
        WeightSpace(net)
    net[1] = nn.Linear(2, 2)
    net.scale = nn.Parameter(torch.tensor(1.0))
    with pytest.raises(ValueError, match="'scale' is a single number"):
        WeightSpace(net, include="*")
    assert WeightSpace(net, include="*", exclude="scale").size == 14


def test_selectors_may_be_read_only_once() -> None:
    net = nn.Sequential(nn.Linear(3, 2), parametrizations.weight_norm(nn.Linear(2, 2)))
    assert WeightSpace(net, exclude=iter(["1"])).layers == WeightSpace(net, include=iter(["0.weight"])).layers == ("0",)
    pruner = LocalPruner("mp", exclude=iter(["1"]), include=iter(["default"]))
    assert (pruner.include, pruner.exclude) == (("default",), ("1",))


def test_a_network_without_parameters_has_nothing_to_prune() -> None:
    with pytest.raises(ValueError, match=r"no weight to prune \(0 % of 0 parameters"):
        WeightSpace(nn.Sequential(nn.Flatten()))


def test_a_space_s_own_names_choose_it_again_where_a_layer_is_compiled() -> None:
    net = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), torch.compile(nn.Linear(3, 2), backend="eager"))
    space = WeightSpace(net)
    assert space.names[1] == "2._orig_mod.weight"
    assert WeightSpace(net, include=space.names).layers == space.layers == ("0", "2")
    assert WeightSpace(net, include=space.names[1]).layers == ("2",)
