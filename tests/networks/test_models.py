"""The networks are the paper's, initialised as in the paper, and are restored exactly from their files."""

from __future__ import annotations

import contextlib
import json
import math
import re
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from sample_networks import shape_of_task
from torch import nn
from torch.nn import functional as F

from lossprune_lib import data, models, training
from lossprune_lib.data import Task
from lossprune_lib.networks import convolutional

ROOT = Path(__file__).parents[2]
REAL_DATA = Path("../shared/data")  # from the root of the repository

SHAPES = {"mlp_300_100": (1, 28, 28), "small_vgg": (1, 8, 8), "vgg11": (3, 32, 32), "preact_resnet18": (3, 32, 32)}
# Added up by hand: the Linear and Conv2d weights of each layer, without biases.
WEIGHTS = {
    "mlp_300_100": [784 * 300, 300 * 100, 100 * 10],
    "small_vgg": [9 * 1 * 32, 9 * 32 * 64, 9 * 64 * 128, 128 * 10],
    "vgg11": [
        *(9 * a * b for a, b in [(3, 64), (64, 128), (128, 256), (256, 256), (256, 512), *[(512, 512)] * 3]),
        *(512 * 512, 512 * 10),
    ],
    "preact_resnet18": [
        *(9 * 3 * 64, *[9 * 64 * 64] * 4),
        *(9 * 64 * 128, *[9 * 128 * 128] * 3, 64 * 128),
        *(9 * 128 * 256, *[9 * 256 * 256] * 3, 128 * 256),
        *(9 * 256 * 512, *[9 * 512 * 512] * 3, 256 * 512),
        512 * 10,
    ],
}


def inputs(
    *shape: int, classes: int = 10, dtype: torch.dtype = torch.float32, name: str = "custom", device: str = "cpu"
) -> Task:
    """Return a task with two inputs of a shape."""
    x, y = torch.linspace(-1, 1, 2 * math.prod(shape), dtype=dtype).reshape(2, *shape), torch.tensor([0, 1])
    return Task.from_tensors(x, y, x, y, x, y, classes=classes, name=name).to(device)


def layers(net: nn.Module) -> list[nn.Linear | nn.Conv2d]:
    return [module for module in net.modules() if isinstance(module, (nn.Linear, nn.Conv2d))]


@pytest.fixture(scope="module")
def fresh() -> dict[str, nn.Module]:
    """Each network on its usual inputs, with seed 0; tests must not change them."""
    return {name: models.MODELS[name](inputs(*shape)) for name, shape in SHAPES.items()}


@pytest.fixture
def checkpoint(tmp_path: Path, digits: Task) -> Path:
    models.save(tmp_path / "net.safetensors", models.mlp_300_100(digits, seed=3), "mlp_300_100", digits, note="mine")
    return tmp_path / "net.safetensors"


def same(first: nn.Module, second: nn.Module) -> bool:
    ours, theirs = first.state_dict(), second.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[key], theirs[key]) for key in ours)


# --- architectures


def test_every_network_is_tested() -> None:
    assert SHAPES.keys() == WEIGHTS.keys() == models.MODELS.keys() - {"tiny_gpt"}  # see test_gpt.py


@pytest.mark.parametrize("name", SHAPES)
def test_the_networks_have_the_papers_weights(name: str, fresh: dict[str, nn.Module]) -> None:
    assert sorted(layer.weight.numel() for layer in layers(fresh[name])) == sorted(WEIGHTS[name])


def test_the_mlp_has_266200_weights_on_mnist(fresh: dict[str, nn.Module]) -> None:
    assert sum(layer.weight.numel() for layer in layers(fresh["mlp_300_100"])) == 266_200


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("classes", [2, 10])
def test_images_become_logits_on_which_all_weights_depend(name: str, classes: int) -> None:
    task = inputs(*SHAPES[name], classes=classes)
    net = models.MODELS[name](task)
    logits = net(task.x_train)
    assert logits.shape == (2, classes)
    assert torch.isfinite(logits).all()
    F.cross_entropy(logits, task.y_train).backward()
    assert all(torch.count_nonzero(layer.weight.grad) for layer in layers(net))


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("mlp_300_100", (5,)),
        ("mlp_300_100", (3, 2, 7)),
        ("small_vgg", (3, 4, 4)),
        ("small_vgg", (1, 9, 5)),
        ("vgg11", (1, 32, 32)),
        ("vgg11", (1, 64, 32)),
        ("preact_resnet18", (2, 8, 8)),
    ],
)
def test_other_shapes_that_are_allowed_work(name: str, shape: tuple[int, ...]) -> None:
    task = inputs(*shape, classes=3)
    assert models.MODELS[name](task)(task.x_train).shape == (2, 3)


@pytest.mark.parametrize(
    ("name", "shape", "least"),
    [
        ("small_vgg", (1, 3, 8), 4),
        ("small_vgg", (64,), 4),
        ("small_vgg", (8, 8), 4),
        ("vgg11", (3, 28, 28), 32),
        ("vgg11", (3, 32, 31), 32),
        ("preact_resnet18", (3, 7, 32), 8),
    ],
)
def test_images_that_are_too_small_are_refused(name: str, shape: tuple[int, ...], least: int) -> None:
    with pytest.raises(ValueError, match=rf"at least {least} x {least}, not .*small_vgg for small images, mlp_300_100"):
        models.MODELS[name](inputs(*shape))


def test_vgg11_has_no_batch_norm(fresh: dict[str, nn.Module]) -> None:
    kinds = [type(module) for module in fresh["vgg11"].children()]
    assert nn.BatchNorm2d not in kinds
    assert kinds.count(nn.Conv2d) == 8
    assert kinds.count(nn.MaxPool2d) == 5
    assert kinds.count(nn.Linear) == 2


def test_preact_resnet18_ends_in_a_1x1_convolution_with_batch_norm(fresh: dict[str, nn.Module]) -> None:
    logits, norm, flatten = list(fresh["preact_resnet18"].children())[-3:]
    assert isinstance(logits, nn.Conv2d)
    assert (logits.kernel_size, logits.in_channels, logits.out_channels) == ((1, 1), 512, 10)
    assert logits.bias is None
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.num_features == 10
    assert isinstance(flatten, nn.Flatten)


@pytest.mark.parametrize(("before", "after", "stride"), [(4, 4, 1), (4, 6, 2), (4, 4, 2), (4, 6, 1)])
def test_a_preactivation_block_adds_two_normed_convolutions_to_its_input(before: int, after: int, stride: int) -> None:
    torch.manual_seed(0)
    block = convolutional.PreActBlock(before, after, stride).double().eval()
    for norm in (block.norm1, block.norm2):
        nn.init.normal_(norm.weight)
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2)
    x = torch.randn(2, before, 6, 6, dtype=torch.float64)

    def active(y: torch.Tensor, norm: nn.BatchNorm2d) -> torch.Tensor:
        shape = (1, -1, 1, 1)
        normed = (y - norm.running_mean.view(shape)) / (norm.running_var.view(shape) + norm.eps).sqrt()
        return (normed * norm.weight.view(shape) + norm.bias.view(shape)).clamp(min=0)

    first = active(x, block.norm1)
    inner = F.conv2d(first, block.conv1.weight, stride=stride, padding=1)
    expected = F.conv2d(active(inner, block.norm2), block.conv2.weight, padding=1)
    same_shape = before == after and stride == 1
    expected = expected + (x if same_shape else F.conv2d(first, block.shortcut.weight, stride=stride))
    torch.testing.assert_close(block(x), expected, atol=1e-12, rtol=1e-12)


# --- initial weights


@pytest.mark.parametrize("name", SHAPES)
def test_initial_weights_are_kaiming_normal_and_biases_zero(name: str, fresh: dict[str, nn.Module]) -> None:
    for layer in layers(fresh[name]):
        weight = layer.weight.detach().double()
        size, fan_in = weight.numel(), weight[0].numel()
        deviation = math.sqrt(2 / fan_in)
        assert weight.std().item() == pytest.approx(deviation, rel=5 / math.sqrt(2 * size))
        assert abs(weight.mean().item()) < 5 * deviation / math.sqrt(size)
        # Of a normal distribution, 68.3 % lie within one deviation; of a uniform one, 57.7 %.
        within = (weight.abs() < deviation).double().mean().item()
        assert within == pytest.approx(0.6827, abs=5 * math.sqrt(0.6827 * 0.3173 / size))
        assert layer.bias is None or torch.count_nonzero(layer.bias) == 0


@pytest.mark.parametrize("name", SHAPES)
def test_the_same_seed_gives_the_same_network_and_another_seed_another(name: str, fresh: dict[str, nn.Module]) -> None:
    task = inputs(*SHAPES[name])
    torch.manual_seed(1)
    assert same(models.MODELS[name](task, seed=0), fresh[name])
    other = models.MODELS[name](task, seed=1)
    assert not any(torch.equal(a.weight, b.weight) for a, b in zip(layers(other), layers(fresh[name]), strict=True))


@pytest.mark.parametrize("name", SHAPES)
def test_double_precision_gives_the_same_network_in_double_precision(name: str, fresh: dict[str, nn.Module]) -> None:
    task = inputs(*SHAPES[name], dtype=torch.float64)
    net = models.MODELS[name](task)
    assert {parameter.dtype for parameter in net.parameters()} == {torch.float64}
    assert all(torch.equal(a.weight, b.weight.double()) for a, b in zip(layers(net), layers(fresh[name]), strict=True))
    with torch.no_grad():
        assert net(task.x_train).dtype == torch.float64


def test_a_network_is_made_where_its_task_is() -> None:
    net = models.small_vgg(inputs(1, 8, 8, device="meta"))
    assert {parameter.device.type for parameter in net.parameters()} == {"meta"}


@pytest.mark.parametrize("name", SHAPES)
def test_a_fresh_network_is_in_eval_mode(name: str, fresh: dict[str, nn.Module]) -> None:
    assert not any(module.training for module in fresh[name].modules())


def test_a_wrong_seed_is_refused() -> None:
    with pytest.raises(ValueError, match="seed is -1"):
        models.mlp_300_100(inputs(5), seed=-1)


# --- shipped networks


@pytest.mark.parametrize("name", ["mlp_300_100", "small_vgg"])
def test_shipped_digits_networks_err_on_less_than_five_per_cent(name: str, digits: Task) -> None:
    net = models.pretrained(name, "digits")
    assert not any(module.training for module in net.modules())
    assert training.evaluate(net, digits, "test").error < 0.05
    assert type(net) is type(models.MODELS[name](digits))
    assert [layer.weight.shape for layer in layers(net)] == [
        layer.weight.shape for layer in layers(models.MODELS[name](digits))
    ]


def test_a_shipped_network_takes_the_dtype_of_its_task(digits64: Task) -> None:
    net = models.pretrained("mlp_300_100", digits64)
    assert {parameter.dtype for parameter in net.parameters()} == {torch.float64}
    assert training.evaluate(net, digits64, "test").error < 0.05


@pytest.mark.parametrize(
    ("model", "task", "sentence"),
    [
        ("mlp_300_10", "digits", "no model called 'mlp_300_10'. Did you mean 'mlp_300_100'"),
        ("small_vgg", "digit", "no shipped network .*'small_vgg-digit'. Did you mean 'small_vgg-digits'"),
        ("vgg11", "cifar10", "no shipped network .*'vgg11-cifar10'.*Choose one of: .*mlp_300_100-digits"),
        ("mlp_300_100", inputs(5, name="my own"), "'mlp_300_100-my own'"),
    ],
)
def test_a_network_that_is_not_shipped_is_refused(model: str, task: str | Task, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        models.pretrained(model, task)


@pytest.mark.slow
@pytest.mark.skipif(not (ROOT / REAL_DATA / "mnist.npz").is_file(), reason="the real images are not here")
def test_the_shipped_mnist_network_errs_on_less_than_three_per_cent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("LOSSPRUNE_DATA", str(REAL_DATA))
    task = data.load("mnist", device="cpu")
    assert training.evaluate(models.pretrained("mlp_300_100", task), task, "test").error < 0.03


# --- files


@pytest.mark.parametrize("name", ["mlp_300_100", "small_vgg", "preact_resnet18"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_saved_network_comes_back_to_the_last_bit(name: str, dtype: torch.dtype, tmp_path: Path) -> None:
    shape = (2, 8, 9)
    task = inputs(*shape, classes=4, dtype=dtype)
    net = models.MODELS[name](task, seed=5)
    draws = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for tensor in net.state_dict().values():
            if tensor.is_floating_point():
                tensor.add_(torch.rand(tensor.shape, dtype=dtype, generator=draws), alpha=0.01)
    models.save(tmp_path / "net.safetensors", net.train(), name, task, epochs="3")
    back = models.load(tmp_path / "net.safetensors")
    assert same(back, net)
    assert {parameter.dtype for parameter in back.parameters()} == {dtype}
    assert not any(module.training for module in back.modules())
    with torch.no_grad():
        assert torch.equal(back(task.x_train), net.eval()(task.x_train))


@given(
    st.lists(st.integers(1, 5), min_size=1, max_size=3),
    st.integers(1, 6),
    st.sampled_from([torch.float32, torch.float64]),
    st.sampled_from([0.0, -0.0, math.inf, -math.inf, math.nan, 1e-45, 3e38]),
    st.dictionaries(
        st.text(st.characters(codec="utf-8"), max_size=5).map("note {}".format),
        st.text(st.characters(codec="utf-8")),
        max_size=2,
    ),
)
@settings(max_examples=30)
def test_any_network_and_any_notes_come_back(
    tmp_path_factory: pytest.TempPathFactory,
    shape: list[int],
    classes: int,
    dtype: torch.dtype,
    strange: float,
    notes: dict[str, str],
) -> None:
    path = tmp_path_factory.getbasetemp() / "any network.safetensors"
    task = shape_of_task(tuple(shape), classes, dtype)
    net = models.mlp_300_100(task)
    with torch.no_grad():
        net.fc3.weight[0, 0] = strange
    models.save(path, net, "mlp_300_100", task, **notes)
    back = models.load(path).state_dict()
    assert back.keys() == net.state_dict().keys()
    for name, tensor in net.state_dict().items():
        assert back[name].dtype == dtype
        assert back[name].numpy().tobytes() == tensor.numpy().tobytes()


def test_a_checkpoint_says_what_it_holds(checkpoint: Path) -> None:
    raw = checkpoint.read_bytes()
    header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
    seal = header["__metadata__"].pop("sha256")
    assert re.fullmatch("[0-9a-f]{64}", seal)
    assert header["__metadata__"] == {"model": "mlp_300_100", "shape": "1,8,8", "classes": "10", "note": "mine"}


def test_saving_under_an_unknown_name_is_refused_and_writes_nothing(tmp_path: Path, digits: Task) -> None:
    with pytest.raises(ValueError, match="Did you mean 'small_vgg'"):
        models.save(tmp_path / "net", models.small_vgg(digits), "smal_vgg", digits)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
def test_a_flipped_bit_in_the_header_is_refused_or_takes_the_seal_away_from_the_same_network(
    checkpoint: Path, digits: Task
) -> None:
    whole = checkpoint.read_bytes()
    header = 8 + int.from_bytes(whole[:8], "little")
    start = whole.index(b'"sha256":')
    seal = range(start, start + len('"sha256":'))
    for at in range(header):
        for bit in ((at * 5) % 8, (at * 3 + 1) % 8):
            damaged = bytearray(whole)
            damaged[at] ^= 1 << bit
            checkpoint.write_bytes(damaged)
            if at in seal:
                with contextlib.suppress(ValueError):
                    assert same(models.load(checkpoint), models.mlp_300_100(digits, seed=3))
            else:
                with pytest.raises(ValueError, match=re.escape(str(checkpoint))):
                    models.load(checkpoint)


TAMPERED: dict[str, dict[str, str] | None] = {
    "an unknown model": {"model": "resnet_1000"},
    "another model": {"model": "small_vgg"},
    "another shape": {"shape": "1,8,9"},
    "no shape": {"shape": ""},
    "a shape in words": {"shape": "1,8,eight"},
    "a negative shape": {"shape": "-64"},
    "other classes": {"classes": "11"},
    "no classes": {"classes": "0"},
    "half a class": {"classes": "2.5"},
    "far too many classes": {"classes": "1" + 30 * "0"},
    "no metadata": None,
}


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
@pytest.mark.parametrize("fault", TAMPERED)
def test_a_checkpoint_that_does_not_fit_its_model_is_refused(fault: str, tmp_path: Path, digits: Task) -> None:
    changes = TAMPERED[fault]
    metadata = {"model": "mlp_300_100", "shape": "1,8,8", "classes": "10"}
    path = tmp_path / "net.safetensors"
    save_file(models.mlp_300_100(digits).state_dict(), path, None if changes is None else {**metadata, **changes})
    with pytest.raises(
        ValueError, match=r"(?s)net\.safetensors holds no network that this version knows .*save it again"
    ):
        models.load(path)


@pytest.mark.parametrize("change", ["missing", "extra", "another shape"])
def test_a_checkpoint_with_other_tensors_is_refused(change: str, tmp_path: Path, digits: Task) -> None:
    tensors = models.mlp_300_100(digits).state_dict()
    if change == "missing":
        tensors.pop("fc2.weight")
    else:
        tensors["fc4.weight" if change == "extra" else "fc2.weight"] = torch.zeros(2, 2)
    path = tmp_path / "net.safetensors"
    save_file(tensors, path, {"model": "mlp_300_100", "shape": "1,8,8", "classes": "10"})
    with pytest.raises(ValueError, match="holds no network"):
        models.load(path)
