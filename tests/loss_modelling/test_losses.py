"""Losses: torch's own values, roots of the Hessians that autograd finds, unbiased samples, and what is refused."""

from __future__ import annotations

import copy
import math
import pickle
from dataclasses import dataclass, replace

import pytest
import torch
from sample_losses import HALF_SQUARES, RISING_SQUARES, SQUARES, Squares
from torch import Tensor, nn
from torch.nn import functional as F

from lossprune_lib import LocalPruner, data, training
from lossprune_lib.loss_modelling import (
    BatchLoss,
    BinaryCrossEntropy,
    CrossEntropy,
    Loss,
    LossModel,
    MeanSquaredError,
    binary_cross_entropy,
    check_root,
    cross_entropy,
    mean_squared_error,
)
from lossprune_lib.loss_modelling.losses import check_outputs, check_sum

SMOOTH = CrossEntropy(label_smoothing=0.2)
WEIGHTED = CrossEntropy(class_weights=(1.0, 0.5, 3.0, 0.25))
BOTH = CrossEntropy(label_smoothing=0.3, class_weights=(1.0, 0.5, 3.0, 0.25))
ENTROPIES = {"plain": cross_entropy, "smooth": SMOOTH, "weighted": WEIGHTED, "both": BOTH}
LABELS = {"vectors": (5,), "positions": (5, 3), "maps": (5, 2, 3)}


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def labels(*shape: int, ignored: bool = True) -> Tensor:
    """Return labels of 4 classes, the second of all ignored."""
    y = torch.randint(4, shape, generator=torch.Generator().manual_seed(1))
    if ignored:
        y.view(-1)[1] = -100
    return y


def logits(y: Tensor, last: bool = False) -> Tensor:
    z = randn(*y.shape, 4) / 2  # no class so rare that it is hardly ever drawn
    return z if last else z.movedim(-1, 1)


# A loss, its outputs and its targets, of every kind of shape.
CASES: dict[str, tuple[Loss, Tensor, Tensor]] = {
    f"{name}, {kind}{', classes last' if last else ''}": (loss, logits(labels(*shape), last), labels(*shape))
    for name, loss in ENTROPIES.items()
    for kind, shape in LABELS.items()
    for last in ((False, True) if kind != "vectors" else (False,))
}
CASES |= {
    "nothing ignored": (cross_entropy, logits(labels(5, ignored=False)), labels(5, ignored=False)),
    "squared error": (mean_squared_error, randn(5, 3), randn(5, 3, seed=1)),
    "squared error of one number": (mean_squared_error, randn(5), randn(5, seed=1)),
    "squared error, positions": (mean_squared_error, randn(5, 2, 3), randn(5, 2, 3, seed=1)),
    "binary": (binary_cross_entropy, randn(5, 3), (randn(5, 3, seed=1) > 0).double()),
    "binary, soft": (binary_cross_entropy, randn(5, 3), randn(5, 3, seed=1).sigmoid()),
    "binary, maps": (binary_cross_entropy, randn(5, 2, 2), (randn(5, 2, 2, seed=1) > 0).double()),
    "one's own": (RISING_SQUARES, randn(5, 3), randn(5, 3, seed=1)),
}
every_case = pytest.mark.parametrize("case", CASES)


def torchs(loss: Loss, z: Tensor, y: Tensor, reduction: str) -> Tensor:
    if isinstance(loss, CrossEntropy):
        z = z if z.shape[:1] + z.shape[2:] == y.shape else z.movedim(-1, 1)
        weight = None if loss.class_weights is None else torch.tensor(loss.class_weights, dtype=torch.float64)
        return F.cross_entropy(z, y, weight, reduction=reduction, label_smoothing=loss.label_smoothing)
    function = F.mse_loss if isinstance(loss, MeanSquaredError) else F.binary_cross_entropy_with_logits
    return function(z, y, reduction=reduction)


@pytest.mark.parametrize("case", [case for case in CASES if case != "one's own"])
def test_value_and_mean_are_torchs(case: str) -> None:
    loss, z, y = CASES[case]
    torch.testing.assert_close(loss.total(z, y), torchs(loss, z, y, "sum"), rtol=1e-12, atol=0)
    torch.testing.assert_close(loss.total(z, y) / loss.count(y), torchs(loss, z, y, "mean"), rtol=1e-12, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@every_case
def test_the_mean_is_the_value_by_the_count_to_the_last_bit(case: str, dtype: torch.dtype) -> None:
    loss, z, y = CASES[case]
    z, y = z.to(dtype), y.to(dtype) if y.is_floating_point() else y
    (of_mean,), (of_ratio,) = (
        torch.autograd.grad(mean(own), own)
        for mean, own in (
            (lambda own: loss.mean(own, y), z.clone().requires_grad_()),
            (lambda own: loss.total(own, y) / float(loss.count(y)), z.clone().requires_grad_()),
        )
    )
    assert torch.equal(of_mean, of_ratio)
    assert loss.mean(z, y).dtype == dtype
    assert torch.equal(loss.mean(z, y), loss.total(z, y) / float(loss.count(y)))


# --- roots


def hessian(loss: Loss, z: Tensor, y: Tensor) -> Tensor:
    """Return each example's Hessian [N, K, K] by its own outputs, from autograd."""
    return torch.stack(
        [
            torch.autograd.functional.hessian(lambda v, n=n: loss.total(v.view_as(z[:1]), y[n : n + 1]), z[n].flatten())
            for n in range(len(z))
        ]
    )


def outer(columns: Tensor) -> Tensor:
    """Return the summed outer products [N, K, K] of columns [S, N, ...]."""
    flat = columns.reshape(*columns.shape[:2], -1)
    return torch.einsum("sna,snb->nab", flat, flat)


@every_case
def test_the_outer_products_of_the_root_sum_to_the_hessian(case: str) -> None:
    loss, z, y = CASES[case]
    root = loss.hessian_root(z, y)
    assert root.shape == (loss.columns(z[:1], y[:1]), *z.shape)
    torch.testing.assert_close(outer(root), hessian(loss, z, y), rtol=1e-9, atol=1e-12)


DRAWS = 4000


@pytest.mark.parametrize("default", [False, True], ids=["its own", "the default"])
@every_case
def test_sampled_columns_are_unbiased(case: str, default: bool) -> None:
    loss, z, y = CASES[case]
    z, y = z[:2], y[:2]
    draw = torch.Generator().manual_seed(0)
    sample = Loss.sampled_column if default else type(loss).sampled_column
    many = sample(loss, z.repeat(DRAWS, *[1] * (z.ndim - 1)), y.repeat(DRAWS, *[1] * (y.ndim - 1)), draw)
    flat = many.reshape(DRAWS, len(z), -1)
    squares = torch.einsum("rna,rnb->rnab", flat, flat)
    errors = squares.std(0) / math.sqrt(DRAWS)
    off = (squares.mean(0) - hessian(loss, z, y)).abs()
    # Of many entries, one in 370 is further off than three deviations: that many are let off, and none is far away.
    assert (off > 3 * errors + 1e-9).double().mean() <= 0.02
    assert (off <= 5 * errors + 1e-9).all()


@every_case
def test_a_sampled_column_is_the_same_however_the_batch_is_cut(case: str) -> None:
    loss, z, y = CASES[case]
    for sample in (Loss.sampled_column, type(loss).sampled_column):
        whole = sample(loss, z, y, torch.Generator().manual_seed(3))
        for sizes in ([1, 1, 1, 1, 1], [2, 3], [4, 1]):
            draw = torch.Generator().manual_seed(3)
            parts = [sample(loss, *part, draw) for part in zip(z.split(sizes), y.split(sizes), strict=True)]
            torch.testing.assert_close(torch.cat(parts), whole, rtol=1e-12, atol=1e-12)
        assert not torch.equal(sample(loss, z, y, torch.Generator().manual_seed(4)), whole)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@every_case
def test_saturated_outputs_give_no_nan(case: str, dtype: torch.dtype) -> None:
    loss, z, y = CASES[case]
    for scale in (1e3, 1e8):
        outputs = (scale * z).to(dtype)
        targets = y.to(dtype) if y.is_floating_point() else y
        columns = loss.hessian_root(outputs, targets), loss.sampled_column(outputs, targets, torch.Generator())
        for column in columns:
            assert (column.dtype, bool(column.isfinite().all())) == (dtype, True)


def test_a_small_curvature_keeps_its_digits() -> None:
    """At a gap of 30, p (1 - p) is exp(-30), which a difference of nearly equal numbers would lose in float32."""
    for gap in (30.0, -30.0):
        binary = binary_cross_entropy.hessian_root(torch.tensor([[gap]]), torch.ones(1, 1))
        classes = cross_entropy.hessian_root(torch.tensor([[gap, 0.0]]), torch.zeros(1, dtype=torch.int64))
        for root in (binary, classes):
            torch.testing.assert_close(
                outer(root).diagonal(dim1=1, dim2=2)[0, -1].item(), math.exp(-30), rtol=1e-4, atol=0
            )


def test_ignored_positions_have_no_columns_and_are_not_counted() -> None:
    y = labels(5)
    z = logits(y)
    for loss in ENTROPIES.values():
        assert not loss.hessian_root(z, y)[:, 1].any()
        assert not loss.sampled_column(z, y, torch.Generator())[1].any()
        assert float(loss.count(y)) == pytest.approx(float(loss.count(y[y != -100])))


# --- wrong answers


def test_wrong_answers_of_classes_are_those_that_count() -> None:
    z = torch.tensor([[2.0, 1.0], [0.0, 1.0], [0.0, 3.0]])
    assert cross_entropy.wrong(z, torch.tensor([0, 0, 1])).tolist() == [False, True, False]
    assert cross_entropy.wrong(z, torch.tensor([1, -100, 1])).tolist() == [True, False]
    y = labels(5, 3)
    for last in (False, True):
        found = cross_entropy.wrong(logits(y, last), y)
        assert found.tolist() == (logits(y, True).argmax(-1) != y)[y != -100].tolist()


def test_wrong_answers_to_yes_or_no_and_none_to_numbers() -> None:
    z, y = torch.tensor([[2.0, -1.0], [-0.5, 0.3]]), torch.tensor([[1.0, 1.0], [0.2, 0.4]])
    assert binary_cross_entropy.wrong(z, y).tolist() == [[False, True], [False, True]]
    assert mean_squared_error.wrong(z, y) is None


# --- as settings


@pytest.mark.parametrize("loss", [*ENTROPIES.values(), mean_squared_error, binary_cross_entropy, SQUARES])
def test_losses_are_values(loss: Loss) -> None:
    again = pickle.loads(pickle.dumps(loss))
    assert again == loss == copy.deepcopy(loss)
    assert hash(again) == hash(loss)
    assert len({again, loss, *ENTROPIES.values(), mean_squared_error, binary_cross_entropy, SQUARES}) == 7


def test_class_weights_may_be_any_numbers_in_a_row() -> None:
    assert CrossEntropy(class_weights=torch.tensor([1, 2])) == CrossEntropy(class_weights=[1.0, 2.0])  # type: ignore[arg-type]
    assert MeanSquaredError() == mean_squared_error != BinaryCrossEntropy()


# --- refusals


@pytest.mark.parametrize(
    ("settings", "keyword"),
    [
        ({"label_smoothing": 1.0}, "label_smoothing"),
        ({"label_smoothing": -0.1}, "label_smoothing"),
        ({"label_smoothing": math.nan}, "label_smoothing"),
        ({"class_weights": ()}, "class_weights"),
        ({"class_weights": (1.0, -1.0)}, "class_weights"),
        ({"class_weights": (0.0, 0.0)}, "class_weights"),
        ({"class_weights": (math.inf, 1.0)}, "class_weights"),
    ],
    ids=str,
)
def test_settings_of_no_cross_entropy_are_refused(settings: dict[str, object], keyword: str) -> None:
    with pytest.raises(ValueError, match=keyword):
        CrossEntropy(**settings)  # type: ignore[arg-type]


Y = torch.tensor([0, 3, 1, 2, 0])
REFUSED: dict[str, tuple[Loss, object, Tensor, type[Exception], str]] = {
    "labels of few bits": (cross_entropy, randn(5, 4), Y.int(), TypeError, "int64"),
    "float labels": (cross_entropy, randn(5, 4), Y.double(), TypeError, "int64"),
    "a label too high": (cross_entropy, randn(5, 3), Y, ValueError, "3 logits"),
    "a label too low": (cross_entropy, randn(5, 4), Y - 1, ValueError, "from -1"),
    "all ignored": (cross_entropy, randn(5, 4), torch.full((5,), -100), ValueError, "-100"),
    "labels in a column": (cross_entropy, randn(5, 4), Y.unsqueeze(1), ValueError, r"\[5, 1\]"),
    "no classes": (cross_entropy, randn(5), Y, ValueError, "logits"),
    "classes on either side": (cross_entropy, randn(5, 4, 4), labels(5, 4), ValueError, "another length"),
    "too few class weights": (WEIGHTED, randn(5, 5), Y, ValueError, "class_weights"),
    "whole numbers to meet": (mean_squared_error, randn(5, 4), Y, TypeError, r"\.float\(\)"),
    "numbers in a row": (mean_squared_error, randn(5, 1), randn(5), ValueError, "unsqueeze"),
    "probabilities beyond 1": (binary_cross_entropy, randn(5, 4), randn(5, 4) + 9, ValueError, "0 to 1"),
    "probabilities of another shape": (binary_cross_entropy, randn(5, 4), randn(5, 3), ValueError, "equal"),
    "a tuple": (mean_squared_error, (randn(5, 4),), randn(5, 4), ValueError, "tuple"),
    "another number of examples": (mean_squared_error, randn(4, 4), randn(5, 4), ValueError, "For 5 examples"),
    "targets of too many digits": (mean_squared_error, randn(5, 4).float(), randn(5, 4), TypeError, "convert"),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_outputs_that_do_not_go_with_targets_are_refused(fault: str) -> None:
    loss, outputs, targets, error, keyword = REFUSED[fault]
    with pytest.raises(error, match=keyword):
        check_outputs(loss, outputs, targets)


@every_case
def test_outputs_that_go_with_targets_are_not(case: str) -> None:
    check_outputs(*CASES[case])


# --- the check of a root


@every_case
def test_a_right_root_passes(case: str) -> None:
    loss, z, y = CASES[case]
    for scale in (1.0, 1e4):
        for dtype in (torch.float32, torch.float64):
            check_root(loss, scale * z[2:3].to(dtype), y[2:3])
            check_root(loss, scale * z.to(dtype), y)


@dataclass(frozen=True)
class Wrong(Squares):
    """Squares with one mistake."""

    mistake: str = ""

    def total(self, outputs: Tensor, targets: Tensor) -> Tensor:
        total = super().total(outputs, targets)
        mean = {"mean over all": outputs.numel(), "mean over numbers": outputs[0].numel()}
        if self.mistake == "not convex":
            return -total
        if self.mistake == "one for each":
            return (outputs - targets).square().sum(1)
        return total / mean.get(self.mistake, 1)

    def hessian_root(self, outputs: Tensor, targets: Tensor) -> Tensor:
        root = super().hessian_root(outputs, targets)
        changed = {
            "root of a mean": lambda: root / math.sqrt(outputs[0].numel()),
            "factor two": lambda: root * math.sqrt(2),
            "factor half": lambda: root / math.sqrt(2),
            "factor three": lambda: root * math.sqrt(3),
            "squares": lambda: root.square(),
            "examples first": lambda: root.transpose(0, 1),
            "a column too few": lambda: root[1:],
        }
        return changed.get(self.mistake, lambda: root)()

    def columns(self, outputs: Tensor, targets: Tensor) -> int:
        return super().columns(outputs, targets) + (self.mistake == "columns")


MISTAKES = {
    "mean over all": "total .* mean",
    "one for each": "total .* scalar",
    "mean over numbers": "3 times .* mean",
    "root of a mean": "0.333333 times .* mean",
    "factor two": "2 times .* factor 2",
    "factor half": "0.5 times .* factor 2",
    "factor three": "3 times",
    "squares": "the Hessian itself",
    "examples first": "columns, which come first",
    "a column too few": "do not sum",
    "not convex": "convex",
    "columns": "columns .* is 4",
}


@pytest.mark.parametrize("mistake", MISTAKES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("examples", [1, 4])
def test_a_wrong_root_is_refused_with_what_it_looks_like(mistake: str, dtype: torch.dtype, examples: int) -> None:
    loss = Wrong(scale=2, rising=True, mistake=mistake)
    with pytest.raises(ValueError, match=MISTAKES[mistake]):
        check_root(loss, randn(examples, 3).to(dtype), randn(examples, 3, seed=1).to(dtype))
    check_root(replace(loss, mistake=""), randn(examples, 3).to(dtype), randn(examples, 3, seed=1).to(dtype))


def test_a_transposed_root_is_named() -> None:
    class Transposed(CrossEntropy):
        def hessian_root(self, outputs: Tensor, targets: Tensor) -> Tensor:
            p = torch.softmax(outputs, 1)
            r = p.sqrt()
            # diag(r) - p r^T, whose product with its own transpose is diag(p) - p p^T.
            rows = torch.diag_embed(r) - p.unsqueeze(2) * r.unsqueeze(1)
            return rows.transpose(0, 1) if self.label_smoothing else rows.permute(2, 0, 1)

        def columns(self, outputs: Tensor, targets: Tensor) -> int:
            return outputs.shape[1]

    check_root(Transposed(), randn(1, 4), Y[:1])
    with pytest.raises(ValueError, match="transposed"):
        check_root(Transposed(label_smoothing=0.1), randn(1, 4), Y[:1])


@pytest.mark.parametrize("where", ["total", "hessian_root"])
def test_constants_of_another_dtype_are_told_from_other_mistakes(where: str) -> None:
    class Mixed(Squares):
        def total(self, outputs: Tensor, targets: Tensor) -> Tensor:
            mixed = outputs @ (torch.eye(3) if where == "total" else torch.eye(3).to(outputs))
            return super().total(mixed, targets)

        def hessian_root(self, outputs: Tensor, targets: Tensor) -> Tensor:
            return super().hessian_root(outputs, targets) @ torch.eye(3)

    batch = randn(5, 4).float(), randn(5, 3).float()
    LossModel.at(nn.Linear(4, 3), batch, order=1, loss=Mixed())
    with pytest.raises(ValueError, match=r"Mixed .* constants like the outputs, with outputs.new_tensor"):
        LossModel.at(nn.Linear(4, 3), batch, loss=Mixed())
    with pytest.raises(RuntimeError, match=r"size mismatch|multiplied"):
        check_root(Mixed(), randn(1, 4).float(), randn(1, 4).float())


def test_a_root_of_another_dtype_than_the_outputs_is_refused() -> None:
    class Single(Squares):
        def hessian_root(self, outputs: Tensor, targets: Tensor) -> Tensor:
            return super().hessian_root(outputs, targets).float()

    for dtype in (torch.float32, torch.float64):
        with pytest.raises(ValueError, match=r"Single is torch.float32 for outputs of torch.float64: .*dtype=outputs"):
            LossModel.at(nn.Linear(4, 3).to(dtype), (randn(5, 4).to(dtype), randn(5, 3).to(dtype)), loss=Single())


def test_a_root_in_double_precision_serves_a_network_in_single() -> None:
    class Double(Squares):
        def hessian_root(self, outputs: Tensor, targets: Tensor) -> Tensor:
            return super().hessian_root(outputs, targets).double()

    net, batch = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3)), (randn(5, 4).float(), randn(5, 3).float())
    for columns in (None, 2):
        single, double = (
            LossModel.at(net, batch, loss=loss, curvature_columns=columns).curvature for loss in (Squares(), Double())
        )
        assert double.dtype == torch.float32
        assert torch.equal(single, double)


def test_a_loss_that_lacks_a_method_is_told_which() -> None:
    class Rootless(Loss):
        def total(self, outputs: Tensor, targets: Tensor) -> Tensor:
            return outputs.square().sum()

    net, batch = nn.Linear(4, 3), (randn(5, 4).float(), randn(5, 3).float())
    for columns in (None, 2):
        with pytest.raises(NotImplementedError, match=r"Rootless has no hessian_root, .* lm or mp"):
            LossModel.at(net, batch, loss=Rootless(), curvature_columns=columns)
    assert LossModel.at(net, batch, order=1, loss=Rootless()).gradient is not None
    with pytest.raises(NotImplementedError, match="Loss has no total"):
        LossModel.at(net, batch, order=1, loss=Loss())


def test_a_loss_that_is_linear_in_the_outputs_has_no_curvature() -> None:
    class Linear(Squares):
        def total(self, outputs: Tensor, targets: Tensor) -> Tensor:
            return (outputs * targets).sum()

    with pytest.raises(ValueError, match="do not sum"):
        check_root(Linear(), randn(1, 3), randn(1, 3))


def test_the_check_draws_nothing_global_and_builds_no_matrix() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    with torch.no_grad():
        check_root(HALF_SQUARES, randn(1, 2000), randn(1, 2000))
    assert torch.equal(torch.get_rng_state(), before)


def test_labels_that_all_weigh_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="nothing counts: give others"):
        CrossEntropy(class_weights=(0, 1)).check((4, 2), torch.zeros(4, dtype=torch.int64))


# --- a total that is no sum, and a root that is none, wherever the loss is used


BATCH = randn(6, 4), randn(6, 3, seed=1)
WRONG_TOTAL, WRONG_ROOT = (Wrong(rising=True, mistake=mistake) for mistake in ("mean over all", "factor three"))


@pytest.mark.parametrize("kind", ["mlp", "another"])
def test_a_mean_in_place_of_the_sum_is_refused_before_anything_is_computed(kind: str) -> None:
    net = torch.nn.Sequential(torch.nn.Linear(4, 3), *([torch.nn.Softmax(1)] if kind == "another" else [])).double()
    task = data.Task.from_tensors(*BATCH * 3, classes=3)
    for use in (
        lambda loss: BatchLoss(net, BATCH, loss=loss),
        lambda loss: LossModel.at(net, BATCH, order=1, loss=loss),
        lambda loss: LocalPruner("lm", loss=loss).prune(net, task, progress=False),
        lambda loss: training.evaluate(net, task, loss=loss),
        lambda loss: training.fit(net, task, 1, loss=loss, progress=False),
    ):
        with pytest.raises(ValueError, match=r"total .* sum over the examples and not their mean"):
            use(WRONG_TOTAL)
        use(replace(WRONG_TOTAL, mistake=""))


@dataclass(frozen=True)
class Average(Loss):
    """A mean, which shows where there is a loss: of squares, of logarithms of probabilities, or of margins."""

    kind: str

    def total(self, outputs: Tensor, targets: Tensor) -> Tensor:
        if self.kind == "squares":
            return (outputs - targets).square().mean()
        if self.kind == "logarithms":
            return -(outputs.log() * targets).mean()
        return (1 - outputs * targets).relu().mean()

    def hessian_root(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return outputs.new_zeros(1, *outputs.shape)


@pytest.mark.parametrize("kind", ["mlp", "another"])
@pytest.mark.parametrize("loss", ["squares", "logarithms", "margins", "all margins"])
def test_a_mean_is_refused_where_some_examples_or_some_outputs_have_no_loss(kind: str, loss: str) -> None:
    x, y = torch.linspace(5, 1, 20).reshape(20, 1), torch.ones(20, 1)
    if loss == "squares":
        y[0] = 0  # as the outputs of weights of zero
    if loss == "margins":
        x[1:] /= 10  # the first example's alone is wide
    if loss == "all margins":
        x[1::2], y[1::2] = -x[1::2], -1
    net = nn.Sequential(nn.Linear(1, 1, bias=False), *([nn.Identity(), nn.Unflatten(1, (1,))] * (kind == "another")))
    nn.init.constant_(net[0].weight, 2)
    task = data.Task.from_tensors(*(x, y) * 3, classes=2)
    for use in (
        lambda: LossModel.at(net, (x, y), order=1, loss=Average(loss.split()[-1])),
        lambda: training.evaluate(net, task, loss=Average(loss.split()[-1])),
        lambda: training.fit(net, task, 1, loss=Average(loss.split()[-1]), progress=False),
    ):
        with pytest.raises(ValueError, match=r"total .* sum over the examples and not their mean"):
            use()


def test_a_total_whose_examples_cancel_is_no_mean() -> None:
    class Linear(Squares):
        def total(self, outputs: Tensor, targets: Tensor) -> Tensor:
            return (outputs * targets).sum()

    z = randn(4, 1).float() * 1e6
    check_sum(Linear(), torch.cat([z, -z.flip(0)]), torch.ones(8, 1))


def test_a_loss_that_takes_only_answers_near_its_targets_is_taken() -> None:
    """Each example is tried with the answer to another, too, which need not lie in the loss's domain."""

    class OfRanges(Squares):
        def total(self, outputs: Tensor, targets: Tensor) -> Tensor:
            return -torch.distributions.Uniform(0 * outputs, 1.2 * outputs, validate_args=True).log_prob(targets).sum()

    z = torch.arange(1.0, 9).unsqueeze(1)
    check_sum(OfRanges(), z, z)
    with pytest.raises(ValueError, match="support"):  # of its own answers, what the loss says is said
        check_sum(OfRanges(), z / 2, z)


def test_a_wrong_root_is_refused_where_columns_are_drawn_from_it() -> None:
    class OwnColumns(Wrong):
        def sampled_column(self, outputs: Tensor, targets: Tensor, generator: torch.Generator) -> Tensor:
            return outputs

    net = torch.nn.Linear(4, 3).double()
    for columns in (None, 2):
        with pytest.raises(ValueError, match="3 times the Hessian"):
            LossModel.at(net, BATCH, loss=WRONG_ROOT, curvature_columns=columns)
    LossModel.at(net, BATCH, loss=OwnColumns(rising=True, mistake="factor three"), curvature_columns=2)


def test_a_loss_that_is_not_finite_or_almost_zero_is_not_refused() -> None:
    class Narrow(Loss):
        """Of outputs above 2 alone; elsewhere NaN."""

        def total(self, outputs: Tensor, targets: Tensor) -> Tensor:
            return -((outputs - 2).log() * targets).sum()

        def hessian_root(self, outputs: Tensor, targets: Tensor) -> Tensor:
            return torch.diag_embed(targets.sqrt() / (outputs - 2), dim1=0, dim2=2)

    y = torch.ones(2, 3)
    for outputs in (torch.full((2, 3), 5.0), torch.full((2, 3), 1.0), torch.full((2, 3), 3.0)):
        check_outputs(Narrow(), outputs, y)
        check_root(Narrow(), outputs, y)
    net = torch.nn.Linear(4, 3)
    torch.nn.init.constant_(net.bias, 9.0)
    model = LossModel.at(net, (torch.rand(2, 4), y), loss=Narrow())
    assert model.curvature is not None
    assert model.curvature.isfinite().all()
    for scale in (1e-6, 1e6):
        check_outputs(HALF_SQUARES, scale * randn(300, 3).float(), randn(300, 3, seed=1).float())
        check_outputs(HALF_SQUARES, scale * randn(300, 3).bfloat16(), randn(300, 3, seed=1).float())


def test_a_loss_that_cannot_be_hashed_is_refused_by_a_pruner() -> None:
    @dataclass
    class Changeable(Loss):
        scale: float = 1.0

    with pytest.raises(TypeError, match="frozen=True"):
        LocalPruner("qm", loss=Changeable())


@dataclass(frozen=True)
class Squeezed(Loss):
    """The usual way to write a loss of one logit, which for a single example leaves no dimension."""

    def total(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(outputs.squeeze(), targets, reduction="sum")

    def hessian_root(self, outputs: Tensor, targets: Tensor) -> Tensor:
        p = torch.sigmoid(outputs)
        return (p * (1 - p)).sqrt()[None]

    def count(self, targets: Tensor) -> int:
        return len(targets)


def test_a_loss_that_squeezes_its_outputs_is_tried_on_more_than_one_example() -> None:
    torch.manual_seed(0)
    x, y = torch.randn(20, 4), torch.randint(2, (20,)).float()
    task = data.Task.from_tensors(x, y, x, y, x, y)
    for net in (nn.Linear(4, 1), nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 1))):
        tuned = training.fit(net, task, 1, loss=Squeezed(), progress=False)
        model = LossModel.at(tuned, (x, y), loss=Squeezed())
        assert model.loss == pytest.approx(F.binary_cross_entropy_with_logits(tuned(x).squeeze(), y).item())


def test_a_network_that_cannot_run_on_one_example_is_tried_on_two() -> None:
    class Squeezing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Linear(4, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.a(x).squeeze().softmax(1)

    net, x, y = Squeezing(), torch.ones(1, 4), torch.ones(1, 3)
    expected = SQUARES.total(net(x.repeat(2, 1)), y.repeat(2, 1)).item() / 2
    assert LossModel.at(net, (x, y), order=1, loss=SQUARES).loss == pytest.approx(expected)


def test_a_mean_over_nothing_is_zero_whatever_kind_of_number_counts() -> None:
    nothing = torch.zeros(0, 1), torch.zeros(0)
    assert Squeezed().mean(*nothing) == 0
