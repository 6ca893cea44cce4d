"""Controls: masks that share one thing with a criterion's and differ in the rest, so that a study tells them apart.

Of magnitude, masks that are chosen by magnitude too, with other shares of the layers: "uniform" (the same share of
each), "erk", "lamp"; and "gradual": a network that is pruned by magnitude while it is trained, in as many epochs as
training and fine-tuning take together. Of a criterion that models the loss, masks with its shares of the layers:
"magnitude" (the largest weights within each layer) and "shuffled" (random weights within each layer).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lossprune_lib.checks import check_choice
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


def check_controls(controls: Sequence[str], criteria: Sequence[str]) -> None:
    """Raise ValueError for a name that is no control's, and where no criterion has any of the controls."""
    for control in controls:
        check_choice(control, ("", *OF_MAGNITUDE, *OF_MODELS), "control")
    if not any(control in ("", *controls_of(criterion)) for criterion in criteria for control in controls):
        theirs = "; ".join(f"{criterion} has {', '.join(controls_of(criterion)) or 'none'}" for criterion in criteria)
        raise ValueError(
            f"No criterion of the study has the controls {', '.join(controls)}, so that there is nothing to run: give "
            f"some that they have ({theirs})."
        )


def control_mask(control: str, run: PruningRun, task: Task, seed: int) -> Mask:
    """Return a control's mask, of the sparsity of the run that it is the control of.

    With "uniform" and "erk" the kept weights are rounded in each layer, so that they may be off by half a one for each.

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
