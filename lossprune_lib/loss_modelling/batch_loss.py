"""The loss of a batch as a function of the weights: `BatchLoss`, bound and checked once."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import replace
from functools import cached_property, partial
from numbers import Integral
from typing import Any

import torch
from cachetools import LRUCache
from torch import Tensor, nn

from lossprune_lib.checks import check_choice, check_finite, check_int
from lossprune_lib.data.inputs import Inputs, kind, part
from lossprune_lib.data.task import Batch
from lossprune_lib.loss_modelling import curvature
from lossprune_lib.loss_modelling.backward import by_autograd, through_mlp
from lossprune_lib.loss_modelling.confirm import close, confirmed
from lossprune_lib.loss_modelling.footprint import Footprint, check_curvature
from lossprune_lib.loss_modelling.forward import record
from lossprune_lib.loss_modelling.general import Point, squares_one_by_one, squares_together
from lossprune_lib.loss_modelling.loss import Loss, check_loss
from lossprune_lib.loss_modelling.losses import CrossEntropy, cross_entropy, is_shipped
from lossprune_lib.loss_modelling.model import LossModel
from lossprune_lib.loss_modelling.preflight import are_different, preflight, two_of
from lossprune_lib.loss_modelling.products import ggn_quadratic_form, hessian_quadratic_form
from lossprune_lib.loss_modelling.restriction import Restriction, warn_of_dense_products
from lossprune_lib.loss_modelling.roots import check_root
from lossprune_lib.networks.mlps import is_mlp
from lossprune_lib.networks.sparse import Pattern
from lossprune_lib.networks.validation import check_batch, check_mode
from lossprune_lib.networks.weights import WeightSpace
from lossprune_lib.progress import progress_bar
from lossprune_lib.seeds import generator

MATRICES = ("ggn", "hessian")
RootOf = Callable[[Tensor, Tensor], Tensor]  # outputs and targets of a part of the batch -> columns [S, N, ...]
_PATIENCE = 2  # seconds before a bar is shown
_GRAPHS = 4  # what a derivative of a derivative keeps, in graphs of a plain backward pass


class BatchLoss:
    """The mean loss of one batch as a function of a network's prunable weights: bound once, and checked once.

    A model that was made at some weights is kept, within another `max_bytes`, and not made again.

    Parameters
    ----------
    net : a network in eval mode, or its `WeightSpace`
        Called with a tensor [N, ...], with the entries of a tuple in order, or with those of a dict by name; gives one
        tensor [N, ...] that the loss takes. All that is not prunable (biases, norms) is read here, and stays as it was.
    batch : inputs and targets, with the N examples first
    loss : one of `losses`, or your own: its total, and a root of its Hessian
    curvature_columns : int, optional
        Sample the curvature: this many random columns per example in place of all of the Hessian's root. Unbiased, and
        one column costs about one more gradient however many classes there are. By default it is exact.
    seed : of these columns; the same seed gives the same curvature
    max_bytes : the batch is cut so that activations and work space stay below this; one example is the least

    Raises
    ------
    ValueError, TypeError
        if the network or the batch cannot be modelled; the message says what to do.

    Notes
    -----
    The diagonal is exact for any differentiable network whose examples do not influence one another: tied weights,
    layers that are called twice and weights that are used without their module are followed by autograd, example by
    example and column by column, which is slow and said by a `SlowCurvatureWarning`. Linear and Conv2d layers that are
    called once take a fast path. Where examples influence one another there is a loss and a gradient, but no curvature.

    On a GPU torch lets convolutions round what they multiply to TF32, to three digits, unless it is told not to:
    ``torch.backends.cudnn.allow_tf32 = False``.
    """

    def __init__(
        self,
        net: nn.Module | WeightSpace,
        batch: Batch,
        *,
        loss: Loss = cross_entropy,
        curvature_columns: int | None = None,
        seed: int | tuple[int, ...] = 0,
        max_bytes: int = 2**30,
    ) -> None:
        self.space = net if isinstance(net, WeightSpace) else WeightSpace(net)
        self.loss, self.max_bytes = check_loss(loss), check_int(max_bytes, "max_bytes")
        self.curvature_columns, self.seed = curvature_columns, seed if isinstance(seed, tuple) else (seed,)
        if curvature_columns is not None:
            check_int(curvature_columns, "curvature_columns")
        self.x, self.y = check_batch(self.space, batch)
        check_mode(self.space.net)
        self.rest, self.examples = self.space.rest(), len(self.y)
        # Nothing that the preflight looks for can happen in a multilayer perceptron, so there it waits for a model.
        mlp = self._is_mlp = isinstance(self.x, Tensor) and is_mlp(self.space, tuple(self.x.shape[1:]))
        self.shape = (self.examples, *(self.space.layout[-1][1][:1] if mlp else self.footprint.outputs.shape[1:]))
        self.loss.check(self.shape, self.y)
        if not mlp and self.footprint.least > self.examples:
            # Torch's gradient is wrong for one example alone. Counted twice, it has the same mean.
            self.x, self.y, self.examples = part(self.x, torch.tensor([0, 0])), self.y[[0, 0]], 2
        self._apart = self._is_mlp or self.examples == 1
        self._models: LRUCache[_Point, LossModel] = LRUCache(max_bytes, getsizeof=_bytes_of)

    @cached_property
    def footprint(self) -> Footprint:
        """What one example takes, from a preflight; the space keeps it for inputs of this kind."""
        one, other = (part(two_of(self.x), slice(i, i + 1)) for i in range(2))
        self._kind = kind(self.x), are_different(one, other)  # equal examples show less
        if self._kind not in self.space.footprints:
            self.space.footprints[self._kind] = preflight(self.space, self.rest, self.x)
        return self.space.footprints[self._kind]

    def value(self, weights: Tensor) -> Tensor:
        """Return the mean loss at weights [D], or at each of R vectors [R, D], as float64 [] or [R] on the CPU."""
        if isinstance(weights, Tensor) and weights.ndim == 2:
            return torch.tensor([self.value(row).item() for row in weights], dtype=torch.float64)
        self.space.check_point(weights, "The point")
        weights = weights.detach()
        found = self._models.get(_Point(weights)) or self._evaluate(weights, 0, False)
        return torch.tensor(found.loss, dtype=torch.float64)

    def model(self, weights: Tensor, order: int = 2, *, gradient: bool = True) -> LossModel:
        """Model the loss around weights [D].

        Parameters
        ----------
        order : 0 for the loss, 1 for the gradient too, 2 for the curvature too
            The model may come with more than is asked for, where that was computed before.
        gradient : False leaves it out of order 2, for those who read the curvature alone, as `obd` does
        """
        if not isinstance(order, Integral) or order not in (0, 1, 2):
            raise ValueError(f"order is {order!r}, but must be 0 (loss), 1 (and gradient) or 2 (and curvature).")
        if order == 1 and not gradient:
            raise ValueError(
                "gradient=False leaves nothing of order 1: give order=0 for the loss alone, or leave it out."
            )
        self.space.check_point(weights, "The point")
        # Of a copy, so that nothing done to the weights later reaches what is kept.
        return self.known(weights.detach().clone(), int(order), bool(gradient) and order > 0)

    def quadratic_form(self, weights: Tensor, step: Tensor, matrix: str) -> float:
        """Return step^T M step, for M the full GGN ("ggn", never below zero) or Hessian ("hessian") of the mean loss.

        Neither matrix [D, D] is built: it takes a few passes through the network. Both are at `weights` [D].
        """
        check_choice(matrix, MATRICES, "matrix")
        self.space.check_point(weights, "The point")
        self.space.check_point(step, "The step")
        form = {"ggn": ggn_quadratic_form, "hessian": hessian_quadratic_form}[matrix]

        def of_part(x: Tensor, y: Tensor) -> Tensor:
            outputs = partial(self.space.run, rest=self.rest, x=x)
            return form(outputs, lambda z: self.loss.total(z, y), weights.detach(), step.detach())

        total: Any = sum(of_part(*part) for part in self._parts(0, self.max_bytes // _GRAPHS))
        return (total / float(self.loss.count(self.y))).item()

    def known(self, weights: Tensor, order: int, gradient: bool, restriction: Restriction | None = None) -> LossModel:
        """Return what `model` does, at weights that were checked already and are never changed in place.

        With a restriction, gradient and curvature are by the weights that it keeps, and zero elsewhere.
        """
        point = _Point(weights, None if restriction is None else restriction.kept)
        found = self._models.get(point)
        if found is None or (found.order or 0) < order or (gradient and found.gradient is None):
            found = self._evaluate_sparsely(weights, order, gradient, restriction)
            if _bytes_of(found) <= self.max_bytes:
                self._models[point] = found
        return found

    def known_loss(self, weights: Tensor, restriction: Restriction | None = None) -> float:
        """Return the mean loss at such weights, and keep it."""
        loss = self.known(weights, 0, False, restriction).loss
        assert loss is not None
        return loss

    def _evaluate_sparsely(
        self, weights: Tensor, order: int, gradient: bool, restriction: Restriction | None
    ) -> LossModel:
        """Evaluate by the kept weights alone, or by all in a network that fails only with the former: this is said."""
        if restriction is None or self.footprint.dense or not restriction.patterns:
            return self._evaluate(weights, order, gradient, restriction)
        try:
            return self._evaluate(weights, order, gradient, restriction, restriction.patterns)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            # Such as for a view, for which the outputs of sparse products are stored in the wrong order.
            reason = str(error).partition("\n")[0].partition(". ")[0].rstrip(".")
        found = self._evaluate(weights, order, gradient, restriction)  # what is wrong here too is raised
        self._note(dense=True)
        warn_of_dense_products(reason)
        return found

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
        by_units = self._is_mlp and 0 in patterns
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
            if self.curvature_columns is None and not is_shipped(self.loss):
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
        if fast and not self._is_mlp:
            recording = confirmed(self.space, recording, self.footprint.positions)
        with torch.enable_grad():
            loss = self.loss.total(recording.outputs, y)
        if gradient:
            recording.add_gradient(loss, sums[0], keep_graph=order > 1)
        if order > 1:
            root = root_of(outputs, y).contiguous()
            by_pairs = self.footprint.by_pairs(self.space, len(root), self.max_bytes)
            advance = partial(bar.update, len(y))
            backward = through_mlp(recording, patterns) if self._is_mlp else by_autograd(recording)
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
        at_once = self.footprint.examples_within(self.space, columns, max_bytes)
        if self.footprint.mixes:
            at_once = self.examples
        starts = list(range(0, self.examples, at_once))
        if len(starts) > 1 and self.examples - starts[-1] < self.footprint.least:
            starts.pop()
        for start, end in zip(starts, [*starts[1:], self.examples], strict=True):
            yield part(self._by_units if by_units else self.x, slice(start, end)), self.y[start:end]

    @cached_property
    def _by_units(self) -> Tensor:
        """The inputs, stored once in the order that would be made for each sparse product with them."""
        return self.x.movedim(0, -1).contiguous().movedim(-1, 0)


class _Point:
    """Weights, and which are kept, as the key of what was computed there: equal where all of them are."""

    def __init__(self, weights: Tensor, kept: Tensor | None = None) -> None:
        self.weights, self.kept, self.sum = weights, kept, weights.sum().item()

    def __hash__(self) -> int:
        return hash(self.sum)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Point) and _same(self.weights, other.weights) and _same(self.kept, other.kept)


def _same(a: Tensor | None, b: Tensor | None) -> bool:
    return a is b or (a is not None and b is not None and torch.equal(a, b))


def _bytes_of(model: LossModel) -> int:
    vectors = [vector for vector in (model.weights, model.gradient, model.curvature) if vector is not None]
    return len(vectors) * model.weights.nbytes
