"""The checks of notebook 02: right answers in other styles pass, and each mistake is named."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lossprune_lib import exercises


def lm_in_numpy(w: Tensor, g: Tensor) -> np.ndarray:
    return np.abs(w.numpy() * g.numpy())


def qm_in_a_loop(w: Tensor, g: Tensor, c: Tensor, penalty: float) -> Tensor:
    each = [abs(-b * a + 0.5 * d * a * a) + 0.5 * penalty * a * a for a, b, d in zip(w, g, c, strict=True)]
    return torch.stack(each).float()


def change_of_pruned_weights(w: Tensor, g: Tensor, c: Tensor, kept: Tensor) -> float:
    w, g, c = w[~kept], g[~kept], c[~kept]
    return (-(g @ w) + c @ (w * w) / 2).item()


def change_in_numpy(w: Tensor, g: Tensor, c: Tensor, kept: Tensor) -> np.ndarray:
    step = np.where(kept.numpy(), 0, -w.numpy())
    return np.sum(g.numpy() * step + c.numpy() * step**2 / 2, keepdims=True)


def diagonal_in_numpy(x: Tensor, z: Tensor) -> np.ndarray:
    p = np.exp(z.numpy()) / np.exp(z.numpy()).sum(1, keepdims=True)
    return np.einsum("nc,nf->cf", p - p**2, x.numpy() ** 2) / len(x)


def diagonal_by_hessians(x: Tensor, z: Tensor) -> Tensor:
    p = z.softmax(1)
    hessians = torch.diag_embed(p) - p.unsqueeze(2) * p.unsqueeze(1)
    return torch.einsum("ncc,nf->cf", hessians, x**2) / len(x)


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("LM saliency", lm_in_numpy),
        ("QM saliency", qm_in_a_loop),
        ("predicted change", change_of_pruned_weights),
        ("predicted change", change_in_numpy),
        ("diagonal of the last layer", diagonal_by_hessians),
        ("diagonal of the last layer", diagonal_in_numpy),
        ("when the gradient is zero", " B "),
        ("reading the split", "b"),
    ],
)
def test_another_way_to_write_it_passes(name: str, answer: Any) -> None:
    verdict = exercises.check(name, answer)
    assert verdict.passed, verdict.text


LM: list[tuple[Callable[..., Any], str]] = [
    (lambda w, g: -w * g, "absolute value is missing"),
    (lambda w, g: g.abs(), "size of the gradient alone"),
    (lambda w, g: w**2, "magnitude pruning"),
    (lambda w, g: (w * g) ** 2, "squared the product"),
    (lambda w, g: (w * g).abs() / 2, "no 1/2"),
    (lambda w, g: g.abs() * w, "weight's sign"),
    (lambda w, g: (w * g).abs().sum(), "every weight needs"),
    (lambda w, g: (w * g).abs().mean(), "every weight needs"),
    (lambda w, g: (w * g).abs() + 1, r"should be \[5"),
    (lambda w, g: (w * g).abs()[:-1], "shape"),
    (lambda w, g: w.mul_(g).abs(), "in place"),
    (lambda w: w, "TypeError"),
]
QM: list[tuple[Callable[..., Any], str]] = [
    (lambda w, g, c, s: (g * w + c * w**2 / 2).abs() + s * w**2 / 2, "sign of the gradient"),
    (lambda w, g, c, s: (-g * w + c * w**2).abs() + s * w**2 / 2, "1/2 of the quadratic term is missing"),
    (lambda w, g, c, s: (-g * w + c * w**2 / 2).abs() + s * w**2, "1/2 of the step penalty is missing"),
    (lambda w, g, c, s: (-g * w + c * w**2).abs() + s * w**2, "Both halves"),
    (lambda w, g, c, s: -g * w + c * w**2 / 2 + s * w**2 / 2, "absolute value is missing"),
    (lambda w, g, c, s: (-g * w + c * w**2 / 2 + s * w**2 / 2).abs(), "before the step penalty"),
    (lambda w, g, c, s: (g * w).abs() + c * w**2 / 2 + s * w**2 / 2, "of each term"),
    (lambda w, g, c, s: (-g * w + c * w / 2).abs() + s * w**2 / 2, "not squared in the quadratic"),
    (lambda w, g, c, s: (-g * w + c * w**2 / 2).abs() + s * w.abs() / 2, "not squared in the step penalty"),
    (lambda w, g, c, s: (-g * w + c * w**2 / 2).abs() + s / 2, "same for every weight"),
    (lambda w, g, c, s: (-g * w + c * w**2 / 2).abs(), "penalty is ignored"),
    (lambda w, g, c, s: c * w**2 / 2 + s * w**2 / 2, "OBD"),
    (lambda w, g, c, s: (g * w).abs() + s * w**2 / 2, "LM"),
]


def stepped(w: Tensor, kept: Tensor) -> Tensor:
    return torch.where(kept, torch.zeros_like(w), -w)


PREDICTED: list[tuple[Callable[..., Any], str]] = [
    (lambda w, g, c, k: g @ -stepped(w, k) + c @ stepped(w, k) ** 2 / 2, "sign of the step"),
    (lambda w, g, c, k: g @ stepped(w, ~k) + c @ stepped(w, ~k) ** 2 / 2, "swapped"),
    (lambda w, g, c, k: g @ -w + c @ w**2 / 2, "mask is ignored"),
    (lambda w, g, c, k: g @ stepped(w, k) + c @ stepped(w, k) ** 2, "1/2"),
    (lambda w, g, c, k: g @ stepped(w, k), "quadratic term is missing"),
    (lambda w, g, c, k: c @ stepped(w, k) ** 2 / 2, "gradient is ignored"),
    (lambda w, g, c, k: (g * stepped(w, k) + c * stepped(w, k) ** 2 / 2).abs().sum(), "sum of saliencies"),
    (lambda w, g, c, k: (g @ stepped(w, k) + c @ stepped(w, k) ** 2 / 2).abs(), "at the end"),
    (lambda w, g, c, k: (g * stepped(w, k) + c * stepped(w, k) ** 2 / 2).mean(), "number of weights"),
    (lambda w, g, c, k: g * stepped(w, k) + c * stepped(w, k) ** 2 / 2, "one number"),
    (lambda w, g, c, k: "much", "must be a number"),
]
DIAGONAL: list[tuple[Callable[..., Any], str]] = [
    (lambda x, z: (z.softmax(1) * (1 - z.softmax(1))).T @ x**2, "summed over the examples"),
    (lambda x, z: (z.softmax(1) * (1 - z.softmax(1))).T @ x / len(x), "not squared"),
    (lambda x, z: z.softmax(1).T @ x**2 / len(x), "not subtracted"),
    (lambda x, z: (z.softmax(1) ** 2).T @ x**2 / len(x), "Only p p"),
    (lambda x, z: torch.outer((z.softmax(1) * (1 - z.softmax(1))).mean(0), (x**2).mean(0)), "each by itself"),
    (lambda x, z: (x**2).T @ (z.softmax(1) * (1 - z.softmax(1))) / len(x), "inputs, classes"),
    (lambda x, z: (z.sigmoid() * (1 - z.sigmoid())).T @ x**2 / len(x), "sigmoid"),
    (lambda x, z: (z.softmax(0) * (1 - z.softmax(0))).T @ x**2 / len(x), "dim=0"),
    (lambda x, z: (z.softmax(1) * (1 - z.softmax(1))).T @ x**2 / len(x) / 2, "1/2 too much"),
    (lambda x, z: (z.softmax(1) * (1 - z.softmax(1))).unsqueeze(2) * (x**2).unsqueeze(1), "row for each example"),
    (lambda x, z: (z * (1 - z)).T @ x**2 / len(x), "as if they were probabilities"),
]


@pytest.mark.parametrize(
    ("name", "answer", "words"),
    [
        *(("LM saliency", *case) for case in LM),
        *(("QM saliency", *case) for case in QM),
        *(("predicted change", *case) for case in PREDICTED),
        *(("diagonal of the last layer", *case) for case in DIAGONAL),
        ("when the gradient is zero", "a", "never negative"),
        ("when the gradient is zero", "c", "single weights"),
        ("when the gradient is zero", "d", "low is not flat"),
        ("when the gradient is zero", "e", "one of a, b, c, d"),
        ("reading the split", "A", "square of a step"),
        ("reading the split", "C", "batch noise"),
    ],
)
def test_the_mistake_is_named(name: str, answer: Any, words: str) -> None:
    verdict = exercises.check(name, answer)
    assert verdict.passed is False
    assert re.search(words, verdict.text), verdict.text
