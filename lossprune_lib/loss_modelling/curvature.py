r"""The fast path: the diagonal of the generalised Gauss-Newton matrix (GGN) over Linear and Conv2d weights.

It holds where the layer is called once and its weight used in no other way; all others take the path of `general`.

For a mean loss over N examples with outputs z_n, the GGN is the mean of J_n^T H_n J_n, with J_n the Jacobian of z_n and
H_n the Hessian of the loss by z_n. Writing H_n = sum_s r_ns r_ns^T (the columns of a root of H_n), one backward pass
per column s, for all examples at once, gives the vectors J_n^T r_ns at every layer's output, and the diagonal is the
mean over examples of the sum over columns of the squared weight gradients. Weight gradients of single examples are
never stored; how their squares are summed depends on the layer.

**One position** (a Linear layer on [N, F]). The weight gradient of example n is g_ns x_n^T, so the squares sum to
(sum_s g_ns^2)^T (x_n^2): one matrix product for all columns.

**L positions** (a convolution over L output positions, a Linear layer on [N, L, F]). The weight gradient is
sum_l g_nsl x_nl^T, and its square does not factorise. Two exact ways:

- *by examples*: one product [M, L] x [L, K] per example and column, squared and added: S L multiplications a weight;
- *by pairs*: expand the square into pairs of positions,
  sum over l <= l' of w (sum_s g_nsl g_nsl') (x_nl x_nl') with w = 1 where l = l' and 2 elsewhere: one product of inner
  size N L (L+1) / 2 for all columns together: (L+1) / 2 multiplications a weight. One position is its case L = 1.

By pairs is the cheaper where L < 2 S - 1, with S = C - 1 columns for the cross-entropy of C classes.

Source: Laurent et al. 2020, section 2 (the GGN as the Hessian); Martens 2020, New Insights and Perspectives on the
Natural Gradient Method, section 8 (the GGN).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lossprune_lib.loss_modelling.backward import Backward
from lossprune_lib.loss_modelling.forward import Recording
from lossprune_lib.networks.sparse import Pattern
from lossprune_lib.networks.weights import WeightSpace

_CACHE_BYTES = 4 * 2**20  # products of single examples are squared while they are still in a core's cache
_MINIMUM_BATCH = 16  # a batch of fewer products than this took up to 1.5 times as long as one after another


def ggn_diagonals(
    space: WeightSpace,
    recording: Recording,
    root: Tensor,
    by_pairs: Mapping[int, bool],
    sums: Sequence[Tensor],
    patterns: Mapping[int, Pattern],
    backward: Backward,
    advance: Callable[[], object],
) -> None:
    """Add the recorded layers' parts of the diagonal of the GGN, summed over the examples of a recording.

    Parameters
    ----------
    recording : of N examples
    root : [S, N, ...]
        For each example, S columns whose outer products sum to the Hessian of its loss by its outputs.
    by_pairs : {index of a layer: whether its squares are summed by pairs of positions}
    sums : for each layer, in the shape of its weight
        They are added here. By pairs, the expanded square of a small sum may round to just below zero.
    patterns : {index of a layer: where its few kept weights are}
        By pairs, the sums are of these alone.
    backward : how a column goes back to the recorded layers
    advance : called after each column
    """
    calls, examples = recording.calls, root.shape[1]
    squares: dict[int, _SquaresByPairs | _SquaresByExamples] = {}
    for column in root if calls else ():
        for i, gradient in backward.through(column):
            module: Any = space.modules[i]
            kind = _SquaresByPairs if by_pairs[i] else _SquaresByExamples
            square = squares.get(i) or kind(module, calls[i].input, examples, sums[i], patterns.get(i))
            square.add(gradient)
            if len(root) > 1:
                squares[i] = square
            else:
                # Layer by layer, so that only one layer's patches are there at a time.
                square.finish(backward.slopes.get(i))
        advance()
    for i, square in squares.items():
        square.finish(backward.slopes.get(i))


class _SquaresByPairs:
    """Sums one layer's squared weight gradients over examples and columns, by pairs of positions."""

    def __init__(
        self, module: nn.Linear | nn.Conv2d, x: Tensor, examples: int, sums: Tensor, pattern: Pattern | None
    ) -> None:
        self.module, self.input, self.examples, self.sums, self.pattern = module, x, examples, sums, pattern
        self.pairs: list[Tensor] = []  # for each position l: [G, L - l, N, M]

    def add(self, gradient: Tensor) -> None:
        """Take one column's gradient by the layer's output."""
        g = _positions_first(_positions(self.module, gradient, self.examples))  # [G, L, N, M]
        if self.pairs:
            for position, pair in enumerate(self.pairs):
                pair.addcmul_(g[:, position:], g[:, position : position + 1])
        else:
            self.pairs = [g[:, position:] * g[:, position : position + 1] for position in range(g.shape[1])]

    def finish(self, slope: Tensor | None) -> None:
        """Add what was taken to the sums, after a product with the slope [N, M] that is still to come, if any."""
        if slope is not None:  # of a layer with one position
            self.pairs[0].mul_(slope.square())
        x = _positions_first(patches(self.module, self.input, self.examples))  # [G, L, N, K]
        sums = _by_groups(self.module, self.sums)
        for position, pair in enumerate(self.pairs):
            pair[:, 1:].mul_(2)
            x_pair = x[:, position:] * x[:, position : position + 1]
            g_rows, x_rows = pair.flatten(1, 2).mT, x_pair.flatten(1, 2)
            if self.pattern is None:
                sums.baddbmm_(g_rows, x_rows)
            else:  # of a Linear layer, which has one group
                self.sums.view(-1).index_add_(0, self.pattern.flat, self.pattern.products(g_rows[0], x_rows[0].T))


class _SquaresByExamples:
    """The same by products of single examples."""

    def __init__(
        self, module: nn.Linear | nn.Conv2d, x: Tensor, examples: int, sums: Tensor, pattern: Pattern | None
    ) -> None:
        self.module, self.examples = module, examples
        self.patches = patches(module, x, examples).mT  # [N, G, L, K]
        self.sums = _by_groups(module, sums)

    def add(self, gradient: Tensor) -> None:
        """Take one column's gradient by the layer's output."""
        g = _positions(self.module, gradient, self.examples)  # [N, G, M, L]
        at_once = _CACHE_BYTES // (self.sums.numel() * self.sums.element_size())
        if at_once < _MINIMUM_BATCH:
            at_once = 1
        at_once = min(at_once, len(g))
        buffer = self.sums.new_empty(at_once, *self.sums.shape)  # one for all, since the system must clear new memory
        for g_part, x_part in zip(g.split(at_once), self.patches.split(at_once), strict=True):
            products = torch.matmul(g_part, x_part, out=buffer[: len(g_part)])  # [n, G, M, K]
            if len(products) == 1:
                self.sums.addcmul_(products[0], products[0])
            else:
                self.sums.add_(products.square_().sum(0))

    def finish(self, slope: Tensor | None) -> None:
        """Leave the sums as they are: each column was added to them."""
        assert slope is None  # such layers have several positions, those with a slope one


def pairs_are_cheaper(positions: int, columns: int) -> bool:
    """Return whether pairs of positions cost fewer multiplications than products of single examples and columns."""
    return positions == 1 or positions < 2 * columns - 1


def weight_gradients(module: nn.Linear | nn.Conv2d, x: Tensor, gradient: Tensor, examples: int) -> Tensor:
    """Return a layer's weight gradient for each example [N, *shape], from its input and its output's gradient."""
    products = _positions(module, gradient, examples) @ patches(module, x, examples).mT
    return products.reshape(examples, *module.weight.shape)


def groups_of(module: nn.Linear | nn.Conv2d) -> int:
    """Return how many groups of inputs and outputs a layer's weight connects, each to itself."""
    return 1 if isinstance(module, nn.Linear) else module.groups


def patches_are_views(module: nn.Linear | nn.Conv2d) -> bool:
    """Return whether a layer's patches are its input itself, so that they take no memory of their own."""
    return isinstance(module, nn.Linear) or (
        module.kernel_size == (1, 1) == module.stride and not any(module._reversed_padding_repeated_twice)
    )


def _by_groups(module: nn.Linear | nn.Conv2d, like_weight: Tensor) -> Tensor:
    """Return a view [G, outputs M, fan-in K] of a tensor in the shape of a layer's weight."""
    return like_weight.flatten(1).unflatten(0, (groups_of(module), -1))


def patches(module: nn.Linear | nn.Conv2d, x: Tensor, examples: int) -> Tensor:
    """Return what each weight is multiplied with: [N, groups G, fan-in K, positions L]."""
    if isinstance(module, nn.Linear):
        return x.reshape(examples, 1, -1, x.shape[-1]).mT
    right, _, down, _ = padding = module._reversed_padding_repeated_twice
    even = padding == [right, right, down, down]
    if any(padding) and not (even and module.padding_mode == "zeros"):
        mode = "constant" if module.padding_mode == "zeros" else module.padding_mode
        x, right, down = F.pad(x, padding, mode=mode), 0, 0
    if module.kernel_size == (1, 1) and not right and not down:
        columns = x[:, :, :: module.stride[0], :: module.stride[1]].flatten(2)
    else:  # which pads by zeros without a copy
        columns = F.unfold(x, module.kernel_size, module.dilation, (down, right), module.stride)
    return _unfolded(columns.unflatten(1, (module.groups, -1)), examples)


def _positions_first(rows: Tensor) -> Tensor:
    """Return [N, G, M, L] as [G, L, N, M]; one position stays stored as it is."""
    rows = rows.permute(1, 3, 0, 2)
    return rows if rows.shape[1] == 1 else rows.contiguous()


def _positions(module: nn.Linear | nn.Conv2d, gradient: Tensor, examples: int) -> Tensor:
    """Return an output's gradient as [N, groups G, outputs M, positions L]."""
    if isinstance(module, nn.Linear):
        return gradient.reshape(examples, 1, -1, gradient.shape[-1]).mT
    return _unfolded(gradient.flatten(2).unflatten(1, (module.groups, -1)), examples)


def _unfolded(rows: Tensor, examples: int) -> Tensor:
    """Return [N, G, K, L] of rows [N W, G, K, L / W], where each example was folded into W rows."""
    if len(rows) == examples:
        return rows
    return rows.unflatten(0, (examples, -1)).permute(0, 2, 3, 1, 4).flatten(3)
