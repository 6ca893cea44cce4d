"""The convolutional networks: the paper's VGG11 and PreActResNet18, of any width, and a small one for CPUs."""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn
from torch.nn import functional as F

from lossprune_lib.checks import check_float
from lossprune_lib.networks.initial import TaskShape, classes_of, initialised


def small_vgg(task: TaskShape, *, seed: int = 0) -> nn.Module:
    """Three convolutions and a linear layer, about 0.1 million weights: for CPUs and images of at least 4 x 4.

    Takes inputs [N, channels, height, width] and gives logits [N, classes], as the others here.

    Raises
    ------
    TypeError, ValueError
        if this is no task, its targets are not classes, or its inputs are not images of at least 4 x 4.
    """
    channels, _, _ = _image_shape(task, least=4)
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for i, (before, after) in enumerate([(channels, 32), (32, 64), (64, 128)], start=1):
        layers[f"conv{i}"] = nn.Conv2d(before, after, 3, padding=1)
        layers[f"relu{i}"] = nn.ReLU()
        layers[f"pool{i}"] = nn.MaxPool2d(2) if i < 3 else nn.AdaptiveAvgPool2d(1)
    layers["flatten"] = nn.Flatten()
    layers["fc"] = nn.Linear(128, classes_of(task))
    return initialised(nn.Sequential(layers), task, seed)


def vgg11(task: TaskShape, *, seed: int = 0, width: float = 1.0) -> nn.Module:
    """The paper's VGG11 for images of 32 x 32: eight convolutions without batch norm and a 512-512-classes head.

    `width` multiplies the number of channels and units of every layer but the last; 1 is the paper's.

    Raises
    ------
    TypeError, ValueError
        if this is no task, its targets are not classes, or its inputs are not images of at least 32 x 32.
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
    return initialised(nn.Sequential(layers), task, seed)


class PreActBlock(nn.Module):
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


def preact_resnet18(task: TaskShape, *, seed: int = 0, width: float = 1.0) -> nn.Module:
    """The paper's pre-activation ResNet18 for images of 32 x 32.

    It ends, as in its authors' published program, in a 1 x 1 convolution with batch norm on the logits. `width`
    multiplies the number of channels of every layer but the last; 1 is the paper's.

    Raises
    ------
    TypeError, ValueError
        if this is no task, its targets are not classes, or its inputs are not images of at least 8 x 8.
    """
    channels, _, _ = _image_shape(task, least=8)
    before, *others = (_scaled(size, width) for size in (64, 64, 128, 256, 512))
    layers: OrderedDict[str, nn.Module] = OrderedDict(conv=nn.Conv2d(channels, before, 3, padding=1, bias=False))
    for i, (after, stride) in enumerate(zip(others, (1, 2, 2, 2), strict=True), start=1):
        layers[f"block{i}a"] = PreActBlock(before, after, stride)
        layers[f"block{i}b"] = PreActBlock(after, after, 1)
        before = after
    layers["norm"] = nn.BatchNorm2d(before)
    layers["relu"] = nn.ReLU()
    layers["pool"] = nn.AdaptiveAvgPool2d(1)
    layers["logits"] = nn.Conv2d(before, classes_of(task), 1, bias=False)
    layers["logits_norm"] = nn.BatchNorm2d(classes_of(task))
    layers["flatten"] = nn.Flatten()
    return initialised(nn.Sequential(layers), task, seed)


def _scaled(size: int, width: float) -> int:
    return max(1, round(size * check_float(width, "width")))


def _image_shape(task: TaskShape, least: int) -> tuple[int, int, int]:
    classes_of(task)
    if len(task.shape) != 3 or min(task.shape[1:]) < least:
        raise ValueError(
            f"This network takes images [channels, height, width] of at least {least} x {least}, "
            f"not inputs of shape {list(task.shape)}: try small_vgg for small images, mlp_300_100 for any input."
        )
    return task.shape[0], task.shape[1], task.shape[2]
