"""DenseStack: R networks of any architecture as one, each layer a batch of R weights; masks act on the gradients."""

from __future__ import annotations

import torch
from torch import Tensor

from lossprune_lib.networks.attention import plain_attention
from lossprune_lib.networks.weights import WeightSpace


class DenseStack:
    """R networks of any architecture as one.

    Attributes
    ----------
    layers : the weights of each layer, each [R, ...]
    biases : the other parameters by name, each [R, ...]
    """

    def __init__(
        self,
        space: WeightSpace,
        weights: Tensor,
        rest: dict[str, Tensor],
        kept: Tensor | None,
        *,
        shared_input: bool,
    ) -> None:
        """Stack networks.

        Parameters
        ----------
        space : of one of them
        weights, kept : [R, D], the second bool, or None where all are kept
        rest : biases and the like by name, each [R, ...]
        shared_input : whether all networks see the same examples, or each its own
        """
        self.space, self.shared_input = space, shared_input
        weights = weights if kept is None else weights * kept
        self.masks = None if kept is None else [part.to(weights.dtype) for part in self.space.split(kept)]
        self.layers = [part.clone().requires_grad_() for part in self.space.split(weights)]
        self.biases = {name: tensor.clone().requires_grad_() for name, tensor in rest.items()}

    @property
    def parameters(self) -> list[Tensor]:
        return [*self.layers, *self.biases.values()]

    def call(self, x: Tensor) -> Tensor:
        """Return logits [R, N, C] of inputs [N, ...], or of each network's own [R, N, ...]."""
        return self._call(x, None if self.shared_input else 0)

    def evaluate(self, x: Tensor) -> Tensor:
        """Return logits [R, N, C] of inputs [N, ...] that all networks see."""
        return self._call(x, None)

    def _call(self, x: Tensor, in_dim: int | None) -> Tensor:
        def one(layers: list[Tensor], biases: dict[str, Tensor], x: Tensor) -> Tensor:
            return self.space.run_parts(layers, biases, x)

        with plain_attention():
            return torch.func.vmap(one, in_dims=(0, 0, in_dim))(self.layers, self.biases, x)

    def mask_gradients(self) -> None:
        """Set the gradients of pruned weights to zero."""
        # Where the gradient, and so the momentum, is zero from the start, a zero weight stays zero.
        for layer, mask in zip(self.layers, self.masks or (), strict=self.masks is not None):
            assert layer.grad is not None
            layer.grad.mul_(mask)

    def weights(self) -> Tensor:
        """Return all weights [R, D]."""
        return torch.cat([layer.detach().flatten(1) for layer in self.layers], dim=1)
