"""What a criterion is given at a stage: the loss model, and what it may ask for beside it."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from lossprune_lib.data.task import Batch
from lossprune_lib.loss_modelling import BatchLoss, LossModel
from lossprune_lib.loss_modelling.curvature import patches
from lossprune_lib.networks.masks import Mask
from lossprune_lib.networks.threads import alone
from lossprune_lib.networks.weights import WeightSpace


@dataclass(frozen=True, eq=False, kw_only=True)
class StageModel(LossModel):
    """The loss model at a stage's masked weights, of exactly the order that the criterion asks for, and more.

    Gradient and curvature are by the weights that are left; they are zero elsewhere, where nothing is left to prune.

    Attributes
    ----------
    space : WeightSpace
        Of a copy of the network; ``space.split(vector)`` gives each layer's part in the shape of its weight.
    mask : Mask
        The weights that are left.
    risk : BatchLoss or None
        The loss of the stage's batch as a function of the weights; None for a criterion of order None.
    """

    space: WeightSpace
    mask: Mask
    risk: BatchLoss | None = None

    @property
    def batch(self) -> Batch:
        """The stage's batch: inputs and targets."""
        if self.risk is None:
            raise ValueError(
                "This criterion reads the batch, but its order None asks for no data: give it order 0, 1 or 2, as in "
                'Criterion("name", order=0, score=...).'
            )
        return self.risk.x, self.risk.y

    @torch.no_grad()
    def inputs(self) -> dict[str, Tensor]:
        """Return what each layer's weights are multiplied with on the stage's batch, at the masked weights.

        Returns
        -------
        {layer: [positions, K]}
            For a Linear layer K features, of all examples and positions one below the other. For a convolution the
            unfolded input: the K = (input channels) x (kernel) numbers that each of its outputs is computed from; for
            one of several groups [groups, positions, K]. In either case a row of ``weight.reshape(outputs, K)`` meets
            these columns. It is all in memory at once, so choose a batch size that fits.

        Raises
        ------
        ValueError
            for a layer that is neither Linear nor Conv2d, or that the network does not call as a module.
        """
        inputs, found = self.batch[0], dict[str, list[Tensor]]()

        def note(layer: str, module: nn.Module, given: tuple[Tensor, ...], named: dict[str, Tensor]) -> None:
            found.setdefault(layer, []).append(_unfolded(layer, module, (*given, *named.values())[0]))

        with alone(self.space.net), ExitStack() as stack:
            for layer, module in zip(self.space.layers, self.space.modules, strict=True):
                stack.callback(module.register_forward_pre_hook(partial(note, layer), with_kwargs=True).remove)
            assert self.risk is not None
            self.space.run(self.weights, self.risk.rest, inputs)
        unused = [layer for layer in self.space.layers if layer not in found]
        if unused:
            raise ValueError(
                f"The network does not call layer {unused[0]!r} as a module, so its inputs are not known: add {unused} "
                "to exclude, to leave out all such layers."
            )
        return {layer: torch.cat(found[layer], dim=-2) for layer in self.space.layers}


def _unfolded(layer: str, module: nn.Module, x: Tensor) -> Tensor:
    if isinstance(module, nn.Linear):
        return x.reshape(-1, x.shape[-1]).clone()  # an in-place activation may rewrite the input itself
    if not isinstance(module, nn.Conv2d):
        raise ValueError(
            f"Layer {layer!r} is {type(module).__name__}: only Linear and Conv2d layers give their inputs."
        )
    columns = patches(module, x, len(x))  # [N, groups, K, L]
    return columns.permute(1, 0, 3, 2).flatten(1, 2).squeeze(0)  # [groups, positions, K], of one group [positions, K]
