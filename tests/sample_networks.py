"""Networks for which curvature must be exact, in float64, with suitable inputs; and a dense reference."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import torch
from torch import Tensor, nn
from torch.func import functional_call, jacrev
from torch.nn import functional as F


def shape_of_task(shape: tuple[int, ...], classes: int, dtype: torch.dtype = torch.float32) -> SimpleNamespace:
    """Return what a network needs to know of a task on the CPU."""
    return SimpleNamespace(shape=shape, classes=classes, device=torch.device("cpu"), dtype=dtype)


class Residual(nn.Module):
    """Convolutions with a residual sum, in-place activations and a batch norm with its own statistics."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(2, 4, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(4)
        self.conv1 = nn.Conv2d(4, 4, 3, padding=1)
        self.conv2 = nn.Conv2d(4, 4, 3, padding=1)
        self.shortcut = nn.Conv2d(4, 4, 1)
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu_(self.norm(self.stem(x)))
        inner = self.conv2(F.relu_(self.conv1(x)))
        inner += self.shortcut(x)
        return self.head(F.relu_(inner).mean((2, 3)))


class Sequence(nn.Module):
    """Linear layers on [N, T, F], mixed over positions by a softmax."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.value, self.out = nn.Linear(5, 4), nn.Linear(5, 4, bias=False), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        attention = torch.softmax(self.query(x) @ self.query.bias.view(-1, 1), dim=1)
        return self.out((attention * self.value(x)).sum(1))


def _plain(*layers: nn.Module) -> Callable[[], nn.Module]:
    return lambda: nn.Sequential(*layers)


NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "linear": (_plain(nn.Linear(6, 3)), (6,)),
    "mlp": (_plain(nn.Linear(6, 7), nn.Tanh(), nn.Linear(7, 5), nn.ReLU(inplace=True), nn.Linear(5, 4)), (6,)),
    "one class": (_plain(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 1)), (6,)),
    "two classes": (_plain(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 2)), (6,)),
    "many classes": (_plain(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 300)), (4,)),
    "one weight": (_plain(nn.Linear(1, 1, bias=False), nn.Tanh(), nn.ConstantPad1d((0, 1), 0.0)), (1,)),
    "convolutions": (
        _plain(
            nn.Conv2d(2, 3, 3),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
            nn.Conv2d(3, 4, 2),
            nn.Flatten(),
            nn.Linear(16, 4),
        ),
        (2, 8, 8),
    ),
    "many positions": (
        _plain(nn.Conv2d(1, 2, 3, padding=1), nn.Tanh(), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        (1, 6, 6),
    ),
    "stride and padding": (
        _plain(
            nn.Conv2d(2, 3, 3, stride=2, padding=(1, 2)),
            nn.ReLU(),
            nn.Conv2d(3, 2, (2, 3), stride=(1, 2)),
            nn.Flatten(),
            nn.Linear(6, 3),
        ),
        (2, 7, 6),
    ),
    "dilation and groups": (
        _plain(
            nn.Conv2d(4, 6, 3, dilation=2, groups=2),
            nn.Tanh(),
            nn.Conv2d(6, 6, 2, groups=6),
            nn.Flatten(),
            nn.Linear(24, 3),
        ),
        (4, 7, 7),
    ),
    "padding by name and mode": (
        _plain(
            nn.Conv2d(2, 3, (2, 3), padding="same"),
            nn.Tanh(),
            nn.Conv2d(3, 3, 3, padding=1, padding_mode="circular"),
            nn.Conv2d(3, 2, 3, padding=(1, 2), padding_mode="reflect"),
            nn.Flatten(),
            nn.Linear(56, 3),
        ),
        (2, 4, 5),
    ),
    "strided 1 x 1": (
        _plain(nn.Conv2d(3, 4, 1, stride=2), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(24, 3)),
        (3, 5, 4),
    ),
    "residual with batch norm": (Residual, (2, 5, 5)),
    "sequence": (Sequence, (6, 5)),
    "sequence with in-place activation": (
        _plain(nn.Linear(5, 4), nn.ReLU(inplace=True), nn.Linear(4, 2), nn.Flatten(), nn.Linear(12, 3)),
        (6, 5),
    ),
}


def make(name: str, scale: float = 1.0, seed: int = 0) -> tuple[nn.Module, Tensor, Tensor]:
    """Return a network in float64 and eval mode, a batch and its labels; `scale` multiplies the last weights."""
    torch.manual_seed(seed)
    factory, shape = NETWORKS[name]
    net = factory().double().eval()
    for module in net.modules():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias)
    last = [module for module in net.modules() if isinstance(module, (nn.Linear, nn.Conv2d))][-1]
    with torch.no_grad():
        last.weight.mul_(scale)
    x = torch.randn(9, *shape, dtype=torch.float64)
    y = torch.randint(net(x).shape[1], (9,))
    return net, x, y


def prunable(net: nn.Module) -> dict[str, Tensor]:
    """Return the weights of Linear and Conv2d layers by name, found independently of the library."""
    layers = [(name, module) for name, module in net.named_modules() if isinstance(module, (nn.Linear, nn.Conv2d))]
    return {f"{name}.weight".lstrip("."): module.weight.detach() for name, module in layers}


def softmax_hessian(p: Tensor) -> Tensor:
    """Return diag(p) - p p^T [N, C, C] of probabilities [N, C].

    The diagonal p_i (1 - p_i) is p_i times the sum of the others: 1 - p loses all its digits where p saturates.
    """
    off_diagonal = p.unsqueeze(2) * p.unsqueeze(1) * (1 - torch.eye(p.shape[1], dtype=p.dtype))
    return torch.diag_embed(off_diagonal.sum(2)) - off_diagonal


def dense_ggn_diagonal(net: nn.Module, x: Tensor) -> Tensor:
    """Return the GGN's diagonal [D] from the full Jacobian of the logits and the softmax Hessian diag(p) - p p^T."""
    weights = prunable(net)
    p = torch.softmax(net(x).detach(), 1)
    hessian = softmax_hessian(p)
    jacobians = jacrev(lambda w: functional_call(net, w, (x,)))(weights)
    total = []
    for jacobian in jacobians.values():
        j = jacobian.flatten(2)  # [N, C, size of the layer]
        total.append(torch.einsum("ncd,nce,ned->d", j, hessian, j) / len(x))
    return torch.cat(total).detach()
