"""Controls: masks that share one thing with a criterion's and differ in the rest, so that a study tells them apart.

Of magnitude, masks that are chosen by magnitude too, with other shares of the layers: "uniform" (the same share of
each), "erk", "lamp"; and "gradual": a network that is pruned by magnitude while it is trained, in as many epochs as
training and fine-tuning take together. Of a criterion that models the loss, masks with its shares of the layers:
"magnitude" (the largest weights within each layer) and "shuffled" (random weights within each layer).
"""

from __future__ import annotations

from collections.abc import Callable

from lossprune_lib.data.task import Task
from lossprune_lib.networks.masks import Mask
from lossprune_lib.pruning import allocation
from lossprune_lib.pruning.criteria import CRITERIA
from lossprune_lib.pruning.local import LocalPruner
from lossprune_lib.pruning.run import PruningRun
from lossprune_lib.seeds import generator

OF_MAGNITUDE = ("uniform", "erk", "lamp", "gradual")
OF_MODELS = ("magnitude", "shuffled")


def controls_of(criterion: str) -> tuple[str, ...]:
    """Return the controls that a criterion has."""
    if criterion == "mp":
        return OF_MAGNITUDE
    return OF_MODELS if CRITERIA[criterion].models_loss else ()


def control_mask(control: str, run: PruningRun, task: Task, seed: int) -> Mask:
    """Return a control's mask, of the sparsity of the run that it is the control of.

    Parameters
    ----------
    seed : of the random weights of "shuffled"
    """
    mask, space, dense = run.mask, run.state.space, run.state.dense
    if control == "shuffled":
        return allocation.shuffled(mask, generator(seed, "control", control))
    shares: dict[str, Callable[[], dict[str, float]]] = {
        "magnitude": mask.density,
        "uniform": lambda: dict.fromkeys(space.layers, 1 - mask.sparsity),
        "erk": lambda: allocation.erk(space, mask.sparsity),
        "lamp": lambda: allocation.lamp(space, dense, mask.sparsity),
    }
    layers = {"include": run.pruner.include, "exclude": run.pruner.exclude}
    pruner = LocalPruner("mp", mask.sparsity, stages=1, densities=shares[control](), **layers)  # type: ignore[arg-type]
    return pruner.prune(space.net, task, progress=False).mask
