"""What the loss models predict of each stage of a pruning, and where they go wrong, against the number of stages.

The stages of a pruning are steps that its criterion chose, each by a model at its own point. Asked about the same
steps, models of other orders say how much of the error comes from what the criterion leaves out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from torch import nn

from lossprune_lib.checks import check_instance
from lossprune_lib.data.task import TaskLike
from lossprune_lib.loss_modelling.forecast import ORDERS, forecast
from lossprune_lib.pruning.local import LocalPruner
from lossprune_lib.pruning.stage import losses_of

if TYPE_CHECKING:
    import pandas as pd

CAUSES = ("beyond the 2nd order", "GGN for the Hessian", "diagonal for the full GGN")


def stage_by_stage(
    pruner: LocalPruner, net: nn.Module, task: TaskLike, orders: Sequence[str] = tuple(ORDERS)
) -> pd.DataFrame:
    """Prune, and return what models of some orders predict of each stage, beside what it changed.

    Parameters
    ----------
    orders : names in `forecast.ORDERS`
        "ggn" and "hessian" take a few passes through the network for each stage.

    Returns
    -------
    DataFrame
        One row per stage: stage, sparsity, true_change and the orders; signed changes of the mean loss (nats) on the
        stage's own batch. It is the batch on which a criterion with a model chooses; others choose without looking.
    """
    import pandas as pd

    check_instance(pruner, LocalPruner, "The pruner", 'make one: LocalPruner("qm", sparsity=0.9)')
    state, rows = pruner.start(net, task), []
    for _ in range(pruner.stages):
        risk, after = losses_of(state)(pruner), pruner.step(state)
        start, step = state.weights, after.weights - state.weights
        true_change = risk.value(after.weights).item() - risk.value(start).item()
        changes = forecast(risk, start, step, orders).changes()
        rows.append({"stage": after.stage, "sparsity": after.mask.sparsity, "true_change": true_change, **changes})
        state = after
    return pd.DataFrame(rows)


def causes_by_stages(
    pruner: LocalPruner, net: nn.Module, task: TaskLike, stages: Sequence[int] = (1, 2, 4, 7, 14, 28)
) -> pd.DataFrame:
    """Return where the error of QM's model comes from when the same sparsity is reached in more and more stages.

    Returns
    -------
    DataFrame
        One row for each number of stages, its index; a column for each of `CAUSES`, signed and summed over the stages
        (nats): the actual change less the prediction of the full Hessian, that less the one of the full GGN, and that
        less the one of the GGN's diagonal. Together they are the actual change less the diagonal's prediction.
    """
    import pandas as pd

    check_instance(pruner, LocalPruner, "The pruner", 'make one: LocalPruner("mp", sparsity=0.9)')
    rows = {}
    for number in stages:
        found = stage_by_stage(replace(pruner, stages=number), net, task, ("diagonal", "ggn", "hessian"))
        total = found[["true_change", "hessian", "ggn", "diagonal"]].sum()
        rows[number] = (-total.diff().iloc[1:]).tolist()
    return pd.DataFrame.from_dict(rows, orient="index", columns=list(CAUSES)).rename_axis("stages")
