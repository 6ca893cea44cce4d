"""Random small networks: compositions of the modules and the ways of using them that real networks have.

`cases` draws a network in float64 with inputs, targets and a loss. Each step takes hidden values of one example's shape
to others; what steps there are depends on how many dimensions an example has: [F], [T, F] or [C, H, W].
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

import torch
from hypothesis import assume, reject
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from lossprune_lib.data.inputs import change, part
from lossprune_lib.loss_modelling import Loss, losses

Shape = tuple[int, ...]  # of one example's hidden values
Step = Callable[[Tensor], Tensor]


class Network(nn.Module):
    """Modules, and the steps that use them one after another."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList()
        self.steps: list[Step] = []
        self.begin: Callable[..., Tensor] = lambda x: x
        self.words: list[str] = []
        self.autocast = False

    def forward(self, *inputs: Tensor, **named: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=self.autocast):
            return self.through(self.begin(*inputs, **named))

    def through(self, hidden: Tensor) -> Tensor:
        for step in self.steps:
            hidden = step(hidden)
        return hidden


@dataclass
class Builder:
    """Draws a network step by step."""

    random: Random
    net: Network = field(default_factory=Network)
    mixing: bool = False

    def pick(self, *options: Any) -> Any:
        return self.random.choice(options)

    def size(self) -> int:
        return self.random.randint(1, 4)

    def maybe(self) -> bool:
        return self.random.random() < 0.5

    def add(self, module: nn.Module) -> Any:
        """Register a module, with norms as training leaves them."""
        self.net.layers.append(module)
        for norm in module.modules():
            if isinstance(norm, nn.modules.batchnorm._NormBase) and norm.running_mean is not None:
                norm.running_mean.normal_()
                norm.running_var.uniform_(0.5, 2)
        for name, parameter in module.named_parameters():
            if parameter.ndim == 1:
                nn.init.uniform_(parameter, 0.5, 1.5) if "weight" in name else nn.init.normal_(parameter, 0.0, 0.3)
        return module

    def linear(self, inputs: int, outputs: int) -> Any:
        return self.add(nn.Linear(inputs, outputs, bias=self.maybe()))

    def activation(self) -> Step:
        return self.pick(torch.tanh, F.gelu, F.softplus, torch.relu, F.relu_, nn.ELU(inplace=True))

    def then(self, maker: Callable[[Builder, Shape], Step], shape: Shape) -> Shape:
        """Append what a maker makes; return the shape behind it."""
        step = maker(self, shape)
        self.net.steps.append(step)
        self.net.words.append(f"{maker.__name__.strip('_')} of {list(shape)}")
        try:
            with torch.no_grad():
                behind = step(torch.rand(2, *shape)).shape[1:]
        except (RuntimeError, ValueError):  # such as a kernel larger than the image
            reject()
        assume(behind.numel() <= 48)
        return tuple(behind)


Maker = Callable[[Builder, Shape], Step]
MAKERS: dict[int, list[Maker]] = {1: [], 2: [], 3: []}
MIXERS: list[Maker] = []


def _for(*ranks: int) -> Callable[[Maker], Maker]:
    def register(maker: Maker) -> Maker:
        for rank in ranks:
            MAKERS[rank].append(maker)
        return maker

    return register


# What goes for values of any shape whose last dimension counts the features.


@_for(1, 1, 2, 2)
def _linear(b: Builder, shape: Shape) -> Step:
    layer, act = b.linear(shape[-1], b.size()), b.activation()
    return lambda h: act(layer(h))


@_for(1, 2, 3)
def _element_by_element(b: Builder, shape: Shape) -> Step:
    prelu = b.add(nn.PReLU())
    return b.pick(
        prelu,
        nn.Dropout(0.5).eval(),
        nn.Sigmoid(),
        nn.Hardtanh(-0.5, 0.5, inplace=True),
        lambda h: h.mul_(0.5),
        lambda h: h + torch.sin(h),
        lambda h: F.dropout(h, 0.5, training=False),
        lambda h: h.contiguous().add_(0.25),
    )


@_for(1, 2, 3)
def _residual(b: Builder, shape: Shape) -> Step:
    layer, act = b.linear(shape[-1], shape[-1]), b.activation()

    def in_place(h: Tensor) -> Tensor:
        inner = act(layer(h))
        inner += h
        return inner

    return b.pick(in_place, lambda h: h + act(layer(h)), lambda h: h + layer(h).detach(), lambda h: h * layer(h))


@_for(1, 2)
def _branches(b: Builder, shape: Shape) -> Step:
    one, other = b.linear(shape[-1], b.size()), b.linear(shape[-1], b.size())
    return lambda h: torch.cat([torch.tanh(one(h)), F.relu_(other(h))], -1)


@_for(1, 2)
def _used_twice(b: Builder, shape: Shape) -> Step:
    layer, act = b.linear(shape[-1], shape[-1]), b.activation()
    return lambda h: layer(act(layer(h)))


@_for(1, 2)
def _tied(b: Builder, shape: Shape) -> Step:
    one, other = b.linear(shape[-1], shape[-1]), b.linear(shape[-1], shape[-1])
    other.weight = one.weight
    return lambda h: other(torch.tanh(one(h)))


@_for(1, 2)
def _functional(b: Builder, shape: Shape) -> Step:
    layer = b.linear(shape[-1], b.size())

    def standardised() -> Tensor:
        return (layer.weight - layer.weight.mean()) / (layer.weight.norm() + 0.1)

    return b.pick(
        lambda h: F.linear(h, layer.weight, layer.bias),
        lambda h: F.linear(h, 2 * layer.weight),
        lambda h: F.linear(h, standardised(), layer.bias),
        lambda h: layer(h) + F.linear(h, layer.weight.square()),
        lambda h: F.linear(torch.tanh(layer(h)), layer.weight.T),
        lambda h: layer(h) * layer.weight.norm(),
        lambda h: layer(h) + 0 * layer.weight.sum(),
    )


class Thresholded(nn.Linear):
    """Leaves small weights out as it runs."""

    def forward(self, input: Tensor) -> Tensor:
        return F.linear(input, self.weight * (self.weight.abs() > 0.2), self.bias)


class Clipped(nn.Linear):
    """Clips its weights as it runs; at first they are all within."""

    def forward(self, input: Tensor) -> Tensor:
        largest = 1 / self.in_features**0.5 + 0.01
        return F.linear(input, self.weight.clamp(-largest, largest), self.bias)


class Doubled(nn.Linear):
    """Works on twice its input."""

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(2 * input)


class Own(nn.Module):
    """A module of one's own with a weight."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(inputs, outputs) / 2)

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight


@_for(1, 2)
def _kinds_of_linear(b: Builder, shape: Shape) -> Step:
    kind = b.pick(Thresholded, Clipped, Doubled, Own)
    return b.add(kind(shape[-1], b.size()))


@_for(1, 2)
def _bilinear(b: Builder, shape: Shape) -> Step:
    layer = b.add(nn.Bilinear(shape[-1], shape[-1], 2))
    return lambda h: layer(h, torch.tanh(h))


@_for(1, 2)
def _hooked(b: Builder, shape: Shape) -> Step:
    layer = b.linear(shape[-1], b.size())
    b.pick(
        lambda: layer.register_forward_hook(lambda module, x, output: 2 * output),
        lambda: layer.register_forward_hook(lambda module, x, output: None),
        lambda: layer.register_forward_hook(
            lambda module, x, output: output * (1 + 0.1 * x[0].detach().mean(-1, True))
        ),
        lambda: layer.register_forward_pre_hook(lambda module, x: (x[0] + 1,)),
        lambda: layer.register_full_backward_hook(lambda module, into, out: None),
        lambda: layer.register_full_backward_pre_hook(lambda module, out: None),
    )()
    return layer


@_for(1, 2)
def _recomputed(b: Builder, shape: Shape) -> Step:
    layer, reentrant = b.linear(shape[-1], b.size()), b.maybe()
    return lambda h: checkpoint(lambda x: torch.tanh(layer(torch.sin(x))), h, use_reentrant=reentrant)


@_for(1, 2)
def _without_graph(b: Builder, shape: Shape) -> Step:
    layer = b.linear(shape[-1], 2)

    def step(h: Tensor) -> Tensor:
        with torch.no_grad():
            more = layer(h)
        return torch.cat([h, more], -1)

    return step


@_for(1, 2, 3)
def _one_by_one(b: Builder, shape: Shape) -> Step:
    layer = b.linear(shape[-1], b.size())
    return lambda h: torch.stack([layer(row) for row in h])


@_for(1, 2)
def _for_some(b: Builder, shape: Shape) -> Step:
    """Each row takes one of two layers, by its first number; in [T, F], each position."""
    one, other, zeros = b.linear(shape[-1], 2), b.linear(shape[-1], 2), b.pick(-0.5, 0.0, 0.5)

    def step(h: Tensor) -> Tensor:
        rows = h.reshape(-1, h.shape[-1])
        first = rows[:, 0] > zeros
        out = rows.new_zeros(len(rows), 2)
        for layer, where in ((one, first), (other, ~first)):
            if where.any():
                out = out.index_put((where.nonzero()[:, 0],), torch.tanh(layer(rows[where])).to(out.dtype))
        return out.reshape(*h.shape[:-1], 2)

    return step


@_for(1, 2)
def _elsewhere_for_some(b: Builder, shape: Shape) -> Step:
    """A layer's weight is used a second time, not by the layer, where an example has a number below zero."""
    layer = b.linear(shape[-1], b.size())

    def step(h: Tensor) -> Tensor:
        once, some = torch.tanh(layer(h)), h[..., :1] < 0
        return torch.where(some, once * F.linear(h, layer.weight), once) if some.any() else once

    return step


@_for(1, 2)
def _sorted_by_value(b: Builder, shape: Shape) -> Step:
    """The rows go through a layer in the order of their first number, and back to their places."""
    layer = b.linear(shape[-1], b.size())

    def step(h: Tensor) -> Tensor:
        rows = h.reshape(-1, h.shape[-1])
        order = rows[:, 0].detach().argsort()
        return torch.tanh(layer(rows[order]))[order.argsort()].reshape(*h.shape[:-1], -1)

    return step


@_for(1, 2)
def _twice_for_some(b: Builder, shape: Shape) -> Step:
    layer = b.linear(shape[-1], shape[-1])

    def step(h: Tensor) -> Tensor:
        once, some = torch.tanh(layer(h)), h[..., :1] < 0
        return torch.where(some, torch.tanh(layer(once)), once) if some.any() else once

    return step


# [N, F]


@_for(1)
def _norm(b: Builder, shape: Shape) -> Step:
    f = shape[0]
    kinds = [nn.BatchNorm1d(f), nn.BatchNorm1d(f, affine=False), nn.LayerNorm(f), nn.RMSNorm(f)]
    if f > 1:
        kinds.append(nn.GroupNorm(1, f))
    return b.add(b.pick(*kinds).eval())


@_for(1, 1)
def _windows(b: Builder, shape: Shape) -> Step:
    """Rows of windows, through one layer: of one example after another, or of one window after another."""
    layer, last = b.linear(2, b.size()), b.maybe()

    def step(h: Tensor) -> Tensor:
        windows = F.pad(h, (0, 3)).unfold(1, 2, 1)  # [N, W, 2]
        if last:
            windows = windows.transpose(0, 1)
        out = torch.tanh(layer(windows.reshape(-1, 2))).reshape(*windows.shape[:2], -1)
        return (out.transpose(0, 1) if last else out).flatten(1)

    return step


@_for(1)
def _as_sequence(b: Builder, shape: Shape) -> Step:
    steps = b.size()
    return lambda h: torch.stack([h * (t + 1) / steps for t in range(steps)], 1)


@_for(1)
def _as_image(b: Builder, shape: Shape) -> Step:
    return lambda h: torch.sin(h.unsqueeze(2).unsqueeze(3) * torch.arange(1, 10, dtype=h.dtype).view(3, 3))


@_for(1)
def _cell(b: Builder, shape: Shape) -> Step:
    cell, times = b.add(b.pick(nn.RNNCell, nn.GRUCell)(shape[0], 2)), b.pick(1, 2)

    def step(h: Tensor) -> Tensor:
        state = None
        for _ in range(times):
            state = cell(h, state)
        return state

    return step


# [N, T, F]


@_for(2)
def _norm_of_sequence(b: Builder, shape: Shape) -> Step:
    steps, f = shape
    transposed = b.add(b.pick(nn.BatchNorm1d(f), nn.GroupNorm(1, f)).eval())
    plain = b.add(b.pick(nn.LayerNorm(f), nn.LayerNorm([steps, f]), nn.BatchNorm1d(steps), nn.RMSNorm(f)).eval())
    return b.pick(plain, lambda h: transposed(h.transpose(1, 2)).transpose(1, 2))


@_for(2)
def _time_first(b: Builder, shape: Shape) -> Step:
    layer = b.linear(shape[-1], b.size())
    return lambda h: torch.tanh(layer(h.transpose(0, 1))).transpose(0, 1)


@_for(2, 2)
def _recurrent(b: Builder, shape: Shape) -> Step:
    kind, first = b.pick(nn.LSTM, nn.GRU, nn.RNN), b.maybe()
    layers, both = b.pick((1, False), (1, True), (2, False))
    layer = b.add(kind(shape[-1], 2, layers, batch_first=first, bidirectional=both))
    if first:
        return lambda h: layer(h)[0]
    return lambda h: layer(h.transpose(0, 1))[0].transpose(0, 1)


@_for(2)
def _packed(b: Builder, shape: Shape) -> Step:
    layer = b.add(nn.GRU(shape[-1], 2, batch_first=True))

    def step(h: Tensor) -> Tensor:
        lengths = 1 + (h[:, :, 0] > 0).sum(1).clamp(max=h.shape[1] - 1)
        packed = nn.utils.rnn.pack_padded_sequence(h, lengths, batch_first=True, enforce_sorted=False)
        return nn.utils.rnn.pad_packed_sequence(layer(packed)[0], batch_first=True, total_length=h.shape[1])[0]

    return step


@_for(2, 2)
def _attention(b: Builder, shape: Shape) -> Step:
    f, first = shape[-1], b.maybe()
    heads = b.pick(*(k for k in (1, 2) if f % k == 0))
    layer = b.add(nn.MultiheadAttention(f, heads, batch_first=first, kdim=b.pick(None, f), vdim=f))
    masked, weights = b.maybe(), b.maybe()

    def step(h: Tensor) -> Tensor:
        mask = (h[..., 0] > 1) & (torch.arange(h.shape[1]) > 0) if masked else None
        query = h if first else h.transpose(0, 1)
        found = layer(query, query, query, key_padding_mask=mask, need_weights=weights)[0]
        return found if first else found.transpose(0, 1)

    return step


@_for(2)
def _transformer(b: Builder, shape: Shape) -> Step:
    f, first = shape[-1], b.maybe()
    layer = nn.TransformerEncoderLayer(f, 1, 2, batch_first=first, norm_first=b.maybe(), bias=b.maybe())
    if b.maybe():
        layer = nn.TransformerEncoder(layer, 1, enable_nested_tensor=b.maybe())
    layer = b.add(layer.eval())
    return layer if first else lambda h: layer(h.transpose(0, 1)).transpose(0, 1)


@_for(2)
def _convolution_over_time(b: Builder, shape: Shape) -> Step:
    pad, stride = b.pick((1, 1), ("same", 1), (2, 2))
    layer = b.add(nn.Conv1d(shape[-1], b.size(), 2, padding=pad, stride=stride, bias=b.maybe()))
    return lambda h: torch.relu(layer(h.transpose(1, 2))).transpose(1, 2)


@_for(2)
def _positions_folded(b: Builder, shape: Shape) -> Step:
    layer, last = b.linear(shape[-1], b.size()), b.maybe()

    def step(h: Tensor) -> Tensor:
        moved = h.transpose(0, 1) if last else h
        out = layer(moved.reshape(-1, h.shape[-1])).reshape(*moved.shape[:2], -1)
        return out.transpose(0, 1) if last else out

    return step


@_for(2, 2)
def _to_one_position(b: Builder, shape: Shape) -> Step:
    return b.pick(
        lambda h: h.mean(1), lambda h: h[:, -1], lambda h: h.amax(1), nn.Flatten(), lambda h: h.cumsum(1)[:, -1]
    )


# [N, C, H, W]


@_for(3, 3, 3)
def _convolution(b: Builder, shape: Shape) -> Step:
    groups = b.pick(*(g for g in (1, 2) if shape[0] % g == 0))
    settings = b.pick(
        {},
        {"padding": 1},
        {"padding": "same"},
        {"padding": (0, 2), "stride": (1, 2)},
        {"padding": 2, "dilation": 2},
        {"padding": 1, "padding_mode": b.pick("circular", "replicate")},
    )
    kernel = b.pick(1, 2, (1, 2)) if settings else 1
    layer = b.add(nn.Conv2d(shape[0], groups * b.pick(1, 2), kernel, groups=groups, bias=b.maybe(), **settings))
    act = b.activation()
    return b.pick(lambda h: act(layer(h)), lambda h: act(layer(h.contiguous(memory_format=torch.channels_last))))


@_for(3)
def _images_folded(b: Builder, shape: Shape) -> Step:
    """Each channel as an image of its own; or each channel of all images, one after another."""
    layer, last = b.add(nn.Conv2d(1, 1, 2, padding=1)), b.maybe()

    def step(h: Tensor) -> Tensor:
        moved = h.transpose(0, 1) if last else h
        out = layer(moved.reshape(-1, 1, *h.shape[2:]))
        out = out.reshape(*moved.shape[:2], *out.shape[2:])
        return out.transpose(0, 1) if last else out

    return step


@_for(3)
def _convolution_transposed(b: Builder, shape: Shape) -> Step:
    return b.add(nn.ConvTranspose2d(shape[0], b.pick(1, 2), b.pick(1, 2), stride=b.pick(1, 2)))


@_for(3)
def _standardised_convolution(b: Builder, shape: Shape) -> Step:
    layer = b.add(nn.Conv2d(shape[0], 2, 1))

    def step(h: Tensor) -> Tensor:
        weight = layer.weight - layer.weight.mean((1, 2, 3), keepdim=True)
        return F.conv2d(h, weight / (weight.norm() + 0.1), layer.bias)

    return step


@_for(3)
def _norm_of_images(b: Builder, shape: Shape) -> Step:
    c = shape[0]
    kinds = [nn.BatchNorm2d(c), nn.GroupNorm(c, c), nn.GroupNorm(1, c), nn.LayerNorm(list(shape))]
    if shape[1] * shape[2] > 1:
        kinds += [nn.InstanceNorm2d(c, affine=True), nn.InstanceNorm2d(c, track_running_stats=True)]
    return b.add(b.pick(*kinds).eval())


@_for(3, 3)
def _pixels_as_sequence(b: Builder, shape: Shape) -> Step:
    """As transformers take them; torch's gradient of a batch norm before it is wrong for one example alone."""
    layer, norm = b.add(nn.Conv2d(shape[0], 2, 2, padding=1)), b.add(nn.BatchNorm2d(2).eval())
    return lambda h: norm(layer(h)).flatten(2).transpose(1, 2)


@_for(3)
def _pooled(b: Builder, shape: Shape) -> Step:
    least = min(shape[1:])
    kinds = [nn.AdaptiveAvgPool2d(1), nn.AdaptiveMaxPool2d((1, 2)), nn.Upsample(scale_factor=2), nn.Dropout2d().eval()]
    if least > 1:
        kinds += [nn.MaxPool2d(2), nn.AvgPool2d(2, stride=1), nn.LPPool2d(2, 2)]
    return b.pick(*kinds)


@_for(3)
def _channels_last(b: Builder, shape: Shape) -> Step:
    layer = b.linear(shape[0], b.pick(1, 2))
    return lambda h: layer(h.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


@_for(3, 3)
def _to_fewer_dimensions(b: Builder, shape: Shape) -> Step:
    if shape[0] * shape[1] * shape[2] > 16:
        return b.pick(lambda h: h.mean((2, 3)), lambda h: h.mean(3).transpose(1, 2))
    return b.pick(
        nn.Flatten(), lambda h: h.flatten(2).transpose(1, 2), lambda h: h.flatten(2), lambda h: h.mean((2, 3))
    )


# Steps in which examples influence one another.


def _mixed(b: Builder, shape: Shape) -> Step:
    b.mixing = True
    statistics = b.add(nn.BatchNorm1d(shape[0], track_running_stats=False).eval()) if len(shape) == 1 else None
    return b.pick(
        *([statistics] if statistics else ()),
        lambda h: h.cumsum(0),
        lambda h: h - h[:1],
        lambda h: h - h[-1:],
        lambda h: h - h.mean(0),
        lambda h: h.softmax(0),
        lambda h: h * (1 + h.detach().argsort(0).argsort(0)),
        lambda h: h + 0.1 * h.roll(1, 0),
        lambda h: h / (1 + h.abs().max()),
        lambda h: h + torch.zeros_like(h).index_add(0, torch.arange(len(h)) // 2, h),
    )


# The way in and the way out.


def _inputs(b: Builder, examples: int) -> tuple[Any, Shape]:
    """Draw inputs; return them, and the shape of an example's first hidden values."""
    kind = b.pick("vector", "vector", "sequence", "image", "image", "image", "tokens", "token", "two", "named")
    f = b.size()
    if kind in ("vector", "sequence", "image"):
        shape = {"vector": (f,), "sequence": (b.size(), f), "image": (b.pick(1, 2), b.pick(1, 2, 3), 3)}[kind]
        return torch.randn(examples, *shape), shape
    if kind in ("tokens", "token"):
        embedding = b.add(nn.Embedding(5, f))
        b.net.begin = embedding
        lengths = (b.size(),) if kind == "tokens" else ()
        return torch.randint(5, (examples, *lengths)), (*lengths, f)
    one, other = b.linear(f, 3), b.linear(2, 3)
    if kind == "two":
        b.net.begin = lambda x, y: torch.tanh(one(x) + other(y))
        return (torch.randn(examples, f), torch.randn(examples, 2)), (3,)
    b.net.begin = lambda x, keep: torch.tanh(one(x)) * keep.unsqueeze(1)
    return {"x": torch.randn(examples, f), "keep": torch.rand(examples) > 0.3}, (3,)


def _head(b: Builder, shape: Shape) -> Step:
    """The last layer, or none: outputs [N, C], [N], [N, T, C], [N, C, T], [N, C, H, W] or [N, H, W, C]."""
    c = b.pick(1, 2, 3)
    if len(shape) == 3:
        layer = b.add(nn.Conv2d(shape[0], c, 1))
        flat = b.linear(shape[0], c)
        return b.pick(layer, lambda h: layer(h).permute(0, 2, 3, 1), lambda h: flat(h.mean((2, 3))))
    layer = b.linear(shape[-1], c)
    options: list[Step] = [layer, layer, lambda h: h]
    if len(shape) == 2:
        options += [lambda h: layer(h).transpose(1, 2), lambda h: layer(h.mean(1))]
    else:
        options.append(lambda h: layer(h).sum(1))
    return b.pick(*options)


@dataclass(frozen=True)
class Poisson(Loss):
    """A loss of one's own."""

    def total(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs.exp() - targets * outputs).sum()

    def hessian_root(self, outputs: Tensor, targets: Tensor) -> Tensor:
        values = outputs.exp().sqrt()
        return torch.diag_embed(values.reshape(len(values), -1), dim1=0, dim2=2).reshape(-1, *values.shape)


def _loss(b: Builder, outputs: Tensor) -> tuple[Loss, Tensor]:
    """Draw a loss and targets for outputs."""
    kinds = ("classes", "classes", "classes", "numbers", "yes or no", "own") if outputs.ndim > 1 else ("numbers", "own")
    kind = b.pick(*kinds)
    if kind == "numbers":
        return losses.mean_squared_error, torch.randn(outputs.shape)
    if kind != "classes":
        return (losses.binary_cross_entropy if kind == "yes or no" else Poisson()), torch.rand(outputs.shape)
    last = outputs.ndim > 2 and b.maybe()
    c = outputs.shape[-1 if last else 1]
    labels = torch.randint(c, outputs.movedim(-1 if last else 1, -1).shape[:-1])
    if b.pick(False, False, True):
        labels[torch.rand(labels.shape) < 0.3] = -100
    weights = b.pick(None, None, tuple(float(i) for i in range(c)), (1.5,) * c)
    return losses.CrossEntropy(b.pick(0.0, 0.2), weights if weights and sum(weights) else None), labels


@dataclass(frozen=True)
class Case:
    """A network with a batch and a loss.

    Attributes
    ----------
    mixing : bool
        Whether some step lets examples influence one another; it may still have no effect.
    moved : bool
        Whether the model is made at other weights than the network's.
    seen : int
        With how many copies of the first example the network is tried before.
    """

    net: Network
    x: Any
    y: Tensor
    loss: Loss
    mixing: bool
    moved: bool
    seen: int
    max_bytes: int

    def __repr__(self) -> str:
        kinds, words = [str(module) for module in self.net.layers], " -> ".join(self.net.words)
        return (
            f"{len(self.y)} examples, {words} ({self.loss}, moved {self.moved}, seen {self.seen}, "
            f"max_bytes {self.max_bytes}, autocast {self.net.autocast}): {kinds}, x {self.x}, y {self.y}"
        )


def _outputs(net: Network, x: Any) -> Tensor:
    copied = change(x if isinstance(x, (dict, tuple)) else (x,), Tensor.clone)
    try:
        with torch.no_grad():
            return net(**copied) if isinstance(x, dict) else net(*copied)
    except (RuntimeError, ValueError):  # such as batch statistics of a single number
        reject()


@st.composite
def cases(draw: Callable[[st.SearchStrategy[Any]], Any]) -> Case:
    """Draw a network, a batch of one to five examples and a loss; at most some 200 weights."""
    # All but the number of steps comes from one seed: drawn one by one, most networks differ from another in one place.
    steps, b = draw(st.integers(1, 4)), Builder(Random(draw(st.integers(0, 2**63))))
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(b.random.getrandbits(32))
    try:
        examples = b.pick(1, 2, 3, 3, 4, 5)
        x, shape = _inputs(b, examples)
        if b.pick(False, False, False, True):
            x = part(x, torch.arange(examples).clamp(max=b.pick(*range(examples))))
        mixed = b.pick(*range(steps)) if b.pick(*[False] * 7, True) else None
        for i in range(steps):
            if i == mixed:
                shape = b.then(_mixed, shape)
            shape = b.then(b.pick(*MAKERS[len(shape)]), shape)
        b.then(_head, shape)
        assume(sum(parameter.numel() for parameter in b.net.parameters()) <= 250)
        b.net.eval()
        if b.pick(*[False] * 11, True):  # half precision inside, for networks and inputs of single precision
            b.net.float().autocast = True
            x = change(x, lambda tensor: tensor.float() if tensor.is_floating_point() else tensor)
            torch.set_default_dtype(torch.float32)
        loss, y = _loss(b, _outputs(b.net, x).to(torch.get_default_dtype()))
    finally:
        torch.set_default_dtype(before)
    return Case(b.net, x, y, loss, b.mixing, b.maybe(), b.pick(0, 0, 0, 1, 2), b.pick(1, 1, 20_000, 2**30))
