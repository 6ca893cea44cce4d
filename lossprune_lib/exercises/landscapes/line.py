"""Exercise 1.1: the loss on a line."""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lossprune_lib.exercises.checking import Exercise, fresh, register
from lossprune_lib.loss_modelling import landscape
from lossprune_lib.networks.weights import WeightSpace

Rest = dict[str, Tensor]


def _right(space: WeightSpace, rest: Rest, x: Tensor, y: Tensor, direction: Tensor, at: Tensor) -> Tensor:
    return landscape.line(space.net, (x, y), direction, at)


def _cases() -> list[tuple[WeightSpace, Rest, Tensor, Tensor, Tensor, Tensor]]:
    source, cases = fresh(), []
    # One example at three places in a row: whoever sees the numbers sees where they begin to differ.
    positions = [1.0, -0.3, 0.2, 1.0], [-1.0, -0.25, 0.5, 1.25, 2.0], [0.0, 0.5, 1.0], [0.75]
    for examples, at in zip((7, 12, 1, 9), positions, strict=True):
        space = WeightSpace(_small_net(source))
        x = torch.randn(examples, 5, generator=source, dtype=torch.float64)
        y = torch.randint(4, (examples,), generator=source)
        direction = torch.randn(space.size, generator=source, dtype=torch.float64)
        cases.append((space, space.rest(), x, y, direction, torch.tensor(at).double()))
    return cases


def _small_net(source: torch.Generator) -> nn.Module:
    layers = OrderedDict(fc1=nn.Linear(5, 6), tanh=nn.Tanh(), fc2=nn.Linear(6, 4))
    net = nn.Sequential(layers).double().eval()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=source, dtype=torch.float64))
    return net


_WORDS = """
    right: A slice is nothing but the loss at points in a row: one network for each, at start + t times direction.
    hint: Is the first number, at t = 0, right? If not, start from space.read() and compare the loss with
        F.cross_entropy. If so, compare the last, at t = 1: the point there is space.read() + direction.
    logits: You return the logits for each position: the loss of a batch is one number, the mean cross-entropy.
    not-averaged: You return the loss of every example at each position: the loss of a batch is their mean.
    one-loss: You return a single loss, not one for each position. Is the return inside the loop, or do you take one
        mean too many?
    summed: You add up the losses of the examples. The loss of a batch is their mean.
    backwards: You walk backwards: the point is θ plus t times direction, not minus.
    from-zero: You start at zero: the line starts at the network's own weights, space.read().
    end-point: You walk from θ to the point `direction`. It is a direction: the end at t = 1 is θ + direction.
    unit-length: You shorten the direction to length 1. Use it as it is: at t = 1 the step is the whole direction.
    stands-still: Your loss does not move: every point has the network's own weights. Where does t come in?
    far-end: Your loss is that of the far end everywhere: multiply the direction by t.
    rise: You subtract the loss at θ. What is asked for is the loss itself, not its change.
    bits: Your loss is in bits. Everything here is in nats: use the natural logarithm.
    softmax-twice: You take softmax twice: F.cross_entropy does it by itself, so give it the logits.
    mean-probability: You average probabilities, not their logarithms: F.cross_entropy takes the logits.
    log-of-mean: You take the logarithm of a mean probability. Take it for each example first, then the mean.
    sign: Your loss has the wrong sign: the cross-entropy is minus the logarithm of the probability.
    accuracy: This is the accuracy along the line. What is asked for is the loss, F.cross_entropy.
    error: This is the error along the line. What is asked for is the loss, F.cross_entropy.
    counted-positions: You count the positions 0, 1, 2, ... instead of using their values in `at`.
    own-positions: You use positions of your own between 0 and 1: use those in `at`, which may lie anywhere.
    walks-on: You walk on from the last point. Each point starts at θ: do you add to one vector again and again?
    sorted: Your losses are sorted. Keep the order of `at`.
    no-biases: You run the network without its biases: pass on `rest` as it is given.
"""


@torch.no_grad()
def _wrong(space: WeightSpace, rest: Rest, x: Tensor, y: Tensor, direction: Tensor, at: Tensor) -> dict[str, Tensor]:
    theta, right = space.read(), _right(space, rest, x, y, direction, at)
    line = theta + at[:, None] * direction
    logits = space.call(line, rest, x)

    def along(points: Tensor, biases: Rest = rest) -> Tensor:
        return torch.stack([F.cross_entropy(scores, y) for scores in space.call(points, biases, x)])

    def each(loss: Any) -> Tensor:
        return torch.stack([loss(scores) for scores in logits])

    start, steps = along(theta.expand_as(line)), torch.arange(len(at))
    return {
        "summed": right * len(x),
        "backwards": along(theta - at[:, None] * direction),
        "from-zero": along(at[:, None] * direction),
        "end-point": along((1 - at[:, None]) * theta + at[:, None] * direction),
        "unit-length": along(theta + at[:, None] * direction / direction.norm()),
        "stands-still": start,
        "far-end": along((theta + direction).expand_as(line)),
        "rise": right - start,
        "bits": right / math.log(2),
        "softmax-twice": each(lambda z: F.cross_entropy(z.softmax(1), y)),
        "mean-probability": each(lambda z: F.nll_loss(z.softmax(1), y)),
        "log-of-mean": each(lambda z: -z.softmax(1).gather(1, y[:, None]).mean().log()),
        "sign": -right,
        "accuracy": each(lambda z: (z.argmax(1) == y).double().mean()),
        "error": each(lambda z: (z.argmax(1) != y).double().mean()),
        "counted-positions": along(theta + steps[:, None] * direction),
        "own-positions": along(theta + torch.linspace(0, 1, len(at))[:, None] * direction),
        "walks-on": along(theta + at.cumsum(0)[:, None] * direction),
        "sorted": right.sort().values,
        "no-biases": along(line, {name: torch.zeros_like(bias) for name, bias in rest.items()}),
    }


def _signs(
    found: list[Tensor], space: WeightSpace, rest: Rest, x: Tensor, y: Tensor, direction: Tensor, at: Tensor
) -> dict[str, bool]:
    shape = tuple(found[0].shape)
    return {"logits": len(shape) == 3, "not-averaged": shape == (len(at), len(x)), "one-loss": not shape}


register(
    "loss on a line",
    Exercise(_right, _cases, _wrong, _WORDS, ("the tensor of losses",), signs=_signs),
)
