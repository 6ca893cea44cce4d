"""The loss of a batch as a function of the weights (`BatchLoss`), and its Taylor model around a point (`LossModel`)."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from numbers import Integral
from typing import Any

import torch
from cachetools import LRUCache
from torch import Tensor, nn

from lossprune_lib.checks import check_choice, check_finite, check_int
from lossprune_lib.data.task import Batch
from lossprune_lib.loss_modelling import curvature
from lossprune_lib.loss_modelling.footprint import Footprint
from lossprune_lib.loss_modelling.forward import record
from lossprune_lib.loss_modelling.losses import CrossEntropy, Loss, check_loss, cross_entropy
from lossprune_lib.loss_modelling.preflight import preflight
from lossprune_lib.loss_modelling.products import ggn_quadratic_form, hessian_quadratic_form
from lossprune_lib.networks.mlps import is_mlp
from lossprune_lib.networks.validation import check_batch, check_mode
from lossprune_lib.networks.weights import WeightSpace
from lossprune_lib.seeds import generator

MATRICES = ("ggn", "hessian")
RootOf = Callable[[Tensor, Tensor], Tensor]  # outputs and targets of a part of the batch -> columns [S, N, ...]
_GRAPHS = 4  # what a derivative of a derivative keeps, in graphs of a plain backward pass


@dataclass(frozen=True, eq=False)
class LossModel:
    """The mean loss of a batch around a point in weight space, to second order.

    Attributes
    ----------
    weights : [D]
        The point.
    loss : float or None
        The mean loss there; None if the model was made of the weights alone.
    gradient : [D] or None
        Of the mean loss by the prunable weights; None below order 1, or where it was left out.
    curvature : [D] or None
        The diagonal of the generalised Gauss-Newton matrix of the mean loss, or an unbiased sample of it; None below
        order 2.
    """

    weights: Tensor
    loss: float | None = None
    gradient: Tensor | None = None
    curvature: Tensor | None = None

    @classmethod
    def at(
        cls,
        net: nn.Module,
        batch: Batch,
        order: int = 2,
        *,
        gradient: bool = True,
        loss: Loss = cross_entropy,
        curvature_columns: int | None = None,
        seed: int = 0,
        max_bytes: int = 2**30,
    ) -> LossModel:
        """Model the loss of a batch around a network's own weights: short for ``BatchLoss(net, batch).model(...)``.

        The parameters are those of `BatchLoss` and of its method `model`.
        """
        risk = BatchLoss(net, batch, loss=loss, curvature_columns=curvature_columns, seed=seed, max_bytes=max_bytes)
        return risk.model(risk.space.read(), order, gradient=gradient)

    @property
    def order(self) -> int | None:
        """2 with curvature, 1 with gradient, 0 with the loss alone, None for bare weights."""
        if self.loss is None:
            return None
        return 2 if self.curvature is not None else int(self.gradient is not None)

    def among(self, chosen: Tensor) -> LossModel:
        """Return the model of some weights only, by their indices [k] or as bool [D]; the others do not move."""
        gradient = None if self.gradient is None else self.gradient[chosen]
        diagonal = None if self.curvature is None else self.curvature[chosen]
        return LossModel(self.weights[chosen], self.loss, gradient, diagonal)

    def predicted_change(self, step: Tensor, order: int = 2) -> Tensor:
        """Return the modelled, signed change of the loss for a step [D] (or steps [..., D]), as a tensor [...].

        First order: g . step; second order: g . step + 1/2 sum_k G_kk step_k^2.

        Raises
        ------
        ValueError, TypeError
            for a step that does not go with the weights, or an order that this model does not have.
        """
        gradient, diagonal = self._derivatives(step, order)
        return step @ gradient if diagonal is None else step @ gradient + (step.square() @ diagonal) / 2

    def _derivatives(self, step: Tensor, order: int) -> tuple[Tensor, Tensor | None]:
        """Return the gradient and, for order 2, the curvature; raise unless there are such, and a step for them."""
        if not isinstance(order, Integral) or order not in (1, 2):
            raise ValueError(f"order is {order!r}, but a change is predicted with order 1 or 2.")
        if not isinstance(step, Tensor):
            raise TypeError(
                f"A step is a torch tensor [D], not {type(step).__name__}: convert it with torch.as_tensor."
            )
        if step.shape[-1:] != self.weights.shape[-1:]:
            raise ValueError(
                f"The step has shape {list(step.shape)}, the weights {list(self.weights.shape)}: give one number per "
                "weight."
            )
        if step.dtype != self.weights.dtype or step.device != self.weights.device:
            raise ValueError(
                f"The step is {step.dtype} on {step.device}, the weights {self.weights.dtype} on "
                f"{self.weights.device}: convert it with .to(model.weights)."
            )
        if self.order is None or self.order < order:
            raise ValueError(f"This model has order {self.order}: make it with LossModel.at(..., order={order}).")
        if self.gradient is None:
            raise ValueError("This model was made without its gradient: leave out gradient=False.")
        return self.gradient, self.curvature if order == 2 else None


class BatchLoss:
    """The mean loss of one batch as a function of a network's prunable weights: bound once, and checked once.

    A model that was made at some weights is kept, within another `max_bytes`, and not made again.

    Parameters
    ----------
    net : a network in eval mode, [N, ...] -> logits [N, C], or its `WeightSpace`
        All that is not prunable (biases, norms) is read here, and stays as it was.
    batch : inputs [N, ...] and labels [N]
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
        self.rest = self.space.rest()
        # Nothing that the preflight looks for can happen in a multilayer perceptron, so there it waits for a model.
        mlp = is_mlp(self.space.net, tuple(self.x.shape[1:]))
        self.classes = self.space.layout[-1][1][0] if mlp else self.footprint.logits.shape[1]
        self.loss.check((len(self.x), self.classes), self.y)
        self._models: LRUCache[_Point, LossModel] = LRUCache(max_bytes, getsizeof=_bytes_of)

    @cached_property
    def footprint(self) -> Footprint:
        """What one example takes, from a preflight; the space keeps it for inputs of this shape and dtype."""
        key = (tuple(self.x.shape[1:]), self.x.dtype)
        if key not in self.space.footprints:
            self.space.footprints[key] = preflight(self.space, self.rest, self.x)
        return self.space.footprints[key]

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
        return (total / self.loss.count(self.y)).item()

    def known(self, weights: Tensor, order: int, gradient: bool) -> LossModel:
        """Return what `model` does, at weights that were checked already and are never changed in place."""
        point = _Point(weights)
        found = self._models.get(point)
        if found is None or (found.order or 0) < order or (gradient and found.gradient is None):
            found = self._evaluate(weights, order, gradient)
            if _bytes_of(found) <= self.max_bytes:
                self._models[point] = found
        return found

    def known_loss(self, weights: Tensor) -> float:
        """Return the mean loss at such weights, and keep it."""
        loss = self.known(weights, 0, False).loss
        assert loss is not None
        return loss

    def _evaluate(self, weights: Tensor, order: int, gradient: bool) -> LossModel:
        share = 1 / self.loss.count(self.y)
        if order == 0:
            with torch.no_grad():
                parts = self._parts(0, self.max_bytes)
                losses = [self.loss.total(self.space.run(weights, self.rest, x), y).item() for x, y in parts]
            return LossModel(weights, sum(losses) * share)
        if order > 1 and isinstance(self.loss, CrossEntropy) and self.classes == 1:
            warnings.warn(
                "The network has a single logit, so its cross-entropy is zero whatever the weights are, and so is the "
                "curvature: give it one logit for each class.",
                stacklevel=5,
            )
        parts = self._parts(self._columns() if order > 1 else 0, self.max_bytes)
        root_of = self._root_of()
        total, sums = self._sums(weights, *next(parts), order, gradient, root_of)
        for part in parts:
            value, vectors = self._sums(weights, *part, order, gradient, root_of)
            total += value
            for so_far, vector in zip(sums, vectors, strict=True):
                so_far.add_(vector)
        means = [vector.mul_(share) for vector in sums]
        return LossModel(weights, total * share, means[0] if gradient else None, means[-1] if order > 1 else None)

    def _sums(
        self, weights: Tensor, x: Tensor, y: Tensor, order: int, gradient: bool, root_of: RootOf
    ) -> tuple[float, list[Tensor]]:
        """Return the loss of a part of the batch and its derivatives, all summed; its graph goes with this function."""
        recording = record(self.space, weights, self.rest, x)
        check_finite(recording.logits.detach(), "The network's output")
        with torch.enable_grad():
            loss = self.loss.total(recording.logits, y)
        vectors = [recording.gradient(loss, keep_graph=order > 1)] if gradient else []
        if order > 1:
            root = root_of(recording.logits.detach(), y)
            vectors.append(curvature.ggn_diagonal(self.space, recording, root))
        return loss.item(), vectors

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
        return self.curvature_columns or self.loss.columns(self.footprint.logits, self.y[:1])

    def _parts(self, columns: int, max_bytes: int) -> Iterator[Batch]:
        """Yield the batch in parts that stay within a budget."""
        at_once = self.footprint.examples_within(self.space, columns, max_bytes)
        yield from zip(self.x.split(at_once), self.y.split(at_once), strict=True)


class _Point:
    """Weights as the key of what was computed there: equal where all weights are."""

    def __init__(self, weights: Tensor) -> None:
        self.weights, self.sum = weights, weights.sum(dtype=torch.float64).item()

    def __hash__(self) -> int:
        return hash(self.sum)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Point) and (self.weights is other.weights or torch.equal(self.weights, other.weights))


def _bytes_of(model: LossModel) -> int:
    vectors = [vector for vector in (model.weights, model.gradient, model.curvature) if vector is not None]
    return len(vectors) * model.weights.nbytes
