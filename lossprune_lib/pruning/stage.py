"""One stage of pruning, for several pruners at once: what is the same for several of them is evaluated once."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lossprune_lib.checks import check_instance, check_sparsity
from lossprune_lib.data.task import Batch
from lossprune_lib.loss_modelling.losses import Loss
from lossprune_lib.loss_modelling.model import LossModel
from lossprune_lib.pruning.criteria import CRITERIA, modelled_change, saliency
from lossprune_lib.pruning.run import PrunerState, training_loss
from lossprune_lib.seeds import generator

if TYPE_CHECKING:
    from lossprune_lib.pruning.local import LocalPruner


class EmptyLayerWarning(UserWarning):
    """A layer has lost all of its weights."""


def step_together(
    pruners: Sequence[LocalPruner], states: Sequence[PrunerState], sparsities: Sequence[float | None] | None = None
) -> list[PrunerState]:
    """Run one stage of each pruner, on states of one network."""
    for state in states:
        check_instance(state, PrunerState, "A state", "take the one that start, step or stream gives")
    wanted = sparsities or [None] * len(pruners)
    counts = [_counts(pruner, state, kappa) for pruner, state, kappa in zip(pruners, states, wanted, strict=True)]
    batches = batches_of(pruners, states)
    models = models_at(pruners, states, batches, [state.weights for state in states], None)
    chosen, afters = [], []
    for pruner, state, model, count in zip(pruners, states, models, counts, strict=True):
        pruned = state.mask.smallest_kept(rank(pruner, state, model), count)
        kept = replace(state.mask, kept=state.mask.kept.index_fill(0, pruned, False))
        chosen.append(pruned)
        afters.append(replace(state, mask=kept, stage=state.stage + 1))
    truths = _truths(pruners, states, afters, batches, models)
    done = []
    for pruner, state, after, model, pruned, truth in zip(pruners, states, afters, models, chosen, truths, strict=True):
        density = after.mask.density()
        _warn_of_emptied_layers(state.mask.density(), density)
        row = {
            "stage": after.stage,
            "sparsity": after.mask.sparsity,
            "step_length": torch.linalg.vector_norm(model.weights[pruned]).item(),
        }
        row |= _promise(pruner, model, pruned) | truth
        row |= {f"density.{name}": share for name, share in density.items()}
        done.append(replace(after, row=row))
    return done


def batches_of(pruners: Sequence[LocalPruner], states: Sequence[PrunerState]) -> list[Batch | None]:
    """Return each pruner's batch for its next stage: one and the same where the draw is the same; None without a model."""
    drawn: dict[tuple[int, int, int], Batch] = {}
    batches: list[Batch | None] = []
    for pruner, state in zip(pruners, states, strict=True):
        if CRITERIA[pruner.criterion].order is None:
            batches.append(None)
            continue
        key = pruner.batch_size, pruner.seed, state.stage + 1
        if key not in drawn:
            drawn[key] = state.task.sample(pruner.batch_size, generator(pruner.seed, "batch", state.stage + 1))
        batches.append(drawn[key])
    return batches


def models_at(
    pruners: Sequence[LocalPruner],
    states: Sequence[PrunerState],
    batches: Sequence[Batch | None],
    weights: Sequence[Tensor],
    order: int | None,
) -> list[LossModel]:
    """Return each pruner's loss model on its batch: of the given order, or of the one that its criterion needs."""
    models = [LossModel(at) for at in weights]
    groups: dict[tuple[int, Loss, int], list[int]] = {}
    for r, (pruner, batch) in enumerate(zip(pruners, batches, strict=True)):
        if batch is not None:
            groups.setdefault((id(batch), pruner.loss, pruner.max_bytes), []).append(r)
    for (_, loss, max_bytes), members in groups.items():
        first, batch = states[members[0]], batches[members[0]]
        assert batch is not None
        orders = [CRITERIA[pruners[r].criterion].order or 0 if order is None else order for r in members]
        at = torch.stack([weights[r] for r in members])
        gradient = any(CRITERIA[pruners[r].criterion].gradient for r in members)
        found = LossModel.at_each(
            first.space, at, first.rest, batch, orders, gradient=gradient, loss=loss, max_bytes=max_bytes
        )
        for r, model in zip(members, found, strict=True):
            models[r] = model
    return models


def _truths(
    pruners: Sequence[LocalPruner],
    states: Sequence[PrunerState],
    afters: Sequence[PrunerState],
    batches: Sequence[Batch | None],
    models: Sequence[LossModel],
) -> list[dict[str, float]]:
    """Return the loss before each stage, and how it changed, where each pruner wants it measured."""
    on_batch = [None if pruner.trace == "train" else batch for pruner, batch in zip(pruners, batches, strict=True)]
    changed = models_at(pruners, states, on_batch, [after.weights for after in afters], 0)
    truths: list[dict[str, float]] = []
    for pruner, state, after, before, now in zip(pruners, states, afters, models, changed, strict=True):
        if pruner.trace == "train":
            losses = [training_loss(at, at.weights, pruner.loss) for at in (state, after)]
        elif before.loss is None or now.loss is None:
            truths.append({})
            continue
        else:
            losses = [before.loss, now.loss]
        truths.append({"loss": losses[0], "true_change": losses[1] - losses[0]})
    return truths


def rank(pruner: LocalPruner, state: PrunerState, model: LossModel) -> Tensor:
    """Return the saliencies [D] of the next stage."""
    draws = generator(pruner.seed, "random", state.stage + 1)
    return saliency(model, pruner.criterion, pruner.step_penalty, generator=draws)


def _counts(pruner: LocalPruner, state: PrunerState, sparsity: float | None) -> list[int]:
    """Return how many weights the next stage prunes, of all or of each layer."""
    stage, explicit = state.stage + 1, sparsity is not None
    if sparsity is None:
        if stage > pruner.stages:
            raise ValueError(f"All {pruner.stages} stages are done: give step() a sparsity to go on.")
        sparsity = pruner.sparsities[stage - 1]
    check_sparsity(sparsity)
    counts = state.mask.still_to_prune(sparsity, pruner.scope)
    if explicit and min(counts) < 0:
        raise ValueError(
            f"sparsity is {sparsity:g}, but {state.mask.sparsity:.4g} of the weights are masked already, and a stage "
            "only adds to them: give more."
        )
    return counts


def _promise(pruner: LocalPruner, model: LossModel, pruned: Tensor) -> dict[str, float]:
    if CRITERIA[pruner.criterion].order is None:
        return {}
    changes = modelled_change(model.among(pruned), pruner.criterion)
    return {
        "predicted_change": changes.sum(dtype=torch.float64).item(),
        "saliency_sum": changes.abs().sum(dtype=torch.float64).item(),
    }


def _warn_of_emptied_layers(before: dict[str, float], after: dict[str, float]) -> None:
    for name, density in after.items():
        if density == 0 and before[name] > 0:
            warnings.warn(
                f"All weights of layer {name!r} are pruned away, so nothing of its input passes it any more. Lower the "
                'sparsity, raise the step penalty, or use scope="layer".',
                EmptyLayerWarning,
                stacklevel=3,
            )
