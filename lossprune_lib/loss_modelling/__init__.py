"""Loss modelling: the loss of a batch as a function of the weights, and its Taylor model around a point."""

from lossprune_lib.loss_modelling.batch_loss import BatchLoss
from lossprune_lib.loss_modelling.losses import Loss, cross_entropy
from lossprune_lib.loss_modelling.model import LossModel

__all__ = ["BatchLoss", "Loss", "LossModel", "cross_entropy"]
