"""Ways to compute the exact diagonal [D] of the GGN of the mean loss: ours, one pass per class, BackPACK, NNGeometry.

Each as its documentation recommends; what can be prepared once for a network is prepared outside the timing. The last
two need not be installed. `ESTIMATES` are unbiased estimates of it: ours, and those of curvlinops 3.0, which has no
exact diagonal.
"""

from __future__ import annotations

import copy
import importlib.util
from collections.abc import Callable
from functools import partial

import reference
import torch
from torch import Tensor, nn

from lossprune_lib import BatchLoss, WeightSpace

Diagonal = Callable[[Tensor, Tensor, int], Tensor]  # (inputs [N, ...], labels [N], batch size) -> [D]


def ours(net: nn.Module) -> Diagonal:
    """LossModel without its gradient; it splits the batch itself, and also gives the loss."""
    space = WeightSpace(net)

    def diagonal(x: Tensor, y: Tensor, batch_size: int) -> Tensor:
        model = BatchLoss(space, (x, y), max_bytes=budget(x)).model(space.read(), gradient=False)
        assert model.curvature is not None
        return model.curvature

    return diagonal


def budget(x: Tensor) -> int:
    """Return how many bytes ours may use: the default, or more on a GPU."""
    return 2**35 if x.is_cuda else 2**30


def per_class(net: nn.Module, outputs_only: bool = False) -> Diagonal:
    """One whole backward pass per class, as in the paper's program; or one without the unused weight gradients."""
    net = _without_inplace(net)
    return _by_batches(lambda x, y: reference.gradient_and_curvature(net, x, y, outputs_only)[1])


def backpack(net: nn.Module) -> Diagonal:
    """BackPACK's DiagGGNExact."""
    from backpack import backpack as recording
    from backpack import extend
    from backpack.extensions import DiagGGNExact

    net, loss = extend(_without_inplace(net)), extend(nn.CrossEntropyLoss())
    layers = reference.layers_of(net)

    def diagonal(x: Tensor, y: Tensor) -> Tensor:
        with recording(DiagGGNExact()):
            loss(net(x), y).backward()
        return torch.cat([layer.weight.diag_ggn_exact.reshape(-1) for layer in layers])

    return _by_batches(diagonal)


def nngeometry(net: nn.Module) -> Diagonal:
    """NNGeometry's Fisher information of the logits, as PMatDiag."""
    from nngeometry.layercollection import LayerCollection
    from nngeometry.metrics import FIM
    from nngeometry.object import PMatDiag
    from torch.utils.data import DataLoader, TensorDataset

    prunable = reference.layers_of(net)
    layers = LayerCollection()
    for layer in prunable:
        layers.add_layer_from_model(net, layer)

    def diagonal(x: Tensor, y: Tensor, batch_size: int) -> Tensor:
        loader = DataLoader(TensorDataset(x, y), batch_size=batch_size)
        found = FIM(net, loader, PMatDiag, "classif_logits", device=x.device, layer_collection=layers).get_diag()
        sizes = [(layer.weight.numel(), 0 if layer.bias is None else layer.bias.numel()) for layer in prunable]
        return torch.cat(found.split([size for both in sizes for size in both])[::2])

    return diagonal


WAYS: dict[str, Callable[[nn.Module], Diagonal]] = {
    "ours": ours,
    "one backward per class": per_class,
    "the same, outputs only": partial(per_class, outputs_only=True),
    "BackPACK": backpack,
    "NNGeometry": nngeometry,
}


def one_column(net: nn.Module) -> Diagonal:
    """Ours, with a single column of the Hessian's root sampled for each example."""
    space = WeightSpace(net)

    def diagonal(x: Tensor, y: Tensor, batch_size: int) -> Tensor:
        risk = BatchLoss(space, (x, y), curvature_columns=1, max_bytes=budget(x))
        model = risk.model(space.read(), gradient=False)
        assert model.curvature is not None
        return model.curvature

    return diagonal


def curvlinops(net: nn.Module) -> Diagonal:
    """Curvlinops' estimate of the diagonal of its GGN by Hutchinson's method, from one product with a vector."""
    from curvlinops import GGNLinearOperator, hutchinson_diag

    net, loss = _without_inplace(net), nn.CrossEntropyLoss()
    parameters = [layer.weight for layer in reference.layers_of(net)]

    def diagonal(x: Tensor, y: Tensor, batch_size: int) -> Tensor:
        batches = list(zip(x.split(batch_size), y.split(batch_size), strict=True))
        ggn = GGNLinearOperator(net, loss, parameters, batches, check_deterministic=False)
        return hutchinson_diag(ggn, 1)

    return diagonal


ESTIMATES: dict[str, Callable[[nn.Module], Diagonal]] = {
    "ours, one column": one_column,
    "curvlinops, Hutchinson": curvlinops,
}


def installed(name: str) -> bool:
    """Return whether a method's package is installed."""
    packages = {"BackPACK": "backpack", "NNGeometry": "nngeometry", "curvlinops, Hutchinson": "curvlinops"}
    package = packages.get(name)
    return package is None or importlib.util.find_spec(package) is not None


def _by_batches(part: Callable[[Tensor, Tensor], Tensor]) -> Diagonal:
    def diagonal(x: Tensor, y: Tensor, batch_size: int) -> Tensor:
        batches = zip(x.split(batch_size), y.split(batch_size), strict=True)
        return torch.stack([part(a, b) * (len(a) / len(x)) for a, b in batches]).sum(0)

    return diagonal


def _without_inplace(net: nn.Module) -> nn.Module:
    net = copy.deepcopy(net)
    for module in net.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False
    return net
