"""One stage of Algorithm 1: a batch, a loss model, a ranking, a mask, and a row that says what happened.

Source: Laurent et al. 2020, Algorithm 1, as its authors' published program runs it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import torch
from torch import Tensor

from lossprune_lib.data.inputs import versions
from lossprune_lib.data.task import Batch
from lossprune_lib.loss_modelling.batch_loss import BatchLoss
from lossprune_lib.loss_modelling.loss import Loss
from lossprune_lib.loss_modelling.model import LossModel
from lossprune_lib.pruning.criteria import CRITERIA, Ranking, Update, judge
from lossprune_lib.pruning.run import PrunerState, training_loss
from lossprune_lib.pruning.settings import PrunerSettings
from lossprune_lib.pruning.stage_model import StageModel
from lossprune_lib.seeds import generator
from lossprune_lib.warn import warn

LossOf = Callable[[PrunerSettings], BatchLoss]


class EmptyLayerWarning(UserWarning):
    """A layer has lost all of its weights."""


def run_stage(
    settings: PrunerSettings,
    state: PrunerState,
    sparsity: float | None = None,
    model: StageModel | None = None,
    counts: list[int] | None = None,
) -> PrunerState:
    """Run one stage, and return the state after it.

    Parameters
    ----------
    sparsity : in place of the schedule's
    model : from `model_of` this state, where it was made already
    counts : of each group that is ranked together, in place of a sparsity, where the caller has counted already
    """
    counts = _counts(settings, state, sparsity) if counts is None else counts
    model = model or model_of(settings, state)
    ranking = rank(settings, state, model)
    pruned = state.mask.smallest_kept(ranking.saliency, counts, settings.within)
    after = pruned_state(state, pruned, ranking.update)
    before_density, density = state.mask.density(), after.mask.density()
    _warn_of_emptied_layers(settings, before_density, density)
    step = model.weights[pruned] if after.values is state.values else after.weights - model.weights
    row = {
        "stage": after.stage,
        "sparsity": after.mask.sparsity,
        "step_length": torch.linalg.vector_norm(step).item(),
        **_predicted(ranking, pruned),
        **_actual(settings, state, after, model),
        **{f"density.{name}": share for name, share in density.items()},
    }
    after.row.update(row)  # and not in a copy, which would lose what it has computed
    return after


def pruned_state(state: PrunerState, pruned: Tensor, update: Update | None) -> PrunerState:
    """Return the state without more weights, given by their indices, and with a criterion's new values for the rest."""
    after = replace(state, mask=state.mask.without(pruned), stage=state.stage + 1, row={})
    if update is None or not len(pruned):
        return after
    values = update(pruned)
    state.space.check_point(values, "What the criterion's update gives")
    return replace(after, values=values)


def losses_of(state: PrunerState) -> LossOf:
    """Return what gives a pruner the loss on its batch for the stage after a state.

    Pruners that would draw the same batch get the same one and, with the same loss and budget, the same `BatchLoss`:
    what one of them has it compute, the others need not.
    """

    @cache
    def batch_of(examples: int, seed: int) -> Batch:
        try:
            return state.task.sample(examples, generator(seed, "batch", state.stage + 1))
        except StopIteration as error:
            raise ValueError(
                f"The task's sample has no examples left for stage {state.stage + 1}: each call must draw from all of "
                "the training examples, and not go on where an earlier one stopped."
            ) from error

    @cache
    def loss_on(examples: int, seed: int, loss: Loss, columns: int | None, max_bytes: int) -> BatchLoss:
        batch, key = batch_of(examples, seed), (seed, state.stage + 1)
        return BatchLoss(state.space, batch, loss=loss, curvature_columns=columns, seed=key, max_bytes=max_bytes)

    return lambda s: loss_on(s.batch_size, s.seed, s.loss, s.curvature_columns, s.max_bytes)


def model_of(settings: PrunerSettings, state: PrunerState, loss_of: LossOf | None = None) -> StageModel:
    """Return the model that a criterion ranks by, with what the criterion asks for and no more.

    Parameters
    ----------
    loss_of : from `losses_of` this state, where several pruners share it
    """
    criterion, order = settings.rule, settings.rule.order
    if order is None:
        return StageModel(state.weights, space=state.space, mask=state.mask)
    risk, reads_gradient = (loss_of or losses_of(state))(settings), criterion.gradient and order > 0
    found = risk.known(state.weights, order, reads_gradient, state.restriction)
    _check_number(settings, state, found.loss)
    derivatives = found.gradient if reads_gradient else None, found.curvature if order > 1 else None
    return StageModel(state.weights, found.loss, *derivatives, space=state.space, mask=state.mask, risk=risk)


def rank(settings: PrunerSettings, state: PrunerState, model: LossModel) -> Ranking:
    """Return what the criterion says of each weight in the stage after a state."""
    is_random = settings.rule == CRITERIA["random"]
    draws = generator(settings.seed, "random", state.stage + 1) if is_random else None
    read = {name: getattr(model, name) for name in ("weights", "gradient", "curvature")}
    before = {name: versions(vector) for name, vector in read.items()}
    ranking = judge(settings.rule, model, settings.step_penalty, draws)
    for name, vector in read.items():
        if versions(vector) != before[name]:
            raise ValueError(
                f"Criterion {settings.rule.name!r} changed the stage's {name} in place, which others read too: work on "
                "a copy (an operation without the trailing underscore)."
            )
    return ranking


def _counts(settings: PrunerSettings, state: PrunerState, sparsity: float | None) -> list[int]:
    """Return how many weights the next stage prunes, of all or of each layer."""
    if sparsity is not None:
        if settings.densities is not None:
            raise ValueError("The densities say what each stage prunes: leave out the step's sparsity.")
        counts = state.mask.still_to_prune(sparsity, settings.scope)
        if min(counts, default=0) < 0:
            raise ValueError(
                f"sparsity is {sparsity:g}, but {state.mask.sparsity:.4g} of the weights are masked already, and a "
                "stage only adds to them: give more."
            )
        return counts
    if state.stage >= settings.stages:
        raise ValueError(f"All {settings.stages} stages are done: give step() a sparsity to go on.")
    return state.mask.still_to_prune(settings.sparsities_at(state.start, state.stage), settings.within)


def _predicted(ranking: Ranking, pruned: Tensor) -> dict[str, float]:
    if ranking.change is None:
        return {}
    changes = ranking.change[pruned]
    return {
        "predicted_change": changes.sum(dtype=torch.float64).item(),
        "saliency_sum": changes.abs().sum(dtype=torch.float64).item(),
    }


def _actual(settings: PrunerSettings, state: PrunerState, after: PrunerState, model: StageModel) -> dict[str, float]:
    """Return the loss before the stage and its change, on the training set or the stage's batch, if there is one."""
    if settings.trace == "train":
        before, now = (training_loss(at, at.weights, settings.loss) for at in (state, after))
    elif model.risk is None or model.loss is None:
        return {}
    else:
        before, now = model.loss, model.risk.known_loss(after.weights, after.restriction)
    for at, loss in ((state, before), (after, now)):
        _check_number(settings, at, loss)
    return {"loss": before, "true_change": now - before}


def _check_number(settings: PrunerSettings, state: PrunerState, loss: float | None) -> None:
    """Raise ValueError for a loss of NaN, of which no change can be measured; an infinite one is left alone."""
    if loss is not None and math.isnan(loss):
        raise ValueError(
            f"The loss {type(settings.loss).__name__} is NaN after {state.stage} stages, so no change of it can be "
            "measured: look for what has no value at the network's outputs, such as the logarithm of a number below "
            "zero."
        )


def _warn_of_emptied_layers(settings: PrunerSettings, before: dict[str, float], after: dict[str, float]) -> None:
    remedies = ["lower the sparsity"]
    if settings.rule.models_loss:  # no other criterion knows the penalty
        remedies.append("raise the step penalty")
    if settings.within == "global":
        remedies.append('use scope="layer"')
    for name, density in after.items():
        if density == 0 and before[name] > 0:
            warn(
                f"All weights of layer {name!r} are pruned away, so nothing passes through it any more. "
                f"To keep some: {', '.join(remedies[:-1])}{', or ' * (len(remedies) > 1)}{remedies[-1]}.",
                EmptyLayerWarning,
            )
