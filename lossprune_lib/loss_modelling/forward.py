"""A forward pass that records what gradient and curvature need: each layer's input, and where its output goes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge

from lossprune_lib.data.inputs import Inputs
from lossprune_lib.networks.threads import alone
from lossprune_lib.networks.validation import check_rows
from lossprune_lib.networks.weights import WeightSpace


@dataclass(frozen=True)
class Call:
    """How a layer was called: its input, apart from the graph and in it, its output's edge there, and its shape."""

    input: Tensor
    source: Tensor
    edge: GradientEdge
    shape: torch.Size


@dataclass(frozen=True)
class Recording:
    """A forward pass with its graph: outputs [N, ...], the weights' leaves, and the calls of the watched layers.

    Attributes
    ----------
    calls : {index of a layer: its call}
        Only of those that were called once, in a form that its own rule for gradients may hold for.
    """

    outputs: Tensor
    weights: list[Tensor]
    calls: dict[int, Call]

    def add_gradient(self, loss: Tensor, sums: Sequence[Tensor], keep_graph: bool = False) -> None:
        """Add the gradient of a scalar by the weights to sums in their shapes."""
        if not loss.requires_grad:
            return
        found = torch.autograd.grad(loss, self.weights, retain_graph=keep_graph, allow_unused=True)
        for so_far, gradient in zip(sums, found, strict=True):
            if gradient is not None:  # else it does not depend on them
                so_far.add_(gradient)

    def along(self, vectors: Tensor) -> Tensor:
        """Return the sum of the outputs times vectors [N, ...], a scalar: its gradients are each example's J^T v.

        Passing the vectors to torch as `grad_outputs` does the same, but loads sympy for a check of shapes: half a
        second and 45 MiB.
        """
        with torch.enable_grad():
            return (self.outputs * vectors).sum()


def record(
    space: WeightSpace, weights: Tensor, rest: Mapping[str, Tensor], x: Inputs, examples: int, watched: Sequence[int]
) -> Recording:
    """Run the network at weights [D] on inputs x of some examples, and keep what gradient and curvature need.

    Parameters
    ----------
    watched : the indices of layers whose calls are recorded
    """
    if torch.is_inference_mode_enabled():
        raise ValueError("There are no gradients in torch.inference_mode: leave it first (torch.no_grad is fine).")
    check_precision(weights)
    leaves = [part.detach().requires_grad_() for part in space.split(weights)]
    calls: dict[int, Call | None] = {}
    with alone(space.net), torch.enable_grad(), _watching(space, watched, examples, calls):
        outputs = check_rows(space.run_parts(leaves, rest, x), examples)
        # A network that computes in another precision (autocast) still has its loss in that of its weights.
        outputs = outputs.to(weights.dtype) if outputs.is_floating_point() else outputs
    return Recording(outputs, leaves, {i: call for i, call in calls.items() if call is not None})


def check_precision(weights: Tensor) -> None:
    """Raise ValueError within torch.autocast, which would round losses and their derivatives."""
    if torch.is_autocast_enabled(weights.device.type):
        raise ValueError(
            "A loss model is not computed in the low precision of torch.autocast: leave it first (in a network's own "
            "forward pass it is fine)."
        )


@contextmanager
def _watching(
    space: WeightSpace, watched: Sequence[int], examples: int, calls: dict[int, Call | None]
) -> Iterator[None]:
    index = {space.modules[i]: i for i in watched}

    def hook(
        module: nn.Module, arguments: tuple[Tensor, ...], named: dict[str, Tensor], output: Tensor
    ) -> Tensor | None:
        i = index[module]
        x = arguments[0] if arguments else named.get("input")
        # Called twice, without a graph, or with something else than examples first: no case for the layer's own rule.
        if i in calls or not isinstance(x, Tensor) or not _usual(x, output, examples, space.like.dtype):
            calls[i] = None
            return None
        # The edge, not the tensor: an in-place activation that follows rewrites the tensor, but not the edge ...
        calls[i] = Call(x.detach(), x, get_gradient_edge(output), output.shape)
        # ... unless the output is a view, whose history it rewrites too: then it gets a copy to work on.
        return output.clone() if output._is_view() else None

    # Before all others, which may change the output.
    handles = [module.register_forward_hook(hook, prepend=True, with_kwargs=True) for module in index]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _usual(x: Tensor, output: object, examples: int, dtype: torch.dtype) -> bool:
    """Return whether examples may come first in a layer's input and output: each in one row, or folded into several."""
    if not isinstance(output, Tensor) or not output.requires_grad or x.ndim < 2 or len(x) == 0:
        return False
    return len(x) % examples == 0 and len(output) == len(x) and x.dtype == output.dtype == dtype
