"""LocalPruner: stages of loss model, saliency and mask, each small enough for the model to be trusted.

Source: Laurent et al. 2020, Algorithm 1, as its authors' published program runs it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from torch import nn

from lossprune_lib.checks import check_instance, check_list
from lossprune_lib.data.task import TaskLike
from lossprune_lib.networks.choice import has_functions
from lossprune_lib.networks.copies import copied
from lossprune_lib.networks.masks import Mask, check_mask
from lossprune_lib.networks.validation import check_mode, check_place
from lossprune_lib.networks.weights import Layout, WeightSpace
from lossprune_lib.progress import progress_bar
from lossprune_lib.pruning.run import PrunerState, PruningRun, finished_run
from lossprune_lib.pruning.settings import PrunerSettings
from lossprune_lib.pruning.stage import losses_of, model_of, run_stage
from lossprune_lib.warn import warn

_LITTLE = 0.8  # of all parameters; if less can be pruned, it is said


class CoverageWarning(UserWarning):
    """A good part of a network cannot be pruned."""


class AlreadySparseWarning(UserWarning):
    """A network has more weights of zero than it is to be pruned to."""


@dataclass(frozen=True)
class LocalPruner(PrunerSettings):
    """Prunes a network in stages, each with a fresh loss model at the masked weights.

    `PrunerSettings` describes what it can be asked for: criterion, sparsity, stages, schedule, step_penalty,
    batch_size, scope, seed, max_bytes, trace, loss, curvature_columns, densities, include, exclude.
    """

    def start(self, net: nn.Module, task: TaskLike, mask: Mask | None = None) -> PrunerState:
        """Return the state before the first stage; the network is copied, and may start with a mask.

        Raises
        ------
        ValueError, TypeError
            if network, task and mask do not go together, or no copy can stand for the network.
        """
        check_place(net, task)
        space = WeightSpace(net, self.include, self.exclude)
        self.check_space(space)
        check_mode(net)
        if mask is None:
            mask = Mask.dense(space)
        else:
            check_mask(mask).check(net)
            _check_layers("mask", mask.layout, space)
            mask = replace(mask, kept=mask.kept.to(space.like.device))
        if space.coverage.share < _LITTLE:
            warn(
                f"{space.coverage}. Sparsities are shares of the prunable weights; include= chooses what is pruned.",
                CoverageWarning,
            )
        space = copied(space)  # network and all; only now, as what is refused above may be impossible to copy
        return PrunerState(space, space.read() * mask.kept, task, mask, start=mask)

    def check_start(self, start: PrunerState) -> None:
        """Raise ValueError if a mask to start from has pruned more than the pruner would; warn if the weights have."""
        mask = start.mask
        counts = mask.still_to_prune(self.sparsities_at(mask, self.stages - 1), self.within)
        if min(counts, default=0) < 0:
            where = {"global": "", "2:4": " in a group of four"}.get(self.within, f" in a {self.within}")
            raise ValueError(
                f"The mask to start from is already sparser{where} ({mask.sparsity:.4g} of all weights) than the "
                f"sparsity {self.sparsity:g} to prune to, and a stage only adds to it: give a larger sparsity, or "
                "leave the mask out."
            )
        self.warn_of_zeros(start, sum(counts))

    def warn_of_zeros(self, start: PrunerState, to_prune: int) -> None:
        """Warn if more weights are zero, though not masked, than are to be pruned."""
        zero = (start.weights == 0) & start.mask.kept
        zeros = sum(int(layer.sum()) for layer in start.space.split(zero) if not layer.all())  # others were never set
        if zeros > to_prune > 0:
            share = 100 * (1 - int(start.weights.count_nonzero()) / start.space.size)
            warn(
                f"{share:.3g} % of the prunable weights are zero already, more than the sparsity {self.sparsity:g}, "
                "and those of them that the new mask keeps may come back in training: if they were pruned, give a "
                "larger sparsity, and the mask that they were pruned with, prune(net, task, mask).",
                AlreadySparseWarning,
            )

    def step(self, state: PrunerState, sparsity: float | None = None) -> PrunerState:
        """Run one stage and return the new state; the old one is unchanged.

        Parameters
        ----------
        state : from `start`, or a step before
        sparsity : float in [0, 1), optional
            In place of the schedule's; not below what is masked already.

        Raises
        ------
        TypeError, ValueError
            if this is no state or one of other layers than the pruner's, its stages are done and no sparsity is given,
            or a given one is below what is masked or goes with densities.
        """
        check_instance(state, PrunerState, "A state", "take the one that start, step or stream gives")
        if not has_functions(self.include) and not has_functions(self.exclude):
            _check_layers("state", state.space.layout, WeightSpace(state.space.net, self.include, self.exclude))
        return run_stage(self, state, sparsity)

    def stream(self, net: nn.Module, task: TaskLike, mask: Mask | None = None) -> Iterator[PrunerState]:
        """Yield the state after each stage, as soon as it is done.

        Raises
        ------
        TypeError, ValueError
            as in `prune`, when the first state is asked for.
        """
        state = self.start(net, task, mask)
        self.check_start(state)
        for _ in range(self.stages):
            state = run_stage(self, state)
            yield state

    def prune(self, net: nn.Module, task: TaskLike, mask: Mask | None = None, *, progress: bool = True) -> PruningRun:
        """Run all stages; the network is not changed.

        Parameters
        ----------
        net : a network in eval mode, on the task's device
        task : whose training examples the stages draw from
        mask : to start from a pruned network; not sparser than the sparsity to prune to
            The stages then go from its sparsity (in each layer or row, where these are ranked apart) to the final one.
        progress : whether to show a bar

        Raises
        ------
        ValueError, TypeError
            if network, task and mask do not go together, no copy can stand for the network, a criterion changes what
            others read, a schedule falls, or a measured loss is NaN; the message says what to do.
        """
        return prune_together([self], net, task, mask, progress=progress)[0]


def prune_together(
    pruners: Sequence[LocalPruner], net: nn.Module, task: TaskLike, mask: Mask | None = None, *, progress: bool = True
) -> list[PruningRun]:
    """Run several pruners on one network, stage by stage, and evaluate once what is the same for several of them.

    At the first stage that is everything, so all one-shot prunings share one model; later it is what runs with the same
    mask need. Each run is what its pruner alone would have given.

    Parameters
    ----------
    pruners : may differ in everything but the weights that they may prune (include, exclude)
    net, task, mask, progress : as in `LocalPruner.prune`

    Raises
    ------
    TypeError, ValueError
        if the pruners are no list of LocalPruner, prune different layers, or do not go together with network, task and
        mask.
    """
    listed = check_list(pruners, "pruners", "[LocalPruner('mp'), LocalPruner('qm')]")
    pruners = [check_instance(pruner, LocalPruner, "A pruner", "write LocalPruner('qm')") for pruner in listed]
    if not pruners:
        return []
    if any((pruner.include, pruner.exclude) != (pruners[0].include, pruners[0].exclude) for pruner in pruners):
        raise ValueError("Pruners that work together prune the same layers: give all the same include and exclude.")
    start = pruners[0].start(net, task, mask)
    for pruner in pruners[1:]:  # start has looked at the first one's
        pruner.check_space(start.space)
    for pruner in pruners:
        pruner.check_start(start)
    states = [start] * len(pruners)
    rows: list[list[dict[str, float]]] = [[] for _ in pruners]
    # Whoever reads most of a model comes first, so that the others find there what they read.
    order = sorted(range(len(pruners)), key=lambda r: _reads(pruners[r]), reverse=True)
    total = sum(pruner.stages for pruner in pruners)
    with progress_bar(progress, desc="pruning", total=total, unit="stage", leave=False, delay=2) as bar:
        for stage in range(max(pruner.stages for pruner in pruners)):
            loss_of = losses_of(replace(start, stage=stage))
            for r in (r for r in order if stage < pruners[r].stages):
                states[r] = run_stage(pruners[r], states[r], model=model_of(pruners[r], states[r], loss_of))
                rows[r].append(states[r].row)
                bar.update()
    return [finished_run(*of_one) for of_one in zip(pruners, states, rows, strict=True)]


def _check_layers(what: str, layout: Layout, space: WeightSpace) -> None:
    """Raise ValueError unless a mask or state has the layers that are to be pruned, those of a space."""
    if layout != space.layout:
        layers = ", ".join(name or "weight" for name, _ in layout)
        raise ValueError(
            f"The {what} is of the layers {layers}, but others are to be pruned ({', '.join(space.layers)}): "
            "give the include and exclude that it was made with."
        )


def _reads(pruner: LocalPruner) -> tuple[int, bool]:
    """Return how much of a loss model a pruner's criterion reads, to be compared."""
    return pruner.rule.order or 0, pruner.rule.gradient
