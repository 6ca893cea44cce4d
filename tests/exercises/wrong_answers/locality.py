"""Wrong answers to the exercises of notebook 03, as learners give them; and what the check must say (a part of it, in any case)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from lossprune_lib import criteria
from lossprune_lib.loss_modelling import LossModel
from lossprune_lib.networks.masks import smallest

ModelAt = Callable[[Tensor, int], LossModel]

# exponential schedule


def schedule_linear(sparsity: float, stages: int) -> list[float]:
    return [sparsity * i / stages for i in range(1, stages + 1)]


def schedule_from_zero(sparsity: float, stages: int) -> list[float]:
    return [1 - (1 - sparsity) ** (i / stages) for i in range(stages)]


def schedule_one_too_many(sparsity: float, stages: int) -> list[float]:
    return [1 - (1 - sparsity) ** (i / stages) for i in range(stages + 1)]


def schedule_one_too_few(sparsity: float, stages: int) -> list[float]:
    return [1 - (1 - sparsity) ** (i / stages) for i in range(1, stages)]


def schedule_share_left(sparsity: float, stages: int) -> list[float]:
    return [(1 - sparsity) ** (i / stages) for i in range(1, stages + 1)]


def schedule_power_of_sparsity(sparsity: float, stages: int) -> list[float]:
    return [sparsity ** (stages / i) for i in range(1, stages + 1)]


def schedule_root_of_sparsity(sparsity: float, stages: int) -> list[float]:
    return [sparsity ** (i / stages) for i in range(1, stages + 1)]


def schedule_share_divided(sparsity: float, stages: int) -> list[float]:
    keep = 1 - sparsity / stages
    return [1 - keep**i for i in range(1, stages + 1)]


def schedule_keep_divided(sparsity: float, stages: int) -> list[float]:
    keep = (1 - sparsity) / stages
    return [1 - keep * i for i in range(1, stages + 1)]


def schedule_sparsity_each_stage(sparsity: float, stages: int) -> list[float]:
    left, result = 1.0, []
    for _ in range(stages):
        left *= 1 - sparsity
        result.append(1 - left)
    return result


def schedule_cut_of_each_stage(sparsity: float, stages: int) -> list[float]:
    keep = (1 - sparsity) ** (1 / stages)
    return [keep ** (i - 1) * (1 - keep) for i in range(1, stages + 1)]


def schedule_same_cut(sparsity: float, stages: int) -> list[float]:
    return [1 - (1 - sparsity) ** (1 / stages)] * stages


def schedule_reversed(sparsity: float, stages: int) -> list[float]:
    return [1 - (1 - sparsity) ** (i / stages) for i in range(stages, 0, -1)]


def schedule_cubic(sparsity: float, stages: int) -> list[float]:
    return [sparsity * (1 - (1 - i / stages) ** 3) for i in range(1, stages + 1)]


def schedule_rounded(sparsity: float, stages: int) -> list[float]:
    return [round(1 - (1 - sparsity) ** (i / stages), 2) for i in range(1, stages + 1)]


def schedule_percent(sparsity: float, stages: int) -> list[float]:
    return [100 * (1 - (1 - sparsity) ** (i / stages)) for i in range(1, stages + 1)]


def schedule_integer_division(sparsity: float, stages: int) -> list[float]:
    return [1 - (1 - sparsity) ** (i // stages) for i in range(1, stages + 1)]


def schedule_last_only(sparsity: float, stages: int) -> float:
    left = 1.0
    for _ in range(stages):
        left *= (1 - sparsity) ** (1 / stages)
    return 1 - left


def schedule_five_stages(sparsity: float, stages: int) -> list[float]:
    return [1 - (1 - sparsity) ** (i / 5) for i in range(1, 6)]


# one stage


def stage_of_all(saliency: Tensor, kept: Tensor, sparsity: float) -> Tensor:
    return ~smallest(saliency, round(len(saliency) * sparsity))


def stage_threshold(saliency: Tensor, kept: Tensor, sparsity: float) -> Tensor:
    scores = torch.where(kept, saliency, -torch.inf)
    threshold = scores.sort().values[round(len(scores) * sparsity) - 1]
    return scores > threshold


def stage_threshold_equal_stay(saliency: Tensor, kept: Tensor, sparsity: float) -> Tensor:
    scores = torch.where(kept, saliency, -torch.inf)
    threshold = scores.sort().values[round(len(scores) * sparsity)]
    return scores >= threshold


def stage_quantile(saliency: Tensor, kept: Tensor, sparsity: float) -> Tensor:
    scores = torch.where(kept, saliency, -1.0)
    return scores > torch.quantile(scores, sparsity)


def stage_largest_go(saliency: Tensor, kept: Tensor, sparsity: float) -> Tensor:
    scores = torch.where(kept, saliency, torch.inf)
    result = torch.ones_like(kept)
    result[scores.argsort(descending=True)[: round(len(scores) * sparsity)]] = False
    return result


def stage_share_of_kept(saliency: Tensor, kept: Tensor, sparsity: float) -> Tensor:
    scores = torch.where(kept, saliency, -torch.inf)
    k = int((~kept).sum()) + round(int(kept.sum()) * sparsity)
    return ~smallest(scores, k)


def stage_counts_new_only(saliency: Tensor, kept: Tensor, sparsity: float) -> Tensor:
    scores = torch.where(kept, saliency, torch.inf)
    return kept & ~smallest(scores, round(len(scores) * sparsity))


def stage_multiplied(saliency: Tensor, kept: Tensor, sparsity: float) -> Tensor:
    scores = saliency * kept
    result = torch.ones_like(kept)
    result[scores.argsort(descending=True)[len(scores) - round(len(scores) * sparsity) :]] = False
    return result


def stage_zero_for_pruned(saliency: Tensor, kept: Tensor, sparsity: float) -> Tensor:
    return ~smallest(saliency * kept, round(len(saliency) * sparsity))


def stage_inverted(saliency: Tensor, kept: Tensor, sparsity: float) -> Tensor:
    scores = torch.where(kept, saliency, -torch.inf)
    return smallest(scores, round(len(scores) * sparsity))


def stage_floor(saliency: Tensor, kept: Tensor, sparsity: float) -> Tensor:
    scores = torch.where(kept, saliency, -torch.inf)
    return ~smallest(scores, int(len(scores) * sparsity))


def stage_in_place_kept(saliency: Tensor, kept: Tensor, sparsity: float) -> Tensor:
    scores = torch.where(kept, saliency, -torch.inf)
    kept[scores.argsort()[: round(len(scores) * sparsity)]] = False
    return kept


def stage_in_place_saliency(saliency: Tensor, kept: Tensor, sparsity: float) -> Tensor:
    saliency[~kept] = -torch.inf
    result = torch.ones_like(kept)
    result[saliency.argsort()[: round(len(saliency) * sparsity)]] = False
    return result


def stage_indices(saliency: Tensor, kept: Tensor, sparsity: float) -> Tensor:
    scores = torch.where(kept, saliency, -torch.inf)
    return scores.argsort()[: round(len(scores) * sparsity)]


def stage_only_kept_returned(saliency: Tensor, kept: Tensor, sparsity: float) -> Tensor:
    k = round(len(saliency) * sparsity) - int((~kept).sum())
    return ~smallest(saliency[kept], k)


def stage_indices_mixed_up(saliency: Tensor, kept: Tensor, sparsity: float) -> Tensor:
    k = round(len(saliency) * sparsity) - int((~kept).sum())
    result = kept.clone()
    result[saliency[kept].argsort()[:k]] = False
    return result


def stage_keeps_that_share(saliency: Tensor, kept: Tensor, sparsity: float) -> Tensor:
    scores = torch.where(kept, saliency, -torch.inf)
    return ~smallest(scores, round(len(scores) * (1 - sparsity)))


def stage_absolute(saliency: Tensor, kept: Tensor, sparsity: float) -> Tensor:
    scores = torch.where(kept, saliency, -torch.inf).abs()
    return ~smallest(scores, round(len(scores) * sparsity))


def stage_one_too_many(saliency: Tensor, kept: Tensor, sparsity: float) -> Tensor:
    scores = torch.where(kept, saliency, -torch.inf)
    result = torch.ones_like(kept)
    result[scores.argsort()[: round(len(scores) * sparsity) + 1]] = False
    return result


def stage_rank_forgotten(saliency: Tensor, kept: Tensor, sparsity: float) -> Tensor:
    scores = torch.where(kept, saliency, -torch.inf)
    return scores.argsort() >= round(len(scores) * sparsity)


def stage_old_and_new(saliency: Tensor, kept: Tensor, sparsity: float) -> Tensor:
    return kept & ~smallest(saliency, round(len(saliency) * sparsity))


def stage_small_constant(saliency: Tensor, kept: Tensor, sparsity: float) -> Tensor:
    scores = torch.where(kept, saliency, torch.full_like(saliency, torch.inf))
    k = round(len(saliency) * sparsity)
    return ~smallest(scores, k)


# stage loop


def loop_model_of_start(
    dense: Tensor, model_at: ModelAt, sparsities: list[float], criterion: str, step_penalty: float
) -> Tensor:
    kept = torch.ones_like(dense, dtype=torch.bool)
    for stage, sparsity in enumerate(sparsities, start=1):
        saliency = criteria.saliency(model_at(dense, stage), criterion, step_penalty)
        kept = ~smallest(saliency.masked_fill(~kept, -torch.inf), round(len(dense) * sparsity))
    return kept


def loop_one_model(
    dense: Tensor, model_at: ModelAt, sparsities: list[float], criterion: str, step_penalty: float
) -> Tensor:
    kept = torch.ones_like(dense, dtype=torch.bool)
    saliency = criteria.saliency(model_at(dense, 1), criterion, step_penalty)
    for sparsity in sparsities:
        kept = ~smallest(saliency.masked_fill(~kept, -torch.inf), round(len(dense) * sparsity))
    return kept


def loop_from_zero(
    dense: Tensor, model_at: ModelAt, sparsities: list[float], criterion: str, step_penalty: float
) -> Tensor:
    kept = torch.ones_like(dense, dtype=torch.bool)
    for stage, sparsity in enumerate(sparsities):
        saliency = criteria.saliency(model_at(dense * kept, stage), criterion, step_penalty)
        kept = ~smallest(saliency.masked_fill(~kept, -torch.inf), round(len(dense) * sparsity))
    return kept


def loop_same_batch(
    dense: Tensor, model_at: ModelAt, sparsities: list[float], criterion: str, step_penalty: float
) -> Tensor:
    kept = torch.ones_like(dense, dtype=torch.bool)
    for sparsity in sparsities:
        saliency = criteria.saliency(model_at(dense * kept, 1), criterion, step_penalty)
        kept = ~smallest(saliency.masked_fill(~kept, -torch.inf), round(len(dense) * sparsity))
    return kept


def loop_regrows(
    dense: Tensor, model_at: ModelAt, sparsities: list[float], criterion: str, step_penalty: float
) -> Tensor:
    kept = torch.ones_like(dense, dtype=torch.bool)
    for stage, sparsity in enumerate(sparsities, start=1):
        saliency = criteria.saliency(model_at(dense * kept, stage), criterion, step_penalty)
        kept = ~smallest(saliency, round(len(dense) * sparsity))
    return kept


def loop_no_penalty(
    dense: Tensor, model_at: ModelAt, sparsities: list[float], criterion: str, step_penalty: float
) -> Tensor:
    kept = torch.ones_like(dense, dtype=torch.bool)
    for stage, sparsity in enumerate(sparsities, start=1):
        saliency = criteria.saliency(model_at(dense * kept, stage), criterion)
        kept = ~smallest(saliency.masked_fill(~kept, -torch.inf), round(len(dense) * sparsity))
    return kept


def loop_always_qm(
    dense: Tensor, model_at: ModelAt, sparsities: list[float], criterion: str, step_penalty: float
) -> Tensor:
    kept = torch.ones_like(dense, dtype=torch.bool)
    for stage, sparsity in enumerate(sparsities, start=1):
        saliency = criteria.saliency(model_at(dense * kept, stage), "qm", step_penalty)
        kept = ~smallest(saliency.masked_fill(~kept, -torch.inf), round(len(dense) * sparsity))
    return kept


def loop_in_one_go(
    dense: Tensor, model_at: ModelAt, sparsities: list[float], criterion: str, step_penalty: float
) -> Tensor:
    saliency = criteria.saliency(model_at(dense, 1), criterion, step_penalty)
    return ~smallest(saliency, round(len(dense) * sparsities[-1]))


def loop_returns_early(
    dense: Tensor, model_at: ModelAt, sparsities: list[float], criterion: str, step_penalty: float
) -> Tensor | None:
    kept = torch.ones_like(dense, dtype=torch.bool)
    for stage, sparsity in enumerate(sparsities, start=1):
        saliency = criteria.saliency(model_at(dense * kept, stage), criterion, step_penalty)
        return ~smallest(saliency.masked_fill(~kept, -torch.inf), round(len(dense) * sparsity))
    return None


def loop_pruned_returned(
    dense: Tensor, model_at: ModelAt, sparsities: list[float], criterion: str, step_penalty: float
) -> Tensor:
    kept = torch.ones_like(dense, dtype=torch.bool)
    for stage, sparsity in enumerate(sparsities, start=1):
        saliency = criteria.saliency(model_at(dense * kept, stage), criterion, step_penalty)
        kept = ~smallest(saliency.masked_fill(~kept, -torch.inf), round(len(dense) * sparsity))
    return ~kept


def loop_weights_returned(
    dense: Tensor, model_at: ModelAt, sparsities: list[float], criterion: str, step_penalty: float
) -> Tensor:
    kept = torch.ones_like(dense, dtype=torch.bool)
    for stage, sparsity in enumerate(sparsities, start=1):
        saliency = criteria.saliency(model_at(dense * kept, stage), criterion, step_penalty)
        kept = ~smallest(saliency.masked_fill(~kept, -torch.inf), round(len(dense) * sparsity))
    return dense * kept


def loop_in_place(
    dense: Tensor, model_at: ModelAt, sparsities: list[float], criterion: str, step_penalty: float
) -> Tensor:
    kept = torch.ones_like(dense, dtype=torch.bool)
    for stage, sparsity in enumerate(sparsities, start=1):
        saliency = criteria.saliency(model_at(dense, stage), criterion, step_penalty)
        kept = ~smallest(saliency.masked_fill(~kept, -torch.inf), round(len(dense) * sparsity))
        dense *= kept
    return kept


def loop_share_of_rest(
    dense: Tensor, model_at: ModelAt, sparsities: list[float], criterion: str, step_penalty: float
) -> Tensor:
    kept = torch.ones_like(dense, dtype=torch.bool)
    for stage, sparsity in enumerate(sparsities, start=1):
        saliency = criteria.saliency(model_at(dense * kept, stage), criterion, step_penalty)
        k = int((~kept).sum()) + round(int(kept.sum()) * sparsity)
        kept = ~smallest(saliency.masked_fill(~kept, -torch.inf), k)
    return kept


def loop_plus_infinity(
    dense: Tensor, model_at: ModelAt, sparsities: list[float], criterion: str, step_penalty: float
) -> Tensor:
    kept = torch.ones_like(dense, dtype=torch.bool)
    for stage, sparsity in enumerate(sparsities, start=1):
        saliency = criteria.saliency(model_at(dense * kept, stage), criterion, step_penalty)
        kept = kept & ~smallest(saliency.masked_fill(~kept, torch.inf), round(len(dense) * sparsity))
    return kept


def loop_keeps_the_smallest(
    dense: Tensor, model_at: ModelAt, sparsities: list[float], criterion: str, step_penalty: float
) -> Tensor:
    kept = torch.ones_like(dense, dtype=torch.bool)
    for stage, sparsity in enumerate(sparsities, start=1):
        saliency = criteria.saliency(model_at(dense * kept, stage), criterion, step_penalty)
        saliency = saliency.masked_fill(~kept, torch.inf)
        kept = smallest(saliency, len(dense) - round(len(dense) * sparsity))
    return kept


def loop_magnitude(
    dense: Tensor, model_at: ModelAt, sparsities: list[float], criterion: str, step_penalty: float
) -> Tensor:
    return ~smallest(dense.abs(), round(len(dense) * sparsities[-1]))


def loop_mask_of_last_stage_late(
    dense: Tensor, model_at: ModelAt, sparsities: list[float], criterion: str, step_penalty: float
) -> Tensor:
    kept = torch.ones_like(dense, dtype=torch.bool)
    for stage, sparsity in enumerate(sparsities[:-1], start=1):
        saliency = criteria.saliency(model_at(dense * kept, stage), criterion, step_penalty)
        kept = ~smallest(saliency.masked_fill(~kept, -torch.inf), round(len(dense) * sparsity))
    return kept


def loop_zero_for_pruned(
    dense: Tensor, model_at: ModelAt, sparsities: list[float], criterion: str, step_penalty: float
) -> Tensor:
    kept = torch.ones_like(dense, dtype=torch.bool)
    for stage, sparsity in enumerate(sparsities, start=1):
        saliency = criteria.saliency(model_at(dense * kept, stage), criterion, step_penalty) * kept
        threshold = saliency.sort().values[round(len(dense) * sparsity) - 1]
        kept = saliency > threshold
    return kept


def loop_sparsity_to_model(
    dense: Tensor, model_at: ModelAt, sparsities: list[float], criterion: str, step_penalty: float
) -> Tensor:
    kept = torch.ones_like(dense, dtype=torch.bool)
    for sparsity in sparsities:
        saliency = criteria.saliency(model_at(dense * kept, sparsity), criterion, step_penalty)  # type: ignore[arg-type]
        kept = ~smallest(saliency.masked_fill(~kept, -torch.inf), round(len(dense) * sparsity))
    return kept


WRONG: dict[str, dict[str, tuple[Any, str]]] = {
    "exponential schedule": {
        "linear": (schedule_linear, "linear schedule"),
        "from stage 0": (schedule_from_zero, "one stage behind"),
        "one too many": (schedule_one_too_many, "sparsity before the first stage"),
        "one too few": (schedule_one_too_few, "range(1, n) ends at n - 1"),
        "what is left": (schedule_share_left, "shares that are kept"),
        "power of the sparsity": (schedule_power_of_sparsity, "what shrinks by the same factor"),
        "sparsity instead of what is left": (schedule_root_of_sparsity, "power of the sparsity: then stage 1"),
        "share divided by the stages": (schedule_share_divided, "divide the sparsity by the number"),
        "keep divided by the stages": (schedule_keep_divided, "divide the share kept by the number"),
        "whole sparsity at each stage": (schedule_sparsity_each_stage, "the exponent should be the part"),
        "the cut of each stage": (schedule_cut_of_each_stage, "what each stage adds"),
        "the same number always": (schedule_same_cut, "each stage removes of what is left"),
        "reversed": (schedule_reversed, "order is reversed"),
        "cubic": (schedule_cubic, "cubic schedule"),
        "rounded": (schedule_rounded, "rounded to 2 decimals"),
        "percent": (schedule_percent, "per cent"),
        "integer division": (schedule_integer_division, "// cuts down"),
        "only the last": (schedule_last_only, "not a single one"),
        "always five stages": (schedule_five_stages, "one number is needed for each"),
    },
    "one stage": {
        "pruned ones ranked too": (stage_of_all, "must stay pruned"),
        "threshold takes all ties": (stage_threshold, "compare with a threshold"),
        "threshold leaves all ties": (stage_threshold_equal_stay, "all of them stay"),
        "quantile": (stage_quantile, "compare with a threshold"),
        "the largest go": (stage_largest_go, "the largest saliency"),
        "share of the kept": (stage_share_of_kept, "of the weights that are left"),
        "counts only new ones": (stage_counts_new_only, "were pruned already, and you prune"),
        "pruned ones get 0, sorted downwards": (stage_multiplied, "0 is not low enough"),
        "pruned ones get 0": (stage_zero_for_pruned, "0 is not low enough"),
        "what is pruned": (stage_inverted, "mark what is pruned"),
        "int for round": (stage_floor, "nearest whole number"),
        "kept changed in place": (stage_in_place_kept, "changes its input in place"),
        "saliency changed in place": (stage_in_place_saliency, "changes its input in place"),
        "indices": (stage_indices, "you return indices"),
        "only the kept ones": (stage_only_kept_returned, "the mask has the shape"),
        "indices among the kept used for all": (stage_indices_mixed_up, "places in that shorter list"),
        "keeps that share": (stage_keeps_that_share, "not the share kept"),
        "absolute value of minus infinity": (stage_absolute, "must stay pruned"),
        "one too many": (stage_one_too_many, "it must be 4"),
        "argsort taken for ranks": (stage_rank_forgotten, "entries are not ranks"),
        "union of old and new": (stage_old_and_new, "chooses among all weights"),
        "plus infinity": (stage_small_constant, "must stay pruned"),
    },
    "stage loop": {
        "model always at the start": (loop_model_of_start, "made at the dense weights"),
        "one model for all": (loop_one_model, "model_at is called once"),
        "stages from 0": (loop_from_zero, "the first number that model_at gets is 0"),
        "always batch 1": (loop_same_batch, "all use the same batch"),
        "pruned ones come back": (loop_regrows, "tie with them at zero"),
        "penalty forgotten": (loop_no_penalty, "step penalty has no effect"),
        "always qm": (loop_always_qm, "what QM would keep"),
        "in one go": (loop_in_one_go, "model_at is called once"),
        "return in the loop": (loop_returns_early, "return stand inside the loop"),
        "what is pruned": (loop_pruned_returned, "return what is pruned"),
        "the weights": (loop_weights_returned, "the mask must be bool"),
        "start changed in place": (loop_in_place, "changes its input in place"),
        "share of what is left": (loop_share_of_rest, "not of those left"),
        "counts only new ones": (loop_plus_infinity, "counts the weights pruned before it too"),
        "keeps the smallest": (loop_keeps_the_smallest, "largest saliencies are pruned"),
        "magnitude": (loop_magnitude, "never calls model_at"),
        "last stage forgotten": (loop_mask_of_last_stage_late, "2 models for 3 stages"),
        "pruned ones get 0, threshold": (loop_zero_for_pruned, "a threshold cannot cut"),
        "sparsity in place of the stage": (loop_sparsity_to_model, "not its sparsity"),
    },
    "promise and truth": {
        "a": ("a", "sparsity is the same"),
        "c": ("c", "one and the same batch"),
        "d": ("d", "nothing is trained between"),
        "all of them": ("abcd", "must be one of"),
        "the sentence": ("shorter steps", "must be one of"),
    },
    "limit of the penalty": {
        "a": ("a", "does not forbid steps"),
        "b": ("b", "model still contribute"),
        "d": ("d", "not their scale"),
        "in words": ("same as MP", "must be one of"),
    },
}
