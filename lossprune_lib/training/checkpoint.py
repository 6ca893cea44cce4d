"""Checkpoint: a training's state in a file, so that one that was stopped goes on from its last epoch."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn, optim

from lossprune_lib import files
from lossprune_lib.checks import check_path
from lossprune_lib.data.task import Task, TaskLike
from lossprune_lib.loss_modelling.loss import Loss
from lossprune_lib.networks.masks import Mask
from lossprune_lib.training.recipe import Recipe
from lossprune_lib.training.state import numbers_of, own_states, put
from lossprune_lib.training.structure import described, structure

_DATA = ("x_train", "y_train", "x_valid", "y_valid")  # of a task: what training reads
_SECONDS = 20.0  # between two states that are kept: to write one for each epoch would slow small networks down


class Checkpoint:
    """The state of one training, in a safetensors file: written atomically, sealed, and never unpickled.

    Parameters
    ----------
    path : need not exist yet
    begins : the tensors that the training starts from, by name
    settings : whatever else decides what it gives, by name, as JSON knows it
    """

    def __init__(self, path: str | Path, begins: Mapping[str, Tensor], settings: Mapping[str, object]) -> None:
        self.path = check_path(path)
        if self.path.is_dir():
            raise IsADirectoryError(f"{self.path} is a folder: name a file in it.")
        on_cpu = {name: tensor.detach().cpu().contiguous() for name, tensor in begins.items()}
        self._training = files.fingerprint(on_cpu, {"settings": json.dumps(settings, sort_keys=True)})
        self._names = set(begins)
        self._written = time.monotonic()

    @torch.no_grad()
    def restore(
        self, places: Mapping[str, Tensor], optimizer: optim.Optimizer
    ) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Copy what was kept into tensors and an optimizer; return the notes, and the tensors that have no place.

        Without a file nothing happens, and there are no notes.

        Raises
        ------
        ValueError
            if the file is damaged, or of another training.
        """
        if not self.path.exists():
            return {}, {}
        tensors, metadata = files.load_tensors(self.path)
        if metadata.get("training") != self._training:
            raise ValueError(
                f"{self.path} is of another training (network, settings, what is frozen, recipe, loss, seed, mask or "
                "data differ), or was begun by an earlier version: give this one another name, or delete that file."
            )
        for name, place in places.items():
            put(tensors.pop(name), place)
        for i, parameter in enumerate(_parameters(optimizer)):
            state = {}
            for name in [name for name in tensors if name.startswith(f"optimizer {i} ")]:
                kept = tensors.pop(name)
                # Adam counts its steps on the CPU; all else lies like the parameter, wherever that is.
                like = kept if name.endswith(" step") else torch.empty_like(parameter)
                state[name.split(" ", 2)[2]] = like.copy_(kept)
            if state:
                optimizer.state[parameter] = state
        return json.loads(metadata["notes"]), tensors

    def keep(
        self, tensors: Mapping[str, Tensor], optimizer: optim.Optimizer, notes: dict[str, Any], last: bool
    ) -> None:
        """Write the state, if that is due or this is the last one; ValueError if tensors came or went since the start.

        Those that begin with "now " are the network's own.
        """
        others = self._names ^ {name.removeprefix("now ") for name in tensors if name.startswith("now ")}
        if others:
            raise ValueError(
                f"The buffer {min(others)!r} came or went while the network was trained, and a checkpoint could not "
                "bring it back: register it in __init__ and keep it, or leave the checkpoint out."
            )
        if not last and time.monotonic() - self._written < _SECONDS:
            return
        of_optimizer = {
            f"optimizer {i} {name}": value
            for i, parameter in enumerate(_parameters(optimizer))
            for name, value in optimizer.state.get(parameter, {}).items()
            if isinstance(value, Tensor)
        }
        apart = {name: tensor.detach().cpu().clone() for name, tensor in {**tensors, **of_optimizer}.items()}
        files.save_tensors(self.path, apart, {"training": self._training, "notes": json.dumps(notes)})
        self._written = time.monotonic()


def settings_of(
    net: nn.Module, task: TaskLike, epochs: int, loss: Loss, recipe: Recipe, seed: int, mask: object
) -> dict[str, object]:
    """Return what decides a training beside the numbers that it starts from: of a task of the user's own, nothing.

    Raises
    ------
    ValueError
        if a function or the loss cannot be told from others, or the network's state is not of dense tensors alone.
    """
    data = {name: tensor for name, tensor in vars(task).items() if name in _DATA} if isinstance(task, Task) else {}
    augment = None
    if recipe.augment is not None:
        augment = getattr(recipe.augment, "__qualname__", "<")
    if callable(mask) or "<" in (augment or ""):
        raise ValueError(
            "A checkpoint cannot tell this function from others: give a mask, or for the augmentation a function that "
            "is defined at the top of a module; or leave the checkpoint out."
        )
    own = own_states(net)
    if own:
        raise ValueError(
            f"A checkpoint keeps tensors only, but the module {next(iter(own))!r} has a state of its own "
            "(get_extra_state): leave the checkpoint out."
        )
    sparse = [name for name, tensor in numbers_of(net).items() if tensor.layout is not torch.strided]
    if sparse:
        raise ValueError(
            f"A checkpoint keeps dense tensors only, but the buffer {sparse[0]!r} is sparse: store it with "
            ".to_dense(), or leave the checkpoint out."
        )
    return {
        "network": structure(net),
        "trained": [name for name, parameter in net.named_parameters() if parameter.requires_grad],
        "epochs": epochs,
        "loss": described(loss, partial(_refuse, loss)),
        "recipe": {**vars(recipe), "augment": augment},
        "seed": seed,
        "mask": files.fingerprint({"kept": mask.kept.cpu()}) if isinstance(mask, Mask) else mask,
        "data": files.fingerprint({name: tensor.cpu().contiguous() for name, tensor in data.items()}),
    }


def _refuse(loss: Loss, part: object) -> str:
    raise ValueError(
        f"A checkpoint cannot tell this {type(loss).__name__} from other losses, as it can compare no "
        f"{type(part).__name__}: let it hold nothing but plain values, tensors and functions, or leave the checkpoint "
        "out."
    )


def _parameters(optimizer: optim.Optimizer) -> list[Tensor]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]
