"""What the notebooks ask of their readers."""

from lossprune_lib.exercises.reconcile import reconcile

__all__ = ["reconcile"]
