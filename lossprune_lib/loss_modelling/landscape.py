"""The true loss on a line or a plane in weight space.

All points of a slice are start + sum_k t_k d_k for the same few directions d_k. So the first layer of a network, which
is linear in its weights, is multiplied out once for each direction and only added up at each point. The layers that
follow are computed for as many points together as stay in a core's cache. This holds for multilayer perceptrons; other
networks take one point after another, with as many examples together as stay in the cache; all of them where they
influence one another.

Source: Li et al. 2018, Visualizing the Loss Landscape of Neural Nets (slices along filter-normalised directions).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lossprune_lib.checks import check_finite
from lossprune_lib.data.inputs import Inputs
from lossprune_lib.data.task import Batch
from lossprune_lib.loss_modelling.batch_loss import BatchLoss
from lossprune_lib.loss_modelling.loss import Loss
from lossprune_lib.loss_modelling.losses import cross_entropy
from lossprune_lib.networks.mlps import steps_of
from lossprune_lib.networks.weights import WeightSpace
from lossprune_lib.seeds import generator

_CACHE_BYTES = 8 * 2**20

Positions = Sequence[float] | Tensor


def line(
    net: nn.Module | WeightSpace,
    batch: Batch,
    direction: Tensor,
    at: Positions,
    start: Tensor | None = None,
    *,
    loss: Loss = cross_entropy,
    max_bytes: int = 2**30,
) -> Tensor:
    """Return the mean loss of a batch at start + t direction, for each t.

    Parameters
    ----------
    net : a network in eval mode, or the space of those of its weights that D counts; it is not changed
    batch : inputs and targets, with the N examples first
    direction : [D]
    at : P values of t
    start : [D], the network's own weights by default
    max_bytes : what activations and weights may take

    Returns
    -------
    Tensor
        [P], in nats for the cross-entropy; on the CPU, wherever the network is.

    Raises
    ------
    ValueError, TypeError
        if the network, the batch, a direction or a position cannot be used; the message says what to do.
    """
    risk = BatchLoss(net, batch, loss=loss, max_bytes=max_bytes)
    return losses_at(risk, [direction], positions(at, risk, "at").unsqueeze(1), start)


def plane(
    net: nn.Module | WeightSpace,
    batch: Batch,
    first: Tensor,
    second: Tensor,
    at_first: Positions,
    at_second: Positions,
    start: Tensor | None = None,
    *,
    loss: Loss = cross_entropy,
    max_bytes: int = 2**30,
) -> Tensor:
    """Return the mean loss of a batch at start + a first + b second, for each a and b; otherwise as `line`.

    Returns
    -------
    Tensor
        [A, B].
    """
    risk = BatchLoss(net, batch, loss=loss, max_bytes=max_bytes)
    a, b = positions(at_first, risk, "at_first"), positions(at_second, risk, "at_second")
    return losses_at(risk, [first, second], torch.cartesian_prod(a, b), start).view(len(a), len(b))


def orthonormal(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor, tuple[float, float]]:
    """Return two directions of length 1 that span the plane of two steps, to draw it in true angles and lengths.

    Returns
    -------
    along, across : [D]
        The direction of the first step, and that of the second one's part at right angles to it; zero if there is none.
    x, y : float
        Where the second step ends: x along, y across, never below zero. The first ends at its own length along.
    """
    along = first / first.norm().clamp_min(1e-30)
    x = along @ second
    rest = second - x * along
    y = rest.norm()
    return along, rest / y.clamp_min(1e-30), (x.item(), y.item())


def random_direction(net: nn.Module | WeightSpace, seed: int = 0) -> Tensor:
    """Return a random direction [D], filter-normalised: each unit's or filter's part is as long as its weights.

    Without this, a step of one length would be a large one for a layer of small weights and a small one for another.
    """
    space = net if isinstance(net, WeightSpace) else WeightSpace(net)
    weights = space.read()
    drawn = torch.randn(space.size, generator=generator(seed, "direction"), dtype=torch.float64).to(weights)
    for part, own in zip(space.split(drawn), space.split(weights), strict=True):
        rows, of_net = part.flatten(1), own.flatten(1)
        rows.mul_((of_net.norm(dim=1) / rows.norm(dim=1).clamp_min(1e-30)).unsqueeze(1))
    return drawn


def positions(at: Positions, risk: BatchLoss, what: str) -> Tensor:
    """Return positions as a tensor [P] of the weights' dtype and device; else raise TypeError or ValueError."""
    weight = risk.space.like
    try:
        t = torch.as_tensor(at).to(dtype=weight.dtype, device=weight.device)
    except (TypeError, ValueError, RuntimeError):
        raise TypeError(f"{what} must be numbers, for example torch.linspace(0, 1, 21).") from None
    if t.ndim != 1 or len(t) == 0:
        raise ValueError(f"{what} has the shape {list(t.shape)}, but must be a list of one or more numbers.")
    return check_finite(t, what, "give numbers, for example torch.linspace(0, 1, 21)")


def losses_at(risk: BatchLoss, directions: Sequence[Tensor], points: Tensor, start: Tensor | None = None) -> Tensor:
    """Return the mean loss at start + sum_k t_k d_k, for each point t; what `line` and `plane` are made of.

    Parameters
    ----------
    directions : K vectors [D]
    points : [P, K], of the weights' dtype and device
    start : [D], the network's own weights by default

    Returns
    -------
    Tensor
        [P], on the CPU.

    Raises
    ------
    ValueError, TypeError
        if directions, points and the network's weights do not go together.
    """
    space, mlp = risk.space, risk.is_mlp
    if not directions or points.shape[1:] != (len(directions),):
        raise ValueError(
            f"points is [P, K] for K >= 1 directions, but has the shape {list(points.shape)} for {len(directions)}."
        )
    start = space.read() if start is None else start
    for what, vector in [("The start", start), *(("The direction", direction) for direction in directions)]:
        space.check_point(vector, what)
    # Of an example: each layer's output and what the activation after it makes. Of a point: its weights.
    # Where there is no graph, nothing is saved.
    outputs = sum(shape[0] for _, shape in space.layout) if mlp else max(1, risk.footprint.saved)
    numbers = max(1, risk.max_bytes // start.element_size() // 2)
    examples = max(1, (numbers - 2 * space.size) // (3 * outputs))
    if start.device.type == "cpu":
        numbers = min(numbers, max(_CACHE_BYTES // start.element_size(), space.size))
        if not mlp:
            examples = max(1, min(examples, numbers // (3 * outputs)))
    pieces = -(-risk.examples // examples)
    total = torch.zeros(len(points), dtype=torch.float64, device=start.device)
    with torch.no_grad():
        check_finite(space.run(start, risk.rest, next(risk.cut(1))[0]), "The network's output")
        for x, y in risk.cut(-(-risk.examples // pieces)):
            at_once = max(1, numbers // (space.size + 3 * outputs * len(y)))
            logits_of = (_together if mlp else _one_by_one)(risk, start, torch.stack(list(directions)), x)
            for i in range(0, len(points), at_once):
                total[i : i + at_once] += _totals(risk.loss, logits_of(points[i : i + at_once]), y)
    return (total / float(risk.loss.count(risk.y))).to("cpu", start.dtype)


LogitsOf = Callable[[Tensor], Tensor]  # points [P, K] -> their logits [P, N, C]


def _totals(loss: Loss, logits: Tensor, y: Tensor) -> Tensor:
    """Return the summed loss of each point, [P]."""
    if loss != cross_entropy or logits.ndim > 3:
        return torch.stack([loss.total(of_a_point, y) for of_a_point in logits])
    each = F.cross_entropy(logits.flatten(0, 1), y.repeat(len(logits)), reduction="none")
    return each.view(len(logits), -1).sum(1)


def _at(points: Tensor, start: Tensor, along: Tensor) -> Tensor:
    """Return start + sum_k t_k along_k for points t [P, K], start [A, B] and along [K, A, B]: [P, A, B]."""
    t = points[:, :, None, None]
    at = torch.addcmul(start, t[:, 0], along[0])
    for k in range(1, len(along)):
        at.addcmul_(t[:, k], along[k])
    return at


def _tanh_(h: Tensor) -> Tensor:
    """Turn h into its tanh = 2 sigmoid(2 h) - 1: on a CPU torch's own tanh takes three times as long."""
    return h.mul_(2).sigmoid_().mul_(2).sub_(1)


def _one_by_one(risk: BatchLoss, start: Tensor, directions: Tensor, x: Inputs) -> LogitsOf:
    def logits_of(points: Tensor) -> Tensor:
        return torch.stack([risk.space.run(start + point @ directions, risk.rest, x) for point in points])

    return logits_of


def _together(risk: BatchLoss, start: Tensor, directions: Tensor, x: Tensor) -> LogitsOf:
    """Run a multilayer perceptron at several points at once."""
    space, rest = risk.space, risk.rest
    assert isinstance(space.net, nn.Sequential)
    steps = steps_of(space.net)
    layers = [step for step in steps if isinstance(step, nn.Linear)]
    parts = dict(zip(layers, zip(space.split(start), space.split(directions), strict=True), strict=True))
    biases = {
        layer: rest[f"{name}.bias"] for layer, name in zip(layers, space.layers, strict=True) if layer.bias is not None
    }
    before, after = steps[: steps.index(layers[0])], steps[steps.index(layers[0]) + 1 :]
    h = x.flatten(1)
    for step in before:
        h = step(h)
    at_start, along = parts[layers[0]]
    first = h @ at_start.T + biases.get(layers[0], 0)
    moves = h @ along.mT  # [K, N, M]

    def logits_of(points: Tensor) -> Tensor:
        h = _at(points, first, moves)
        for step in after:
            if step in parts:
                weights = _at(points, *parts[step])
                h = torch.baddbmm(biases[step], h, weights.mT) if step in biases else h @ weights.mT
            else:
                h = _tanh_(h) if type(step) is nn.Tanh and h.is_cpu else step(h)
        return h

    return logits_of
