"""The plans that need a GPU run unchanged, including their recipes; here on a few synthetic images, one epoch each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lossprune_lib import Study
from lossprune_lib.data import downloads
from lossprune_lib.studies import experiment

FOLDER = Path(__file__).parents[2] / "data" / "results"


@pytest.fixture
def made_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    draws = np.random.default_rng(0)
    for name, shape in (("mnist", (28, 28)), ("cifar10", (32, 32, 3))):
        arrays = {f"x_{split}": draws.integers(256, size=(20, *shape), dtype=np.uint8) for split in ("train", "test")}
        labels = {f"y_{split}": draws.permutation(np.arange(20) % 10) for split in ("train", "test")}
        np.savez(tmp_path / f"{name}.npz", **arrays, **labels)
    monkeypatch.setenv(downloads.FOLDER_VARIABLE, str(tmp_path))
    for name in ("mnist", "cifar10"):
        monkeypatch.setitem(downloads.SOURCES, name, replace(downloads.SOURCES[name], valid_examples=10))
    experiment.load_task.cache_clear()
    yield
    experiment.load_task.cache_clear()


@pytest.mark.parametrize(
    "name",
    [
        "mnist_800",
        # bfloat16 is slow on CPUs without hardware for it
        pytest.param("cifar10_vgg11_14", marks=pytest.mark.slow),
        pytest.param("cifar10_preact_resnet18_14", marks=pytest.mark.slow),
    ],
)
@pytest.mark.usefixtures("made_up")
def test_a_plan_runs(name: str, tmp_path: Path) -> None:
    study = Study.read(FOLDER / f"{name}.toml")
    assert study.tuning is not None
    small = replace(
        study,
        criteria=("qm",),
        stages=(1,),
        step_penalties=(0.0,),
        seeds=study.seeds[:1],
        batch_size=4,
        train_examples=8,
        training=replace(study.training, epochs=1),
        tuning=replace(study.tuning, epochs=1),
    )
    table = small.run(tmp_path / "runs.sqlite", device="cpu", progress=False)
    assert len(table) == 1
    assert table["tuned_valid_loss"].notna().all()
    kept = small.masks(tmp_path / "runs.sqlite")
    assert int(kept.sum()) == kept.shape[1] - round(kept.shape[1] * study.sparsities[0])


def test_the_plans_of_one_network_differ_in_stages_only() -> None:
    for network in ("vgg11", "preact_resnet18"):
        plans = [Study.read(FOLDER / f"cifar10_{network}_{stages}.toml") for stages in (1, 14, 140)]
        assert [plan.stages for plan in plans] == [(1,), (14,), (140,)]
        assert len({replace(plan, stages=(1,)) for plan in plans}) == 1
        assert plans[0].training.precision == "bfloat16"
