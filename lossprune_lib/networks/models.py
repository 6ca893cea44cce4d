"""The networks of the paper and two small ones, freshly initialised or trained and shipped."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from lossprune_lib import files
from lossprune_lib.checks import check_choice, check_network
from lossprune_lib.files import shipped
from lossprune_lib.networks.convolutional import preact_resnet18, small_vgg, vgg11
from lossprune_lib.networks.gpt import TinyGPT, initialise
from lossprune_lib.networks.initial import TaskShape, classes_of, initialised
from lossprune_lib.seeds import generator

__all__ = [
    "MODELS",
    "SCALABLE",
    "load",
    "make",
    "mlp_300_100",
    "preact_resnet18",
    "pretrained",
    "save",
    "small_vgg",
    "tiny_gpt",
    "vgg11",
]


def mlp_300_100(task: TaskShape, *, seed: int = 0) -> nn.Module:
    """The paper's multilayer perceptron: inputs-300-100-classes, with tanh.

    Takes inputs [N, *task.shape] of any shape and gives logits [N, classes]; 266,200 weights on MNIST.

    Raises
    ------
    TypeError, ValueError
        if this is no task, or its targets are not classes.
    """
    classes, inputs = classes_of(task), torch.Size(task.shape).numel()
    layers = OrderedDict(
        flatten=nn.Flatten(),
        fc1=nn.Linear(inputs, 300),
        tanh1=nn.Tanh(),
        fc2=nn.Linear(300, 100),
        tanh2=nn.Tanh(),
        fc3=nn.Linear(100, classes),
    )
    return initialised(nn.Sequential(layers), task, seed)


def tiny_gpt(task: TaskShape, *, seed: int = 0) -> nn.Module:
    """A transformer of three blocks of width 96 that predicts the next token: 0.36 million weights for a text.

    Takes tokens int64 [N, T], T up to the length of the task's sequences, and gives logits [N, T, classes].

    Raises
    ------
    TypeError, ValueError
        if this is no task, its targets are not classes, or its inputs are not sequences of one length.
    """
    vocabulary, shape = classes_of(task), tuple(task.shape)
    if len(shape) != 1:
        raise ValueError(
            f"This network takes sequences of tokens [length], not inputs of shape {list(shape)}: try "
            'data.load("python_reference"), or mlp_300_100 for any input.'
        )
    net = TinyGPT(vocabulary, shape[0])
    if not net.head.weight.is_meta:
        initialise(net, generator(seed, "initial weights"))
    return net.to(device=task.device, dtype=_dtype_for(task)).eval()


# Those that can be made narrower or wider.
SCALABLE = ("vgg11", "preact_resnet18")
MODELS: dict[str, Callable[..., nn.Module]] = {
    "mlp_300_100": mlp_300_100,
    "small_vgg": small_vgg,
    "vgg11": vgg11,
    "preact_resnet18": preact_resnet18,
    "tiny_gpt": tiny_gpt,
}


def make(model: str, task: TaskShape, *, seed: int = 0, width: float = 1.0) -> nn.Module:
    """Make a network by its name in `MODELS`; a width other than 1 only where the model takes one."""
    check_choice(model, MODELS, "model")
    if width == 1:
        return MODELS[model](task, seed=seed)
    check_choice(model, SCALABLE, "model that takes a width")
    return MODELS[model](task, seed=seed, width=width)


@dataclass(frozen=True)
class _Shipped:
    """What a checkpoint says about the task that its network was trained on."""

    shape: tuple[int, ...]
    classes: int
    device: torch.device
    dtype: torch.dtype = torch.float32


def pretrained(model: str, task: str | TaskShape) -> nn.Module:
    """Return a shipped trained network, in eval mode.

    Parameters
    ----------
    model : a name in `MODELS`
    task : a data set's name (the network is then on the CPU), or a `Task` (it is then on the task's device)

    Raises
    ------
    ValueError
        for an unknown name, a combination that is not shipped, or a damaged file.
    """
    check_choice(model, MODELS, "model")
    name = task if isinstance(task, str) else getattr(task, "name", "custom")
    stems = sorted(path.stem for path in shipped("checkpoints").glob("*.safetensors"))
    check_choice(f"{model}-{name}", stems, "shipped network (named MODEL-TASK)")
    net = load(shipped(f"checkpoints/{model}-{name}.safetensors"))
    return net if isinstance(task, str) else net.to(device=task.device, dtype=_dtype_for(task))


def save(path: str | Path, net: nn.Module, model: str, task: TaskShape, *, width: float = 1.0, **notes: str) -> None:
    """Write a network that came from `MODELS` to a safetensors file, with everything needed to load it again.

    Raises
    ------
    ValueError, TypeError, OSError
        if the network is not this model for this task, so that it could not be loaded, or the file cannot be written.
    """
    check_choice(model, MODELS, "model")
    check_network(net)
    classes, state = classes_of(task), net.state_dict()
    try:
        _assembled(state, model, tuple(task.shape), classes, width)
    except RuntimeError as error:
        raise ValueError(
            f"This network is not a {model} of width {width:g} for inputs {list(task.shape)} and {classes} classes, "
            f"and could not be loaded again: make it with models.{model}(task), or give the name and the task that it "
            "was made for."
        ) from error
    about = {"model": model, "shape": ",".join(map(str, task.shape)), "classes": str(classes)}
    about |= {} if width == 1 else {"width": repr(float(width))}
    if about.keys() & notes.keys():
        raise ValueError(f"{' and '.join(about.keys() & notes.keys())} are stored anyway: give your notes other names.")
    files.save_tensors(path, state, about | notes)


def load(path: str | Path) -> nn.Module:
    """Read a network that `save` wrote, on the CPU and in eval mode; ValueError if it does not fit its model.

    What was saved in half precision comes in float32.
    """
    tensors, metadata = files.load_tensors(path)
    try:
        shape = tuple(int(size) for size in metadata["shape"].split(","))
        classes = int(metadata["classes"])
        if min(*shape, classes) < 1:
            raise ValueError("a size of its inputs, or its number of classes, is below 1")
        model, width = metadata["model"], float(metadata.get("width", 1))
        net = _assembled(tensors, model, shape, classes, width)
        return net.float() if next(net.parameters()).dtype == torch.float16 else net
    except (KeyError, ValueError, TypeError, RuntimeError, ArithmeticError) as error:
        why = f"it lacks {error}" if isinstance(error, KeyError) else error
        raise ValueError(f"{path} holds no network that this version knows ({why}): save it again.") from error


def _assembled(
    tensors: Mapping[str, Tensor], model: str, shape: tuple[int, ...], classes: int, width: float
) -> nn.Module:
    """Return a model of these tensors, in eval mode; raise RuntimeError unless they have its names and shapes."""
    with torch.device("meta"):  # so that a tampered file cannot claim more memory than its own tensors take
        net = make(model, _Shipped(shape, classes, torch.device("meta")), width=width)
    net.load_state_dict(tensors, assign=True)
    return net


def _dtype_for(task: TaskShape) -> torch.dtype:
    """Return the dtype of a network's weights: that of the inputs, where those are not tokens."""
    return task.dtype if task.dtype.is_floating_point else torch.float32
