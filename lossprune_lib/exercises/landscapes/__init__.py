"""The exercises of notebook 01, loss landscapes."""

from lossprune_lib.exercises.landscapes import filters, line, plane, step_length

__all__ = ["filters", "line", "plane", "step_length"]
