"""Whether a ranking holds: what groups of weights cost when each alone is removed, in the order of a criterion."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lossprune_lib.checks import check_choice, check_int
from lossprune_lib.loss_modelling.batch_loss import BatchLoss
from lossprune_lib.pruning.criteria import CRITERIA, modelled_change, saliency
from lossprune_lib.pruning.run import PrunerState

if TYPE_CHECKING:
    import pandas as pd


def cost_of_groups(risk: BatchLoss, state: PrunerState, criterion: str, groups: int = 12) -> pd.DataFrame:
    """Sort the weights that are left by a criterion's saliency, and remove each of some equal groups by itself.

    Parameters
    ----------
    state : where a pruning stands
    criterion : name of a built-in one, but "random", which has no order to test

    Returns
    -------
    DataFrame
        One row per group, the lowest saliencies first: actual and predicted, the signed changes of the loss (nats);
        predicted by the quadratic model with the GGN's diagonal, whatever the criterion.
    """
    import pandas as pd

    check_choice(criterion, [name for name in CRITERIA if name != "random"], "criterion")
    model, kept = risk.model(state.weights), state.mask.kept.nonzero().squeeze(1)
    ordered = kept[saliency(model, criterion)[kept].argsort(stable=True)]
    before, modelled = risk.value(state.weights).item(), modelled_change(model, "qm")
    rows = [
        (risk.value(state.weights.index_fill(0, group, 0.0)).item() - before, modelled[group].sum().item())
        for group in ordered.tensor_split(check_int(groups, "groups", least=1))
    ]
    return pd.DataFrame(rows, columns=["actual", "predicted"], index=pd.RangeIndex(1, groups + 1, name="group"))
