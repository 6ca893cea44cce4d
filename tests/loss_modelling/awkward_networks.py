"""Networks that no layer's own rule covers, or not everywhere, in float64, with inputs; and a dense reference.

The reference computes each example's Jacobian row by row, beside another example, and the loss's Hessian by autograd.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lossprune_lib.loss_modelling import Loss, losses

Case = tuple[nn.Module, Any, Tensor, Loss]


class Made(nn.Module):
    """Modules by name, and a function of them and the inputs for the forward pass."""

    def __init__(self, way: Callable[..., Any], **modules: nn.Module) -> None:
        super().__init__()
        self.way = way
        for name, module in modules.items():
            setattr(self, name, module)

    def forward(self, *inputs: Any, **named: Any) -> Any:
        return self.way(self, *inputs, **named)


def _standardised(net: nn.Module, x: Tensor) -> Tensor:
    weight = net.a.weight
    return F.conv2d(x, (weight - weight.mean((1, 2, 3), keepdim=True)) / weight.std((1, 2, 3), keepdim=True))


def _routed(net: nn.Module, x: Tensor) -> Tensor:
    """Each example takes one of two layers, by its first number."""
    hidden, first = torch.zeros_like(x), x[:, 0] > 0
    for layer, rows in ((net.a, first.nonzero()[:, 0]), (net.b, (~first).nonzero()[:, 0])):
        if len(rows):
            hidden = hidden.index_put((rows,), torch.tanh(layer(x[rows])))
    return net.o(hidden)


def _twice_for_some(net: nn.Module, x: Tensor) -> Tensor:
    """A layer runs a second time where an example has a number below zero."""
    hidden, some = torch.tanh(net.a(x)), (x < 0).any(1, keepdim=True)
    if some.any():
        hidden = torch.where(some, torch.tanh(net.a(hidden)), hidden)
    return net.o(hidden)


def _elsewhere_for_some(net: nn.Module, x: Tensor) -> Tensor:
    """A layer's weight is used a second time, but not by the layer, where an example has a number below zero."""
    hidden, some = torch.tanh(net.a(x)), (x < 0).any(1, keepdim=True)
    if some.any():
        hidden = torch.where(some, F.linear(hidden, net.a.weight), hidden)
    return net.o(hidden)


def _positions_by_expert(net: nn.Module, x: Tensor) -> Tensor:
    """Each position takes one of two layers; of all that there are, not of one example after another."""
    rows = x.flatten(0, 1)
    hidden, first = torch.zeros_like(rows), rows[:, 0] > 0
    for layer, where in ((net.a, first), (net.b, ~first)):
        if where.any():
            hidden = hidden.index_put((where.nonzero()[:, 0],), torch.tanh(layer(rows[where])))
    return net.o(hidden.view_as(x))


def _positions_in_order(net: nn.Module, x: Tensor) -> Tensor:
    """The positions of all examples go through a layer sorted by their first number."""
    rows = x.flatten(0, 1)
    order = rows[:, 0].argsort()
    return net.o(torch.tanh(net.a(rows[order]))[order.argsort()].view_as(x).mean(1))


class Clipped(nn.Linear):
    """Clips its weights as it runs."""

    def forward(self, input: Tensor) -> Tensor:
        return F.linear(input, self.weight.clamp(-0.3, 0.3), self.bias)


class ByMean(nn.Linear):
    """Computes as its kind does, unless an input is below zero."""

    def forward(self, input: Tensor) -> Tensor:
        outputs = super().forward(input)
        return torch.where((input < 0).any(1, keepdim=True), outputs * self.weight.mean(), outputs)


def _tied() -> nn.Module:
    net = Made(lambda net, x: net.b(torch.tanh(net.a(x))), a=nn.Linear(4, 4), b=nn.Linear(4, 4))
    net.b.weight = net.a.weight
    return net


def _in_two_places() -> nn.Module:
    """One module under two names, as the position encodings that all blocks of a CoaT share."""
    shared = nn.Linear(4, 4)
    return Made(
        lambda net, x: net.o(torch.tanh(net.block[0](torch.tanh(net.a(x))))),
        a=shared,
        block=nn.Sequential(shared),
        o=nn.Linear(4, 3),
    )


def _batch_norm_transposed() -> nn.Module:
    """Its gradient arrives transposed at a batch norm: torch's own backward pass is wrong for one example alone."""
    net = Made(
        lambda net, x: net.norm(net.conv(x)).flatten(2).transpose(1, 2),
        conv=nn.Conv2d(1, 3, 2),
        norm=nn.BatchNorm2d(3),
    )
    nn.init.normal_(net.norm.running_mean)
    nn.init.uniform_(net.norm.running_var, 0.5, 2)
    return net


def _unet(net: nn.Module, x: Tensor) -> Tensor:
    down = torch.relu(net.down(x))
    up = net.up(torch.relu(net.middle(F.max_pool2d(down, 2))))
    return net.out(torch.cat([up, down], 1))


def _attention(net: nn.Module, x: Tensor) -> Tensor:
    return net.o(net.a(x, x, x, need_weights=False)[0].mean(1))


def _encoder() -> nn.Module:
    layer = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)
    return nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)


def _after(*layers: nn.Module) -> nn.Module:
    return nn.Sequential(*layers)


def _x(*shape: int) -> Tensor:
    return torch.randn(shape)


def _y(classes: int, *shape: int) -> Tensor:
    return torch.randint(classes, shape)


_CE = losses.cross_entropy
CASES: dict[str, Callable[[], Case]] = {
    "LSTM": lambda: (
        Made(lambda n, x: n.o(n.l(x)[0][:, -1]), l=nn.LSTM(3, 4, batch_first=True), o=nn.Linear(4, 3)),
        _x(5, 6, 3),
        _y(3, 5),
        _CE,
    ),
    "GRU, time first, a label for each step": lambda: (
        Made(lambda n, x: n.o(n.l(x.transpose(0, 1))[0]).transpose(0, 1), l=nn.GRU(3, 4), o=nn.Linear(4, 3)),
        _x(5, 6, 3),
        _y(3, 5, 6),
        _CE,
    ),
    "recurrent cell": lambda: (
        Made(lambda n, x: n.o(n.c(x[:, 1], n.c(x[:, 0]))), c=nn.RNNCell(3, 4), o=nn.Linear(4, 3)),
        _x(5, 2, 3),
        _y(3, 5),
        _CE,
    ),
    "attention": lambda: (
        Made(_attention, a=nn.MultiheadAttention(4, 2, batch_first=True), o=nn.Linear(4, 3)),
        _x(4, 5, 4),
        _y(3, 4),
        _CE,
    ),
    "transformer encoder": lambda: (
        Made(lambda n, x: n.o(n.e(x).mean(1)), e=_encoder(), o=nn.Linear(4, 3)),
        _x(4, 5, 4),
        _y(3, 4),
        _CE,
    ),
    "1d": lambda: (
        _after(nn.Conv1d(2, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 3)),
        _x(4, 2, 6),
        _y(3, 4),
        _CE,
    ),
    "3d and transposed": lambda: (
        _after(nn.Conv3d(1, 2, 2), nn.Tanh(), nn.ConvTranspose3d(2, 2, 2), nn.Flatten(), nn.Linear(54, 3)),
        _x(4, 1, 3, 3, 3),
        _y(3, 4),
        _CE,
    ),
    "U-Net, a label for each pixel": lambda: (
        Made(
            _unet,
            down=nn.Conv2d(1, 2, 3, padding=1),
            middle=nn.Conv2d(2, 3, 1),
            up=nn.ConvTranspose2d(3, 2, 2, stride=2),
            out=nn.Conv2d(4, 3, 1),
        ),
        _x(3, 1, 2, 4),
        _y(3, 3, 2, 4),
        losses.CrossEntropy(label_smoothing=0.1, class_weights=(1, 2, 0.5)),
    ),
    "used twice": lambda: (
        Made(lambda n, x: n.o(torch.tanh(n.a(torch.tanh(n.a(x))))), a=nn.Linear(4, 4), o=nn.Linear(4, 3)),
        _x(4, 4),
        _y(3, 4),
        _CE,
    ),
    "a module in two places": lambda: (_in_two_places(), _x(4, 4), _y(3, 4), _CE),
    "tied layers": lambda: (_tied(), _x(4, 4), _y(4, 4), _CE),
    "a weight used as a function": lambda: (
        Made(lambda n, x: n.o(F.linear(x, 2 * n.a.weight)), a=nn.Linear(4, 4), o=nn.Linear(4, 3)),
        _x(4, 4),
        _y(3, 4),
        _CE,
    ),
    "a weight used elsewhere too": lambda: (
        Made(lambda n, x: n.o(F.linear(torch.tanh(n.a(x)), n.a.weight.T)), a=nn.Linear(4, 4), o=nn.Linear(4, 3)),
        _x(4, 4),
        _y(3, 4),
        _CE,
    ),
    "standardised weights": lambda: (
        Made(lambda n, x: n.o(_standardised(n, x).flatten(1)), a=nn.Conv2d(1, 2, 2), o=nn.Linear(8, 3)),
        _x(4, 1, 3, 3),
        _y(3, 4),
        _CE,
    ),
    "windows folded into the batch": lambda: (
        Made(
            lambda n, x: n.o(torch.tanh(n.a(x.reshape(-1, 3, 2))).reshape(len(x), -1)),
            a=nn.Linear(2, 3),
            o=nn.Linear(36, 3),
        ),
        _x(4, 4, 3, 2),
        _y(3, 4),
        _CE,
    ),
    "images folded into the batch": lambda: (
        Made(
            lambda n, x: n.o(torch.tanh(n.a(x.reshape(-1, 1, 3, 3))).reshape(len(x), -1)),
            a=nn.Conv2d(1, 2, 2),
            o=nn.Linear(16, 3),
        ),
        _x(4, 2, 3, 3),
        _y(3, 4),
        _CE,
    ),
    "folded with the examples last": lambda: (
        Made(
            lambda n, x: n.o(torch.tanh(n.a(x.transpose(0, 1).reshape(-1, 2))).reshape(4, len(x), 3).sum(0)),
            a=nn.Linear(2, 3),
            o=nn.Linear(3, 3),
        ),
        _x(5, 4, 2),
        _y(3, 5),
        _CE,
    ),
    "batch norm behind a transposition": lambda: (_batch_norm_transposed(), _x(3, 1, 9, 9), _y(3, 3, 64), _CE),
    "language model tied to its embedding": lambda: (
        Made(lambda n, x: F.linear(torch.tanh(n.a(n.e(x))), n.e.weight), e=nn.Embedding(7, 4), a=nn.Linear(4, 4)),
        _y(7, 3, 5),
        _y(7, 3, 5).masked_fill_(torch.tensor([0, 0, 0, 1, 1], dtype=torch.bool), -100),
        _CE,
    ),
    "inputs by name": lambda: (
        Made(
            lambda n, first, second: n.o(torch.tanh(n.a(first) + n.b(second))),
            a=nn.Linear(4, 4),
            b=nn.Linear(2, 4),
            o=nn.Linear(4, 3),
        ),
        {"first": _x(4, 4), "second": _x(4, 2)},
        _y(3, 4),
        _CE,
    ),
    "inputs in order, and a layer that is not used": lambda: (
        Made(
            lambda n, first, second: n.o(torch.tanh(n.a(first) + n.b(second))),
            a=nn.Linear(4, 4),
            b=nn.Linear(2, 4),
            o=nn.Linear(4, 3),
            unused=nn.Linear(3, 3),
        ),
        (_x(4, 4), _x(4, 2)),
        _y(3, 4),
        _CE,
    ),
    # In the preflight all go one way, later they do not.
    "a layer for some examples": lambda: (
        Made(_routed, a=nn.Linear(3, 3), b=nn.Linear(3, 3), o=nn.Linear(3, 3)),
        torch.cat([_x(2, 3).abs(), _x(4, 3)]),
        _y(3, 6),
        _CE,
    ),
    "a layer twice for some examples": lambda: (
        Made(_twice_for_some, a=nn.Linear(3, 3), o=nn.Linear(3, 3)),
        torch.cat([_x(2, 3).abs(), _x(4, 3)]),
        _y(3, 6),
        _CE,
    ),
    "a weight used elsewhere too for some examples": lambda: (
        Made(_elsewhere_for_some, a=nn.Linear(3, 3), o=nn.Linear(3, 3)),
        torch.cat([_x(2, 3).abs(), _x(4, 3)]),
        _y(3, 6),
        _CE,
    ),
    "a layer for some positions": lambda: (
        Made(_positions_by_expert, a=nn.Linear(3, 3), b=nn.Linear(3, 3), o=nn.Linear(3, 2)),
        torch.cat([_x(2, 4, 3).abs(), torch.tensor([1.0, 1, 1, -1, 1, -1, -1, -1]).view(2, 4, 1) * _x(2, 4, 3).abs()]),
        _y(2, 4, 4),
        _CE,
    ),
    "positions in the order of their values": lambda: (
        Made(_positions_in_order, a=nn.Linear(3, 3), o=nn.Linear(3, 3)),
        torch.cat([torch.arange(24.0).view(2, 4, 3) / 24, _x(3, 4, 3)]),
        _y(3, 5),
        _CE,
    ),
    "a layer with a forward pass of its own": lambda: (
        _after(ByMean(3, 4), nn.Tanh(), Clipped(4, 3)),
        torch.cat([_x(2, 3).abs(), _x(4, 3)]),
        _y(3, 6),
        _CE,
    ),
    # Torch computes it together for two examples, and not for one.
    "group norm of channels last, and a layer that is not used": lambda: (
        Made(
            lambda n, x: n.o(torch.tanh(n.norm(n.a(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2))).mean((2, 3))),
            a=nn.Linear(2, 2),
            norm=nn.GroupNorm(1, 2),
            o=nn.Linear(2, 3),
            unused=nn.Linear(2, 2),
        ),
        _x(3, 2, 2, 3),
        _y(3, 3),
        _CE,
    ),
    "regression": lambda: (
        _after(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2)),
        _x(6, 4),
        _x(6, 2),
        losses.mean_squared_error,
    ),
    "several labels": lambda: (
        _after(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2)),
        _x(6, 4),
        torch.rand(6, 2),
        losses.binary_cross_entropy,
    ),
    "a single example": lambda: (
        _after(nn.Linear(3, 4), nn.Tanh(), nn.LayerNorm(4), nn.Linear(4, 3)),
        _x(1, 3),
        _y(3, 1),
        _CE,
    ),
    "a single example behind a batch norm": lambda: (_batch_norm_transposed(), _x(1, 1, 9, 9), _y(3, 1, 64), _CE),
}


def make(name: str, seed: int = 0) -> Case:
    """Return a network in float64 and eval mode, inputs, targets and a loss."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(seed)
    try:
        net, x, y, loss = CASES[name]()
    finally:
        torch.set_default_dtype(before)
    return net.eval(), x, y, loss


def dense_model(net: nn.Module, x: Any, y: Tensor, loss: Loss, names: tuple[str, ...]) -> tuple[Tensor, Tensor]:
    """Return the gradient and the diagonal of the GGN of the mean loss, by some parameters."""
    weights = [dict(net.named_parameters())[name] for name in names]
    gradient, diagonal = ([torch.zeros_like(weight) for weight in weights] for _ in range(2))
    examples = len(y)
    for n in range(examples):
        rows = torch.tensor([n, (n + 1) % examples])
        if isinstance(x, dict):
            outputs = net(**{name: tensor[rows] for name, tensor in x.items()})
        else:
            outputs = net(*(tensor[rows] for tensor in (x if isinstance(x, tuple) else (x,))))
        outputs = getattr(outputs, "logits", outputs)[:1].to(weights[0].dtype)
        z = outputs.detach()
        if not outputs.requires_grad:  # no weight reaches them
            continue

        def of_outputs(vector: Tensor, z: Tensor = z, n: int = n) -> Tensor:
            return loss.total(vector.view_as(z), y[n : n + 1])

        slope = torch.autograd.functional.jacobian(of_outputs, z.reshape(-1))
        hessian = torch.autograd.functional.hessian(of_outputs, z.reshape(-1))
        rows_of_jacobian = [
            torch.autograd.grad(number, weights, retain_graph=True, allow_unused=True, materialize_grads=True)
            for number in outputs.reshape(-1)
        ]
        for i, weight in enumerate(weights):
            jacobian = torch.stack([row[i].reshape(-1) for row in rows_of_jacobian])
            gradient[i] += (slope @ jacobian).view_as(weight)
            diagonal[i] += torch.einsum("cd,ce,ed->d", jacobian, hessian, jacobian).view_as(weight)
    count = loss.count(y)
    return tuple(torch.cat([part.reshape(-1) for part in parts]).detach() / count for parts in (gradient, diagonal))
