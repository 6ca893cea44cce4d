"""Networks trained together come out as if each had been trained alone."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from lossprune_lib import LocalPruner, Mask, WeightSpace, data, ensembles, models, training
from lossprune_lib.pruning import EmptyLayerWarning

RECIPE = training.Recipe(epochs=2, lr=0.05, batch_size=100, milestones=(1,))
ONE_CYCLE = training.Recipe(epochs=3, lr=0.05, batch_size=100, schedule="one_cycle")
ALWAYS, NEVER = math.inf, -math.inf  # as the density below which sparse products are used


@pytest.fixture(scope="module")
def small(digits64: data.Task) -> data.Task:
    """Two epochs of it take 20 steps."""
    d = digits64
    return data.Task.from_tensors(d.x_train[:1000], d.y_train[:1000], d.x_valid, d.y_valid, d.x_test, d.y_test)


@pytest.fixture(scope="module")
def nets(small: data.Task) -> list[nn.Module]:
    return [models.mlp_300_100(small, seed=seed) for seed in range(3)]


SPARSITIES = {"dense": None, "pruned": (0.5, 0.9, 0.0), "sparse": (0.7, 0.95, 0.995)}  # the last: an empty layer


def masks_of(nets: list[nn.Module], task: data.Task, sparsities: tuple[float, ...] = (0.5, 0.9, 0.0)) -> list[Mask]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EmptyLayerWarning)
        return [
            LocalPruner("mp", sparsity, stages=1).prune(net, task).mask
            for net, sparsity in zip(nets, sparsities, strict=True)
        ]


def difference(a: nn.Module, b: nn.Module) -> float:
    pairs = zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    return max((x - y).abs().max().item() for x, y in pairs)


@pytest.mark.parametrize("seeds", [7, [7, 8, 9]], ids=["shared order", "own order"])
@pytest.mark.parametrize("kind", SPARSITIES)
def test_together_is_as_alone(nets: list[nn.Module], small: data.Task, seeds: int | list[int], kind: str) -> None:
    sparsities = SPARSITIES[kind]
    masks = [None] * 3 if sparsities is None else masks_of(nets, small, sparsities)
    kept = None if sparsities is None else torch.stack([mask.kept for mask in masks])
    together = ensembles.fit(ensembles.Ensemble.of(nets), small, recipe=RECIPE, kept=kept, seeds=seeds, progress=False)
    for r, (net, mask) in enumerate(zip(nets, masks, strict=True)):
        seed = seeds if isinstance(seeds, int) else seeds[r]
        alone = training.fit(net, small, recipe=RECIPE, mask=mask, seed=seed, progress=False)
        assert difference(together.network(r), alone) < 1e-9
        assert difference(alone, net) > 1e-3
        if mask is not None:
            assert torch.count_nonzero(together.weights[r][~mask.kept]) == 0


def test_each_keeps_its_own_best_epoch(nets: list[nn.Module], small: data.Task) -> None:
    seen: list[list[float]] = []
    recipe = training.Recipe(epochs=8, lr=0.5)
    best = ensembles.fit(
        ensembles.Ensemble.of(nets),
        small,
        recipe=recipe,
        progress=False,
        on_epoch=lambda epoch, scores: seen.append([score.error for score in scores]),
    )
    errors = [score.error for score in ensembles.evaluate(best, small)]
    assert errors == [min(column) for column in zip(*seen, strict=True)]
    assert errors != seen[-1]


def test_scores_and_logits_are_those_of_the_networks(nets: list[nn.Module], small: data.Task) -> None:
    ensemble = ensembles.Ensemble.of(nets)
    for r, score in enumerate(ensembles.evaluate(ensemble, small, "test")):
        alone = training.evaluate(nets[r], small, "test")
        assert score.error == alone.error
        assert score.loss == pytest.approx(alone.loss, rel=1e-12)
        assert (ensemble.call(small.x_test)[r] - nets[r](small.x_test)).abs().max() < 1e-12


def test_networks_that_change_their_inputs_leave_the_data_as_they_are(small: data.Task) -> None:
    layers = [nn.Sequential(nn.Flatten(0), nn.ReLU(inplace=True), nn.Unflatten(0, (-1, 64)), nn.Linear(64, 10))]
    ensemble = ensembles.Ensemble.of([net.double() for net in layers])
    task = replace(small, x_valid=small.x_valid - 0.5)
    before = task.x_valid.clone()
    assert ensembles.evaluate(ensemble, task) == ensembles.evaluate(ensemble, task)
    assert torch.equal(task.x_valid, before)


def test_nothing_is_changed_and_zero_epochs_only_mask(nets: list[nn.Module], small: data.Task) -> None:
    ensemble = ensembles.Ensemble.of(nets)
    before = ensemble.weights.clone()
    kept = before.abs() > 0.1
    after = ensembles.fit(ensemble, small, 0, kept=kept, progress=False)
    assert torch.equal(ensemble.weights, before)
    assert torch.equal(after.weights, before * kept)
    ensembles.fit(ensemble, small, 1, progress=False)
    assert torch.equal(ensemble.weights, before)
    assert torch.equal(WeightSpace(nets[1]).read(), before[1])


# --- sparse or dense ------------------------------------------------------------------------------------------------


@pytest.fixture
def made_stacks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the stacks that were made."""
    made: list[str] = []

    def heard(make: Callable[..., object]) -> Callable[..., object]:
        def stack(*arguments: object, **options: object) -> object:
            made.append(make.__name__)
            return make(*arguments, **options)

        return stack

    for name in ("SparseStack", "DenseStack"):
        monkeypatch.setattr(ensembles, name, heard(getattr(ensembles, name)))
    return made


def half_of(ensemble: ensembles.Ensemble, shares: list[float]) -> Tensor:
    """Keep a random share of each network's weights."""
    draws = torch.rand(ensemble.weights.shape, generator=torch.Generator().manual_seed(0))
    return draws < torch.tensor(shares).unsqueeze(1)


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        (None, "DenseStack"),
        ([1.0, 1.0, 1.0], "DenseStack"),
        ([0.42, 0.42, 0.42], "DenseStack"),
        ([0.38, 0.38, 0.38], "SparseStack"),
        ([1.0, 0.05, 0.05], "SparseStack"),  # it is the mean that counts
        ([0.0, 0.0, 0.0], "SparseStack"),
    ],
)
def test_few_weights_are_trained_sparsely_and_many_densely(
    shares: list[float] | None, expected: str, nets: list[nn.Module], small: data.Task, made_stacks: list[str]
) -> None:
    ensemble = ensembles.Ensemble.of(nets)
    kept = None if shares is None else half_of(ensemble, shares)
    ensembles.fit(ensemble, small, 0, kept=kept, progress=False)
    assert made_stacks == [expected]


def test_what_cannot_be_stacked_sparsely_is_trained_densely(small: data.Task, made_stacks: list[str]) -> None:
    torch.manual_seed(0)
    nets = [
        nn.Sequential(nn.Conv2d(1, 3, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(27, 10)).double().eval()
        for _ in range(2)
    ]
    ensemble = ensembles.Ensemble.of(nets)
    kept = half_of(ensemble, [0.2, 0.1])
    together = ensembles.fit(ensemble, small, recipe=RECIPE, kept=kept, progress=False)
    assert made_stacks == ["DenseStack"]
    for r, net in enumerate(nets):
        alone = training.fit(net, small, recipe=RECIPE, mask=Mask(kept[r], ensemble.space.layout), progress=False)
        assert difference(together.network(r), alone) < 1e-9


@pytest.mark.parametrize("seeds", [7, [7, 8, 9]], ids=["shared order", "own order"])
@pytest.mark.parametrize("recipe", [RECIPE, ONE_CYCLE], ids=["steps", "one cycle"])
@pytest.mark.parametrize("shares", [[0.3, 0.01, 0.0], [1.0, 0.7, 0.5]], ids=["few", "many"])
def test_sparse_and_dense_give_the_same_networks(
    shares: list[float],
    recipe: training.Recipe,
    seeds: int | list[int],
    nets: list[nn.Module],
    small: data.Task,
    made_stacks: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ensemble = ensembles.Ensemble.of(nets)
    kept = half_of(ensemble, shares)
    found, heard = [], []
    for below in (ALWAYS, NEVER):
        monkeypatch.setattr(ensembles, "_SPARSE_BELOW", below)
        scores: list[list[training.Score]] = []
        found.append(
            ensembles.fit(
                ensemble,
                small,
                recipe=recipe,
                kept=kept,
                seeds=seeds,
                progress=False,
                on_epoch=lambda _, of_epoch, scores=scores: scores.append(of_epoch),
            )
        )
        heard.append(scores)
    assert made_stacks == ["SparseStack", "DenseStack"]
    sparse, dense = found
    torch.testing.assert_close(sparse.weights, dense.weights, rtol=0, atol=1e-9)
    for name, tensor in dense.rest.items():
        torch.testing.assert_close(sparse.rest[name], tensor, rtol=0, atol=1e-9)
    assert (sparse.weights != 0).eq(kept).all()
    for ours, theirs in zip(*heard, strict=True):
        assert [score.error for score in ours] == [score.error for score in theirs]
        assert [score.loss for score in ours] == pytest.approx([score.loss for score in theirs], rel=1e-9)


@pytest.mark.parametrize("below", [ALWAYS, NEVER], ids=["sparse", "dense"])
@pytest.mark.parametrize("masked", [True, False])
def test_one_cycle_together_is_as_alone(
    masked: bool, below: float, nets: list[nn.Module], small: data.Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ensembles, "_SPARSE_BELOW", below)
    masks = masks_of(nets, small) if masked else [None] * 3
    kept = torch.stack([mask.kept for mask in masks if mask is not None]) if masked else None
    together = ensembles.fit(
        ensembles.Ensemble.of(nets), small, recipe=ONE_CYCLE, kept=kept, seeds=[3, 3, 5], progress=False
    )
    constant = replace(ONE_CYCLE, schedule="steps")
    for r, (net, mask, seed) in enumerate(zip(nets, masks, [3, 3, 5], strict=True)):
        alone, otherwise = (
            training.fit(net, small, recipe=recipe, mask=mask, seed=seed, progress=False)
            for recipe in (ONE_CYCLE, constant)
        )
        assert difference(together.network(r), alone) < 1e-9
        assert difference(together.network(r), otherwise) > 1e-4


@pytest.mark.parametrize("below", [ALWAYS, NEVER], ids=["sparse", "dense"])
def test_each_pruned_network_keeps_its_own_best_epoch(
    below: float, nets: list[nn.Module], small: data.Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ensembles, "_SPARSE_BELOW", below)
    seen: list[list[float]] = []
    ensemble = ensembles.Ensemble.of(nets)
    best = ensembles.fit(
        ensemble,
        small,
        recipe=training.Recipe(epochs=8, lr=0.5),
        kept=half_of(ensemble, [0.2, 0.1, 0.05]),
        progress=False,
        on_epoch=lambda epoch, scores: seen.append([score.error for score in scores]),
    )
    errors = [score.error for score in ensembles.evaluate(best, small)]
    columns = list(zip(*seen, strict=True))
    assert errors == [min(column) for column in columns]
    assert errors != seen[-1]
    assert len({column.index(min(column)) for column in columns}) > 1


@pytest.mark.parametrize("below", [ALWAYS, NEVER], ids=["sparse", "dense"])
def test_in_float32_too(below: float, digits: data.Task, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ensembles, "_SPARSE_BELOW", below)
    nets = [models.mlp_300_100(digits, seed=seed) for seed in range(2)]
    masks = masks_of(nets, digits, (0.9, 0.7))
    recipe = training.Recipe(epochs=1, batch_size=200, lr=0.02)
    together = ensembles.fit(
        ensembles.Ensemble.of(nets),
        digits,
        recipe=recipe,
        kept=torch.stack([mask.kept for mask in masks]),
        progress=False,
    )
    assert {together.weights.dtype, *(tensor.dtype for tensor in together.rest.values())} == {torch.float32}
    for r, (net, mask) in enumerate(zip(nets, masks, strict=True)):
        alone = training.fit(net, digits, recipe=recipe, mask=mask, progress=False)
        assert difference(together.network(r), alone) < 1e-4
        assert difference(alone, net) > 1e-2


def test_the_examples_and_masks_are_not_changed_by_sparse_training(nets: list[nn.Module], small: data.Task) -> None:
    ensemble = ensembles.Ensemble.of(nets)
    kept = half_of(ensemble, [0.1, 0.1, 0.1])
    before = [tensor.clone() for tensor in (kept, ensemble.weights, small.x_train, small.x_valid)]
    ensembles.fit(ensemble, small, 1, kept=kept, progress=False)
    now = (kept, ensemble.weights, small.x_train, small.x_valid)
    assert all(torch.equal(a, b) for a, b in zip(before, now, strict=True))


# --- what an ensemble must not silently get wrong -------------------------------------------------------------------


def frozen_bias() -> nn.Sequential:
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.Tanh(), nn.Linear(8, 10))
    net[1].bias.requires_grad_(False)
    return net


class FunctionalDropout(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.dropout(super().forward(x), 0.5, self.training)


class Attention(nn.Module):
    """Attention among the rows of an image."""

    def __init__(self) -> None:
        super().__init__()
        self.attend = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(1).unflatten(1, (8, 8))
        return self.attend(x, x, x, need_weights=False)[0].flatten(1)


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Linear(64, 64), nn.Linear(64, 64), nn.Linear(64, 10)
        self.second.weight = self.first.weight
        self.second.bias = self.first.bias

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.second(self.first(x.flatten(1)).tanh()).tanh())


AS_ALONE_OR_REFUSED: dict[str, Callable[[], nn.Module]] = {
    "functional dropout": lambda: nn.Sequential(nn.Flatten(), FunctionalDropout(64, 8), nn.Linear(8, 10)),
    "frozen bias": frozen_bias,
    "dropout": lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.Dropout(0.5), nn.Linear(8, 10)),
}


@pytest.mark.parametrize("name", AS_ALONE_OR_REFUSED)
def test_a_network_is_trained_as_alone_or_refused(name: str, small: data.Task) -> None:
    torch.manual_seed(0)
    net = AS_ALONE_OR_REFUSED[name]().double().eval()
    try:
        together = ensembles.fit(ensembles.Ensemble.of([net, net]), small, recipe=RECIPE, progress=False)
    except ValueError:
        return
    assert difference(together.network(0), training.fit(net, small, recipe=RECIPE, progress=False)) < 1e-9


@pytest.mark.filterwarnings("error:There is a performance drop")  # of torch's fused attention, stacked
@pytest.mark.parametrize("training_mode", [False, True])
@pytest.mark.parametrize("make", [Tied, lambda: nn.Sequential(Attention(), nn.Linear(64, 10))], ids=["tied", "attends"])
def test_an_unusual_network_is_trained_as_alone(
    make: Callable[[], nn.Module], training_mode: bool, small: data.Task
) -> None:
    torch.manual_seed(0)
    nets = [make().double().train(training_mode) for _ in range(2)]
    ensemble = ensembles.Ensemble.of(nets)
    together = ensembles.fit(ensemble, small, 1, recipe=RECIPE, seeds=3, progress=False)
    for r, score in enumerate(ensembles.evaluate(together, small)):
        alone = training.fit(nets[r], small, 1, recipe=RECIPE, seed=3, progress=False)
        assert difference(together.network(r), alone) < 1e-9
        assert score.error == training.evaluate(alone, small).error
        assert (ensemble.call(small.x_test)[r] - nets[r].eval()(small.x_test)).abs().max() < 1e-9
    assert torch.backends.mha.get_fastpath_enabled()


def test_functional_dropout_is_left_out_of_evaluation_and_refused_in_training(small: data.Task) -> None:
    net, before = AS_ALONE_OR_REFUSED["functional dropout"]().double().train(), torch.get_rng_state()
    ensemble = ensembles.Ensemble.of([net])
    assert ensembles.evaluate(ensemble, small)[0].loss == pytest.approx(training.evaluate(net, small).loss, rel=1e-9)
    with pytest.raises(ValueError, match="functional dropout"):
        ensembles.fit(ensemble, small, 1, progress=False)
    assert torch.equal(torch.get_rng_state(), before)


class Scaled(nn.Linear):
    """Would multiply by a factor that `extra_repr` leaves out."""

    def __init__(self, factor: object) -> None:
        super().__init__(6, 3)
        self.factor = factor


FACTORS: dict[str, Callable[[float], object]] = {
    "a number": float,
    "in a list": lambda factor: [factor],
    "in a set": lambda factor: {factor},
    "in a dict": lambda factor: {"factor": factor},
    "in a namespace": lambda factor: SimpleNamespace(factor=factor),
    "in a dataclass": lambda factor: training.Recipe(lr=factor),
    "a function": lambda factor: math.sin if factor == 1 else math.cos,
}


@pytest.mark.parametrize("kind", FACTORS)
def test_networks_that_differ_in_a_setting_are_no_ensemble(kind: str) -> None:
    ensembles.Ensemble.of([Scaled(FACTORS[kind](1.0)), Scaled(FACTORS[kind](1.0))])
    with pytest.raises(ValueError, match="settings"):
        ensembles.Ensemble.of([Scaled(FACTORS[kind](1.0)), Scaled(FACTORS[kind](100.0))])


def test_networks_that_differ_in_their_activations_are_no_ensemble() -> None:
    nets = [nn.Sequential(nn.Linear(6, 5), act, nn.Linear(5, 3)) for act in (nn.Tanh(), nn.ReLU())]
    with pytest.raises(ValueError, match="one architecture"):
        ensembles.Ensemble.of(nets)


def cell(forward: str) -> nn.Module:
    """Return a network of a class that a notebook defines, always by the same name."""
    names: dict[str, type[nn.Module]] = {"Linear": nn.Linear}
    exec(f"class Net(Linear):\n    def forward(self, x):\n        return {forward}", names)
    return names["Net"](6, 3)


def made(act: Callable[[Tensor], Tensor] = torch.tanh) -> nn.Module:
    """Return a network of a class that is made anew, as is the one that it calls."""

    class Way:
        @staticmethod
        def of(x: Tensor) -> Tensor:
            return act(x)

    class Net(nn.Linear):
        def __init__(self) -> None:
            super().__init__(6, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.way.of(super().forward(x))

        @property
        def way(self) -> type:
            return Way

    return Net()


class Twice(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return 2 * x


def parametrized() -> nn.Module:
    return parametrize.register_parametrization(nn.Linear(6, 3), "bias", Twice())


ALIKE = {"made": made, "traced": lambda: torch.fx.symbolic_trace(made()), "parametrized": parametrized}


@pytest.mark.parametrize("kind", ALIKE)
def test_classes_of_one_name_that_define_the_same_are_an_ensemble(kind: str) -> None:
    torch.manual_seed(0)
    nets, x = [ALIKE[kind]() for _ in range(3)], torch.randn(4, 6)
    outputs = ensembles.Ensemble.of(nets).call(x)
    torch.testing.assert_close(outputs, torch.stack([net(x) for net in nets]))


def power(p: float) -> Callable[[Tensor], Tensor]:
    return lambda h: h**p


@pytest.mark.parametrize("make", [power, nn.LeakyReLU, lambda bias: nn.Linear(3, 3, bool(bias))])
def test_classes_that_refer_to_different_things_are_no_ensemble(make: Callable[[float], nn.Module]) -> None:
    with pytest.raises(ValueError, match="define or refer to different things"):
        ensembles.Ensemble.of([made(make(1.0)), made(make(2.0))])


def test_two_classes_of_one_name_are_no_ensemble() -> None:
    with pytest.raises(ValueError, match=r"class 'Net'.*class 'Net'.*defined twice"):
        ensembles.Ensemble.of([cell("super(Net, self).forward(x)"), cell("super(Net, self).forward(x) ** 2")])


def test_a_setting_that_differs_is_named_with_both_values() -> None:
    nets = [nn.Sequential(Scaled(name)) for name in ("first", "second")]
    with pytest.raises(ValueError, match=r"'factor' of module '0' is 'first' in one and 'second' in another.*alike"):
        ensembles.Ensemble.of(nets)


@pytest.mark.parametrize("change", ["hook", "forward"])
def test_networks_that_were_changed_are_no_ensemble(change: str) -> None:
    nets = [nn.Sequential(nn.Linear(6, 3)) for _ in range(2)]
    for net in nets:
        layer, old = net[0], net[0].forward
        if change == "hook":
            layer.register_forward_hook(lambda module, inputs, output: 2 * output)
        else:
            layer.forward = lambda x, old=old: 2 * old(x)
    with pytest.raises(ValueError, match=r"hooks, or with a forward pass .* train it alone"):
        ensembles.Ensemble.of(nets)


def wrong_masks(nets: list[nn.Module], task: data.Task) -> object:
    return ensembles.fit(ensembles.Ensemble.of(nets), task, 1, kept=torch.ones(3, 5, dtype=torch.bool))


def crop(x: Tensor, generator: torch.Generator) -> Tensor:
    return x


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda nets, task: ensembles.Ensemble.of([]), "at least one"),
        (lambda nets, task: ensembles.Ensemble.of([nets[0], models.small_vgg(task)]), "one architecture"),
        (lambda nets, task: ensembles.Ensemble.of([nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))]), "buffers"),
        (wrong_masks, "a mask for each network"),
        (lambda nets, task: ensembles.fit(ensembles.Ensemble.of(nets), task, 1, seeds=[1, 2]), "give one each"),
        (lambda nets, task: ensembles.fit(ensembles.Ensemble.of(nets), task.to(dtype=torch.float32), 1), "move one"),
        (
            lambda nets, task: ensembles.fit(ensembles.Ensemble.of(nets), task, recipe=training.Recipe(augment=crop)),
            "without augmentation: train the networks one by one",
        ),
        (
            lambda nets, task: ensembles.fit(
                ensembles.Ensemble.of(nets), task, recipe=training.Recipe(precision="bfloat16")
            ),
            "own, not bfloat16",
        ),
        (
            lambda nets, task: ensembles.fit(
                ensembles.Ensemble.of(nets), task, recipe=training.Recipe(optimizer="adamw")
            ),
            "by SGD, not by adamw",
        ),
        (
            lambda nets, task: ensembles.fit(
                ensembles.Ensemble.of(nets), task, recipe=training.Recipe(lr=1e30, epochs=3)
            ),
            "too high",
        ),
    ],
)
def test_what_cannot_be_trained_together_is_refused(nets: list[nn.Module], small: data.Task, call, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        call(nets, small)


def test_a_truth_value_is_no_seed(nets: list[nn.Module], small: data.Task) -> None:
    with pytest.raises(TypeError, match="whole number, not True"):
        ensembles.fit(ensembles.Ensemble.of(nets), small, 1, seeds=True)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("kind", ["sparse", "pruned"])
def test_an_accelerator_gives_the_same_networks(nets: list[nn.Module], small: data.Task, kind: str) -> None:
    masks = masks_of(nets, small, SPARSITIES[kind])
    kept = torch.stack([mask.kept for mask in masks])
    there = ensembles.Ensemble.of([copy.deepcopy(net).cuda() for net in nets])
    found = ensembles.fit(there, small.to("cuda"), recipe=RECIPE, kept=kept.cuda(), progress=False)
    here = ensembles.fit(ensembles.Ensemble.of(nets), small, recipe=RECIPE, kept=kept, progress=False)
    assert (found.weights.cpu() - here.weights).abs().max() < 1e-9


class WithLogits(nn.Linear):
    """Gives an object that holds the logits, as models of transformers do."""

    def forward(self, x: Tensor) -> SimpleNamespace:
        return SimpleNamespace(logits=super().forward(x.flatten(1)))


def test_networks_that_give_objects_with_logits_are_stacked(small: data.Task) -> None:
    torch.manual_seed(0)
    nets = [WithLogits(64, 10).double() for _ in range(2)]
    together = ensembles.fit(ensembles.Ensemble.of(nets), small, 1, progress=False)
    alone = training.fit(nets[1], small, 1, progress=False)
    torch.testing.assert_close(together.network(1).weight, alone.weight, rtol=1e-9, atol=1e-12)


def test_seeds_of_their_own_need_batches_that_begin_anew(nets: list[nn.Module], small: data.Task) -> None:
    class OneIterator(data.Task):
        def batches(self, split: str, batch_size: int = 100, generator: object = None) -> Iterator[data.Batch]:
            return vars(self)["shared"] if split == "train" else super().batches(split, batch_size)

    task = OneIterator(**vars(small))
    for networks in (3, 2):  # of ten batches one of three networks would have a fourth, each of two the same number
        vars(task)["shared"] = small.batches("train", 100)
        with pytest.raises(ValueError, match="begin anew at each call, not one iterator, or one seed for all"):
            ensembles.fit(
                ensembles.Ensemble.of(nets[:networks]), task, 1, recipe=RECIPE, seeds=range(networks), progress=False
            )
