"""The passes of a batch through a network: in parts that fit into memory, with gradient and curvature on the way.

`evaluate` is what `BatchLoss` calls, and keeps the result of.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from lossprune_lib.checks import check_finite
from lossprune_lib.data.inputs import Inputs, part
from lossprune_lib.loss_modelling import curvature
from lossprune_lib.loss_modelling.backward import by_autograd, through_mlp
from lossprune_lib.loss_modelling.confirm import confirmed
from lossprune_lib.loss_modelling.cut_off import warn_of_no_gradients
from lossprune_lib.loss_modelling.footprint import check_curvature
from lossprune_lib.loss_modelling.forward import check_precision, record
from lossprune_lib.loss_modelling.general import Point, squares_one_by_one, squares_together
from lossprune_lib.loss_modelling.loss import Loss, NothingCountsError
from lossprune_lib.loss_modelling.losses import CrossEntropy, is_shipped
from lossprune_lib.loss_modelling.model import LossModel
from lossprune_lib.loss_modelling.restriction import Restriction
from lossprune_lib.loss_modelling.roots import check_differentiable, check_root
from lossprune_lib.networks.sparse import Pattern
from lossprune_lib.networks.validation import close
from lossprune_lib.progress import progress_bar
from lossprune_lib.seeds import generator
from lossprune_lib.warn import warn

if TYPE_CHECKING:
    from lossprune_lib.loss_modelling.batch_loss import BatchLoss

RootOf = Callable[[Tensor, Tensor], Tensor]  # outputs and targets of a part of the batch -> columns [S, N, ...]
_PATIENCE = 2  # seconds before a bar is shown


def evaluate(
    risk: BatchLoss,
    weights: Tensor,
    order: int,
    gradient: bool,
    restriction: Restriction | None = None,
    patterns: Mapping[int, Pattern] | None = None,
) -> LossModel:
    """Return the model of a batch's mean loss at weights [D], of order 0, 1 or 2.

    Parameters
    ----------
    restriction : the weights by which gradient and curvature are; they are zero elsewhere
    patterns : of layers, by their place, whose products with the kept weights are sparse
    """
    check_precision(weights)
    count, patterns = float(risk.loss.count(risk.y)), patterns or {}
    if count == 0:
        name = type(risk.loss).__name__
        raise NothingCountsError(f"The loss {name} counts nothing in this batch, which has no mean: correct its count.")
    share = 1 / count
    restricted = restriction.applied(risk.footprint.positions) if restriction and patterns else nullcontext()
    by_units = risk.is_mlp and 0 in patterns
    if order == 0:
        with torch.no_grad(), restricted:
            parts = risk.parts(0, risk.max_bytes, by_units)
            losses = [risk.loss.total(risk.space.run(weights, risk.rest, x), y).item() for x, y in parts]
        return LossModel(weights, sum(losses) * share)
    if not risk.is_mlp:
        warn_of_no_gradients(risk.footprint, risk.space.layers)
    columns = _columns(risk) if order > 1 else 0
    if columns:
        if isinstance(risk.loss, CrossEntropy) and risk.loss.columns(risk.footprint.outputs, risk.y[:1]) == 0:
            warn(
                "The network has a single logit, so its cross-entropy is zero whatever the weights are, and so is "
                "the curvature: give it one logit for each class."
            )
        check_curvature(risk.footprint, risk.space, columns, risk.max_bytes)
        by_root = risk.curvature_columns is None or type(risk.loss).sampled_column is Loss.sampled_column
        if by_root and not is_shipped(risk.loss):
            check_root(risk.loss, risk.footprint.outputs, risk.y[:1])
    root_of, total, sums = _root_of(risk), 0.0, [torch.zeros_like(weights) for _ in range(gradient + (order > 1))]
    by_layer, outputs = [risk.space.split(vector) for vector in sums], list[Tensor]()
    bar = progress_bar(columns > 0, desc="curvature", total=columns * risk.examples, leave=False, delay=_PATIENCE)
    with bar, restricted:
        for x, y in risk.parts(columns, risk.max_bytes, by_units):
            value, rows = _add(risk, weights, x, y, order, gradient, by_layer, root_of, patterns, bar)
            total += value
            outputs.append(rows)
    if columns and not risk.apart:
        _check_apart(risk, weights, torch.cat(outputs), max(2, len(outputs)))
    means = [vector.mul_(share) for vector in sums]
    if restriction is not None:
        means = [vector.mul_(restriction.kept) for vector in means]
    if order > 1:
        means[-1].clamp_(min=0)
    return LossModel(weights, total * share, means[0] if gradient else None, means[-1] if order > 1 else None)


@torch.no_grad()
def _check_apart(risk: BatchLoss, weights: Tensor, outputs: Tensor, groups: int) -> None:
    """Raise ValueError if these examples influence one another, though the two of the preflight did not."""
    for first in range(groups):  # in other company
        rows = torch.arange(first, risk.examples, groups)
        again = risk.space.run(weights, risk.rest, part(risk.x, rows if len(rows) > 1 else rows.repeat(2)))
        if not close(again[: len(rows)].to(weights.dtype), outputs[rows]):
            risk.note(mixes=True)
            check_curvature(risk.footprint, risk.space, 1, risk.max_bytes)
    risk.apart = True


def _add(
    risk: BatchLoss,
    weights: Tensor,
    x: Inputs,
    y: Tensor,
    order: int,
    gradient: bool,
    sums: list[list[Tensor]],
    root_of: RootOf,
    patterns: Mapping[int, Pattern],
    bar: Any,
) -> tuple[float, Tensor]:
    """Add a part of the batch to the sums by layers; return its loss and outputs. Its graph goes with this call."""
    fast = list(risk.footprint.positions) if order > 1 else []
    recording = record(risk.space, weights, risk.rest, x, len(y), fast)
    outputs = check_finite(recording.outputs.detach(), "The network's output")
    if fast and not risk.is_mlp:
        recording = confirmed(risk.space, recording, risk.footprint.positions)
    with torch.enable_grad():
        loss = risk.loss.total(recording.outputs, y)
    check_differentiable(risk.loss, loss, recording.outputs)
    if gradient:
        recording.add_gradient(loss, sums[0], keep_graph=order > 1)
    if order > 1:
        root = root_of(outputs, y).to(outputs.dtype).contiguous()
        by_pairs = risk.footprint.by_pairs(risk.space, len(root), risk.max_bytes)
        advance = partial(bar.update, len(y))
        backward = through_mlp(recording, patterns) if risk.is_mlp else by_autograd(recording)
        curvature.ggn_diagonals(risk.space, recording, root, by_pairs, sums[-1], patterns, backward, advance)
        # A layer that took another way with these examples than in the preflight is none of the fast path's.
        rest = [i for i in range(len(risk.space.layers)) if i not in recording.calls]
        if rest:
            for i, squares in _general(risk, weights, rest, x, root, None if fast else bar).items():
                sums[-1][i].add_(squares)
    return loss.item(), outputs


def _general(
    risk: BatchLoss, weights: Tensor, layers: list[int], x: Inputs, root: Tensor, bar: Any | None
) -> dict[int, Tensor]:
    """Return some layers' parts of the diagonal on the general path; a bar counts examples times columns."""
    point = Point(risk.space, risk.space.split(weights), risk.rest)
    advance = (lambda: None) if bar is None else (lambda: bar.update(len(root)))
    # One example needs no company, and torch cannot compute all that it can for two.
    if risk.footprint.together and root.shape[1] > 1 and set(layers) <= set(risk.footprint.general):
        return squares_together(point, layers, x, root)
    return squares_one_by_one(point, layers, x, root, risk.footprint.least, advance)


def _root_of(risk: BatchLoss) -> RootOf:
    """Return what gives the columns of a part of the batch; the parts must come in order."""
    if risk.curvature_columns is None:
        return risk.loss.hessian_root
    k = risk.curvature_columns
    draws = [generator(risk.seed[0], "curvature column", *risk.seed[1:], i) for i in range(k)]

    def sampled(outputs: Tensor, y: Tensor) -> Tensor:
        return torch.stack([risk.loss.sampled_column(outputs, y, draw) for draw in draws]) / math.sqrt(k)

    return sampled


def _columns(risk: BatchLoss) -> int:
    """Return how many columns there are for an example."""
    return risk.curvature_columns or max(1, risk.loss.columns(risk.footprint.outputs, risk.y[:1]))
