"""A language model pruned in one go, by methods that rank its weights once: any sparsity then costs a sort.

What a layer loses is measured as Wanda and SparseGPT see it: the share of its output that the pruned weights change,
for the inputs that the whole network gives it.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from lossprune_lib.data.task import Task
from lossprune_lib.networks.gpt import TinyGPT
from lossprune_lib.networks.weights import WeightSpace
from lossprune_lib.pruning.criteria import Criterion, Ranking
from lossprune_lib.pruning.layerwise import SPARSEGPT, WANDA, output_square
from lossprune_lib.pruning.local import LocalPruner
from lossprune_lib.pruning.run import PrunerState
from lossprune_lib.pruning.stage import model_of, pruned_state, rank

METHODS: Mapping[str, tuple[str | Criterion, str]] = {
    "mp": ("mp", "global"),
    "uniform": ("mp", "layer"),
    "wanda": (WANDA, "row"),
    "sparsegpt": (SPARSEGPT, "layer"),
}
LAST = "head"  # the layer that is not pruned
_EXAMPLES = 64  # sequences, for calibration


@dataclass(frozen=True)
class Measured:
    """What was measured of a pruned language model.

    Attributes
    ----------
    loss : nats a character, on held-out text
    lost : of each layer, the squared change of its outputs as a share of their squares
    pruned : of each layer, the share of its weights that is zero
    """

    loss: float
    lost: Sequence[float]
    pruned: Sequence[float]


class PrunedLanguageModels:
    """A network pruned by each method, made when it is first asked for, and what was measured of it.

    Parameters
    ----------
    net, task : a language model and its text
    seed : of the sequences for calibration
    """

    def __init__(self, net: TinyGPT, task: Task, seed: int) -> None:
        self.net, self.task, self.seed = net, task, seed
        self.space = WeightSpace(net, exclude=LAST)
        self.dense = self.space.split(self.space.read())
        self.rankings = {method: self._ranking(*of) for method, of in METHODS.items()}
        self.grams = self._grams()
        self.pruned, self.measured = lru_cache(maxsize=None)(self._pruned), lru_cache(maxsize=None)(self._measured)

    def _pruner(self, criterion: str | Criterion, scope: str) -> LocalPruner:
        return LocalPruner(criterion, stages=1, scope=scope, exclude=LAST, batch_size=_EXAMPLES, seed=self.seed)

    def _ranking(self, criterion: str | Criterion, scope: str) -> tuple[PrunerState, str, Ranking]:
        """Return what a method says of all weights: the same at every sparsity, as it prunes in one go."""
        pruner = self._pruner(criterion, scope)
        state = pruner.start(self.net, self.task)
        return state, scope, rank(pruner, state, model_of(pruner, state))

    def _grams(self) -> list[Tensor]:
        """Return X^T X of the inputs X that the whole network gives each layer."""
        state, scope, _ = self.rankings["wanda"]
        model = model_of(self._pruner(WANDA, scope), state)
        return [x.T @ x for x in model.inputs().values()]

    def _pruned(self, method: str, sparsity: float) -> TinyGPT:
        state, scope, ranking = self.rankings[method]
        pruned = state.mask.smallest_kept(ranking.saliency, state.mask.still_to_prune(sparsity, scope), scope)
        net = copy.deepcopy(self.net)
        WeightSpace(net, exclude=LAST).write_(pruned_state(state, pruned, ranking.update).weights)
        return net

    @torch.no_grad()
    def _measured(self, method: str, sparsity: float) -> Measured:
        net = self.pruned(method, sparsity)
        space = WeightSpace(net, exclude=LAST)
        x, y = (part[::3] for part in self.task.split("test"))  # from all over the text, a third of it
        loss = cross_entropy(net(x).flatten(0, 1), y.flatten()).item()
        now = space.split(space.read())
        layers = list(zip(self.dense, now, self.grams, strict=True))
        lost = [output_square(weight - dense, gram) / output_square(dense, gram) for dense, weight, gram in layers]
        return Measured(loss, lost, [(weight == 0).double().mean().item() for weight in now])
