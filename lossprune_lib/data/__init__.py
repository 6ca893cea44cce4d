"""Data: the `Task` that everything reads its examples from, and the named data sets."""

from lossprune_lib.data.datasets import NAMES, load
from lossprune_lib.data.task import SPLITS, Batch, Task
from lossprune_lib.files import shipped

__all__ = ["NAMES", "SPLITS", "Batch", "Task", "load", "shipped"]
