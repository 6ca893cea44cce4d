"""Loss modelling: the loss of a batch as a function of the weights, and its Taylor model around a point."""

from lossprune_lib.loss_modelling.batch_loss import BatchLoss
from lossprune_lib.loss_modelling.loss import Loss, NothingCountsError
from lossprune_lib.loss_modelling.losses import (
    BinaryCrossEntropy,
    CrossEntropy,
    MeanSquaredError,
    binary_cross_entropy,
    cross_entropy,
    mean_squared_error,
)
from lossprune_lib.loss_modelling.model import LossModel
from lossprune_lib.loss_modelling.roots import check_root

__all__ = [
    "BatchLoss",
    "BinaryCrossEntropy",
    "CrossEntropy",
    "Loss",
    "LossModel",
    "MeanSquaredError",
    "NothingCountsError",
    "binary_cross_entropy",
    "check_root",
    "cross_entropy",
    "mean_squared_error",
]
