"""The preflight: how a network can be modelled, tried on two of its examples, together and alone, before any work.

Curvature needs examples that do not influence one another; a layer's own rule for its weight gradients (the fast path)
needs the layer to be used once, in its plain form. What does not hold is found out here, and never assumed.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from lossprune_lib.checks import check_finite
from lossprune_lib.data.inputs import Inputs, change, count, part, tensors_of
from lossprune_lib.loss_modelling import curvature
from lossprune_lib.loss_modelling.footprint import Footprint
from lossprune_lib.loss_modelling.forward import Recording, record
from lossprune_lib.loss_modelling.general import Point, squares_together
from lossprune_lib.networks.validation import in_words
from lossprune_lib.networks.weights import WeightSpace
from lossprune_lib.seeds import generator


def preflight(space: WeightSpace, rest: Mapping[str, Tensor], x: Inputs) -> Footprint:
    """Try the network on the first two examples of x (or on one and its mirror image).

    Raises
    ------
    ValueError
        if the network cannot run on such inputs, is random, or changes its input; the message says what to do.
    """
    weights, first = space.read(), part(x, slice(2)) if count(x) > 1 else change(x, _with_mirror_image)
    pair = change(first, Tensor.clone)
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes() // tensor.element_size()
        # Without its graph: an operation's saved output would keep that operation alive for good.
        return tensor.detach()

    plain = [i for i, is_plain in enumerate(space.plain) if is_plain]
    with in_words(pair):
        with torch.autograd.graph.saved_tensors_hooks(pack, Tensor.detach):
            together = record(space, weights, rest, pair, 2, plain)
        if any(not torch.equal(*both) for both in zip(tensors_of(pair), tensors_of(first), strict=True)):
            raise ValueError("The network changes its input in place, and with it your data: let it work on a copy.")
        outputs = check_finite(together.outputs.detach(), "The network's output")
        _check_repeats(outputs, lambda: space.run(weights, rest, pair).to(weights.dtype))
        alone = [_alone(space, weights, rest, pair, i, plain) for i in range(2)]
    for parameter in [weights, *together.weights]:
        kept.pop(parameter.untyped_storage().data_ptr(), None)
    sizes = [size // 2 for size in kept.values()]
    found = outputs[:1], sum(sizes), max(sizes, default=0)
    if not all(_close(a.outputs[:1].detach(), outputs[i : i + 1]) for i, a in enumerate(alone)):
        return Footprint(*found, mixes=True)
    # A loss may send its gradient back transposed where this one's was not.
    pairs_only = outputs.ndim > 2 and any(isinstance(module, _BatchNorm) for module in space.net.modules())
    if _all_rules_hold(space, together, alone):
        return Footprint(*found, _positions(space, together), least=1 + pairs_only)
    least, gradients, by_outputs = _gradients(together, alone)
    least = 2 if pairs_only else least
    positions, general = _paths(space, together, gradients, by_outputs)
    point, vectors = Point(space, space.parts(weights), rest), _direction(outputs).unsqueeze(0)
    at_once = least == 1 and _works_together(point, general, pair, vectors, gradients)
    return Footprint(*found, positions, general, at_once, least)


def _with_mirror_image(x: Tensor) -> Tensor:
    return torch.cat([x, x.flip(-1) if x.ndim > 1 else x])


def _alone(
    space: WeightSpace, weights: Tensor, rest: Mapping[str, Tensor], pair: Inputs, i: int, watched: list[int]
) -> Recording:
    """Run one of two examples alone; or beside itself, if the network cannot run on one."""
    try:
        return record(space, weights, rest, part(pair, slice(i, i + 1)), 1, watched)
    except (RuntimeError, ValueError, IndexError):
        return record(space, weights, rest, part(pair, torch.tensor([i, i])), 2, ())


@torch.no_grad()
def _check_repeats(outputs: Tensor, run: Callable[[], Tensor]) -> None:
    again = run()
    # Some layers are computed in another way where no gradient is needed, which rounds otherwise.
    if not torch.equal(outputs, again) and not (_close(again, outputs) and torch.equal(again, run())):
        raise ValueError(
            "The network gives other outputs when it runs again: call net.eval(), or remove what draws random numbers."
        )


def _direction(outputs: Tensor) -> Tensor:
    return torch.randn(outputs.shape, generator=generator(0, "preflight"), dtype=torch.float64).to(outputs)


def _all_rules_hold(space: WeightSpace, together: Recording, alone: list[Recording]) -> bool:
    """Return whether each layer's own rule gives the gradients of each example, together and alone: the usual network.

    It is looked at with each layer's outputs added up with random factors, which takes a fraction of the products; and
    an example alone need not go back through the weights. Where the answer is no, each layer is looked at in full.
    """
    layers, vectors = range(len(space.layers)), _direction(together.outputs)
    if any(list(recording.calls) != list(together.calls) for recording in alone) or set(together.calls) != set(layers):
        return False
    if len(alone[0].outputs) > 1 or not together.outputs.requires_grad:
        return False
    factors = [_direction(weight.flatten(1)[:, 0]) for weight in together.weights]

    def by_rule(recording: Recording, gradients: Sequence[Tensor | None], examples: int) -> list[Tensor | None]:
        modules: list[Any] = [space.modules[i] for i in recording.calls]
        each = zip(modules, recording.calls.items(), gradients, strict=True)
        return [
            None if g is None else curvature.added_gradients(module, call.input, g, examples, factors[i])
            for module, (i, call), g in each
        ]

    try:
        edges: list[Any] = [call.edge for call in together.calls.values()]
        wanted = [*edges, *together.weights]
        found = torch.autograd.grad(together.along(vectors), wanted, retain_graph=True, allow_unused=True)
        of_pair, of_weights = by_rule(together, found[: len(edges)], 2), found[len(edges) :]
        for n, recording in enumerate(alone):
            own: list[Any] = [call.edge for call in recording.calls.values()]
            along = recording.along(vectors[n : n + 1])
            back = torch.autograd.grad(along, own, retain_graph=True, allow_unused=True)
            for ours, one in zip(of_pair, by_rule(recording, back, 1), strict=True):
                if ours is None or one is None or not _close(ours[n], one[0]):
                    return False
    except (RuntimeError, IndexError):  # such as a convolution that pads its input in its own way
        return False
    for i, ours in zip(together.calls, of_pair, strict=True):
        gradient: Any = of_weights[i]
        module: Any = space.modules[i]
        if gradient is None or ours is None:
            return False
        summed = curvature.add_outputs(module, gradient, factors[i])
        if not _close(ours.sum(0), summed):
            return False
    return True


def _positions(space: WeightSpace, together: Recording) -> dict[int, int]:
    return {i: call.shape.numel() // 2 // space.layout[i][1][0] for i, call in together.calls.items()}


Gradients = list[list[Tensor | None]]  # of each example, by each layer's weight


def _gradients(together: Recording, alone: list[Recording]) -> tuple[int, Gradients, list[Tensor | None]]:
    """Return the fewest examples that torch's gradients are right for, and each example's; and those by the outputs.

    Torch's own backward pass of batch norm in eval mode is wrong for one example whose gradient arrives transposed.
    """
    vectors = _direction(together.outputs)
    edges = [call.edge for call in together.calls.values()]

    def by_weights(recording: Recording, v: Tensor, more: list[Any]) -> list[Tensor | None]:
        wanted: list[Any] = [*recording.weights, *more]
        if not recording.outputs.requires_grad:
            return [None] * len(wanted)
        return list(torch.autograd.grad(recording.along(v), wanted, retain_graph=True, allow_unused=True))

    of_pair = by_weights(together, vectors, edges)
    layers = len(together.weights)
    beside = torch.zeros_like(vectors[:1])
    own = [
        by_weights(recording, torch.cat([vectors[i : i + 1], beside])[: len(recording.outputs)], [])
        for i, recording in enumerate(alone)
    ]
    if len(alone[0].outputs) == 1 and all(
        _close(_sum(a, b), _sum(whole)) for a, b, whole in zip(*own, of_pair[:layers], strict=True)
    ):
        return 1, own, of_pair[layers:]
    one_at_a_time = [torch.zeros_like(vectors).index_copy(0, torch.tensor([i]), vectors[i : i + 1]) for i in range(2)]
    return 2, [by_weights(together, v, []) for v in one_at_a_time], of_pair[layers:]


def _paths(
    space: WeightSpace, together: Recording, gradients: Gradients, by_outputs: list[Tensor | None]
) -> tuple[dict[int, int], dict[int, str]]:
    """Return the positions of the layers whose own rule holds, and why it does not for the others."""
    edge_gradients = dict(zip(together.calls, by_outputs, strict=True))
    all_positions, positions, general = _positions(space, together), {}, {}
    for i, module in enumerate(space.modules):
        of_output = edge_gradients.get(i)
        if all(of_example[i] is None for of_example in gradients):
            general[i] = "the output does not depend on it"
        elif not space.plain[i]:
            general[i] = f"it belongs to {_a(type(module).__name__)}, or to several layers"
        elif of_output is None:
            general[i] = "it is not called once as a module, with the examples first"
        elif not _rule_holds(module, together.calls[i].input, of_output, [of_example[i] for of_example in gradients]):
            general[i] = "its weight is changed before use, or used elsewhere too"
        else:
            positions[i] = all_positions[i]
    return positions, general


def _rule_holds(module: Any, x: Tensor, gradient: Tensor, wanted: list[Tensor | None]) -> bool:
    try:
        found = curvature.weight_gradients(module, x, gradient, 2)
    except (RuntimeError, IndexError):  # such as a convolution that pads its input in its own way
        return False
    return all(_close(of_example, _sum(want, like=of_example)) for of_example, want in zip(found, wanted, strict=True))


def _works_together(point: Point, general: Mapping[int, str], x: Inputs, vectors: Tensor, gradients: Gradients) -> bool:
    """Return whether torch can compute examples together for this network, and rightly."""
    if not general:
        return True
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on how fast torch's fallbacks are
        try:
            found = squares_together(point, list(general), x, vectors)
        except Exception:  # whatever torch.func cannot do for this network; then one example after another
            return False
    there = {i: [of_one for gradient in gradients if (of_one := gradient[i]) is not None] for i in general}
    return all(_close(found[i], _sum(*(g.square() for g in there[i]), like=found[i])) for i in general)


def _sum(*parts: Tensor | None, like: Tensor | None = None) -> Tensor:
    """Return the sum of the tensors that there are; zeros like another one if there is none."""
    there = [part for part in parts if part is not None]
    return sum(there[1:], there[0]) if there else torch.zeros(()) if like is None else torch.zeros_like(like)


def _a(name: str) -> str:
    return f"an {name}" if name[0] in "AEIOU" else f"a {name}"


def _close(a: Tensor, b: Tensor) -> bool:
    # Other batch sizes and other orders of summation round otherwise; what is meant here differs by tenths.
    tolerance = 1e-3 if b.dtype == torch.float32 else 1e-6
    return bool((a - b).abs().max() <= tolerance * b.abs().max().clamp_min(torch.finfo(b.dtype).tiny))
