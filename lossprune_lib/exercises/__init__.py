"""What the notebooks ask of their readers: exercises that name the mistake, and guesses beside outcomes."""

from lossprune_lib.exercises import order
from lossprune_lib.exercises.checking import check
from lossprune_lib.exercises.reconcile import reconcile

__all__ = ["check", "reconcile"]

order.watch()
