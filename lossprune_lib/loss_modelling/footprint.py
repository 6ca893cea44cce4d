"""What an example takes in memory, and so how many fit into a budget."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from lossprune_lib.loss_modelling.curvature import groups_of, pairs_are_cheaper
from lossprune_lib.networks.weights import WeightSpace


@dataclass(frozen=True)
class Footprint:
    """What one example takes on its way through a network.

    Attributes
    ----------
    logits : [1, C]
        Of the first example.
    saved : int
        Numbers that the graph keeps for one example.
    largest : int
        The most numbers in one of the tensors that it keeps.
    positions, outputs : of each layer: output positions, and numbers at each
    """

    logits: Tensor
    saved: int
    largest: int
    positions: list[int]
    outputs: list[int]

    def examples_within(self, space: WeightSpace, columns: int, max_bytes: int) -> int:
        """Return how many examples gradient and curvature may take at once to stay within a budget; at least 1.

        Sums of the size of the weights are not counted.

        Parameters
        ----------
        columns : of the Hessian's root, S; 0 where no curvature is wanted
        """
        # The graph, the gradients that flow back through it, and all layers' output gradients of one column.
        numbers = 2 * self.saved + 4 * self.largest + 2 * sum(map(int.__mul__, self.positions, self.outputs))
        numbers += 4 * columns * self.logits.shape[1]  # the root, and what making it takes
        largest_patches = 0
        for module, positions, outputs in zip(space.modules, self.positions, self.outputs, strict=True):
            patches = positions * module.weight[0].numel() * groups_of(module)
            largest_patches = max(largest_patches, 3 * patches)
            if pairs_are_cheaper(positions, columns):
                numbers += positions * (positions + 1) // 2 * outputs
            else:
                numbers += 2 * patches
        # Allocators keep up to as much again between the pieces that they hand out.
        return max(1, max_bytes // (2 * (numbers + largest_patches) * self.logits.element_size()))
