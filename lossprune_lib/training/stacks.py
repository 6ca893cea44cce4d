"""The stack that trains R networks at once: a dense or a sparse one, whichever is faster."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from lossprune_lib.networks.mlps import is_mlp
from lossprune_lib.networks.weights import WeightSpace
from lossprune_lib.training.dense_stack import DenseStack
from lossprune_lib.training.sparse_stack import SparseStack

# The share of kept weights below which sparse products are faster (two CPU cores, 784-300-100-10, batches of 100).
_SPARSE_BELOW = 0.4


class Stack(Protocol):
    """The trainable numbers of R networks, in whatever form is fastest."""

    biases: dict[str, Tensor]

    @property
    def parameters(self) -> list[Tensor]: ...
    def call(self, x: Tensor) -> Tensor: ...
    def evaluate(self, x: Tensor) -> Tensor: ...
    def mask_gradients(self) -> None: ...
    def weights(self) -> Tensor: ...


def stack(
    space: WeightSpace,
    weights: Tensor,
    rest: dict[str, Tensor],
    kept: Tensor | None,
    shape: tuple[int, ...],
    *,
    shared_input: bool,
) -> Stack:
    """Stack networks; arguments as in `DenseStack`, with the shape of one input."""
    sparse = kept is not None and kept.float().mean().item() < _SPARSE_BELOW
    if kept is not None and sparse and is_mlp(space, shape):
        return SparseStack(space, weights, rest, kept, shared_input=shared_input)
    return DenseStack(space, weights, rest, kept, shared_input=shared_input)
