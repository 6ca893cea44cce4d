"""Multilayer perceptrons: nothing but Linear layers and activations in a row, so that many can be computed at once."""

from __future__ import annotations

import math

from torch import nn

from lossprune_lib.networks.weights import WeightSpace

# They act on each number alone, so it does not matter that units come first.
_ELEMENTWISE = (nn.Tanh, nn.ReLU, nn.Sigmoid, nn.GELU, nn.SiLU, nn.ELU, nn.LeakyReLU, nn.Softplus, nn.Identity)


def is_mlp(space: WeightSpace, shape: tuple[int, ...]) -> bool:
    """Return whether a network is Linear layers and activations in a row, on inputs [N, *shape], all of it prunable."""
    net = space.net
    if type(net) is not nn.Sequential or len(net) == 0:
        return False
    steps = steps_of(net)
    layers = [step for step in steps if type(step) is nn.Linear]
    biases = [layer.bias for layer in layers if layer.bias is not None]
    flat = len(shape) == 1
    if type(net[0]) is nn.Flatten:
        flat = net[0].start_dim == 1 and net[0].end_dim in (-1, len(shape))
    return (
        flat
        and all(type(step) in (nn.Linear, *_ELEMENTWISE) for step in steps)
        and not any(is_changed(module) for module in net.modules())
        and list(space.modules) == layers
        and len({id(bias) for bias in biases}) == len(biases)
        and layers[0].in_features == math.prod(shape)
        and not getattr(steps[0], "inplace", False)
    )


def is_changed(module: nn.Module) -> bool:
    """Return whether a module has hooks, or a forward pass that is not its class's."""
    hooks = module._forward_hooks, module._forward_pre_hooks, module._backward_hooks, module._backward_pre_hooks
    return any(hooks) or "forward" in vars(module)


def steps_of(net: nn.Sequential) -> list[nn.Module]:
    """Return the layers and activations that a multilayer perceptron applies to its flattened inputs, in order."""
    steps = list(net)  # children() lists a module that is used twice only once
    return steps[1:] if type(steps[0]) is nn.Flatten else steps
