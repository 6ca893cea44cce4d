"""What held in the preflight is confirmed with the examples at hand: a network may take another way with others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from lossprune_lib.loss_modelling.forward import Recording
from lossprune_lib.networks.validation import close
from lossprune_lib.networks.weights import WeightSpace
from lossprune_lib.seeds import generator


def confirmed(space: WeightSpace, recording: Recording, positions: Mapping[int, int]) -> Recording:
    """Return a recording of only those calls for which the layer's own rule holds with these examples too.

    Parameters
    ----------
    positions : {index of a layer: output positions of one example}
        As in the preflight. Of a choice of all positions, no layer knows whose they are.
    """
    examples, uses = len(recording.outputs), _uses(recording)
    calls = {
        i: call
        for i, call in recording.calls.items()
        if call.shape.numel() == examples * positions[i] * space.layout[i][1][0] and uses[i] == 1
    }
    folded = [i for i, call in calls.items() if call.shape[0] != examples]
    for i in folded if examples > 1 else ():
        if not _rows_stay_together(recording, i):
            del calls[i]
    return replace(recording, calls=calls)


def direction(outputs: Tensor) -> Tensor:
    """Return vectors like some outputs, the same for equal shapes."""
    return torch.randn(outputs.shape, generator=generator(0, "preflight"), dtype=torch.float64).to(outputs)


def _uses(recording: Recording) -> Counter[int]:
    """Return in how many places of the graph each layer's weight is used."""
    index = {id(weight): i for i, weight in enumerate(recording.weights)}
    found: Counter[int] = Counter()
    start: Any = recording.outputs.grad_fn
    todo, seen = [start] if recording.calls else [], {start}
    while todo:
        for node, _ in todo.pop().next_functions:
            leaf = getattr(node, "variable", None)
            if leaf is not None:
                found[index.get(id(leaf), -1)] += 1
            elif node is not None and node not in seen:
                seen.add(node)
                todo.append(node)
    return found


def _rows_stay_together(recording: Recording, i: int) -> bool:
    """Return whether the rows that examples were folded into are those of one example after another.

    If so, an example's gradients grow by its own factor where its outputs' do.
    """
    call, vectors = recording.calls[i], direction(recording.outputs)
    factors = 1 + torch.rand(len(vectors), generator=generator(0, "factors"), dtype=torch.float64).to(vectors)
    scaled = vectors * factors.view(-1, *(1,) * (vectors.ndim - 1))
    plain, grown = (
        torch.autograd.grad(recording.along(v), [call.edge], retain_graph=True)[0] for v in (vectors, scaled)
    )
    wanted = plain.unflatten(0, (len(vectors), -1)) * factors.view(-1, *(1,) * plain.ndim)
    return close(grown, wanted.flatten(0, 1))
