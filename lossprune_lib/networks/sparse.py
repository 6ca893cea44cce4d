"""Products with a matrix of which few entries are kept: they take the multiplications of the kept entries alone.

Activations are stored as [units, N] on the way, so that a kept weight multiplies a row of N contiguous numbers.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from lossprune_lib.networks.selection import places

_SAMPLED_BELOW = 0.18  # of the entries: then torch finds them faster one by one than in a whole product


@dataclass(frozen=True, eq=False)
class Pattern:
    """Where the kept entries of a matrix [M, K] are, row by row.

    Attributes
    ----------
    rows, columns : [V]
    shape : (M, K)
    flat : [V]
        Their places in what the matrix was made of, flattened.
    dtype : of the entries
    """

    rows: Tensor
    columns: Tensor
    shape: tuple[int, int]
    flat: Tensor
    dtype: torch.dtype

    @classmethod
    def of(cls, kept: Tensor, shared_input: bool = True, *, dtype: torch.dtype) -> Pattern:
        """Return the pattern of a bool matrix [M, K], or of R of them [R, M, K] as one.

        That one is [R M, K] if all have the same input, else block-diagonal [R M, R K].
        """
        outputs, inputs = kept.shape[-2:]
        flat, networks = places(kept.reshape(-1)), kept.numel() // (outputs * inputs)
        columns, shape = flat % inputs, (networks * outputs, inputs)
        if not shared_input:
            columns, shape = columns + flat // (outputs * inputs) * inputs, (networks * outputs, networks * inputs)
        return cls(flat // inputs, columns, shape, flat, dtype)

    def times(self, values: Tensor, h: Tensor) -> Tensor:
        """Return the product [M, N] of the matrix, given by its kept entries [V], with h [K, N]."""
        return _sums(self.columns, self._row_ends, values, h)

    def transposed_times(self, values: Tensor, g: Tensor) -> Tensor:
        """Return the product [K, N] of the transposed matrix with g [M, N]."""
        by_column, rows, ends = self._transposed
        return _sums(rows, ends, values[by_column], g)

    def products(self, g: Tensor, h: Tensor) -> Tensor:
        """Return the entries [V] of g h^T, for g [M, N] and h [K, N]."""
        if len(self.flat) > _SAMPLED_BELOW * math.prod(self.shape):
            return (g @ h.T)[self.rows, self.columns]
        return torch.sparse.sampled_addmm(self._zeros, g, h.T, beta=0.0).values()

    @cached_property
    def _zeros(self) -> Tensor:
        entries = torch.zeros(len(self.columns), dtype=self.dtype, device=self.columns.device)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
            return torch.sparse_csr_tensor(self._row_ends, self.columns, entries, self.shape, check_invariants=False)

    @cached_property
    def _row_ends(self) -> Tensor:
        return _ends(self.rows, self.shape[0])

    @cached_property
    def _transposed(self) -> tuple[Tensor, Tensor, Tensor]:
        by_column = self.columns.argsort(stable=True)
        return by_column, self.rows[by_column], _ends(self.columns, self.shape[1])


def linear(pattern: Pattern, values: Tensor, x: Tensor, bias: Tensor | None) -> Tensor:
    """Return what a linear layer gives [N, M] for x [N, K], its weights given by their kept entries [V].

    Differentiable, and each gradient is computed only where it is asked for.
    """
    h = x.T.contiguous()
    by_weights = _Bias.apply(values, x.new_zeros(pattern.shape[0]) if bias is None else bias, h.detach(), pattern)
    return _Product.apply(values.detach(), h, pattern).add_(by_weights).T


class _Product(torch.autograd.Function):
    """The product with the input, and the gradient by it."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, h: Tensor, pattern: Pattern) -> Tensor:
        ctx.save_for_backward(values)
        ctx.pattern = pattern
        return pattern.times(values, h)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor, None]:
        return None, ctx.pattern.transposed_times(*ctx.saved_tensors, gradient.contiguous()), None


class _Bias(torch.autograd.Function):
    """The bias, and the gradient by it and by the weights: apart from that by the input, so that each is paid alone."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, bias: Tensor, h: Tensor, pattern: Pattern) -> Tensor:
        ctx.save_for_backward(h)
        ctx.pattern = pattern
        return bias.unsqueeze(1).expand(-1, h.shape[1])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        by_values = ctx.pattern.products(gradient, *ctx.saved_tensors) if ctx.needs_input_grad[0] else None
        return by_values, gradient.sum(1) if ctx.needs_input_grad[1] else None, None, None


def _ends(index: Tensor, size: int) -> Tensor:
    ends = torch.zeros(size + 1, dtype=torch.int64, device=index.device)
    ends[1:] = torch.bincount(index, minlength=size).cumsum(0)
    return ends


def _sums(index: Tensor, ends: Tensor, values: Tensor, h: Tensor) -> Tensor:
    # A sparse product is a bag of weighted rows; torch's kernel for bags beats its kernels for sparse matrices.
    return F.embedding_bag(index, h, ends, mode="sum", per_sample_weights=values, include_last_offset=True)
