"""LossModel: loss, gradient and curvature at a point, and what they predict for a step."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral

import torch
from torch import Tensor, nn

from lossprune_lib.checks import check_finite, check_instance, check_int
from lossprune_lib.data.task import Batch
from lossprune_lib.loss_modelling import curvature
from lossprune_lib.loss_modelling.forward import record
from lossprune_lib.loss_modelling.losses import Loss, check_loss, cross_entropy
from lossprune_lib.loss_modelling.preflight import preflight
from lossprune_lib.networks.validation import check_batch, check_labels
from lossprune_lib.networks.weights import WeightSpace, check_space


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
        The diagonal of the generalised Gauss-Newton matrix of the mean loss; None below order 2.
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
        max_bytes: int = 2**30,
    ) -> LossModel:
        """Model the loss of a batch around a network's weights.

        Parameters
        ----------
        net : a network in eval mode, [N, ...] -> logits [N, C]
        batch : inputs [N, ...] and labels [N]
        order : 0 for the loss, 1 for the gradient too, 2 for the curvature too
        gradient : False leaves it out of order 2, for those who read the curvature alone, as `obd` does
        loss : its value and its Hessian's root
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
        space = WeightSpace(net)
        return cls.at_weights(
            space, space.read(), space.rest(), batch, order, gradient=gradient, loss=loss, max_bytes=max_bytes
        )

    @classmethod
    def at_weights(
        cls,
        space: WeightSpace,
        weights: Tensor,
        rest: Mapping[str, Tensor],
        batch: Batch,
        order: int = 2,
        *,
        gradient: bool = True,
        loss: Loss = cross_entropy,
        max_bytes: int = 2**30,
    ) -> LossModel:
        """Model the loss of a batch around any weights [D] of a network; otherwise as `at`."""
        if not isinstance(order, Integral) or order not in (0, 1, 2):
            raise ValueError(f"order is {order!r}, but must be 0 (loss), 1 (and gradient) or 2 (and curvature).")
        if order == 1 and not gradient:
            raise ValueError(
                "gradient=False leaves nothing of order 1: give order=0 for the loss alone, or leave it out."
            )
        order = int(order)
        check_space(space)
        check_instance(rest, Mapping, "The rest of a network", "give what space.rest() gives")
        check_int(max_bytes, "max_bytes")
        check_loss(loss)
        space.check_point(weights, "The point")
        if weights.ndim != 1:
            raise ValueError(
                f"The point has shape {list(weights.shape)}, but is one vector [D]: LossModel.at_each takes many."
            )
        x, y = check_batch(space, batch)
        found = preflight(space, weights, rest, x)
        classes = found.logits.shape[1]
        if loss is cross_entropy:
            check_labels(y, classes)
        columns = len(loss.hessian_root(found.logits, y[:1])) if order > 1 else 0
        at_once = found.examples_within(space, columns, max_bytes)

        parts = list(zip(x.split(at_once), y.split(at_once), strict=True))
        share = 1 / len(x)
        if order == 0:
            with torch.no_grad():
                total = sum(loss.total(space.call(weights, rest, x), y).item() for x, y in parts)
            return cls(weights.detach(), total * share)

        def sums_over(x: Tensor, y: Tensor) -> tuple[float, list[Tensor]]:
            # In a function of its own, so that one part's graph is gone before the next part's is built.
            recording = record(space, weights, rest, x)
            check_finite(recording.logits.detach(), "The network's output")
            with torch.enable_grad():
                loss_of_part = loss.total(recording.logits, y)
            vectors = []
            if gradient:
                vectors.append(recording.gradient(loss_of_part, keep_graph=order > 1))
            if order > 1:
                root = loss.hessian_root(recording.logits.detach(), y)
                vectors.append(curvature.ggn_diagonal(space, recording, root))
            return loss_of_part.item(), vectors

        total, sums = sums_over(*parts[0])
        for part in parts[1:]:
            value, vectors = sums_over(*part)
            total += value
            for so_far, vector in zip(sums, vectors, strict=True):
                so_far.add_(vector)
        means = [vector.mul_(share) for vector in sums]
        if order > 1 and classes == 1 and loss is cross_entropy:
            warnings.warn(
                "The network has a single logit, so its cross-entropy is zero whatever the weights are, and so is the "
                "curvature: give it one logit for each class.",
                stacklevel=3,
            )
        return cls(
            weights.detach(),
            total * share,
            means[0] if gradient else None,
            means[-1] if order > 1 else None,
        )

    @classmethod
    def at_each(
        cls,
        space: WeightSpace,
        weights: Tensor,
        rest: Mapping[str, Tensor],
        batch: Batch,
        orders: Sequence[int],
        *,
        gradient: bool = True,
        loss: Loss = cross_entropy,
        max_bytes: int = 2**30,
    ) -> list[LossModel]:
        """Model the loss of one batch around each of R weight vectors [R, D]; equal ones are evaluated once.

        Parameters
        ----------
        orders : one for each row
            A model may come with more than was asked for, where an equal row needed it.
        gradient : False leaves it out of all models; then none may have order 1
        """
        check_space(space).check(weights)
        if isinstance(orders, str) or not isinstance(orders, Sequence):
            raise TypeError(f"orders is a list with one for each row, such as [1, 2], not {orders!r}.")
        if weights.ndim != 2 or len(orders) != len(weights):
            raise ValueError(
                f"There are {len(orders)} orders for weights {list(weights.shape)}: give one for each row."
            )
        first = _first_equal(weights)
        highest = {row: max(o for o, f in zip(orders, first, strict=True) if f == row) for row in set(first)}
        found = {
            row: cls.at_weights(
                space, weights[row], rest, batch, order, gradient=gradient, loss=loss, max_bytes=max_bytes
            )
            for row, order in highest.items()
        }
        return [found[row] for row in first]

    @property
    def order(self) -> int | None:
        """2 with curvature, 1 with gradient, 0 with the loss alone, None for bare weights."""
        if self.loss is None:
            return None
        return 2 if self.curvature is not None else int(self.gradient is not None)

    def among(self, chosen: Tensor) -> LossModel:
        """Return the model of some weights only, given by their indices [k] or as bool [D]; the others stay where they are."""
        gradient = None if self.gradient is None else self.gradient[chosen]
        diagonal = None if self.curvature is None else self.curvature[chosen]
        return LossModel(self.weights[chosen], self.loss, gradient, diagonal)

    def predicted_change(self, step: Tensor, order: int = 2) -> Tensor:
        """Return the modelled, signed change of the loss for a step [D] (or steps [..., D]), as a tensor [...].

        First order: g . step; second order: g . step + 1/2 sum_k G_kk step_k^2.
        """
        if not isinstance(order, Integral) or order not in (1, 2):
            raise ValueError(f"order is {order!r}, but a change is predicted with order 1 or 2.")
        if not isinstance(step, Tensor):
            raise TypeError(
                f"A step is a torch tensor [D], not {type(step).__name__}: convert it with torch.as_tensor."
            )
        if step.shape[-1:] != self.weights.shape[-1:]:
            raise ValueError(
                f"The step has shape {list(step.shape)}, the weights {list(self.weights.shape)}: give one number a weight."
            )
        if step.dtype != self.weights.dtype or step.device != self.weights.device:
            raise ValueError(
                f"The step is {step.dtype} on {step.device}, the weights {self.weights.dtype} on {self.weights.device}: "
                "convert it with .to(model.weights)."
            )
        if self.order is None or self.order < order:
            raise ValueError(f"This model has order {self.order}: make it with LossModel.at(..., order={order}).")
        if self.gradient is None:
            raise ValueError("This model was made without its gradient: leave out gradient=False.")
        change = step @ self.gradient
        if order == 2:
            assert self.curvature is not None
            change = change + (step.square() @ self.curvature) / 2
        return change


def _first_equal(rows: Tensor) -> list[int]:
    """Return, for each row [R, D], the index of the first row that equals it."""
    sums = rows.double().sum(1).tolist()  # equal rows have equal sums, so only few rows must be compared
    first: list[int] = []
    for row, total in enumerate(sums):
        same = (r for r in dict.fromkeys(first) if sums[r] == total and torch.equal(rows[r], rows[row]))
        first.append(next(same, row))
    return first
