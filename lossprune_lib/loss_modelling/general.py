"""The general path: gradients of single examples by autograd, for weights that no layer's own rule covers.

For each example and each column v, the gradient of v . outputs by the chosen weights: their squares add up to the
diagonal of the GGN, whatever the network does with its weights. It takes a forward pass per example and a backward pass
per example and column; examples are computed together (`torch.func.vmap`) where torch can do that for the network.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.func import vjp, vmap

from lossprune_lib.data.inputs import Inputs, change, count, part
from lossprune_lib.networks.weights import WeightSpace


@dataclass(frozen=True)
class Point:
    """A network at some weights: a space, the weights of its layers, and the rest."""

    space: WeightSpace
    weights: Sequence[Tensor]
    rest: Mapping[str, Tensor]

    def outputs(self, chosen: Mapping[int, Tensor], x: Inputs) -> Tensor:
        """Run the network on x, with other tensors in the place of some layers' weights."""
        parts = [chosen.get(i, weight) for i, weight in enumerate(self.weights)]
        return self.space.run_parts(parts, self.rest, x).to(self.weights[0].dtype)


def squares_together(point: Point, layers: Sequence[int], x: Inputs, columns: Tensor) -> dict[int, Tensor]:
    """Return the squared gradients of some layers' weights, summed over columns and over examples computed together.

    Parameters
    ----------
    layers : the indices of the layers
    columns : [S, N, ...]
    """

    def of_example(one: Inputs, vectors: Tensor) -> dict[int, Tensor]:
        def outputs(chosen: dict[int, Tensor]) -> Tensor:
            return point.outputs(chosen, change(one, lambda tensor: tensor.unsqueeze(0)))[0]

        pull_back = vjp(outputs, {i: point.weights[i] for i in layers})[1]
        sums = {i: torch.zeros_like(point.weights[i]) for i in layers}
        for vector in vectors:
            (gradients,) = pull_back(vector)
            sums = {i: sums[i] + gradients[i].square() for i in layers}
        return sums

    with warnings.catch_warnings():
        # Torch falls back to a loop for some operations; that this path is slow was said already.
        warnings.filterwarnings("ignore", message="There is a performance drop")
        return {i: squares.sum(0) for i, squares in vmap(of_example, in_dims=(0, 1))(x, columns).items()}


def squares_one_by_one(
    point: Point, layers: Sequence[int], x: Inputs, columns: Tensor, least: int, advance: Callable[[], object]
) -> dict[int, Tensor]:
    """Return the same, one example after another.

    Parameters
    ----------
    least : 2 where an example must not be alone in its batch; another one then comes along, and does not count
    advance : called after each example
    """
    sums = {i: torch.zeros_like(point.weights[i]) for i in layers}
    examples = count(x)
    for n in range(examples):
        rows = torch.tensor([n] if least == 1 else [n, (n + 1) % examples])
        leaves = {i: point.weights[i].detach().requires_grad_() for i in layers}
        with torch.enable_grad():
            own = point.outputs(leaves, part(x, rows))[0]
        for vector in columns[:, n] if own.requires_grad else ():
            with torch.enable_grad():
                along = (own * vector).sum()
            gradients = torch.autograd.grad(along, list(leaves.values()), retain_graph=True, allow_unused=True)
            for i, gradient in zip(layers, gradients, strict=True):
                if gradient is not None:
                    sums[i].addcmul_(gradient, gradient)
        advance()
    return sums
