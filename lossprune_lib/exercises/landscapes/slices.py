"""The checks of the exercises in notebook landscapes."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lossprune_lib.exercises.checking import Answer, Mistake, call, choice, close, exercise, tensor
from lossprune_lib.exercises.landscapes.geometry import named, numbers, short
from lossprune_lib.loss_modelling import landscape
from lossprune_lib.networks.weights import WeightSpace
from lossprune_lib.seeds import generator


@exercise("step length")
def _step_length(answer: Answer) -> str:
    draws = generator(0, "exercise", "step length")
    cases = [(torch.tensor([1.5, -2.1, 0.7, -0.4]), torch.tensor([False, False, True, True]))]
    for size, share in ((60, 0.5), (301, 0.9), (40, 0.1)):
        weights = torch.randn(size, generator=draws) * torch.logspace(-1, 1, size)
        cases.append((weights, torch.rand(size, generator=draws) > share))
    already = torch.randn(50, generator=draws) * (torch.rand(50, generator=draws) > 0.5)
    cases.append((already, torch.arange(50) < 20))  # some of the pruned weights are zero already
    for weights, kept in cases:
        _one_step_length(answer, weights.double(), kept)
    dense = numbers(call(answer, cases[1][0].double(), torch.ones(60, dtype=torch.bool)), 2, "length and share")
    if not close(torch.tensor(dense), torch.zeros(2)):
        raise Mistake(
            f"With a mask that keeps every weight nothing moves, but your length and share are {short(dense)}."
        )
    return "The step is as long as the vector of the weights that go. Its square is the sum of their squares."


def _one_step_length(answer: Answer, weights: Tensor, kept: Tensor) -> None:
    length, share = numbers(call(answer, weights, kept), 2, "length and share")
    gone, left, whole = weights[~kept], weights[kept], weights.norm()
    right = gone.norm()
    named(length, [] if close(length, right) else [
        (gone.square().sum(), "Your length is squared: it is the sum of the squares, and the root is missing."),
        (gone.abs().sum(), "Your length adds the sizes of the weights. A straight line is shorter: square, add, take the root."),
        (gone.sum(), "Your length adds the weights with their signs. Square them first, and take the root of the sum."),
        (-gone.sum(), "Your length adds the weights with their signs. Square them first, and take the root of the sum."),
        (gone.sum().abs(), "Your length adds the weights with their signs. Square them first, and take the root of the sum."),
        (left.norm(), "This is the length of the weights that are kept. The step is made of those that go: where kept is False."),
        (left.square().sum(), "This is made of the weights that are kept, and not rooted. The step is made of those that go."),
        (whole - left.norm(), "Lengths of vectors do not subtract: |θ| minus |θ*m| is how much nearer to zero the network is, not how far it went."),
        (whole, "This is |θ|, the length of all weights: the mask plays no part in it."),
        (gone.square().mean().sqrt(), "This is a root mean square: take the sum over the pruned weights, not the mean."),
        (gone.norm() / math.sqrt(len(weights)), "This is a root mean square: take the sum, not the mean."),
        (gone.abs().max(), "This is the largest single move. The length takes all of them together."),
        (float((~kept).sum()), "This counts the pruned weights. A weight moves by its own size, not by one."),
        (float((~kept).sum()) ** 0.5, "This takes the length of the mask: a weight moves by its own size, not by one."),
        (right / whole, "Your first number is the share: the length comes first, then its share of |θ|."),
    ])  # fmt: skip
    if not close(length, right):
        raise Mistake(_step_case(weights, kept, length, right.item(), "length"))
    named(share, [] if close(share, right / whole) else [
        (whole, "Your second number is |θ| itself: the share is the step's length divided by it."),
        (100 * right / whole, "Your share is in per cent: give a number between 0 and 1."),
        ((right / whole).square(), "Your share is squared: divide lengths, not squared lengths."),
        (whole / right, "Your share is upside down: divide the step's length by |θ|."),
        (right / left.norm(), "You divide by the length of what is left. The share is of |θ|, of all weights before pruning."),
        (float((~kept).double().mean()), "Your share is the sparsity, which counts weights. The share compares lengths."),
        (1 - right / whole, "Your share is one minus the right one: divide the step's length by |θ|."),
        (left.norm() / whole, "Your share is that of the weights that are kept. Divide the step's length by |θ|."),
        (right / len(weights), "You divide by the number of weights. Divide by the length of θ."),
        (right / weights.abs().sum(), "You divide by the sum of the weights' sizes. Divide by the length of θ: root of the sum of squares."),
        (right / weights.square().sum(), "You divide by the squared length of θ: its root is missing."),
    ])  # fmt: skip
    if not close(share, right / whole):
        raise Mistake(_step_case(weights, kept, share, (right / whole).item(), "share"))


def _step_case(weights: Tensor, kept: Tensor, found: float, wanted: float, what: str) -> str:
    if len(weights) <= 4:
        case = f"For the weights {short(weights)} with kept {kept.tolist()}"
    else:
        zero = ", some of them zero already" if (weights == 0).any() else ""
        case = f"For {len(weights)} random weights{zero}, of which {int((~kept).sum())} are pruned,"
    return f"{case} the {what} is {wanted:.4g}, but yours is {found:.4g}. What does each coordinate of θ*m - θ hold?"


def _small_net(seed: int, inputs: int = 5, classes: int = 4) -> nn.Module:
    draws = generator(seed, "exercise", "small net")
    layers = OrderedDict(fc1=nn.Linear(inputs, 6), tanh=nn.Tanh(), fc2=nn.Linear(6, classes))
    net = nn.Sequential(layers).double().eval()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=draws, dtype=torch.float64))
    return net


@exercise("loss on a line")
def _loss_on_a_line(answer: Answer) -> str:
    draws = generator(0, "exercise", "line")
    settings: list[tuple[int, Any]] = [
        (7, torch.tensor([0.0, 0.5, 1.0])),
        (12, torch.linspace(-1, 2, 5)),
        (1, torch.tensor([0.75])),
        (9, torch.tensor([1.0, -0.3, 0.2, 1.0])),
    ]
    for case, (examples, at) in enumerate(settings):
        net = _small_net(case)
        space = WeightSpace(net)
        x = torch.randn(examples, 5, generator=draws, dtype=torch.float64)
        y = torch.randint(4, (examples,), generator=draws)
        direction = torch.randn(space.size, generator=draws, dtype=torch.float64)
        _one_line(answer, net, (x, y), direction, at.double())
    return "A slice is nothing but the loss at points in a row: one network for each, at start + t times direction."


def _one_line(answer: Answer, net: nn.Module, batch: tuple[Tensor, Tensor], direction: Tensor, at: Tensor) -> None:
    space, (x, y) = WeightSpace(net), batch
    theta, rest = space.read(), space.rest()
    result = call(answer, space, rest, x, y, direction, at)
    if not torch.equal(space.read(), theta):
        raise Mistake(
            "Your function leaves the network changed. Put the weights in with space.call, which changes nothing."
        )
    if isinstance(result, (list, tuple)):
        result = torch.stack([torch.as_tensor(value).detach().double().reshape(()) for value in _scalars(result)])
    found = tensor(result, (len(at),), "What your function returns, a loss for each of the positions,")
    right = landscape.line(net, batch, direction, at)
    if close(found, right):
        return

    def along(points: list[Tensor], loss: Any = F.cross_entropy) -> Tensor:
        with torch.no_grad():
            return torch.stack([torch.as_tensor(loss(space.call(point, rest, x), y)).double() for point in points])

    line = [theta + t * direction for t in at]
    ends = [(1 - t) * theta + t * direction for t in at]
    unit = direction / direction.norm()
    shrunk = {name: torch.zeros_like(value) for name, value in rest.items()}
    with torch.no_grad():
        no_biases = torch.stack([F.cross_entropy(space.call(point, shrunk, x), y) for point in line])
    named(found, [
        (right * len(x), "You add up the losses of the examples. The loss of a batch is their mean."),
        (along([theta - t * direction for t in at]), "You walk backwards: the point is θ + t times direction, not minus."),
        (along([t * direction for t in at]), "You start at zero: the line starts at the network's own weights, space.read()."),
        (along(ends), "You walk from θ to the point `direction`. It is a direction: the end at t = 1 is θ + direction."),
        (along([theta + t * unit for t in at]), "You shorten the direction to length 1. Use it as it is: at t = 1 the step is the whole direction."),
        (along([theta] * len(at)), "Your loss does not move: every point has the network's own weights. Where does t come in?"),
        (along([theta + direction] * len(at)), "Your loss is that of the far end everywhere: multiply the direction by t."),
        (right - along([theta] * len(at)), "You subtract the loss at θ. What is asked is the loss itself, not its change."),
        (right / math.log(2), "Your loss is in bits. Everything here is in nats: use the natural logarithm."),
        (along(line, lambda z, y: F.cross_entropy(z.softmax(1), y)), "You take softmax twice: F.cross_entropy does it by itself, so give it the logits."),
        (along(line, lambda z, y: F.nll_loss(z.softmax(1), y)), "You average probabilities, not their logarithms: F.cross_entropy takes the logits."),
        (along(line, lambda z, y: F.nll_loss(z, y)), "You average the logit of the right class. Use F.cross_entropy, which normalises the logits first."),
        (along(line, lambda z, y: -z.softmax(1).gather(1, y[:, None]).mean().log()), "You average the probabilities and then take the logarithm. Take the logarithm for each example first, then the mean."),
        (-right, "Your loss has the wrong sign: the cross-entropy is minus the logarithm of the probability."),
        (along(line, lambda z, y: (z.argmax(1) == y).double().mean()), "This is the accuracy along the line. What is asked is the loss, F.cross_entropy."),
        (along(line, lambda z, y: (z.argmax(1) != y).double().mean()), "This is the error along the line. What is asked is the loss, F.cross_entropy."),
        (along([theta + k * direction for k in range(len(at))]), "You count the positions 0, 1, 2, ... instead of using their values in `at`."),
        (along([theta + t * direction for t in torch.linspace(0, 1, len(at))]), "You use positions of your own between 0 and 1: use those in `at`, which may lie anywhere."),
        (along([theta + at[: i + 1].sum() * direction for i in range(len(at))]), "You walk on from the last point. Each point starts at θ: does your code add to one vector again and again?"),
        (right.flip(0), "The losses are in reverse order: one for each entry of `at`, in its order."),
        (right.sort().values, "Your losses are sorted. Keep the order of `at`."),
        (no_biases, "You run the network without its biases: pass on `rest` as it is given."),
    ])  # fmt: skip
    raise Mistake(
        f"At t = {short(at)} the losses are {short(right)}, but yours are {short(found)} (a random small network and "
        f"{len(x)} examples). Check the point first: at t = 0 it must be space.read(), at t = 1 that plus direction."
    )


def _scalars(values: Sequence[Any]) -> Sequence[Any]:
    for value in values:
        if not isinstance(value, (int, float)) and getattr(value, "size", None) is None:
            raise Mistake(f"Your function must return a loss for each position, not {type(value).__name__} entries.")
        if isinstance(value, Tensor) and value.numel() != 1:
            raise Mistake(
                f"For a position you return {list(value.shape)} numbers: the loss of a batch is one, the mean."
            )
    return values


@exercise("read a slice")
def _read_a_slice(answer: Answer) -> str:
    chosen = choice(answer, "abcd")
    wrong = {
        "a": "The figure shows one direction out of very many. Look at the table above for the same length along others.",
        "b": "Filter normalisation sets how long the direction's parts are, not the loss at a given length, and the axis "
        "here is a length that any other step can be compared with.",
        "d": "Training did end here, but look at the table: some directions rise at once. A small gradient says that the "
        "loss starts level, not how soon it bends.",
    }
    if chosen in wrong:
        raise Mistake(wrong[chosen])
    return "A random slice is a fair sample of typical directions and says nothing of the steep ones."
