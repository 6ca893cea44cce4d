"""A task holds every example once, split by the seed and normalised by its training images; bad ones are refused."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lossprune_lib import data
from lossprune_lib.data import Task, downloads
from lossprune_lib.data.task import find_device

ROOT = Path(__file__).parents[2]
REAL_DATA = Path("../shared/data")  # from the root of the repository
SIZES = {"mnist": (300, 10_000), "fashion_mnist": (300, 10_000), "cifar10": (300, 5_000)}
TEST_EXAMPLES = 200


def tensors(**changes: object) -> dict[str, Any]:
    """Return six tensors that make a task of 3 classes, with some of them changed."""
    draws = torch.Generator().manual_seed(0)
    parts: dict[str, Any] = {}
    for split, examples in (("train", 25), ("valid", 7), ("test", 5)):
        parts[f"x_{split}"] = torch.randn(examples, 2, 3, generator=draws)
        parts[f"y_{split}"] = torch.arange(examples) % 3
    return {**parts, **changes}


@pytest.fixture
def task() -> Task:
    return Task.from_tensors(**tensors(), name="mine", class_names=("a", "b", "c"))


@pytest.fixture(scope="module")
def raw() -> dict[str, downloads.Arrays]:
    """Synthetic images; each has a pixel of 0 and one of 255 in every channel, by which it can be recognised."""
    rng = np.random.default_rng(0)
    every = {}
    for name, (train, valid) in SIZES.items():
        arrays = {}
        for split, examples in (("train", train + valid), ("test", TEST_EXAMPLES)):
            x = rng.integers(0, 256, (examples, *downloads.SOURCES[name].shape), dtype=np.uint8)
            if x.ndim == 4:
                x[..., 1] //= 3  # channels of different brightness
            x[:, 0, 0], x[:, -1, -1] = 0, 255
            arrays[f"x_{split}"], arrays[f"y_{split}"] = x, rng.integers(0, 10, examples)
        every[name] = arrays
    return every


@pytest.fixture
def folder(raw: dict[str, downloads.Arrays], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(downloads, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setenv("LOSSPRUNE_DATA", str(tmp_path))
    return tmp_path


def as_stored(x: Tensor) -> np.ndarray:
    """Undo the normalisation by the two known pixels: uint8 [N, H, W] or [N, H, W, 3]."""
    zero, full = x[:, :, :1, :1], x[:, :, -1:, -1:]
    pixels = ((x - zero) / (full - zero) * 255).round().to(torch.uint8)
    return (pixels.squeeze(1) if x.shape[1] == 1 else pixels.permute(0, 2, 3, 1)).contiguous().numpy()


def examples(x: np.ndarray, y: Tensor | np.ndarray) -> list[tuple[bytes, int]]:
    return [(image.tobytes(), int(label)) for image, label in zip(x, y, strict=True)]


# --- named data sets


@pytest.mark.parametrize("name", SIZES)
def test_images_become_a_task_with_every_example_once(
    name: str, folder: Path, raw: dict[str, downloads.Arrays]
) -> None:
    arrays = raw[name]
    np.savez(folder / f"{name}.npz", **arrays)
    task = data.load(name, device="cpu")
    train, valid = SIZES[name]
    assert [len(task.split(split)[0]) for split in data.SPLITS] == [train, valid, TEST_EXAMPLES]
    channels = 3 if name == "cifar10" else 1
    assert task.shape == (channels, *arrays["x_train"].shape[1:3])
    assert (task.name, task.classes, len(task.class_names)) == (name, 10, 10)
    assert (task.dtype, task.y_train.dtype) == (torch.float32, torch.int64)
    found = {split: examples(as_stored(task.split(split)[0]), task.split(split)[1]) for split in data.SPLITS}
    assert Counter(found["train"] + found["valid"]) == Counter(examples(arrays["x_train"], arrays["y_train"]))
    assert found["test"] == examples(arrays["x_test"], arrays["y_test"])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", ["mnist", "cifar10"])
def test_all_splits_are_normalised_by_the_training_images(
    name: str,
    dtype: torch.dtype,
    folder: Path,
    raw: dict[str, downloads.Arrays],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    arrays = {key: array[:700] for key, array in raw[name].items()}
    monkeypatch.setitem(downloads.SOURCES, name, replace(downloads.SOURCES[name], valid_examples=600))
    np.savez(folder / f"{name}.npz", **arrays)
    task = data.load(name, device="cpu", dtype=dtype)
    assert task.dtype == dtype
    deviation, mean = torch.std_mean(task.x_train.double(), dim=(0, 2, 3), correction=0)
    torch.testing.assert_close(mean, torch.zeros_like(mean), atol=1e-6, rtol=0)
    torch.testing.assert_close(deviation, torch.ones_like(deviation), atol=1e-6, rtol=0)
    train = as_stored(task.x_train).reshape(100, -1, task.shape[0]) / 255
    for split in ("valid", "test"):
        x = task.split(split)[0]
        expected = (as_stored(x) / 255 - train.mean((0, 1))) / train.std((0, 1))
        found = x.permute(0, 2, 3, 1) if name == "cifar10" else x.squeeze(1)
        np.testing.assert_allclose(found.numpy(), expected, atol=1e-5)


def test_digits_are_those_of_scikit_learn_each_of_them_once(digits: Task) -> None:
    from sklearn.datasets import load_digits

    published = load_digits()
    x, y = (
        torch.cat([digits.x_train, digits.x_valid, digits.x_test]),
        torch.cat([digits.y_train, digits.y_valid, digits.y_test]),
    )
    darkest, brightest = x.min(), x.max()
    pixels = ((x - darkest) / (brightest - darkest) * 16).round().double().squeeze(1).numpy()
    assert Counter(examples(pixels, y)) == Counter(examples(published.images, published.target))
    assert (len(digits.x_train), len(digits.x_valid), len(digits.x_test)) == (1197, 300, 300)
    assert (digits.shape, digits.classes, digits.name) == ((1, 8, 8), 10, "digits")


def test_the_test_digits_are_of_every_class(digits: Task) -> None:
    assert torch.bincount(digits.y_test).min() > 15


def test_the_test_digits_are_those_that_shipped_networks_have_never_seen(digits: Task) -> None:
    """With any other choice the shipped networks would be tested on images that they were trained on."""
    found = hashlib.sha256(bytes(digits.y_test.tolist())).hexdigest()
    assert found == "c25ad23a8d33db581447c01c970ce14a24369bf90eb5b97aa37e03a9637fe1fc"


def test_digits_are_normalised(digits: Task) -> None:
    assert digits.x_train.mean().abs() < 1e-6
    assert digits.x_train.std(correction=0) == pytest.approx(1, abs=1e-6)


def test_double_precision_holds_the_same_numbers(digits: Task, digits64: Task) -> None:
    assert digits64.dtype == torch.float64
    for split in data.SPLITS:
        assert torch.equal(digits64.split(split)[0], digits.split(split)[0].double())
        assert torch.equal(digits64.split(split)[1], digits.split(split)[1])


def test_the_same_seed_gives_the_same_split(digits: Task) -> None:
    again = data.load("digits", device="cpu", seed=0)
    assert torch.equal(again.x_train, digits.x_train)
    assert torch.equal(again.y_valid, digits.y_valid)


def test_another_seed_gives_another_split_but_the_same_test_set(digits: Task) -> None:
    other = data.load("digits", device="cpu", seed=1)
    assert not torch.equal(other.y_train, digits.y_train)
    assert not torch.equal(other.y_valid, digits.y_valid)
    assert torch.equal(other.y_test, digits.y_test)
    # The test images are the same pixels, normalised by other training images.
    first, second = digits.x_test.flatten().double(), other.x_test.flatten().double()
    assert torch.corrcoef(torch.stack([first, second]))[0, 1] == pytest.approx(1, abs=1e-9)


def test_the_split_of_images_depends_on_the_seed_and_their_test_set_does_not(
    folder: Path, raw: dict[str, downloads.Arrays], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(downloads.SOURCES, "mnist", replace(downloads.SOURCES["mnist"], valid_examples=50))
    np.savez(folder / "mnist.npz", **{key: array[:100] for key, array in raw["mnist"].items()})
    first, again, other = (data.load("mnist", device="cpu", seed=seed) for seed in (0, 0, 1))
    assert torch.equal(first.x_train, again.x_train)
    assert not np.array_equal(as_stored(first.x_train), as_stored(other.x_train))
    np.testing.assert_array_equal(as_stored(first.x_test), as_stored(other.x_test))


def test_too_few_images_for_the_validation_set_are_refused(folder: Path, raw: dict[str, downloads.Arrays]) -> None:
    np.savez(folder / "mnist.npz", **{key: array[:10_000] for key, array in raw["mnist"].items()})
    with pytest.raises(ValueError, match="mnist has only 10000 training images, all of them needed for validation"):
        data.load("mnist", device="cpu")


@pytest.mark.parametrize("value", [0, 77])
def test_images_that_cannot_be_normalised_are_refused(
    value: int, folder: Path, raw: dict[str, downloads.Arrays], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(downloads.SOURCES, "cifar10", replace(downloads.SOURCES["cifar10"], valid_examples=50))
    arrays = {key: array[:100].copy() for key, array in raw["cifar10"].items()}
    arrays["x_train"][..., 2] = value
    np.savez(folder / "cifar10.npz", **arrays)
    with pytest.raises(ValueError, match="cifar10 have the same pixels in a channel"):
        data.load("cifar10", device="cpu")


@pytest.mark.parametrize(("name", "near"), [("digit", "digits"), ("MNIST-fashion", None), ("cifar-10", "cifar10")])
def test_an_unknown_data_set_is_refused(name: str, near: str | None) -> None:
    with pytest.raises(
        ValueError, match=f"Did you mean '{near}'" if near else "Choose one of: digits, python_reference, mnist"
    ):
        data.load(name)


def test_a_wrong_seed_is_refused_before_anything_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "read", lambda *_: pytest.fail("it was fetched"))
    with pytest.raises(ValueError, match="seed is -1"):
        data.load("mnist", seed=-1)


def test_all_tensors_are_put_on_the_device() -> None:
    task = data.load("digits", device="meta")
    assert {tensor.device.type for split in data.SPLITS for tensor in task.split(split)} == {"meta"}


@pytest.mark.parametrize(("accelerator", "device"), [(True, "cuda"), (False, "cpu")])
def test_the_automatic_device_is_an_accelerator_where_there_is_one(
    accelerator: bool, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: accelerator)
    assert find_device("auto") == torch.device(device)
    assert find_device("cpu") == torch.device("cpu")


@pytest.mark.slow
@pytest.mark.skipif(not (ROOT / REAL_DATA / "mnist.npz").is_file(), reason="the real images are not here")
def test_real_mnist_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("LOSSPRUNE_DATA", str(REAL_DATA))
    assert downloads.present("mnist")
    task = data.load("mnist", device="cpu", seed=1111)
    assert [len(task.split(split)[0]) for split in data.SPLITS] == [50_000, 10_000, 10_000]
    assert task.shape == (1, 28, 28)
    counts = torch.bincount(torch.cat([task.y_train, task.y_valid]))
    assert counts.tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert torch.bincount(task.y_test).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    # Two well-known numbers: the mean of the pixels is 0.1307, their deviation 0.3081.
    black, white = task.x_train.min().item(), task.x_train.max().item()
    assert 1 / (white - black) == pytest.approx(0.3081, abs=5e-4)
    assert -black / (white - black) == pytest.approx(0.1307, abs=5e-4)
    assert task.x_train.double().mean().abs() < 1e-5


# --- tensors of one's own


def test_tensors_of_ones_own_become_a_task_unchanged() -> None:
    parts = tensors()
    task = Task.from_tensors(**parts)
    assert all(getattr(task, key) is part for key, part in parts.items())
    assert (task.classes, task.shape, task.name, task.class_names) == (3, (2, 3), "custom", ())


def test_classes_without_examples_are_allowed() -> None:
    assert Task.from_tensors(**tensors(), classes=5).classes == 5


def test_a_class_seen_only_in_the_test_set_counts() -> None:
    assert Task.from_tensors(**tensors(y_test=torch.tensor([0, 1, 2, 3, 4]))).classes == 5


@pytest.mark.parametrize("shape", [(), (1,), (2, 3)])
def test_targets_may_be_numbers_of_any_shape(shape: tuple[int, ...]) -> None:
    y = {f"y_{split}": torch.randn(examples, *shape) for split, examples in (("train", 25), ("valid", 7), ("test", 5))}
    task = Task.from_tensors(**tensors(**y))
    assert task.classes is None
    assert all(getattr(task, key) is part for key, part in y.items())
    assert f"targets {shape}" in repr(task)
    moved = task.to(dtype=torch.float64)
    assert moved.y_valid.dtype == moved.x_valid.dtype == torch.float64
    assert torch.equal(moved.y_valid, y["y_valid"].double())
    assert Task.from_tensors(**tensors(**y), classes=4).classes == 4


def test_labels_may_be_of_positions_and_some_need_not_count() -> None:
    y = {f"y_{split}": torch.arange(4 * n).view(n, 4) % 3 for split, n in (("train", 25), ("valid", 7), ("test", 5))}
    y["y_train"][0, 0] = -100
    assert Task.from_tensors(**tensors(**y)).classes == 3


def test_whole_numbers_as_inputs_stay_whole() -> None:
    x = {f"x_{split}": torch.arange(2 * n).view(n, 2) for split, n in (("train", 25), ("valid", 7), ("test", 5))}
    y = {f"y_{split}": torch.randn(n, 1) for split, n in (("train", 25), ("valid", 7), ("test", 5))}
    task = Task.from_tensors(**x, **y).to(dtype=torch.float64)
    assert (task.dtype, task.x_test.dtype, task.y_test.dtype) == (torch.int64, torch.int64, torch.float64)


NUMBERS = {f"y_{split}": torch.zeros(n, 2) for split, n in (("train", 25), ("valid", 7), ("test", 5))}
REFUSED: dict[str, tuple[dict[str, object], type[Exception], str]] = {
    "targets of another shape": (NUMBERS | {"y_test": torch.zeros(5, 3)}, ValueError, r"y_test .*\[5, 3\]"),
    "targets of other digits": ({k: y.double() for k, y in NUMBERS.items()}, ValueError, "convert one"),
    "targets that are NaN": (NUMBERS | {"y_test": torch.full((5, 2), torch.nan)}, ValueError, "y_test holds 10"),
    "a single target": (NUMBERS | {"y_test": torch.tensor(1.0)}, ValueError, "N targets"),
    "names of classes that are none": (NUMBERS | {"class_names": ("a",)}, ValueError, "for no classes"),
    "an array": ({"x_train": np.zeros((25, 2, 3))}, TypeError, "x_train .* must be torch tensors.*from_numpy"),
    "a list of labels": ({"y_test": [0] * 5}, TypeError, "y_test must be torch tensors"),
    "bytes": ({"x_train": torch.zeros(25, 2, 3, dtype=torch.uint8)}, TypeError, "x_train is torch.uint8.*float()"),
    "half precision": ({"x_test": torch.zeros(5, 2, 3).half()}, TypeError, "x_test is torch.float16"),
    "float labels in one split": ({"y_train": torch.zeros(25)}, ValueError, "y_train is torch.float32"),
    "short labels": ({"y_train": torch.zeros(25, dtype=torch.int32)}, TypeError, "y_train is torch.int32"),
    "one-hot labels in one split": (
        {"y_valid": torch.zeros(7, 3).long()},
        ValueError,
        r"y_valid is torch.int64 \[7, 3\]",
    ),
    "inputs without a shape": ({"x_train": torch.zeros(25)}, ValueError, r"inputs of shape \[N, ...\]"),
    "no examples": (
        {"x_valid": torch.zeros(0, 2, 3), "y_valid": torch.zeros(0).long()},
        ValueError,
        "x_valid .* at least one example",
    ),
    "too few labels": ({"y_test": torch.zeros(4).long()}, ValueError, r"y_test .*\[4\]"),
    "another shape": ({"x_test": torch.zeros(5, 3, 2)}, ValueError, r"x_test is .*\[5, 3, 2\].*one shape"),
    "another dtype": ({"x_valid": torch.zeros(7, 2, 3).double()}, ValueError, "x_valid is torch.float64"),
    "another device": ({"x_train": torch.zeros(25, 2, 3, device="meta")}, ValueError, "x_train is on meta"),
    "a negative label": ({"y_train": torch.arange(25) - 1}, ValueError, "y_train has the label -1"),
    "NaN": ({"x_train": torch.full((25, 2, 3), torch.nan)}, ValueError, "x_train holds 150 values that are NaN"),
    "infinity": ({"x_test": torch.full((5, 2, 3), torch.inf)}, ValueError, "x_test holds 30 values"),
    "a label too high": ({"classes": 2}, ValueError, "a label 2, but only 2 classes"),
    "no classes": ({"classes": 0}, ValueError, "classes is 0"),
    "half a class": ({"classes": 2.5}, TypeError, "classes must be a whole number"),
    "too few class names": ({"class_names": ("a", "b")}, ValueError, "2 class names for 3 classes"),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_tensors_that_make_no_task_are_refused(fault: str) -> None:
    changes, error, sentence = REFUSED[fault]
    with pytest.raises(error, match=sentence):
        Task.from_tensors(**tensors(**changes))


# --- reading a task


def test_a_sample_has_no_example_twice_and_the_right_labels(digits: Task) -> None:
    x, y = digits.sample(500, torch.Generator().manual_seed(0))
    assert x.shape == (500, 1, 8, 8)
    known = Counter(examples(digits.x_train.numpy(), digits.y_train))
    assert not Counter(examples(x.numpy(), y)) - known


def test_a_sample_is_without_replacement(task: Task) -> None:
    x, _ = task.sample(24, torch.Generator().manual_seed(0))
    assert len(torch.unique(x, dim=0)) == 24


def test_the_same_generator_seed_draws_the_same_sample_in_any_dtype(task: Task) -> None:
    draws = [t.sample(10, torch.Generator().manual_seed(s)) for t, s in ((task, 5), (task, 5), (task, 6))]
    assert torch.equal(draws[0][0], draws[1][0])
    assert torch.equal(draws[0][1], draws[1][1])
    assert not torch.equal(draws[0][0], draws[2][0])
    double = task.to(dtype=torch.float64).sample(10, torch.Generator().manual_seed(5))
    assert torch.equal(double[0], draws[0][0].double())


def test_one_generator_draws_another_sample_each_time(task: Task) -> None:
    draws = torch.Generator().manual_seed(0)
    assert not torch.equal(task.sample(10, draws)[0], task.sample(10, draws)[0])


def test_a_sample_of_more_than_there_are_is_all_of_them_in_a_random_order(task: Task) -> None:
    x, y = task.sample(1000, torch.Generator().manual_seed(0))
    assert not torch.equal(x, task.x_train)
    assert sorted(examples(x.numpy(), y)) == sorted(examples(task.x_train.numpy(), task.y_train))


@pytest.mark.parametrize("number", [0, -1])
def test_an_empty_sample_is_refused(number: int, task: Task) -> None:
    with pytest.raises(ValueError, match="examples is"):
        task.sample(number, torch.Generator())


@pytest.mark.parametrize("split", data.SPLITS)
@pytest.mark.parametrize("batch_size", [1, 4, 5, 100])
def test_batches_are_all_of_a_split_in_order(split: str, batch_size: int, task: Task) -> None:
    batches = list(task.batches(split, batch_size))
    x, y = task.split(split)
    assert torch.equal(torch.cat([batch[0] for batch in batches]), x)
    assert torch.equal(torch.cat([batch[1] for batch in batches]), y)
    assert {len(batch[0]) for batch in batches[:-1]} <= {batch_size}
    assert len(batches) == -(-len(x) // batch_size)


def test_shuffled_batches_are_all_of_a_split_in_an_order_of_the_seed(task: Task) -> None:
    def shuffled(seed: int) -> tuple[Tensor, Tensor]:
        batches = list(task.batches("train", 10, torch.Generator().manual_seed(seed)))
        assert [len(x) for x, _ in batches] == [10, 10, 5]
        return torch.cat([x for x, _ in batches]), torch.cat([y for _, y in batches])

    x, y = shuffled(0)
    assert not torch.equal(x, task.x_train)
    assert sorted(examples(x.numpy(), y)) == sorted(examples(task.x_train.numpy(), task.y_train))
    assert torch.equal(shuffled(0)[0], x)
    assert not torch.equal(shuffled(1)[0], x)


@pytest.mark.parametrize("read", [lambda task: task.split("trian"), lambda task: list(task.batches("trian"))])
def test_an_unknown_split_is_refused_with_a_suggestion(read: Callable[[Task], object], task: Task) -> None:
    with pytest.raises(ValueError, match=r"no split called 'trian'\. Did you mean 'train'"):
        read(task)


def test_an_empty_batch_is_refused(task: Task) -> None:
    with pytest.raises(ValueError, match="batch_size is 0"):
        list(task.batches("train", 0))


def test_moving_a_task_changes_dtype_and_device_and_nothing_else(task: Task) -> None:
    double, away = task.to(dtype=torch.float64), task.to("meta")
    assert double.dtype == torch.float64
    assert torch.equal(double.x_test, task.x_test.double())
    assert away.device.type == away.y_valid.device.type == "meta"
    for moved in (double, away):
        assert (moved.name, moved.classes, moved.class_names) == ("mine", 3, ("a", "b", "c"))
        assert moved.shape == task.shape
        assert moved.y_train.dtype == torch.int64
    assert torch.equal(double.y_train, task.y_train)
    assert (task.dtype, task.device.type) == (torch.float32, "cpu")


def test_a_task_introduces_itself(task: Task) -> None:
    shown = repr(task)
    for part in ("'mine'", "25 train, 7 valid, 5 test", "3 classes", "(2, 3)", "torch.float32 on cpu"):
        assert part in shown


# --- shipped files


def test_shipped_files_are_found() -> None:
    assert data.shipped("checkpoints").is_dir()


def test_a_file_that_is_not_shipped_is_said_to_be_missing() -> None:
    with pytest.raises(FileNotFoundError, match=r"no-such-file is not there.*install"):
        data.shipped("no-such-file")


def test_a_task_that_is_made_directly_counts_its_examples() -> None:
    task = Task.from_tensors(**tensors())
    with pytest.raises(ValueError, match="y_valid"):
        replace(task, y_valid=task.y_valid[:1])
    with pytest.raises(TypeError, match="torch tensors"):
        replace(task, x_test=task.x_test.numpy())
