"""Which parameters of a network are prunable: by the type of the module that owns them, or as the user chooses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd
from torch.nn.utils import parametrize

from lossprune_lib.checks import suggestion

Selector = str | type[nn.Module] | Callable[[str, nn.Parameter], bool]
Selectors = Selector | Sequence[Selector]

_EMBEDDINGS = (nn.Embedding, nn.EmbeddingBag)
_NORMS = (_NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)


@dataclass(frozen=True)
class Coverage:
    """How much of a network can be pruned.

    Attributes
    ----------
    prunable, total : numbers of weights, and of all parameters
    left_out : {parameter: why it is left out}
    sizes : {parameter: its size}, of those left out
    """

    prunable: int
    total: int
    left_out: dict[str, str]
    sizes: dict[str, int] = field(repr=False)

    @property
    def share(self) -> float:
        """Of all parameters, those that can be pruned."""
        return self.prunable / self.total if self.total else 0.0

    def __str__(self) -> str:
        by_reason: Counter[str] = Counter()
        for name, reason in self.left_out.items():
            by_reason[reason] += self.sizes[name]
        rest = "; ".join(f"{size:,} {reason}" for reason, size in by_reason.most_common())
        words = f"{100 * self.share:.3g} % of {self.total:,} parameters are prunable"
        return f"{words}, left out: {rest}" if rest else words


@dataclass(frozen=True)
class Owned:
    """A parameter and where it stands: of several places, the first."""

    name: str
    parameter: nn.Parameter
    owner: nn.Module
    others: tuple[str, ...] = ()  # its names in the other modules that own it too

    @property
    def layer(self) -> str:
        """The name of the layer: its module's for what is called weight, else the parameter's own."""
        before, _, last = plain_name(self.name).rpartition(".")
        return before if last == "weight" else plain_name(self.name)


def plain_name(name: str) -> str:
    """Return a parameter's name without what torch.compile puts into it."""
    return ".".join(part for part in name.split(".") if part != "_orig_mod")


def unwrapped(net: nn.Module) -> nn.Module:
    """Return the network inside torch's compiling and parallel wrappers."""
    while True:
        if isinstance(net, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
            net = net.module
        elif isinstance(getattr(net, "_orig_mod", None), nn.Module):
            net = net._orig_mod  # type: ignore[assignment]
        else:
            return net


def choose(net: nn.Module, include: Selectors | None, exclude: Selectors) -> tuple[list[Owned], Coverage]:
    """Return the parameters to prune, and what is left out and why.

    Parameters
    ----------
    include : what is chosen, in place of the default; "default" in a list stands for it
    exclude : what is left out of that

    Raises
    ------
    ValueError, TypeError
        for a selector that selects nothing, or an embedding that rescales its weights.
    """
    owned = parameters_of(net)
    included = None if include is None else _matches(owned, include, "include")
    excluded = _matches(owned, exclude, "exclude")
    embedded = {id(o.parameter) for o in _places(net) if isinstance(o.owner, _EMBEDDINGS)}
    chosen, left_out = [], {}
    for o in owned:
        usual = _why_not(o, embedded)
        reason = usual if included is None else (None if o.name in included else "not included")
        if included is not None and "default" in _listed(include) and usual is None:
            reason = None
        if o.name in excluded:
            reason = "excluded"
        elif reason is None and not o.parameter.requires_grad:
            reason = "frozen"
        if reason is None:
            chosen.append(o)
        else:
            left_out[o.name] = reason
    _check_not_rescaled(net, chosen)
    lazy = nn.UninitializedParameter
    sizes = {o.name: 0 if isinstance(o.parameter, lazy) else o.parameter.numel() for o in owned}
    total = sum(sizes.values())
    return chosen, Coverage(sum(sizes[o.name] for o in chosen), total, left_out, {n: sizes[n] for n in left_out})


def _why_not(o: Owned, embedded: set[int]) -> str | None:
    """Return why a parameter is not pruned by default; None if it is."""
    kind, name = type(o.owner), o.name.rpartition(".")[2]
    if isinstance(o.owner, _EMBEDDINGS):
        return "in embeddings"
    if id(o.parameter) in embedded:
        return "tied to an embedding"
    if isinstance(o.owner, _NORMS):
        return "in norms"
    if isinstance(o.owner, nn.MultiheadAttention):
        prunable = name.endswith("proj_weight")
    elif isinstance(o.owner, (nn.RNNBase, nn.RNNCellBase)):
        prunable = name.startswith("weight_")
    else:
        prunable = name == "weight" and (isinstance(o.parameter, nn.UninitializedParameter) or o.parameter.ndim > 1)
    if prunable:
        return None
    return "in biases" if "bias" in name else f"in other parameters of {kind.__name__}"


def _places(net: nn.Module) -> Iterable[Owned]:
    """Yield every place at which a parameter stands."""
    for module_name, module in net.named_modules(remove_duplicate=False):
        for name, parameter in module.named_parameters(recurse=False):
            yield Owned(f"{module_name}.{name}" if module_name else name, parameter, module)


def parameters_of(net: nn.Module) -> list[Owned]:
    """Return each parameter once, at its first place, in the order of ``net.modules()``."""
    found: dict[int, dict[tuple[int, str], Owned]] = {}
    for place in _places(net):
        # A module under several names is one place.
        found.setdefault(id(place.parameter), {}).setdefault((id(place.owner), place.name.rpartition(".")[2]), place)
    each = [list(places.values()) for places in found.values()]
    return [replace(places[0], others=tuple(place.name for place in places[1:])) for places in each]


def lasting(selectors: Selectors | None) -> Selectors | None:
    """Return selectors that can be read more than once, which an iterator cannot."""
    return tuple(selectors) if isinstance(selectors, Iterator) else selectors


def has_functions(selectors: Selectors | None) -> bool:
    """Return whether some selector is a function, which may ask for what another copy of the network has not."""
    return any(not isinstance(selector, (str, type)) for selector in _listed(selectors))


def _listed(selectors: Selectors | None) -> list[Selector]:
    single = selectors is None or isinstance(selectors, (str, type)) or callable(selectors)
    found = [selectors] if single and selectors is not None else list(selectors or [])  # type: ignore[arg-type]
    wrong = [s for s in found if not (isinstance(s, str) or callable(s))]
    if wrong:
        raise TypeError(
            "Layers are chosen by name, pattern, module type or a function (name, parameter) -> bool, not "
            f"{wrong[0]!r}."
        )
    return found  # type: ignore[return-value]


def _matches(owned: list[Owned], selectors: Selectors, what: str) -> set[str]:
    """Return the names of the parameters that some selectors select; each must select at least one."""
    found: set[str] = set()
    for selector in _listed(selectors):
        if selector == "default":
            continue
        selected = {o.name for o in owned if _selects(selector, o)}
        if not selected:
            names = [o.layer for o in owned]
            some = ", ".join(name or "weight" for name in names[:20]) + (" ..." if len(names) > 20 else "")
            raise ValueError(
                f"{what}: {selector!r} selects no parameter of this network.{suggestion(selector, names)} It has: "
                f"{some}."
            )
        found |= selected
    return found


def _selects(selector: Selector, o: Owned) -> bool:
    """Return whether a selector selects a parameter; a layer's name and a type select all of theirs, the bias too."""
    if isinstance(selector, str):
        names = o.layer, plain_name(o.name), o.name
        return any(fnmatchcase(name, selector) or name.startswith(f"{selector}.") for name in names)
    if isinstance(selector, type):
        return isinstance(o.owner, selector)
    return bool(selector(o.layer, o.parameter))


def check_plain(net: nn.Module, include: Selectors | None = None, exclude: Selectors = ()) -> None:
    """Raise ValueError for a weight that is to be pruned, but is no parameter: it is computed from others."""

    def selected(selectors: Selectors, stand_in: Owned) -> bool:
        return any(s != "default" and _selects(s, stand_in) for s in _listed(selectors))

    for name, module in net.named_modules():
        frozen = {parameter.requires_grad for parameter in module.parameters()} == {False}
        for own in () if frozen else _computed(module):
            there = getattr(module, own, None)
            tensor = there.detach() if isinstance(there, torch.Tensor) else torch.empty(0, 0)
            stand_in = Owned(f"{name}.{own}" if name else own, nn.Parameter(tensor, requires_grad=False), module)
            usual = (include is None or "default" in _listed(include)) and _why_not(stand_in, set()) is None
            if (usual or selected(include or (), stand_in)) and not selected(exclude, stand_in):
                raise ValueError(
                    f"The {own} of layer {name!r} is computed from other tensors (a parametrisation, weight norm or "
                    "torch.nn.utils.prune): make it plain first, for example with "
                    "torch.nn.utils.parametrize.remove_parametrizations or torch.nn.utils.prune.remove, or exclude it."
                )


def _computed(module: nn.Module) -> set[str]:
    """Return the names of a module's tensors that are computed from its parameters, as torch's own tools do it."""
    hooks = [hook for hook in module._forward_pre_hooks.values() if type(hook).__module__.startswith("torch.nn.utils.")]
    found = {str(getattr(hook, "_tensor_name", None) or getattr(hook, "name", "weight")) for hook in hooks}
    if parametrize.is_parametrized(module):
        found |= set(module.parametrizations)  # type: ignore[arg-type]
    return found | ({"weight"} - module._parameters.keys() if isinstance(module, (nn.Linear, _ConvNd)) else set())


def _check_not_rescaled(net: nn.Module, chosen: list[Owned]) -> None:
    """Raise ValueError if an embedding that is to be pruned changes its own weights in place."""
    embeddings = [(name, module) for name, module in net.named_modules() if isinstance(module, _EMBEDDINGS)]
    rescaled = {id(module.weight): name for name, module in embeddings if module.max_norm is not None}
    for name in (rescaled[id(o.parameter)] for o in chosen if id(o.parameter) in rescaled):
        raise ValueError(
            f"Embedding {name!r} rescales its weights in place (max_norm), so the loss is no function of them: rescale "
            "them once and set max_norm to None, or exclude it."
        )
