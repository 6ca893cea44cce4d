"""Ensemble: R networks of one architecture, their weights stacked, run and trained at once.

Small networks leave most of a machine idle; a stack of them fills it, each step being one batched product instead of R
small ones. Every network keeps its own weights, mask, order of examples and best epoch, and comes out as if it had been
trained alone.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn, optim

from lossprune_lib.checks import check_callable, check_instance, check_int
from lossprune_lib.data.inputs import OnCopies
from lossprune_lib.data.task import Task
from lossprune_lib.networks.attention import plain_attention
from lossprune_lib.networks.mlps import is_mlp
from lossprune_lib.networks.validation import check_examples, check_place, in_words
from lossprune_lib.networks.weights import WeightSpace
from lossprune_lib.progress import progress_bar
from lossprune_lib.training.dense_stack import DenseStack
from lossprune_lib.training.evaluation import Score
from lossprune_lib.training.optimizers import set_rate
from lossprune_lib.training.recipe import Recipe
from lossprune_lib.training.sgd import check_score
from lossprune_lib.training.sparse_stack import SparseStack
from lossprune_lib.training.stackable import (
    check_class_logits,
    check_kept,
    check_recipe_of_ensemble,
    check_seeds,
    check_stackable,
    check_trains_as_it_stands,
)
from lossprune_lib.training.stacked_batches import batches_of, summed_loss
from lossprune_lib.training.structure import difference

Stack = DenseStack | SparseStack  # the trainable numbers of R networks, in whichever form is faster
# The share of kept weights below which sparse products are faster on a CPU (two cores, 784-300-100-10, batches of 100);
# on a GPU that was not measured.
_SPARSE_BELOW = 0.4


@dataclass(frozen=True, eq=False)
class Ensemble:
    """R networks of one architecture.

    Attributes
    ----------
    space : of one of them, for the architecture
    weights : [R, D]
    rest : biases and the like by name, each [R, ...]
    """

    space: WeightSpace
    weights: Tensor
    rest: dict[str, Tensor]

    @classmethod
    def of(cls, nets: Sequence[nn.Module]) -> Ensemble:
        """Stack networks of one architecture.

        Raises
        ------
        ValueError
            if there is none, they differ in architecture or in a module's settings, or they have buffers (such as batch
            norm's statistics), dropout, frozen parameters, hooks or a forward pass that was replaced: train those one
            by one.
        """
        if not isinstance(nets, (Sequence, nn.ModuleList)):
            raise TypeError(f"An ensemble is made of a list of networks, not of a {type(nets).__name__}: write [net].")
        if not nets:
            raise ValueError("An ensemble needs at least one network.")
        spaces = [WeightSpace(net) for net in nets]
        for net, space in zip(nets, spaces, strict=True):
            differs = difference(nets[0], net)
            if differs or space.layout != spaces[0].layout:
                raise ValueError(
                    "The networks of an ensemble must have one architecture and the same settings, but "
                    f"{differs or 'their prunable weights differ'}: make them alike, or train them one by one."
                )
            check_stackable(net)
        rests = [space.rest() for space in spaces]
        stacked = {name: torch.stack([rest[name] for rest in rests]) for name in rests[0]}
        space = WeightSpace(copy.deepcopy(nets[0]).eval())
        return cls(space, torch.stack([space.read() for space in spaces]), stacked)

    def __len__(self) -> int:
        return len(self.weights)

    def call(self, x: Tensor) -> Tensor:
        """Return logits [R, N, C] of inputs [N, ...]."""
        with plain_attention():
            return self.space.call(self.weights, self.rest, x)

    @torch.no_grad()
    def network(self, index: int) -> nn.Module:
        """Return one of the networks, as a copy in eval mode."""
        if not -len(self) <= check_int(index, "index", least=-len(self)) < len(self):
            raise ValueError(f"There is no network {index} among {len(self)}: count from 0 to {len(self) - 1}.")
        net = copy.deepcopy(self.space.net)
        tensors = {name: tensor[index] for name, tensor in self.rest.items()}
        tensors |= dict(zip(self.space.names, self.space.split(self.weights[index]), strict=True))
        for name, place in net.named_parameters():
            place.copy_(tensors[name])
        return net.eval()


@torch.no_grad()
def evaluate(ensemble: Ensemble, task: Task, split: str = "valid") -> list[Score]:
    """Return the loss and error of each network on "train", "valid" or "test"."""
    _check_ensemble(ensemble, task)
    stack = _stack(ensemble, task, ensemble.weights != 0, shared_input=True)
    return _scores(stack.evaluate, len(ensemble), task, split)


@torch.no_grad()
def _scores(call: Callable[[Tensor], Tensor], networks: int, task: Task, split: str) -> list[Score]:
    losses = torch.zeros(networks, dtype=torch.float64)
    wrong, examples, call = torch.zeros(networks, dtype=torch.int64), 0, OnCopies(call)
    for x, y in task.batches(split):
        with in_words(x):
            logits = call(x)
        check_class_logits(logits, y)
        log_p = logits.log_softmax(2).gather(2, y.expand(networks, -1).unsqueeze(2))
        losses -= log_p.sum((1, 2)).double().cpu()
        wrong += (logits.argmax(2) != y).sum(1).cpu()
        examples += len(y)
    check_examples(examples, split)
    return [
        Score(loss / examples, errors / examples) for loss, errors in zip(losses.tolist(), wrong.tolist(), strict=True)
    ]


@torch.inference_mode(False)  # and with gradients, wherever it is called
def fit(
    ensemble: Ensemble,
    task: Task,
    epochs: int | None = None,
    *,
    recipe: Recipe | None = None,
    kept: Tensor | None = None,
    seeds: int | Sequence[int] = 0,
    progress: bool = True,
    on_epoch: Callable[[int, list[Score]], object] | None = None,
) -> Ensemble:
    """Train all networks at once; return each as it was after its own epoch of lowest validation error.

    Parameters
    ----------
    ensemble : not changed
    epochs, recipe, progress : as in `training.fit`
    kept : bool [R, D]
        Masks, to fine-tune pruned networks: their pruned weights are zero from the start and after every step.
    seeds : int, or one for each network
        Decide the order of the examples: one seed gives all networks the same batches, which is faster.
    on_epoch : called after each epoch with its number, from 1, and the validation `Score` of each network

    Raises
    ------
    ValueError
        for masks or seeds that do not fit, networks and task in different places, networks that compute otherwise in
        training (functional dropout), or a loss that becomes NaN or infinite.
    """
    recipe = check_recipe_of_ensemble(recipe)
    epochs = recipe.epochs if epochs is None else check_int(epochs, "epochs", least=0)
    _check_ensemble(ensemble, task)
    check_callable(on_epoch, "on_epoch", "lambda epoch, scores: print(epoch, scores)")
    seeds = check_seeds(seeds, len(ensemble))
    check_kept(kept, ensemble.weights)
    check_trains_as_it_stands(ensemble.network(0), task)
    stack = _stack(ensemble, task, kept, shared_input=isinstance(seeds, int))
    # The fused optimizer, on devices that have one, reads and writes each number only once a step.
    fused = task.device.type in ("cpu", "cuda")
    optimizer = optim.SGD(stack.parameters, recipe.lr, recipe.momentum, weight_decay=recipe.weight_decay, fused=fused)
    best = _Best(ensemble, stack)
    with progress_bar(progress, total=epochs, desc=f"training {len(ensemble)} networks", leave=False, delay=2) as bar:
        for epoch in range(1, epochs + 1):
            set_rate(optimizer, recipe.rate(epoch - 1, epochs))
            _train_epoch(stack, task, recipe, optimizer, seeds, epoch)
            scores = _scores(stack.evaluate, len(ensemble), task, "valid")
            for score in scores:
                check_score(score, recipe, epoch)
            best.update(stack, scores)
            bar.update()
            if on_epoch is not None:
                on_epoch(epoch, scores)
    return best.ensemble


def _train_epoch(
    stack: Stack, task: Task, recipe: Recipe, optimizer: optim.Optimizer, seeds: int | Sequence[int], epoch: int
) -> None:
    """Take one step of all networks on each batch, shared or each its own; raise ValueError if there is none."""
    seen = 0
    for x, y in batches_of(task, recipe.batch_size, seeds, epoch):
        optimizer.zero_grad()
        with in_words(x if y.ndim == 1 else x[0]):
            logits = stack.call(x)
        if epoch == 1:
            check_class_logits(logits, y)
        summed_loss(logits, y).backward()
        stack.mask_gradients()
        optimizer.step()
        seen += y.shape[-1]
    check_examples(seen, "train")


def _check_ensemble(ensemble: object, task: Task) -> None:
    checked = check_instance(ensemble, Ensemble, "An ensemble", "write Ensemble.of([net, ...])")
    check_place(checked.space.net, task)


def _stack(ensemble: Ensemble, task: Task, kept: Tensor | None, *, shared_input: bool) -> Stack:
    space, weights, rest = ensemble.space, ensemble.weights, ensemble.rest
    few = kept is not None and kept.device.type == "cpu" and kept.float().mean().item() < _SPARSE_BELOW
    if kept is not None and few and is_mlp(space, task.shape):
        return SparseStack(space, weights, rest, kept, shared_input=shared_input)
    return DenseStack(space, weights, rest, kept, shared_input=shared_input)


class _Best:
    """Each network as it was after the epoch of its lowest validation error."""

    def __init__(self, ensemble: Ensemble, stack: Stack) -> None:
        rest = {name: tensor.detach().clone() for name, tensor in stack.biases.items()}
        self.ensemble = replace(ensemble, weights=stack.weights(), rest=rest)
        self.errors = [math.inf] * len(ensemble)

    def update(self, stack: Stack, scores: list[Score]) -> None:
        better = [r for r, score in enumerate(scores) if score.error < self.errors[r]]
        if not better:
            return
        for r in better:
            self.errors[r] = scores[r].error
        self.ensemble.weights[better] = stack.weights()[better]
        for name, tensor in self.ensemble.rest.items():
            tensor[better] = stack.biases[name].detach()[better]
