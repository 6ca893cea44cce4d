"""How the columns of the Hessian's root go back to the layers: by autograd, or faster through a multilayer perceptron.

All columns go back through the same network at the same point. Autograd computes the activations' derivatives anew for
each, into new memory; between Linear layers they are numbers that can be computed once and multiplied in place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from lossprune_lib.loss_modelling.forward import Recording
from lossprune_lib.networks.sparse import Pattern


@dataclass(frozen=True)
class Backward:
    """A way back for columns.

    Attributes
    ----------
    through : a column [N, ...] -> the index of each recorded layer and the column's J_n^T r_n at its output, last first
    slopes : {index of a layer: [N, M]}
        What its gradients are still to be multiplied with: being the same for all columns, it waits for their sum.
    """

    through: Callable[[Tensor], Iterator[tuple[int, Tensor]]]
    slopes: Mapping[int, Tensor] = field(default_factory=dict)


def by_autograd(recording: Recording) -> Backward:
    """Return the way back through any network."""
    calls = dict(reversed(recording.calls.items()))
    edges = [call.edge for call in calls.values()]

    def backward(column: Tensor) -> Iterator[tuple[int, Tensor]]:
        gradients = list(torch.autograd.grad(recording.along(column), edges, retain_graph=True))[::-1]
        for i in calls:
            yield i, gradients.pop()  # and let go of it

    return Backward(backward)


def through_mlp(recording: Recording, patterns: Mapping[int, Pattern]) -> Backward:
    """Return the way back through Linear layers with activations of each number between them.

    A gradient is overwritten by the next column's, so whoever wants to keep it copies it.

    Parameters
    ----------
    patterns : {index of a layer: where its few kept weights are}
        The others of its weights are zero.
    """
    calls, weights = recording.calls, [weight.detach() for weight in recording.weights]
    kept = {i: weights[i].reshape(-1)[pattern.flat] for i, pattern in patterns.items()}
    slopes = {i: _slope(recording, i, units_first=i + 1 in patterns) for i in calls}
    memory = {i: torch.empty_like(call.input) for i, call in calls.items() if i not in {0, *patterns}}

    def backward(column: Tensor) -> Iterator[tuple[int, Tensor]]:
        gradient, last = column.clone(), len(calls) - 1
        for i in range(last, 0, -1):
            yield i, gradient.mul_(slopes[i])
            if i in patterns:
                gradient = patterns[i].transposed_times(kept[i], gradient.T.contiguous()).T
            else:
                gradient = torch.mm(gradient, weights[i], out=memory[i])
        yield 0, gradient

    return Backward(backward, {0: slopes[0]})


def _slope(recording: Recording, i: int, units_first: bool) -> Tensor:
    """Return the derivatives [N, M] of what follows a layer, up to the next one, in the order that is asked for."""
    following = recording.calls.get(i + 1)
    after = recording.outputs if following is None else following.source
    with torch.enable_grad():
        slope = torch.autograd.grad(after.sum(), recording.calls[i].edge, retain_graph=True)[0]
    return slope.T.contiguous().T if units_first else slope.contiguous()
