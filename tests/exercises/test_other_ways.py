"""Right answers that are written in other ways than the notebooks' solutions pass too."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import ttest_rel
from test_solutions import answers
from torch import Tensor
from torch.nn import functional as F

from lossprune_lib import LossModel, criteria, exercises
from lossprune_lib.exercises.at_scale import sampled_diagonal
from lossprune_lib.exercises.taylor import last_layer


def loss_at_once(space: Any, rest: Any, x: Tensor, y: Tensor, direction: Tensor, at: Tensor) -> Tensor:
    points = space.read() + at.unsqueeze(1) * direction
    return torch.stack([F.cross_entropy(logits, y) for logits in space.call(points, rest, x)])


def losses_as_numbers(space: Any, rest: Any, x: Tensor, y: Tensor, direction: Tensor, at: Tensor) -> list[float]:
    return [F.cross_entropy(space.call(space.read() + t * direction, rest, x), y).item() for t in at.tolist()]


def shortest_in_a_loop(weights: Tensor, sparsity: float) -> list[float]:
    squares = sorted(float(w) ** 2 for w in weights)
    length = math.sqrt(sum(squares[: round(sparsity * len(squares))]))
    return [length, length / math.sqrt(sum(squares))]


def shortest_in_numpy(weights: Tensor, sparsity: float) -> tuple[Any, Any]:
    sizes = np.sort(np.abs(weights.numpy()))
    gone = np.linalg.norm(sizes[: round(sparsity * len(sizes))])
    return gone, gone / np.linalg.norm(sizes)


def shortest_in_float32(weights: Tensor, sparsity: float) -> Tensor:
    gone = weights.float().abs().topk(round(sparsity * len(weights)), largest=False).values.norm()
    return torch.stack([gone, gone / weights.float().norm()])


def least_squares(step: Tensor, first: Tensor, second: Tensor) -> tuple[float, float, float]:
    a, b = torch.linalg.lstsq(torch.stack([first, second], 1), step.unsqueeze(1)).solution.flatten().tolist()
    return a, b, (step - a * first - b * second).norm().item()


def least_squares_in_float32(*steps: Tensor) -> tuple[float, float, float]:
    return least_squares(*(step.float() for step in steps))


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


def shares_multiplied(sparsity: float, stages: int) -> tuple[float, ...]:
    left, found = 1.0, []
    for _ in range(stages):
        left *= (1 - sparsity) ** (1 / stages)
        found.append(1 - left)
    return tuple(found)


def stage_in_a_loop(saliency: Tensor, kept: Tensor, sparsity: float) -> Tensor:
    found = kept.clone()
    order = [i for i in saliency.argsort().tolist() if kept[i]]
    for i in order[: max(0, round(len(kept) * sparsity) - int((~kept).sum()))]:
        found[i] = False
    return found


def stage_in_numpy(saliency: Tensor, kept: Tensor, sparsity: float) -> np.ndarray:
    order = np.where(kept.numpy(), saliency.numpy(), -np.inf).argsort()
    found = np.ones(len(order), dtype=bool)
    found[order[: round(len(order) * sparsity)]] = False
    return found


def last_of_ties(saliency: Tensor, kept: Tensor, sparsity: float) -> list[bool]:
    order = saliency.masked_fill(~kept, -torch.inf).flip(0).argsort(stable=True)[: round(len(kept) * sparsity)]
    return torch.ones_like(kept).index_fill(0, order, False).flip(0).tolist()


def loop_with_sets(dense: Tensor, model_at: Any, kappas: list[float], criterion: str, penalty: float) -> Tensor:
    weights, gone = dense.clone(), set()
    for i in range(len(kappas)):
        saliency = criteria.saliency(model_at(weights, i + 1), criterion, penalty)
        order = [k for k in saliency.argsort(stable=True).tolist() if k not in gone]
        gone |= set(order[: round(len(dense) * kappas[i]) - len(gone)])
        weights = weights.index_fill(0, torch.tensor(sorted(gone)), 0.0)
    return torch.tensor([k not in gone for k in range(len(dense))])


def loop_that_asks_twice(dense: Tensor, model_at: Any, *others: Any) -> Tensor:
    return loop_with_sets(dense, lambda w, i: model_at(w, i) and model_at(w, i), *others)


def masked(w: Tensor, v: Tensor, g: Tensor, k: Tensor, lr: float, m: float, wd: float) -> tuple[Tensor, Tensor]:
    v = (m * v + g + wd * w) * k
    return (w - lr * v) * k, v


def choice_in_numpy(valid: Tensor, test: Tensor) -> np.ndarray:
    row = valid.numpy().mean(1).argmin()
    return np.array([row, test[row].numpy().mean(), test[row].numpy().std(ddof=1)])


def mean_ranks(x: Any) -> Any:
    return (x[:, None] > x).sum(1) + ((x[:, None] == x).sum(1) + 1) / 2


def shares_in_a_loop(weights: Tensor, kept: Tensor, sizes: list[int]) -> list[bool]:
    found, start = [False] * len(weights), 0
    for size in sizes:
        order = sorted(range(start, start + size), key=lambda i: -abs(float(weights[i])))
        for i in order[: int(kept[start : start + size].sum())]:
            found[i] = True
        start += size
    return found


def shares_from_the_end(weights: Tensor, kept: Tensor, sizes: list[int]) -> Tensor:
    """Where sizes tie, the last ones stay; in `shares_in_a_loop` it is the first ones."""
    masks = shares_in_a_loop(weights.flip(0), kept.flip(0), sizes[::-1])
    return torch.tensor(masks[::-1])


def interval_in_scipy(first: Tensor, second: Tensor, t: float) -> tuple[Any, ...]:
    bounds = ttest_rel(first, second).confidence_interval(0.95)
    return (first - second).mean(), bounds.low, bounds.high


def diagonal_by_jacobians(x: Tensor, logits: Tensor, drawn: Tensor) -> np.ndarray:
    found = np.zeros((logits.shape[1], x.shape[1]))
    for labels in drawn.tolist():
        for a, p, label in zip(x.numpy(), logits.softmax(1).numpy(), labels, strict=True):
            found += np.outer(np.eye(len(p))[label] - p, a) ** 2
    return found / drawn.numel()


def sparsity_by_counting(share: float, sizes: Tensor, prunable: Tensor, others: int) -> tuple[float, float]:
    everything = sum(sizes.tolist()) + others
    mine = sum(size for size, can in zip(sizes.tolist(), prunable.tolist(), strict=True) if can)
    return min(share * everything, mine) / mine, mine / everything


def cheapest_in_a_loop(change: Tensor, seconds: Tensor, t: float, margin: float) -> int:
    best = change.mean(0).argmin()
    for k in seconds.argsort().tolist():
        d = change[:, k] - change[:, best]
        if d.mean() + t * d.std() / len(d) ** 0.5 <= margin * change[:, best].mean():
            return k
    raise AssertionError


def two_of_four_in_a_loop(scores: Tensor) -> list[list[bool]]:
    """Of scores that tie, the last ones stay."""
    rows = []
    for row in scores.tolist():
        order = [sorted(range(i, i + 4), key=lambda k: row[k])[2:] for i in range(0, len(row), 4)]
        rows.append([any(k in group for group in order) for k in range(len(row))])
    return rows


def next_step_in_numpy(share: float, predicted: float, actual: float, tolerance: float) -> tuple[Any, Any]:
    off = np.abs(np.subtract(actual, predicted)) / tolerance
    return off <= 1, share * np.select([off > 1, off < 0.5], [0.5, 2], 1)


RIGHT: list[tuple[str, Any]] = [
    ("loss on a line", loss_at_once),
    ("loss on a line", losses_as_numbers),
    ("shortest step", shortest_in_a_loop),
    ("shortest step", shortest_in_numpy),
    ("shortest step", shortest_in_float32),
    ("in the plane", least_squares),
    ("in the plane", least_squares_in_float32),
    ("QM saliency", qm_in_a_loop),
    ("predicted change", change_of_pruned_weights),
    ("predicted change", change_in_numpy),
    ("diagonal of the last layer", diagonal_by_hessians),
    ("diagonal of the last layer", diagonal_in_numpy),
    ("exponential schedule", shares_multiplied),
    ("exponential schedule", lambda k, n: 1 - (1 - k) ** (np.arange(1, n + 1) / n)),
    ("exponential schedule", lambda k, n: 1 - (1 - k) ** (torch.arange(1, n + 1) / n)),
    ("one stage", stage_in_a_loop),
    ("one stage", stage_in_numpy),
    ("one stage", last_of_ties),
    ("stage loop", loop_with_sets),
    ("stage loop", loop_that_asks_twice),
    ("masked step", lambda *given: [x.numpy() for x in masked(*given)]),
    ("masked step", lambda *given: tuple(x.float() for x in masked(*given))),
    ("fair choice", choice_in_numpy),
    ("rank correlation", lambda a, b: np.corrcoef(mean_ranks(a.numpy()), mean_ranks(b.numpy()))[0, 1]),
    ("rank correlation", lambda a, b: torch.corrcoef(torch.stack([mean_ranks(a), mean_ranks(b)]))[0, 1]),
    ("same shares", shares_in_a_loop),
    ("same shares", shares_from_the_end),
    ("same shares", lambda w, k, sizes: torch.tensor(shares_in_a_loop(w, k, sizes))),
    ("paired interval", interval_in_scipy),
    ("paired interval", lambda *given: torch.tensor([float(end) for end in interval_in_scipy(*given)])),
    ("sampled diagonal", diagonal_by_jacobians),
    ("stages within a budget", lambda passes, n, c, k: (math.floor(passes / n / c), int(passes / (n + n * k)))),
    ("the whole network", sparsity_by_counting),
    ("cheap enough", cheapest_in_a_loop),
    ("read a slice", " (C) "),
    ("curvature along a step", lambda loss, w, v: torch.autograd.functional.hessian(loss, w) @ v @ v),
    ("curvature along a step", lambda loss, w, v: torch.autograd.functional.vhp(loss, w, v)[1].numpy() @ v.numpy()),
    ("next step", next_step_in_numpy),
    ("two of four", lambda s: s.unflatten(1, (-1, 4)).argsort(2).argsort(2).flatten(1) >= 2),
    ("two of four", two_of_four_in_a_loop),
    ("what stages mend", " B "),
    ("ranks and predicts", "c)"),
    ("limit of the penalty", "C."),
    ("finding three", " C "),
]


@pytest.mark.parametrize(("name", "answer"), RIGHT, ids=[f"{name}-{i}" for i, (name, _) in enumerate(RIGHT)])
def test_an_answer_written_in_another_way_passes(name: str, answer: Any) -> None:
    for _ in range(5):
        verdict = exercises.check(name, answer)
        assert verdict.passed, verdict
        assert verdict.mistake is None


def test_the_right_step_is_that_of_torch() -> None:
    weight = torch.nn.Parameter(torch.randn(6, dtype=torch.float64))
    optimizer = torch.optim.SGD([weight], lr=0.1, momentum=0.9, weight_decay=0.05)
    kept, velocity = torch.tensor([True, False, True, True, False, True]), torch.zeros(6, dtype=torch.float64)
    ours = weight.detach() * kept
    solved = answers("04_fine_tuning", "solution")["masked_step"]
    for _ in range(3):
        weight.grad = torch.randn(6, dtype=torch.float64)
        ours, velocity = solved(ours, velocity, weight.grad, kept, 0.1, 0.9, 0.05)
        optimizer.step()
    assert torch.allclose(ours[kept], weight.detach()[kept])
    assert (ours[~kept] == 0).all()


def test_the_diagonal_of_the_last_layer_is_that_of_the_loss_model() -> None:
    layer = torch.nn.Linear(3, 5).double()
    x, y = torch.randn(20, 3, dtype=torch.float64), torch.arange(20) % 5
    curvature = LossModel.at(layer, (x, y)).curvature
    assert curvature is not None
    assert torch.allclose(last_layer.right(x, layer(x)).flatten(), curvature)


def test_sampled_diagonals_are_right_in_the_mean() -> None:
    source = torch.Generator().manual_seed(0)
    x = torch.randn(4, 3, generator=source, dtype=torch.float64)
    logits = torch.randn(4, 5, generator=source, dtype=torch.float64)
    drawn = torch.multinomial(logits.softmax(1), 40_000, replacement=True, generator=source).T
    exact = last_layer.right(x, logits)
    assert torch.allclose(sampled_diagonal.right(x, logits, drawn), exact, rtol=0.05)
