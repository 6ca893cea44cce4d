"""Criteria: each formula by hand, the step penalty, and what a criterion needs."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lossprune_lib import LocalPruner, LossModel, criteria
from lossprune_lib.pruning.criteria import CRITERIA, Criterion, modelled_change, saliency

MODELLING = ("lm", "qm", "obd")


def example(order: int | None = 2) -> LossModel:
    """theta = 2, -1, 0, 4; g = 1, 3, 5, -2; G = 3, 2, 7, 0."""
    weights = torch.tensor([2.0, -1.0, 0.0, 4.0], dtype=torch.float64)
    if order is None:
        return LossModel(weights)
    gradient = torch.tensor([1.0, 3.0, 5.0, -2.0], dtype=torch.float64) if order > 0 else None
    curvature = torch.tensor([3.0, 2.0, 7.0, 0.0], dtype=torch.float64) if order > 1 else None
    return LossModel(weights, 0.5, gradient, curvature)


BY_HAND = {
    "mp": [4, 1, 0, 16],
    "lm": [2, 3, 0, 8],  # -g theta = -2, 3, 0, 8
    "qm": [4, 4, 0, 8],  # -2 + 6, 3 + 1, 0, 8 + 0
    "obd": [6, 1, 0, 0],
}


@st.composite
def models(draw: st.DrawFn) -> LossModel:
    size = draw(st.integers(1, 30))
    draws = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    weights, gradient = torch.randn(2, size, dtype=torch.float64, generator=draws)
    return LossModel(weights, 0.0, gradient, torch.rand(size, dtype=torch.float64, generator=draws))


def scored(model: LossModel, criterion: str, step_penalty: float = 0.0) -> Tensor:
    return saliency(model, criterion, step_penalty, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("criterion", BY_HAND)
def test_saliency_by_hand(criterion: str) -> None:
    assert saliency(example(), criterion).tolist() == BY_HAND[criterion]


@pytest.mark.parametrize("criterion", BY_HAND)
def test_the_step_penalty_adds_half_lambda_theta_squared_where_the_loss_is_modelled(criterion: str) -> None:
    added = [0.0] * 4 if criterion == "mp" else [0.5 * 3 * 4, 0.5 * 3 * 1, 0, 0.5 * 3 * 16]
    expected = [a + b for a, b in zip(BY_HAND[criterion], added, strict=True)]
    assert saliency(example(), criterion, step_penalty=3).tolist() == expected


@pytest.mark.parametrize(
    ("criterion", "expected"), [("lm", [-2, 3, 0, 8]), ("qm", [4, 4, 0, 8]), ("obd", [6, 1, 0, 0])]
)
def test_the_modelled_change_is_signed(criterion: str, expected: list[float]) -> None:
    assert modelled_change(example(), criterion).tolist() == expected


@given(models(), st.sampled_from(["lm", "qm"]))
def test_the_modelled_change_is_the_prediction_of_pruning_one_weight_alone(model: LossModel, criterion: str) -> None:
    steps = -torch.diag(model.weights)
    expected = model.predicted_change(steps, order=CRITERIA[criterion].order)
    torch.testing.assert_close(modelled_change(model, criterion), expected)


@given(models())
def test_the_quadratic_model_without_one_of_its_parts_is_another_criterion(model: LossModel) -> None:
    zero = torch.zeros_like(model.weights)
    no_gradient = LossModel(model.weights, 0.0, zero, model.curvature)
    no_curvature = LossModel(model.weights, 0.0, model.gradient, zero)
    torch.testing.assert_close(saliency(no_gradient, "qm"), saliency(model, "obd"))
    torch.testing.assert_close(saliency(no_curvature, "qm"), saliency(model, "lm"))


@given(models(), st.sampled_from(sorted(CRITERIA)), st.floats(0, 1e3))
def test_a_saliency_is_never_negative_and_the_model_is_unchanged(
    model: LossModel, criterion: str, step_penalty: float
) -> None:
    before = copy.deepcopy(model)
    assert (scored(model, criterion, step_penalty) >= 0).all()
    for name in ("weights", "gradient", "curvature"):
        assert torch.equal(getattr(model, name), getattr(before, name))


@given(models(), st.sampled_from(MODELLING))
@settings(max_examples=50)
def test_a_large_step_penalty_ranks_by_magnitude(model: LossModel, criterion: str) -> None:
    by_magnitude = saliency(model, "mp").argsort(stable=True)
    assert torch.equal(saliency(model, criterion, step_penalty=1e9).argsort(stable=True), by_magnitude)


@pytest.mark.parametrize("criterion", MODELLING)
def test_without_a_step_penalty_the_ranking_is_another(criterion: str) -> None:
    draws = torch.Generator().manual_seed(0)
    model = LossModel(*torch.randn(1, 50, generator=draws), 0.0, *torch.rand(2, 50, generator=draws))
    assert not torch.equal(saliency(model, criterion).argsort(), saliency(model, "mp").argsort())


@pytest.mark.parametrize("criterion", CRITERIA)
def test_many_networks_are_scored_at_once(criterion: str) -> None:
    weights, gradient, curvature = torch.rand(3, 4, 6, generator=torch.Generator().manual_seed(0)) - 0.2
    scores = scored(LossModel(weights, 0.0, gradient, curvature), criterion, 0.1)
    assert scores.shape == (4, 6)
    if criterion != "random":
        for i, row in enumerate(scores):
            torch.testing.assert_close(
                row, saliency(LossModel(weights[i], 0.0, gradient[i], curvature[i]), criterion, 0.1)
            )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("criterion", CRITERIA)
def test_the_models_precision_is_kept(criterion: str, dtype: torch.dtype) -> None:
    vectors = [tensor.to(dtype) for tensor in (example().weights, example().gradient, example().curvature)]
    assert scored(LossModel(vectors[0], 0.0, *vectors[1:]), criterion, 0.1).dtype == dtype


# --- random -------------------------------------------------------------------------------------------------------


def test_random_draws_from_its_generator_alone() -> None:
    model = LossModel(torch.zeros(1000))
    state = torch.get_rng_state()
    scores = scored(model, "random", step_penalty=2.0)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(scored(model, "random"), scores)
    assert not torch.equal(saliency(model, "random", generator=torch.Generator().manual_seed(1)), scores)
    assert len(scores.unique()) > 900
    assert scores.mean().item() == pytest.approx(0.5, abs=0.05)


def test_random_without_a_generator_is_refused() -> None:
    with pytest.raises(TypeError, match=r"generator is .*seeds.generator"):
        saliency(example(), "random")


# --- what a criterion needs ---------------------------------------------------------------------------------------


def test_what_each_criterion_needs() -> None:
    assert {name: criterion.order for name, criterion in CRITERIA.items()} == {
        "random": None,
        "mp": None,
        "lm": 1,
        "qm": 2,
        "obd": 2,
    }
    assert {name for name, criterion in CRITERIA.items() if criterion.models_loss} == set(MODELLING)
    assert {name for name in MODELLING if CRITERIA[name].gradient} == {"lm", "qm"}


@pytest.mark.parametrize("score", [saliency, modelled_change])
def test_curvature_alone_will_do_for_obd_only(score: object) -> None:
    whole = example()
    alone = LossModel(whole.weights, whole.loss, None, whole.curvature)
    assert torch.equal(score(alone, "obd"), score(whole, "obd"))
    for criterion in ("lm", "qm"):
        with pytest.raises(ValueError, match=f"{criterion} needs the gradient, .*: leave out gradient=False"):
            score(alone, criterion)


def test_each_criterion_is_registered_once_under_its_own_name() -> None:
    assert all(name == criterion.name == criterion.rule.__name__ for name, criterion in CRITERIA.items())
    assert all(getattr(criteria, name) is criterion.rule for name, criterion in CRITERIA.items())
    assert len({criterion.rule for criterion in CRITERIA.values()}) == len(CRITERIA)


@pytest.mark.parametrize(
    ("criterion", "order"), [("lm", 0), ("lm", None), ("qm", 1), ("qm", 0), ("qm", None), ("obd", 1), ("obd", None)]
)
@pytest.mark.parametrize("score", [saliency, modelled_change])
def test_a_model_of_too_low_an_order_is_refused(score: object, criterion: str, order: int | None) -> None:
    needed = CRITERIA[criterion].order
    with pytest.raises(ValueError, match=f"{criterion} needs .* order {needed}"):
        score(example(order), criterion)


@pytest.mark.parametrize("order", [None, 0, 1, 2])
def test_any_model_will_do_for_magnitude_and_random(order: int | None) -> None:
    assert scored(example(order), "mp").tolist() == BY_HAND["mp"]
    assert scored(example(order), "random").shape == (4,)


def test_a_model_of_higher_order_than_needed_will_do() -> None:
    assert torch.equal(saliency(example(2), "lm"), saliency(example(1), "lm"))


@pytest.mark.parametrize("criterion", ["mp", "random"])
def test_a_criterion_that_models_no_loss_predicts_no_change(criterion: str) -> None:
    with pytest.raises(ValueError, match=f"{criterion} does not model the loss.*take lm, qm or obd"):
        modelled_change(example(), criterion)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("obdd", "no criterion called 'obdd'. Did you mean 'obd'"),
        ("randon", "Did you mean 'random'"),
        ("snip", "Choose one of: random, mp, lm, qm, obd"),
        (None, "no criterion called None"),
    ],
)
@pytest.mark.parametrize("score", [saliency, modelled_change])
def test_an_unknown_name_is_refused_with_the_nearest(score: object, name: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        score(example(), name)


@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.parametrize(
    ("penalty", "error"),
    [(-1e-9, ValueError), (math.nan, ValueError), (math.inf, ValueError), ("1", TypeError), (None, TypeError)],
)
def test_a_bad_step_penalty_is_refused(criterion: str, penalty: object, error: type[Exception]) -> None:
    with pytest.raises(error, match="step_penalty"):
        scored(example(), criterion, penalty)


def test_a_new_criterion_appears_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CRITERIA, "slope", Criterion("slope", 1, lambda model: -model.gradient.abs()))
    assert saliency(example(), "slope").tolist() == [1, 3, 5, 2]
    assert LocalPruner("slope").criterion == "slope"
