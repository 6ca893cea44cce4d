"""Layers that the outputs depend on though no gradient reaches them, as in torch.no_grad: found, and said."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor

from lossprune_lib.data.inputs import Inputs
from lossprune_lib.loss_modelling.footprint import Footprint
from lossprune_lib.networks.validation import close
from lossprune_lib.networks.weights import WeightSpace
from lossprune_lib.warn import warn


class NoGradientWarning(UserWarning):
    """The output depends on some layers that no gradient reaches, so that their weights seem to cost nothing."""


def warn_of_no_gradients(footprint: Footprint, layers: tuple[str, ...]) -> None:
    """Warn, once, where there are no gradients only because something in the network keeps them away."""
    if footprint.cut_off and "no gradients" not in footprint.said:
        footprint.said.append("no gradients")
        names = ", ".join(repr(layers[i]) for i in footprint.cut_off)
        warn(
            f"No gradient reaches {names}, although the output depends on it: by lm, obd and qm its weights seem to "
            "cost nothing, and go first. Leave it out (exclude=), or remove what cuts it off, such as torch.no_grad() "
            "or detach().",
            NoGradientWarning,
        )


def layers_that_matter(
    space: WeightSpace, rest: Mapping[str, Tensor], x: Inputs, outputs: Tensor, layers: Iterable[int]
) -> tuple[int, ...]:
    """Return those of some layers, by their indices, that the outputs depend on: with other weights they are others."""
    return tuple(i for i in layers if any(_moves(space, rest, x, outputs, i, by) for by in (_shifted, torch.neg)))


@torch.no_grad()
def _moves(
    space: WeightSpace, rest: Mapping[str, Tensor], x: Inputs, outputs: Tensor, i: int, by: Callable[[Tensor], Tensor]
) -> bool:
    others = space.read()
    of_layer = space.split(others)[i]
    of_layer.copy_(by(of_layer))
    try:
        return not close(space.run(others, rest, x).to(outputs.dtype), outputs)
    except Exception:  # the network was never meant to run with such weights: they matter to it
        return True


def _shifted(weights: Tensor) -> Tensor:
    return weights + weights.abs() + 1
