"""The checks of the exercises in notebook taylor."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from lossprune_lib.exercises.checking import Answer, Mistake, call, choice, close, exercise, number, tensor
from lossprune_lib.exercises.taylor.mistakes import wrong_diagonals, wrong_lm, wrong_predictions, wrong_qm
from lossprune_lib.loss_modelling.model import LossModel
from lossprune_lib.pruning.criteria import saliency
from lossprune_lib.seeds import generator

# By hand: a weight of each sign, one that is zero already, and one whose gradient is zero.
_TINY = LossModel(
    torch.tensor([2.0, -1.0, 0.0, 3.0]).double(),
    0.0,
    torch.tensor([2.5, 1.0, 4.0, 0.0]).double(),
    torch.tensor([1.0, 2.0, 3.0, 2.0]).double(),
)


def _models() -> list[LossModel]:
    """Return fresh models to try an answer on: layers of different scale, zeros and ties, steep or flat; and the tiny one."""
    models, draws = [], generator(0, "check")
    for scale in (1.0, 30.0, 0.01):
        weights, gradient, curvature = torch.randn(3, 60, dtype=torch.float64, generator=draws)
        weights[20:40] *= 20
        weights[:5] = 0
        weights[5:8] = weights[8]
        gradient[10:14] = 0
        models.append(LossModel(weights, 1.0, gradient * scale, curvature.square()))
    return [_TINY, *models]  # the tiny one first: its numbers can be followed by hand


Case = tuple[Tensor, Tensor, dict[str, Tensor]]  # what was found, what was wanted, and what each mistake would give


def _name_the_mistake(cases: list[Case], what: str) -> None:
    """Raise Mistake with the reason that explains every case; with expected beside found if none does."""
    failed = [(found, wanted) for found, wanted, _ in cases if not close(found, wanted)]
    if not failed:
        return
    for reason in cases[0][2]:
        if all(close(found, wrong[reason]) for found, _, wrong in cases):
            raise Mistake(reason)
    found, wanted = failed[0]
    if found.numel() <= 12:
        raise Mistake(f"{what} should be {_shown(wanted)}, but yours is {_shown(found)}.")
    k = int((found - wanted).abs().flatten().argmax())
    raise Mistake(
        f"{what} should be {wanted.flatten()[k]:.4g} in one place where yours is {found.flatten()[k]:.4g}. "
        "Try a case of two weights by hand."
    )


def _shown(values: Tensor) -> str:
    return "[" + ", ".join(f"{value:.4g}" for value in values.flatten().tolist()) + "]"


def _from_numpy(result: Answer) -> Answer:
    return torch.as_tensor(result) if isinstance(result, np.ndarray) else result


def _each_weight(result: Answer, size: int, whole: str) -> Tensor:
    """Return a result as [D], with a word of its own where one number was given."""
    if isinstance(result, (int, float)) or (isinstance(result, Tensor) and result.ndim == 0):
        raise Mistake(
            f"{whole} is one number, but every weight needs a saliency of its own: do not sum over the weights."
        )
    return tensor(result, (size,), whole)


@exercise("LM saliency")
def _lm(answer: Answer) -> str:
    cases: list[Case] = []
    for model in _models():
        w, g = model.weights, model.gradient
        assert g is not None
        found = _each_weight(call(answer, w.clone(), g.clone()), len(w), "Your saliency")
        cases.append((found, saliency(model, "lm"), wrong_lm(w, g)))
    _name_the_mistake(cases, "The saliency of LM")
    return "It is right for every weight, those that are zero already too: removing them changes nothing."


@exercise("QM saliency")
def _qm(answer: Answer) -> str:
    cases: list[Case] = []
    for model in _models():
        for penalty in (0.0, 0.3, 50.0):
            w, g, c = model.weights, model.gradient, model.curvature
            assert g is not None
            assert c is not None
            found = _each_weight(call(answer, w.clone(), g.clone(), c.clone(), penalty), len(w), "Your saliency")
            cases.append((found, saliency(model, "qm", penalty), wrong_qm(w, g, c, penalty)))
    _name_the_mistake(cases, "The saliency of QM")
    return "Leave out the curvature and it is LM, leave out the gradient and it is OBD; let λ grow and it ranks as MP does."


@exercise("predicted change")
def _predicted(answer: Answer) -> str:
    cases: list[Case] = []
    for model in _models():
        size = len(model.weights)
        for kept in _masks(size):
            w, g, c = model.weights, model.gradient, model.curvature
            assert g is not None
            assert c is not None
            result = _from_numpy(call(answer, w.clone(), g.clone(), c.clone(), kept.clone()))
            if isinstance(result, Tensor) and result.numel() != 1:
                raise Mistake(
                    f"Your result has shape {list(result.shape)}, but the change of the loss is one number: sum over the weights."
                )
            if bool(kept.all()) and isinstance(result, (float, Tensor)) and float(result) != float(result):
                raise Mistake(
                    "Your result is nan where no weight is pruned, as if you had divided by their number: the changes of "
                    "single weights add up."
                )
            found = torch.tensor(number(result, "The predicted change"), dtype=torch.float64)
            step = torch.where(kept, torch.zeros_like(w), -w)
            wanted = model.predicted_change(step)
            cases.append((found, wanted, wrong_predictions(w, g, c, kept)))
    _name_the_mistake(cases, "The predicted change")
    return "The sign is right too: a model may promise that the loss falls. It is zero where nothing is pruned."


def _masks(size: int) -> list[Tensor]:
    """Return masks that prune every second weight, all but the first, and none."""
    places = torch.arange(size)
    return [places % 2 == 1, places == 0, places >= 0]


@exercise("diagonal of the last layer")
def _diagonal(answer: Answer) -> str:
    cases: list[Case] = []
    draws = generator(1, "check")
    for examples, inputs, classes, scale in ((1, 2, 3, 1.0), (7, 4, 3, 1.0), (20, 3, 5, 6.0), (40, 2, 2, 1.0)):
        layer = nn.utils.skip_init(nn.Linear, inputs, classes, dtype=torch.float64)
        x = torch.randn(examples, inputs, dtype=torch.float64, generator=draws)
        x[:, 0] += 2  # a mean that is not zero tells squares of means from means of squares
        with torch.no_grad():
            layer.weight.normal_(std=scale, generator=draws)
            layer.bias.normal_(generator=draws)
            logits = layer(x)
        labels = torch.arange(examples) % classes
        wanted = LossModel.at(layer, (x, labels)).curvature
        assert wanted is not None
        result = _from_numpy(call(answer, x.clone(), logits.clone()))
        shape = tuple(result.shape) if isinstance(result, Tensor) else None
        if shape == (inputs, classes) != (classes, inputs):
            raise Mistake(
                f"Your diagonal is [inputs, classes]; a Linear layer's weight is [classes, inputs] = {[classes, inputs]}."
            )
        if shape == (examples, classes, inputs):
            raise Mistake("Your result still has a row for each example: the loss is their mean.")
        if shape == (classes, inputs) and examples == 1 and not torch.isfinite(result).all():
            raise Mistake("It fails for a single example: divide by the number of examples N, not by N - 1.")
        found = tensor(result, (classes, inputs), "The diagonal")
        cases.append((found, wanted.view(classes, inputs), wrong_diagonals(x, logits)))
    _name_the_mistake(cases, "The diagonal")
    return "The same numbers as the library's, which needs no shortcut for the last layer and does all of them."


@exercise("when the gradient is zero")
def _obd(answer: Answer) -> str:
    return _chosen(
        answer,
        right="b",
        said="It is a statement about where training ends, not about curvature, so it must be looked at, and a stage "
        "of pruning moves away from there.",
        wrong={
            "a": "The GGN's diagonal is never negative, that is true; but it says nothing about the size of g theta beside it.",
            "c": "The terms do cancel in the sum. But a criterion ranks single weights, and for a single one nothing cancels.",
            "d": "A loss may be low at a place where it still slopes: low is not flat. Look at what the cell above printed.",
        },
    )


@exercise("reading the split")
def _split(answer: Answer) -> str:
    return _chosen(
        answer,
        right="B",
        said="What is beyond the second order shrinks at least with the third power of the step's length, and it is B's "
        "largest part.",
        wrong={
            "A": "A's largest part comes from the diagonal. That falls with the square of a step's length: one network has a part that falls faster.",
            "C": "C's largest part is batch noise: a larger batch would help it. Small stages draw as small a batch each time.",
        },
    )


def _chosen(answer: Answer, right: str, said: str, wrong: dict[str, str]) -> str:
    found = choice(answer, sorted([right, *wrong]))
    if found != right:
        raise Mistake(wrong[found])
    return said
