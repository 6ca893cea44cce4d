"""The exercises of notebook 03, locality."""

from lossprune_lib.exercises.locality import one_stage, schedule, stage_loop

__all__ = ["one_stage", "schedule", "stage_loop"]
