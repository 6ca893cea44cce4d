"""The Taylor model of a loss around a point in weight space: `LossModel`."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral

from torch import Tensor, nn

from lossprune_lib.checks import check_instance
from lossprune_lib.data.task import Batch
from lossprune_lib.loss_modelling.loss import Loss
from lossprune_lib.loss_modelling.losses import cross_entropy


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
        from lossprune_lib.loss_modelling.batch_loss import BatchLoss

        risk = BatchLoss(net, batch, loss=loss, curvature_columns=curvature_columns, seed=seed, max_bytes=max_bytes)
        return risk.model(risk.space.read(), order, gradient=gradient)

    @property
    def order(self) -> int | None:
        """2 with curvature, 1 with gradient, 0 with the loss alone, None for bare weights."""
        if self.loss is None:
            return None
        return 2 if self.curvature is not None else int(self.gradient is not None)

    def predicted_change(self, step: Tensor, order: int = 2) -> Tensor:
        """Return the modelled, signed change of the loss for a step [D] (or steps [..., D]), as a tensor [...].

        First order: g . step; second order: g . step + 1/2 sum_k G_kk step_k^2.

        Raises
        ------
        ValueError, TypeError
            for a step that does not go with the weights, or an order that this model does not have.
        """
        if not isinstance(order, Integral) or order not in (1, 2):
            raise ValueError(f"order is {order!r}, but a change is predicted with order 1 or 2.")
        check_instance(step, Tensor, "A step", "make it a torch tensor, with torch.as_tensor")
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
        first = step @ self.gradient
        return first if order == 1 or self.curvature is None else first + (step.square() @ self.curvature) / 2
