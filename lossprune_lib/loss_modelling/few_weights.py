"""The loss over one weight, or over two, with all others as they are; and the models of it that pruning uses.

Over one weight w, trained to w0, the step is s = w - w0. LM's model of the change is g s, QM's g s + G s^2 / 2, and
OBD's G s^2 / 2, with G from the GGN's diagonal. Over two weights the Hessian has an off-diagonal term, which a diagonal
model leaves out: what removing both costs beyond, or below, the sum of what each costs alone.

Source: the criteria of Laurent et al. 2020, section 2; LeCun et al. 1990, Optimal Brain Damage (the diagonal).
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from lossprune_lib.checks import check_int, check_list
from lossprune_lib.loss_modelling.batch_loss import BatchLoss
from lossprune_lib.loss_modelling.landscape import Positions, losses_at, positions
from lossprune_lib.loss_modelling.model import LossModel

_CANDIDATES = 60  # of each kind, among which the telling weights are looked for
_PAIRED = 16  # the costliest weights, among which the telling pairs are looked for


@dataclass(frozen=True, eq=False)
class OneWeight:
    """The change of the loss over one weight, as it is and as three models have it.

    Attributes
    ----------
    name : layer and place, such as fc3[9, 11]
    value, slope, curvature : the trained value, and there the gradient and the GGN's diagonal
    at, actual : [P], values of the weight and the change of the loss (nats)
    """

    name: str
    value: float
    slope: float
    curvature: float
    at: Tensor
    actual: Tensor

    def predicted(self, criterion: str, value: float) -> float:
        """Return the signed change that the model of "lm", "qm" or "obd" predicts at a value of the weight."""
        step = value - self.value
        parts = {"lm": self.slope * step, "obd": self.curvature * step**2 / 2}
        return parts["lm"] + parts["obd"] if criterion == "qm" else parts[criterion]


@dataclass(frozen=True, eq=False)
class TwoWeights:
    """The change of the loss over two weights, as it is and as quadratic models have it.

    Attributes
    ----------
    names : layer and place of each
    values, slopes : trained values, and the gradient there
    hessian : the two diagonal terms and the off-diagonal one
    at : [P], shares of the trained values: 1 is trained, 0 is pruned
    actual : [P, P], change of the loss (nats), the first weight's share first
    """

    names: tuple[str, str]
    values: tuple[float, float]
    slopes: tuple[float, float]
    hessian: tuple[float, float, float]
    at: Tensor
    actual: Tensor

    def predicted(self, first: Tensor | float, second: Tensor | float, *, full: bool) -> Tensor:
        """Return the signed change at shares of both weights, with the off-diagonal term ("full") or without it."""
        steps = [
            value * (torch.as_tensor(share) - 1) for value, share in zip(self.values, (first, second), strict=True)
        ]
        change = sum(g * s + h * s**2 / 2 for g, h, s in zip(self.slopes, self.hessian[:2], steps, strict=True))
        return torch.as_tensor(change + self.hessian[2] * steps[0] * steps[1] * full)


def one_weight(risk: BatchLoss, index: int, shares: Positions) -> OneWeight:
    """Return the loss over one weight of the network, at shares [P] of its trained value, and the models there.

    Raises
    ------
    IndexError, ValueError, TypeError
        if there is no such weight, or a share cannot be used.
    """
    index, weights = _check_index(risk, index), risk.space.read()
    model, value = risk.model(weights), weights[index].item()
    direction = F.one_hot(torch.tensor(index), risk.space.size).to(weights)
    at = value * positions(shares, risk, "shares")
    losses = losses_at(risk, [direction], (at - value).unsqueeze(1))
    assert model.gradient is not None
    assert model.curvature is not None
    slope, curvature = model.gradient[index].item(), model.curvature[index].item()
    return OneWeight(_name(risk, index), value, slope, curvature, at.cpu(), losses - _loss(model))


def two_weights(risk: BatchLoss, indices: Sequence[int], shares: Positions) -> TwoWeights:
    """Return the loss over two weights of the network, each at shares [P] of its trained value, with its models.

    Raises
    ------
    IndexError, ValueError, TypeError
        if these are not the indices of two weights, or a share cannot be used.
    """
    indices = [_check_index(risk, index) for index in check_list(indices, "indices", "(0, 1)")]
    if len(indices) != 2 or indices[0] == indices[1]:
        raise ValueError(f"indices are those of two different weights, such as (0, 1), not {tuple(indices)}.")
    weights = risk.space.read()
    model, chosen = risk.model(weights), torch.tensor(indices)
    first, second = F.one_hot(chosen, risk.space.size).to(weights)
    at = positions(shares, risk, "shares")
    values = [weights[index].item() for index in indices]
    steps = torch.cartesian_prod(*(value * (at - 1) for value in values))
    losses = losses_at(risk, [first, second], steps).view(len(at), len(at))
    forms = [risk.quadratic_form(weights, v, "hessian") for v in (first, second, first + second)]
    assert model.gradient is not None
    slopes = model.gradient[chosen.to(weights.device)].tolist()
    hessian = (forms[0], forms[1], (forms[2] - forms[0] - forms[1]) / 2)
    a, b = (_name(risk, index) for index in indices)
    return TwoWeights((a, b), (values[0], values[1]), (slopes[0], slopes[1]), hessian, at.cpu(), losses - _loss(model))


def telling_weights(risk: BatchLoss) -> dict[str, int]:
    """Return four weights that tell the models apart, out of the largest ones and those of the largest saliency.

    Returns
    -------
    dict
        "costly", whose removal costs most; "welcome", whose removal lowers the loss most; "mistaken", of which QM's
        prediction is off most; "level", where the slope has the smallest part in what QM predicts of a costly removal.
    """
    weights = risk.space.read()
    model = risk.model(weights)
    assert model.gradient is not None
    assert model.curvature is not None
    quadratic = model.curvature * weights**2 / 2
    predicted = quadratic - model.gradient * weights
    ends = [values.abs().topk(min(_CANDIDATES, len(values))).indices for values in (predicted, weights, quadratic)]
    chosen = torch.cat(ends).unique()
    actual = removal(risk, [(int(index),) for index in chosen])
    quadratic, predicted = quadratic[chosen].cpu(), predicted[chosen].cpu()
    costly = actual >= actual.quantile(0.75)
    share_of_slope = (1 - quadratic / predicted).abs().masked_fill(~costly, torch.inf)
    found = {
        "costly": actual.argmax(),
        "welcome": actual.argmin(),
        "mistaken": (predicted - actual).abs().argmax(),
        "level": share_of_slope.argmin(),
    }
    return {name: int(chosen[place]) for name, place in found.items()}


def telling_pairs(risk: BatchLoss) -> dict[str, tuple[int, int]]:
    """Return three pairs out of the weights whose removal costs most.

    Returns
    -------
    dict
        "more", of which removing both costs most beyond the sum of what each costs alone; "less", most below it; "sum",
        nearest to it.
    """
    weights = risk.space.read()
    model = risk.model(weights)
    assert model.gradient is not None
    assert model.curvature is not None
    predicted = model.curvature * weights**2 / 2 - model.gradient * weights
    costliest = [int(index) for index in predicted.topk(min(_PAIRED, len(predicted))).indices]
    pairs = list(itertools.combinations(costliest, 2))
    alone = dict(zip(costliest, removal(risk, [(index,) for index in costliest]).tolist(), strict=True))
    beyond = removal(risk, pairs) - torch.tensor([alone[a] + alone[b] for a, b in pairs], dtype=torch.float64)
    found = {"more": beyond.argmax(), "less": beyond.argmin(), "sum": beyond.abs().argmin()}
    return {name: pairs[int(place)] for name, place in found.items()}


def removal(risk: BatchLoss, groups: Sequence[tuple[int, ...]]) -> Tensor:
    """Return the actual change of the loss when the weights of a group are set to zero, for each group.

    Raises
    ------
    IndexError, ValueError, TypeError
        if there is no such weight.
    """
    weights = risk.space.read()
    listed = [[_check_index(risk, i) for i in check_list(group, "groups", "[(0,), (0, 1)]")] for group in groups]
    start = risk.value(weights).item()
    without = (weights.index_fill(0, torch.tensor(group, device=weights.device), 0.0) for group in listed)
    return torch.tensor([risk.value(point).item() - start for point in without], dtype=torch.float64)


def _loss(model: LossModel) -> float:
    assert model.loss is not None
    return model.loss


def _name(risk: BatchLoss, index: int) -> str:
    """Return a weight's layer and its place there."""
    starts = [0, *itertools.accumulate(risk.space.sizes)]
    number = bisect.bisect_right(starts, index) - 1
    layer, shape = risk.space.layout[number]
    place = torch.unravel_index(torch.tensor(index - starts[number]), shape)
    return f"{layer}[{', '.join(str(int(i)) for i in place)}]"


def _check_index(risk: BatchLoss, index: object) -> int:
    """Return the index of a weight, a number or a tensor of one, as an int; else raise an error that says which are."""
    if isinstance(index, Tensor) and index.numel() == 1:
        index = index.item()
    index = check_int(index, "The index of a weight", least=0)
    if index >= risk.space.size:
        raise IndexError(f"There is no weight {index}: this network's are counted from 0 to {risk.space.size - 1}.")
    return index
