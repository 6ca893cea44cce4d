"""Loss models for unstructured pruning: criteria, curvature and a local (stage-wise) pruner.

The library behind the workbook on *Revisiting Loss Modelling for Unstructured Pruning* (Laurent et al. 2020). Plots and
widgets are imported when they are first used.
"""

from __future__ import annotations

import importlib
from types import ModuleType

from lossprune_lib import criteria, data, models, training
from lossprune_lib.loss_model import LossModel
from lossprune_lib.masks import Mask
from lossprune_lib.pruning import LocalPruner
from lossprune_lib.weights import WeightSpace

__all__ = [
    "LocalPruner",
    "LossModel",
    "Mask",
    "WeightSpace",
    "criteria",
    "data",
    "models",
    "plots",
    "training",
    "widgets",
]
__version__ = "0.1.0"


def __getattr__(name: str) -> ModuleType:
    if name in ("plots", "widgets", "exercises", "doctor"):
        return importlib.import_module(f"lossprune_lib.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
