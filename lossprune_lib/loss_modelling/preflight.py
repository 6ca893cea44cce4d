"""The preflight: how a network can be modelled, tried on two of its examples, together and alone, before any work.

Curvature needs examples that do not influence one another; a layer's own rule for its weight gradients (the fast path)
needs the layer to be used once, in its plain form. What does not hold is found out here, and never assumed.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from lossprune_lib.checks import check_finite, with_article
from lossprune_lib.data.inputs import Inputs, change, count, part, tensors_of
from lossprune_lib.loss_modelling import curvature
from lossprune_lib.loss_modelling.confirm import direction
from lossprune_lib.loss_modelling.cut_off import layers_that_matter
from lossprune_lib.loss_modelling.footprint import Footprint
from lossprune_lib.loss_modelling.forward import Recording, record
from lossprune_lib.loss_modelling.general import Point, squares_together
from lossprune_lib.networks.validation import close, in_words
from lossprune_lib.networks.weights import WeightSpace


def preflight(space: WeightSpace, rest: Mapping[str, Tensor], x: Inputs) -> Footprint:
    """Try the network on two examples of x.

    Raises
    ------
    ValueError
        if the network cannot run on such inputs, is random, or changes its input; the message says what to do.
    """
    weights, first = space.read(), two_of(x)
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
        if are_different(pair, first):
            raise ValueError("The network changes its input in place, and with it your data: let it work on a copy.")
        check_finite(together.outputs.detach(), "The network's output")
        _check_repeats(together.outputs.detach(), lambda: space.run(weights, rest, pair).to(weights.dtype))
        _check_keeps(lambda: record(space, weights, rest, pair, 2, ()))
        alone = [_alone(space, weights, rest, pair, i) for i in range(2)]
    outputs = together.outputs.detach()
    for parameter in [weights, *together.weights]:
        kept.pop(parameter.untyped_storage().data_ptr(), None)
    sizes = [size // 2 for size in kept.values()]
    found = outputs[:1], sum(sizes), max(sizes, default=0)
    with _gradients_in_words():
        least, gradients, by_outputs = _gradients(together, alone)
    without = [i for i in range(len(space.layers)) if all(of_example[i] is None for of_example in gradients)]
    cut_off = layers_that_matter(space, rest, pair, outputs, without)
    if not all(close(a.outputs[:1].detach(), outputs[i : i + 1]) for i, a in enumerate(alone)):
        return Footprint(*found, mixes=True, cut_off=cut_off)
    if outputs.ndim > 2 and any(isinstance(module, _BatchNorm) for module in space.net.modules()):
        least = 2  # a loss may send its gradient back transposed where this one's was not
    positions, general = _paths(space, together, gradients, by_outputs)
    general |= dict.fromkeys(cut_off, "no gradient reaches it, although the output depends on it")
    point, vectors = Point(space, space.split(weights), rest), direction(outputs).unsqueeze(0)
    at_once = least == 1 and _works_together(point, general, pair, vectors, gradients)
    return Footprint(*found, positions, general, at_once, least, cut_off=cut_off)


def two_of(x: Inputs) -> Inputs:
    """Return the first example of x and the first that differs from it; a single one comes with a mirror image."""
    if count(x) == 1:
        return change(x, _with_mirror_image)
    # Equal ones would not show that they influence one another, by differences for example.
    other = next((i for i in range(1, count(x)) if are_different(part(x, slice(1)), part(x, slice(i, i + 1)))), 1)
    return part(x, torch.tensor([0, other]))


def are_different(a: Inputs, b: Inputs) -> bool:
    """Return whether some inputs of one shape differ."""
    return any(not torch.equal(*both) for both in zip(tensors_of(a), tensors_of(b), strict=True))


def _with_mirror_image(x: Tensor) -> Tensor:
    mirrored = x.flip(-1) if x.ndim > 1 else x
    # Half as bright, since what is the same for an image and its mirror image would not show: sums, the largest number.
    return torch.cat([x, mirrored / 2 if x.is_floating_point() else mirrored])


def _alone(space: WeightSpace, weights: Tensor, rest: Mapping[str, Tensor], pair: Inputs, i: int) -> Recording:
    """Run one of two examples alone; or beside itself, if the network cannot run on one."""
    try:
        return record(space, weights, rest, part(pair, slice(i, i + 1)), 1, ())
    except (RuntimeError, ValueError, IndexError):
        return record(space, weights, rest, part(pair, torch.tensor([i, i])), 2, ())


@torch.no_grad()
def _check_repeats(outputs: Tensor, run: Callable[[], Tensor]) -> None:
    again = run()
    # Some layers are computed in another way where no gradient is needed, which rounds otherwise.
    if not torch.equal(outputs, again) and not (close(again, outputs) and torch.equal(again, run())):
        raise ValueError(
            "The network gives other outputs when it runs again: call net.eval(), or remove what draws random numbers."
        )


def _check_keeps(run: Callable[[], object]) -> None:
    """Raise ValueError if a network computes parts of itself again for its gradients (checkpointing).

    By then it has its own weights again. Whatever else changes what is kept for the gradients is refused with it.
    """
    not_kept = "The network does not keep what its gradients need"
    try:
        with torch.autograd.graph.disable_saved_tensors_hooks(not_kept):
            run()
    except RuntimeError as error:
        if not_kept not in str(error):
            raise
        raise ValueError(
            f"{not_kept}, but computes it again (checkpointing), and would do so at other weights than are asked for: "
            "switch that off, for example with net.gradient_checkpointing_disable(), or remove it."
        ) from None


@contextmanager
def _gradients_in_words() -> Iterator[None]:
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        reason = str(error).partition("\n")[0].partition(". ")[0].partition(":")[0].rstrip(".")
        raise ValueError(
            f"Torch has no gradients for this network ({reason}): remove what prevents them, such as a change in place "
            "of a tensor that they need, or checkpointing."
        ) from error


Gradients = list[list[Tensor | None]]  # of each example, by each layer's weight


def _gradients(together: Recording, alone: list[Recording]) -> tuple[int, Gradients, list[Tensor | None]]:
    """Return the fewest examples that torch's gradients are right for, and each example's; and those by the outputs.

    Torch's own backward pass of batch norm in eval mode is wrong for one example whose gradient arrives transposed.
    """
    vectors = direction(together.outputs)
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
        close(_sum(a, b), _sum(whole)) for a, b, whole in zip(*own, of_pair[:layers], strict=True)
    ):
        return 1, own, of_pair[layers:]
    one_at_a_time = [
        torch.zeros_like(vectors).index_copy(0, torch.tensor([i], device=vectors.device), vectors[i : i + 1])
        for i in range(2)
    ]
    return 2, [by_weights(together, v, []) for v in one_at_a_time], of_pair[layers:]


def _paths(
    space: WeightSpace, together: Recording, gradients: Gradients, by_outputs: list[Tensor | None]
) -> tuple[dict[int, int], dict[int, str]]:
    """Return the positions of the layers whose own rule holds, and why it does not for the others."""
    edge_gradients = dict(zip(together.calls, by_outputs, strict=True))
    positions, general = {}, {}
    for i, module in enumerate(space.modules):
        of_output = edge_gradients.get(i)
        if all(of_example[i] is None for of_example in gradients):
            general[i] = "the output does not depend on it"
        elif not space.plain[i]:
            general[i] = (
                f"it belongs to {with_article(type(module).__name__)}, to several layers, or to a forward of its own"
            )
        elif of_output is None:
            general[i] = "it is not called once as a module, with the examples first"
        elif not _rule_holds(module, together.calls[i].input, of_output, [of_example[i] for of_example in gradients]):
            general[i] = "its weight is changed before use, or used elsewhere too"
        else:
            positions[i] = together.calls[i].shape.numel() // 2 // space.layout[i][1][0]
    return positions, general


def _rule_holds(module: Any, x: Tensor, gradient: Tensor, wanted: list[Tensor | None]) -> bool:
    try:
        found = curvature.weight_gradients(module, x, gradient, 2)
    except (RuntimeError, IndexError):  # such as a convolution that pads its input in its own way
        return False
    return all(close(of_example, _sum(want, like=of_example)) for of_example, want in zip(found, wanted, strict=True))


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
    return all(close(found[i], _sum(*(g.square() for g in there[i]), like=found[i])) for i in general)


def _sum(*parts: Tensor | None, like: Tensor | None = None) -> Tensor:
    """Return the sum of the tensors that there are; zeros like another one if there is none."""
    there = [part for part in parts if part is not None]
    return sum(there[1:], there[0]) if there else torch.zeros(()) if like is None else torch.zeros_like(like)
