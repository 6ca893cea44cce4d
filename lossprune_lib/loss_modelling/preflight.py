"""The preflight: whether curvature would be right for a network, tried on one or two examples before any work.

Curvature rests on two assumptions: each layer's weight gradient is its output's gradient times its input (so nothing
else uses the weight), and each example's logits depend on that example alone. What would give silently wrong numbers is
refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from lossprune_lib.checks import check_finite
from lossprune_lib.loss_modelling import curvature
from lossprune_lib.loss_modelling.footprint import Footprint
from lossprune_lib.loss_modelling.forward import Recording, record
from lossprune_lib.networks.validation import check_logits, in_words
from lossprune_lib.networks.weights import WeightSpace
from lossprune_lib.seeds import generator


def preflight(space: WeightSpace, rest: Mapping[str, Tensor], x: Tensor) -> Footprint:
    """Try the network on the first examples of x [N, ...].

    Raises
    ------
    ValueError
        if the network cannot run on such inputs, is random, changes its input, mixes examples, or
        uses a prunable weight otherwise than its layer does; the message says what to do.
    """
    weights, examples = space.read(), x[:2]
    two = examples.clone()
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes() // tensor.element_size()
        # Without its graph: an operation's saved output would keep that operation alive for good.
        return tensor.detach()

    with in_words(two):
        with torch.no_grad():
            together = space.run(weights, rest, two)
        with torch.autograd.graph.saved_tensors_hooks(pack, Tensor.detach):
            recording = record(space, weights, rest, two[:1])
    if not torch.equal(two, examples):
        raise ValueError("The network changes its input in place, and with it your data: let it work on a copy.")
    check_logits(together, len(two))
    check_logits(recording.logits, 1)
    check_finite(together, "The network's output")
    logits = recording.logits.detach()
    for parameter in [weights, *recording.weights]:
        kept.pop(parameter.untyped_storage().data_ptr(), None)
    with torch.no_grad():
        again = space.run(weights, rest, two)
    _check_rows(together, again, logits)
    _check_weight_gradients(space, recording)
    outputs = [module.weight.shape[0] for module in space.modules]
    positions = [shape.numel() // count for shape, count in zip(recording.output_shapes, outputs, strict=True)]
    return Footprint(logits, sum(kept.values()), max(kept.values(), default=0), positions, outputs)


def _check_rows(together: Tensor, again: Tensor, alone: Tensor) -> None:
    """Raise ValueError unless logits [2, C] repeat exactly, and the first example's do not depend on the second."""
    if not torch.equal(again, together):
        raise ValueError(
            "The network gives other logits when it runs again: call net.eval(), or remove what draws random numbers."
        )
    if not _close(together[:1], alone):
        raise ValueError(
            "The first example's logits depend on the other examples of the batch, and then no example has a curvature "
            "of its own: remove batch statistics, or call net.eval()."
        )


def _check_weight_gradients(space: WeightSpace, recording: Recording) -> None:
    """Raise ValueError unless each layer's weight gradient is its output's gradient times its input."""
    direction = torch.randn(recording.logits.shape, generator=generator(0, "preflight"), dtype=torch.float64)
    wanted: list[Any] = [*recording.weights, *recording.outputs]
    scalar = recording.along(direction.to(recording.logits))
    found = torch.autograd.grad(scalar, wanted, allow_unused=True, retain_graph=True)
    layers = len(space.modules)
    for i, (module, name) in enumerate(zip(space.modules, space.layers, strict=True)):
        gradient, output = found[i], found[layers + i]
        if gradient is None or output is None:
            raise ValueError(
                f"The output of layer {name!r} does not reach the logits (it is detached, or not used), so its "
                "curvature would be zero: remove the layer, or use its output."
            )
        if not _close(curvature.weight_gradient(module, recording.inputs[i], output), gradient):
            raise ValueError(
                f"The weight of layer {name!r} is not used by a plain Linear or Conv2d alone: it is used elsewhere "
                "too, changed in forward, or behind a hook. Its curvature would be wrong: give each use a plain layer "
                "of its own."
            )


def _close(a: Tensor, b: Tensor) -> bool:
    # Other batch sizes and other orders of summation round otherwise; what is meant here differs by tenths.
    tolerance = 1e-3 if b.dtype == torch.float32 else 1e-6
    return bool((a - b).abs().max() <= tolerance * b.abs().max().clamp_min(torch.finfo(b.dtype).tiny))
