"""Wrong answers to the exercises of notebook 02, and the mistake that the check must name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F


def in_place(w: Tensor, *others: Any) -> Tensor:
    w *= w
    return w.abs()


def qm(
    change: Callable[..., Tensor] = lambda w, g, c: (-g * w + c * w**2 / 2).abs(),
    penalty: Callable[..., Tensor] = lambda w, s: s * w**2 / 2,
) -> Callable[..., Tensor]:
    """Return an answer with another modelled change or another step penalty."""
    return lambda w, g, c, s: change(w, g, c) + penalty(w, s)


def change(total: Callable[..., Any]) -> Callable[..., Any]:
    """Return an answer that makes the step first, d, which is zero where a weight is kept."""
    return lambda w, g, c, k: total(torch.where(k, torch.zeros_like(w), -w), g, c)


def kept_set_to_zero(w: Tensor, g: Tensor, c: Tensor, k: Tensor) -> Tensor:
    w[k] = 0
    return (-g * w + 0.5 * c * w**2).sum()


def diagonal(
    spread: Callable[[Tensor], Tensor] = lambda p: p * (1 - p),
    inputs: Callable[[Tensor], Tensor] = torch.square,
    probabilities: Callable[[Tensor], Tensor] = lambda z: z.softmax(1),
    divided: Callable[[Tensor, Tensor], float] = lambda x, z: len(x),
) -> Callable[[Tensor, Tensor], Tensor]:
    """Return an answer with another spread, other inputs, other probabilities, or another divisor."""
    return lambda x, z: spread(probabilities(z)).T @ inputs(x) / divided(x, z)


def variance(z: Tensor) -> Tensor:
    p = z.softmax(1)
    return p * (1 - p)


def one_example_missed(x: Tensor, z: Tensor) -> Tensor:
    total = torch.zeros(z.shape[1], x.shape[1], dtype=x.dtype)
    for n in range(len(x) - 1):
        total += torch.outer(variance(z)[n], x[n] ** 2)
    return total / len(x)


def hessian_along(loss: Callable[[Tensor], Tensor], w: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """Return the gradient of a loss at w, and its Hessian times v."""
    at = w.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(at), at, create_graph=True)
    return gradient.detach(), torch.autograd.grad(gradient @ v, at)[0]


def along(found: Callable[[Tensor, Tensor, Tensor], Any]) -> Callable[..., Any]:
    """Return an answer made of the gradient, the Hessian times the step, and the step."""
    return lambda loss, w, v: found(*hessian_along(loss, w, v), v)


def only_the_diagonal(loss: Callable[[Tensor], Tensor], w: Tensor, v: Tensor) -> Tensor:
    unit = torch.eye(len(w), dtype=w.dtype)
    return sum((hessian_along(loss, w, e)[1] @ e * (e @ v) ** 2 for e in unit), torch.zeros((), dtype=w.dtype))


WRONG: dict[str, list[tuple[str, Any]]] = {
    "QM saliency": [
        ("penalty-inside", lambda w, g, c, s: (-g * w + 0.5 * (c + s) * w**2).abs()),
        ("sign", qm(lambda w, g, c: (g * w + c * w**2 / 2).abs())),
        ("sign", qm(lambda w, g, c: (-g * w - c * w**2 / 2).abs())),
        ("half-curvature", qm(lambda w, g, c: (-g * w + c * w**2).abs())),
        ("half-penalty", qm(penalty=lambda w, s: s * w**2)),
        ("both-halves", qm(lambda w, g, c: (-g * w + c * w**2).abs(), lambda w, s: s * w**2)),
        ("sign-and-half", qm(lambda w, g, c: (g * w + c * w**2).abs())),
        ("signed", qm(lambda w, g, c: -g * w + c * w**2 / 2)),
        ("no-penalty", qm(penalty=lambda w, s: 0 * w)),
        ("each-term", qm(lambda w, g, c: (g * w).abs() + c * w**2 / 2)),
        ("penalty-on-size", qm(penalty=lambda w, s: s * w.abs() / 2)),
        ("penalty-constant", qm(penalty=lambda w, s: s / 2)),
        ("penalty-summed", qm(penalty=lambda w, s: s * (w**2).sum() / 2)),
        ("penalty-subtracted", qm(penalty=lambda w, s: -s * w**2 / 2)),
        ("penalty-squared", qm(penalty=lambda w, s: (s * w) ** 2 / 2)),
        ("half-gradient", lambda w, g, c, s: 0.5 * ((-g * w + c * w**2).abs() + s * w**2)),
        ("quadratic-not-squared", qm(lambda w, g, c: (-g * w + c * w / 2).abs())),
        ("curvature-squared", qm(lambda w, g, c: (-g * w + (c * w) ** 2 / 2).abs())),
        ("no-gradient", lambda w, g, c, s: 0.5 * (c + s) * w**2),
        ("no-curvature", qm(lambda w, g, c: (g * w).abs())),
        ("swapped", qm(lambda w, g, c: (-c * w + g * w**2 / 2).abs())),
        ("bare-gradient", qm(lambda w, g, c: (-g + c * w**2 / 2).abs())),
        ("change-squared", qm(lambda w, g, c: (-g * w + c * w**2 / 2) ** 2)),
        ("clipped", qm(lambda w, g, c: (-g * w + c * w**2 / 2).clamp(min=0))),
        ("summed", lambda *given: qm()(*given).sum()),
        ("in-place", in_place),
    ],
    "predicted change": [
        ("swapped-mask", lambda w, g, c, k: change(lambda d, g, c: g @ d + c @ d**2 / 2)(w, g, c, ~k)),
        ("saliencies", change(lambda d, g, c: (g * d + c * d**2 / 2).abs().sum())),
        ("sizes-of-gradient", change(lambda d, g, c: ((g * d).abs() + c * d**2 / 2).sum())),
        ("size-of-total", change(lambda d, g, c: (g @ d + c @ d**2 / 2).abs())),
        ("sign", change(lambda d, g, c: g @ -d + c @ d**2 / 2)),
        ("sign-and-half", change(lambda d, g, c: g @ -d + c @ d**2)),
        ("sign-of-quadratic", lambda w, g, c, k: -(g[~k] * w[~k] + 0.5 * c[~k] * w[~k] ** 2).sum()),
        ("negated", change(lambda d, g, c: -(g @ d + c @ d**2 / 2))),
        ("half", change(lambda d, g, c: (g * d + c * d**2).sum())),
        ("half-gradient", change(lambda d, g, c: 0.5 * (g * d + c * d**2).sum())),
        ("no-mask", lambda w, g, c, k: (-g * w + c * w**2 / 2).sum()),
        ("per-weight", change(lambda d, g, c: g * d + c * d**2 / 2)),
        ("mean", change(lambda d, g, c: (g * d + c * d**2 / 2).mean())),
        ("mean-of-pruned", lambda w, g, c, k: (-g * w + 0.5 * c * w**2)[~k].mean()),
        ("no-curvature", lambda w, g, c, k: -(g * w)[~k].sum()),
        ("no-gradient", lambda w, g, c, k: 0.5 * (c * w**2)[~k].sum()),
        ("swapped-mask-and-sign", lambda w, g, c, k: (g * w * k + c * (w * k) ** 2 / 2).sum()),
        ("not-squared", change(lambda d, g, c: (g * d + c * d / 2).sum())),
        ("curvature-squared", change(lambda d, g, c: (g * d + (c * d) ** 2 / 2).sum())),
        ("square-of-sum", change(lambda d, g, c: (g * d).sum() + 0.5 * (c.sqrt() * d).sum() ** 2)),
        ("swapped", change(lambda d, g, c: (c * d + g * d**2 / 2).sum())),
        ("in-place", kept_set_to_zero),
        ("exception", lambda w, g, c, k: -w * (1 - k)),  # torch refuses it
        ("type", lambda w, g, c, k: "much"),
        ("dtype", lambda w, g, c, k: True),
    ],
    "diagonal of the last layer": [
        ("p-alone", diagonal(lambda p: p)),
        ("one-minus-p", diagonal(lambda p: 1 - p)),
        ("p-squared", diagonal(lambda p: p**2)),
        ("spread-squared", diagonal(lambda p: (p * (1 - p)) ** 2)),
        ("root", diagonal(lambda p: (p * (1 - p)).sqrt())),
        ("sign", diagonal(lambda p: p * (p - 1))),
        ("not-squared", diagonal(inputs=lambda x: x)),
        ("sizes", diagonal(inputs=torch.abs)),
        ("no-softmax", diagonal(probabilities=lambda z: z)),
        ("over-examples", diagonal(probabilities=lambda z: z.softmax(0))),
        ("over-everything", diagonal(probabilities=lambda z: (z - z.max()).exp() / (z - z.max()).exp().sum())),
        ("sigmoid", diagonal(probabilities=torch.sigmoid)),
        ("log-softmax", diagonal(probabilities=lambda z: z.log_softmax(1))),
        ("summed", diagonal(divided=lambda x, z: 1)),
        ("half", diagonal(divided=lambda x, z: 2 * len(x))),
        ("mean-over-classes", diagonal(divided=lambda x, z: z.numel())),
        ("divided-by-classes", diagonal(divided=lambda x, z: z.shape[1])),
        ("n-minus-one", diagonal(divided=lambda x, z: len(x) - 1)),
        ("thousand", diagonal(divided=lambda x, z: 1000)),
        ("transposed", lambda x, z: (x**2).T @ variance(z) / len(x)),
        ("squared-gradients", diagonal(lambda p: (p - F.one_hot(p.argmax(1), p.shape[1])) ** 2)),
        ("product-of-means", lambda x, z: torch.outer(variance(z).mean(0), (x**2).mean(0))),
        ("square-of-mean", lambda x, z: (variance(z).T @ x / len(x)).square()),
        ("mean-p", lambda x, z: torch.outer(z.softmax(1).mean(0) * (1 - z.softmax(1).mean(0)), (x**2).mean(0))),
        ("mean-inputs", lambda x, z: torch.outer(variance(z).mean(0), x.mean(0).square())),
        ("each-example", lambda x, z: variance(z).unsqueeze(2) * (x**2).unsqueeze(1)),
        ("last-example", one_example_missed),
        ("in-place", lambda x, z: variance(z).T @ x.square_() / len(x)),
        ("exception", lambda x, z: variance(z) @ x**2 / len(x)),  # torch refuses it
    ],
    "curvature along a step": [
        ("hessian-times-step", along(lambda g, hv, v: hv)),
        ("half", along(lambda g, hv, v: v @ hv / 2)),
        ("length", along(lambda g, hv, v: hv.norm())),
        ("squared-slope", along(lambda g, hv, v: (g @ v) ** 2)),
        ("slope", along(lambda g, hv, v: g @ v)),
        ("second-order", along(lambda g, hv, v: g @ v + v @ hv / 2)),
        ("per-length", along(lambda g, hv, v: v @ hv / (v @ v))),
        ("negated", along(lambda g, hv, v: -(v @ hv))),
        ("diagonal", only_the_diagonal),
        ("at-the-end", lambda loss, w, v: hessian_along(loss, w + v, v)[1] @ v),
        ("weights-for-step", lambda loss, w, v: hessian_along(loss, w, w)[1] @ w),
        ("actual-change", lambda loss, w, v: loss(w + v) - loss(w)),
        ("exception", lambda loss, w, v: torch.autograd.grad(loss(w), w)),  # w asks for no gradient
        ("other", lambda loss, w, v: 1.0),
    ],
    "what stages mend": [
        ("all-shrink", "a"),
        ("diagonal", "c"),
        ("none", "d"),
        *(("no-option", answer) for answer in ("a and b", "beyond the 2nd order", 2, "e")),
    ],
}
