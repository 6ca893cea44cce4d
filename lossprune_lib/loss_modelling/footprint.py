"""What the preflight finds out about a network: how each layer's curvature is computed, and what an example takes."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor, nn

from lossprune_lib.loss_modelling.curvature import groups_of, pairs_are_cheaper, patches_are_views
from lossprune_lib.networks.weights import WeightSpace
from lossprune_lib.warn import warn


@dataclass(frozen=True)
class Footprint:
    """What one example takes on its way through a network, and how its curvature is computed.

    Attributes
    ----------
    outputs : [1, ...]
        Of the first example.
    saved : int
        Numbers that the graph keeps for one example.
    largest : int
        The most numbers in one of the tensors that it keeps.
    positions : {index of a layer: output positions of one example}
        Of the layers whose own rule holds (the fast path).
    general : {index of a layer: why it takes the general path}
    together : bool
        Whether the general path computes examples together.
    least : int
        The fewest examples that may be run at once: 2 where torch's gradient of one alone is wrong.
    mixes : bool
        Whether examples influence one another, so that a batch must be run as a whole and has no curvature.
    dense : bool
        Whether layers that keep few weights multiply by all of them, since the network failed otherwise.
    cut_off : indices of layers
        That the outputs depend on, though no gradient reaches them.
    said : list of str
        Of what a warning was given already: "slow". It grows, so that each is given once.
    """

    outputs: Tensor
    saved: int
    largest: int
    positions: dict[int, int] = field(default_factory=dict)
    general: dict[int, str] = field(default_factory=dict)
    together: bool = False
    least: int = 1
    mixes: bool = False
    dense: bool = False
    cut_off: tuple[int, ...] = ()
    said: list[str] = field(default_factory=list)

    def by_pairs(self, space: WeightSpace, columns: int, max_bytes: int) -> dict[int, bool]:
        """Return for each layer of the fast path whether its squares are summed by pairs of positions.

        That is where it is cheaper, and where what it stores for an example fits into an eighth of the budget.
        """
        most = max_bytes // self.outputs.element_size() // 8
        return {
            i: pairs_are_cheaper(positions, columns)
            and (positions == 1 or _pairs(positions) * space.layout[i][1][0] <= most)
            for i, positions in self.positions.items()
        }

    def bytes_of_example(self, space: WeightSpace, columns: int, max_bytes: int) -> int:
        """Return what an example takes in gradient and curvature; sums of the size of the weights are not counted.

        Parameters
        ----------
        columns : of the Hessian's root, S; 0 where no curvature is wanted
        """
        # The graph, the gradients that flow back through it, and all layers' output gradients of one column.
        numbers = self.saved + 4 * self.largest
        numbers += 4 * columns * self.outputs.numel()  # the root, and what making it takes
        largest_patches = 0
        for i, by_pairs in self.by_pairs(space, columns, max_bytes).items():
            module, positions, outputs = space.modules[i], self.positions[i], space.layout[i][1][0]
            assert isinstance(module, (nn.Linear, nn.Conv2d))
            numbers += positions * outputs
            patches = positions * module.weight[0].numel() * groups_of(module)
            largest_patches = max(largest_patches, 3 * patches)
            if by_pairs:
                numbers += _pairs(positions) * outputs
            elif columns > 1 and not patches_are_views(module):
                numbers += patches
        if columns and self.together:
            numbers += 3 * sum(space.sizes[i] for i in self.general)
        # Allocators keep up to as much again between the pieces that they hand out.
        return 2 * (numbers + largest_patches) * self.outputs.element_size()

    def examples_within(self, space: WeightSpace, columns: int, max_bytes: int) -> int:
        """Return how many examples to run at once to stay within a budget, at least the fewest that may be."""
        # A network without a graph keeps nothing.
        return max(self.least, max_bytes // max(1, self.bytes_of_example(space, columns, max_bytes)))


class SlowCurvatureWarning(UserWarning):
    """The curvature of some layers takes the general path."""


def check_curvature(footprint: Footprint, space: WeightSpace, columns: int, max_bytes: int) -> None:
    """Raise ValueError where there is no curvature, or one example's takes too much; warn, once, where it is slow."""
    if footprint.mixes:
        raise ValueError(
            "The examples of a batch influence one another in this network (batch statistics, ranks or sums over the "
            "batch), and then no example has a curvature of its own: remove that, call net.eval(), or use what needs "
            "no curvature (mp, lm)."
        )
    needed, least = (footprint.bytes_of_example(space, k, max_bytes) for k in (columns, 1))
    if needed > max_bytes >= least:
        raise ValueError(
            f"The exact curvature takes {columns:,} columns and about {needed / 2**20:,.0f} MiB for one example, more "
            f"than max_bytes ({max_bytes / 2**20:,.0f} MiB): sample it, for example with curvature_columns=4, or allow "
            "more."
        )
    if footprint.general and "slow" not in footprint.said:
        footprint.said.append("slow")
        _warn_of_slow_layers(footprint.general, space.layers, columns)


def _warn_of_slow_layers(general: dict[int, str], layers: tuple[str, ...], columns: int) -> None:
    some = "; ".join(f"{layers[i] or 'weight'}: {why}" for i, why in list(general.items())[:3])
    more = f"; and {len(general) - 3} more" if len(general) > 3 else ""
    sampled = "" if columns == 1 else "curvature_columns=1 takes one pass, "
    warn(
        f"The curvature of {len(general)} of {len(layers)} layers is computed in a way that is right for any network "
        f"but slow, with {columns} backward passes for each example ({some}{more}): {sampled}exclude= leaves layers "
        "out.",
        SlowCurvatureWarning,
    )


def _pairs(positions: int) -> int:
    return positions * (positions + 1) // 2
