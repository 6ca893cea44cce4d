"""The checks of the exercises in notebook 02, Taylor approximations."""

from lossprune_lib.exercises.taylor import answers

__all__ = ["answers"]
