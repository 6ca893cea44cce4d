"""How a network uses its prunable layers in a forward pass: what it records for curvature, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge
from torch.func import functional_call

from lossprune_lib.weights import WeightSpace


@dataclass(frozen=True)
class Recording:
    """A forward pass with its graph: logits [N, C], and each prunable layer's input and the edge of its output."""

    logits: Tensor
    weights: list[Tensor]
    inputs: list[Tensor]
    outputs: list[GradientEdge]

    def gradient(self, loss: Tensor, keep_graph: bool = False) -> Tensor:
        """Return the gradient [D] of a scalar by the weights."""
        gradients = torch.autograd.grad(loss, self.weights, retain_graph=keep_graph)
        return torch.cat([gradient.reshape(-1) for gradient in gradients])


def record(space: WeightSpace, weights: Tensor, rest: Mapping[str, Tensor], x: Tensor) -> Recording:
    """Run the network at weights [D] on inputs x [N, ...], and keep what gradient and curvature need."""
    inputs: dict[nn.Module, Tensor] = {}
    outputs: dict[nn.Module, GradientEdge] = {}

    def keep(module: nn.Module, layer_input: Tensor, output: Tensor) -> None:
        inputs[module] = layer_input.detach()
        # The edge, not the tensor: an in-place activation that follows rewrites the tensor, never the edge.
        outputs[module] = get_gradient_edge(output)

    leaves = [part.detach().requires_grad_() for part in space.split(weights)]
    with torch.enable_grad(), _watching(space, len(x), keep):
        logits = functional_call(space.net, {**rest, **dict(zip(space.names, leaves, strict=True))}, (x,))
    _check_logits(logits, x)
    return Recording(logits, leaves, [inputs[m] for m in space.modules], [outputs[m] for m in space.modules])


@dataclass(frozen=True)
class LayerSize:
    """The size of one layer's work for one example."""

    inputs: int  # numbers in its input
    positions: int  # output positions: 1 for a Linear layer on [N, F], height x width for a convolution
    outputs: int  # numbers at each position


Survey = tuple[list[LayerSize], int]


def survey(space: WeightSpace, weights: Tensor, rest: Mapping[str, Tensor], x: Tensor) -> Survey:
    """Run the network on the first example: return each layer's size and the number of classes.

    The answer is kept in the space, for inputs of the same shape.

    Raises
    ------
    ValueError
        if the network is in training mode, or uses a prunable layer more or less than once, or not with the examples
        in the first dimension, or does not give logits [N, C].
    """
    check_mode(space.net)
    key = tuple(x.shape[1:])
    if key in space.surveys:
        return space.surveys[key]
    sizes: dict[nn.Module, LayerSize] = {}

    def keep(module: nn.Module, layer_input: Tensor, output: Tensor) -> None:
        assert isinstance(module, (nn.Linear, nn.Conv2d))
        outputs = module.weight.shape[0]
        sizes[module] = LayerSize(layer_input.numel(), output.numel() // outputs, outputs)

    with torch.no_grad(), _watching(space, 1, keep):
        logits = space.call(weights, rest, x[:1])
    _check_logits(logits, x[:1])
    space.surveys[key] = [sizes[module] for module in space.modules], logits.shape[1]
    return space.surveys[key]


@contextmanager
def _watching(space: WeightSpace, examples: int, keep: Callable[[nn.Module, Tensor, Tensor], None]) -> Iterator[None]:
    names: dict[nn.Module, str] = dict(zip(space.modules, space.layers, strict=True))
    seen: set[nn.Module] = set()

    def hook(module: nn.Module, arguments: tuple[Tensor, ...], named: dict[str, Tensor], output: Tensor) -> None:
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
        seen.add(module)
        keep(module, arguments[0] if arguments else named["input"], output)

    handles = [module.register_forward_hook(hook, with_kwargs=True) for module in space.modules]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
    for module, name in names.items():
        if module not in seen:
            raise ValueError(
                f"Layer {name!r} does not run in a forward pass (or its weight is used without calling it), so its "
                "curvature would be zero: remove the layer, or call it as a module."
            )


def check_mode(net: nn.Module) -> None:
    """Raise ValueError if a batch norm or dropout is in training mode: the loss is then no function of the weights."""
    for name, module in net.named_modules():
        is_norm = isinstance(module, nn.modules.batchnorm._BatchNorm)
        if is_norm and (module.training or module.running_mean is None):
            reason = "is in training mode" if module.running_mean is not None else "keeps no running statistics"
            raise ValueError(
                f"Batch norm {name!r} {reason}, so that examples influence one another and no loss model holds: "
                + ("call net.eval() first." if module.running_mean is not None else "make it with track_running_stats.")
            )
        if isinstance(module, nn.modules.dropout._DropoutNd) and module.training and module.p > 0:
            raise ValueError(f"Dropout {name!r} is in training mode, so the loss is random: call net.eval() first.")


def _check_logits(logits: object, x: Tensor) -> None:
    if not isinstance(logits, Tensor) or logits.ndim != 2 or len(logits) != len(x):
        kind = f"shape {list(logits.shape)}" if isinstance(logits, Tensor) else f"type {type(logits).__name__}"
        raise ValueError(f"The network's output has {kind}, but must be logits [N, C] = [{len(x)}, classes].")
