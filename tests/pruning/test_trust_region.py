"""Stages of chosen size: what is accepted, what is refused, what it costs, and where it ends."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from lossprune_lib import BatchLoss, LocalPruner, LossModel
from lossprune_lib.loss_modelling import batch_loss
from lossprune_lib.networks import selection
from lossprune_lib.pruning.trust_region import Trial, finished, trust_region

PRUNER = LocalPruner("qm", sparsity=0.8, step_penalty=1e-3)


@pytest.fixture(scope="module")
def trials(trained, digits) -> list[Trial]:
    return list(trust_region(PRUNER, trained, digits, 0.05))


def test_it_ends_at_exactly_the_sparsity(trials: list[Trial], trained, digits) -> None:
    run = finished(PRUNER, trials)
    assert int((~run.mask.kept).sum()) == selection.count(run.state.space.size, 0.8)
    assert run.trace["sparsity"].is_monotonic_increasing
    assert run.true_change == pytest.approx(run.train_loss[1] - run.train_loss[0])
    assert len(run.trace) == sum(trial.accepted for trial in trials)


def test_only_loss_models_that_were_built_are_counted(trained, digits, monkeypatch: pytest.MonkeyPatch) -> None:
    built, evaluate = [], batch_loss.evaluate

    def counted(risk: BatchLoss, weights: Tensor, order: int, *rest: object) -> LossModel:
        built.append(order)
        return evaluate(risk, weights, order, *rest)

    monkeypatch.setattr(batch_loss, "evaluate", counted)
    found = [(trial, built.count(2)) for trial in trust_region(PRUNER, trained, digits, 0.05)]
    assert not all(trial.accepted for trial, _ in found)
    assert all(trial.evaluations == number == 1 + trial.state.stage - 1 for trial, number in found)
    assert built.count(0) == len(found)  # each step tried is measured


def test_a_model_too_large_to_be_kept_is_built_once_a_state_too(trained, digits, trials: list[Trial]) -> None:
    small = list(trust_region(replace(PRUNER, max_bytes=2**20), trained, digits, 0.05))
    assert [trial.evaluations for trial in small] == [trial.evaluations for trial in trials]
    assert [trial.accepted for trial in small] == [trial.accepted for trial in trials]


def test_steps_halve_after_a_refusal_and_double_after_an_easy_one(trials: list[Trial]) -> None:
    assert trials[0].share == pytest.approx(0.2)
    for before, after in itertools.pairwise(trials[:-1]):  # the last is cut short by the sparsity
        row = before.state.row
        assert before.error == pytest.approx(abs(row["true_change"] - row["predicted_change"]))
        assert before.accepted == (before.error <= 0.05)
        factor = 0.5 if not before.accepted else 2 if before.error < 0.025 else 1
        assert after.share == pytest.approx(min(0.9, factor * before.share), rel=1e-6)


def test_a_refused_step_is_tried_again_from_where_it_began(trials: list[Trial]) -> None:
    for before, after in itertools.pairwise(trials):
        assert after.state.stage == before.state.stage + before.accepted
        assert after.state.row["loss"] == before.state.row["loss"] or before.accepted


def test_a_wide_tolerance_refuses_nothing_and_a_tight_one_costs_no_more_than_the_shortest_steps(
    trained, digits
) -> None:
    wide = list(trust_region(PRUNER, trained, digits, 100.0))
    assert all(trial.accepted for trial in wide)
    assert len(wide) == 3  # 20 %, then 40 and 80 % of the rest
    tight = list(trust_region(replace(PRUNER, sparsity=0.3), trained, digits, 1e-9, share=0.1, least=0.05))
    assert [trial.accepted for trial in tight] == [False] + [True] * 7


def test_it_can_start_from_a_mask_and_rank_by_layer(trained, digits) -> None:
    first = LocalPruner("lm", sparsity=0.5, stages=1, scope="layer").prune(trained, digits, progress=False)
    pruner = LocalPruner("lm", sparsity=0.6, scope="layer")
    run = finished(pruner, trust_region(pruner, trained, digits, 1.0, mask=first.mask))
    assert run.mask.density() == pytest.approx({"fc1": 0.4, "fc2": 0.4, "fc3": 0.4}, abs=1e-3)
    assert not (run.mask.kept & ~first.mask.kept).any()
    assert not list(trust_region(replace(pruner, sparsity=0.4), trained, digits, 1.0, mask=first.mask))


@pytest.mark.parametrize("scope", ["layer", "row"])
def test_it_ends_at_the_sparsity_from_a_mask_whose_groups_are_unevenly_pruned(scope: str, trained, digits) -> None:
    first = LocalPruner("lm", sparsity=0.3, stages=1, scope=scope).prune(trained, digits, progress=False).mask
    kept = first.kept.clone()
    kept[: first.sizes[0]] = True  # the first layer is dense, the others are not
    pruner, mask = LocalPruner("lm", sparsity=0.6, scope=scope), replace(first, kept=kept)
    trials = list(trust_region(pruner, trained, digits, 1.0, mask=mask))
    run = finished(pruner, trials)
    expected = pruner.prune(trained, digits, mask, progress=False).mask
    assert run.mask.sparsities(scope) == expected.sparsities(scope)
    assert not (run.mask.kept & ~mask.kept).any()
    assert [trial.share for trial in trials[:2]] == pytest.approx([0.2, 0.4])


def test_a_group_that_is_sparser_than_the_sparsity_is_refused_at_once(trained, digits) -> None:
    uneven = LocalPruner("mp", sparsity=0.5, stages=1).prune(trained, digits, progress=False)
    assert min(uneven.mask.density().values()) < 0.5 < max(uneven.mask.density().values())
    with pytest.raises(ValueError, match=r"in a layer than the sparsity 0\.5.*larger sparsity"):
        trust_region(LocalPruner("qm", sparsity=0.5, scope="layer"), trained, digits, 0.1, mask=uneven.mask)


def test_no_model_is_built_for_a_step_of_no_weight(digits) -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 10), nn.ReLU(), nn.Linear(10, 10)).eval()
    before = 0
    for trial in trust_region(LocalPruner("lm", sparsity=0.3, scope="row"), net, digits, 1.0, share=0.005, least=0.005):
        pruned = int((~trial.state.mask.kept).sum())
        assert pruned > before
        before = pruned if trial.accepted else before
    assert before == sum(10 * round(0.3 * row) for row in (64, 10))


def test_densities_are_refused_at_once(trained, digits) -> None:
    densities = {"fc1": 0.5, "fc2": 0.5, "fc3": 0.5}
    with pytest.raises(ValueError, match=r"densities say what each stage prunes.*leave them out"):
        trust_region(LocalPruner("qm", sparsity=0.5, densities=densities), trained, digits, 0.1)


def test_the_settings_of_the_run_say_what_its_trace_holds(trained, digits) -> None:
    pruner = LocalPruner("lm", sparsity=0.3, trace="train")
    assert finished(pruner, trust_region(pruner, trained, digits, 0.05)).pruner.trace == "batch"


def test_errors_are_of_the_stages_batch_whatever_is_traced(trained, digits) -> None:
    pruner = replace(PRUNER, sparsity=0.3, batch_size=100)
    errors = [
        [trial.error for trial in trust_region(replace(pruner, trace=trace), trained, digits, 0.05)]
        for trace in ("batch", "train")
    ]
    assert errors[0] == errors[1]


def test_few_weights_left_do_not_stop_it(digits) -> None:
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10)).eval()
    pruner = LocalPruner("obd", sparsity=0.99)
    run = finished(pruner, trust_region(pruner, net, digits, 1e-6, share=0.01, least=0.001))
    assert int(run.mask.kept.sum()) == 640 - 634


@pytest.mark.parametrize(
    ("criterion", "arguments", "words"),
    [
        ("mp", {"tolerance": 0.1}, "mp predicts nothing"),
        ("random", {"tolerance": 0.1}, "random predicts nothing"),
        ("qm", {"tolerance": 0}, "tolerance is 0"),
        ("qm", {"tolerance": -1}, "tolerance"),
        ("qm", {"tolerance": 0.1, "share": 0.001}, "least is 0.005 and share 0.001"),
        ("qm", {"tolerance": 0.1, "share": 1.0}, "must hold"),
    ],
)
def test_what_makes_no_sense_is_refused_at_once(criterion, arguments, words, trained, digits) -> None:
    with pytest.raises(ValueError, match=words):
        trust_region(LocalPruner(criterion), trained, digits, **arguments)


def test_two_of_four_is_one_step_and_refused(trained, digits) -> None:
    with pytest.raises(ValueError, match="2:4"):
        trust_region(LocalPruner("qm", sparsity=0.5, stages=1, scope="2:4"), trained, digits, 0.1)


def test_nothing_accepted_is_no_run() -> None:
    with pytest.raises(ValueError, match="No trial was accepted"):
        finished(PRUNER, [])
