"""A straightforward pruner to compare with: one backward pass per class, a full sort; no code shared with the library.

It takes networks made of Linear and Conv2d layers, each run once, without in-place activations, and honours float64, so
that the tests also check masks against it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def layers_of(net: nn.Module) -> list[nn.Linear | nn.Conv2d]:
    return [module for module in net.modules() if isinstance(module, (nn.Linear, nn.Conv2d))]


def gradient_and_curvature(
    net: nn.Module, x: Tensor, y: Tensor, outputs_only: bool = False
) -> tuple[Tensor, Tensor, float]:
    """Return gradient [D] and GGN diagonal [D] of the mean cross-entropy, and its value.

    Each class takes a whole backward pass, as ``logits.backward(...)`` does; with `outputs_only` the weight gradients,
    which nobody reads, are left out of it.
    """
    layers = layers_of(net)
    seen: dict[nn.Module, tuple[Tensor, Tensor]] = {}
    handles = [m.register_forward_hook(lambda m, i, o: seen.__setitem__(m, (i[0].detach(), o))) for m in layers]
    logits = net(x)
    for handle in handles:
        handle.remove()
    loss = F.cross_entropy(logits, y)
    gradients = torch.autograd.grad(loss, [m.weight for m in layers], retain_graph=True)
    p = torch.softmax(logits.detach(), 1)
    curvature = [torch.zeros_like(m.weight) for m in layers]
    for c in range(p.shape[1]):
        # Column c of a root of diag(p) - p p^T: sqrt(p_c) (e_c - p).
        column = -p.clone()
        column[:, c] += 1
        column *= p[:, c : c + 1].sqrt()
        wanted = [seen[m][1] for m in layers] + ([] if outputs_only else [m.weight for m in layers])
        outputs = torch.autograd.grad(logits, wanted, column, retain_graph=True)[: len(layers)]
        for m, g, total in zip(layers, outputs, curvature, strict=True):
            total += squared_weight_gradients(m, seen[m][0], g)
    flat = torch.cat([g.reshape(-1) for g in gradients])
    return flat, torch.cat([c.reshape(-1) for c in curvature]) / len(x), loss.item()


def squared_weight_gradients(layer: nn.Linear | nn.Conv2d, x: Tensor, g: Tensor) -> Tensor:
    """Return the sum over examples of the squared weight gradient."""
    if isinstance(layer, nn.Linear):
        return g.square().T @ x.square()
    patches = F.unfold(x, layer.kernel_size, layer.dilation, layer.padding, layer.stride)
    return torch.einsum("nol,nkl->nok", g.flatten(2), patches).square().sum(0).view_as(layer.weight)


def saliency(criterion: str, weights: Tensor, gradient: Tensor, curvature: Tensor, penalty: float) -> Tensor:
    """Return the saliencies of Laurent et al. 2020, section 2."""
    formulas: dict[str, Callable[[], Tensor]] = {
        "mp": lambda: weights**2,
        "lm": lambda: (gradient * weights).abs() + penalty / 2 * weights**2,
        "qm": lambda: (-gradient * weights + curvature * weights**2 / 2).abs() + penalty / 2 * weights**2,
        "obd": lambda: curvature * weights**2 / 2 + penalty / 2 * weights**2,
    }
    return formulas[criterion]()


def prune_(
    net: nn.Module,
    criterion: str,
    sparsities: list[float],
    batches: Iterator[tuple[Tensor, Tensor]],
    penalty: float = 0.0,
    outputs_only: bool = False,
    losses: list[float] | None = None,
) -> Tensor:
    """Prune a network in place, one stage per sparsity and batch; return which weights [D] are kept.

    To `losses`, where it is given, each stage appends what the loss on its batch has become, as the trace says it.
    """
    layers = layers_of(net)
    kept = torch.ones(sum(m.weight.numel() for m in layers), dtype=torch.bool)
    for sparsity, (x, y) in zip(sparsities, batches, strict=False):
        weights = torch.cat([m.weight.detach().reshape(-1) for m in layers])
        gradient, curvature, _ = gradient_and_curvature(net, x, y, outputs_only)
        scores = saliency(criterion, weights, gradient, curvature, penalty)
        scores[~kept] = -torch.inf
        order = scores.argsort(stable=True)
        kept[order[: round(len(kept) * sparsity)]] = False
        offset = 0
        with torch.no_grad():
            for m in layers:
                size = m.weight.numel()
                m.weight *= kept[offset : offset + size].view_as(m.weight)
                offset += size
            if losses is not None:
                losses.append(F.cross_entropy(net(x), y).item())
    return kept
