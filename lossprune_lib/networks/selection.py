"""Selection: the k smallest of some numbers, exactly k and always the same ones, on a CPU and on a GPU.

A scope says among which weights the smallest are chosen.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from lossprune_lib.checks import check_choice, check_instance, check_int, check_sparsity

SCOPES = ("global", "layer", "row", "2:4")
_NAN = "A saliency is NaN, so nothing can be ranked: check the network's weights and the batch."


def check_scope(scope: object, sparsity: float) -> str:
    """Return a scope; raise ValueError for one that there is not, and for a sparsity that it cannot have."""
    if check_choice(scope, SCOPES, "scope") == "2:4" and sparsity != 0.5:
        raise ValueError(
            f'The scope "2:4" prunes two of each four weights at once, but the sparsity is {sparsity:g}: give '
            "sparsity=0.5 and stages=1."
        )
    return str(scope)


def count(size: int, sparsity: float) -> int:
    """Return how many of `size` weights to prune for a sparsity: the nearest whole number, halves to the even one."""
    return round(check_int(size, "size", least=0) * check_sparsity(sparsity))


def smallest(saliency: Tensor, k: int) -> Tensor:
    """Mark exactly the k smallest entries.

    Parameters
    ----------
    saliency : float [D]
        May be -inf (selected first), never NaN. Ties go to the lower index, so the answer is always the same.
    k : int from 0 to D

    Returns
    -------
    bool [D]
    """
    check_scores(saliency)
    if check_int(k, "k", least=0) > len(saliency):
        raise ValueError(f"{k} of {len(saliency)} entries cannot be selected.")
    if k == 0:
        return torch.zeros_like(saliency, dtype=torch.bool)
    if torch.isnan(saliency.min()):  # NaN if any entry is
        raise ValueError(_NAN)
    largest = _kth_smallest(saliency, k)
    selected = saliency < largest
    missing = k - int(selected.count_nonzero())
    selected[places(saliency == largest)[:missing]] = True
    return selected


def lowest(values: Tensor, kept: Tensor, counts: list[int]) -> Tensor:
    """Return where the `counts` smallest kept entries of each row of a table are, as places in the flattened table."""
    if len(values) == 1:
        candidates = places(kept[0])
        return candidates[places(smallest(values[0].index_select(0, candidates), max(0, counts[0])))]
    wanted, there = torch.tensor(counts, device=kept.device)[:, None], kept.sum(1, keepdim=True)
    if (wanted > there).any():
        most = int((wanted - there).argmax())
        raise ValueError(f"{counts[most]} of {int(there[most])} entries cannot be selected.")
    if torch.isnan(values[kept]).any():
        raise ValueError(_NAN)
    order = values.argsort(dim=1, stable=True)
    # Sorted again by whether they are kept, so that these come first, and still by their values.
    order = order.gather(1, (~kept).gather(1, order).to(torch.uint8).argsort(dim=1, stable=True))
    first = torch.arange(values.shape[1], device=kept.device) < wanted
    return places(torch.zeros_like(kept).scatter_(1, order, first).reshape(-1))


def places(marked: Tensor) -> Tensor:
    """Return the indices where a bool tensor [D] is true; on a CPU, NumPy takes a third of torch's time."""
    if marked.device.type != "cpu":
        return marked.nonzero().squeeze(1)
    return torch.from_numpy(np.flatnonzero(marked.numpy()))


def check_scores(scores: object, size: int | None = None) -> None:
    """Raise TypeError or ValueError unless scores are a tensor of real numbers [D], of the size if one is given."""
    given = check_instance(scores, Tensor, "What weights are ranked by", "convert it with torch.as_tensor")
    fits = given.ndim == 1 and size in (None, len(given))
    if not fits or given.is_complex() or given.is_meta or given.is_sparse:
        raise ValueError(
            f"Weights are ranked by one real number each, [D]{'' if size is None else f' = [{size}]'}, but these are "
            f"{given.dtype} {list(given.shape)} on {given.device}: give those of this network."
        )


def _kth_smallest(values: Tensor, k: int) -> Tensor | float:
    # NumPy's vectorised selection is the fastest on a CPU, unless many entries tie; where they do, it is at the bottom
    # (dead inputs give exact zeros), so those are set aside. Torch's selection is the one that runs on a GPU.
    if values.device.type != "cpu":
        return values.kthvalue(k).values
    array = values.detach().numpy()
    bottom = array.min()
    if k <= (ties := int(np.count_nonzero(array == bottom))):
        return float(bottom)
    if ties > 1:
        array, k = array[array > bottom], k - ties
    return float(np.partition(array, k - 1)[k - 1])
