"""What a pruner is asked for, as plain settings."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from lossprune_lib.checks import check_choice, check_float, check_int, check_sparsity
from lossprune_lib.loss_modelling.losses import Loss, check_loss, cross_entropy
from lossprune_lib.networks.masks import SCOPES
from lossprune_lib.networks.weights import Layout
from lossprune_lib.pruning.criteria import CRITERIA
from lossprune_lib.pruning.schedules import SCHEDULES, layer_sparsities, sparsities

TRACES = ("batch", "train")


@dataclass(frozen=True)
class PrunerSettings:
    """How a network is pruned.

    Attributes
    ----------
    criterion : a name in `criteria.CRITERIA`
    sparsity : float in [0, 1)
        kappa: exactly round(D sparsity) weights are zero in the end.
    stages : int
        pi; 1 is one-shot.
    schedule : a name in `schedules.SCHEDULES`
    step_penalty : float
        lambda.
    batch_size : int
        Training examples drawn afresh at each stage.
    scope : "global" or "layer"
        Rank all weights together, or prune the same share of each layer: then round(size of layer * sparsity) of each.
    curvature_columns : int, optional
        Sample the curvature with this many columns per example (see `BatchLoss`); by default it is exact.
    densities : {layer: share of its weights that it keeps in the end}, optional
        In place of a scope: the criterion ranks within layers, and each layer follows the schedule to its own density.
        Together they must make the sparsity; `Mask.density` and `pruning.allocation` give such shares.
    max_bytes : int
        What a loss model may take for activations and work space.
    trace : "batch" or "train"
        Where each stage's true change is measured: its own batch, or the whole training set (slow).
    """

    criterion: str = "qm"
    sparsity: float = 0.9
    stages: int = 14
    schedule: str = "exponential"
    step_penalty: float = 0.0
    batch_size: int = 1000
    scope: str = "global"
    seed: int = 0
    max_bytes: int = 2**30
    trace: str = "batch"
    loss: Loss = cross_entropy
    curvature_columns: int | None = None
    densities: Mapping[str, float] | None = field(default=None, hash=False)

    def __post_init__(self) -> None:
        check_choice(self.criterion, CRITERIA, "criterion")
        check_choice(self.schedule, SCHEDULES, "schedule")
        check_choice(self.scope, SCOPES, "scope")
        check_choice(self.trace, TRACES, "trace")
        check_sparsity(self.sparsity)
        check_float(self.step_penalty, "step_penalty")
        for name in ("stages", "batch_size", "max_bytes"):
            check_int(getattr(self, name), name)
        check_int(self.seed, "seed", least=0)
        check_loss(self.loss)
        if self.curvature_columns is not None:
            check_int(self.curvature_columns, "curvature_columns")
        for name, density in (self.densities or {}).items():
            if check_float(density, f"The density of layer {name!r}") > 1:
                raise ValueError(f"The density of layer {name!r} is {density:g}: it is a share, from 0 to 1.")

    @cached_property
    def sparsities(self) -> list[float]:
        """The sparsity of each stage."""
        return sparsities(self.schedule, self.sparsity, self.stages)

    @property
    def within(self) -> str:
        """What is ranked together: "global" or "layer"."""
        return self.scope if self.densities is None else "layer"

    def sparsities_at(self, layout: Layout, stage: int) -> float | list[float]:
        """Return the sparsity of a stage, counted from 0: of all weights, or of each layer where densities say so."""
        if self.densities is None:
            return self.sparsities[stage]
        final = [1 - self.densities[name] for name, _ in layout]
        return layer_sparsities(self.schedule, final, stage + 1, self.stages)

    def check_layout(self, layout: Layout) -> None:
        """Raise ValueError unless the densities, if there are any, name the layers and make the sparsity."""
        if self.densities is None:
            return
        names = [name for name, _ in layout]
        if self.scope != "global" or set(self.densities) != set(names):
            raise ValueError(
                f"densities must name each layer once ({', '.join(names)}) and go with the scope left out, but they "
                f"name {', '.join(self.densities) or 'none'} with the scope {self.scope!r}."
            )
        sizes = {name: math.prod(shape) for name, shape in layout}
        kept = sum(round(sizes[name] * self.densities[name]) for name in names)
        made = 1 - kept / sum(sizes.values())
        if abs(made - self.sparsity) * sum(sizes.values()) > len(names):
            raise ValueError(f"The densities make a sparsity of {made:.6g}, not {self.sparsity:g}: give that one.")
