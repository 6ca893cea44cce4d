"""Loss models for unstructured pruning: criteria, curvature and a local (stage-wise) pruner.

The library behind the workbook on *Revisiting Loss Modelling for Unstructured Pruning* (Laurent et al. 2020). Everything is
imported when it is first used, so that `doctor` works even where torch does not.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lossprune_lib import (
        criteria,
        data,
        doctor,
        ensembles,
        exercises,
        landscape,
        models,
        plots,
        results,
        training,
        widgets,
    )
    from lossprune_lib.loss_model import LossModel
    from lossprune_lib.masks import Mask
    from lossprune_lib.pruning import LocalPruner
    from lossprune_lib.study import Study
    from lossprune_lib.weights import WeightSpace

__all__ = [
    "LocalPruner",
    "LossModel",
    "Mask",
    "Study",
    "WeightSpace",
    "criteria",
    "data",
    "doctor",
    "ensembles",
    "exercises",
    "landscape",
    "models",
    "plots",
    "results",
    "training",
    "widgets",
]
__version__ = "0.1.0"

_HOMES = {
    "LocalPruner": "pruning",
    "LossModel": "loss_model",
    "Mask": "masks",
    "Study": "study",
    "WeightSpace": "weights",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"lossprune_lib.{_HOMES[name]}"), name)
    if name in __all__:
        return importlib.import_module(f"lossprune_lib.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
