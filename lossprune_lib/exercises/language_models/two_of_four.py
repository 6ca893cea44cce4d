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
    """Return scores of either sign whose sizes differ between rows and columns, then a small row, and one with ties.

    The numbers of rows and columns are multiples of 4 and not equal, but for the last two, which are short enough to
    print: what stops there has shown before what it does.
    """
    source, cases = fresh(), []
    for outputs, features in ((4, 8), (8, 12), (12, 16), (4, 20)):
        size = torch.rand(outputs, 1, generator=source, dtype=torch.float64) * torch.arange(1, features + 1)
        cases.append((size * torch.randn(outputs, features, generator=source, dtype=torch.float64),))
    by_hand = [0.9, -1.2, 0.4, -0.3, -2.0, -0.5, -0.7, 0.2], [3.0, 1.0, 1.0, 0.0, 2.0, 2.0, 2.0, 2.0]
    return [*cases, *((torch.tensor([row]).double(),) for row in by_hand)]


_WORDS = """
    right: Hardware that stores two of each four and their places can skip the other half. No single weight was free to
        be the worst of a row or of a layer, and that has a price: the table below says which.
    hint: Cut each row into groups of four neighbours, and in each group keep the two of the largest scores.
    smallest: You kept the two with the smallest scores: those are the ones that go.
    along-outputs: Your groups run along the outputs. A group is four neighbours in one row.
    spread-out: The weights of your groups are not neighbours: they are spread over the row at equal distances. Cut the
        row into pieces of four.
    half-of-row: You kept half of each row, wherever it is. It must be two in every group of four.
    half-of-all: You kept half of all weights, wherever they are. It must be two in every group of four.
    one: You keep one of each four: keep two.
    three: You keep three of each four: keep two.
    sizes: You compare absolute values: the higher score stays, whatever its sign.
    threshold: Where scores tie, your mask does not keep two of four. A threshold cannot separate equal scores: choose
        by position, as topk(2).indices does.
"""


def _wrong(scores: Tensor) -> dict[str, Tensor | None]:
    features = scores.shape[1]
    apart = _largest(scores.unflatten(1, (4, -1)).transpose(1, 2), 2).transpose(1, 2).flatten(1)
    masks = {
        "smallest": _of_four(-scores),
        "along-outputs": None if len(scores) % 4 else _of_four(scores.T).T,
        "spread-out": apart,
        "half-of-row": _largest(scores, features // 2),
        "half-of-all": _largest(scores.flatten(), scores.numel() // 2).view_as(scores),
        "one": _of_four(scores, 1),
        "three": _of_four(scores, 3),
        "sizes": _of_four(scores.abs()),
    }
    return dict.fromkeys(masks) if _tied(scores) else masks  # there it depends on how ties are sorted


def _tied(scores: Tensor) -> bool:
    return len(scores.unique()) < scores.numel()


def _signs(found: list[Tensor], scores: Tensor) -> dict[str, bool]:
    if found[0].shape != scores.shape:
        return {}
    return {"threshold": _tied(scores) and bool((found[0].unflatten(1, (-1, 4)).sum(2) != 2).any())}


def _same(found: Tensor, wanted: Tensor, scores: Tensor) -> bool:
    """Return whether two masks agree but for equal scores in a group, of which any may stay."""
    if found.shape != wanted.shape or found.dtype != torch.bool:
        return False
    kept = (scores.masked_fill(~mask, -torch.inf).unflatten(1, (-1, 4)).sort().values for mask in (found, wanted))
    return torch.equal(*kept)


register("two of four", Exercise(_right, _cases, _wrong, _WORDS, ("the mask",), signs=_signs, same=_same))
