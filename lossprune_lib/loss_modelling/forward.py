"""A forward pass that records what gradient and curvature need: each layer's input, and where its output goes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge
from torch.func import functional_call

from lossprune_lib.networks.weights import WeightSpace


@dataclass(frozen=True)
class Recording:
    """A forward pass with its graph: logits [N, C], and each prunable layer's input and the edge of its output."""

    logits: Tensor
    weights: list[Tensor]
    inputs: list[Tensor]
    outputs: list[GradientEdge]
    output_shapes: list[torch.Size]

    def gradient(self, loss: Tensor, keep_graph: bool = False) -> Tensor:
        """Return the gradient [D] of a scalar by the weights."""
        gradients = torch.autograd.grad(loss, self.weights, retain_graph=keep_graph)
        return torch.cat([gradient.reshape(-1) for gradient in gradients])

    def along(self, vectors: Tensor) -> Tensor:
        """Return the sum of the logits times vectors [N, C], a scalar: its gradients are each example's J^T v.

        Passing the vectors to torch as `grad_outputs` does the same, but loads sympy for a check of shapes: half a
        second and 45 MiB.
        """
        with torch.enable_grad():
            return (self.logits * vectors).sum()


def record(space: WeightSpace, weights: Tensor, rest: Mapping[str, Tensor], x: Tensor) -> Recording:
    """Run the network at weights [D] on inputs x [N, ...], and keep what gradient and curvature need.

    Raises
    ------
    ValueError
        if a prunable layer runs more or less than once, or not with the examples in the first dimension, or without a
        graph.
    """
    if torch.is_inference_mode_enabled():
        raise ValueError("There are no gradients in torch.inference_mode: leave it first (torch.no_grad is fine).")
    seen: dict[nn.Module, tuple[Tensor, GradientEdge, torch.Size]] = {}
    leaves = [part.detach().requires_grad_() for part in space.parts(weights)]
    with torch.enable_grad(), _watching(space, len(x), seen):
        logits = functional_call(space.net, {**rest, **dict(zip(space.names, leaves, strict=True))}, (x,))
    for module, name in zip(space.modules, space.layers, strict=True):
        if module not in seen:
            raise ValueError(
                f"Layer {name!r} does not run in a forward pass (or its weight is used without calling it), so its "
                "curvature would be zero: remove the layer, or call it as a module."
            )
    inputs, outputs, shapes = (list(part) for part in zip(*(seen[m] for m in space.modules), strict=True))
    return Recording(logits, leaves, inputs, outputs, shapes)


@contextmanager
def _watching(
    space: WeightSpace, examples: int, seen: dict[nn.Module, tuple[Tensor, GradientEdge, torch.Size]]
) -> Iterator[None]:
    names: dict[nn.Module, str] = dict(zip(space.modules, space.layers, strict=True))

    def hook(
        module: nn.Module, arguments: tuple[Tensor, ...], named: dict[str, Tensor], output: Tensor
    ) -> Tensor | None:
        if module in seen:
            raise ValueError(
                f"Layer {names[module]!r} runs more than once in a forward pass, and its curvature would be wrong: "
                "give each use a layer of its own."
            )
        if output.shape[0] != examples:
            raise ValueError(
                f"Layer {names[module]!r} gives an output of shape {list(output.shape)} for {examples} examples: the "
                "first dimension of every layer must be the examples (batch_first, and nothing folded into the batch)."
            )
        if not output.requires_grad:
            raise ValueError(
                f"Layer {names[module]!r} runs without a graph (under torch.no_grad or inference mode), so it has no "
                "gradient: let it run as the other layers do."
            )
        # The edge, not the tensor: an in-place activation that follows rewrites the tensor, but not the edge ...
        layer_input = arguments[0] if arguments else named["input"]
        seen[module] = layer_input.detach(), get_gradient_edge(output), output.shape
        # ... unless the output is a view, whose history it rewrites too: then it gets a copy to work on.
        return output.clone() if output._is_view() else None

    handles = [module.register_forward_hook(hook, with_kwargs=True) for module in space.modules]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
