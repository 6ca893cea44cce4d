"""The checks of the exercises in notebook 03, locality."""

from lossprune_lib.exercises.locality import stage_loop, stages

__all__ = ["stage_loop", "stages"]
