"""Exercise 5.4: the sparsity of the whole network. Layers have sizes [L]; some can be pruned, and some may not be."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lossprune_lib.exercises.checking import Exercise, fresh, register

Found = tuple[float, float]


def _right(share: float, sizes: Tensor, prunable: Tensor, others: int) -> Found:
    covered = float(sizes[prunable].sum() / (sizes.sum() + others))
    return min(share / covered, 1.0), covered


def _cases() -> list[tuple[float, Tensor, Tensor, int]]:
    """Return networks with a layer that is left out; in the last, the share cannot be reached."""
    source, cases = fresh(), [(0.4, torch.tensor([30.0, 60, 10]).double(), torch.tensor([False, True, True]), 25)]
    for share, out in ((0.5, 1), (0.3, 2), (0.45, 0), (0.9, 1)):
        sizes = torch.randint(100, 160, (4,), generator=source).double()
        prunable = torch.arange(4) != out
        cases.append((share, sizes, prunable, int(torch.randint(40, 90, (1,), generator=source))))
    return cases


_WORDS = """
    right: A sparsity is a share of something: say of what, whenever you give one.
    hint: Add up all parameters, then those that can be pruned. Enough of the latter must go to make up `share` of the
        former.
    unchanged: You returned the share as it came in. The pruner counts prunable weights only: ask it for a larger share.
    wrong-way: You multiplied by the coverage, so that even fewer weights would go: divide.
    others-forgotten: `others` are parameters too: biases and norms count among all of them.
    left-out-forgotten: The layers that are left out still belong to the network: count them among all parameters.
    layers-counted: You counted layers. They differ in size: count their weights.
    not-capped: A sparsity cannot be above 1: return 1 where the share cannot be reached.
    complement: That is the share that is left: return the sparsity, the share that goes.
    left-out-share: The second number is the share that is left out: return the share that can be pruned.
    order: The sparsity comes first, the coverage second.
"""


def _wrong(share: float, sizes: Tensor, prunable: Tensor, others: int) -> dict[str, Any]:
    sparsity, covered = _right(share, sizes, prunable, others)
    mine = sizes[prunable].sum()

    def with_coverage(of: Any) -> tuple[Any, Any]:
        return min(share / float(of), 1.0), of

    return {
        "unchanged": (share, None),
        "wrong-way": (share * covered, None),
        "others-forgotten": with_coverage(mine / sizes.sum()),
        "left-out-forgotten": with_coverage(mine / (mine + others)),
        "layers-counted": with_coverage(prunable.double().mean()),
        "not-capped": (share / covered, covered),
        "complement": (1 - sparsity, None),
        "left-out-share": (sparsity, 1 - covered),
        "order": (covered, sparsity),
    }


register("the whole network", Exercise(_right, _cases, _wrong, _WORDS, ("the sparsity", "the coverage")))
