"""SparseStack: R pruned multilayer perceptrons as one sparse network, which stores and computes only kept weights.

Stacked along their units, R networks are one network whose matrices are block-diagonal. At 99 % sparsity a product with
such a matrix takes a hundredth of the multiplications of a dense one, and the optimizer sees a hundredth of the
numbers. The gradient, too, is computed for the kept weights alone.
"""

from __future__ import annotations

from torch import Tensor, nn

from lossprune_lib.networks.mlps import steps_of
from lossprune_lib.networks.sparse import Pattern, linear
from lossprune_lib.networks.weights import WeightSpace


class SparseStack:
    """R pruned networks as one.

    Attributes
    ----------
    values : the kept weights of each layer, of all networks together
    biases : by name, each [R, M]
    """

    def __init__(
        self, space: WeightSpace, weights: Tensor, rest: dict[str, Tensor], kept: Tensor, *, shared_input: bool
    ) -> None:
        """Stack networks.

        Parameters
        ----------
        space : of one of them, for which `mlps.is_mlp` holds
        weights, kept : [R, D], the second bool
        rest : the biases by name, each [R, M]
        shared_input : whether all networks see the same examples, or each its own
        """
        self.space, self.kept, self.shared_input = space, kept, shared_input
        self.biases = {name: tensor.clone().requires_grad_() for name, tensor in rest.items()}
        self.values: list[Tensor] = []
        self.patterns: list[Pattern] = []
        for dense, mask in zip(space.split(weights), space.split(kept), strict=True):
            self.values.append(dense[mask].requires_grad_())
            self.patterns.append(Pattern.of(mask, shared_input and not self.patterns, dtype=weights.dtype))

    @property
    def parameters(self) -> list[Tensor]:
        return [*self.values, *self.biases.values()]

    def call(self, x: Tensor) -> Tensor:
        """Return logits [R, N, C] of inputs [N, ...], or of each network's own [R, N, ...]."""
        return self._call(x.flatten(1) if self.shared_input else x.flatten(2).movedim(0, 1).flatten(1))

    def evaluate(self, x: Tensor) -> Tensor:
        """Return logits [R, N, C] of inputs [N, ...] that all networks see."""
        x = x.flatten(1)
        return self._call(x if self.shared_input else x.repeat(1, len(self.kept)))

    def _call(self, x: Tensor) -> Tensor:
        modules = dict(
            zip(self.space.modules, zip(self.space.layers, self.values, self.patterns, strict=True), strict=True)
        )
        assert isinstance(self.space.net, nn.Sequential)
        for step in steps_of(self.space.net):
            if step not in modules:
                x = step(x)
                continue
            layer, values, pattern = modules[step]
            bias = None if step.bias is None else self.biases[f"{layer}.bias"].reshape(-1)
            x = linear(pattern, values, x, bias)
        return x.unflatten(1, (len(self.kept), -1)).movedim(1, 0)

    def mask_gradients(self) -> None:
        """Do nothing: there are no pruned weights here."""

    def weights(self) -> Tensor:
        """Return all weights [R, D], zero where pruned."""
        dense = self.values[0].new_zeros(self.kept.shape)
        for part, mask, values in zip(self.space.split(dense), self.space.split(self.kept), self.values, strict=True):
            part[mask] = values.detach()
        return dense
