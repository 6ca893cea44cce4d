"""The paper's experiment: train a network, prune it, fine-tune it, and measure it after each.

Runs that share a trained network are carried out together, as a stack, if the network allows it. The trainings of
single networks may keep their states in files.
"""

from __future__ import annotations

import copy
import functools
import platform
import shutil
import subprocess
import time
import warnings
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from lossprune_lib import data, files, training
from lossprune_lib.networks import models
from lossprune_lib.networks.masks import Mask
from lossprune_lib.networks.weights import WeightSpace
from lossprune_lib.pruning.local import prune_together
from lossprune_lib.pruning.stage import EmptyLayerWarning
from lossprune_lib.studies.controls import control_mask
from lossprune_lib.studies.runs import METHOD, Baseline, Run
from lossprune_lib.training import ensembles
from lossprune_lib.training.evaluation import Score
from lossprune_lib.training.gradual import fit_gradually
from lossprune_lib.version import __version__

Scores = list[Score]  # of one network, on each of `data.SPLITS`


@dataclass(frozen=True)
class Trained:
    """A trained baseline: its tensors as safetensors bytes, how good it is, and whether it stacks."""

    network: bytes
    record: dict[str, Any]


@dataclass(frozen=True)
class Outcome:
    """The result of a run: numbers, one row per stage, and the packed mask."""

    record: dict[str, Any]
    trace: list[dict[str, float]]
    mask: bytes


def train(baseline: Baseline, device: str = "auto", progress: bool = False, checkpoint: Path | None = None) -> Trained:
    """Train a baseline."""
    start = time.perf_counter()
    task = load_task(baseline.task, baseline.seed, baseline.train_examples, device)
    net = models.make(baseline.model, task, seed=baseline.seed, width=baseline.width)
    net = training.fit(
        net, task, recipe=baseline.training, seed=baseline.seed, progress=progress, checkpoint=checkpoint
    )
    record = {"stacks": _stacks(net, task), "training_seconds": time.perf_counter() - start}
    record |= _columns("dense", [training.evaluate(net, task, split) for split in data.SPLITS])
    return Trained(save({name: tensor.cpu().contiguous() for name, tensor in net.state_dict().items()}), record)


def carry_out(
    runs: Sequence[Run],
    trained: Trained,
    device: str = "auto",
    progress: bool = False,
    checkpoint: Path | None = None,
) -> list[Outcome]:
    """Prune and fine-tune one trained network with the settings of several runs, together.

    Raises
    ------
    ValueError
        if the runs do not belong to one stack: if they differ in more than criterion, stages, step penalty, curvature
        columns and control, or one of several is pruned while it is trained.
    """
    if len({run.stack for run in runs}) != 1:
        raise ValueError("These runs cannot be carried out together: they differ in more than how weights are chosen.")
    baseline = runs[0].baseline
    task = load_task(baseline.task, baseline.seed, baseline.train_examples, device)
    net = models.make(baseline.model, task, seed=baseline.seed, width=baseline.width)

    start = time.perf_counter()
    if runs[0].control == "gradual":
        masks, traces, middle, scores = _prune_gradually(net, task, runs, progress, checkpoint)
    else:
        net.load_state_dict(load(trained.network))
        masks, traces = _prune(net.eval(), task, runs, progress)
        middle = time.perf_counter()
        together = trained.record["stacks"] and _stacks(net, task) and runs[0].tunes_together
        if together and masks[0].layout == WeightSpace(net).layout:
            scores = _measure_stacked(net, task, masks, runs[0], progress)
        else:
            scores = [_measure(net, task, mask, runs[0], progress, checkpoint) for mask in masks]
    end = time.perf_counter()

    outcomes = []
    for run, mask, rows, (after, tuned) in zip(runs, masks, traces, scores, strict=True):
        record = run.columns() | {name: value for name, value in trained.record.items() if name.startswith("dense_")}
        record |= _columns("pruned", after) | _columns("tuned", tuned)
        record["true_change"] = record["pruned_train_loss"] - record["dense_train_loss"] if after else None
        record |= {f"density.{name}": share for name, share in mask.density().items()}
        record |= {
            "pruning_seconds": (middle - start) / len(runs),
            "tuning_seconds": (end - middle) / len(runs),
            "device": torch.cuda.get_device_name(task.device) if task.device.type == "cuda" else task.device.type,
            "versions": versions(),
        }
        outcomes.append(Outcome(record, rows, _packed(mask)))
    return outcomes


def unpacked(mask: bytes, size: int) -> Tensor:
    """Return which of `size` weights are kept, bool [D], from an outcome's mask."""
    bits = np.frombuffer(zlib.decompress(mask), dtype=np.uint8)
    return torch.from_numpy(np.unpackbits(bits, count=size).astype(bool))


@functools.lru_cache(maxsize=1)
def load_task(name: str, seed: int, train_examples: int | None, device: str) -> data.Task:
    """Load a task once in this process, with all or only the first of its training examples; refuse more."""
    task = data.load(name, device=device, seed=seed, progress=False)
    if train_examples is not None and train_examples > len(task.x_train):
        raise ValueError(
            f"train_examples is {train_examples:,}, but {name} has {len(task.x_train):,} training examples: give no "
            "more, or leave it out to use all."
        )
    return replace(task, x_train=task.x_train[:train_examples], y_train=task.y_train[:train_examples])


def _prune(
    net: nn.Module, task: data.Task, runs: Sequence[Run], progress: bool
) -> tuple[list[Mask], list[list[dict[str, float]]]]:
    """Return each run's mask, and the rows of its stages; a control has none."""
    pruners = list(dict.fromkeys(run.pruner for run in runs))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EmptyLayerWarning)  # the record's densities show it
        results = dict(zip(pruners, prune_together(pruners, net, task, progress=progress), strict=True))
        masks, traces = [], []
        for run in runs:
            result, seed = results[run.pruner], run.baseline.seed
            masks.append(control_mask(run.control, result, task, seed) if run.control else result.mask)
            rows = [] if run.control else result.trace.to_dict("records")
            traces.append([{str(name): value for name, value in row.items() if value == value} for row in rows])
    return masks, traces


def _prune_gradually(
    net: nn.Module, task: data.Task, runs: Sequence[Run], progress: bool, checkpoint: Path | None
) -> tuple[list[Mask], list[list[dict[str, float]]], float, list[tuple[Scores, Scores]]]:
    """Return what pruning while training gives, the same for all of these runs; there is nothing before fine-tuning."""
    run, training_recipe = runs[0], runs[0].baseline.training
    epochs = training_recipe.epochs + (run.tuning.epochs if run.tuning else 0)
    recipe = replace(training_recipe, epochs=epochs)
    fitted, mask = fit_gradually(
        net, task, run.sparsity, recipe=recipe, seed=run.baseline.seed, progress=progress, checkpoint=checkpoint
    )
    tuned = [training.evaluate(fitted, task, split) for split in data.SPLITS]
    return [mask] * len(runs), [[]] * len(runs), time.perf_counter(), [([], tuned)] * len(runs)


def _stacks(net: nn.Module, task: data.Task) -> bool:
    """Return whether such networks can be stacked, and scored on the task together."""
    linear = all(isinstance(module, nn.Linear) for module in WeightSpace(net).modules)
    return linear and next(net.buffers(), None) is None and task.y_train.ndim == 1 and task.classes is not None


def _measure_stacked(
    net: nn.Module, task: data.Task, masks: list[Mask], run: Run, progress: bool
) -> list[tuple[Scores, Scores]]:
    """Return the scores of each pruned network before and after fine-tuning, all networks at once."""
    kept = torch.stack([mask.kept for mask in masks])
    stack = ensembles.Ensemble.of([net] * len(masks))
    stack = replace(stack, weights=stack.weights * kept)

    def scores() -> list[Scores]:
        of_splits = [ensembles.evaluate(stack, task, split) for split in data.SPLITS]
        return [list(of_network) for of_network in zip(*of_splits, strict=True)]

    after = scores()
    if run.tuning is None:
        return [(of_network, []) for of_network in after]
    stack = ensembles.fit(stack, task, recipe=run.tuning, kept=kept, seeds=run.baseline.seed, progress=progress)
    return list(zip(after, scores(), strict=True))


def _measure(
    net: nn.Module, task: data.Task, mask: Mask, run: Run, progress: bool, checkpoint: Path | None
) -> tuple[Scores, Scores]:
    """Return the scores of one pruned network before and after fine-tuning."""
    pruned = copy.deepcopy(net)
    mask.apply_(pruned)
    if run.baseline.training.channels_last:
        pruned.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    after = [training.evaluate(pruned, task, split) for split in data.SPLITS]
    if run.tuning is None:
        return after, []
    if checkpoint is not None:
        # A GPU may choose a few other weights when the run is carried out again: another mask is another training.
        kept = files.fingerprint({"kept": mask.kept.cpu()})
        checkpoint = checkpoint.with_stem(f"{checkpoint.stem}-{kept[:8]}")
    fitted = training.fit(
        pruned,
        task,
        recipe=run.tuning,
        mask=mask,
        seed=run.baseline.seed,
        progress=progress,
        checkpoint=checkpoint,
    )
    return after, [training.evaluate(fitted, task, split) for split in data.SPLITS]


def _columns(when: str, scores: Scores) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    for i, split in enumerate(data.SPLITS):
        columns[f"{when}_{split}_loss"] = scores[i].loss if scores else None
        columns[f"{when}_{split}_error"] = scores[i].error if scores else None
    return columns


def _packed(mask: Mask) -> bytes:
    return zlib.compress(np.packbits(mask.kept.cpu().numpy()).tobytes(), 9)


def _commit() -> str:
    """Return the commit of the project's clone, or "no commit" without a clone or git."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists() or shutil.which("git") is None:
        return "no commit"
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=10"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() or "no commit"


@functools.lru_cache(maxsize=1)
def versions() -> str:
    ours = f"lossprune {__version__} ({_commit()}, method {METHOD})"
    return f"{ours}, torch {torch.__version__}, Python {platform.python_version()}"
