"""Study: a grid of runs, carried out in this process or on a Dask cluster; every finished run is stored."""

from __future__ import annotations

import itertools
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from numbers import Integral
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from safetensors.torch import load
from torch import Tensor

from lossprune_lib.checks import check_choice, check_instance, check_int, check_list, check_path
from lossprune_lib.progress import progress_bar
from lossprune_lib.pruning.criteria import CRITERIA
from lossprune_lib.studies import experiment
from lossprune_lib.studies.controls import check_controls, controls_of
from lossprune_lib.studies.experiment import Outcome, Trained
from lossprune_lib.studies.jobs import Job, do_here, do_on_cluster, stacks_of
from lossprune_lib.studies.runs import Baseline, Run, check_named
from lossprune_lib.studies.store import Store
from lossprune_lib.training.recipe import AUGMENTATIONS, Recipe

# The paper's step penalties (Laurent et al. 2020, section 4).
STEP_PENALTIES = (0.0, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0)
STORE = "runs.sqlite"
_LAYERS = ("include", "exclude")
_LISTS = ("criteria", "sparsities", "stages", "step_penalties", "seeds", "controls", "curvature_columns", *_LAYERS)


@dataclass(frozen=True)
class Study:
    """A grid of runs: criterion x control x sparsity x stages x step penalty x curvature columns x seed.

    Criteria that model no loss (mp, random) depend on neither stages nor step penalty: they run once per seed and
    sparsity. Only criteria of second order depend on the curvature's columns. A control runs where a criterion has it.

    Attributes
    ----------
    task, model : names in `data.NAMES` and `models.MODELS`
    criteria : names in `criteria.CRITERIA`
    sparsities, stages, step_penalties : as in `LocalPruner`, each combination of them
    seeds : of the networks' weights, the order and draw of examples: one dense network for each
    training : how the networks are trained
    tuning : how pruned ones are fine-tuned; None to prune only
    train_examples : how many of the training examples to use, not more than there are; None for all
    width : of the model, 1 for the paper's
    controls : names in `studies.controls`; "" is the criterion itself
    curvature_columns : how many sampled columns; 0 for the exact curvature
    include, exclude : names or patterns of the layers that are prunable, as in `WeightSpace`: with their biases
    schedule, batch_size, scope : as in `LocalPruner`
    """

    task: str = "digits"
    model: str = "mlp_300_100"
    criteria: tuple[str, ...] = ("mp", "obd", "lm", "qm")
    sparsities: tuple[float, ...] = (0.95,)
    stages: tuple[int, ...] = (1, 14, 140)
    step_penalties: tuple[float, ...] = STEP_PENALTIES
    seeds: tuple[int, ...] = (0,)
    schedule: str = "exponential"
    batch_size: int = 1000
    scope: str = "global"
    train_examples: int | None = None
    training: Recipe = field(default_factory=Recipe)
    tuning: Recipe | None = None
    width: float = 1.0
    controls: tuple[str, ...] = ("",)
    curvature_columns: tuple[int, ...] = (0,)
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in _LISTS:
            values = getattr(self, name)
            if isinstance(values, str) or not isinstance(values, Iterable):
                values = (values,)
            try:
                object.__setattr__(self, name, tuple(dict.fromkeys(values)))
            except TypeError:
                raise TypeError(f"{name} are single values in one list, such as [1, 2], not {values!r}.") from None
            if not getattr(self, name) and name not in _LAYERS:
                raise ValueError(f"The study has no {name}: give at least one.")
        for criterion in self.criteria:
            check_named(criterion, CRITERIA, "criterion")
        check_controls(self.controls, self.criteria)
        for columns in self.curvature_columns:
            check_int(columns, "curvature_columns", least=0)
        for pattern in self.include + self.exclude:
            check_instance(pattern, str, "What a study includes or excludes", "give a layer's name or a pattern")
        _ = self.runs  # refuses nonsense before any work

    @classmethod
    def grid(cls, **settings: Any) -> Study:
        """Make a study; a list may be a single value, and ``training`` and ``tuning`` numbers of epochs."""
        names = [entry.name for entry in fields(cls)]
        checked = {check_choice(name, names, "setting"): value for name, value in settings.items()}
        for name in ("training", "tuning"):
            if isinstance(checked.get(name), Integral) and not isinstance(checked[name], bool):
                checked[name] = Recipe(epochs=checked[name])
        return cls(**checked)

    @classmethod
    def read(cls, path: str | Path) -> Study:
        """Read a study from a plan: a TOML file with the settings of `grid` and tables ``[training]``, ``[tuning]``.

        Raises
        ------
        FileNotFoundError, ValueError
            if there is no such file, or it is not a plan; the message says what is wrong with it.
        """
        path = check_path(path)
        if not path.is_file():
            raise FileNotFoundError(f"There is no plan {path}: check the path.")
        try:
            settings = tomllib.loads(path.read_text(encoding="utf-8-sig"))  # some editors begin with a mark
            for name in ("training", "tuning"):
                if isinstance(settings.get(name), dict):
                    settings[name] = _recipe(settings[name])
            return cls.grid(**settings)
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, TypeError, ValueError) as error:
            raise ValueError(f"The plan {path} is not valid: {error}") from error

    def only(self, seeds: Sequence[int]) -> Study:
        """Return the part of the study with some of its seeds; raise ValueError for seeds that it has not."""
        seeds = [check_int(seed, "a seed", least=0) for seed in check_list(seeds, "seeds", "[0, 1]")]
        strange = [seed for seed in seeds if seed not in self.seeds]
        if strange:
            raise ValueError(f"The study has the seeds {list(self.seeds)}, not {strange}.")
        return replace(self, seeds=tuple(seeds))

    @cached_property
    def runs(self) -> tuple[Run, ...]:
        """All runs, seed by seed."""
        found: dict[Run, None] = {}
        of_network = self.training, self.train_examples, self.width
        baselines = {seed: Baseline(self.task, self.model, seed, *of_network) for seed in self.seeds}
        chosen = itertools.product(self.criteria, self.controls, self.stages, self.step_penalties)
        grid = itertools.product(self.seeds, self.sparsities, chosen, self.curvature_columns)
        for seed, sparsity, (criterion, control, stages, penalty), columns in grid:
            order = CRITERIA[criterion].order
            if control and control not in controls_of(criterion):
                continue
            if order is None:
                stages, penalty = 1, 0.0
            settings = sparsity, stages, penalty, self.schedule, self.batch_size, self.scope, self.tuning
            sampled, layers = columns or None if order == 2 else None, (self.include, self.exclude)
            found[Run(baselines[seed], criterion, *settings, sampled, control, *layers)] = None
        return tuple(found)

    def run(
        self, store: str | Path = STORE, client: Any = None, *, device: str = "auto", progress: bool = True
    ) -> pd.DataFrame:
        """Carry out the runs that are not in the store yet, and return the whole table.

        If it is interrupted at any moment, even by a power cut, the next call resumes where it stopped: finished runs
        are kept. The unit of work is a stack of runs (all of one seed and sparsity) if the network can be stacked, else
        a single run. A network that is trained or fine-tuned alone, in this process, keeps its state in the folder
        ``STORE.unfinished``, and goes on from its last epoch.

        Parameters
        ----------
        store : an SQLite file, created if it does not exist
            Several processes may share it. Give each its own seeds, `only`: with the same, both do the same work.
        client : dask.distributed.Client, optional
            Sends the work to its workers, which load the data themselves; else it is done in this process.
        device : where the work is done, as in `data.load`
        progress : whether to show bars
        """
        with Store(store) as kept:
            waiting = self._missing(kept)
            total = len(self.runs)
            missing = sum(len(runs) for runs in waiting.values())
            with progress_bar(progress, desc="study", total=total, initial=total - missing, unit="run") as bar:

                def finish(job: Job, result: Trained | list[Outcome] | None) -> list[Job]:
                    """Store a job's result, if it was needed; return the jobs that can start now."""
                    if isinstance(result, Trained):
                        trained = kept.add_baseline(job.baseline, result)
                        return stacks_of(job.baseline, waiting[job.baseline], trained)
                    if result is not None:
                        kept.add(job.runs, result)
                    bar.update(len(job.runs))
                    return []

                jobs: list[Job] = []
                for baseline, runs in waiting.items():
                    trained = kept.baseline(baseline)
                    jobs += [Job(baseline)] if trained is None else stacks_of(baseline, runs, trained)
                if client is None:
                    do_here(jobs, finish, kept.finished, device, progress, kept.unfinished)
                else:
                    do_on_cluster(client, jobs, finish, device)
        return self.table(store)

    def table(self, store: str | Path = STORE) -> pd.DataFrame:
        """Return the finished runs, one row per run.

        Columns: the configuration; loss and error on train, valid and test of the dense network, after pruning and
        after fine-tuning (``dense_train_loss`` ... ``tuned_test_error``, NaN without fine-tuning); ``true_change`` of
        the training loss by pruning (signed); ``density.LAYER``; seconds (a stack's are shared evenly); device;
        versions; and ``trace``, a DataFrame with one row per stage.
        """
        with Store(store, must_exist=True) as kept:
            found = kept.outcomes([run.key for run in self.runs]).values()
        table = pd.DataFrame([outcome.record for outcome in found])
        table = table.fillna({"control": "", "curvature_columns": 0, "width": 1.0})
        empty = [column for column in table.columns if table[column].isna().all()]
        table[empty] = table[empty].astype(float)
        table["trace"] = pd.Series([pd.DataFrame(outcome.trace) for outcome in found], dtype=object)
        return table

    def masks(self, store: str | Path = STORE) -> Tensor:
        """Return which weights each finished run keeps, bool [R, D], in the table's order; ValueError without one."""
        with Store(store, must_exist=True) as kept:
            found = kept.outcomes([run.key for run in self.runs])
            first = next(filter(None, (kept.baseline(run.baseline) for run in self.runs if run.key in found)), None)
        if first is None:
            raise ValueError(f"No run of this study is finished in {store}: run it first.")
        record = next(iter(found.values())).record
        layers = [name.removeprefix("density.") for name in record if name.startswith("density.")]
        tensors = load(first.network)
        named = (layer if layer in tensors else f"{layer}.weight".removeprefix(".") for layer in layers)
        size = sum(tensors[name].numel() for name in named)
        return torch.stack([experiment.unpacked(outcome.mask, size) for outcome in found.values()])

    def finished(self, store: str | Path = STORE) -> int:
        """Return how many of the runs are finished."""
        with Store(store, must_exist=True) as kept:
            return len(kept.finished([run.key for run in self.runs]))

    def _missing(self, kept: Store) -> dict[Baseline, list[Run]]:
        done = kept.finished([run.key for run in self.runs])
        missing: dict[Baseline, list[Run]] = {}
        for run in self.runs:
            if run.key not in done:
                missing.setdefault(run.baseline, []).append(run)
        return missing


def _recipe(settings: dict[str, Any]) -> Recipe:
    names = [entry.name for entry in fields(Recipe)]
    checked = {check_choice(name, names, "setting of a recipe"): value for name, value in settings.items()}
    if "augment" in checked:
        name = check_choice(checked["augment"], AUGMENTATIONS, "augmentation")
        checked["augment"] = AUGMENTATIONS[name]
    return Recipe(**checked)
