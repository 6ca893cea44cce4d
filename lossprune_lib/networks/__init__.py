"""Networks: the models, which of their weights are prunable (`WeightSpace`) and which are kept (`Mask`)."""

from lossprune_lib.networks import models
from lossprune_lib.networks.masks import Mask
from lossprune_lib.networks.weights import WeightSpace
from lossprune_lib.networks.writing import write

__all__ = ["Mask", "WeightSpace", "models", "write"]
