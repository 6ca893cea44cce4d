"""The networks of the paper and two small ones, freshly initialised or trained and shipped."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lossprune_lib import files
from lossprune_lib.checks import check_choice, check_float, check_network, check_task
from lossprune_lib.files import shipped
from lossprune_lib.networks.gpt import TinyGPT, initialise
from lossprune_lib.seeds import generator


class Inputs(Protocol):
    """What a network needs to know about its task."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def classes(self) -> int | None: ...
    @property
    def device(self) -> torch.device: ...
    @property
    def dtype(self) -> torch.dtype: ...


def classes_of(task: Inputs) -> int:
    """Return how many outputs a network for a task has; ValueError if its targets are not classes."""
    check_task(task, "shape", "classes")
    if task.classes is None:
        raise ValueError(
            "The targets of this task are not class numbers: say how many outputs its networks have, for example with "
            "Task.from_tensors(..., classes=1)."
        )
    return task.classes


def mlp_300_100(task: Inputs, *, seed: int = 0) -> nn.Module:
    """The paper's multilayer perceptron: inputs-300-100-classes, with tanh.

    Takes inputs [N, *task.shape] of any shape and gives logits [N, classes]; 266,200 weights on MNIST.
    """
    classes, inputs = classes_of(task), torch.Size(task.shape).numel()
    layers = OrderedDict(
        flatten=nn.Flatten(),
        fc1=nn.Linear(inputs, 300),
        tanh1=nn.Tanh(),
        fc2=nn.Linear(300, 100),
        tanh2=nn.Tanh(),
        fc3=nn.Linear(100, classes),
    )
    return _initialised(nn.Sequential(layers), task, seed)


def small_vgg(task: Inputs, *, seed: int = 0) -> nn.Module:
    """Three convolutions and a linear layer, about 0.1 million weights: for CPUs and images of at least 4 x 4."""
    channels, _, _ = _image_shape(task, least=4)
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for i, (before, after) in enumerate([(channels, 32), (32, 64), (64, 128)], start=1):
        layers[f"conv{i}"] = nn.Conv2d(before, after, 3, padding=1)
        layers[f"relu{i}"] = nn.ReLU()
        layers[f"pool{i}"] = nn.MaxPool2d(2) if i < 3 else nn.AdaptiveAvgPool2d(1)
    layers["flatten"] = nn.Flatten()
    layers["fc"] = nn.Linear(128, classes_of(task))
    return _initialised(nn.Sequential(layers), task, seed)


def vgg11(task: Inputs, *, seed: int = 0, width: float = 1.0) -> nn.Module:
    """The paper's VGG11 for images of 32 x 32: eight convolutions without batch norm and a 512-512-classes head.

    `width` multiplies the number of channels and units of every layer but the last; 1 is the paper's.
    """
    channels, rows, columns = _image_shape(task, least=32)
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    plan = [(64,), (128,), (256, 256), (512, 512), (512, 512)]
    for stage, sizes in enumerate(plan, start=1):
        for after in (_scaled(size, width) for size in sizes):
            i = sum(name.startswith("conv") for name in layers) + 1
            layers[f"conv{i}"] = nn.Conv2d(channels, after, 3, padding=1)
            layers[f"relu{i}"] = nn.ReLU(inplace=True)
            channels = after
        layers[f"pool{stage}"] = nn.MaxPool2d(2)
    layers["flatten"] = nn.Flatten()
    units = _scaled(512, width)
    layers["fc1"] = nn.Linear(channels * (rows // 32) * (columns // 32), units)
    layers["relu_fc1"] = nn.ReLU(inplace=True)
    layers["fc2"] = nn.Linear(units, classes_of(task))
    return _initialised(nn.Sequential(layers), task, seed)


class _PreActBlock(nn.Module):
    """Norm, ReLU, convolution, twice, added to the input.

    Source: He et al. 2016, Identity Mappings in Deep Residual Networks.
    """

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(before)
        self.conv1 = nn.Conv2d(before, after, 3, stride, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1, bias=False)
        changes_shape = stride != 1 or before != after
        self.shortcut = nn.Conv2d(before, after, 1, stride, bias=False) if changes_shape else None

    def forward(self, x: Tensor) -> Tensor:
        active = F.relu(self.norm1(x))
        carried = x if self.shortcut is None else self.shortcut(active)
        return self.conv2(F.relu(self.norm2(self.conv1(active)))) + carried


def preact_resnet18(task: Inputs, *, seed: int = 0, width: float = 1.0) -> nn.Module:
    """The paper's pre-activation ResNet18 for images of 32 x 32.

    It ends, as in its authors' published program, in a 1 x 1 convolution with batch norm on the logits. `width`
    multiplies the number of channels of every layer but the last; 1 is the paper's.
    """
    channels, _, _ = _image_shape(task, least=8)
    before, *others = (_scaled(size, width) for size in (64, 64, 128, 256, 512))
    layers: OrderedDict[str, nn.Module] = OrderedDict(conv=nn.Conv2d(channels, before, 3, padding=1, bias=False))
    for i, (after, stride) in enumerate(zip(others, (1, 2, 2, 2), strict=True), start=1):
        layers[f"block{i}a"] = _PreActBlock(before, after, stride)
        layers[f"block{i}b"] = _PreActBlock(after, after, 1)
        before = after
    layers["norm"] = nn.BatchNorm2d(before)
    layers["relu"] = nn.ReLU()
    layers["pool"] = nn.AdaptiveAvgPool2d(1)
    layers["logits"] = nn.Conv2d(before, classes_of(task), 1, bias=False)
    layers["logits_norm"] = nn.BatchNorm2d(classes_of(task))
    layers["flatten"] = nn.Flatten()
    return _initialised(nn.Sequential(layers), task, seed)


def tiny_gpt(task: Inputs, *, seed: int = 0) -> nn.Module:
    """A transformer of three blocks of width 96 that predicts the next token: 0.36 million weights for a text.

    Takes tokens int64 [N, T], T up to the length of the task's sequences, and gives logits [N, T, classes].
    """
    vocabulary, shape = classes_of(task), tuple(task.shape)
    if len(shape) != 1:
        raise ValueError(
            f"This network takes sequences of tokens [length], not inputs of shape {list(shape)}: try "
            'data.load("python_reference"), or mlp_300_100 for any input.'
        )
    net = TinyGPT(vocabulary, shape[0])
    if not net.head.weight.is_meta:
        initialise(net, generator(seed, "initial weights"))
    return net.to(device=task.device, dtype=_dtype_for(task)).eval()


# Those that can be made narrower or wider.
SCALABLE = ("vgg11", "preact_resnet18")
MODELS: dict[str, Callable[..., nn.Module]] = {
    "mlp_300_100": mlp_300_100,
    "small_vgg": small_vgg,
    "vgg11": vgg11,
    "preact_resnet18": preact_resnet18,
    "tiny_gpt": tiny_gpt,
}


def make(model: str, task: Inputs, *, seed: int = 0, width: float = 1.0) -> nn.Module:
    """Make a network by its name in `MODELS`; a width other than 1 only where the model takes one."""
    check_choice(model, MODELS, "model")
    if width == 1:
        return MODELS[model](task, seed=seed)
    check_choice(model, SCALABLE, "model that takes a width")
    return MODELS[model](task, seed=seed, width=width)


@dataclass(frozen=True)
class _Shipped:
    """What a checkpoint says about the task that its network was trained on."""

    shape: tuple[int, ...]
    classes: int
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    dtype: torch.dtype = torch.float32


def pretrained(model: str, task: str | Inputs) -> nn.Module:
    """Return a shipped trained network, in eval mode.

    Parameters
    ----------
    model : a name in `MODELS`
    task : a data set's name (the network is then on the CPU), or a `Task` (it is then on the task's device)

    Raises
    ------
    ValueError
        for an unknown name, a combination that is not shipped, or a damaged file.
    """
    check_choice(model, MODELS, "model")
    name = task if isinstance(task, str) else getattr(task, "name", "custom")
    stems = sorted(path.stem for path in shipped("checkpoints").glob("*.safetensors"))
    check_choice(f"{model}-{name}", stems, "shipped network (named MODEL-TASK)")
    net = load(shipped(f"checkpoints/{model}-{name}.safetensors"))
    return net if isinstance(task, str) else net.to(device=task.device, dtype=_dtype_for(task))


def save(path: str | Path, net: nn.Module, model: str, task: Inputs, *, width: float = 1.0, **notes: str) -> None:
    """Write a network that came from `MODELS` to a safetensors file, with everything needed to load it again.

    Raises
    ------
    ValueError, TypeError, OSError
        if the network is not this model for this task, so that it could not be loaded, or the file cannot be written.
    """
    check_choice(model, MODELS, "model")
    check_network(net)
    classes, state = classes_of(task), net.state_dict()
    try:
        _assembled(state, model, tuple(task.shape), classes, width)
    except RuntimeError as error:
        raise ValueError(
            f"This network is not a {model} of width {width:g} for inputs {list(task.shape)} and {classes} classes, "
            f"and could not be loaded again: make it with models.{model}(task), or give the name and the task that it "
            "was made for."
        ) from error
    about = {"model": model, "shape": ",".join(map(str, task.shape)), "classes": str(classes)}
    about |= {} if width == 1 else {"width": repr(float(width))}
    if about.keys() & notes.keys():
        raise ValueError(f"{' and '.join(about.keys() & notes.keys())} are stored anyway: give your notes other names.")
    files.save_tensors(path, state, about | notes)


def load(path: str | Path) -> nn.Module:
    """Read a network that `save` wrote, on the CPU and in eval mode; ValueError if it does not fit its model.

    What was saved in half precision comes in float32.
    """
    tensors, metadata = files.load_tensors(path)
    try:
        shape = tuple(int(size) for size in metadata["shape"].split(","))
        classes = int(metadata["classes"])
        if min(*shape, classes) < 1:
            raise ValueError("a size of its inputs, or its number of classes, is below 1")
        model, width = metadata["model"], float(metadata.get("width", 1))
        net = _assembled(tensors, model, shape, classes, width)
        return net.float() if next(net.parameters()).dtype == torch.float16 else net
    except (KeyError, ValueError, TypeError, RuntimeError, ArithmeticError) as error:
        why = f"it lacks {error}" if isinstance(error, KeyError) else error
        raise ValueError(f"{path} holds no network that this version knows ({why}): save it again.") from error


def _assembled(
    tensors: Mapping[str, Tensor], model: str, shape: tuple[int, ...], classes: int, width: float
) -> nn.Module:
    """Return a model of these tensors, in eval mode; raise RuntimeError unless they have its names and shapes."""
    with torch.device("meta"):  # so that a tampered file cannot claim more memory than its own tensors take
        net = make(model, _Shipped(shape, classes, torch.device("meta")), width=width)
    net.load_state_dict(tensors, assign=True)
    return net


def _initialised(net: nn.Module, task: Inputs, seed: int) -> nn.Module:
    if not task.dtype.is_floating_point:
        raise TypeError(f"This network takes real numbers, not {task.dtype}: for sequences of tokens take tiny_gpt.")
    # Drawn on the CPU and then moved: the same network on every device.
    draws = generator(seed, "initial weights")
    for module in net.modules():
        # A meta tensor has no numbers; to pretend to draw some, torch would load its compiler, for one or two seconds.
        if isinstance(module, (nn.Linear, nn.Conv2d)) and not module.weight.is_meta:
            nn.init.kaiming_normal_(module.weight, generator=draws)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return net.to(device=task.device, dtype=task.dtype).eval()


def _dtype_for(task: Inputs) -> torch.dtype:
    """Return the dtype of a network's weights: that of the inputs, where those are not tokens."""
    return task.dtype if task.dtype.is_floating_point else torch.float32


def _scaled(size: int, width: float) -> int:
    return max(1, round(size * check_float(width, "width")))


def _image_shape(task: Inputs, least: int) -> tuple[int, int, int]:
    classes_of(task)
    if len(task.shape) != 3 or min(task.shape[1:]) < least:
        raise ValueError(
            f"This network takes images [channels, height, width] of at least {least} x {least}, "
            f"not inputs of shape {list(task.shape)}: try small_vgg for small images, mlp_300_100 for any input."
        )
    return task.shape[0], task.shape[1], task.shape[2]
