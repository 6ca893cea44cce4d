"""What a pruner is asked for, as plain settings."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from torch import nn
from torch.nn.modules.conv import _ConvTransposeNd

from lossprune_lib.checks import check_choice, check_float, check_instance, check_int, check_sparsity
from lossprune_lib.loss_modelling.loss import Loss, check_loss
from lossprune_lib.loss_modelling.losses import cross_entropy
from lossprune_lib.networks.choice import Selectors, lasting
from lossprune_lib.networks.masks import Mask
from lossprune_lib.networks.selection import check_scope
from lossprune_lib.networks.weights import WeightSpace
from lossprune_lib.pruning.criteria import Criterion, Rule, criterion_of
from lossprune_lib.pruning.schedules import Schedule, check_stages, group_sparsities, schedule_of, sparsities
from lossprune_lib.warn import warn

TRACES = ("batch", "train")


@dataclass(frozen=True)
class PrunerSettings:
    """How a network is pruned.

    Attributes
    ----------
    criterion : a name in `criteria.CRITERIA`, a `criteria.Criterion`, or a function
        A function gives scores of the weights [D] and reads no data; `Criterion` says how to ask for more.
    sparsity : float in [0, 1)
        kappa: exactly round(D sparsity) weights are zero in the end; with a scope or densities that rounds for each
        group, up to half a weight more or fewer for each.
    stages : int
        pi; 1 is one-shot.
    schedule : a name in `schedules.SCHEDULES`, or a function ``(sparsity, stage, stages, start)``
        The sparsity of each stage, on the way from the one at the start.
    step_penalty : float
        lambda.
    batch_size : int
        Training examples drawn afresh at each stage.
    scope : "global", "layer", "row" or "2:4"
        Rank all weights together, or prune the same share of each layer, round(size of layer * sparsity), or of each
        row, which is the weights of one output; or two of each four weights along the inputs (`Mask.still_to_prune`).
    seed : int
        Decides which examples are drawn, the columns of a sampled curvature, and what is random in a criterion.
    loss : what the model is a model of: one of `loss_modelling.losses`, or your own
    curvature_columns : int, optional
        Sample the curvature with this many columns per example (see `BatchLoss`); by default it is exact.
    densities : {layer: share of its weights that it keeps in the end}, optional
        In place of a scope: the criterion ranks within layers, and each layer follows the schedule to its own density.
        Together they must make the sparsity; `Mask.density` and `pruning.allocation` give such shares.
    include, exclude : which weights are prunable, as in `WeightSpace`: of a layer that is named, the bias too
    max_bytes : int
        What a loss model may take for activations and work space.
    trace : "batch" or "train"
        Where each stage's true change is measured: its own batch, or the whole training set (slow).
    """

    criterion: str | Criterion | Rule = "qm"
    sparsity: float = 0.9
    stages: int = 14
    schedule: str | Schedule = "exponential"
    step_penalty: float = 0.0
    batch_size: int = 1000
    scope: str = "global"
    seed: int = 0
    max_bytes: int = 2**30
    trace: str = "batch"
    loss: Loss = cross_entropy
    curvature_columns: int | None = None
    densities: Mapping[str, float] | None = field(default=None, hash=False)
    include: Selectors | None = field(default=None, hash=False)
    exclude: Selectors = field(default=(), hash=False)

    def __post_init__(self) -> None:
        for name in ("include", "exclude"):
            object.__setattr__(self, name, lasting(getattr(self, name)))
        _ = self.rule  # refuses what is none
        schedule_of(self.schedule)
        check_choice(self.trace, TRACES, "trace")
        check_scope(self.scope, check_sparsity(self.sparsity))
        check_float(self.step_penalty, "step_penalty")
        for name in ("batch_size", "max_bytes"):
            check_int(getattr(self, name), name)
        check_stages(self.stages)
        if self.scope == "2:4" and self.stages != 1:
            raise ValueError(f'The scope "2:4" prunes in one stage, but stages is {self.stages}: give stages=1.')
        check_int(self.seed, "seed", least=0)
        _check_hashable(check_loss(self.loss))
        if self.curvature_columns is not None:
            check_int(self.curvature_columns, "curvature_columns")
        if self.densities is not None:
            remedy = "give {layer: share of its weights that it keeps}, such as mask.density()"
            check_instance(self.densities, Mapping, "The argument densities", remedy)  # type: ignore[type-abstract]
        for name, density in (self.densities or {}).items():
            if check_float(density, f"The density of layer {name!r}") > 1:
                raise ValueError(f"The density of layer {name!r} is {density:g}: it is a share, from 0 to 1.")

    @cached_property
    def rule(self) -> Criterion:
        """The criterion, whether it was given by its name or as a function."""
        return criterion_of(self.criterion)

    @cached_property
    def sparsities(self) -> list[float]:
        """The sparsity of each stage, without a mask to start from."""
        return sparsities(self.schedule, self.sparsity, self.stages)

    @property
    def within(self) -> str:
        """The scope in which weights are ranked together."""
        return self.scope if self.densities is None else "layer"

    def sparsities_at(self, start: Mask, stage: int) -> list[float]:
        """Return the sparsity at a stage, counted from 0, of each group of weights that is ranked together.

        Each goes from its sparsity in the mask at the start to its final one.
        """
        starts = start.sparsities(self.within)
        final = [self.sparsity] * len(starts)
        if self.densities is not None:
            final = [1 - self.densities[name] for name, _ in start.layout]
        return group_sparsities(self.schedule, final, stage + 1, self.stages, starts)

    def check_space(self, space: WeightSpace) -> None:
        """Raise ValueError unless the densities, if there are any, name the layers and make the sparsity.

        The scopes "row" and "2:4" refuse layers whose rows are no outputs; "2:4" warns of those that it cannot prune
        whole.
        """
        layout = space.layout
        for name, module in zip(space.layers, space.modules, strict=True):
            if self.scope in ("row", "2:4") and _has_inputs_first(module):
                raise ValueError(
                    f"Layer {name!r} is a {type(module).__name__}, whose weight has the inputs first, so that its rows "
                    'are no outputs: exclude it, or take scope="layer".'
                )
        uneven = [name for name, shape in layout if self.scope == "2:4" and shape[min(1, len(shape) - 1)] % 4]
        if uneven:
            warn(
                f"The inputs of {', '.join(uneven)} are not a multiple of 4, so the last ones of each row stay dense: "
                "the network's sparsity is a little below 0.5."
            )
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


def _has_inputs_first(module: nn.Module) -> bool:
    """Return whether the rows of a layer's weight are its inputs."""
    # GPT-2's layer in transformers, which need not be installed, is known by its name: its weight may be square.
    named_so = any(kind.__name__ == "Conv1D" for kind in type(module).__mro__)
    outputs_first = isinstance(module, (nn.Linear, nn.Conv1d))
    of_gpt2 = named_so and not outputs_first and getattr(getattr(module, "weight", None), "ndim", 0) == 2
    return isinstance(module, _ConvTransposeNd) or of_gpt2


def _check_hashable(loss: Loss) -> None:
    """Raise TypeError for a loss by which pruners that share a batch could not find what was computed already."""
    try:
        hash(loss)
    except TypeError:
        raise TypeError(
            f"The loss {type(loss).__name__} may change, so that it cannot be hashed: write @dataclass(frozen=True) "
            "above its class, and give it tuples in place of lists."
        ) from None
