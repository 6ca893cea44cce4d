"""Data: the `Task` that everything reads its examples from, and the named data sets."""

from lossprune_lib.data.datasets import NAMES, load
from lossprune_lib.data.loaders import LoaderTask
from lossprune_lib.data.task import SPLITS, Batch, Task, TaskLike
from lossprune_lib.files import shipped

__all__ = ["NAMES", "SPLITS", "Batch", "LoaderTask", "Task", "TaskLike", "load", "shipped"]
