"""The exercises of notebook 02, Taylor approximations."""

from lossprune_lib.exercises.taylor import last_layer, prediction, saliencies

__all__ = ["last_layer", "prediction", "saliencies"]
