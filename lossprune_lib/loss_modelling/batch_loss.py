"""The loss of a batch as a function of the weights: `BatchLoss`, bound and checked once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property, partial
from numbers import Integral
from typing import Any

import torch
from cachetools import LRUCache
from torch import Tensor, nn

from lossprune_lib.checks import check_choice, check_int
from lossprune_lib.data.inputs import Inputs, change, kind, part
from lossprune_lib.data.task import Batch
from lossprune_lib.loss_modelling.cut_off import warn_of_no_gradients
from lossprune_lib.loss_modelling.footprint import Footprint
from lossprune_lib.loss_modelling.forward import check_precision
from lossprune_lib.loss_modelling.loss import Loss, check_loss
from lossprune_lib.loss_modelling.losses import cross_entropy, is_shipped
from lossprune_lib.loss_modelling.model import LossModel
from lossprune_lib.loss_modelling.passes import evaluate
from lossprune_lib.loss_modelling.preflight import are_different, preflight, two_of
from lossprune_lib.loss_modelling.products import ggn_quadratic_form, hessian_quadratic_form
from lossprune_lib.loss_modelling.restriction import Restriction, warn_of_dense_products
from lossprune_lib.loss_modelling.roots import TRIED, check_total
from lossprune_lib.networks.mlps import is_mlp
from lossprune_lib.networks.validation import check_batch, check_mode
from lossprune_lib.networks.weights import WeightSpace

MATRICES = ("ggn", "hessian")
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
        mlp = self.is_mlp = isinstance(self.x, Tensor) and is_mlp(self.space, tuple(self.x.shape[1:]))
        self.shape = (self.examples, *(self.space.layout[-1][1][:1] if mlp else self.footprint.outputs.shape[1:]))
        self.loss.check(self.shape, self.y)
        if not mlp and self.footprint.least > self.examples:
            # Torch's gradient is wrong for one example alone. Counted twice, it has the same mean.
            self.x, self.y, self.examples = part(self.x, torch.tensor([0, 0])), self.y[[0, 0]], 2
        if not is_shipped(self.loss):
            few = slice(TRIED)
            check_total(self.loss, self.space.run(self.space.read(), self.rest, part(self.x, few)), self.y[few])
        self.apart = mlp or self.examples == 1  # else passes see whether examples influence one another
        self._models: LRUCache[_Point, LossModel] = LRUCache(max_bytes, getsizeof=_bytes_of)

    @cached_property
    def footprint(self) -> Footprint:
        """What one example takes, from a preflight; the space keeps it for inputs of this kind."""
        if self._kind not in self.space.footprints:
            self.space.footprints[self._kind] = preflight(self.space, self.rest, self.x)
        return self.space.footprints[self._kind]

    @cached_property
    def _kind(self) -> tuple[object, bool]:
        """Of the inputs, as the space tells them apart: equal examples show less."""
        both = two_of(self.x)
        return kind(self.x), are_different(*(part(both, slice(i, i + 1)) for i in range(2)))

    def note(self, **found: bool) -> None:
        """Keep what was found out about the network after its preflight."""
        self.footprint = self.space.footprints[self._kind] = replace(self.footprint, **found)  # type: ignore[arg-type]

    def parts(self, columns: int, max_bytes: int, by_units: bool = False) -> Iterator[tuple[Inputs, Tensor]]:
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

    def value(self, weights: Tensor) -> Tensor:
        """Return the mean loss at weights [D], or at each of R vectors [R, D], as float64 [] or [R] on the CPU."""
        if isinstance(weights, Tensor) and weights.ndim == 2:
            return torch.tensor([self.value(row).item() for row in weights], dtype=torch.float64)
        self.space.check_point(weights, "The point")
        weights = weights.detach()
        found = self._models.get(_Point(weights)) or evaluate(self, weights, 0, False)
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
        check_precision(weights)
        if not self.is_mlp:
            warn_of_no_gradients(self.footprint, self.space.layers)
        form = {"ggn": ggn_quadratic_form, "hessian": hessian_quadratic_form}[matrix]

        def of_part(x: Inputs, y: Tensor) -> Tensor:
            outputs, targets = partial(self.space.run, rest=rest, x=change(x, Tensor.clone)), y.clone()
            return form(outputs, lambda z: self.loss.total(z, targets), weights, step)

        with torch.inference_mode(False):  # there are no gradients in it, but of copies of what was made in it
            weights, step = weights.detach().clone(), step.detach().clone()
            rest = {name: tensor.clone() for name, tensor in self.rest.items()}
            total: Any = sum(of_part(*part) for part in self.parts(0, self.max_bytes // _GRAPHS))
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
            return evaluate(self, weights, order, gradient, restriction)
        try:
            return evaluate(self, weights, order, gradient, restriction, restriction.patterns)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            # Such as for a view, for which the outputs of sparse products are stored in the wrong order.
            reason = str(error).partition("\n")[0].partition(". ")[0].rstrip(".")
        found = evaluate(self, weights, order, gradient, restriction)  # what is wrong here too is raised
        self.note(dense=True)
        warn_of_dense_products(reason)
        return found


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
