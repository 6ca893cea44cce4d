"""The passes of a batch through a network: in parts that fit into memory, with gradient and curvature on the way."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import replace
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor

from lossprune_lib.checks import check_finite, check_int
from lossprune_lib.data.inputs import Inputs, kind, part
from lossprune_lib.data.task import Batch
from lossprune_lib.loss_modelling import curvature
from lossprune_lib.loss_modelling.backward import by_autograd, through_mlp
from lossprune_lib.loss_modelling.confirm import close, confirmed
from lossprune_lib.loss_modelling.footprint import Footprint, check_curvature
from lossprune_lib.loss_modelling.forward import record
from lossprune_lib.loss_modelling.general import Point, squares_one_by_one, squares_together
from lossprune_lib.loss_modelling.loss import Loss, check_loss
from lossprune_lib.loss_modelling.losses import CrossEntropy, is_shipped
from lossprune_lib.loss_modelling.model import LossModel
from lossprune_lib.loss_modelling.preflight import are_different, preflight, two_of
from lossprune_lib.loss_modelling.restriction import Restriction
from lossprune_lib.loss_modelling.roots import TRIED, check_root, check_total
from lossprune_lib.networks.mlps import is_mlp
from lossprune_lib.networks.sparse import Pattern
from lossprune_lib.networks.validation import check_batch, check_mode
from lossprune_lib.networks.weights import WeightSpace
from lossprune_lib.progress import progress_bar
from lossprune_lib.seeds import generator

RootOf = Callable[[Tensor, Tensor], Tensor]  # outputs and targets of a part of the batch -> columns [S, N, ...]
_PATIENCE = 2  # seconds before a bar is shown


class BatchPasses:
    """A batch and a network, bound and checked once, and what passes of one through the other give.

    The parameters are those of `BatchLoss`, which is what to use: it keeps what these compute.
    """

    def __init__(
        self,
        space: WeightSpace,
        batch: Batch,
        loss: Loss,
        curvature_columns: int | None,
        seed: int | tuple[int, ...],
        max_bytes: int,
    ) -> None:
        self.space = space
        self.loss, self.max_bytes = check_loss(loss), check_int(max_bytes, "max_bytes")
        self.curvature_columns, self.seed = curvature_columns, seed if isinstance(seed, tuple) else (seed,)
        if curvature_columns is not None:
            check_int(curvature_columns, "curvature_columns")
        self.x, self.y = check_batch(self.space, batch)
        check_mode(self.space.net)
        self.rest, self.examples = self.space.rest(), len(self.y)
        # Nothing that the preflight looks for can happen in a multilayer perceptron, so there it waits for a model.
        mlp = self.is_mlp = isinstance(self.x, Tensor) and is_mlp(self.space, tuple(self.x.shape[1:]))
        self.shape = (self.examples, *(self.space.layout[-1][1][:1] if mlp else self.footprint.outputs.shape[1:]))
        self.loss.check(self.shape, self.y)
        if not mlp and self.footprint.least > self.examples:
            # Torch's gradient is wrong for one example alone. Counted twice, it has the same mean.
            self.x, self.y, self.examples = part(self.x, torch.tensor([0, 0])), self.y[[0, 0]], 2
        if not is_shipped(self.loss):
            few = slice(TRIED)
            check_total(self.loss, self.space.run(self.space.read(), self.rest, part(self.x, few)), self.y[few])
        self._apart = self.is_mlp or self.examples == 1

    @cached_property
    def footprint(self) -> Footprint:
        """What one example takes, from a preflight; the space keeps it for inputs of this kind."""
        one, other = (part(two_of(self.x), slice(i, i + 1)) for i in range(2))
        self._kind = kind(self.x), are_different(one, other)  # equal examples show less
        if self._kind not in self.space.footprints:
            self.space.footprints[self._kind] = preflight(self.space, self.rest, self.x)
        return self.space.footprints[self._kind]

    def _note(self, **found: bool) -> None:
        """Keep what was found out about the network after its preflight."""
        self.footprint = self.space.footprints[self._kind] = replace(self.footprint, **found)  # type: ignore[arg-type]

    def _evaluate(
        self,
        weights: Tensor,
        order: int,
        gradient: bool,
        restriction: Restriction | None = None,
        patterns: Mapping[int, Pattern] | None = None,
    ) -> LossModel:
        share, patterns = 1 / float(self.loss.count(self.y)), patterns or {}
        restricted = restriction.applied(self.footprint.positions) if restriction and patterns else nullcontext()
        by_units = self.is_mlp and 0 in patterns
        if order == 0:
            with torch.no_grad(), restricted:
                parts = self._parts(0, self.max_bytes, by_units)
                losses = [self.loss.total(self.space.run(weights, self.rest, x), y).item() for x, y in parts]
            return LossModel(weights, sum(losses) * share)
        columns = self._columns() if order > 1 else 0
        if columns:
            if isinstance(self.loss, CrossEntropy) and self.loss.columns(self.footprint.outputs, self.y[:1]) == 0:
                warnings.warn(
                    "The network has a single logit, so its cross-entropy is zero whatever the weights are, and so is "
                    "the curvature: give it one logit for each class.",
                    stacklevel=5,
                )
            check_curvature(self.footprint, self.space, columns, self.max_bytes)
            by_root = self.curvature_columns is None or type(self.loss).sampled_column is Loss.sampled_column
            if by_root and not is_shipped(self.loss):
                check_root(self.loss, self.footprint.outputs, self.y[:1])
        root_of, total, sums = self._root_of(), 0.0, [torch.zeros_like(weights) for _ in range(gradient + (order > 1))]
        by_layer, outputs = [self.space.split(vector) for vector in sums], list[Tensor]()
        bar = progress_bar(columns > 0, desc="curvature", total=columns * self.examples, leave=False, delay=_PATIENCE)
        with bar, restricted:
            for x, y in self._parts(columns, self.max_bytes, by_units):
                value, rows = self._add(weights, x, y, order, gradient, by_layer, root_of, patterns, bar)
                total += value
                outputs.append(rows)
        if columns and not self._apart:
            self._check_apart(weights, torch.cat(outputs), max(2, len(outputs)))
        means = [vector.mul_(share) for vector in sums]
        if restriction is not None:
            means = [vector.mul_(restriction.kept) for vector in means]
        if order > 1:
            means[-1].clamp_(min=0)
        return LossModel(weights, total * share, means[0] if gradient else None, means[-1] if order > 1 else None)

    @torch.no_grad()
    def _check_apart(self, weights: Tensor, outputs: Tensor, groups: int) -> None:
        """Raise ValueError if these examples influence one another, though the two of the preflight did not."""
        for first in range(groups):  # in other company
            rows = torch.arange(first, self.examples, groups)
            again = self.space.run(weights, self.rest, part(self.x, rows if len(rows) > 1 else rows.repeat(2)))
            if not close(again[: len(rows)].to(weights.dtype), outputs[rows]):
                self._note(mixes=True)
                check_curvature(self.footprint, self.space, 1, self.max_bytes)
        self._apart = True

    def _add(
        self,
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
        fast = list(self.footprint.positions) if order > 1 else []
        recording = record(self.space, weights, self.rest, x, len(y), fast)
        outputs = check_finite(recording.outputs.detach(), "The network's output")
        if fast and not self.is_mlp:
            recording = confirmed(self.space, recording, self.footprint.positions)
        with torch.enable_grad():
            loss = self.loss.total(recording.outputs, y)
        if gradient:
            recording.add_gradient(loss, sums[0], keep_graph=order > 1)
        if order > 1:
            root = root_of(outputs, y).contiguous()
            by_pairs = self.footprint.by_pairs(self.space, len(root), self.max_bytes)
            advance = partial(bar.update, len(y))
            backward = through_mlp(recording, patterns) if self.is_mlp else by_autograd(recording)
            curvature.ggn_diagonals(self.space, recording, root, by_pairs, sums[-1], patterns, backward, advance)
            # A layer that took another way with these examples than in the preflight is none of the fast path's.
            rest = [i for i in range(len(self.space.layers)) if i not in recording.calls]
            if rest:
                for i, squares in self._general(weights, rest, x, root, None if fast else bar).items():
                    sums[-1][i].add_(squares)
        return loss.item(), outputs

    def _general(
        self, weights: Tensor, layers: list[int], x: Inputs, root: Tensor, bar: Any | None
    ) -> dict[int, Tensor]:
        """Return some layers' parts of the diagonal on the general path; a bar counts examples times columns."""
        point = Point(self.space, self.space.split(weights), self.rest)
        advance = (lambda: None) if bar is None else (lambda: bar.update(len(root)))
        # One example needs no company, and torch cannot compute all that it can for two.
        if self.footprint.together and root.shape[1] > 1 and set(layers) <= set(self.footprint.general):
            return squares_together(point, layers, x, root)
        return squares_one_by_one(point, layers, x, root, self.footprint.least, advance)

    def _root_of(self) -> RootOf:
        """Return what gives the columns of a part of the batch; the parts must come in order."""
        if self.curvature_columns is None:
            return self.loss.hessian_root
        k = self.curvature_columns
        draws = [generator(self.seed[0], "curvature column", *self.seed[1:], i) for i in range(k)]

        def sampled(outputs: Tensor, y: Tensor) -> Tensor:
            return torch.stack([self.loss.sampled_column(outputs, y, draw) for draw in draws]) / math.sqrt(k)

        return sampled

    def _columns(self) -> int:
        """Return how many columns there are for an example."""
        return self.curvature_columns or max(1, self.loss.columns(self.footprint.outputs, self.y[:1]))

    def _parts(self, columns: int, max_bytes: int, by_units: bool = False) -> Iterator[tuple[Inputs, Tensor]]:
        """Yield the batch in parts that stay within a budget; whole where its examples influence one another.

        Parameters
        ----------
        by_units : whether the inputs are stored unit by unit, as sparse products read them
        """
        return self.cut(self.footprint.examples_within(self.space, columns, max_bytes), by_units)

    def cut(self, at_once: int, by_units: bool = False) -> Iterator[tuple[Inputs, Tensor]]:
        """Yield the batch so many examples at once, where the network allows it; of an MLP without a preflight."""
        mixes, least = (False, 1) if self.is_mlp else (self.footprint.mixes, self.footprint.least)
        starts = list(range(0, self.examples, self.examples if mixes else max(at_once, least)))
        if len(starts) > 1 and self.examples - starts[-1] < least:
            starts.pop()
        for start, end in zip(starts, [*starts[1:], self.examples], strict=True):
            yield part(self._by_units if by_units else self.x, slice(start, end)), self.y[start:end]

    @cached_property
    def _by_units(self) -> Tensor:
        """The inputs, stored once in the order that would be made for each sparse product with them."""
        return self.x.movedim(0, -1).contiguous().movedim(-1, 0)
