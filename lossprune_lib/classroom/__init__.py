"""What a class handed in, reports and notebooks, as one table; nothing that a learner wrote is run unless one asks."""

from lossprune_lib.classroom.collected import Collected, collect, to_csv

__all__ = ["Collected", "collect", "to_csv"]
