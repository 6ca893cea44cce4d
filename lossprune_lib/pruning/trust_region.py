"""Stages whose size is chosen on the way: as long as the loss model's prediction comes true, the steps grow.

An extension beyond Laurent et al. 2020, who fix the schedule beforehand. The idea is that of trust-region methods
(Conn, Gould & Toint 2000): try a step, compare the actual with the predicted change, and if they are too far apart,
refuse it and try a shorter one. Those methods divide the actual change by the predicted one. Here the criteria choose
weights whose modelled changes are close to zero, so that the quotient says nothing; the difference of the two is
compared with a tolerance instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from torch import nn

from lossprune_lib.checks import check_float, check_instance, check_list
from lossprune_lib.data.task import TaskLike
from lossprune_lib.networks.masks import Mask
from lossprune_lib.pruning.local import LocalPruner
from lossprune_lib.pruning.run import PrunerState, PruningRun, finished_run
from lossprune_lib.pruning.stage import model_of, run_stage

_MOST = 0.9  # of the weights that are left, in one step
_EASY = 0.5  # of the tolerance: below it the next step may be longer


@dataclass(frozen=True, eq=False)
class Trial:
    """One step that was tried.

    Attributes
    ----------
    state : PrunerState
        After the step. A refused one is gone: the next trial starts where this one did.
    share : float
        Of the weights that were left, how many the step was to remove, before that is rounded to whole weights; of
        several layers or rows that are ranked apart, the largest such share.
    error : float
        How far apart the actual and the predicted change are on the stage's batch (nats).
    accepted : bool
    evaluations : int
        How many loss models were built so far: one for each state, whose refused steps are predicted by the same.
    """

    state: PrunerState
    share: float
    error: float
    accepted: bool
    evaluations: int


def trust_region(
    pruner: LocalPruner,
    net: nn.Module,
    task: TaskLike,
    tolerance: float,
    *,
    share: float = 0.2,
    least: float = 0.005,
    mask: Mask | None = None,
) -> Iterator[Trial]:
    """Prune to the pruner's sparsity in steps that double while prediction and actual change agree, and halve if not.

    A step is accepted if the two are within the tolerance, or if it is as short as steps may be; the next is twice
    as long if they are within half of it. A refused step is tried again at half its length, from the same state, on
    the same batch and by the same loss model, so that it costs one more pass forward.

    Parameters
    ----------
    pruner : its criterion, sparsity, step penalty, batch size, scope and seed are used; its stages, schedule and trace
        are not
    net, task : as in `LocalPruner.start`
    mask : to start from, in no layer or row that is ranked apart sparser than the sparsity to prune to
    tolerance : how far prediction and actual change may be apart in one step, above 0 (nats)
    share : of the weights left, how many the first step removes
    least : the shortest step, in the same unit; it bounds the cost

    Yields
    ------
    Trial
        Each step that was tried, in order. The state of the last accepted one has the pruner's sparsity.

    Raises
    ------
    ValueError, TypeError
        for a criterion that models no loss, a scope or densities that leave nothing to choose, a mask that some layers
        or rows cannot start from, or numbers that make no sense.
    """
    check_instance(pruner, LocalPruner, "A pruner", "write for example LocalPruner(sparsity=0.9)")
    if not pruner.rule.models_loss:
        raise ValueError(f"{pruner.rule.name} predicts nothing that could be trusted or not: take lm, qm or obd.")
    if pruner.scope == "2:4":
        raise ValueError('The scope "2:4" prunes in one step, so none could be refused: take another scope.')
    if pruner.densities is not None:
        raise ValueError(
            "The densities say what each stage prunes, but here the steps are chosen on the way: leave them out."
        )
    if check_float(tolerance, "tolerance") == 0:
        raise ValueError(
            "tolerance is 0, but prediction and actual change are never exactly equal: give for example 0.03."
        )
    if not 0 < check_float(least, "least") <= check_float(share, "share") <= _MOST:
        raise ValueError(f"least is {least:g} and share {share:g}, but 0 < least <= share <= {_MOST} must hold.")
    pruner = replace(pruner, trace="batch")  # a model predicts the loss of its own batch
    state = pruner.start(net, task, mask)
    counts = state.mask.still_to_prune(pruner.sparsity, pruner.scope)
    _check_groups(pruner, counts)
    pruner.warn_of_zeros(state, sum(counts))
    return _trials(pruner, state, tolerance, share, least)


def _check_groups(pruner: LocalPruner, counts: list[int]) -> None:
    """Raise ValueError if some of a mask's layers or rows are to be pruned further, and others are beyond that."""
    if min(counts) < 0 < max(counts):
        raise ValueError(
            f"The mask to start from is already sparser in a {pruner.scope} than the sparsity {pruner.sparsity:g} to "
            "prune to, though not in all: give a larger sparsity, or leave the mask out."
        )


def _trials(pruner: LocalPruner, state: PrunerState, tolerance: float, share: float, least: float) -> Iterator[Trial]:
    one_weight, scope, target = 1 / state.space.size, pruner.scope, pruner.sparsity
    model, evaluations = None, 0
    now = state.mask.sparsities(scope)  # of each group that is ranked together
    while max(state.mask.still_to_prune(target, scope)) > 0:
        wanted = [max(at, min(max(1 - (1 - at) * (1 - share), at + one_weight), target)) for at in now]
        counts = state.mask.still_to_prune(wanted, scope)
        if max(counts) <= 0:  # less than a weight of each layer or row: not worth a model
            now = wanted
            continue
        if model is None:
            model, evaluations = model_of(pruner, state), evaluations + 1
        after = run_stage(pruner, state, model=model, counts=counts)
        error = abs(after.row["true_change"] - after.row["predicted_change"])
        accepted = error <= tolerance or share <= least
        removed = max((to - at) / (1 - at) for at, to in zip(now, wanted, strict=True) if to > at)
        yield Trial(after, removed, error, accepted, evaluations)
        if accepted:
            state, now, model = after, wanted, None
        if error > tolerance:
            share = max(share / 2, least)
        elif error < _EASY * tolerance:
            share = min(2 * share, _MOST)


def finished(pruner: LocalPruner, trials: Iterable[Trial]) -> PruningRun:
    """Return the accepted trials as a run, to be measured like any other; its trace has a row for each of them."""
    listed = check_list(trials, "trials", "trust_region(...)")
    instances = [check_instance(trial, Trial, "A trial", "give what trust_region yields") for trial in listed]
    states = [trial.state for trial in instances if trial.accepted]
    if not states:
        raise ValueError(
            "No trial was accepted, so there is no pruning: go through trust_region to its end, and to a larger "
            "sparsity than that of the mask, if there is one to start from."
        )
    return finished_run(replace(pruner, trace="batch"), states[-1], [state.row for state in states])
