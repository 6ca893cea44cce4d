"""Exercise 6.5: the two best of each four weights along the inputs. Scores are [C, F], with F a multiple of 4."""

from __future__ import annotations

import torch
from torch import Tensor

from lossprune_lib.exercises.checking import Exercise, fresh, register


def _largest(groups: Tensor, number: int) -> Tensor:
    """Return which are the largest of the last dimension."""
    kept = torch.zeros_like(groups, dtype=torch.bool)
    return kept.scatter(-1, groups.topk(number).indices, True)


def _of_four(scores: Tensor, number: int = 2) -> Tensor:
    return _largest(scores.unflatten(1, (-1, 4)), number).flatten(1)


def _right(scores: Tensor) -> Tensor:
    return _of_four(scores)


def _cases() -> list[tuple[Tensor]]:
    """Return scores whose sizes differ between rows and columns; both their numbers are multiples of 4, not equal."""
    source, cases = fresh(), []
    for outputs, features in ((4, 8), (8, 12), (12, 16), (4, 20)):
        size = torch.rand(outputs, 1, generator=source, dtype=torch.float64) * torch.arange(1, features + 1)
        cases.append((size * torch.rand(outputs, features, generator=source, dtype=torch.float64),))
    return cases


_WORDS = """
    right: Hardware that stores two of each four and their places can skip the other half. No single weight was free to
        be the worst of a row or of a layer, and that has a price: the table below says which.
    hint: Cut each row into groups of four neighbours, and in each group keep the two of the largest scores.
    smallest: You kept the two with the smallest scores: those are the ones that go.
    along-outputs: Your groups run along the outputs. A group is four neighbours in one row.
    spread-out: Your groups are not of neighbours: they take every so-manieth weight of a row. Cut the row into
        pieces of
        four.
    half-of-row: You kept half of each row, wherever it is. It must be two in every group of four.
    half-of-all: You kept half of all weights, wherever they are. It must be two in every group of four.
    one: You keep one of each four: keep two.
    three: You keep three of each four: keep two.
"""


def _wrong(scores: Tensor) -> dict[str, Tensor]:
    features = scores.shape[1]
    apart = _largest(scores.unflatten(1, (4, -1)).transpose(1, 2), 2).transpose(1, 2).flatten(1)
    return {
        "smallest": _of_four(-scores),
        "along-outputs": _of_four(scores.T).T,
        "spread-out": apart,
        "half-of-row": _largest(scores, features // 2),
        "half-of-all": _largest(scores.flatten(), scores.numel() // 2).view_as(scores),
        "one": _of_four(scores, 1),
        "three": _of_four(scores, 3),
    }


register("two of four", Exercise(_right, _cases, _wrong, _WORDS, ("the mask",)))
