"""A loss model restricted to the weights that a mask keeps: gradient and curvature by these alone.

Pruned weights stay pruned, so no pruning reads the derivatives by them. In late stages that is nearly all of the work:
where a linear layer keeps few of its weights, its products run over these, forward, backward, and for gradient and
curvature.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from contextlib import contextmanager
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor, nn

from lossprune_lib.networks.sparse import Pattern, linear
from lossprune_lib.networks.threads import alone
from lossprune_lib.networks.weights import WeightSpace
from lossprune_lib.warn import warn

_SPARSE_BELOW = 0.3  # of a layer's weights: then sparse products are faster (784-300-100-10, 1,000 examples)


class DenseProductsWarning(UserWarning):
    """A network cannot run by the kept weights alone, so late stages take as long as early ones."""


def warn_of_dense_products(reason: str) -> None:
    """Say that a network cannot run by the kept weights alone, and why."""
    warn(
        f"This network cannot run by its kept weights alone ({reason}), so it runs by all of them and late stages take "
        "as long as early ones: where a layer's outputs take a .view, a .reshape mends that.",
        DenseProductsWarning,
    )


class Restriction:
    """Which weights are kept; all others are zero, and their derivatives count as zero.

    Attributes
    ----------
    kept : [D]
        1 where a weight is kept, else 0.
    """

    def __init__(self, space: WeightSpace, kept: Tensor) -> None:
        self.space, self.kept = space, kept.to(space.like.dtype)

    @cached_property
    def patterns(self) -> dict[int, Pattern]:
        """For each layer whose products are sparse, by its index, where its kept weights are."""
        layers = zip(self.space.modules, self.space.plain, self.space.split(self.kept), strict=True)
        return {
            i: Pattern.of(part != 0, dtype=part.dtype)
            for i, (module, plain, part) in enumerate(layers)
            # Where they pay was measured on a CPU.
            if plain and isinstance(module, nn.Linear) and part.device.type == "cpu" and part.mean() < _SPARSE_BELOW
        }

    @contextmanager
    def applied(self, layers: Container[int]) -> Iterator[None]:
        """Let those of some layers that keep few weights multiply by these alone, within this context."""
        chosen: dict[Any, Pattern] = {
            self.space.modules[i]: pattern for i, pattern in self.patterns.items() if i in layers
        }
        with alone(self.space.net):
            for module, pattern in chosen.items():
                module.forward = partial(_forward, module, pattern)
            try:
                yield
            finally:
                for module in chosen:
                    del module.forward


def _forward(module: nn.Linear, pattern: Pattern, input: Tensor) -> Tensor:
    if input.dtype != module.weight.dtype or torch.is_autocast_enabled(input.device.type):
        return nn.functional.linear(input, module.weight, module.bias)
    values = module.weight.reshape(-1).index_select(0, pattern.flat)
    outputs = linear(pattern, values, input.reshape(-1, input.shape[-1]), module.bias)
    return outputs.reshape(*input.shape[:-1], -1)
