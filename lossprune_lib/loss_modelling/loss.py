"""Loss: what a loss must give so that it can be modelled; `losses` has those that come with the library."""

from __future__ import annotations

import torch
from torch import Tensor

from lossprune_lib.checks import check_instance


class NothingCountsError(ValueError):
    """A batch none of whose targets counts: it has no mean loss, though the data set that it is of may have one.

    A loss of one's own raises it in its `check`, such as one of targets of which some are missing:

    >>> from lossprune_lib.loss_modelling import Loss, NothingCountsError
    >>> class OfKnown(Loss):
    ...     def check(self, shape, targets):
    ...         if targets.isnan().all():
    ...             raise NothingCountsError("All targets are missing.")
    >>> OfKnown().check((2, 1), torch.tensor([[torch.nan], [torch.nan]]))
    Traceback (most recent call last):
    lossprune_lib.loss_modelling.loss.NothingCountsError: All targets are missing.
    """


class Loss:
    """A loss that can be modelled. One of your own overrides `total` and `hessian_root`; the rest has defaults.

    Losses are compared by equality and may be pickled, so define a frozen dataclass at the top of a module. Outputs may
    be float32 or float64: make constants like them, with ``outputs.new_tensor(...)``.
    """

    def total(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the sum (not the mean) of the loss over a batch, a scalar that has a gradient by the outputs."""
        raise NotImplementedError(f"The loss {type(self).__name__} has no total: write the sum over a batch.")

    def hessian_root(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return S columns [S, *outputs.shape] whose outer products sum to each example's Hessian of `total`."""
        raise NotImplementedError(
            f"The loss {type(self).__name__} has no hessian_root, of which curvature is made: write it, or prune by "
            "lm or mp, which need none."
        )

    def sampled_column(self, outputs: Tensor, targets: Tensor, generator: torch.Generator) -> Tensor:
        """Return one random column [*outputs.shape] whose outer product is, on average, each example's Hessian.

        By default the root's columns with random signs, added up.
        """
        root = self.hessian_root(outputs, targets)
        signs = random_signs((outputs.shape[0], len(root)), generator).to(root)
        return torch.einsum("ns,sn...->n...", signs, root)

    def columns(self, outputs: Tensor, targets: Tensor) -> int:
        """Return how many columns the root has, from one example."""
        return len(self.hessian_root(outputs, targets))

    def count(self, targets: Tensor) -> float | Tensor:
        """Return what `total` is divided by for the mean; by default the number of examples.

        What depends on the targets' values is a scalar tensor beside them: to read it would make a GPU's queue run dry.
        """
        return len(targets)

    def mean(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the mean loss of a batch, a scalar, without waiting for a GPU; zero where nothing counts."""
        total, count = self.total(outputs, targets), self.count(targets)
        if not isinstance(count, Tensor):
            return total / count if count else total * 0
        counts = count != 0
        return total * counts / (count + ~counts).to(total.dtype)

    def wrong(self, outputs: Tensor, targets: Tensor) -> Tensor | None:
        """Return for each answer that counts whether it is wrong, as bool; None if answers are not right or wrong."""
        return None

    def check(self, shape: tuple[int, ...], targets: Tensor) -> None:
        """Raise TypeError or ValueError unless targets go with outputs of a shape [N, ...].

        Where none of them counts, a `NothingCountsError`: training and evaluation go on with the other batches.
        """


def check_loss(loss: object) -> Loss:
    """Return `loss` if it is one that can be modelled; else raise TypeError."""
    remedy = "take losses.cross_entropy, losses.mean_squared_error or one of your own, or leave it out"
    return check_instance(loss, Loss, "A loss", remedy)


def random_signs(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return (torch.rand(shape, generator=generator, dtype=torch.float64) < 0.5).double().mul_(2).sub_(1)
