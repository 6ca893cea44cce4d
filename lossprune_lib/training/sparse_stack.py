"""SparseStack: R pruned multilayer perceptrons as one sparse network, which stores and computes only kept weights.

Stacked along their units, R networks are one network whose matrices are block-diagonal. At 99 % sparsity a product with
such a matrix takes a hundredth of the multiplications of a dense one, and the optimizer sees a hundredth of the
numbers. The gradient, too, is computed for the kept weights alone.

Activations are stored as [units, N], so that a kept weight multiplies a row of N contiguous numbers.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from lossprune_lib.networks.mlps import steps_of
from lossprune_lib.networks.weights import WeightSpace


@dataclass(frozen=True)
class _Structure:
    """Where the kept weights of a layer are in the stacked matrix [R M, K or R K]: by rows, and transposed."""

    columns: Tensor
    row_ends: Tensor
    rows_by_column: Tensor
    column_ends: Tensor
    by_column: Tensor  # the permutation from entries by row to entries by column
    zeros: Tensor  # sparse, [R M, K or R K]

    @classmethod
    def of(cls, kept: Tensor, shared_input: bool, dtype: torch.dtype) -> _Structure:
        networks, outputs, inputs = kept.shape
        network, row, column = kept.nonzero().unbind(1)
        row = row + network * outputs
        if not shared_input:
            column = column + network * inputs
        shape = networks * outputs, inputs if shared_input else networks * inputs
        by_column = column.argsort(stable=True)
        ends = [_ends(index, size) for index, size in zip((row, column), shape, strict=True)]
        values = torch.zeros(len(row), dtype=dtype, device=kept.device)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
            zeros = torch.sparse_csr_tensor(ends[0], column, values, shape, check_invariants=False)
        return cls(column, ends[0], row[by_column], ends[1], by_column, zeros)


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
        self.structures: list[_Structure] = []
        for dense, mask in zip(space.split(weights), space.split(kept), strict=True):
            self.values.append(dense[mask].requires_grad_())
            first = not self.structures
            self.structures.append(_Structure.of(mask, shared_input and first, weights.dtype))

    @property
    def parameters(self) -> list[Tensor]:
        return [*self.values, *self.biases.values()]

    def call(self, x: Tensor) -> Tensor:
        """Return logits [R, N, C] of inputs [N, ...], or of each network's own [R, N, ...]."""
        return self._call(x.flatten(1).T.contiguous() if self.shared_input else x.flatten(2).mT.flatten(0, 1))

    def evaluate(self, x: Tensor) -> Tensor:
        """Return logits [R, N, C] of inputs [N, ...] that all networks see."""
        h = x.flatten(1).T.contiguous()
        return self._call(h if self.shared_input else h.repeat(len(self.kept), 1))

    def _call(self, h: Tensor) -> Tensor:
        modules = dict(
            zip(self.space.modules, zip(self.space.layers, self.values, self.structures, strict=True), strict=True)
        )
        assert isinstance(self.space.net, nn.Sequential)
        for step in steps_of(self.space.net):
            if step not in modules:
                h = step(h)
                continue
            layer, values, structure = modules[step]
            h = _Product.apply(values, h, structure)
            if step.bias is not None:
                h = h + self.biases[f"{layer}.bias"].reshape(-1, 1)
        return h.unflatten(0, (len(self.kept), -1)).mT

    def mask_gradients(self) -> None:
        """Do nothing: there are no pruned weights here."""

    def weights(self) -> Tensor:
        """Return all weights [R, D], zero where pruned."""
        dense = self.values[0].new_zeros(self.kept.shape)
        for part, mask, values in zip(self.space.split(dense), self.space.split(self.kept), self.values, strict=True):
            part[mask] = values.detach()
        return dense


def _ends(index: Tensor, size: int) -> Tensor:
    ends = torch.zeros(size + 1, dtype=torch.int64, device=index.device)
    ends[1:] = torch.bincount(index, minlength=size).cumsum(0)
    return ends


def _sums(index: Tensor, ends: Tensor, values: Tensor, h: Tensor) -> Tensor:
    # A sparse product is a bag of weighted rows; torch's kernel for bags beats its kernels for sparse matrices.
    return F.embedding_bag(index, h, ends, mode="sum", per_sample_weights=values, include_last_offset=True)


class _Product(torch.autograd.Function):
    """A sparse matrix, given by its kept entries, times dense rows; and the gradient of both."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, h: Tensor, structure: _Structure) -> Tensor:
        ctx.save_for_backward(values, h)
        ctx.structure = structure
        return _sums(structure.columns, structure.row_ends, values, h)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor | None, None]:
        (values, h), s = ctx.saved_tensors, ctx.structure
        gradient = gradient.contiguous()
        by_values = torch.sparse.sampled_addmm(s.zeros, gradient, h.T, beta=0.0).values()
        by_input = None
        if ctx.needs_input_grad[1]:
            by_input = _sums(s.rows_by_column, s.column_ends, values[s.by_column], gradient)
        return by_values, by_input, None
