"""What a study runs: a baseline (a trained network) and a run (how it is pruned and fine-tuned), as plain settings.

A run's key is a hash of all its settings, so that a store knows what it holds.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from lossprune_lib import data
from lossprune_lib.checks import check_choice, check_float, check_instance, check_int
from lossprune_lib.networks import models
from lossprune_lib.pruning.criteria import CRITERIA, Criterion
from lossprune_lib.pruning.local import LocalPruner
from lossprune_lib.pruning.schedules import SCHEDULES
from lossprune_lib.studies.controls import controls_of
from lossprune_lib.training.recipe import AUGMENTATIONS, Recipe
from lossprune_lib.training.stackable import check_recipe_of_ensemble

# Raise it whenever the same configuration would give other numbers: what was stored before is then not used again.
METHOD = 1
_NUMBERS = {"sparsity": float, "stages": int, "step_penalty": float, "batch_size": int, "curvature_columns": int}
_REMEDY = "give a training.Recipe(epochs=...)"


@dataclass(frozen=True)
class Baseline:
    """A trained network: all settings that determine it.

    Attributes
    ----------
    task, model : names in `data.NAMES` and `models.MODELS`
    seed : of the split, the initial weights and the order of the examples
    train_examples : how many of the training examples to use, or None for all
    width : of the model, 1 for the paper's; only where the model takes one
    """

    task: str
    model: str
    seed: int
    training: Recipe = field(default_factory=Recipe)
    train_examples: int | None = None
    width: float = field(default=1.0, metadata={"added": True})

    def __post_init__(self) -> None:
        check_instance(self.training, Recipe, "training", _REMEDY)
        check_choice(self.task, data.NAMES, "data set")
        check_choice(self.model, models.MODELS, "model")
        object.__setattr__(self, "seed", check_int(self.seed, "seed", least=0))
        object.__setattr__(self, "width", check_float(self.width, "width"))
        if self.width != 1:
            check_choice(self.model, models.SCALABLE, "model that takes a width")
        if self.train_examples is not None:
            object.__setattr__(self, "train_examples", check_int(self.train_examples, "train_examples"))

    @functools.cached_property
    def key(self) -> str:
        return _key(self)


@dataclass(frozen=True)
class Run:
    """A baseline, how it is pruned, and how it is fine-tuned (not at all if `tuning` is None).

    With a control, its mask is made from the one that the other settings give, as `studies.controls` says.
    """

    baseline: Baseline
    criterion: str
    sparsity: float
    stages: int
    step_penalty: float
    schedule: str = "exponential"
    batch_size: int = 1000
    scope: str = "global"
    tuning: Recipe | None = None
    curvature_columns: int | None = field(default=None, metadata={"added": True})
    control: str = field(default="", metadata={"added": True})
    include: tuple[str, ...] = field(default=(), metadata={"added": True})  # names and patterns; () for the default
    exclude: tuple[str, ...] = field(default=(), metadata={"added": True})

    def __post_init__(self) -> None:
        check_instance(self.baseline, Baseline, "baseline", "give a Baseline")
        if self.tuning is not None:
            check_instance(self.tuning, Recipe, "tuning", f"{_REMEDY}, or leave it out to prune only")
        check_named(self.criterion, CRITERIA, "criterion")
        check_named(self.schedule, SCHEDULES, "schedule")
        _ = self.pruner  # refuses nonsense
        # A record is stored as JSON, which has no numbers of NumPy's.
        for name, kind in _NUMBERS.items():
            if getattr(self, name) is not None:
                object.__setattr__(self, name, kind(getattr(self, name)))
        if self.control:
            check_choice(self.control, controls_of(self.criterion), f"control of {self.criterion}")
        if self.control == "gradual" and (self.include or self.exclude):
            raise ValueError('The control "gradual" prunes all layers: leave out include and exclude, or the control.')

    @functools.cached_property
    def key(self) -> str:
        return _key(self)

    @property
    def pruner(self) -> LocalPruner:
        return LocalPruner(
            self.criterion,
            self.sparsity,
            self.stages,
            self.schedule,
            self.step_penalty,
            self.batch_size,
            self.scope,
            self.baseline.seed,
            curvature_columns=self.curvature_columns,
            include=self.include or None,
            exclude=self.exclude,
        )

    @property
    def stack(self) -> Run:
        """The run without what may differ within a stack: equal for runs that can be carried out together."""
        kind = replace(self, criterion="mp", control="gradual" if self.control == "gradual" else "")
        return replace(kind, stages=1, step_penalty=0.0, curvature_columns=None)

    @property
    def tunes_together(self) -> bool:
        """Whether an ensemble can be fine-tuned by this run's recipe; so it is if there is none."""
        try:
            check_recipe_of_ensemble(self.tuning)
        except ValueError:
            return False
        return True

    def columns(self) -> dict[str, Any]:
        """Return the configuration as a table shows it."""
        return {
            "task": self.baseline.task,
            "model": self.baseline.model,
            "seed": self.baseline.seed,
            **({"width": self.baseline.width} if self.baseline.width != 1 else {}),
            "train_examples": self.baseline.train_examples,
            "training_epochs": self.baseline.training.epochs,
            "tuning_epochs": None if self.tuning is None else self.tuning.epochs,
            "criterion": self.criterion,
            **({"control": self.control} if self.control else {}),
            **{name: " ".join(getattr(self, name)) for name in ("include", "exclude") if getattr(self, name)},
            **({"curvature_columns": self.curvature_columns} if self.curvature_columns else {}),
            "sparsity": self.sparsity,
            "stages": self.stages,
            "schedule": self.schedule,
            "step_penalty": self.step_penalty,
            "batch_size": self.batch_size,
            "scope": self.scope,
        }


def check_named(given: object, options: Iterable[str], what: str) -> str:
    """Return a name if there is such an option; else raise ValueError, or TypeError for a function or an object."""
    if callable(given) or isinstance(given, Criterion):
        raise TypeError(
            f"A study keeps its runs under the name of the {what}, and takes no function or object: give a name "
            f"({', '.join(options)}), or use LocalPruner, which takes your own."
        )
    return check_choice(given, options, what)


def _key(settings: Baseline | Run) -> str:
    """Return a hash of the settings and of the method's version."""
    text = json.dumps([METHOD, type(settings).__name__, describe(settings)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def describe(settings: Baseline | Run | Recipe) -> dict[str, Any]:
    """Return all settings as plain values, nested as they are; functions by their names.

    A setting that was added later, ``field(default=..., metadata={"added": True})``, appears only if it differs from
    its default, so that the keys of runs that were stored before stay valid.
    """

    def plain(value: Any, kind: str) -> Any:
        if isinstance(value, (Baseline, Recipe)):
            return describe(value)
        if value is None or kind not in ("int", "float", "int | None"):
            return _name(value) if callable(value) else value
        return float(value) if kind == "float" else int(value)  # 0 and 0.0, or numpy's numbers, are one setting

    return {
        entry.name: plain(getattr(settings, entry.name), str(entry.type))
        for entry in dataclasses.fields(settings)
        if not entry.metadata.get("added") or getattr(settings, entry.name) != entry.default
    }


def _name(function: Any) -> str:
    for name, shipped in AUGMENTATIONS.items():
        if function is shipped:
            return f"lossprune_lib.training.{name}"  # whatever module holds it: older stores stay valid
    name = getattr(function, "__qualname__", "<")
    if "<" in name:
        raise ValueError(f"{function!r} has no name by which runs could be told apart: define it in a module.")
    return f"{function.__module__}.{name}"
