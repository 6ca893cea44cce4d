"""Loss models for unstructured pruning: criteria, curvature and a local (stage-wise) pruner.

The library behind the workbook on *Revisiting Loss Modelling for Unstructured Pruning* (Laurent et al. 2020).
Everything is imported when it is first used, so that `doctor` works even where torch does not.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lossprune_lib import data, doctor, exercises, plots, results, training, widgets
    from lossprune_lib.loss_modelling import landscape
    from lossprune_lib.loss_modelling.batch_loss import BatchLoss
    from lossprune_lib.loss_modelling.model import LossModel
    from lossprune_lib.networks import models
    from lossprune_lib.networks.masks import Mask
    from lossprune_lib.networks.weights import WeightSpace
    from lossprune_lib.pruning import criteria
    from lossprune_lib.pruning.local import LocalPruner
    from lossprune_lib.studies.study import Study
    from lossprune_lib.training import ensembles
    from lossprune_lib.version import __version__ as __version__

__all__ = [
    "BatchLoss",
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
_HOMES = {
    "__version__": "version",
    "BatchLoss": "loss_modelling",
    "LocalPruner": "pruning",
    "LossModel": "loss_modelling",
    "Mask": "networks.masks",
    "Study": "studies.study",
    "WeightSpace": "networks.weights",
}
_MODULES = {
    "criteria": "pruning.criteria",
    "ensembles": "training.ensembles",
    "landscape": "loss_modelling.landscape",
    "models": "networks.models",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"lossprune_lib.{_HOMES[name]}"), name)
    if name in __all__:
        return importlib.import_module(f"lossprune_lib.{_MODULES.get(name, name)}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
