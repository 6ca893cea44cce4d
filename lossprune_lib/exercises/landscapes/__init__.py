"""The checks of the exercises in notebook 01, loss landscapes."""

from lossprune_lib.exercises.landscapes import geometry, slices

__all__ = ["geometry", "slices"]
