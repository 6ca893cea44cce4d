"""Networks trained together come out as if each had been trained alone."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import Tensor, nn

from lossprune_lib import LocalPruner, Mask, WeightSpace, data, ensembles, models, training
from lossprune_lib.pruning import EmptyLayerWarning

RECIPE = training.Recipe(epochs=2, lr=0.05, batch_size=100, milestones=(1,))


@pytest.fixture(scope="module")
def small(digits64: data.Task) -> data.Task:
    """20 steps make two epochs of it."""
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
    for r, score in enumerate(ensembles.evaluate(ensemble, small, "test", batch_size=70)):
        alone = training.evaluate(nets[r], small, "test")
        assert score.error == alone.error
        assert score.loss == pytest.approx(alone.loss, rel=1e-12)
        assert (ensemble.call(small.x_test)[r] - nets[r](small.x_test)).abs().max() < 1e-12


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
            "one by one",
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
