"""What the notebooks ask of their readers: exercises that name the mistake, guesses, and what is done."""

from lossprune_lib.exercises import alternatives, order
from lossprune_lib.exercises.checking import check
from lossprune_lib.exercises.guesses import guess
from lossprune_lib.exercises.reports import progress, report

__all__ = ["check", "guess", "progress", "report"]

order.watch()
alternatives.speak()
